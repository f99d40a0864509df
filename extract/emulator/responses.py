"""Interactions as the API sends them: steps and usage, the older dialect, and the response around them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Literal

from extract.emulator.conversation import CHARACTERS_PER_TOKEN, ParsedRequest, count_tokens
from extract.emulator.history import open_calls, sign, steps_given
from extract.emulator.messages import JSON_TYPE, STREAM_TYPE, WireResponse, compact
from extract.emulator.sse_events import stream_frames
from extract.json_types import JsonObject

__all__ = [
    "Reply",
    "build_interaction",
    "fit_limit",
    "in_progress",
    "render",
    "split_text",
    "with_input",
]

THOUGHT_TOKENS = {"minimal": 8, "low": 32, "medium": 128, "high": 512, "xhigh": 2048}
SUMMARY = "emulated thought: the request was read"
GROUNDING = {"google_search_call": "google_search", "google_maps_call": "google_maps", "file_search_call": "retrieval"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The model's answer to one request, before it has the form of the API.

    `actions` are steps before the text, such as calls of tools; `annotations` and `media` belong to the text.
    """

    text: str
    status: str = "completed"
    layout: Literal["plain", "split", "empty"] = "plain"
    thought: str | None = None
    errors: tuple[JsonObject, ...] = ()
    usage: bool = True
    extras: bool = False
    continuation_token: str | None = None
    actions: tuple[JsonObject, ...] = ()
    annotations: tuple[JsonObject, ...] = ()
    media: tuple[JsonObject, ...] = ()
    summary: bool = False

    @property
    def calls(self) -> tuple[JsonObject, ...]:
        """The function calls that wait for their results."""
        return tuple(open_calls(self.actions).values())

    @property
    def thought_tokens(self) -> int:
        """Tokens that the thought step counts as."""
        return THOUGHT_TOKENS.get(self.thought, THOUGHT_TOKENS["low"]) if self.thought is not None else 0


def fit_limit(reply: Reply, limit: int | None) -> Reply:
    """Return `reply`, cut and `incomplete` where it is longer than `limit` tokens. Thoughts count against the limit."""
    if limit is None or reply.layout == "empty" or count_tokens(reply.text) + reply.thought_tokens <= limit:
        return reply
    room = max(0, limit - reply.thought_tokens)
    text = reply.text[: room * CHARACTERS_PER_TOKEN]
    return replace(reply, text=text, status="incomplete", annotations=(), media=())


def split_text(text: str, parts: int) -> tuple[str, ...]:
    """Return `text` in `parts` parts of about the same length; joined they are `text`."""
    marks = [len(text) * index // parts for index in range(parts + 1)]
    return tuple(text[start:end] for start, end in pairwise(marks))


def build_interaction(reply: Reply, request: ParsedRequest, body: JsonObject, *, identity: str, now: str) -> JsonObject:
    """Return the interaction of the `steps` dialect that answers `body`, with its own output only."""
    named = "agent" if "agent" in body else "model"
    interaction: JsonObject = {
        "id": identity,
        "object": "interaction",
        "status": reply.status,
        named: body[named],
        "service_tier": body.get("service_tier", "standard"),
        "created": now,
        "updated": now,
        "steps": list(steps_of(reply)),
    }
    if "previous_interaction_id" in body:
        interaction["previous_interaction_id"] = body["previous_interaction_id"]
    if reply.usage:
        interaction["usage"] = usage_of(reply, request.input_tokens)
    if reply.errors:
        interaction["errors"] = list(reply.errors)
    if reply.continuation_token:
        interaction["continuation_token"] = reply.continuation_token
    if reply.extras:
        interaction |= {"novelty": {"level": 3}, "trace": "t-1"}
        interaction["usage"] = interaction.get("usage", {}) | {"total_novel_tokens": 1}
    return interaction


def steps_of(reply: Reply) -> Iterator[JsonObject]:
    """Yield the steps of `reply`: a thought first, then the actions, then the text in its layout."""
    if reply.thought is not None:
        summary = {"summary": [{"type": "text", "text": SUMMARY}]} if reply.summary else {}
        yield {"type": "thought", "signature": sign(reply.calls)} | summary
    yield from reply.actions
    if reply.extras:
        yield {"type": "musing", "mood": "curious", "content": [{"type": "text", "text": "not the answer"}]}
    if reply.layout == "split":
        yield from split_steps(reply.text)
    elif reply.layout == "plain":
        novelty = {"novel": True} if reply.extras else {}
        before = [{"type": "hologram", "data": "AAAA"}] if reply.extras else []
        noted = {"annotations": list(reply.annotations)} if reply.annotations else {}
        text = [{"type": "text", "text": reply.text} | noted | novelty] if reply.text or not reply.media else []
        yield {"type": "model_output", "content": [*before, *text, *reply.media]} | novelty


def split_steps(text: str) -> Iterator[JsonObject]:
    """Yield `text` over two steps, the first with two contents."""
    first, second, rest = split_text(text, 3)
    yield {"type": "model_output", "content": [{"type": "text", "text": first}, {"type": "text", "text": second}]}
    yield {"type": "model_output", "content": [{"type": "text", "text": rest}]}


def usage_of(reply: Reply, input_tokens: Mapping[str, int]) -> JsonObject:
    """Return the token counts; thoughts are counted beside the output, and the total includes both."""
    entering, leaving = sum(input_tokens.values()), count_tokens(reply.text)
    used = count_tokens(json.dumps(reply.actions)) if reply.actions else 0
    grounding = Counter(GROUNDING[step["type"]] for step in reply.actions if step.get("type") in GROUNDING)
    counted = [{"type": kind, "count": number} for kind, number in grounding.items()]
    return {
        "total_input_tokens": entering,
        "total_output_tokens": leaving,
        "total_thought_tokens": reply.thought_tokens,
        "total_cached_tokens": 0,
        "total_tool_use_tokens": used,
        "total_tokens": entering + leaving + reply.thought_tokens + used,
        "input_tokens_by_modality": [{"modality": kind, "tokens": tokens} for kind, tokens in input_tokens.items()],
        "output_tokens_by_modality": [{"modality": "text", "tokens": leaving}],
    } | ({"grounding_tool_count": counted} if counted else {})


def as_outputs(interaction: JsonObject) -> JsonObject:
    """Return the interaction in the `outputs` dialect: one flat list of contents, and no steps."""
    outputs: list[JsonObject] = []
    for step in interaction["steps"]:
        outputs += map(as_legacy, step.get("content", []) if step["type"] in ("model_output", "user_input") else [step])
    rest = {name: value for name, value in interaction.items() if name not in ("steps", "service_tier")}
    return rest | {"role": "agent" if "agent" in interaction else "model", "outputs": outputs}


def as_legacy(item: JsonObject) -> JsonObject:
    """Return a content or step in the `outputs` dialect: citations by source, searches by their rendered results."""
    if item.get("type") == "text" and "annotations" in item:
        return item | {"annotations": [citation_source(one) for one in item["annotations"]]}
    if item.get("type") == "google_search_result":
        results = [{"rendered_content": one.get("search_suggestions")} for one in item.get("result", ())]
        return item | {"result": results}
    return item


def citation_source(annotation: JsonObject) -> JsonObject:
    """Return an annotation in the `outputs` dialect: its place in the text and its source."""
    source = next((annotation[name] for name in ("url", "document_uri", "source") if name in annotation), None)
    return {"start_index": annotation.get("start_index"), "end_index": annotation.get("end_index"), "source": source}


def in_progress(interaction: JsonObject, status: str = "in_progress") -> JsonObject:
    """Return an interaction without its results: its form while it runs, or after it was cancelled."""
    rest = {name: value for name, value in interaction.items() if name not in ("usage", "errors")}
    return rest | {"status": status, "steps": []}


def with_input(interaction: JsonObject, given: Any, *, legacy: bool) -> JsonObject:
    """Return the interaction with the input of its request: as its first steps, in the `outputs` dialect as a field."""
    if legacy:
        return interaction | {"input": given}
    return interaction | {"steps": [*steps_given(given), *interaction["steps"]]}


def render(
    interaction: JsonObject,
    *,
    legacy: bool,
    stream: bool = False,
    after: str | None = None,
    background: bool = False,
    tokens: tuple[int, int, int] = (0, 0, 0),
) -> WireResponse:
    """Return the response with an interaction in its dialect, as JSON or as events; its delivery bills `tokens`."""
    form = as_outputs(interaction) if legacy else interaction
    headers = (STREAM_TYPE if stream else JSON_TYPE, ("x-gemini-service-tier", str(interaction["service_tier"])))
    frames = stream_frames(form, legacy=legacy, after=after, background=background) if stream else ()
    body = b"".join(frames) if stream else compact(form)
    return WireResponse(status=200, headers=headers, body=body, frames=frames, tokens=tokens)
