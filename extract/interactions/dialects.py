"""The two wire forms of the Interactions API, each a pair of pure functions in one table.

`steps` is what Google serves since 2026-06-08; `outputs` is the form of the first public page (December 2025). Above
this module nobody knows that two forms exist.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, TypeAlias

from pydantic_core import from_json, to_json

from extract.errors import ConfigError, Unreachable
from extract.types import Failure, Interaction, JsonObject, Part, Request, TextPart, Turn, Usage

__all__ = ["DIALECTS", "Dialect", "DialectName", "Envelope", "decode", "merge"]

DialectName: TypeAlias = Literal["steps", "outputs"]

_SPLICE = "\x00turns"
_USAGE_NAMES = {
    "input_tokens": ("total_input_tokens",),
    "output_tokens": ("total_output_tokens",),
    "thought_tokens": ("total_thought_tokens", "total_reasoning_tokens"),
    "cached_tokens": ("total_cached_tokens",),
    "tool_use_tokens": ("total_tool_use_tokens",),
}
# Content kinds of the `outputs` form; every other item of that list is a step of its own.
_CONTENT_KINDS = frozenset({"text", "image", "audio", "video", "document"})


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one wire form says a turn and a request. Answers tell their form themselves: see `decode`."""

    name: DialectName
    api_version: str
    encode_turn: Callable[[Turn], JsonObject]
    encode_options: Callable[[Request], JsonObject]

    def encode(self, request: Request) -> bytes:
        """Return the body of a create call. `store` comes first, so that it can be checked at a glance."""
        return to_json(self._body(request, [self.encode_turn(turn) for turn in request.turns]))

    def envelope(self, request: Request) -> Envelope:
        """Encode all that `request` says once, with a place left after its turns for those of each record."""
        body = to_json(self._body(request, [*map(self.encode_turn, request.turns), _SPLICE]))
        # From the right: the place is the last thing in the body, and an example's text may look like it.
        prefix, _, suffix = body.rpartition(to_json(_SPLICE))
        return Envelope(prefix, suffix, self)

    def _body(self, request: Request, turns: list[Any]) -> JsonObject:
        shared: JsonObject = {"store": request.store, "model": request.model}
        if request.system:
            shared["system_instruction"] = request.system
        if chosen := request.generation.as_wire():
            shared["generation_config"] = chosen
        if request.tools:
            shared["tools"] = list(request.tools)
        return shared | self.encode_options(request) | {"input": turns}


@dataclass(frozen=True, slots=True)
class Envelope:
    """A request's bytes around the place where one record's turns go: a record costs one splice."""

    prefix: bytes
    suffix: bytes
    dialect: Dialect

    @property
    def tokens(self) -> int:
        """About how many input tokens the constant part takes: four bytes each, the rule of thumb for English."""
        return (len(self.prefix) + len(self.suffix)) // 4

    def body(self, turns: Iterable[Turn]) -> bytes:
        return self.prefix + b",".join(to_json(self.dialect.encode_turn(turn)) for turn in turns) + self.suffix


def _content(part: Part) -> JsonObject:
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    content: JsonObject = {"type": part.kind, "mime_type": part.mime_type}
    if part.data is not None:
        content["data"] = b64encode(part.data).decode("ascii")
    else:
        content["uri"] = part.uri
    return content | ({"resolution": part.resolution} if part.resolution else {})


def _steps_turn(turn: Turn) -> JsonObject:
    kind = "user_input" if turn.role == "user" else "model_output"
    return {"type": kind, "content": [_content(part) for part in turn.parts]}


def _outputs_turn(turn: Turn) -> JsonObject:
    return {"role": turn.role, "content": [_content(part) for part in turn.parts]}


def _steps_options(request: Request) -> JsonObject:
    options: JsonObject = {}
    if request.schema is not None:
        options["response_format"] = {"type": "text", "mime_type": "application/json", "schema": request.schema}
    if request.service_tier:
        options["service_tier"] = request.service_tier
    if request.continuation_token:
        options["continuation_token"] = request.continuation_token
    return options


def _outputs_options(request: Request) -> JsonObject:
    if request.service_tier not in (None, "standard"):
        raise ConfigError(
            f"the outputs dialect knows no service tier; leave out {request.service_tier!r} or use dialect 'steps'"
        )
    if request.schema is None:
        return {}
    return {"response_format": request.schema, "response_mime_type": "application/json"}


DIALECTS: dict[str, Dialect] = {
    "steps": Dialect("steps", "v1", _steps_turn, _steps_options),
    "outputs": Dialect("outputs", "v1beta", _outputs_turn, _outputs_options),
}


def decode(body: bytes) -> Interaction:
    """Read an interaction of either form. Unknown fields, steps and statuses are kept, never refused.

    Raises Unreachable where the body is no JSON object: then no whole answer arrived.
    """
    try:
        raw = from_json(body)
    except ValueError as error:
        raise Unreachable(f"the answer's body is not whole JSON ({error})") from None
    if not isinstance(raw, dict):
        raise Unreachable(f"the answer's body is a JSON {type(raw).__name__}, not an interaction")
    steps = _objects(raw["steps"]) if "steps" in raw else _lift(_objects(raw.get("outputs")))
    return Interaction(
        status=_text(raw.get("status")) or "completed",
        id=_text(raw.get("id")) or "",
        model=_text(raw.get("model")),
        steps=steps,
        usage=_usage(raw.get("usage")),
        errors=tuple(_failures(raw, steps)),
        continuation_token=_text(raw.get("continuation_token")),
        service_tier=_text(raw.get("service_tier")),
        raw=raw,
    )


def _lift(outputs: tuple[JsonObject, ...]) -> tuple[JsonObject, ...]:
    """Turn the flat list of the `outputs` form into steps: neighbouring contents share one model_output."""
    steps: list[JsonObject] = []
    for item in outputs:
        if item.get("type") not in _CONTENT_KINDS:
            steps.append(item)
        elif steps and steps[-1].get("type") == "model_output":
            steps[-1]["content"].append(item)
        else:
            steps.append({"type": "model_output", "content": [item]})
    return tuple(steps)


def _objects(value: Any) -> tuple[JsonObject, ...]:
    return tuple(item for item in value if isinstance(item, dict)) if isinstance(value, list) else ()


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _usage(value: Any) -> Usage | None:
    if not isinstance(value, dict):
        return None
    counted = {
        name: next((value[key] for key in keys if type(value.get(key)) is int and value[key] >= 0), None)
        for name, keys in _USAGE_NAMES.items()
    }
    if all(number is None for number in counted.values()):
        return None
    return Usage(**{name: number or 0 for name, number in counted.items()})


def _failures(raw: JsonObject, steps: tuple[JsonObject, ...]) -> Iterable[Failure]:
    """Yield the errors of the resource, then those of its steps, whose codes are google.rpc integers."""
    of_steps = [step["error"] for step in steps if isinstance(step.get("error"), dict)]
    for error in (*_objects(raw.get("errors")), *of_steps):
        yield Failure(str(error.get("code") or "unknown"), str(error.get("message") or ""))


def merge(first: Interaction, then: Interaction) -> Interaction:
    """Join an interaction with its continuation: steps one after the other, usage added up, the rest from the later."""
    usage = first.usage + then.usage if first.usage and then.usage else None
    raw = then.raw | {"steps": [*first.steps, *then.steps]}
    raw.pop("usage", None)
    if usage is not None:
        raw["usage"] = {_USAGE_NAMES[item.name][0]: getattr(usage, item.name) for item in fields(usage)}
    return replace(then, steps=(*first.steps, *then.steps), usage=usage, raw=raw)
