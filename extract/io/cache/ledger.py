"""The ledger of a cache: one row for each attempt, and their sums. The cache executes the SQL that is here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from extract.interactions.usage import LOST, Attempt, Usage
from extract.io.cache.checksums import entry_checksum

__all__ = [
    "ATTEMPTS",
    "CREATE_ATTEMPTS",
    "NEW_ATTEMPTS",
    "NOTE",
    "Spending",
    "charge",
    "damaged",
    "entry",
    "is_possible_sum",
    "is_sound_entry",
    "spendings",
]

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
    f"SELECT kind, model, tier, code, {_COUNTS}, cost, bound, at, checksum FROM attempts "  # noqa: S608 - our own words
    "WHERE at >= ? ORDER BY kind, model, tier"
)
NEW_ATTEMPTS = (
    f"SELECT rowid, kind, model, tier, code, {_COUNTS}, cost, bound, at, checksum FROM attempts "  # noqa: S608 - ours
    "WHERE rowid > ? ORDER BY rowid"
)
NOTE = (
    f"INSERT INTO attempts (kind, model, tier, code, {_COUNTS}, cost, bound, at, checksum) "  # noqa: S608 - our own words
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
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
    values = (attempt.kind, attempt.model, attempt.tier, attempt.code, *counts, *money, float(at))
    return (*values, entry_checksum(values))


def is_sound_entry(row: tuple[Any, ...]) -> bool:
    """Return whether a row of the ledger is as it was entered; one of an earlier release has no checksum."""
    *values, checksum = row
    return _is_possible(row) if checksum is None else bool(checksum == entry_checksum(tuple(values)))


def charge(row: tuple[Any, ...]) -> Decimal | None:
    """Return the most that a row of the ledger can have cost, in US dollars; None where its price is unknown."""
    *_, cost, bound, _at, _checksum = row
    dollars = bound if cost is None else cost
    return None if dollars is None else Decimal(dollars)


def damaged(attempts: Iterable[tuple[Any, ...]]) -> int:
    """Return how many of the rows that ATTEMPTS selects are not as they were entered."""
    return sum(not is_sound_entry(row) for row in attempts)


def _is_possible(row: tuple[Any, ...]) -> bool:
    """Return whether all cells of a row have values that an entry can have."""
    kind, model, tier, code, *counts, cost, bound, at, _ = row
    texts = all(map(_is_text, (kind, model))) and all(one is None or _is_text(one) for one in (tier, code))
    tokens = all(count is None or (isinstance(count, int) and count >= 0) for count in counts)
    return texts and tokens and isinstance(at, float) and _is_money(cost) and _is_money(bound)


def _is_text(text: Any) -> bool:
    return isinstance(text, str) and "\N{REPLACEMENT CHARACTER}" not in text  # in the place of bytes that are no text


def is_possible_sum(row: tuple[Any, ...]) -> bool:
    """Return whether a run and what it has set aside have values that they can have."""
    run, dollars = row
    return _is_text(run) and dollars is not None and _is_money(dollars)


def _is_money(text: Any) -> bool:
    try:
        return text is None or (isinstance(text, str) and Decimal(text).is_finite())
    except InvalidOperation:
        return False


def spendings(attempts: Iterable[tuple[Any, ...]]) -> list[Spending]:
    """Return the sums of the rows that ATTEMPTS selects, by kind of attempt, model and tier; of damaged ones, none."""
    groups: dict[tuple[str, str, str | None], list[tuple[Any, ...]]] = {}
    for row in filter(is_sound_entry, attempts):
        kind, model, tier, *rest = row
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
