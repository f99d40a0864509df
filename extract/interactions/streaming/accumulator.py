"""Adds the events of a stream up to the interaction that a plain call would return."""

from __future__ import annotations

from base64 import b64encode
from copy import deepcopy
from typing import Any

from pydantic_core import from_json

from extract.interactions.dialects import from_raw
from extract.interactions.interaction import Interaction
from extract.interactions.streaming.events import (
    MEDIA_KINDS,
    ArgumentsPiece,
    Completed,
    Created,
    Event,
    MediaPiece,
    OtherPiece,
    StatusChanged,
    StepStarted,
    StepStopped,
    TextPiece,
    ThoughtPiece,
    decoded,
    object_of,
    string_of,
)
from extract.json_types import JsonObject

__all__ = ["Accumulator"]


class _Media:
    """A content of audio or video. Its pieces may be many, so they are joined only when the content is read."""

    def __init__(self, content: JsonObject, first: bytes) -> None:
        self.content = content
        self.pieces = [first]

    def join(self) -> None:
        if len(self.pieces) > 1:
            self.pieces = [b"".join(self.pieces)]
            self.content["data"] = b64encode(self.pieces[0]).decode("ascii")


class Accumulator:
    """Adds events up to the interaction that a plain call would return, as far as it has come."""

    def __init__(self) -> None:
        self.completed: bool = False
        self.checkpoint: str | None = None
        """A token to go on from after a cut, while nothing has come since."""
        self._head: JsonObject = {}  # all fields but the steps
        self._steps: dict[int, JsonObject] = {}
        self._whole: list[Any] = []  # the steps of the last event, where it has them: these replace what was added up
        self._arguments: dict[int, str] = {}  # JSON text of calls, which can be parsed only once it is whole
        self._media: dict[int, _Media] = {}
        self._results: set[int] = set()  # steps whose result has begun to come
        self._usage: JsonObject = {}
        self._legacy = False

    @property
    def id(self) -> str:
        return string_of(self._head.get("id"))

    @property
    def text(self) -> str:
        """The answer's text as far as it has come; see `Interaction.text`."""
        return from_raw(self._raw()).text

    def __len__(self) -> int:
        return len(self._whole or self._steps)

    def interaction(self) -> Interaction:
        """Return what has come so far, as a copy."""
        for media in self._media.values():
            media.join()
        raw = deepcopy(self._raw())  # later events extend the same objects
        if not self._whole:
            for place, index in enumerate(sorted(self._steps)):
                if index in self._arguments:
                    raw["outputs" if self._legacy else "steps"][place]["arguments"] = self._parsed(index)
        return from_raw(raw)

    def add(self, event: Event) -> None:
        """Add one event. An unknown one changes nothing."""
        name = string_of(event.raw.get("event_type"))
        self._legacy = self._legacy or name.startswith("content.") or name == "interaction.start"
        match event:
            case Created() | Completed():
                self._set_head(event)
            case StatusChanged():
                self._head["status"] = event.status
                self.checkpoint = event.continuation_token or self.checkpoint
                self._usage = object_of(event.raw.get("usage")) or self._usage
            case StepStarted():
                # A step may start twice, after a replay inside the stream: the second start counts.
                self._forget(event.index)
                self._steps[event.index] = deepcopy(event.step)
                self.checkpoint = None
            case StepStopped():
                self._usage = object_of(event.raw.get("usage")) or self._usage
            case TextPiece() | ThoughtPiece() | ArgumentsPiece() | MediaPiece() | OtherPiece():
                self.checkpoint = None
                self._usage = object_of(object_of(event.raw.get("metadata")).get("total_usage")) or self._usage
                self._apply(event.index, object_of(event.raw.get("delta")))

    def _set_head(self, event: Created | Completed) -> None:
        resource = object_of(event.raw.get("interaction"))
        if isinstance(event, Created):  # a second one means that the answer starts again
            self._head, self._steps, self._arguments, self._media, self._results = {}, {}, {}, {}, set()
        else:
            self.completed = True
            self.checkpoint = None
            self._head.pop("continuation_token", None)
        for name in ("steps", "outputs"):
            if isinstance(resource.get(name), list) and resource[name]:
                self._legacy = name == "outputs"
                if isinstance(event, Completed):
                    self._whole = resource[name]
                else:
                    steps = (deepcopy(step) for step in resource[name] if isinstance(step, dict))
                    self._steps = dict(enumerate(steps))
        self._head |= {name: value for name, value in resource.items() if name not in ("steps", "outputs")}
        self._head["status"] = event.interaction.status

    def _forget(self, index: int) -> None:
        """Drop what came of a step that starts again."""
        self._arguments.pop(index, None)
        self._media.pop(index, None)
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
        kind = string_of(delta.get("type"))
        # The start of a step may be missing: the kind of its first delta then tells what it is.
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
        elif kind in MEDIA_KINDS:
            self._add_media(index, step, delta)
        elif kind == "thought_signature" or kind.endswith(("_call", "_result")):
            fields = {name: value for name, value in delta.items() if name != "type"}
            if kind.endswith("_result"):
                self._extend_result(index, step, fields)
            step |= fields

    def _extend_result(self, index: int, step: JsonObject, fields: JsonObject) -> None:
        """Put the pieces of a result's list that came before in front of the new one.

        The first piece replaces the list of the step itself, which may be a placeholder.
        """
        before, piece = step.get("result"), fields.get("result")
        if index in self._results and isinstance(before, list) and isinstance(piece, list):
            fields["result"] = [*before, *piece]
        if "result" in fields:
            self._results.add(index)

    def _add_media(self, index: int, step: JsonObject, delta: JsonObject) -> None:
        """Add a piece of media. Audio and video come in pieces that belong together, images one by one."""
        content = _content_of(step, delta["type"])
        media = self._media_of(index, content) if delta["type"] in ("audio", "video") else None
        piece = decoded(delta.get("data"))
        if media is not None and piece is not None:
            media.pieces.append(piece)
        elif ("data" in content or "uri" in content) and content is not step:
            # A second image of one step; in the flat list of the `outputs` form each image is a step of its own.
            step["content"].append(dict(delta))
        else:
            content |= delta

    def _media_of(self, index: int, content: JsonObject) -> _Media | None:
        """Return the media that a content holds so far; None where it is still empty or cannot be read."""
        media = self._media.get(index)
        if media is not None and media.content is content:
            return media
        if media is not None:
            media.join()
        first = decoded(content.get("data"))
        if first is None:
            return None
        self._media[index] = _Media(content, first)
        return self._media[index]

    def _opened(self, kind: str) -> JsonObject:
        """Return the step for a delta whose own start event has not come."""
        if kind in ("text", "text_annotation_delta", *MEDIA_KINDS):
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
        content["text"] = string_of(content.get("text")) + delta["text"]
    if isinstance(delta.get("annotations"), list):
        known = content.get("annotations")
        content["annotations"] = [*(known if isinstance(known, list) else ()), *delta["annotations"]]


def _add_thought(step: JsonObject, delta: JsonObject) -> None:
    if "signature" in delta:
        step["signature"] = delta["signature"]
    content = delta.get("content")
    piece = content if isinstance(content, dict) else {"type": "text", "text": string_of(delta.get("thought"))}
    summary = step.get("summary")
    if not isinstance(summary, list):
        summary = step["summary"] = []
    last = summary[-1] if summary and isinstance(summary[-1], dict) else {}
    if last.get("type") == "text" == piece.get("type"):
        last["text"] = string_of(last.get("text")) + string_of(piece.get("text"))
    elif piece.get("text") or "data" in piece or "uri" in piece:
        summary.append(dict(piece))
