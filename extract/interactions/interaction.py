"""Frozen values that everything above speaks in: interactions, usage, outcomes; parts and requests are passed on."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import takewhile
from typing import Any, Literal, TypeAlias, cast, get_args

from pydantic_core import from_json

from extract.documents.grounding.span import Span
from extract.documents.mime import MediaKind
from extract.documents.parts import MediaPart
from extract.documents.windows.conflicts import Conflict
from extract.errors import ExtractError
from extract.interactions.citations import Citation, citations_of
from extract.json_types import JsonObject

__all__ = [
    "Attempt",
    "Failure",
    "FunctionCall",
    "Interaction",
    "Outcome",
    "Usage",
]

_MEDIA_KINDS = get_args(MediaKind)
AttemptKind: TypeAlias = Literal["ask", "retry", "repair", "continuation", "tool"]


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one or more answers. `input_tokens` holds the cached ones; thoughts are beside the output."""

    input_tokens: int = 0
    output_tokens: int = 0
    thought_tokens: int = 0
    cached_tokens: int = 0
    tool_use_tokens: int = 0

    @property
    def total(self) -> int:
        """All tokens that are billed; the cached ones are a part of the input."""
        return self.input_tokens + self.output_tokens + self.thought_tokens + self.tool_use_tokens

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.thought_tokens + other.thought_tokens,
            self.cached_tokens + other.cached_tokens,
            self.tool_use_tokens + other.tool_use_tokens,
        )


@dataclass(frozen=True, slots=True)
class Failure:
    """One entry of an interaction's `errors`, or of a step's `error`."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """A function that the model wants called. `id` is what the result must name.

    `malformed` is what came in place of the arguments where it is no JSON object: such a call is not to be carried out.
    """

    id: str
    name: str
    arguments: JsonObject
    malformed: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Interaction:
    """One answer of the service, whichever dialect it spoke. Steps are kept as they came, unknown ones too.

    `usage` is None where the service sent none: unknown is not free. `raw` is the whole body, and `body` the
    bytes that it was read from: empty where it was put together of several.
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

    @property
    def answer(self) -> tuple[JsonObject, ...]:
        """The steps that answer the latest input: `get` shows the whole timeline, inputs included."""
        newest = list(takewhile(lambda step: step.get("type") != "user_input", reversed(self.steps)))
        return tuple(reversed(newest))

    @property
    def text(self) -> str:
        """The text of the answer to the latest input, or "" where there is none.

        The rule is the official SDK's `output_text` (google-genai 3.4): the last unbroken run of text over
        neighbouring `model_output` steps; thoughts are passed over, text before a tool call is left out.
        """
        return "".join([str(content.get("text") or "") for content in _last_run(self.steps)])

    @property
    def citations(self) -> tuple[Citation, ...]:
        """The annotations of `text`, with their spans in it."""
        return citations_of(_last_run(self.steps))

    @property
    def thoughts(self) -> tuple[str, ...]:
        """The summaries of what the model thought, where it was asked for them; the thoughts themselves are sealed."""
        return tuple(
            str(content.get("text") or "")
            for step in self.answer
            if step.get("type") == "thought"
            for content in _objects(step.get("summary"))
            if content.get("type", "text") == "text"
        )

    @property
    def calls(self) -> tuple[FunctionCall, ...]:
        """The functions that the model wants called, in its order; calls that are answered already are left out."""
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


def _arguments(told: Any) -> tuple[JsonObject, str | None]:
    """Return the arguments of a call, or what came in their place."""
    try:
        read = from_json(told) if isinstance(told, str) else told
    except ValueError:
        read = told
    if read is None and not isinstance(told, str):
        return {}, None
    return (read, None) if isinstance(read, dict) else ({}, str(told)[:200])


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One request that was, or may have been, billed.

    `usage` is None where no whole answer arrived to tell; `bound` (US dollars) is then the most it can have cost, and
    `cost` is None. `tier` is the service tier that really served it. `code` is None for an answer that could be judged,
    else what came in its place.
    """

    kind: AttemptKind
    model: str
    tier: str | None = None
    usage: Usage | None = None
    cost: Decimal | None = None
    bound: Decimal | None = None
    code: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one record: a value or an error, and what it took to get there.

    `row` is the value as one cell per output column. `attempts` counts requests sent for this record in this run (0
    where the cache knew the answer, and `cached` is True; `reused` is it where the cache knew a part, or all of it);
    `unknown_attempts` those among them that may have been billed without telling how much. `mended` names what was put
    right in the answer without asking again. `usage` and `cost` (US dollars, None
    where the price is unknown) are what this run has spent on the record, `ledger` is the same by attempt. `citations`
    are those of the answer; `grounded` says whether it names a source, None where no tool was to look anything up.
    `spans` tell where the values stand in the record, None where that was not asked or it holds no text. `windows` is
    how many parts a long text was asked about in, None for one; `conflicts` are where their answers differ.
    `agreement` is the share of a record's samples that give each column's value, None where it was asked once.
    """

    row_id: Any
    value: Any = None
    row: tuple[Any, ...] | None = field(default=None, repr=False)
    error: ExtractError | None = None
    answer: str | None = None
    usage: Usage = Usage()
    cost: Decimal | None = None
    attempts: int = 0
    retries: int = 0
    repairs: int = 0
    unknown_attempts: int = 0
    seconds: float = 0.0
    cached: bool = False
    reused: bool = False
    model: str | None = None
    service_tier: str | None = None
    mended: tuple[str, ...] = ()
    ledger: tuple[Attempt, ...] = ()
    citations: tuple[Citation, ...] = ()
    grounded: bool | None = None
    spans: tuple[Span, ...] | None = None
    windows: int | None = None
    conflicts: tuple[Conflict, ...] = ()
    agreement: Mapping[str, float] | None = None

    @property
    def ok(self) -> bool:
        return self.error is None
