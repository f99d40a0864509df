"""A request that has failed is sent again: at its own pace, or at that of all rows while the service is down."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from extract.errors import ExtractError
from extract.interactions.http.retrying import Retry, RetryBudget, is_throttle, retry_async, stop_when_spent
from extract.limits.limiter import Limiter
from extract.limits.outage import Moment
from extract.runner.outages import Outages, stop_in_outage
from extract.runner.trace import RecordTrace

__all__ = ["Resender"]

T = TypeVar("T")


@dataclass(slots=True)
class Resender:
    """Sends again what has failed in passing. All records of a run share one, and its budget of retries."""

    outages: Outages
    limiter: Limiter
    retry: Retry
    uniform: Callable[[float, float], float]
    budget: RetryBudget = field(default_factory=RetryBudget)

    async def again(
        self,
        attempt: Callable[[], Awaitable[T]],
        failure: ExtractError,
        trace: RecordTrace,
        *,
        falls_back_after: Retry | None = None,
    ) -> T:
        """Return what `attempt` returns at last. Raises the last failure where it is the row's own.

        In an outage the row waits for its turn, however often; after it, its tries begin anew. `falls_back_after` are
        the tries on a service tier: where that has no room, another takes the row, and it waits for nothing.
        """
        seen: Moment | None = None

        def count() -> None:
            nonlocal seen
            trace.retries += 1
            seen = self.outages.moment()

        async def in_turn() -> T:
            await self.outages.turn()
            return await attempt()

        while True:
            is_refused = falls_back_after is not None and is_throttle(failure)
            is_held = not is_refused and self.outages.holds(failure)
            try:
                if is_held:
                    await self.outages.check(failure)
                    trace.retries += 1
                    return await in_turn()
                return await retry_async(
                    in_turn,
                    falls_back_after or self.retry,
                    failure=failure,
                    uniform=self.uniform,
                    sleep=self.limiter.sleep,
                    on_retry=count,
                    stop=stop_in_outage(self.outages) | stop_when_spent(self.budget),
                )
            except ExtractError as error:
                failure = error
            if falls_back_after is not None and is_throttle(failure):
                raise failure
            if not is_held:
                await self.outages.judge(failure, trace.deadline, seen)
