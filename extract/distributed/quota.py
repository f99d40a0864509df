"""One quota and one budget for several workers: who may send, and spend, how much. Callers pass in the time.

A request needs a permit, and a permit is taken out of the one rate limiter when it is granted. However many workers
there are and whatever becomes of them, to the service they are one client. `budget_claims` does the same for money.

Workers report totals, not increments. So a report that is lost, arrives twice, or whose reply is lost, is made good by
the next one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from extract.distributed.budget_claims import BudgetClaims, Claim
from extract.errors import ExtractError, error_named
from extract.json_types import JsonObject
from extract.limits.budget import Amount, Budget
from extract.limits.daily_quota import Day, day_is_over
from extract.limits.limits import Limits
from extract.limits.rate_limiter import RateLimiter, Verdict

__all__ = ["ClusterQuota", "FallbackShare", "Grant", "WorkerReport"]

_BURST = 0.5  # seconds' worth of requests that may be saved up: many workers must not begin with a burst
_ALIVE = 5.0  # seconds since its last report within which a worker counts as alive

_REPORT_COST = 0.001  # seconds between two reports of any workers: what one process can answer


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerReport:
    """What a worker has done so far, and what it wants. Reports are numbered, and only the newest counts.

    `sent` counts the worker's requests so far, `unused_permits` the permits that it still has, `tokens` the input
    tokens of both. `replies` are pairs of a request's age in seconds and what its reply says about speed;
    `first_reply` is the number of the first of them. `sizes` are the input tokens of the requests to be sent next, in
    order: the first `waiting` of them exist, the others are expected. `stop` is what ended the run for this worker.
    """

    worker: str
    number: int
    sent: int = 0
    unused_permits: int = 0
    tokens: int = 0
    first_reply: int = 0
    replies: tuple[tuple[float, Verdict], ...] = ()
    sizes: tuple[int, ...] = ()
    waiting: int = 0
    claim: Claim = Claim()
    stop: ExtractError | None = None


class FallbackShare(NamedTuple):
    """What a worker continues with while the quota is silent: requests and tokens a second, and requests in all."""

    per_second: float
    tokens_per_second: float
    requests: float


class Grant(NamedTuple):
    """What a worker may do until its next report.

    `permits` counts how many of the requests in `WorkerReport.sizes` may be sent, from the first; `is_open` lets all
    be sent, uncounted. `wait` is the number of seconds after which the next report is useful, `pause` the number for
    which nobody sends. `allowance` is what the worker may spend in all; `is_final` says that no other worker will give
    anything back. `stop` ends the run.
    """

    permits: int
    is_open: bool
    wait: float
    pause: float
    share: FallbackShare
    allowance: Amount
    is_final: bool
    stop: ExtractError | None


@dataclass(slots=True)
class _Worker:
    """A worker by its newest report. `charged` requests, of `tokens`, were taken out of the rates on its behalf.

    `inherited`: read from a checkpoint, which may be newer than the first report that arrives after it.
    """

    reported_at: float
    number: int = -1
    sent: int = 0
    charged: int = 0
    tokens: int = 0
    replies: int = 0
    inherited: bool = False


class ClusterQuota:
    """Divides the rates and the budget of one run among its workers; see the module.

    `day` counts the requests of earlier runs within the daily limit, too.
    """

    def __init__(self, limits: Limits, budget: Budget | None = None, *, day: Day | None = None) -> None:
        self.rates: RateLimiter = RateLimiter(limits, saved=_BURST)
        self.claims: BudgetClaims = BudgetClaims(budget)
        self.stopped: ExtractError | None = None
        self._daily, self._day = limits.rpd, day or Day(0, math.inf)
        self._workers: dict[str, _Worker] = {}

    @property
    def requests(self) -> int:
        """How many requests of this run were sent, as far as workers have reported them."""
        return sum(worker.sent for worker in self._workers.values())

    @property
    def commitments(self) -> tuple[Amount, int, bool]:
        """What must be saved before a worker learns of it: allowances, requests of a limited day, a stop.

        A successor that did not know of them would grant the same money or requests a second time.
        """
        return self.claims.granted, 0 if self._daily is None else self._day.sent, self.stopped is not None

    def exchange(self, report: WorkerReport, now: float, at: float = 0.0) -> Grant:
        """Take in a report and return the worker's next grant. `now` is monotonic, `at` the Unix time."""
        worker = self._workers.setdefault(report.worker, _Worker(now))
        if report.number <= worker.number:  # late or repeated: the worker waits for the reply to a newer one
            return self._grant(report, now, at)
        worker.reported_at, worker.number = now, report.number
        self.stopped = self.stopped or report.stop
        self._account_for(worker, report, now, at)
        is_open = self._is_open(now)
        permits = 0 if is_open else self._permits(worker, report.sizes, now, at)
        is_final = self.claims.update(report.worker, report.claim, self._alive(now))
        if self._daily is not None and self._is_day_over(report, now, at):
            self.stopped = self.stopped or day_is_over(self._daily)
        return self._grant(report, now, at, permits=permits, is_open=is_open, is_final=is_final)

    def _grant(
        self,
        report: WorkerReport,
        now: float,
        at: float,
        *,
        permits: int = 0,
        is_open: bool = False,
        is_final: bool = False,
    ) -> Grant:
        alive = len(self._alive(now)) or 1
        satisfied = is_open or permits == len(report.sizes)
        rates = self.rates
        return Grant(
            permits=permits,
            is_open=is_open,
            wait=max(alive * _REPORT_COST, 0.0 if satisfied else rates.delay(now)),
            pause=max(0.0, rates.paused_until - now),
            share=FallbackShare(rates.per_second / alive, rates.tokens_per_second / alive, self._left(at) / alive),
            allowance=self.claims.allowance(report.worker),
            is_final=is_final,
            stop=self.stopped,
        )

    def _alive(self, now: float) -> set[str]:
        return {name for name, worker in self._workers.items() if now - worker.reported_at <= _ALIVE}

    def _is_open(self, now: float) -> bool:
        """True where permits are not needed: no rate and no daily limit is known."""
        unknown = self.rates.per_second == self.rates.tokens_per_second == math.inf
        return self._daily is None and unknown and self.rates.delay(now) <= 0

    def _left(self, at: float) -> float:
        """Return how many more requests the day allows."""
        return math.inf if self._daily is None else max(0.0, self._daily - self._day.count(at))

    def _is_day_over(self, report: WorkerReport, now: float, at: float) -> bool:
        """True where a request waits that the day does not allow, and no permit is left that could be given back."""
        if self._left(at) >= 1 or report.unused_permits or not report.waiting:
            return False
        alive = self._alive(now) - {report.worker}
        return not any(one.charged > one.sent for name, one in self._workers.items() if name in alive)

    def _account_for(self, worker: _Worker, report: WorkerReport, now: float, at: float) -> None:
        """Bring the rates up to what the worker has done.

        The totals of a report decide. More than was charged: it sent without permits, since the quota was open or
        silent. Less: permits were lost on their way or given back, and go to whoever asks next.
        """
        charge = report.sent + report.unused_permits - worker.charged
        more_tokens = report.tokens - worker.tokens
        if worker.inherited:
            # The predecessor may have charged for a later report than this one: that is no permit given back.
            charge, more_tokens = max(0, charge), max(0, more_tokens)
        for _ in range(charge):
            self.rates.take(0, now)
        for _ in range(-charge):
            self.rates.give_back(0, now)
        self._day.take(charge, at)
        self.rates.settle(more_tokens, now)
        worker.charged, worker.tokens = worker.charged + charge, worker.tokens + more_tokens
        worker.sent, worker.inherited = report.sent, False
        # Replies are numbered, so that one that is reported again does not lower the rate a second time.
        for age, verdict in report.replies[max(0, worker.replies - report.first_reply) :]:
            self.rates.note(now - age, now, verdict)
        worker.replies = report.first_reply + len(report.replies)

    def _permits(self, worker: _Worker, sizes: tuple[int, ...], now: float, at: float) -> int:
        """Grant as many permits as the rates and the day allow now, and take them out of both."""
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
        """Return as JSON what a successor needs to continue."""
        learned, tokens = self.rates.learned, self.rates.tokens_per_second
        return {
            "learned": None if learned == math.inf else learned,
            "tokens_per_second": None if tokens == math.inf else tokens,
            "pause": max(0.0, self.rates.paused_until - now),
            "day": None if self._daily is None else [self._day.sent, self._day.ends],
            "stopped": None if self.stopped is None else [type(self.stopped).__name__, str(self.stopped)],
            "workers": {name: [one.sent, one.charged, one.tokens] for name, one in self._workers.items()},
            "budget": self.claims.state(),
        }

    def resume(self, state: Mapping[str, Any], now: float) -> None:
        """Continue from the `state` of a predecessor that was lost: same allowances and rates, no burst saved up.

        Permits granted since that state was saved are unknown here; an empty bucket makes up for them.
        """
        learned, tokens = state["learned"], state["tokens_per_second"]
        self.rates.resume(math.inf if learned is None else learned, math.inf if tokens is None else tokens, now)
        self.rates.paused_until = now + state["pause"]
        if state["day"] is not None:
            self._day = Day(*state["day"])
        if state["stopped"] is not None:
            name, message = state["stopped"]
            self.stopped = error_named(name)(message)
        for name, (sent, charged, tokens) in state["workers"].items():
            self._workers[name] = _Worker(now, sent=sent, charged=charged, tokens=tokens, inherited=True)
        self.claims.resume(state["budget"])
