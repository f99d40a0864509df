"""The events of a streamed answer, typed, and the same for both wire forms."""

from __future__ import annotations

from base64 import b64decode
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic_core import from_json

from extract.interactions.dialects import from_raw
from extract.interactions.interaction import Interaction
from extract.interactions.streaming.sse import Frame
from extract.json_types import JsonObject

__all__ = [
    "MEDIA_KINDS",
    "ArgumentsPiece",
    "Completed",
    "Created",
    "ErrorEvent",
    "Event",
    "MediaPiece",
    "OtherPiece",
    "StatusChanged",
    "StepStarted",
    "StepStopped",
    "TextPiece",
    "ThoughtPiece",
    "UnknownEvent",
    "decoded",
    "object_of",
    "read_event",
    "string_of",
]

MEDIA_KINDS = ("image", "audio", "video", "document")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event of a stream. A later stream can go on after its `id`; `raw` is the event as it came."""

    id: str = ""
    raw: JsonObject = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Created(Event):
    """The interaction exists; its id, model and status are known. A second one means that the answer starts again."""

    interaction: Interaction


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusChanged(Event):
    """The interaction goes on in another status."""

    status: str
    continuation_token: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepStarted(Event):
    """A step begins, mostly still empty. In the `outputs` form each content of the flat list is a step."""

    index: int
    step: JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class TextPiece(Event):
    """The next piece of a text."""

    index: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ThoughtPiece(Event):
    """The next piece of a thought's summary."""

    index: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ArgumentsPiece(Event):
    """The next piece of the JSON text of a function call's arguments; the `outputs` form sends it whole."""

    index: int
    arguments: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaPiece(Event):
    """An image, or the next piece of audio or video. `data` is None where it came by URL or cannot be decoded."""

    index: int
    kind: str
    mime_type: str = ""
    data: bytes | None = field(default=None, repr=False)
    uri: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherPiece(Event):
    """A delta of another kind: a signature, annotations, the call or result of a tool, or an unknown one."""

    index: int
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StepStopped(Event):
    """A step is whole."""

    index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed(Event):
    """The natural end, good or bad: read the status. `interaction` mostly has no steps; the stream's own has them."""

    interaction: Interaction


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorEvent(Event):
    """The service gave up. Clients raise the error that this stands for."""

    error: JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownEvent(Event):
    """An unknown event, or one whose data cannot be read."""


def read_event(frame: Frame) -> Event:
    """Return the event of a frame, by its own `event_type`; nothing that comes is refused."""
    try:
        raw = from_json(frame.data)
    except ValueError:
        raw = None
    if not isinstance(raw, dict):
        return UnknownEvent(id=frame.id, raw={"data": frame.data.decode("utf-8", "replace")})
    identity = raw.get("event_id")
    common: dict[str, Any] = {"id": identity if isinstance(identity, str) and identity else frame.id, "raw": raw}
    match str(raw.get("event_type") or frame.name):
        case "interaction.created" | "interaction.start":
            return Created(interaction=_interaction(raw, "in_progress"), **common)
        case "interaction.completed" | "interaction.complete":
            return Completed(interaction=_interaction(raw, "completed"), **common)
        case "step.start" | "content.start":
            return StepStarted(index=_index(raw), step=object_of(raw.get("step", raw.get("content"))), **common)
        case "step.delta" | "content.delta":
            return _piece(raw, common)
        case "step.stop" | "content.stop":
            return StepStopped(index=_index(raw), **common)
        case "error":
            return ErrorEvent(error=object_of(raw.get("error")), **common)
        case name if name.startswith("interaction.") and _status(raw):
            token = raw.get("continuation_token")
            return StatusChanged(
                status=_status(raw) or "", continuation_token=token if isinstance(token, str) else None, **common
            )
    return UnknownEvent(**common)


def _interaction(raw: JsonObject, status: str) -> Interaction:
    """Return the interaction of an event; `status` is that of the event, for one that names none."""
    resource = object_of(raw.get("interaction"))
    return from_raw(resource) if string_of(resource.get("status")) else replace(from_raw(resource), status=status)


def _piece(raw: JsonObject, common: dict[str, Any]) -> Event:
    delta = object_of(raw.get("delta"))
    index, kind = _index(raw), str(delta.get("type") or "")
    if kind == "text":
        return TextPiece(index=index, text=string_of(delta.get("text")), **common)
    if kind in ("thought_summary", "thought") and (text := _thought_text(delta)) is not None:
        return ThoughtPiece(index=index, text=text, **common)
    if kind == "arguments_delta":
        return ArgumentsPiece(index=index, arguments=string_of(delta.get("arguments")), **common)
    if kind in MEDIA_KINDS:
        uri = delta.get("uri")
        return MediaPiece(
            index=index,
            kind=kind,
            mime_type=string_of(delta.get("mime_type")),
            data=decoded(delta.get("data")),
            uri=uri if isinstance(uri, str) else None,
            **common,
        )
    return OtherPiece(index=index, kind=kind, **common)


def _thought_text(delta: JsonObject) -> str | None:
    """Return the text of a thought's piece. The first page of the API had it in a field `thought`."""
    text = object_of(delta.get("content")).get("text", delta.get("thought"))
    return text if isinstance(text, str) else None


def _status(raw: JsonObject) -> str | None:
    status = raw.get("status", object_of(raw.get("interaction")).get("status"))
    return status if isinstance(status, str) and status else None


def _index(raw: JsonObject) -> int:
    index = raw.get("index")
    return index if type(index) is int else 0


def object_of(value: Any) -> JsonObject:
    """Return the value where it is an object, else an empty one: nothing that comes is refused."""
    return value if isinstance(value, dict) else {}


def string_of(value: Any) -> str:
    """Return the value where it is text, else ""."""
    return value if isinstance(value, str) else ""


def decoded(value: Any) -> bytes | None:
    """Return the bytes of base64; None for nothing, and for what cannot be decoded."""
    try:
        return b64decode(value) if isinstance(value, str) and value else None
    except ValueError:
        return None
