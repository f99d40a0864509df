"""The two wire forms of the Interactions API: each is a pair of pure functions in one table.

`steps` is what Google serves since 2026-06-08; `outputs` is the form of the first public page (December 2025). No
module above this one knows that two forms exist.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from pydantic_core import from_json, to_json

from extract.documents.parts import Clip, MediaPart, Pages, Part, TextPart, Turn
from extract.errors import ConfigError, Unreachable
from extract.interactions.http.calls import Base64, json_body
from extract.interactions.interaction import Failure, Interaction
from extract.interactions.requests import Request, Tool
from extract.interactions.usage_counts import usage_of
from extract.json_types import JsonObject

__all__ = ["DIALECTS", "NO_STATUS", "Dialect", "DialectName", "Envelope", "decode", "encode", "from_raw", "tool_object"]

DialectName: TypeAlias = Literal["steps", "outputs"]

NO_STATUS = "unspecified"
"""The status of an interaction that names none and is empty: it must not pass for a whole answer."""

_SPLICE = "\x00turns"
# Content kinds of the `outputs` form; every other item of that list is a step of its own.
# Tuples, not sets: a service may send a `type` that cannot be hashed.
_CONTENT_KINDS = ("text", "image", "audio", "video", "document")
_USER_KINDS = (*_CONTENT_KINDS, "user_input", "function_result")


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one wire form writes an input and a request. Answers of both are read by `decode`."""

    name: DialectName
    api_version: str
    encode_input: Callable[[Iterable[Turn | JsonObject]], list[JsonObject]]
    encode_options: Callable[[Request], JsonObject]

    def encode(self, request: Request, *, stream: bool = False) -> bytes:
        """Return the body of a create call. `store` comes first, so that the first bytes show its value."""
        inputs = self.encode_input(request.turns)
        if not inputs and not request.continuation_token:
            raise ConfigError("the request has no input")
        return json_body(self._body(request, inputs, stream=stream))

    def envelope(self, request: Request) -> Envelope:
        """Encode all of `request` once, with a place after its turns for those of each record.

        ConfigError for a request that the service would have to store: records leave no trace there.
        """
        if request.store or request.agent:
            raise ConfigError(
                "records are sent with store=False: agents, background and previous_interaction_id go through Client"
            )
        inputs = [*self.encode_input(request.turns), _SPLICE]
        body = json_body(self._body(request, inputs))
        # From the right: the place comes last in the body, and an example's text may look like it.
        prefix, _, suffix = body.rpartition(to_json(_SPLICE))
        return Envelope(prefix, suffix, self)

    def _body(self, request: Request, inputs: list[Any], *, stream: bool = False) -> JsonObject:
        named = {"agent": request.agent} if request.agent else {"model": request.model}
        shared: JsonObject = {"store": request.store, **named}
        if request.system:
            shared["system_instruction"] = request.system
        if request.tools:
            shared["tools"] = [tool_object(tool, self.name) for tool in request.declared]
        if request.background:
            shared["background"] = True
        if stream:
            shared["stream"] = True
        if request.previous_interaction_id:
            shared["previous_interaction_id"] = request.previous_interaction_id
        if request.agent_config is not None:
            shared["agent_config"] = request.agent_config
        named_input = {"input": inputs} if inputs else {}
        return shared | self.encode_options(request) | dict(request.extra) | named_input


@dataclass(frozen=True, slots=True)
class Envelope:
    """A request's bytes around the place where one record's turns go: a record costs one splice."""

    prefix: bytes
    suffix: bytes
    dialect: Dialect

    @property
    def tokens(self) -> int:
        """Input tokens of the constant part, estimated at four bytes each, the rule of thumb for English."""
        return (len(self.prefix) + len(self.suffix)) // 4

    def body(self, turns: Iterable[Turn | JsonObject]) -> bytes:
        """Return the request for one record. Its files are encoded here, which may take a moment."""
        encoded = json_body(self.dialect.encode_input(turns))
        return b"".join((self.prefix, memoryview(encoded)[1:-1], self.suffix))


def tool_object(tool: Tool, dialect: DialectName) -> JsonObject:
    """Return a tool as an object of a dialect. Raises ConfigError where the dialect has no such tool."""
    return dict(tool) if isinstance(tool, Mapping) else tool.as_wire(dialect)


def _content(part: Part) -> JsonObject:
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    content: JsonObject = {"type": part.kind, "mime_type": part.mime_type}
    if part.data is not None:
        content["data"] = Base64(part.data)
    elif part.uri is not None:
        content["uri"] = part.uri
    elif part.file is not None:
        raise ConfigError(f"{part.file.path} is too large for a request; upload it: client.files.upload(path).part()")
    else:
        raise ConfigError(f"a part of kind {part.kind!r} has neither bytes nor a uri: it cannot be sent")
    if part.resolution:
        content["resolution"] = part.resolution
    if isinstance(part.processing, Clip | Pages):
        content["processing"] = part.processing.as_wire()
    elif part.processing is not None:
        content["processing"] = part.processing
    return content


def _first_content(part: Part) -> JsonObject:
    """Return a part as content of the first form; ConfigError for what that form lacks."""
    if isinstance(part, MediaPart):
        if part.processing is not None:
            raise _lacks(f"page or time ranges ({part.processing!r})")
        if part.resolution == "ultra_high" or (part.resolution and part.kind == "document"):
            raise _lacks(f"the resolution {part.resolution!r} for {part.kind}")
    return _content(part)


def _lacks(what: str) -> ConfigError:
    return ConfigError(f"the outputs dialect has no {what}: leave it out, or use dialect 'steps'")


def _steps_input(items: Iterable[Turn | JsonObject]) -> list[JsonObject]:
    """Return turns and steps as steps. A step of an answer is sent back as it came."""
    steps: list[JsonObject] = []
    for item in items:
        if isinstance(item, Turn):
            kind = "user_input" if item.role == "user" else "model_output"
            steps.append({"type": kind, "content": [_content(part) for part in item.parts]})
        elif "role" in item and "type" not in item:
            kind = "user_input" if item["role"] == "user" else "model_output"
            steps.append({"type": kind, "content": _contents(item.get("content"))})
        elif item.get("type") in _CONTENT_KINDS:
            steps.append({"type": "user_input", "content": [item]})
        else:
            steps.append(item)
    return steps


def _outputs_input(items: Iterable[Turn | JsonObject]) -> list[JsonObject]:
    """Return turns and steps as turns with a role; neighbouring steps of one side share a turn."""
    turns: list[JsonObject] = []
    open_role = None
    for item in items:
        if isinstance(item, Turn):
            turns.append({"role": item.role, "content": [_first_content(part) for part in item.parts]})
            open_role = None
        elif "role" in item and "type" not in item:
            turns.append(item)
            open_role = None
        else:
            role = "user" if item.get("type") in _USER_KINDS else "model"
            kind = item.get("type")
            contents = _contents(item.get("content")) if kind in ("user_input", "model_output") else [item]
            if role == open_role:
                turns[-1]["content"].extend(contents)
            else:
                turns.append({"role": role, "content": contents})
            open_role = role
    return turns


def _contents(value: Any) -> list[Any]:
    if isinstance(value, str):
        return [{"type": "text", "text": value}]
    return list(value) if isinstance(value, list) else []


def _steps_options(request: Request) -> JsonObject:
    options: JsonObject = {}
    if formats := _steps_formats(request):
        options["response_format"] = formats[0] if len(formats) == 1 else formats
    if chosen := request.generation.as_wire():
        options["generation_config"] = chosen
    if request.safety_settings:
        options["safety_settings"] = [_as_object(setting) for setting in request.safety_settings]
    for name in ("service_tier", "labels", "environment", "webhook_config", "continuation_token"):
        if (value := getattr(request, name)) is not None:
            options[name] = value
    return options


def _steps_formats(request: Request) -> list[JsonObject]:
    formats = [_as_object(one) for one in request.formats]
    if request.schema is None:
        return formats
    structured = {"type": "text", "mime_type": "application/json", "schema": request.schema}
    return [structured, *(one for one in formats if one.get("type") != "text")]


def _as_object(value: Any) -> JsonObject:
    return dict(value) if isinstance(value, Mapping) else value.as_wire()


def _outputs_options(request: Request) -> JsonObject:
    if request.service_tier not in (None, "standard"):
        raise _lacks(f"service tier {request.service_tier!r}")
    for name in ("safety_settings", "labels", "environment", "webhook_config", "continuation_token"):
        if getattr(request, name):
            raise _lacks(name)
    options: JsonObject = {}
    generation = request.generation.as_wire()
    if request.formats:
        generation |= _outputs_formats(request, options)
    if generation:
        options["generation_config"] = generation
    if request.schema is not None:
        options |= {"response_format": request.schema, "response_mime_type": "application/json"}
    return options


def _outputs_formats(request: Request, options: JsonObject) -> JsonObject:
    """Set the modalities of the answer in `options`, and return what the first form has in its generation_config."""
    formats = [_as_object(one) for one in request.formats]
    kinds = [str(one.get("type")) for one in formats]
    options["response_modalities"] = list(dict.fromkeys((*(["text"] if request.schema else []), *kinds)))
    generation: JsonObject = {}
    for one in formats:
        chosen = {name for name in one if name != "type"}
        known = {"aspect_ratio", "image_size"} if one.get("type") == "image" else set()
        if unknown := sorted(chosen - known):
            raise _lacks(f"{', '.join(unknown)} of {one.get('type')}")
        if chosen:
            generation["image_config"] = {name: one[name] for name in sorted(chosen)}
    return generation


DIALECTS: dict[str, Dialect] = {
    "steps": Dialect("steps", "v1", _steps_input, _steps_options),
    "outputs": Dialect("outputs", "v1beta", _outputs_input, _outputs_options),
}


def decode(body: bytes) -> Interaction:
    """Read an interaction of either form. Unknown fields, steps and statuses are preserved, never refused.

    Raises Unreachable where the body is not a JSON object: then no whole answer arrived.
    """
    try:
        raw = from_json(body)
    except ValueError as error:
        raise Unreachable(f"the answer's body is not whole JSON ({error})") from None
    if not isinstance(raw, dict):
        raise Unreachable(f"the answer's body is a JSON {type(raw).__name__}, not an interaction")
    return from_raw(raw, body)


def encode(interaction: Interaction) -> bytes:
    """Return the JSON text that `decode` reads an interaction from: as it came, unless it came in several hops."""
    return interaction.body or to_json(interaction.raw)


def from_raw(raw: JsonObject, body: bytes = b"") -> Interaction:
    """Return the interaction in an object of either form; `body` is its JSON text, if there is one.

    The service always sends a status. An answer with steps and no status comes from a stand-in for it, and is whole.
    """
    steps = _objects(raw["steps"]) if "steps" in raw else _lift(_objects(raw.get("outputs")))
    return Interaction(
        status=_text(raw.get("status")) or ("completed" if steps else NO_STATUS),
        id=_text(raw.get("id")) or "",
        model=_text(raw.get("model")),
        steps=steps,
        usage=usage_of(raw.get("usage")),
        errors=_failures(raw, steps),
        continuation_token=_text(raw.get("continuation_token")),
        service_tier=_text(raw.get("service_tier")),
        raw=raw,
        body=body,
    )


def _lift(outputs: tuple[JsonObject, ...]) -> tuple[JsonObject, ...]:
    """Turn the flat list of the `outputs` form into steps: neighbouring contents share one model_output."""
    steps: list[JsonObject] = []
    run: list[JsonObject] | None = None
    for item in outputs:
        if item.get("type") not in _CONTENT_KINDS:
            steps.append(item)
            run = None
        elif run is not None:
            run.append(item)
        else:
            run = [item]
            steps.append({"type": "model_output", "content": run})
    return tuple(steps)


def _objects(value: Any) -> tuple[JsonObject, ...]:
    return tuple([item for item in value if isinstance(item, dict)]) if isinstance(value, list) else ()


def _object(value: Any) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _failures(raw: JsonObject, steps: tuple[JsonObject, ...]) -> tuple[Failure, ...]:
    """Return the errors of the resource, then those of its steps, whose codes are google.rpc integers."""
    errors = [*_objects(raw.get("errors")), *(step["error"] for step in steps if isinstance(step.get("error"), dict))]
    return tuple([Failure(str(error.get("code") or "unknown"), str(error.get("message") or "")) for error in errors])
