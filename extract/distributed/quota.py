"""One quota and one budget for several workers: who may send, and spend, how much. Callers say the time.

Requests pass with permits, which are taken out of the one throttle when they are granted: however many workers there
are and whatever becomes of them, they are one client. Money is claimed: see `claims`.

Workers tell totals, not what is new. So a report that is lost, or heard twice, or whose answer is lost, is made good by
the next one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from extract import errors
from extract.distributed.budget_claims import Bid, Claims
from extract.errors import ExtractError
from extract.json_types import JsonObject
from extract.limits.budget import Amount, Budget
from extract.limits.daily_quota import Day, day_is_over
from extract.limits.limits import Limits
from extract.limits.rate_limiter import RateLimiter, Verdict

__all__ = ["Lease", "Leases", "Report", "Share"]

_SAVED = 0.5  # seconds' worth of requests that may be saved up: many workers must not begin with a burst
_ALIVE = 5.0  # seconds since its last report that a worker counts as one that works

_TURN = 0.001  # seconds between two reports of any workers: what one process can answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a worker has done so far, and what it wants. Its reports are numbered, and only the newest counts.

    `passed` are its requests so far, `in_hand` its permits that are not used yet, `tokens` the input tokens of both.
    `replies` are pairs of a request's age in seconds and what its reply says about speed, the first of them the one
    numbered `first_reply`. `sizes` are the input tokens of the requests that are to pass next, in order: the first
    `waiting` are there, the others expected. `stop` is what ended the run for it.
    """

    worker: str
    number: int
    passed: int = 0
    in_hand: int = 0
    tokens: int = 0
    first_reply: int = 0
    replies: tuple[tuple[float, Verdict], ...] = ()
    sizes: tuple[int, ...] = ()
    waiting: int = 0
    bid: Bid = Bid()
    stop: ExtractError | None = None


class Share(NamedTuple):
    """What a worker goes on with where no further lease can be had: requests and tokens a second, requests in all."""

    per_second: float
    tokens_per_second: float
    requests: float


class Lease(NamedTuple):
    """What a worker may do until its next report.

    `permits` of the wanted requests may pass, the first ones; `is_open`: all may, nobody counts. `wait` are seconds
    after which the next report is of use, `pause` those for which nobody sends. `claim` is what the worker may use in
    all, and `is_final` that no more will come back from others. `stop` ends the run.
    """

    permits: int
    is_open: bool
    wait: float
    pause: float
    share: Share
    claim: Amount
    is_final: bool
    stop: ExtractError | None


@dataclass(slots=True)
class _Worker:
    """A worker by its newest report. `charged` requests, of `tokens`, were taken out of the rates on its behalf.

    `inherited`: a predecessor has charged them, perhaps for a later report than the first that is heard here.
    """

    seen: float
    number: int = -1
    passed: int = 0
    charged: int = 0
    tokens: int = 0
    replies: int = 0
    inherited: bool = False


class Leases:
    """Shares out the rates and the budget of one run; see the module.

    `day` counts the requests of earlier runs within the daily limit, too.
    """

    def __init__(self, limits: Limits, budget: Budget | None = None, *, day: Day | None = None) -> None:
        self.rates = RateLimiter(limits, saved=_SAVED)
        self.claims = Claims(budget)
        self.stopped: ExtractError | None = None
        self._daily, self._day = limits.rpd, day or Day(0, math.inf)
        self._workers: dict[str, _Worker] = {}

    @property
    def requests(self) -> int:
        """How many requests of this run have passed, as far as was told."""
        return sum(worker.passed for worker in self._workers.values())

    @property
    def promised(self) -> tuple[Amount, int, bool]:
        """What a successor must know before it is told to anybody: claims, requests of a limited day, a stop."""
        return self.claims.granted, 0 if self._daily is None else self._day.sent, self.stopped is not None

    def exchange(self, report: Report, now: float, at: float = 0.0) -> Lease:
        """Take note of a report and return the worker's next lease. `at` is the Unix time."""
        worker = self._workers.setdefault(report.worker, _Worker(now))
        if report.number <= worker.number:  # late, or a second time: nobody waits for this lease
            return self._lease(report, now, at)
        worker.seen, worker.number = now, report.number
        self.stopped = self.stopped or report.stop
        self._count(worker, report, now, at)
        is_open = self._is_open(now)
        permits = 0 if is_open else self._permits(worker, report.sizes, now, at)
        is_final = self.claims.take(report.worker, report.bid, self._living(now))
        if self._daily is not None and self._is_day_over(report, now, at):
            self.stopped = self.stopped or day_is_over(self._daily)
        return self._lease(report, now, at, permits=permits, is_open=is_open, is_final=is_final)

    def _lease(
        self, report: Report, now: float, at: float, *, permits: int = 0, is_open: bool = False, is_final: bool = False
    ) -> Lease:
        living = len(self._living(now)) or 1
        satisfied = is_open or permits == len(report.sizes)
        return Lease(
            permits=permits,
            is_open=is_open,
            wait=max(living * _TURN, 0.0 if satisfied else self.rates.delay(now)),
            pause=max(0.0, self.rates.paused_until - now),
            share=Share(self.rates.per_second / living, self.rates.tokens_per_second / living, self._left(at) / living),
            claim=self.claims.of(report.worker),
            is_final=is_final,
            stop=self.stopped,
        )

    def _living(self, now: float) -> set[str]:
        return {name for name, worker in self._workers.items() if now - worker.seen <= _ALIVE}

    def _is_open(self, now: float) -> bool:
        """True where nobody need count: no rate and no daily limit is known."""
        unknown = self.rates.per_second == self.rates.tokens_per_second == math.inf
        return self._daily is None and unknown and self.rates.delay(now) <= 0

    def _left(self, at: float) -> float:
        """Return how many more requests the day allows."""
        return math.inf if self._daily is None else max(0.0, self._daily - self._day.count(at))

    def _is_day_over(self, report: Report, now: float, at: float) -> bool:
        """True where a request waits that the day does not allow, and no permit is left that might be given back."""
        if self._left(at) >= 1 or report.in_hand or not report.waiting:
            return False
        living = self._living(now) - {report.worker}
        return not any(one.charged > one.passed for name, one in self._workers.items() if name in living)

    def _count(self, worker: _Worker, report: Report, now: float, at: float) -> None:
        """Bring the rates up to what the worker has done; permits that it does not have were lost on their way."""
        charge = report.passed + report.in_hand - worker.charged
        more_tokens = report.tokens - worker.tokens
        if worker.inherited:
            charge, more_tokens = max(0, charge), max(0, more_tokens)
        for _ in range(charge):
            self.rates.take(0, now)
        for _ in range(-charge):
            self.rates.give_back(0, now)
        self._day.take(charge, at)
        self.rates.settle(more_tokens, now)
        worker.charged, worker.tokens = worker.charged + charge, worker.tokens + more_tokens
        worker.passed, worker.inherited = report.passed, False
        for age, verdict in report.replies[max(0, worker.replies - report.first_reply) :]:
            self.rates.note(now - age, now, verdict)
        worker.replies = report.first_reply + len(report.replies)

    def _permits(self, worker: _Worker, sizes: tuple[int, ...], now: float, at: float) -> int:
        """Grant as many permits as the rates and the day allow now."""
        left, granted = self._left(at), 0
        for tokens in sizes:
            if granted + 1 > left or self.rates.delay(now) > 0:
                break
            self.rates.take(tokens, now)
            granted += 1
        worker.charged += granted
        worker.tokens += sum(sizes[:granted])
        self._day.take(granted, at)
        return granted

    def state(self, now: float) -> JsonObject:
        """Return as JSON what another Leases needs to go on where this one is lost."""
        learned, tokens = self.rates.learned, self.rates.tokens_per_second
        return {
            "learned": None if learned == math.inf else learned,
            "tokens_per_second": None if tokens == math.inf else tokens,
            "pause": max(0.0, self.rates.paused_until - now),
            "day": None if self._daily is None else [self._day.sent, self._day.ends],
            "stopped": None if self.stopped is None else [type(self.stopped).__name__, str(self.stopped)],
            "workers": {name: [one.passed, one.charged, one.tokens] for name, one in self._workers.items()},
            "budget": self.claims.state(),
        }

    def resume(self, state: Mapping[str, Any], now: float) -> None:
        """Go on from the state of one that was lost: with its claims, at its rates, and with nothing saved up."""
        learned, tokens = state["learned"], state["tokens_per_second"]
        self.rates.resume(math.inf if learned is None else learned, math.inf if tokens is None else tokens, now)
        self.rates.paused_until = now + state["pause"]
        if state["day"] is not None:
            self._day = Day(*state["day"])
        if state["stopped"] is not None:
            name, said = state["stopped"]
            self.stopped = getattr(errors, name)(said)
        for name, (passed, charged, tokens) in state["workers"].items():
            self._workers[name] = _Worker(now, passed=passed, charged=charged, tokens=tokens, inherited=True)
        self.claims.resume(state["budget"])
