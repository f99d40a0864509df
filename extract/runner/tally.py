"""What one record has taken so far."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import NamedTuple

from extract.documents.grounding.span import Span
from extract.documents.windows.conflicts import Conflict
from extract.interactions.citations import Citation
from extract.interactions.usage import Attempt, Usage
from extract.limits.budget import Amount
from extract.limits.limiter import Permit

__all__ = ["Tally", "Term"]


class Held(NamedTuple):
    """A slot whose answer has come; it is given back once the answer is kept."""

    permit: Permit
    usage: Usage | None
    spent: Amount | None


@dataclass(slots=True)
class Term:
    """When a record was first sent, in seconds of the sender's clock, and what ends it; its parts share one."""

    timeout: asyncio.Timeout | None = None
    first_sent: float | None = None


@dataclass(slots=True)
class Tally:
    """What one record has taken so far.

    `joined`: an answer came from an equal request of another record; `reused`: one was in the cache.
    """

    started: float
    term: Term
    attempts: int = 0
    retries: int = 0
    repairs: int = 0
    unknown_attempts: int = 0
    joined: bool = False
    reused: bool = False
    answer: str | None = None
    model: str | None = None
    service_tier: str | None = None
    mended: tuple[str, ...] = ()
    citations: tuple[Citation, ...] = ()
    grounded: bool | None = None
    spans: tuple[Span, ...] | None = None
    windows: int | None = None
    conflicts: tuple[Conflict, ...] = ()
    agreement: dict[str, float] | None = None
    ledger: list[Attempt] = field(default_factory=list)
    shed: bool = False
    held: Held | None = None

    def part(self) -> Tally:
        """Return the tally of a part of the record: it has no more time than the whole."""
        return Tally(self.started, self.term)

    def add(self, part: Tally) -> None:
        """Take in what a part of the record has taken."""
        for name in ("attempts", "retries", "repairs", "unknown_attempts"):
            setattr(self, name, getattr(self, name) + getattr(part, name))
        self.ledger += part.ledger
        self.joined |= part.joined
        self.reused |= part.reused
        self.mended = tuple(dict.fromkeys((*self.mended, *part.mended)))
        # Their places count characters of an answer that is merged into another.
        self.citations += tuple(replace(one, start=None, end=None) for one in part.citations)
        if part.grounded is not None:
            self.grounded = part.grounded or bool(self.grounded)
        self.model, self.service_tier = part.model or self.model, part.service_tier or self.service_tier

    @property
    def usage(self) -> Usage:
        told = [attempt.usage for attempt in self.ledger if attempt.usage is not None]
        return told[0] if len(told) == 1 else sum(told, Usage())

    @property
    def cost(self) -> Decimal | None:
        """US dollars for the answers that arrived, None where a price is unknown."""
        costs = [attempt.cost for attempt in self.ledger if attempt.usage is not None]
        return None if None in costs else sum((cost for cost in costs if cost is not None), Decimal(0))

    @property
    def fresh(self) -> bool:
        """True where this run has asked for the record, itself or through an equal one."""
        return self.joined or self.attempts > 0
