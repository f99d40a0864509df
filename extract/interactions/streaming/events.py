"""The events of a streamed answer, typed and alike in both wire forms, and the answer that they add up to."""

from __future__ import annotations

from base64 import b64decode, b64encode
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic_core import from_json

from extract.interactions.dialects import from_raw
from extract.interactions.interaction import Interaction
from extract.interactions.streaming.sse import Frame
from extract.json_types import JsonObject

__all__ = [
    "Accumulator",
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
    "read_event",
]

_MEDIA_KINDS = ("image", "audio", "video", "document")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event of a stream. `id` is what a later stream can go on from; `raw` is the event as it came."""

    id: str = ""
    raw: JsonObject = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Created(Event):
    """The interaction exists; its id, model and status are known. A second one means that the answer begins anew."""

    interaction: Interaction


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusChanged(Event):
    """The interaction goes on in another status."""

    status: str
    continuation_token: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepStarted(Event):
    """A step begins, mostly still empty. In the `outputs` form each content of the flat list is one."""

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
    """An image, or the next piece of audio or video. `data` is None where it came by address or cannot be decoded."""

    index: int
    kind: str
    mime_type: str = ""
    data: bytes | None = field(default=None, repr=False)
    uri: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherPiece(Event):
    """A delta of another kind: a signature, annotations, the call or result of a tool, or one that is not known."""

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
    """The service gave up. Clients raise it as an error of our tree."""

    error: JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownEvent(Event):
    """An event that is not known, or whose data cannot be read."""


def read_event(frame: Frame) -> Event:
    """Return the event of a frame. It is told by its own `event_type`; nothing that comes is refused."""
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
            return Created(interaction=_told(raw, "in_progress"), **common)
        case "interaction.completed" | "interaction.complete":
            return Completed(interaction=_told(raw, "completed"), **common)
        case "step.start" | "content.start":
            return StepStarted(index=_index(raw), step=_object(raw.get("step", raw.get("content"))), **common)
        case "step.delta" | "content.delta":
            return _piece(raw, common)
        case "step.stop" | "content.stop":
            return StepStopped(index=_index(raw), **common)
        case "error":
            return ErrorEvent(error=_object(raw.get("error")), **common)
        case name if name.startswith("interaction.") and _status(raw):
            token = raw.get("continuation_token")
            return StatusChanged(
                status=_status(raw) or "", continuation_token=token if isinstance(token, str) else None, **common
            )
    return UnknownEvent(**common)


def _told(raw: JsonObject, otherwise: str) -> Interaction:
    """Return the interaction of an event, with the status that the event stands for where none is told."""
    told = _object(raw.get("interaction"))
    return from_raw(told) if _string(told.get("status")) else replace(from_raw(told), status=otherwise)


def _piece(raw: JsonObject, common: dict[str, Any]) -> Event:
    delta = _object(raw.get("delta"))
    index, kind = _index(raw), str(delta.get("type") or "")
    if kind == "text":
        return TextPiece(index=index, text=_string(delta.get("text")), **common)
    if kind in ("thought_summary", "thought") and (text := _thought_text(delta)) is not None:
        return ThoughtPiece(index=index, text=text, **common)
    if kind == "arguments_delta":
        return ArgumentsPiece(index=index, arguments=_string(delta.get("arguments")), **common)
    if kind in _MEDIA_KINDS:
        uri = delta.get("uri")
        return MediaPiece(
            index=index,
            kind=kind,
            mime_type=_string(delta.get("mime_type")),
            data=_decoded(delta.get("data")),
            uri=uri if isinstance(uri, str) else None,
            **common,
        )
    return OtherPiece(index=index, kind=kind, **common)


def _thought_text(delta: JsonObject) -> str | None:
    """Return the text of a thought's piece. The first page of the API had it in a field `thought`."""
    text = _object(delta.get("content")).get("text", delta.get("thought"))
    return text if isinstance(text, str) else None


def _status(raw: JsonObject) -> str | None:
    status = raw.get("status", _object(raw.get("interaction")).get("status"))
    return status if isinstance(status, str) and status else None


def _index(raw: JsonObject) -> int:
    index = raw.get("index")
    return index if type(index) is int else 0


def _object(value: Any) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _decoded(value: Any) -> bytes | None:
    try:
        return b64decode(value) if isinstance(value, str) and value else None
    except ValueError:
        return None


class _Sound:
    """A content of sound or film, whose pieces are put together once it is looked at: they may be many."""

    def __init__(self, content: JsonObject, first: bytes) -> None:
        self.content = content
        self.pieces = [first]

    def settle(self) -> None:
        if len(self.pieces) > 1:
            self.pieces = [b"".join(self.pieces)]
            self.content["data"] = b64encode(self.pieces[0]).decode("ascii")


class Accumulator:
    """Adds events up to the interaction that a plain call would have brought, as far as it has come."""

    def __init__(self) -> None:
        self.completed = False
        self.checkpoint: str | None = None
        """A token to go on from after a cut, as long as nothing came since."""
        self._head: JsonObject = {}
        self._steps: dict[int, JsonObject] = {}
        self._whole: list[Any] = []
        self._arguments: dict[int, str] = {}
        self._sounds: dict[int, _Sound] = {}
        self._results: set[int] = set()  # steps whose result has begun to come
        self._usage: JsonObject = {}
        self._legacy = False

    @property
    def id(self) -> str:
        return _string(self._head.get("id"))

    @property
    def text(self) -> str:
        """The answer's text as far as it has come; see `Interaction.text`."""
        return from_raw(self._raw()).text

    def __len__(self) -> int:
        return len(self._whole or self._steps)

    def interaction(self) -> Interaction:
        """Return what has come so far, as a value of its own."""
        for sound in self._sounds.values():
            sound.settle()
        raw = deepcopy(self._raw())
        if not self._whole:
            for place, index in enumerate(sorted(self._steps)):
                if index in self._arguments:
                    raw["outputs" if self._legacy else "steps"][place]["arguments"] = self._parsed(index)
        return from_raw(raw)

    def add(self, event: Event) -> None:
        """Take one event in. What it does not know changes nothing."""
        name = _string(event.raw.get("event_type"))
        self._legacy = self._legacy or name.startswith("content.") or name == "interaction.start"
        match event:
            case Created() | Completed():
                self._take_head(event)
            case StatusChanged():
                self._head["status"] = event.status
                self.checkpoint = event.continuation_token or self.checkpoint
                self._usage = _object(event.raw.get("usage")) or self._usage
            case StepStarted():
                self._forget(event.index)
                self._steps[event.index] = deepcopy(event.step)
                self.checkpoint = None
            case StepStopped():
                self._usage = _object(event.raw.get("usage")) or self._usage
            case TextPiece() | ThoughtPiece() | ArgumentsPiece() | MediaPiece() | OtherPiece():
                self.checkpoint = None
                self._usage = _object(_object(event.raw.get("metadata")).get("total_usage")) or self._usage
                self._apply(event.index, _object(event.raw.get("delta")))

    def _take_head(self, event: Created | Completed) -> None:
        told = _object(event.raw.get("interaction"))
        if isinstance(event, Created):
            self._head, self._steps, self._arguments, self._sounds, self._results = {}, {}, {}, {}, set()
        else:
            self.completed = True
            self.checkpoint = None
            self._head.pop("continuation_token", None)
        for name in ("steps", "outputs"):
            if isinstance(told.get(name), list) and told[name]:
                self._legacy = name == "outputs"
                if isinstance(event, Completed):
                    self._whole = told[name]
                else:
                    steps = (deepcopy(step) for step in told[name] if isinstance(step, dict))
                    self._steps = dict(enumerate(steps))
        self._head |= {name: value for name, value in told.items() if name not in ("steps", "outputs")}
        self._head["status"] = event.interaction.status

    def _forget(self, index: int) -> None:
        """Drop what came of a step that begins anew."""
        self._arguments.pop(index, None)
        self._sounds.pop(index, None)
        self._results.discard(index)

    def _raw(self) -> JsonObject:
        usage = {"usage": self._usage} if self._usage and not self._head.get("usage") else {}
        steps = self._whole or [self._steps[index] for index in sorted(self._steps)]
        return {"status": "in_progress"} | self._head | usage | {"outputs" if self._legacy else "steps": steps}

    def _parsed(self, index: int) -> Any:
        """Return the arguments of a call; text that is no JSON object yet stays text."""
        try:
            return from_json(self._arguments[index])
        except ValueError:
            return self._arguments[index]

    def _apply(self, index: int, delta: JsonObject) -> None:
        kind = _string(delta.get("type"))
        step = self._steps.setdefault(index, self._opened(kind))
        if kind in ("text", "text_annotation_delta"):
            _add_text(_content_of(step, "text"), delta)
        elif kind in ("thought_summary", "thought"):
            _add_thought(step, delta)
        elif kind == "arguments_delta":
            arguments = delta.get("arguments")
            if isinstance(arguments, str):
                self._arguments[index] = self._arguments.get(index, "") + arguments
            elif isinstance(arguments, dict):
                step["arguments"] = arguments
        elif kind in _MEDIA_KINDS:
            self._add_media(index, step, delta)
        elif kind == "thought_signature" or kind.endswith(("_call", "_result")):
            told = {name: value for name, value in delta.items() if name != "type"}
            if kind.endswith("_result"):
                self._extend_result(index, step, told)
            step |= told

    def _extend_result(self, index: int, step: JsonObject, told: JsonObject) -> None:
        """Put what came of a result's list before what is told now. The first piece takes the place of the step's."""
        known, more = step.get("result"), told.get("result")
        if index in self._results and isinstance(known, list) and isinstance(more, list):
            told["result"] = [*known, *more]
        if "result" in told:
            self._results.add(index)

    def _add_media(self, index: int, step: JsonObject, delta: JsonObject) -> None:
        """Add a piece of media. Sound and film come in pieces that belong together, images one by one."""
        content = _content_of(step, delta["type"])
        sound = self._sound(index, content) if delta["type"] in ("audio", "video") else None
        piece = _decoded(delta.get("data"))
        if sound is not None and piece is not None:
            sound.pieces.append(piece)
        elif ("data" in content or "uri" in content) and content is not step:
            step["content"].append(dict(delta))
        else:
            content |= delta

    def _sound(self, index: int, content: JsonObject) -> _Sound | None:
        """Return the sound that a content holds so far; None where it is still empty or cannot be read."""
        sound = self._sounds.get(index)
        if sound is not None and sound.content is content:
            return sound
        if sound is not None:
            sound.settle()
        first = _decoded(content.get("data"))
        if first is None:
            return None
        self._sounds[index] = _Sound(content, first)
        return self._sounds[index]

    def _opened(self, kind: str) -> JsonObject:
        """Return the step that a delta belongs to whose beginning has not been told."""
        if kind in ("text", "text_annotation_delta", *_MEDIA_KINDS):
            content = "text" if kind == "text_annotation_delta" else kind
            return {"type": content} if self._legacy else {"type": "model_output", "content": []}
        if kind.startswith("thought"):
            return {"type": "thought"}
        return {"type": "function_call" if kind == "arguments_delta" else kind}


def _content_of(step: JsonObject, kind: str) -> JsonObject:
    """Return the content that a piece goes to: the step's last one, or a new one where that is of another kind."""
    if step.get("type") == kind:  # a content of the flat list
        return step
    contents = step.get("content")
    if not isinstance(contents, list):
        contents = step["content"] = []
    if not contents or not isinstance(contents[-1], dict) or contents[-1].get("type") != kind:
        contents.append({"type": kind})
    last: JsonObject = contents[-1]
    return last


def _add_text(content: JsonObject, delta: JsonObject) -> None:
    if isinstance(delta.get("text"), str):
        content["text"] = _string(content.get("text")) + delta["text"]
    if isinstance(delta.get("annotations"), list):
        known = content.get("annotations")
        content["annotations"] = [*(known if isinstance(known, list) else ()), *delta["annotations"]]


def _add_thought(step: JsonObject, delta: JsonObject) -> None:
    if "signature" in delta:
        step["signature"] = delta["signature"]
    content = delta.get("content")
    piece = content if isinstance(content, dict) else {"type": "text", "text": _string(delta.get("thought"))}
    summary = step.get("summary")
    if not isinstance(summary, list):
        summary = step["summary"] = []
    last = summary[-1] if summary and isinstance(summary[-1], dict) else {}
    if last.get("type") == "text" == piece.get("type"):
        last["text"] = _string(last.get("text")) + _string(piece.get("text"))
    elif piece.get("text") or "data" in piece or "uri" in piece:
        summary.append(dict(piece))
