"""What is tried again, how long to wait before it, and when to give up: the retry policy, as parts of tenacity."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tenacity import AsyncRetrying, DoSleep, RetryCallState, Retrying
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
from extract.interactions.http.calls import Call, PollingProtocol, Sleep

__all__ = [
    "Deadline",
    "Patience",
    "Retry",
    "RetryBudget",
    "exchanged",
    "insist",
    "insist_on",
    "is_throttle",
    "policy",
    "retry_if_transient",
    "stop_when_hopeless",
    "stop_when_spent",
    "wait_as_told",
    "wait_with_jitter",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How long to insist. `failures` counts tries that failed, throttles aside; all times are in seconds.

    `patience` bounds how long one record may be throttled (429 and 503) before it is given up.
    """

    failures: int = 6
    first_wait: float = 0.5
    longest_wait: float = 30.0
    patience: float = 900.0


def is_throttle(error: BaseException | None) -> bool:
    """True where the service asks for less: 429 and 503. Other failures say nothing about speed."""
    return isinstance(error, RateLimited) and error.status in (429, 503)


def _is_transient(error: BaseException) -> bool:
    return isinstance(error, RateLimited | Overloaded | Unreachable | Unfinished)


class retry_if_transient(retry_if_exception):  # noqa: N801 - tenacity's policies are named like functions
    """Repeat what another try may mend: throttles, failures of the service, lost connections, unfinished answers."""

    def __init__(self) -> None:
        super().__init__(_is_transient)


class wait_as_told(wait_base):  # noqa: N801 - as above
    """Wait as long as the service asked; where it was silent, ask `fallback`."""

    def __init__(self, fallback: wait_base) -> None:
        self.fallback = fallback

    def __call__(self, retry_state: RetryCallState) -> float:
        asked = getattr(_failure(retry_state), "retry_after", None)
        return self.fallback(retry_state) if asked is None else float(asked)


class wait_with_jitter(wait_base):  # noqa: N801 - as above
    """Exponential, with equal parts fixed and random, so that nobody retries at once or in step with the others."""

    def __init__(self, first: float, longest: float, uniform: Callable[[float, float], float]) -> None:
        self.first, self.longest, self.uniform = first, longest, uniform

    def __call__(self, retry_state: RetryCallState) -> float:
        whole = min(self.longest, self.first * 2 ** min(retry_state.attempt_number - 1, 30))
        return self.uniform(whole / 2, whole)


class stop_when_hopeless(stop_base):  # noqa: N801 - as above
    """Stop after so many failures, or once throttled for too long. A throttle is no failure. One object per record."""

    def __init__(self, retry: Retry) -> None:
        self.retry = retry
        self.failures = 0

    def __call__(self, retry_state: RetryCallState) -> bool:
        if is_throttle(_failure(retry_state)):
            return (retry_state.seconds_since_start or 0.0) + retry_state.upcoming_sleep > self.retry.patience
        self.failures += 1
        # An unfinished answer is usually deterministic: one plain repeat, not the whole patience.
        most = 3 if isinstance(_failure(retry_state), Unfinished) else self.retry.failures
        return self.failures >= most


def _failure(retry_state: RetryCallState) -> BaseException | None:
    outcome = retry_state.outcome
    return outcome.exception() if outcome is not None else None


@dataclass(slots=True)
class RetryBudget:
    """Bounds the retries of a whole run, so that a service that is down is not asked six times for every row.

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


class stop_when_spent(stop_base):  # noqa: N801 - tenacity's policies are named like functions
    """Stop where the run has no retries left. Throttles take none: patience bounds them."""

    def __init__(self, retries: RetryBudget) -> None:
        self.retries = retries

    def __call__(self, retry_state: RetryCallState) -> bool:
        failure = retry_state.outcome.exception() if retry_state.outcome is not None else None
        return not is_throttle(failure) and not self.retries.may_retry()


T = TypeVar("T")


def policy(
    retry: Retry,
    uniform: Callable[[float, float], float] = random.uniform,
    before_sleep: Callable[[RetryCallState], None] | None = None,
) -> dict[str, Any]:
    """Return the retry policy of one call, in tenacity's words."""
    return {
        "retry": retry_if_transient(),
        "wait": wait_as_told(wait_with_jitter(retry.first_wait, retry.longest_wait, uniform)),
        "stop": stop_when_hopeless(retry),
        "before_sleep": before_sleep,
        "reraise": True,
    }


async def insist(
    attempt: Callable[[], Awaitable[T]],
    retry: Retry,
    *,
    first: ExtractError | None = None,
    uniform: Callable[[float, float], float] = random.uniform,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    on_retry: Callable[[], None] | None = None,
    or_stop: stop_base | None = None,
) -> T:
    """Await `attempt`; where it fails in a way that another try may mend, wait and try again.

    The first try is a plain call: tenacity is entered only once it has failed, and is shown that failure first. A
    caller who has made that call hands its failure in as `first`. `or_stop` is a further reason to give up.
    """
    failure = first
    if failure is None:
        try:
            return await attempt()
        except ExtractError as error:
            failure = error

    async def again() -> T:
        nonlocal failure
        if failure is not None:
            shown, failure = failure, None
            raise shown
        return await attempt()

    options = policy(retry, uniform, (lambda _: on_retry()) if on_retry else None)
    if or_stop is not None:
        options["stop"] |= or_stop
    return await AsyncRetrying(sleep=sleep, **options)(again)


R = TypeVar("R")


class Patience:
    """What to do after each failure of one call. Lasts until the call goes well, or makes progress."""

    def __init__(self, retry: Retry, uniform: Callable[[float, float], float] = random.uniform) -> None:
        self._policy = Retrying(
            retry=retry_if_transient(),
            wait=wait_as_told(wait_with_jitter(retry.first_wait, retry.longest_wait, uniform)),
            stop=stop_when_hopeless(retry),
            reraise=True,
        )
        self._policy.begin()
        self._state = RetryCallState(self._policy, None, (), {})
        self._policy.iter(self._state)

    def after(self, error: ExtractError) -> Sleep:
        """Return how long to wait before the next try; raise `error` where another try is useless."""
        self._state.set_exception((type(error), error, error.__traceback__))
        order = self._policy.iter(self._state)
        assert isinstance(order, DoSleep), "tenacity raises where it does not order to wait"
        self._state.prepare_for_next_attempt()
        self._policy.iter(self._state)
        return Sleep(float(order))


class Deadline:
    """Seconds from now, all that may be waited. The waits it has ordered count even where the clock stands still."""

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        self._seconds, self._clock, self._began, self._ordered = seconds, clock, clock(), 0.0

    def __format__(self, _: str) -> str:
        return f"{self._seconds:g} s"

    @property
    def left(self) -> float:
        return self._seconds - max(self._ordered, self._clock() - self._began)

    def sleep(self, seconds: float) -> Sleep:
        """Return the order to wait, at most to the deadline."""
        wait = max(0.0, min(seconds, self.left))
        self._ordered += wait
        return Sleep(wait)


def exchanged(call: Call) -> PollingProtocol[R, R]:
    """Order one call and return its reply."""
    reply = yield call
    assert reply is not None, "a call is answered by a reply or an error"
    return reply


def insist_on(call: Call, retry: Retry, deadline: Deadline | None = None) -> PollingProtocol[R, R]:
    """Order a call until it goes well or another try is useless. AnswerTimeout where it still fails at the deadline."""
    patience = Patience(retry)
    while True:
        try:
            return (yield from exchanged(call))
        except ExtractError as error:
            wait = patience.after(error)
            if deadline is None:
                yield wait
                continue
            if deadline.left <= 0:
                raise AnswerTimeout(f"{call.method} {call.path} still fails after {deadline}: {error}") from None
            yield deadline.sleep(wait.seconds)
