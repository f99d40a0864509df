"""Frozen values that everything above speaks in: parts, turns, requests, interactions, usage, outcomes."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from decimal import Decimal
from itertools import takewhile
from typing import Any, Literal, TypeAlias

from extract.errors import ConfigError, ExtractError

__all__ = [
    "Attempt",
    "Failure",
    "Generation",
    "Interaction",
    "JsonObject",
    "Loss",
    "MediaPart",
    "Outcome",
    "Part",
    "Request",
    "ServiceTier",
    "TextPart",
    "Turn",
    "Usage",
]

JsonObject: TypeAlias = dict[str, Any]
MediaKind: TypeAlias = Literal["image", "audio", "video", "document"]
ServiceTier: TypeAlias = Literal["standard", "flex", "priority"]
AttemptKind: TypeAlias = Literal["ask", "retry", "repair", "continuation"]


@dataclass(frozen=True, slots=True)
class TextPart:
    """A piece of text."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaPart:
    """A file: its bytes inline (`data`) or a `uri` the service can read, never both."""

    kind: MediaKind
    mime_type: str
    data: bytes | None = field(default=None, repr=False)
    uri: str | None = None
    resolution: Literal["low", "medium", "high", "ultra_high"] | None = None


Part: TypeAlias = TextPart | MediaPart


@dataclass(frozen=True, slots=True)
class Turn:
    """What one side said: the user's input or the model's answer."""

    role: Literal["user", "model"]
    parts: tuple[Part, ...]

    @classmethod
    def user(cls, *parts: Part | str) -> Turn:
        return cls("user", tuple(TextPart(part) if isinstance(part, str) else part for part in parts))

    @classmethod
    def model(cls, text: str) -> Turn:
        return cls("model", (TextPart(text),))


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """How the model should speak; None leaves a choice to the API. Part of the content key.

    `if_cut` lets an answer that was cut at `max_output_tokens` be asked once more, with this larger limit.
    """

    thinking_level: Literal["minimal", "low", "medium", "high", "xhigh"] | None = None
    max_output_tokens: int | None = None
    seed: int | None = None
    stop_sequences: tuple[str, ...] = ()
    temperature: float | None = None
    top_p: float | None = None
    if_cut: int | None = None

    def __post_init__(self) -> None:
        if self.if_cut is not None and not (self.max_output_tokens and self.if_cut > self.max_output_tokens):
            raise ConfigError(
                f"if_cut is a larger limit for answers cut at max_output_tokens; {self.if_cut} is not larger than "
                f"{self.max_output_tokens}"
            )

    def as_wire(self) -> JsonObject:
        """Return only what was chosen, under the API's own names."""
        chosen = {item.name: getattr(self, item.name) for item in fields(self)}
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in chosen.items()
            if value not in (None, ()) and name != "if_cut"
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One create call, before any dialect has seen it. Private by default: `store` is False."""

    model: str
    turns: tuple[Turn, ...]
    system: str | None = None
    schema: JsonObject | None = None
    generation: Generation = Generation()
    tools: tuple[JsonObject, ...] = ()
    service_tier: ServiceTier | None = None
    store: bool = False
    continuation_token: str | None = None


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Interaction:
    """One answer of the service, whichever dialect it spoke. Steps are kept as they came, unknown ones too.

    `usage` is None where the service sent none: unknown is not free.
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

    @property
    def text(self) -> str:
        """The text of the answer to the latest input, or "" where there is none.

        The rule is the official SDK's `output_text` (google-genai 3.4): the last unbroken run of text over
        neighbouring `model_output` steps; thoughts are passed over, text before a tool call is left out.
        """
        pieces: list[str] = []
        for step in takewhile(lambda step: step.get("type") != "user_input", reversed(self.steps)):
            kind = step.get("type")
            if kind == "thought":
                continue
            if kind != "model_output":
                if pieces:
                    break
                continue
            contents = step.get("content")
            for content in reversed(contents) if isinstance(contents, list) else ():
                if isinstance(content, dict) and content.get("type") == "text":
                    pieces.append(str(content.get("text") or ""))
                elif pieces:
                    return "".join(reversed(pieces))
        return "".join(reversed(pieces))


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


@dataclass(frozen=True, slots=True)
class Loss:
    """A schema keyword the service will not enforce; it is checked locally instead."""

    path: str
    keyword: str
    value: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one record: a value or an error, and what it took to get there.

    `row` is the value as one cell per output column. `attempts` counts requests sent for this record in this run (0
    where the cache knew the answer); `unknown_attempts` those among them that may have been billed without telling how
    much. `mended` names what was put right in the answer without asking again. `usage` and `cost` (US dollars, None
    where the price is unknown) are what this run has spent on the record, `ledger` is the same by attempt.
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
    model: str | None = None
    service_tier: str | None = None
    mended: tuple[str, ...] = ()
    ledger: tuple[Attempt, ...] = ()

    @property
    def ok(self) -> bool:
        return self.error is None
