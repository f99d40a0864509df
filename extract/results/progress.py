"""Counts of a run so far, and its state while it is under way."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from extract.interactions.usage import AttemptKind, Usage
from extract.json_types import JsonObject
from extract.results.earlier import set_state
from extract.results.outcome import Outcome

__all__ = ["Progress", "Totals"]


@dataclass(slots=True)
class Totals:
    """Counts of one run so far. `cost` is in US dollars for the answers that arrived, None where a price, or a part of
    what one of them used, is unknown.

    `unknown_attempts` are requests that may have been billed without an answer that says how much; `unknown_cost` is
    the most that they can have cost. `unnamed` counts rows whose answers have members that the JSON Schema allows
    without naming them, and that no column holds. `by_kind` is the usage of first requests, retries, repairs and
    continuations.

        >>> run(["It works", "It broke"], Extractor(["good", "bad"], "{text}"), offline=True).totals.valid
        2
    """

    rows: int = 0
    valid: int = 0
    rejected: int = 0
    not_run: int = 0
    cached: int = 0
    requests: int = 0
    retries: int = 0
    repairs: int = 0
    mended: int = 0
    unnamed: int = 0
    unknown_attempts: int = 0
    cost: Decimal | None = Decimal(0)
    unknown_cost: Decimal | None = Decimal(0)
    by_kind: dict[AttemptKind, Usage] = field(default_factory=dict)
    errors: Counter[str] = field(default_factory=Counter)

    def __setstate__(self, state: tuple[None, dict[str, Any]]) -> None:
        set_state(self, state[1])

    @property
    def usage(self) -> Usage:
        """Tokens of all answers that this run paid for."""
        return sum(self.by_kind.values(), Usage())

    def add_spending(self, other: Totals) -> None:
        """Add what other requests have used, without their rows: such as those of a trial before the run."""
        self.requests += other.requests
        self.retries += other.retries
        self.repairs += other.repairs
        self.unknown_attempts += other.unknown_attempts
        self.cost = None if self.cost is None or other.cost is None else self.cost + other.cost
        for kind, usage in other.by_kind.items():
            self.by_kind[kind] = self.by_kind.get(kind, Usage()) + usage
        known = self.unknown_cost is not None and other.unknown_cost is not None
        self.unknown_cost = (self.unknown_cost or Decimal(0)) + (other.unknown_cost or Decimal(0)) if known else None

    def pass_over(self, rows: int) -> None:
        """Count rows that the run no longer sends."""
        self.rows += rows
        self.not_run += rows
        self.errors["not_run"] += rows

    def add(self, outcome: Outcome) -> None:
        """Count the outcome of one record."""
        self.rows += 1
        if outcome.error is None:
            self.valid += 1
        else:
            self.errors[outcome.error.code] += 1
            if outcome.error.code == "not_run":
                self.not_run += 1
            else:
                self.rejected += 1
        self.cached += outcome.cached
        self.mended += bool(outcome.mended)
        self.unnamed += outcome.unnamed
        self.add_requests(outcome)

    def add_requests(self, outcome: Outcome) -> None:
        """Count what a record has used, without the record."""
        self.requests += outcome.attempts - outcome.shared
        self.retries += outcome.retries
        self.repairs += outcome.repairs
        self.unknown_attempts += outcome.unknown_attempts
        if outcome.attempts:
            self.cost = None if self.cost is None or outcome.cost is None else self.cost + outcome.cost
        for attempt in outcome.ledger:
            if attempt.usage is not None:
                self.by_kind[attempt.kind] = self.by_kind.get(attempt.kind, Usage()) + attempt.usage
            elif self.unknown_cost is not None:
                self.unknown_cost = None if attempt.bound is None else self.unknown_cost + attempt.bound

    def counts(self) -> JsonObject:
        """Return everything but the error codes as one flat JSON object."""
        usage = self.usage
        return {
            "rows": self.rows,
            "valid": self.valid,
            "rejected": self.rejected,
            "not_run": self.not_run,
            "cached": self.cached,
            "requests": self.requests,
            "retries": self.retries,
            "repairs": self.repairs,
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
            "thought_tokens": usage.thought_tokens,
            "cached_tokens": usage.cached_tokens,
            "tool_use_tokens": usage.tool_use_tokens,
            "unnamed": self.unnamed,
            "unknown_attempts": self.unknown_attempts,
            "unknown_cost_usd": None if self.unknown_cost is None else float(self.unknown_cost),
            "cost_usd": None if self.cost is None else float(self.cost),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The state of a run under way: `total` rows are expected (None if unknown), `totals` are those done so far.

    `waiting` is how many seconds a quota or the service holds the next request back, and `limit` names it in words, ""
    where only slots decide. `rpm` and `tpm` are the requests and input tokens that may pass per minute, given or
    learned, None where that is unknown. `stopping`: no new request is sent; `interrupted`: because of Ctrl-C. `seconds`
    is the time since the start, `outage` for how many of them the service has been down now, 0 while it answers.

        >>> def show(progress):
        ...     print(progress.totals.rows, "rows,", progress.in_flight, "in flight")
        >>> result = run(["It works"], Extractor(["good", "bad"], "{text}"), offline=True, on_event=show)
        1 rows, 0 in flight
    """

    total: int | None
    totals: Totals
    seconds: float
    in_flight: int
    slots: int
    waiting: float
    stopping: bool = False
    interrupted: bool = False
    limit: str = ""
    rpm: float | None = None
    tpm: float | None = None
    outage: float = 0.0
