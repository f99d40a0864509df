"""The limiter that every request of a run passes: slots, rates, pauses and budget, shared by all records of a loop."""

from __future__ import annotations

import asyncio
import logging
import math
from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import NamedTuple

from extract.errors import Blocked, NotRun, Overloaded
from extract.interactions.http.retrying import is_throttle
from extract.interactions.usage import Usage
from extract.limits.budget import Amount, BudgetMeter
from extract.limits.concurrency import AdaptiveConcurrency
from extract.limits.limits import Limits
from extract.limits.rate_limiter import RateLimit, RateLimiter, verdict_of

__all__ = ["Limiter", "Permit"]

_log = logging.getLogger("extract.limits")


class Permit(NamedTuple):
    """Permission to send one request: when it was given (monotonic seconds), and what was reserved for it."""

    at: float
    tokens: int
    reserved: Amount


_NOTHING = Amount()


def _nothing() -> Amount:
    return _NOTHING


def _a_minute(rate: float) -> float | None:
    return rate * 60 if math.isfinite(rate) else None


_LOGGED_WAIT = 1.0  # seconds; shorter waits are the everyday spacing of requests
_SILENCE = 1.0  # seconds: a wrong key or schema would have been refused by then
_TIMER_SLACK = 0.001  # seconds: a timer may fire a moment early by the limiter's clock, and would then spin


class _Alarm:
    """Calls `ring` once, at the earliest of the times that it was set to since."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._timer: asyncio.TimerHandle | None = None

    def set(self, delay: float) -> bool:
        """Ring in `delay` seconds; never where that is infinite. False where it rings before anyway."""
        loop = asyncio.get_running_loop()
        due = loop.time() + delay + _TIMER_SLACK
        if math.isinf(due) or (self._timer is not None and self._timer.when() <= due):
            return False
        if self._timer is not None:  # set for a pause that is over
            self._timer.cancel()
        self._timer = loop.call_at(due, self._on_timer)
        return True

    def _on_timer(self) -> None:
        self._timer = None
        self._ring()


class Limiter:
    """Admits requests in the order they came. Nobody polls: a released slot or one timer wakes the next in line.

    `rate_limit` says when the next may pass, `meter` whether the budget allows it; both may be a worker's share of
    something larger.

    `is_probing` is set by whoever lets one request at a time pass: its refusal says nothing about room for several.

    Invariants: `active` is the number of permits given and not yet released. A request passes only while `active` is
    below `slots`. Only the head of the queue is ever tested, so a large request is not overtaken by small ones.
    """

    def __init__(
        self,
        limits: Limits,
        clock: Callable[[], float],
        meter: BudgetMeter | None = None,
        *,
        rate_limit: RateLimit | None = None,
    ) -> None:
        self.concurrency: AdaptiveConcurrency = AdaptiveConcurrency(ceiling=max(1, limits.concurrency))
        self.active: int = 0
        self.asleep: int = 0
        self.slept: asyncio.Event = asyncio.Event()
        self.is_probing: bool = False
        self.clock = clock
        self.meter = meter
        self.rate_limit: RateLimit = rate_limit or RateLimiter(limits)
        self._halved_at = -1.0
        self._waiting: deque[tuple[asyncio.Future[Permit], int, Callable[[], Amount]]] = deque()
        self._alarm = _Alarm(self._admit)
        self._opener: asyncio.TimerHandle | None = None
        self._replies = 0
        self._closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def slots(self) -> int:
        """How many requests may be in flight now."""
        return int(self.concurrency.slots)

    @property
    def budgeted(self) -> bool:
        """True where requests must pass their worst case to `acquire`."""
        return self.meter is not None

    def waiting_for(self) -> float:
        """Seconds until a quota or a pause lets the next request pass; 0 where something else decides."""
        delay = self.rate_limit.delay(self.clock())
        return delay if math.isfinite(delay) else 0.0

    @property
    def rpm(self) -> float | None:
        """Requests that may pass per minute, given or learned; None where that is unknown."""
        return _a_minute(self.rate_limit.per_second)

    @property
    def tpm(self) -> float | None:
        """Input tokens that may pass per minute, given or learned; None where that is unknown."""
        return _a_minute(self.rate_limit.tokens_per_second)

    def limit_reached(self) -> str:
        """Return the name of the limit that holds the next request back, "" where none does."""
        return self.rate_limit.reached(self.clock())

    async def acquire(self, tokens: int, worst: Callable[[], Amount] = _nothing) -> Permit:
        """Wait for a slot, for room in the rates and the budget, and for the end of a pause; return the permit.

        `tokens` is the input's estimated size. `worst` returns the most that the request may take: it is called when
        the request would pass, since answers that come meanwhile improve the estimate. Raises BudgetExceeded where that
        does not fit and nothing in flight can give anything back, NotRun where the limiter is closed.
        """
        if self._closed.done():
            raise NotRun("the run was stopped")
        now = self.clock()
        # The short way, without a future: nobody waits, so nobody is overtaken.
        is_free = not self._waiting and self.active < self.slots and self.rate_limit.delay(now) <= 0
        if is_free and self._fits(amount := worst()):
            return self._give(tokens, amount, now)
        waiter: asyncio.Future[Permit] = asyncio.get_running_loop().create_future()
        self._waiting.append((waiter, tokens, worst))
        self._admit()
        try:
            return await waiter
        except asyncio.CancelledError as cancelled:
            # The permit may have been given just before the cancellation arrived: then nobody else releases it.
            if waiter.done() and not waiter.cancelled():
                self.release(waiter.result(), cancelled, spent=_NOTHING)
            raise

    async def sleep(self, seconds: float | None, until: asyncio.Future[None] | None = None) -> None:
        """Wait without a slot, at most until a future is done. Raises NotRun as soon as the limiter closes.

        `asleep` counts the sleepers; `slept` is set by each, so that another record can use the slot.
        """
        if self._closed.done():
            raise NotRun("the run was stopped")
        self.asleep += 1
        self.slept.set()
        try:
            ends = (self._closed,) if until is None else (self._closed, until)
            await asyncio.wait(ends, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.asleep -= 1
        if self._closed.done():
            raise NotRun("the run was stopped")

    async def sleep_until(self, done: asyncio.Future[None]) -> None:
        """Wait for a future in the same way, and raise what it fails with."""
        await self.sleep(None, done)
        done.result()

    @property
    def has_waiting(self) -> bool:
        """True where a request waits for its permit."""
        return any(not waiter.done() for waiter, *_ in self._waiting)

    def is_closed(self) -> bool:
        """True once no more permits are given."""
        return self._closed.done()

    def close(self) -> None:
        """Give no more permits: waiting and later requests get NotRun, those in flight may finish."""
        if not self._closed.done():
            self._closed.set_result(None)
        while self._waiting:
            waiter, *_ = self._waiting.popleft()
            if not waiter.done():
                waiter.set_exception(NotRun("the run was stopped"))

    def release(
        self, permit: Permit, error: BaseException | None, usage: Usage | None = None, *, spent: Amount | None = None
    ) -> None:
        """Give the slot back and learn from how the request went; `spent` is None where that is not known."""
        if self.meter is not None:
            self.meter.settle(permit.reserved, permit.reserved if spent is None else spent)
        self.active -= 1
        self._replies += 1
        now = self.clock()
        self.rate_limit.note(permit.at, now, verdict_of(error))
        if isinstance(error, Overloaded) and is_throttle(error) and not self.is_probing:
            self._halve(permit, now)
        elif error is None or isinstance(error, Blocked):
            # Other failures say nothing about room for more, and a wrong schema should meet one request at a time.
            self.concurrency.after(throttled=False)
        if usage:
            self.rate_limit.settle(usage.input_tokens - permit.tokens, now)
        self._admit()

    def next_in_line(self, limit: int) -> list[int]:
        """Return the sizes in tokens of up to `limit` waiting requests for which there are slots."""
        free = min(limit, self.slots - self.active)
        return [tokens for _, tokens, _ in islice(self._waiting, max(0, free))]

    def wake(self) -> None:
        """Admit whoever may pass now: the rate limit or the meter has changed."""
        self._admit()

    def _halve(self, permit: Permit, now: float) -> None:
        # A used-up quota calls for a lower rate; overload calls for fewer requests at once. A burst of refusals is one
        # piece of news: only requests sent after the last halving may halve again.
        if permit.at < self._halved_at:
            return
        before, slots = self.slots, self.concurrency.after(throttled=True)
        if slots < before:
            self._halved_at = now
            _log.debug("the service is overloaded: %d requests at once", slots)

    def _fits(self, worst: Amount) -> bool:
        return self.meter is None or self.meter.fits(worst)

    def _give(self, tokens: int, worst: Amount, now: float) -> Permit:
        self.active += 1
        self.rate_limit.take(tokens, now)
        if self.meter is not None:
            self.meter.reserve(worst)
        return Permit(now, tokens, worst)

    def _admit(self) -> None:
        """Give permits from the head of the queue for as long as slots, rates and budget allow."""
        while self._waiting and self.active < self.slots:
            now = self.clock()
            if (delay := self.rate_limit.delay(now)) > 0:
                self._wake_in(delay, now)
                return
            waiter, tokens, worst = self._waiting[0]
            amount = _NOTHING
            try:
                amount = amount if waiter.done() else worst()
            except Exception as error:  # whoever called this is not the one who waits
                waiter.set_exception(error)
            if waiter.done():
                self._waiting.popleft()  # cancelled, or failed just now
            elif self._fits(amount):
                self._waiting.popleft()
                waiter.set_result(self._give(tokens, amount, now))
            elif self.meter is None or self.meter.waits:
                return  # until an answer in flight has given back what it did not need
            else:
                self._waiting.popleft()
                waiter.set_exception(self.meter.exceeded(amount))
        self._open_later()

    def _open_later(self) -> None:
        """Double the slots after a second of silence: a slow first answer must not hold all others back."""
        if self._opener is None and self._waiting and self.concurrency.steep and self.slots < self.concurrency.ceiling:
            self._opener = asyncio.get_running_loop().call_later(_SILENCE, self._on_silence, self._replies)

    def _on_silence(self, replies: int) -> None:
        self._opener = None
        if self._replies == replies:
            self.concurrency.double()
        self._admit()

    def _wake_in(self, delay: float, now: float) -> None:
        if self._alarm.set(delay) and delay >= _LOGGED_WAIT:
            _log.debug("requests wait %.1f s: %s", delay, self.rate_limit.reached(now))
