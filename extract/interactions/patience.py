"""Retries as a part of a protocol: the policies of `limits` decide, and the waits are ordered from the driver."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TypeVar

from tenacity import DoSleep, RetryCallState, Retrying

from extract.errors import AnswerTimeout, ExtractError
from extract.interactions.http.calls import Call, PollingProtocol, Sleep
from extract.limits.limits import Retry, retry_if_transient, stop_when_hopeless, wait_as_told, wait_with_jitter

__all__ = ["Deadline", "Patience", "exchanged", "insist_on"]

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
