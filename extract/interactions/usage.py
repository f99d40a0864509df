"""Tokens of an answer, and what one request took: facts for the bill."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, TypeAlias

__all__ = ["Attempt", "Usage"]


AttemptKind: TypeAlias = Literal["ask", "retry", "repair", "continuation", "tool"]


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
