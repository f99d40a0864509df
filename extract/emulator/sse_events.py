"""An interaction as server-sent events, in either dialect, from the beginning or after the last event received."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from typing import Any

from extract.emulator.messages import compact
from extract.json_types import JsonObject

__all__ = ["stream_frames"]

STREAMED_CHARACTERS = 24
"""How much text or how much of a call's arguments one event carries."""
DONE = b"event: done\ndata: [DONE]\n\n"
RUNNING = frozenset({"queued", "in_progress"})
EMPTY_OF: dict[type, Any] = {str: "", list: [], dict: {}}


def stream_frames(
    interaction: JsonObject, *, legacy: bool, after: str | None = None, background: bool = False
) -> tuple[bytes, ...]:
    """Return the server-sent events of `interaction`, each with its blank line, `[DONE]` last.

    `interaction` is in the form of its dialect. `after` is the id of the last event the client has received. The stream
    of one that still runs breaks off after the events so far, for the client to resume it later. A `background`
    interaction sends its status first, so that its events have the same ids while it runs and afterwards.
    """
    frames = []
    numbers = count()
    for event in (legacy_events if legacy else events)(interaction, background=background):
        identity = f"e{next(numbers)}"
        frames.append(frame(event["event_type"], {"event_type": event.pop("event_type"), "event_id": identity} | event))
        if identity == after:  # the client has all events up to this one
            frames.clear()
    return tuple(frames) if interaction["status"] in RUNNING else (*frames, DONE)


def frame(name: str, data: JsonObject) -> bytes:
    """Return one server-sent event."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), compact(data))


def without(interaction: JsonObject, *names: str) -> JsonObject:
    return {name: value for name, value in interaction.items() if name not in names}


def status_update(interaction: JsonObject, status: str) -> JsonObject:
    return {"event_type": "interaction.status_update", "interaction_id": interaction["id"], "status": status}


def events(interaction: JsonObject, *, background: bool) -> Iterator[JsonObject]:
    """Yield the events of the `steps` dialect."""
    head = without(interaction, "steps", "usage", "errors", "continuation_token")
    yield {"event_type": "interaction.created", "interaction": head | {"status": "in_progress"}}
    if background:
        yield status_update(interaction, "in_progress")
    if interaction["status"] in RUNNING:
        return
    for index, step in enumerate(interaction["steps"]):
        beginning, changes = begin(step)
        yield {"event_type": "step.start", "index": index, "step": beginning}
        for delta in changes:
            yield {"event_type": "step.delta", "index": index, "delta": delta}
        yield {"event_type": "step.stop", "index": index}
    yield {"event_type": "interaction.completed", "interaction": without(interaction, "steps")}


def begin(step: JsonObject) -> tuple[JsonObject, Iterator[JsonObject]]:
    """Return the form in which a step is announced, and the deltas that complete it."""
    kind = step["type"]
    if kind == "function_call":
        arguments = json.dumps(step.get("arguments", {}), ensure_ascii=False, separators=(",", ":"))
        parts = ({"type": "arguments_delta", "arguments": piece} for piece in pieces(arguments))
        return step | {"arguments": {}}, parts
    if kind == "thought":
        return {"type": kind}, thought_deltas(step)
    if kind == "model_output":
        return {"type": kind}, (delta for content in step.get("content", ()) for delta in content_deltas(content))
    if kind.endswith(("_call", "_result")):
        return announce(step)
    return step, iter(())


def announce(step: JsonObject) -> tuple[JsonObject, Iterator[JsonObject]]:
    """Return a built-in tool's call or result without its content, and the delta with the content."""
    empty = {name: EMPTY_OF.get(type(step[name])) for name in ("arguments", "result") if name in step}
    if not empty:
        return step, iter(())
    return step | empty, iter([without(step, "id", "call_id")])


def thought_deltas(step: JsonObject) -> Iterator[JsonObject]:
    """Yield the summary of a thought piece by piece, then its signature."""
    for content in step.get("summary", ()):
        for piece in pieces(str(content.get("text", ""))):
            yield {"type": "thought_summary", "content": {"type": "text", "text": piece}}
    if "signature" in step:
        yield {"type": "thought_signature", "signature": step["signature"]}


def content_deltas(content: JsonObject) -> Iterator[JsonObject]:
    """Yield the deltas of one content: text in pieces, then its annotations; anything else as it is."""
    if content["type"] != "text":
        yield content
        return
    for piece in pieces(content["text"]):
        yield {"type": "text", "text": piece}
    if content.get("annotations"):
        yield {"type": "text_annotation_delta", "annotations": content["annotations"]}


def pieces(text: str) -> Iterator[str]:
    for start in range(0, len(text), STREAMED_CHARACTERS):
        yield text[start : start + STREAMED_CHARACTERS]


def legacy_events(interaction: JsonObject, *, background: bool) -> Iterator[JsonObject]:
    """Yield the events of the `outputs` dialect."""
    head = without(interaction, "outputs", "usage", "errors", "continuation_token")
    yield {"event_type": "interaction.start", "interaction": head | {"status": "in_progress"}}
    if background:
        yield status_update(interaction, "in_progress")
    if interaction["status"] in RUNNING:
        return
    for index, content in enumerate(interaction["outputs"]):
        streamed = content["type"] in ("thought", "text") or content["type"].endswith(("_call", "_result"))
        beginning = {"type": content["type"]} if streamed else content
        yield {"event_type": "content.start", "index": index, "content": legacy_start(content, beginning)}
        for delta in legacy_deltas(content) if streamed else ():
            yield {"event_type": "content.delta", "index": index, "delta": delta}
        yield {"event_type": "content.stop", "index": index}
    yield {"event_type": "interaction.complete", "interaction": without(interaction, "outputs")}


def legacy_start(content: JsonObject, beginning: JsonObject) -> JsonObject:
    """Return the announcement of a content: a function call has all fields that its type requires."""
    return content | {"arguments": {}} if content["type"] == "function_call" else beginning


def legacy_deltas(content: JsonObject) -> Iterator[JsonObject]:
    """Yield the deltas of one content: a call's arguments are whole, annotations come with an empty last text."""
    if content["type"] == "thought":
        yield from thought_deltas(content)
    elif content["type"] == "text":
        for piece in pieces(content["text"]):
            yield {"type": "text", "text": piece}
        if content.get("annotations"):
            yield {"type": "text", "text": "", "annotations": content["annotations"]}
    else:
        yield content
