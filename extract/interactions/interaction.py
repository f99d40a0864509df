"""An interaction: one answer of the service, in either dialect."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any, cast, get_args

from pydantic_core import from_json

from extract.documents.mime import MediaKind
from extract.documents.parts import MediaPart
from extract.interactions.citations import Citation, citations_of
from extract.interactions.usage import Usage
from extract.json_types import JsonObject

__all__ = ["Failure", "FunctionCall", "Interaction"]

_MEDIA_KINDS = get_args(MediaKind)


@dataclass(frozen=True, slots=True)
class Failure:
    """One entry of an interaction's `errors`, or of a step's `error`."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """A function that the model wants called. `id` is what the result must name.

    `malformed` is what came instead of the arguments, where that is not a JSON object: such a call must not be made.
    """

    id: str
    name: str
    arguments: JsonObject
    malformed: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Interaction:
    """One answer of the service, in either dialect. Steps are as they came, unknown ones too.

    `usage` is None where the service did not send all of it: unknown is not free. `raw` is the whole body, and `body`
    the bytes that it was read from: empty where it was joined from several.

        >>> answer = offline_client().create(Request(model="gemini-3.8-flash", input="Name a river."))
        >>> answer.status, answer.usage.input_tokens > 0
        ('completed', True)
    """

    status: str
    id: str = ""
    model: str | None = None
    steps: tuple[JsonObject, ...] = ()
    usage: Usage | None = None
    errors: tuple[Failure, ...] = ()
    continuation_token: str | None = None
    service_tier: str | None = None
    raw: JsonObject = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False, compare=False)
    _text: str | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def answer(self) -> tuple[JsonObject, ...]:
        """The steps that answer the latest input: `get` shows the whole timeline, inputs included."""
        newest = list(takewhile(lambda step: step.get("type") != "user_input", reversed(self.steps)))
        return tuple(reversed(newest))

    @property
    def text(self) -> str:
        """The text of the answer to the latest input, or "" where there is none.

        The rule is the official SDK's `output_text` (google-genai 3.4): the last unbroken run of text over
        neighbouring `model_output` steps; thoughts do not break it, text before a tool call is left out.
        """
        if (text := self._text) is None:  # put together once: it is judged first, and read then
            text = "".join([str(content.get("text") or "") for content in _last_run(self.steps)])
            object.__setattr__(self, "_text", text)
        return text

    @property
    def citations(self) -> tuple[Citation, ...]:
        """The annotations of `text`, with their spans in it."""
        return citations_of(_last_run(self.steps))

    @property
    def thoughts(self) -> tuple[str, ...]:
        """The summaries of the model's thoughts, if the request wanted them; the thoughts themselves are encrypted."""
        return tuple(
            str(content.get("text") or "")
            for step in self.answer
            if step.get("type") == "thought"
            for content in _objects(step.get("summary"))
            if content.get("type", "text") == "text"
        )

    @property
    def calls(self) -> tuple[FunctionCall, ...]:
        """The functions that the model wants called, in its order, without those whose results are there already."""
        answered = {str(step.get("call_id") or "") for step in self.answer if step.get("type") == "function_result"}
        return tuple(
            FunctionCall(str(step.get("id") or ""), str(step.get("name") or ""), *_arguments(step.get("arguments")))
            for step in self.answer
            if step.get("type") == "function_call" and str(step.get("id") or "") not in answered - {""}
        )

    @property
    def media(self) -> tuple[MediaPart, ...]:
        """The images, audio, video and documents of the answer, decoded."""
        contents = (
            content
            for step in self.answer
            if step.get("type") == "model_output"
            for content in _objects(step.get("content"))
        )
        return tuple(_media(content) for content in contents if content.get("type") in _MEDIA_KINDS)

    @property
    def images(self) -> tuple[MediaPart, ...]:
        return tuple(part for part in self.media if part.kind == "image")

    @property
    def audio(self) -> tuple[MediaPart, ...]:
        return tuple(part for part in self.media if part.kind == "audio")


def _last_run(steps: tuple[JsonObject, ...]) -> list[JsonObject]:
    """Return the text contents that make up the answer, in order; see `Interaction.text`."""
    pieces: list[JsonObject] = []
    for step in reversed(steps):
        kind = step.get("type")
        if kind == "user_input":
            break
        if kind == "thought":
            continue
        if kind != "model_output":
            if pieces:
                break
            continue
        contents = step.get("content")
        for content in reversed(contents) if isinstance(contents, list) else ():
            if isinstance(content, dict) and content.get("type") == "text":
                pieces.append(content)
            elif pieces:
                return pieces[::-1]
    return pieces[::-1]


def _objects(value: Any) -> Iterator[JsonObject]:
    return (item for item in value if isinstance(item, dict)) if isinstance(value, list) else iter(())


def _arguments(received: Any) -> tuple[JsonObject, str | None]:
    """Return the arguments of a call, or what came instead."""
    try:
        value = from_json(received) if isinstance(received, str) else received
    except ValueError:
        value = received
    if value is None and not isinstance(received, str):
        return {}, None
    return (value, None) if isinstance(value, dict) else ({}, str(received)[:200])


def _media(content: JsonObject) -> MediaPart:
    data, uri = content.get("data"), content.get("uri")
    decoded = _decoded(data) if isinstance(data, str) and data else None
    mime_type = content.get("mime_type")
    return MediaPart(
        kind=cast("MediaKind", content["type"]),
        mime_type=mime_type if isinstance(mime_type, str) else "",
        data=decoded,
        uri=uri if isinstance(uri, str) and uri and decoded is None else None,
    )


def _decoded(data: str) -> bytes | None:
    try:
        return b64decode(data, altchars=b"-_") if "-" in data or "_" in data else b64decode(data)
    except ValueError:
        return None
