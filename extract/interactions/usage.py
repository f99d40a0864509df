"""The tokens of an answer, and the cost of one request."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, TypeAlias

__all__ = ["LOST", "Attempt", "AttemptKind", "Usage"]

#: The code of a request that may have been billed although no answer arrived.
LOST = "lost"

AttemptKind: TypeAlias = Literal["ask", "retry", "repair", "continuation", "tool"]


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one or more answers. `input_tokens` includes the cached ones; thoughts are not part of the output.

    >>> (Usage(input_tokens=100, output_tokens=20) + Usage(input_tokens=50, thought_tokens=5)).total
    175
    """

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
    """One request that was, or may have been, billed. Costs are in US dollars.

    `usage` is None where no whole answer arrived, or one that does not tell all it used; `cost` is then None too, and
    `bound` the most it can have cost.
    `tier` is the service tier that really served it. `code` is None for a usable answer, else that of the error. `rows`
    is how many rows it asked about; in the ledger of one of them, usage and cost are that row's share.

        >>> Attempt(kind="ask", model="gemini-3.8-flash", bound=Decimal("0.002")).cost is None
        True
    """

    kind: AttemptKind
    model: str
    tier: str | None = None
    usage: Usage | None = None
    cost: Decimal | None = None
    bound: Decimal | None = None
    code: str | None = None
    rows: int = 1

    @property
    def arrived(self) -> bool:
        """True where an answer arrived, whether or not it told what it used."""
        return self.code != LOST
