"""The answer as the API sends it: an interaction with steps and usage, its older form, and its stream of events."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count, pairwise
from typing import Any, Literal

from extract.emulator.conversation import CHARACTERS_PER_TOKEN, Ask, count_tokens, is_turn
from extract.emulator.wire import JSON_TYPE, STREAM_TYPE, WireResponse, compact
from extract.types import JsonObject

__all__ = [
    "Reply",
    "build_interaction",
    "fit_limit",
    "in_progress",
    "render",
    "split_text",
    "with_input",
]

SIGNATURE = "ZW11bGF0ZWQgdGhvdWdodA=="
THOUGHT_TOKENS = {"minimal": 8, "low": 32, "medium": 128, "high": 512, "xhigh": 2048}
STREAMED_CHARACTERS = 24
"""How much text one event of a stream carries."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the model says to one request, before it has the form of the API."""

    text: str
    status: str = "completed"
    layout: Literal["plain", "split", "empty"] = "plain"
    thought: str | None = None
    errors: tuple[JsonObject, ...] = ()
    usage: bool = True
    extras: bool = False
    continuation_token: str | None = None

    @property
    def thought_tokens(self) -> int:
        """Tokens that the thought step counts as."""
        return THOUGHT_TOKENS.get(self.thought, THOUGHT_TOKENS["low"]) if self.thought is not None else 0


def fit_limit(reply: Reply, limit: int | None) -> Reply:
    """Return `reply`, cut and `incomplete` where it is longer than `limit` tokens. Thoughts count against the limit."""
    if limit is None or count_tokens(reply.text) + reply.thought_tokens <= limit:
        return reply
    room = max(0, limit - reply.thought_tokens)
    return Reply(text=reply.text[: room * CHARACTERS_PER_TOKEN], status="incomplete", thought=reply.thought)


def split_text(text: str, parts: int) -> tuple[str, ...]:
    """Return `text` in so many parts of about the same length; joined they are `text`."""
    marks = [len(text) * index // parts for index in range(parts + 1)]
    return tuple(text[start:end] for start, end in pairwise(marks))


def build_interaction(reply: Reply, ask: Ask, body: JsonObject, *, identity: str, now: str) -> JsonObject:
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
        interaction["usage"] = usage_of(reply, ask.input_tokens)
    if reply.errors:
        interaction["errors"] = list(reply.errors)
    if reply.continuation_token:
        interaction["continuation_token"] = reply.continuation_token
    if reply.extras:
        interaction |= {"novelty": {"level": 3}, "trace": "t-1"}
        interaction["usage"] = interaction.get("usage", {}) | {"total_novel_tokens": 1}
    return interaction


def steps_of(reply: Reply) -> Iterator[JsonObject]:
    """Yield the steps of `reply`: a thought first, then the text as its layout says."""
    if reply.thought is not None:
        yield {"type": "thought", "signature": SIGNATURE}
    if reply.extras:
        yield {"type": "musing", "mood": "curious", "content": [{"type": "text", "text": "not the answer"}]}
    if reply.layout == "split":
        yield from split_steps(reply.text)
    elif reply.layout == "plain":
        novelty = {"novel": True} if reply.extras else {}
        before = [{"type": "hologram", "data": "AAAA"}] if reply.extras else []
        yield {"type": "model_output", "content": [*before, {"type": "text", "text": reply.text} | novelty]} | novelty


def split_steps(text: str) -> Iterator[JsonObject]:
    """Yield `text` over two steps, the first with two contents."""
    first, second, rest = split_text(text, 3)
    yield {"type": "model_output", "content": [{"type": "text", "text": first}, {"type": "text", "text": second}]}
    yield {"type": "model_output", "content": [{"type": "text", "text": rest}]}


def usage_of(reply: Reply, input_tokens: Mapping[str, int]) -> JsonObject:
    """Return the token counts; thoughts stand beside the output, and the total holds both."""
    entering, leaving = sum(input_tokens.values()), count_tokens(reply.text)
    return {
        "total_input_tokens": entering,
        "total_output_tokens": leaving,
        "total_thought_tokens": reply.thought_tokens,
        "total_cached_tokens": 0,
        "total_tool_use_tokens": 0,
        "total_tokens": entering + leaving + reply.thought_tokens,
        "input_tokens_by_modality": [{"modality": kind, "tokens": tokens} for kind, tokens in input_tokens.items()],
        "output_tokens_by_modality": [{"modality": "text", "tokens": leaving}],
    }


def as_outputs(interaction: JsonObject) -> JsonObject:
    """Return the interaction in the `outputs` dialect: one flat list of contents, and no steps."""
    outputs: list[JsonObject] = []
    for step in interaction["steps"]:
        outputs += step.get("content", []) if step["type"] in ("model_output", "user_input") else [step]
    rest = {name: value for name, value in interaction.items() if name not in ("steps", "service_tier")}
    return rest | {"role": "agent" if "agent" in interaction else "model", "outputs": outputs}


def in_progress(interaction: JsonObject, status: str = "in_progress") -> JsonObject:
    """Return an interaction without its results: what there is to see while it runs, or after it was cancelled."""
    rest = {name: value for name, value in interaction.items() if name not in ("usage", "errors")}
    return rest | {"status": status, "steps": []}


def with_input(interaction: JsonObject, given: Any, *, legacy: bool) -> JsonObject:
    """Return the interaction with the input it answered: as its first steps, or echoed in the `outputs` dialect."""
    if legacy:
        return interaction | {"input": given}
    return interaction | {"steps": [*input_steps(given), *interaction["steps"]]}


def input_steps(given: Any) -> list[JsonObject]:
    """Return an `input` of any form as steps."""
    if isinstance(given, str):
        return [{"type": "user_input", "content": [{"type": "text", "text": given}]}]
    if isinstance(given, list) and any(map(is_turn, given)):
        return [step_of(one) for one in given if isinstance(one, dict)]
    return [{"type": "user_input", "content": [given] if isinstance(given, dict) else given or []}]


def step_of(one: JsonObject) -> JsonObject:
    """Return a role turn as the step it is today; a step stays as it is."""
    if "role" not in one:
        return one
    content = one.get("content")
    kind = "user_input" if one["role"] == "user" else "model_output"
    return {"type": kind, "content": [{"type": "text", "text": content}] if isinstance(content, str) else content}


def render(
    interaction: JsonObject,
    *,
    legacy: bool,
    stream: bool = False,
    after: str | None = None,
    tokens: tuple[int, int, int] = (0, 0, 0),
) -> WireResponse:
    """Return the response that carries an interaction in its dialect, as JSON or as events, and bills `tokens`."""
    form = as_outputs(interaction) if legacy else interaction
    headers = (STREAM_TYPE if stream else JSON_TYPE, ("x-gemini-service-tier", str(interaction["service_tier"])))
    frames = stream_frames(form, legacy=legacy, after=after) if stream else ()
    body = b"".join(frames) if stream else compact(form)
    return WireResponse(status=200, headers=headers, body=body, frames=frames, tokens=tokens)


def stream_frames(interaction: JsonObject, *, legacy: bool, after: str | None = None) -> tuple[bytes, ...]:
    """Return the server-sent events that tell `interaction`, each with its blank line, `[DONE]` last.

    `interaction` is in the form of its dialect. `after` is the id of the last event the client has seen.
    """
    frames = []
    numbers = count()
    for event in legacy_events(interaction) if legacy else events(interaction):
        identity = f"e{next(numbers)}"
        frames.append(frame(event["event_type"], {"event_type": event.pop("event_type"), "event_id": identity} | event))
        if identity == after:
            frames.clear()
    return (*frames, b"event: done\ndata: [DONE]\n\n")


def frame(name: str, data: JsonObject) -> bytes:
    """Return one server-sent event."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), compact(data))


def events(interaction: JsonObject) -> Iterator[JsonObject]:
    """Yield the events of the `steps` dialect."""
    head = {name: value for name, value in interaction.items() if name not in ("steps", "usage", "errors")}
    yield {"event_type": "interaction.created", "interaction": head | {"status": "in_progress"}}
    for index, step in enumerate(interaction["steps"]):
        streamed = step["type"] in ("thought", "model_output")
        yield {"event_type": "step.start", "index": index, "step": {"type": step["type"]} if streamed else step}
        for delta in deltas(step) if streamed else ():
            yield {"event_type": "step.delta", "index": index, "delta": delta}
        yield {"event_type": "step.stop", "index": index}
    end = {name: value for name, value in interaction.items() if name != "steps"}
    yield {"event_type": "interaction.completed", "interaction": end}


def legacy_events(interaction: JsonObject) -> Iterator[JsonObject]:
    """Yield the events of the `outputs` dialect."""
    head = {name: value for name, value in interaction.items() if name not in ("outputs", "usage", "errors")}
    yield {"event_type": "interaction.start", "interaction": head | {"status": "in_progress"}}
    for index, content in enumerate(interaction["outputs"]):
        streamed = content["type"] in ("thought", "text")
        yield {
            "event_type": "content.start",
            "index": index,
            "content": {"type": content["type"]} if streamed else content,
        }
        for delta in content_deltas(content) if streamed else ():
            yield {"event_type": "content.delta", "index": index, "delta": delta}
        yield {"event_type": "content.stop", "index": index}
    end = {name: value for name, value in interaction.items() if name != "outputs"}
    yield {"event_type": "interaction.complete", "interaction": end}


def deltas(step: JsonObject) -> Iterator[JsonObject]:
    """Yield what fills a step that was announced empty."""
    for content in step.get("content", [step]):
        yield from content_deltas(content)


def content_deltas(content: JsonObject) -> Iterator[JsonObject]:
    """Yield the deltas of one content: text in pieces, a thought's signature, anything else as it is."""
    if content["type"] == "text":
        text: Any = content["text"]
        for start in range(0, len(text), STREAMED_CHARACTERS):
            yield {"type": "text", "text": text[start : start + STREAMED_CHARACTERS]}
    elif content["type"] == "thought":
        yield {"type": "thought_signature", "signature": content["signature"]}
    else:
        yield content
