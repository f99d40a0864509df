"""A create call as one frozen value, before it has any wire form."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal, Protocol, TypeAlias, cast

from extract.documents.parts import MediaPart, Part, TextPart, Turn
from extract.errors import ConfigError
from extract.interactions.sdk_words import GENERATION_WORDS, REQUEST_WORDS, unknown_field, with_hints
from extract.interactions.tools.declared import declared
from extract.json_types import JsonObject
from extract.schema import compile_schema

__all__ = [
    "AudioFormat",
    "Generation",
    "ImageFormat",
    "Input",
    "Request",
    "SafetySetting",
    "ServiceTier",
    "TextFormat",
    "Tool",
    "TypedTool",
    "checked_generation",
    "wants_media",
]

ServiceTier: TypeAlias = Literal["standard", "flex", "priority"]


_MEDIA_MODELS = re.compile(r"image|imagen|audio|tts|video|veo|lyria", re.IGNORECASE)


def _chosen(value: Any, *, without: tuple[str, ...] = ()) -> JsonObject:
    """Return the fields of a dataclass that were given, under their own names."""
    named = ((item.name, getattr(value, item.name)) for item in fields(value) if item.name not in without)
    return {
        name: list(chosen) if isinstance(chosen, tuple) else chosen
        for name, chosen in named
        if chosen is not None and chosen != ()
    }


def _check_extra(extra: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    if clash := sorted(extra.keys() & set(known)):
        raise ConfigError(f"{where}: extra must not hold {', '.join(clash)}; these have their own arguments")


@with_hints(GENERATION_WORDS)
@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """How the model generates; None leaves a choice to the API. Part of the content key.

    `if_cut` is for runs: an answer that was cut at `max_output_tokens` is requested once more, with this larger limit.
    `tool_choice` is a word (`auto`, `any`, `none`, `validated`) or `{"allowed_tools": {"mode", "tools"}}`. `extra`
    passes fields that this library does not know.

        >>> Generation(thinking_level="low", max_output_tokens=500).as_wire()
        {'thinking_level': 'low', 'max_output_tokens': 500}
    """

    thinking_level: Literal["minimal", "low", "medium", "high", "xhigh"] | None = None
    max_output_tokens: int | None = None
    seed: int | None = None
    stop_sequences: tuple[str, ...] = ()
    temperature: float | None = None
    top_p: float | None = None
    if_cut: int | None = None
    thinking_summaries: Literal["auto", "none"] | None = None
    tool_choice: Literal["auto", "any", "none", "validated"] | Mapping[str, Any] | None = field(
        default=None, hash=False
    )
    speech_config: tuple[Mapping[str, Any], ...] = field(default=(), hash=False)
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        for name in ("stop_sequences", "speech_config"):
            value: Any = getattr(self, name)
            if isinstance(value, str | Mapping):
                raise ConfigError(f"{name} takes a tuple: {name}=({value!r},)")
            object.__setattr__(self, name, tuple(value))
        if self.if_cut is not None and not (self.max_output_tokens and self.if_cut > self.max_output_tokens):
            raise ConfigError(
                f"if_cut is a larger limit for answers cut at max_output_tokens; {self.if_cut} is not larger than "
                f"{self.max_output_tokens}"
            )
        if self.extra:
            _check_extra(self.extra, (item.name for item in fields(self)), "generation")

    def as_wire(self) -> JsonObject:
        """Return only what was chosen, under the API's own names."""
        return _chosen(self, without=("if_cut", "extra")) | dict(self.extra)


def checked_generation(given: object) -> None:
    """Raise ConfigError, with what to write, where a generation is none: other SDKs take an object here."""
    if isinstance(given, Generation):
        return
    if not isinstance(given, Mapping):
        raise ConfigError(f"generation takes a Generation: generation=Generation(...), not {given!r}")
    known = {item.name for item in fields(Generation)}
    if unknown := [name for name in given if name not in known]:
        raise ConfigError(
            f"generation takes a Generation(...). {unknown_field(Generation, str(unknown[0]), GENERATION_WORDS)}; what "
            f"this library does not know goes into extra={{{unknown[0]!r}: ...}}"
        )
    written = ", ".join(f"{name}={value!r}" for name, value in given.items())
    raise ConfigError(f"generation takes a Generation: write generation=Generation({written})")


@dataclass(frozen=True, slots=True, kw_only=True)
class TextFormat:
    """Text in the answer, beside another format; a schema has its own place in the request.

    >>> Request(model="gemini-3-pro-image", input="A dog", formats=(TextFormat(), ImageFormat())).formats
    (TextFormat(), ImageFormat(mime_type=None, aspect_ratio=None, image_size=None, delivery=None))
    """

    def as_wire(self) -> JsonObject:
        return {"type": "text"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFormat:
    """An image in the answer. `aspect_ratio` such as `16:9`; `image_size` is 512, 1K, 2K or 4K.

    >>> ImageFormat(aspect_ratio="16:9", image_size="2K").as_wire()
    {'type': 'image', 'aspect_ratio': '16:9', 'image_size': '2K'}
    """

    mime_type: str | None = None
    aspect_ratio: str | None = None
    image_size: str | None = None
    delivery: Literal["inline", "uri"] | None = None

    def as_wire(self) -> JsonObject:
        return {"type": "image"} | _chosen(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioFormat:
    """Speech in the answer; the voice is set in `Generation.speech_config`.

    >>> AudioFormat(mime_type="audio/mp3", sample_rate=24_000).as_wire()
    {'type': 'audio', 'mime_type': 'audio/mp3', 'sample_rate': 24000}
    """

    mime_type: str | None = None
    sample_rate: int | None = None
    bit_rate: int | None = None
    delivery: Literal["inline", "uri"] | None = None

    def as_wire(self) -> JsonObject:
        return {"type": "audio"} | _chosen(self)


ResponseFormat: TypeAlias = TextFormat | ImageFormat | AudioFormat | Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SafetySetting:
    """The level of harm from which on the service blocks.

    >>> SafetySetting("hate_speech", "block_only_high").as_wire()
    {'type': 'hate_speech', 'threshold': 'block_only_high'}
    """

    type: str
    threshold: str
    method: str | None = None

    def as_wire(self) -> JsonObject:
        return _chosen(self)


class TypedTool(Protocol):
    """A tool that writes itself in a wire form."""

    def as_wire(self, dialect: str, /) -> JsonObject:
        """Return the tool as an object of that dialect; ConfigError where the dialect has no such tool."""
        ...


Tool: TypeAlias = TypedTool | Mapping[str, Any]
Input: TypeAlias = str | Part | Turn | Mapping[str, Any] | Sequence[str | Part | Turn | Mapping[str, Any]]

# What `extra` must not hold: it has its own argument, or is set by the client.
_KNOWN = frozenset(
    {
        *("model", "agent", "input", "system_instruction", "response_format", "response_mime_type"),
        *("response_modalities", "generation_config", "tools", "safety_settings", "service_tier", "labels", "store"),
        *("stream", "background", "previous_interaction_id", "agent_config", "environment", "webhook_config"),
        "continuation_token",
    }
)


@with_hints(REQUEST_WORDS)
@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One create call, in either dialect. Private by default: `store` is False.

    - `model` or `agent`: exactly one. `agent_config` and `environment` go with an agent, `generation` with a model.
    - `input`: text, a part, a turn, a step of an answer as it came, or a sequence of these; neighbouring texts and
      parts make one turn of the user. `turns` is the same in one form.
    - `schema`: what the answer must fit: a Pydantic model, a type, labels, or what `compile_schema` returned; a dict
      is a JSON Schema, which is sent as it is. `parse(answer, Model)` reads the answer.
    - `formats`: what else the answer may hold: `ImageFormat()`, `AudioFormat()`, or objects as the API defines them.
    - `tools`: `GoogleSearch()` and its like, Python functions, or objects as the API defines them. `run_tools` calls
      the functions; `create` returns their calls. An interaction that names a `previous_interaction_id` inherits
      neither tools nor `system` nor formats.
    - `background`, `previous_interaction_id` and agents need `store=True`; `webhook_config` needs `background`.
    - `extra`: fields that this library does not know, as they go on the wire.

        >>> request = Request(model="gemini-3.8-flash", input="Name a river.", system="Be brief.")
        >>> request.turns[0].role, request.store
        ('user', False)
    """

    model: str | None = None
    agent: str | None = None
    input: Input = ()
    system: str | None = None
    schema: Any = None
    formats: tuple[ResponseFormat, ...] = ()
    generation: Generation = Generation()
    tools: tuple[Tool | Callable[..., Any], ...] = ()
    safety_settings: tuple[SafetySetting | Mapping[str, Any], ...] = ()
    service_tier: ServiceTier | None = None
    labels: Mapping[str, str] | None = None
    store: bool = False
    background: bool = False
    previous_interaction_id: str | None = None
    agent_config: Mapping[str, Any] | None = None
    environment: str | Mapping[str, Any] | None = None
    webhook_config: Mapping[str, Any] | None = None
    continuation_token: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "input", tuple(_items(self.input)))
        object.__setattr__(self, "tools", declared(self.tools))
        if self.schema is not None and not isinstance(self.schema, dict):
            object.__setattr__(self, "schema", compile_schema(self.schema).wire)
        for name, example in (("formats", "ImageFormat()"), ("safety_settings", "SafetySetting(...)")):
            object.__setattr__(self, name, _each_an_object(name, getattr(self, name), example))
        checked_generation(self.generation)
        if bool(self.model) == bool(self.agent):
            raise ConfigError("a request names either a model or an agent" + (", not both" * bool(self.agent)))
        self._check_agent()
        self._check_store()
        if self.extra:
            _check_extra(self.extra, _KNOWN, "request")

    @property
    def declared(self) -> tuple[Tool, ...]:
        """The tools in one form: functions as their declarations."""
        return cast("tuple[Tool, ...]", self.tools)

    @property
    def turns(self) -> tuple[Turn | JsonObject, ...]:
        """The input in one form: turns, and steps as objects."""
        return cast("tuple[Turn | JsonObject, ...]", self.input)

    def _check_agent(self) -> None:
        if self.agent and self.generation != Generation():
            raise ConfigError(f"the agent {self.agent!r} takes no generation; it has its agent_config")
        if not self.agent and self.agent_config is not None:
            raise ConfigError("agent_config goes with an agent; a model has its generation")

    def _check_store(self) -> None:
        needing = {
            "background": self.background,
            "previous_interaction_id": self.previous_interaction_id,
            "an agent": self.agent,
        }
        if not self.store and (named := [name for name, given in needing.items() if given]):
            raise ConfigError(f"{' and '.join(named)} needs store=True: the service must store the interaction for it")
        if self.webhook_config is not None and not self.background:
            raise ConfigError("webhook_config needs background=True: other requests answer by themselves")


def _each_an_object(name: str, given: Any, example: str) -> tuple[Any, ...]:
    """Return objects of one kind as a tuple. ConfigError, with what to write, for anything else."""
    if isinstance(given, Mapping | str) or not isinstance(given, Iterable):
        shown = f"{given.__name__}()" if isinstance(given, type) else repr(given)
        raise ConfigError(f"{name} takes a tuple: {name}=({shown},)")
    items = tuple(given)
    for item in items:
        if isinstance(item, type):
            raise ConfigError(f"{name}: {item.__name__} is a class; write {item.__name__}(...)")
        if not isinstance(item, Mapping) and not hasattr(item, "as_wire"):
            raise ConfigError(f"{name} takes {example} or objects as the API defines them, not {item!r}")
    return items


def wants_media(request: Request) -> bool:
    """True where the answer may hold images, audio or video: by its formats, its voice, or a model that makes them."""
    kinds = [one.get("type") if isinstance(one, Mapping) else one.as_wire()["type"] for one in request.formats]
    named = _MEDIA_MODELS.search(request.model or "") is not None
    return named or bool(request.generation.speech_config) or any(kind in ("image", "audio", "video") for kind in kinds)


def _items(given: Any) -> Iterable[Turn | JsonObject]:
    """Yield an input as turns and steps. ConfigError for what is neither."""
    if isinstance(given, str | TextPart | MediaPart | Turn | Mapping):
        given = (given,)
    if not isinstance(given, Iterable) or isinstance(given, bytes | bytearray):
        raise ConfigError(f"input takes texts, parts, turns and steps, not a {type(given).__name__}")
    parts: list[Part] = []
    for item in given:
        if isinstance(item, str):
            parts.append(TextPart(item))
            continue
        if isinstance(item, TextPart | MediaPart):
            parts.append(item)
            continue
        if parts:
            yield Turn("user", tuple(parts))
            parts = []
        if isinstance(item, Turn):
            yield item
        elif isinstance(item, Mapping):
            yield dict(item)
        else:
            raise ConfigError(f"input takes texts, parts, turns and steps, not a {type(item).__name__}")
    if parts:
        yield Turn("user", tuple(parts))
