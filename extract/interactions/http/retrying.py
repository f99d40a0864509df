"""What is tried again, how long to wait before it, and when to give up: one policy, and one engine that applies it.

The rules are tenacity's classes. `Backoff` asks them after each failure of one call; `with_retries` is an operation
around any other, for both clients; `retry_async` is for code that awaits and has no operation.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from tenacity import DoSleep, RetryCallState, Retrying
from tenacity.retry import retry_if_exception
from tenacity.stop import stop_base
from tenacity.wait import wait_base

from extract.errors import (
    AnswerTimeout,
    ExtractError,
    Overloaded,
    RateLimited,
    Unfinished,
    Unreachable,
)
from extract.interactions.http.calls import Call, Operation, Order, OrderT, Reply, Sleep, T, once
from extract.interactions.http.drivers import drive_async

__all__ = [
    "Backoff",
    "Deadline",
    "Retry",
    "RetryBudget",
    "is_throttle",
    "is_too_long",
    "retry_async",
    "retry_if_transient",
    "send",
    "stop_after_failures",
    "stop_when_spent",
    "wait_equal_jitter",
    "wait_retry_after",
    "with_retries",
]

#: Failures that are not worth as many tries as `Retry.failures` allows. A further rule is a row here.
_MAX_BY_KIND: dict[type[ExtractError], int] = {
    Unfinished: 3,  # usually deterministic: more tries mostly cost money
}
Uniform = Callable[[float, float], float]

_log = logging.getLogger("extract.http")


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How often and how long a call that failed is tried again. All times are in seconds.

    `failures` is the number of failures after which it is given up; 429 and 503, by which the service asks for less,
    do not count: `patience` bounds how long these may go on for one call. Waits grow from `first_wait` to
    `longest_wait`, unless the service names one; where that is longer than `patience`, the call is given up at once,
    and a run is stopped.

        >>> Client("key", retry=Retry(failures=3, patience=120)).retry.longest_wait
        30.0
    """

    failures: int = 6
    first_wait: float = 0.5
    longest_wait: float = 30.0
    patience: float = 900.0


def is_throttle(error: BaseException | None) -> bool:
    """True where the service asks for less: 429 and 503. Other failures say nothing about speed."""
    return isinstance(error, RateLimited) and error.status in (429, 503)


def is_too_long(error: BaseException | None, retry: Retry) -> TypeGuard[RateLimited]:
    """True where the service names a wait that is longer than the patience: nobody waits for it, and a run ends."""
    return isinstance(error, RateLimited) and (error.retry_after or 0.0) > retry.patience


class retry_if_transient(retry_if_exception):  # noqa: N801 - tenacity's policies are named like functions
    """Retry what may go well another time: throttles, failures of the service, lost connections, unfinished answers.

    An answer that was not whole in time is one of these, once: see `stop_after_failures`.
    """

    def __init__(self) -> None:
        super().__init__(
            lambda error: isinstance(error, RateLimited | Overloaded | Unreachable | Unfinished | AnswerTimeout)
        )


class wait_retry_after(wait_base):  # noqa: N801 - as above
    """Wait as long as the service asked for; where it named no time, as long as `fallback` says."""

    def __init__(self, fallback: wait_base) -> None:
        self.fallback = fallback

    def __call__(self, retry_state: RetryCallState) -> float:
        retry_after = getattr(_failure(retry_state), "retry_after", None)
        return self.fallback(retry_state) if retry_after is None else float(retry_after)


class wait_equal_jitter(wait_base):  # noqa: N801 - as above
    """Exponential, half of it fixed and half random, so that clients retry neither at once nor in step."""

    first: float
    longest: float
    uniform: Uniform

    def __init__(self, first: float, longest: float, uniform: Uniform) -> None:
        self.first, self.longest, self.uniform = first, longest, uniform

    def __call__(self, retry_state: RetryCallState) -> float:
        # The exponent is bounded: a call may be throttled for days, and 2.0**1024 is no float.
        whole = min(self.longest, self.first * 2 ** min(retry_state.attempt_number - 1, 30))
        return self.uniform(whole / 2, whole)


class stop_after_failures(stop_base):  # noqa: N801 - as above
    """Stop after `retry.failures` failures, or `retry.patience` seconds of throttling. One object per call.

    A request whose time ran out may have been paid for: after it there is one more try, whatever comes of that.
    """

    def __init__(self, retry: Retry) -> None:
        self.retry = retry
        self.failures: int = 0
        self.ran_out: bool = False

    def __call__(self, retry_state: RetryCallState) -> bool:
        failure = _failure(retry_state)
        if is_too_long(failure, self.retry):
            return True
        if is_throttle(failure):
            # The wait ahead counts: a call that would wake past its time gives up now rather than then. The first one
            # has all of its time, also for a wait that the service names and that takes it to the second.
            passed = 0.0 if retry_state.attempt_number == 1 else retry_state.seconds_since_start or 0.0
            return passed + retry_state.upcoming_sleep > self.retry.patience
        self.failures += 1
        if self.ran_out:
            return True
        self.ran_out = isinstance(failure, AnswerTimeout)
        limits = [limit for kind, limit in _MAX_BY_KIND.items() if isinstance(failure, kind)]
        return self.failures >= min([self.retry.failures, *limits])


def _failure(retry_state: RetryCallState) -> BaseException | None:
    outcome = retry_state.outcome
    return outcome.exception() if outcome is not None else None


@dataclass(slots=True)
class RetryBudget:
    """Bounds the retries of a whole run, so that a service that is down is not called six times for every row.

    A retry is free while there were fewer than `spare` of them, or no more than `share` of the requests.
    """

    share: float = 1.0
    spare: int = 200
    requests: int = field(default=0)
    retries: int = field(default=0)

    def may_retry(self) -> bool:
        """Take one retry out, or return False where none is left."""
        if self.retries >= self.spare + self.share * (self.requests - self.retries):
            return False
        self.retries += 1
        return True


class stop_when_spent(stop_base):  # noqa: N801 - as above
    """Stop where the run has no retries left. Throttles take none: `Retry.patience` bounds them."""

    def __init__(self, retries: RetryBudget) -> None:
        self.retries = retries

    def __call__(self, retry_state: RetryCallState) -> bool:
        return not is_throttle(_failure(retry_state)) and not self.retries.may_retry()


class Backoff:
    """Decides after each failure of one call: wait that long, or give up. `stop` is a further reason to give up.

    Nothing of tenacity is made before the first failure, so that a call that goes well does not pay for it.
    """

    def __init__(self, retry: Retry, *, uniform: Uniform = random.uniform, stop: stop_base | None = None) -> None:
        self._retry, self._uniform, self._stop = retry, uniform, stop
        self._state: RetryCallState | None = None

    def after(self, error: ExtractError) -> Sleep:
        """Return how long to wait before the next try; raise `error` where there is to be none."""
        if self._state is None:
            self._state = self._begin()
        state = self._state
        state.set_exception((type(error), error, error.__traceback__))
        action = state.retry_object.iter(state)
        assert isinstance(action, DoSleep), "tenacity raises where it does not want to wait"
        state.prepare_for_next_attempt()
        state.retry_object.iter(state)  # the other half of its loop: the next attempt begins
        return Sleep(float(action))

    def _begin(self) -> RetryCallState:
        stop: stop_base = stop_after_failures(self._retry)
        policy = Retrying(
            retry=retry_if_transient(),
            wait=wait_retry_after(wait_equal_jitter(self._retry.first_wait, self._retry.longest_wait, self._uniform)),
            stop=stop if self._stop is None else stop | self._stop,
            reraise=True,
        )
        policy.begin()
        state = RetryCallState(policy, None, (), {})
        policy.iter(state)
        return state


class Deadline:
    """Seconds from now that `subject` may take. The waits it has ordered count even where the clock stands still."""

    def __init__(self, seconds: float, clock: Callable[[], float], subject: str) -> None:
        self._seconds, self._clock, self._subject = seconds, clock, subject
        self._began, self._ordered = clock(), 0.0

    @property
    def left(self) -> float:
        return self._seconds - max(self._ordered, self._clock() - self._began)

    def sleep(self, seconds: float) -> Sleep:
        """Return the order to wait, at most to the deadline."""
        wait = max(0.0, min(seconds, self.left))
        self._ordered += wait
        return Sleep(wait)

    def retry(self, wait: Sleep, error: ExtractError) -> Sleep:
        """Return the order to wait before a retry. AnswerTimeout where the time is over."""
        if self.left <= 0:
            raise AnswerTimeout(f"{self._subject} still fails after {self._seconds:g} s: {error}")
        return self.sleep(wait.seconds)


def _described(failure: ExtractError) -> str:
    """Return code and status of a failure: its message may hold what was sent."""
    status = getattr(failure, "status", None)
    return failure.code if status is None else f"{failure.code} ({status})"


def with_retries(
    attempt: Callable[[], Operation[OrderT, T]],
    retry: Retry,
    *,
    failure: ExtractError | None = None,
    deadline: Deadline | None = None,
    uniform: Uniform = random.uniform,
    stop: stop_base | None = None,
    on_retry: Callable[[], None] | None = None,
) -> Operation[OrderT | Sleep, T]:
    """Run the operation that `attempt` makes, again where it fails in passing, and return its result.

    A caller that has made the first attempt itself hands its `failure` in. `on_retry` is called before each wait.
    Raises the last failure where another try is useless or too much, AnswerTimeout past the `deadline`.
    """
    backoff = Backoff(retry, uniform=uniform, stop=stop)
    while True:
        if failure is not None:
            wait = backoff.after(failure)
            if deadline is not None:
                wait = deadline.retry(wait, failure)
            if on_retry is not None:
                on_retry()
            _log.debug("%s: tried again in %.2f s", _described(failure), wait.seconds)
            yield wait
        try:
            return (yield from attempt())
        except ExtractError as error:
            failure = error


def send(call: Call, retry: Retry, deadline: Deadline | None = None) -> Operation[Order, Reply]:
    """Send a call, again where it fails in passing, and return the reply. Raises as `with_retries`."""
    return with_retries(lambda: once(call), retry, deadline=deadline)


async def retry_async(
    attempt: Callable[[], Awaitable[T]],
    retry: Retry,
    *,
    failure: ExtractError | None = None,
    uniform: Uniform = random.uniform,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    on_retry: Callable[[], None] | None = None,
    stop: stop_base | None = None,
) -> T:
    """`with_retries` for something that is awaited: return what `attempt` returns."""

    async def perform(order: Callable[[], Awaitable[T]] | Sleep) -> Any:
        return await (sleep(order.seconds) if isinstance(order, Sleep) else order())

    operation: Operation[Callable[[], Awaitable[T]] | Sleep, T] = with_retries(
        lambda: once(attempt), retry, failure=failure, uniform=uniform, stop=stop, on_retry=on_retry
    )
    return await drive_async(operation, perform)
