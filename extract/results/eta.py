"""Where a run is heading, told from successive glances at it: rate, time left, cost at the end. Pure: no clock."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from decimal import Decimal

from extract.results.progress import Progress, Totals

__all__ = ["Eta"]

_WINDOW = 60.0  # seconds: quotas are per minute, so that a shorter look back would see either the burst or the wait
_APART = 1.0  # seconds between two glances that are kept


@dataclass(frozen=True, slots=True)
class _Sample:
    seconds: float
    done: int
    asked: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Eta:
    """Numbers of a run under way.

    `rows_per_second` is the pace of the last minute, but no more than the quotas let pass from now on: what a service
    had saved up at the start goes through at once, and does not come again. `seconds_left` is None where the number of
    rows is unknown, nothing moves, or the run is stopping. `projected_cost` is in US dollars for the whole run, None
    where a price or the number of rows is unknown, or nothing was paid for yet.
    """

    rows_per_second: float
    seconds_left: float | None
    projected_cost: Decimal | None
    _glances: tuple[_Sample, ...] = field(repr=False)

    @classmethod
    def of(cls, progress: Progress, before: Eta | None = None) -> Eta:
        """Return the eta at one glance; `before` is what the glance before it gave, None at the first."""
        totals = progress.totals
        now = _Sample(progress.seconds, totals.rows - totals.not_run, _asked(totals))
        seen = _recent(before._glances if before else (_Sample(0.0, 0, 0),), now)
        first = seen[0]
        passed = now.seconds - first.seconds
        pace = min(max(0, now.done - first.done) / passed if passed > 0 else 0.0, _let_pass(progress))
        return cls(
            rows_per_second=pace,
            seconds_left=_seconds_left(progress, pace),
            projected_cost=_projected_cost(progress),
            _glances=seen,
        )


def _asked(totals: Totals) -> int:
    return totals.rows - totals.not_run - totals.cached


def _recent(seen: tuple[_Sample, ...], now: _Sample) -> tuple[_Sample, ...]:
    """Return the glances that the pace is taken from: the newest that is a minute old, and those after it."""
    if seen[-1].asked == 0 and now.asked > 0:
        seen = seen[-1:]  # a resumed run begins with rows out of the cache: their pace says nothing about the others
    older = [glance for glance in seen if glance.seconds <= now.seconds - _WINDOW]
    kept = seen[max(0, len(older) - 1) :]
    return (*kept, now) if now.seconds - kept[-1].seconds >= _APART else kept


def _let_pass(progress: Progress) -> float:
    """Return how many rows a second the quotas let pass, as far as they are known, by what a row has taken so far."""
    totals = progress.totals
    asked, tokens = _asked(totals), totals.usage.input_tokens
    by_requests = asked / totals.requests * progress.rpm / 60 if progress.rpm and totals.requests else math.inf
    by_tokens = asked / tokens * progress.tpm / 60 if progress.tpm and tokens else math.inf
    return min(by_requests, by_tokens) if asked else math.inf


def _seconds_left(progress: Progress, pace: float) -> float | None:
    if progress.total is None or progress.stopping:
        return None
    left = max(0, progress.total - progress.totals.rows)
    if left == 0:
        return 0.0
    return left / pace if pace > 0 else None


def _projected_cost(progress: Progress) -> Decimal | None:
    """Return the cost so far and, for each row to come, that of the average row that was asked."""
    totals = progress.totals
    if progress.total is None or totals.cost is None:
        return None
    left = max(0, progress.total - totals.rows)
    if left == 0 or progress.stopping:
        return totals.cost
    asked = _asked(totals)
    return totals.cost + totals.cost / asked * left if asked else None
