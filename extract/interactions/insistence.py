"""One call, tried again as the policies of `limits` say, by tenacity. For protocols of several calls see `patience`."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from tenacity import AsyncRetrying, RetryCallState
from tenacity.stop import stop_base

from extract.errors import ExtractError
from extract.limits.limits import Retry, retry_if_transient, stop_when_hopeless, wait_as_told, wait_with_jitter

__all__ = ["insist", "policy"]

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
