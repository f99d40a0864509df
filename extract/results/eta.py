"""The expected end of a run, from successive states of it: rate, time left, cost. Pure: no clock."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from decimal import Decimal

from extract.results.progress import Progress, Totals

__all__ = ["Eta"]

_WINDOW = 60.0  # seconds: quotas are per minute, so a shorter look back would see either the burst or the wait
_SPACING = 1.0  # seconds between two samples: at most 62 are stored, however often progress is reported


@dataclass(frozen=True, slots=True)
class _Sample:
    """Rows done after some seconds, and how many of them were sent, not found in the cache."""

    seconds: float
    done: int
    sent: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Eta:
    """Rate, time left and expected cost of a run under way.

    `rows_per_second` is the rate of the last minute, but no more than the quotas let pass from now on: a quota that the
    service had saved up at the start goes through at once, and does not come again. `seconds_left` is None where the
    number of rows is unknown, nothing moves, or the run is stopping. `projected_cost` is in US dollars for the whole
    run, None where a price or the number of rows is unknown, or nothing was paid for yet.
    """

    rows_per_second: float
    seconds_left: float | None
    projected_cost: Decimal | None
    _samples: tuple[_Sample, ...] = field(repr=False)

    @classmethod
    def of(cls, progress: Progress, before: Eta | None = None) -> Eta:
        """Return the Eta at one moment; `before` is that of the moment before, None at the first."""
        totals = progress.totals
        now = _Sample(progress.seconds, totals.rows - totals.not_run, _sent(totals))
        samples = _recent(before._samples if before else (_Sample(0.0, 0, 0),), now)
        first = samples[0]
        elapsed = now.seconds - first.seconds
        rate = min(max(0, now.done - first.done) / elapsed if elapsed > 0 else 0.0, _rate_by_quotas(progress))
        return cls(
            rows_per_second=rate,
            seconds_left=_seconds_left(progress, rate),
            projected_cost=_projected_cost(progress),
            _samples=samples,
        )


def _sent(totals: Totals) -> int:
    return totals.rows - totals.not_run - totals.cached


def _recent(samples: tuple[_Sample, ...], now: _Sample) -> tuple[_Sample, ...]:
    """Return the samples that the rate is taken from: the newest that is a minute old, and those after it."""
    if samples[-1].sent == 0 and now.sent > 0:
        # A resumed run begins with rows from the cache: their rate says nothing about the others.
        samples = samples[-1:]
    older = [sample for sample in samples if sample.seconds <= now.seconds - _WINDOW]
    # The first sample stays at least a minute old, so that the rate is always over a whole window once there is one.
    window = samples[max(0, len(older) - 1) :]
    return (*window, now) if now.seconds - window[-1].seconds >= _SPACING else window


def _rate_by_quotas(progress: Progress) -> float:
    """Return the rows a second that the known quotas allow, judged by what a row has taken so far."""
    totals = progress.totals
    sent, tokens = _sent(totals), totals.usage.input_tokens
    by_requests = sent / totals.requests * progress.rpm / 60 if progress.rpm and totals.requests else math.inf
    by_tokens = sent / tokens * progress.tpm / 60 if progress.tpm and tokens else math.inf
    return min(by_requests, by_tokens) if sent else math.inf


def _seconds_left(progress: Progress, rate: float) -> float | None:
    if progress.total is None or progress.stopping:
        return None
    left = max(0, progress.total - progress.totals.rows)
    if left == 0:
        return 0.0
    return left / rate if rate > 0 else None


def _projected_cost(progress: Progress) -> Decimal | None:
    """Return the cost so far plus, for each row to come, the mean cost of a row that was sent."""
    totals = progress.totals
    if progress.total is None or totals.cost is None:
        return None
    left = max(0, progress.total - totals.rows)
    if left == 0 or progress.stopping:
        return totals.cost
    sent = _sent(totals)
    return totals.cost + totals.cost / sent * left if sent else None
