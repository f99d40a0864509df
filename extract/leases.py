"""One quota and one budget for several workers: who may send, and spend, how much. Callers say the time.

Requests pass with permits, which are taken out of the one throttle when they are granted: however many workers there
are and whatever becomes of them, they are one client. Money is claimed: each worker says how much it wants to have used
in all, and the claims never add up to more than the budget. A claim that was granted is the worker's until it asks for
less, so a worker that is lost takes with it what it may have spent.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

from extract.budget import Amount, Budget
from extract.errors import ExtractError
from extract.limits import Limits
from extract.rates import Rates, Verdict
from extract.types import JsonObject

__all__ = ["Lease", "Leases", "Report", "smallest"]

_SAVED = 0.5  # seconds' worth of requests that may be saved up: many workers must not begin with a burst
_ALIVE = 5.0  # seconds since its last report that a worker counts as one that works

_TURN = 0.001  # seconds between two reports of any workers: what one process can answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a worker tells since its last report, and what it wants.

    `sizes` are the input tokens of the requests that want to pass, in order; `unused` those of permits given back, and
    `taken` those of requests that passed without one. `replies` are pairs of a request's age in seconds and what its
    reply says about speed. `more_tokens` is what inputs had beyond their estimates. `spent` and `used` (with what is
    reserved) are totals of this worker; `wish` is the claim that it wants, `least` the one that it needs to go on.
    `stop` is what ended the run for it.
    """

    worker: str
    sizes: tuple[int, ...] = ()
    unused: tuple[int, ...] = ()
    taken: tuple[int, ...] = ()
    replies: tuple[tuple[float, Verdict], ...] = ()
    more_tokens: int = 0
    spent: Amount = Amount()
    used: Amount = Amount()
    wish: Amount = Amount()
    least: Amount = Amount()
    stop: ExtractError | None = None


class Lease(NamedTuple):
    """What a worker may do until its next report.

    `permits` of the wanted requests may pass, the first ones; `is_open`: all may, nobody counts. `wait` are seconds
    after which the next report is of use, `pause` those for which nobody sends. `share` and `token_share` are requests
    and tokens a second to go on with where no further lease can be had. `claim` is what the worker may use in all, and
    `is_final` that no more will come back from others. `sent_today` counts the requests of all, `stop` ends the run.
    """

    permits: int
    is_open: bool
    wait: float
    pause: float
    share: float
    token_share: float
    claim: Amount
    is_final: bool
    sent_today: int
    stop: ExtractError | None


@dataclass(slots=True)
class _Worker:
    seen: float
    claim: Amount = Amount()
    spent: Amount = Amount()


class Leases:
    """Shares out the rates and the budget of one run; see the module.

    `sent_today` counts requests of earlier runs within the daily limit. `requests` counts those of this run.
    """

    def __init__(self, limits: Limits, budget: Budget | None = None, *, sent_today: int = 0) -> None:
        self.rates = Rates(limits, saved=_SAVED)
        self.requests = 0
        self.stopped: ExtractError | None = None
        self.peak = Decimal(0)
        self._budget, self._daily, self._before = budget or Budget(), limits.rpd, sent_today
        self._workers: dict[str, _Worker] = {}

    @property
    def spent(self) -> Amount:
        """What all workers have told that they spent."""
        return sum((worker.spent for worker in self._workers.values()), Amount())

    @property
    def claimed(self) -> Amount:
        """What all workers together may use now."""
        return sum((worker.claim for worker in self._workers.values()), Amount())

    def exchange(self, report: Report, now: float) -> Lease:
        """Take note of a report and return the worker's next lease."""
        self.stopped = self.stopped or report.stop
        worker = self._workers.setdefault(report.worker, _Worker(now))
        worker.seen = now
        self._count(report, now)
        is_open = self._is_open(now)
        permits = len(report.sizes) if is_open else self._permits(report.sizes, now)
        is_final = self._claim(worker, report, now)
        living = sum(now - one.seen <= _ALIVE for one in self._workers.values())
        return Lease(
            permits=0 if is_open else permits,
            is_open=is_open,
            wait=max(living * _TURN, 0.0 if permits == len(report.sizes) else self.rates.delay(now)),
            pause=max(0.0, self.rates.paused_until - now),
            share=self.rates.per_second / living,
            token_share=self.rates.tokens_per_second / living,
            claim=worker.claim,
            is_final=is_final,
            sent_today=self._sent_today,
            stop=self.stopped,
        )

    def _is_open(self, now: float) -> bool:
        """True where nobody need count: no rate is known, or the day is over and all are to be told so."""
        if self._daily is not None:
            return self._sent_today >= self._daily
        return self.rates.per_second == self.rates.tokens_per_second == math.inf and self.rates.delay(now) <= 0

    @property
    def _sent_today(self) -> int:
        return self._before + self.requests

    def _count(self, report: Report, now: float) -> None:
        """Bring the rates up to what the worker has done since its last report."""
        for tokens in report.taken:
            self.rates.take(tokens, now)
        for tokens in report.unused:
            self.rates.give_back(tokens, now)
        self.requests += len(report.taken) - len(report.unused)
        self.rates.settle(report.more_tokens, now)
        for age, verdict in report.replies:
            self.rates.note(now - age, now, verdict)

    def _permits(self, sizes: tuple[int, ...], now: float) -> int:
        """Grant as many permits as the rates and the day allow now."""
        left = math.inf if self._daily is None else self._daily - self._sent_today
        granted = 0
        for tokens in sizes:
            if granted >= left or self.rates.delay(now) > 0:
                break
            self.rates.take(tokens, now)
            granted += 1
        self.requests += granted
        return granted

    def _claim(self, worker: _Worker, report: Report, now: float) -> bool:
        """Set a worker's claim; return True where what it needs does not fit, and nobody can give anything back."""
        others = [one for one in self._workers.values() if one is not worker]
        room = _left(self._budget, sum((one.claim for one in others), Amount()))
        worker.spent = report.spent
        fits = smallest(report.least, room) == report.least
        # What is too little to go on with stays for others: they may have smaller requests.
        worker.claim = _largest(report.used, smallest(report.wish, room)) if fits else report.used
        self.peak = max(self.peak, self.claimed.dollars - self.spent.dollars)
        return not fits and not any(now - one.seen <= _ALIVE and one.claim != one.spent for one in others)

    def state(self, now: float) -> JsonObject:
        """Return as JSON what another Leases needs to go on where this one is lost."""
        return {
            "requests": self.requests,
            "learned": None if self.rates.learned == math.inf else self.rates.learned,
            "tokens_per_second": None if self.rates.tokens_per_second == math.inf else self.rates.tokens_per_second,
            "pause": max(0.0, self.rates.paused_until - now),
            "peak": str(self.peak),
            "claims": {name: _as_json(worker.claim) for name, worker in self._workers.items()},
            "spent": {name: _as_json(worker.spent) for name, worker in self._workers.items()},
        }

    def resume(self, state: Mapping[str, Any], now: float) -> None:
        """Go on from the state of one that was lost: with its claims, at its rates, and with nothing saved up."""
        self.requests, self.peak = state["requests"], Decimal(state["peak"])
        learned, tokens = state["learned"], state["tokens_per_second"]
        self.rates.resume(math.inf if learned is None else learned, math.inf if tokens is None else tokens, now)
        self.rates.paused_until = now + state["pause"]
        for name, claim in state["claims"].items():
            self._workers[name] = _Worker(now, _from_json(claim), _from_json(state["spent"][name]))


def _left(budget: Budget, taken: Amount) -> Amount:
    """Return what is left of a budget; very much where it has no limit."""
    return Amount(
        Decimal("Infinity") if budget.dollars is None else budget.dollars - taken.dollars,
        _MANY if budget.tokens is None else budget.tokens - taken.tokens,
        _MANY if budget.requests is None else budget.requests - taken.requests,
    )


_MANY = 2**62


def smallest(one: Amount, other: Amount) -> Amount:
    """Return the smaller of two amounts, each unit for itself."""
    return Amount(min(one.dollars, other.dollars), min(one.tokens, other.tokens), min(one.requests, other.requests))


def _largest(one: Amount, other: Amount) -> Amount:
    return Amount(max(one.dollars, other.dollars), max(one.tokens, other.tokens), max(one.requests, other.requests))


def _as_json(amount: Amount) -> list[Any]:
    return [str(amount.dollars), amount.tokens, amount.requests]


def _from_json(told: list[Any]) -> Amount:
    dollars, tokens, requests = told
    return Amount(Decimal(dollars), int(tokens), int(requests))
