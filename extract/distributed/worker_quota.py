"""A worker's side of a lease: a throttle for its gate, and the reports that keep throttle and purse filled."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from extract.distributed.budget_claims import Bid, LeasedPurse
from extract.distributed.quota import Lease, Report, Share
from extract.errors import ExtractError
from extract.limits.limiter import Limiter
from extract.limits.limits import Limits
from extract.limits.rate_limiter import RateLimiter, Verdict

__all__ = ["LeasedThrottle", "Leaseholder"]

_LOOK_AGAIN = 0.05  # seconds after which who waits for a permit looks again; a new lease wakes it sooner
_SAVED = 0.5  # seconds' worth of requests that may be saved up by a worker that goes on alone
_IDLE = 1.0  # seconds that permits are kept for the next requests


class _Alone:
    """The throttle of a worker that nobody answers: it goes on with its share."""

    def __init__(self, share: Share, now: float) -> None:
        limits = Limits(rpm=_per_minute(share.per_second), tpm=_per_minute(share.tokens_per_second))
        self.rates = RateLimiter(limits, saved=_SAVED)
        self.rates.resume(math.inf, math.inf, now)
        self._left = share.requests

    def delay(self, now: float) -> float:
        return self.rates.delay(now) if self._left >= 1 else _LOOK_AGAIN

    def take(self, tokens: int, now: float) -> None:
        self._left -= 1
        self.rates.take(tokens, now)


def _per_minute(rate: float) -> float | None:
    return None if rate == math.inf else max(1.0, rate * 60)


class LeasedThrottle:
    """Lets requests pass with permits in hand; without, where nobody counts, or at its share where nobody answers.

    `passed` requests did so, `tokens` are their input tokens and those of the permits in hand. `replies` are those that
    were not told yet, after the first `told`. `on_want` hears that there is something to ask for or to tell at once.
    """

    def __init__(self, limits: Limits, on_want: Callable[[], None]) -> None:
        self.permits: deque[int] = deque()
        self.is_open = False
        self.passed = 0
        self.tokens = 0
        self.told = 0
        self.replies: list[tuple[float, Verdict]] = []
        self.paused_until = 0.0
        self._on_want = on_want
        self._patience = limits.retry.patience
        self._alone: _Alone | None = None

    def delay(self, now: float) -> float:
        if self.paused_until > now:
            return self.paused_until - now
        if self._alone is not None and not self.permits:
            return self._alone.delay(now)
        if self.is_open or self.permits:
            return 0.0
        self._on_want()
        return _LOOK_AGAIN

    def take(self, tokens: int, now: float) -> None:
        self.passed += 1
        if self.permits:
            self.tokens += tokens - self.permits.popleft()
            return
        self.tokens += tokens
        if self._alone is not None:
            self._alone.take(tokens, now)

    def settle(self, more: int, now: float) -> None:
        self.tokens += more
        if self._alone is not None:
            self._alone.rates.settle(more, now)

    @property
    def per_second(self) -> float:
        """Infinite: the rate is the cluster's, and no worker's own."""
        return math.inf

    @property
    def tokens_per_second(self) -> float:
        return math.inf

    def reached(self, now: float) -> str:
        """Return whose limit it is where one holds the next request back."""
        return "the quota of the cluster" if self.delay(now) > 0 else ""

    def note(self, sent_at: float, now: float, verdict: Verdict) -> None:
        self.replies.append((sent_at, verdict))
        if self._alone is not None:
            self._alone.rates.note(sent_at, now, verdict)
        if verdict.pause is not None:
            self.paused_until = max(self.paused_until, now + min(verdict.pause, self._patience))
        if verdict.refused:
            self.is_open = False  # until it is known what this means for all
            self._on_want()

    def give_back(self) -> None:
        """Keep no permits: the next report says so."""
        self.tokens -= sum(self.permits)
        self.permits.clear()

    def go_alone(self, share: Share, now: float) -> None:
        """Go on at a share of the rates: who grants permits is lost. What is sent meanwhile is told later."""
        if self._alone is None:
            self._alone = _Alone(share, now)

    def accept(self, lease: Lease, report: Report, now: float) -> None:
        """Take over what was granted; the replies of the report are told."""
        granted = report.sizes[: lease.permits]
        self._alone = None
        self.is_open = lease.is_open
        self.permits.extend(granted)
        self.tokens += sum(granted)
        self.paused_until = max(self.paused_until, now + lease.pause) if lease.pause else self.paused_until
        self.told += len(report.replies)
        del self.replies[: len(report.replies)]


@dataclass(slots=True)
class Leaseholder:
    """One worker's gate, and what its reports are made of. `stop` is what has ended the run for this worker."""

    name: str
    gate: Limiter
    throttle: LeasedThrottle
    purse: LeasedPurse | None = None
    stop: ExtractError | None = None
    _share: Share | None = None
    _number: int = 0
    _passed: int = 0
    _passed_at: float = 0.0

    def report(self, now: float) -> Report:
        """Return what is to be told and asked for. Only one may be under way."""
        throttle = self.throttle
        lately, self._passed = throttle.passed - self._passed, throttle.passed
        self._passed_at = now if lately else self._passed_at
        self._number += 1
        waiting = self.gate.next_in_line(self.gate.slots)
        if not waiting and now - self._passed_at > _IDLE:
            throttle.give_back()
        return Report(
            worker=self.name,
            number=self._number,
            passed=throttle.passed,
            in_hand=len(throttle.permits),
            tokens=throttle.tokens,
            first_reply=throttle.told,
            replies=tuple((now - sent_at, verdict) for sent_at, verdict in throttle.replies),
            sizes=self._wanted(waiting, lately),
            waiting=len(waiting),
            bid=Bid() if self.purse is None else self.purse.bid(len(waiting) + lately),
            stop=self.stop,
        )

    def _wanted(self, waiting: list[int], lately: int) -> tuple[int, ...]:
        """Return the sizes of the requests that wait, and of as many again as have passed since the last report."""
        held = self.throttle.permits
        missing = len(waiting) + min(lately, self.gate.slots) - len(held)
        if self.throttle.is_open or missing <= 0:
            return ()
        usual = waiting[-1] if waiting else held[-1] if held else 1
        return tuple([*waiting, *[usual] * missing][:missing])

    def accept(self, lease: Lease, report: Report, now: float) -> None:
        """Take over the lease that the newest report was answered with, and let in who may pass now."""
        self._share = lease.share
        self.throttle.accept(lease, report, now)
        if self.purse is not None:
            self.purse.grant(lease.claim, is_final=lease.is_final)
        self.gate.wake()

    def lost(self, now: float) -> None:
        """Go on alone: no lease came back. One that never had a lease waits, as it knows of no rate."""
        if self._share is not None:
            self.throttle.go_alone(self._share, now)
            self.gate.wake()
