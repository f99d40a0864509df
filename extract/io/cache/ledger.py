"""The ledger of a cache: one row for each attempt, and their sums. The cache executes the SQL that is here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from extract.interactions.usage import LOST, Attempt, Usage

__all__ = ["ATTEMPTS", "CREATE_ATTEMPTS", "NOTE", "Spending", "entry", "spendings"]

# Money is text: sums of it must be exact.
CREATE_ATTEMPTS = """
    CREATE TABLE attempts (
        kind TEXT NOT NULL,
        model TEXT NOT NULL,
        tier TEXT,
        code TEXT,
        input_tokens INTEGER,
        output_tokens INTEGER,
        thought_tokens INTEGER,
        cached_tokens INTEGER,
        tool_use_tokens INTEGER,
        cost TEXT,
        bound TEXT,
        at REAL NOT NULL
    )
    """
_COUNTS = "input_tokens, output_tokens, thought_tokens, cached_tokens, tool_use_tokens"
ATTEMPTS = (
    f"SELECT kind, model, tier, code, {_COUNTS}, cost, bound FROM attempts "  # noqa: S608 - our own words
    "WHERE at >= ? ORDER BY kind, model, tier"
)
NOTE = (
    f"INSERT INTO attempts (kind, model, tier, code, {_COUNTS}, cost, bound, at) "  # noqa: S608 - our own words
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


@dataclass(frozen=True, slots=True)
class Spending:
    """What all runs with one cache have used, for one kind of attempt, model and tier.

    `cost` is in US dollars for answers that arrived, None where a price or a part of what one used is unknown.
    `unknown` counts requests that may have been billed without an answer that says how much, and `bound` is the most
    they can have cost.
    """

    kind: str
    model: str
    tier: str | None
    attempts: int
    unknown: int
    usage: Usage
    cost: Decimal | None
    bound: Decimal | None


def entry(attempt: Attempt, at: float) -> tuple[Any, ...]:
    """Return one row of the ledger; tokens are null where no answer says how many."""
    usage = attempt.usage
    counts: tuple[int | None, ...] = (None,) * 5
    if usage is not None:
        output = (usage.output_tokens, usage.thought_tokens)
        counts = (usage.input_tokens, *output, usage.cached_tokens, usage.tool_use_tokens)
    money = (None if dollars is None else str(dollars) for dollars in (attempt.cost, attempt.bound))
    return (attempt.kind, attempt.model, attempt.tier, attempt.code, *counts, *money, at)


def spendings(attempts: Iterable[tuple[Any, ...]]) -> list[Spending]:
    """Return the sums of the rows that ATTEMPTS selects, by kind of attempt, model and tier."""
    groups: dict[tuple[str, str, str | None], list[tuple[Any, ...]]] = {}
    for kind, model, tier, *rest in attempts:
        groups.setdefault((kind, model, tier), []).append(tuple(rest))
    return [_spending(kind, model, tier, rows) for (kind, model, tier), rows in groups.items()]


def _spending(kind: str, model: str, tier: str | None, rows: Sequence[tuple[Any, ...]]) -> Spending:
    """Add up the ledger's rows of one group: code, five token counts, cost and bound each."""
    reported = [row for row in rows if row[1] is not None]
    unknown = [row for row in rows if row[1] is None]
    return Spending(
        kind,
        model,
        tier,
        attempts=len(rows),
        unknown=len(unknown),
        usage=Usage(*(sum(row[column] for row in reported) for column in range(1, 6))),
        cost=_sum(row[6] for row in rows if row[0] != LOST),
        bound=_sum(row[7] for row in unknown),
    )


def _sum(sums: Iterable[str | None]) -> Decimal | None:
    """Return the exact sum, None where one of them is unknown: unknown is not free."""
    known = [None if text is None else Decimal(text) for text in sums]
    return None if None in known else sum((one for one in known if one is not None), Decimal(0))
