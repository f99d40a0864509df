"""The retry policy, and the two ways to run it: as an operation, and around something that is awaited."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from clocks import Clock
from tenacity.stop import stop_after_attempt

from extract import (
    AnswerTimeout,
    Denied,
    ExtractError,
    InvalidAnswer,
    Issue,
    Overloaded,
    RateLimited,
    Retry,
    Unfinished,
    Unreachable,
)
from extract.interactions.http.calls import Operation, Sleep, once
from extract.interactions.http.drivers import drive, drive_async
from extract.interactions.http.retrying import (
    Deadline,
    RetryBudget,
    is_throttle,
    retry_async,
    stop_when_spent,
    with_retries,
)

THROTTLE = RateLimited("slow", status=429, retry_after=0)


class Service:
    """Fails in a given way, then answers. `run` retries by an operation, in one of its two drivers, or by awaiting."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.failures: list[ExtractError] = []
        self.tries = 0
        self.slept: list[float] = []

    def failing(self, *failures: ExtractError) -> Service:
        self.failures = list(failures)
        return self

    def attempt(self) -> str:
        self.tries += 1
        if self.failures:
            raise self.failures.pop(0)
        return "done"

    def perform(self, order: str | Sleep) -> str | None:
        if isinstance(order, Sleep):
            self.slept.append(order.seconds)
            return None
        return self.attempt()

    async def perform_async(self, order: str | Sleep) -> str | None:
        return self.perform(order)

    async def attempt_async(self) -> str:
        return self.attempt()

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    async def run(self, retry: Retry | None = None, **options: Any) -> str:
        options = {"uniform": lambda _, longest: longest, **options}
        if self.kind == "awaited":
            return await retry_async(self.attempt_async, retry or Retry(), sleep=self.sleep, **options)
        operation: Operation[str | Sleep, str] = with_retries(lambda: once("ask"), retry or Retry(), **options)
        if self.kind == "sync":
            return drive(operation, self.perform)
        return await drive_async(operation, self.perform_async)


@pytest.fixture(params=["sync", "async", "awaited"])
def service(request: pytest.FixtureRequest) -> Service:
    return Service(request.param)


def test_only_429_and_503_are_throttles() -> None:
    assert is_throttle(RateLimited("slow", status=429))
    assert is_throttle(Overloaded("busy", status=503))
    assert not is_throttle(Overloaded("broken", status=500))
    assert not is_throttle(Unreachable("gone"))


async def test_a_wait_named_by_the_service_is_obeyed(service: Service) -> None:
    service.failing(RateLimited("slow", status=429, retry_after=12.5), Overloaded("busy", status=503, retry_after=0.25))
    assert await service.run() == "done"
    assert service.slept == [12.5, 0.25]


async def test_without_a_hint_waits_double_up_to_the_longest(service: Service) -> None:
    service.failing(*(Overloaded("busy", status=500) for _ in range(5)))
    await service.run(Retry(first_wait=1, longest_wait=5))
    assert service.slept == [1, 2, 4, 5, 5]


@pytest.mark.parametrize("error", [Denied("no"), InvalidAnswer((Issue("$", "no"),))])
async def test_what_no_repeat_can_mend_is_not_repeated(service: Service, error: ExtractError) -> None:
    with pytest.raises(type(error)):
        await service.failing(error).run()
    assert (service.tries, service.slept) == (1, [])


async def test_failures_are_bounded_and_the_last_one_is_raised(service: Service) -> None:
    service.failing(*(Unreachable(str(number)) for number in range(10)))
    with pytest.raises(Unreachable, match=r"^2$"):
        await service.run(Retry(failures=3))
    assert service.tries == 3


async def test_an_unfinished_answer_is_repeated_twice_at_most(service: Service) -> None:
    with pytest.raises(Unfinished):
        await service.failing(*(Unfinished("empty", status="completed") for _ in range(10))).run()
    assert service.tries == 3


async def test_throttles_do_not_use_up_the_failures(service: Service) -> None:
    service.failing(*[THROTTLE] * 30, Unreachable("gone"), *[THROTTLE] * 30)
    assert await service.run(Retry(failures=2, first_wait=0)) == "done"
    assert service.tries == 62


async def test_a_throttle_longer_than_the_patience_is_not_waited_for(service: Service) -> None:
    with pytest.raises(RateLimited):
        await service.failing(RateLimited("slow", status=429, retry_after=901)).run()
    assert service.slept == []


async def test_a_failure_of_the_callers_own_attempt_counts_as_the_first(service: Service) -> None:
    with pytest.raises(Unreachable, match="second"):
        await service.failing(Unreachable("second")).run(Retry(failures=2), failure=Unreachable("first"))
    assert (service.tries, len(service.slept)) == (1, 1)


async def test_each_retry_is_announced_before_its_wait_and_a_further_reason_stops(service: Service) -> None:
    waits: list[int] = []
    service.failing(*(Unreachable("gone") for _ in range(9)))
    with pytest.raises(Unreachable):
        await service.run(on_retry=lambda: waits.append(len(service.slept)), stop=stop_after_attempt(4))
    assert (service.tries, waits) == (4, [0, 1, 2])


async def test_a_runs_retries_bound_failures_and_not_throttles(service: Service) -> None:
    retries = RetryBudget(share=0, spare=2)
    service.failing(THROTTLE, Unreachable("a"), THROTTLE, Unreachable("b"), THROTTLE, Unreachable("c"))
    with pytest.raises(Unreachable, match="c"):
        await service.run(stop=stop_when_spent(retries))
    assert (service.tries, retries.retries) == (6, 2)


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_deadline_cuts_the_waits_and_ends_the_retries(kind: str) -> None:
    clock, service = Clock(), Service(kind)
    deadline = Deadline(10, clock, "GET /files/a")
    service.failing(*(RateLimited("slow", status=429, retry_after=7) for _ in range(9)))
    with pytest.raises(AnswerTimeout, match=r"^GET /files/a still fails after 10 s: slow"):
        await service.run(deadline=deadline)
    assert service.slept == [7, 3]


@pytest.mark.parametrize("drive_it", [drive, drive_async])
async def test_a_driver_hands_back_replies_raises_errors_inside_and_closes_the_operation(
    drive_it: Callable[..., Any],
) -> None:
    closed: list[str] = []

    def operation() -> Operation[str, str]:
        try:
            try:
                yield "fail"
            except Denied:
                return (yield "answer") + (yield "answer")
            return "not reached"
        finally:
            closed.append("operation")

    def perform(order: str) -> str:
        if order == "fail":
            raise Denied("no")
        return order[0]

    async def perform_async(order: str) -> str:
        return perform(order)

    async def result(of: Any) -> Any:
        return await of if isinstance(of, Awaitable) else of

    assert await result(drive_it(operation(), perform if drive_it is drive else perform_async)) == "aa"
    with pytest.raises(KeyError):  # not an error of our tree: it ends both

        def broken(_: str) -> str:
            raise KeyError

        async def broken_async(_: str) -> str:
            raise KeyError

        await result(drive_it(operation(), broken if drive_it is drive else broken_async))
    assert closed == ["operation", "operation"]
