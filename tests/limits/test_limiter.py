from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal

import pytest

from extract import Budget, BudgetExceeded, Limits, NotRun, Overloaded, RateLimited
from extract.limits.budget import Amount, BudgetMeter
from extract.limits.limiter import Limiter
from tests.clocks import Clock


def make_limiter(clock: Callable[[], float] | None = None, **limits: float) -> Limiter:
    return Limiter(Limits(**limits), clock or asyncio.get_running_loop().time)


async def test_no_more_requests_are_in_flight_than_there_are_slots() -> None:
    limiter = make_limiter(concurrency=3)
    inside = peak = 0

    async def visit() -> None:
        nonlocal inside, peak
        permit = await limiter.acquire(1)
        inside += 1
        peak = max(peak, inside)
        await asyncio.sleep(0)
        inside -= 1
        limiter.release(permit, None)

    await asyncio.gather(*(visit() for _ in range(50)))
    assert peak == 3
    assert limiter.active == 0


async def test_who_waits_longest_passes_first() -> None:
    limiter = make_limiter(concurrency=1)
    first = await limiter.acquire(1)
    order: list[int] = []

    async def visit(number: int) -> None:
        permit = await limiter.acquire(1)
        order.append(number)
        limiter.release(permit, None)

    tasks = [asyncio.create_task(visit(number)) for number in range(5)]
    await asyncio.sleep(0)
    limiter.release(first, None)
    await asyncio.gather(*tasks)
    assert order == [0, 1, 2, 3, 4]


async def test_a_named_delay_holds_everybody_back() -> None:
    limiter = make_limiter(clock := Clock(), concurrency=10)
    permit = await limiter.acquire(1)
    limiter.release(permit, RateLimited("slow", status=429, retry_after=30))
    assert limiter.waiting_for() == 30
    waiting = asyncio.create_task(limiter.acquire(1))
    await asyncio.sleep(0)
    clock.now = 29.9
    limiter.wake()
    assert not waiting.done()
    clock.now = 30
    limiter.wake()
    limiter.release(await waiting, None)
    limiter.release(await limiter.acquire(1), None)


async def test_a_timer_wakes_the_first_in_line() -> None:
    limiter = make_limiter(concurrency=10)
    limiter.release(await limiter.acquire(1), RateLimited("slow", status=429, retry_after=0.02))
    limiter.release(await limiter.acquire(1), None)
    assert limiter.waiting_for() == 0


async def test_a_burst_of_refusals_halves_the_slots_once() -> None:
    limiter = make_limiter(concurrency=16)
    limiter.concurrency.slots = 16
    permits = [await limiter.acquire(1) for _ in range(16)]
    for permit in permits:
        limiter.release(permit, Overloaded("busy", status=503))
    assert limiter.slots == 8


async def test_a_quota_named_in_a_refusal_is_kept_from_then_on() -> None:
    limiter = make_limiter(clock := Clock(), concurrency=100)
    permit = await limiter.acquire(1)
    limiter.release(permit, RateLimited("slow", status=429, rpm=1200))
    for _ in range(4):  # the bucket is empty, and fills with 20 a second
        assert limiter.waiting_for() == pytest.approx(0.05, abs=0.001)
        clock.now += 0.0501
        limiter.release(await limiter.acquire(1), None)


async def test_the_limit_that_holds_requests_back_has_a_name() -> None:
    limiter = make_limiter(concurrency=100)
    assert (limiter.limit_reached(), limiter.rpm, limiter.tpm) == ("", None, None)
    permit = await limiter.acquire(1)
    limiter.release(permit, RateLimited("slow", status=429, rpm=1200, tpm=6000, retry_after=5.0))
    assert (limiter.limit_reached(), limiter.rpm, limiter.tpm) == ("1,200 requests/min", 1200, 6000)
    given = make_limiter(rpm=30)
    while not given.waiting_for():
        await given.acquire(1)
    assert (given.limit_reached(), given.rpm) == ("30 requests/min", 30)
    busy = make_limiter()
    busy.release(await busy.acquire(1), Overloaded("busy", status=503, retry_after=5.0))
    assert busy.limit_reached() == "the service is overloaded"


async def test_a_cancelled_request_leaves_no_slot_behind() -> None:
    limiter = make_limiter(concurrency=1)
    permit = await limiter.acquire(1)
    waiting = asyncio.create_task(limiter.acquire(1))
    await asyncio.sleep(0)
    limiter.release(permit, None)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert limiter.active == 0
    limiter.release(await limiter.acquire(1), None)


async def test_a_closed_limiter_refuses_everybody_but_those_in_flight() -> None:
    limiter = make_limiter(concurrency=1)
    permit = await limiter.acquire(1)
    waiting = asyncio.create_task(limiter.acquire(1))
    sleeping = asyncio.create_task(limiter.sleep(60))
    await asyncio.sleep(0)
    limiter.close()
    for task in (waiting, sleeping):
        with pytest.raises(NotRun):
            await task
    with pytest.raises(NotRun):
        await limiter.acquire(1)
    limiter.release(permit, None)
    assert limiter.active == 0


def dollars(amount: str) -> Amount:
    return Amount(Decimal(amount), 1, 1)


async def test_who_does_not_fit_the_budget_waits_for_what_is_in_flight_to_settle() -> None:
    limiter = Limiter(Limits(concurrency=8), asyncio.get_running_loop().time, BudgetMeter(Budget(dollars=Decimal(10))))
    limiter.concurrency.slots = 8
    permit = await limiter.acquire(1, lambda: dollars("8"))
    waiting = asyncio.create_task(limiter.acquire(1, lambda: dollars("5")))
    await asyncio.sleep(0)
    assert not waiting.done()
    limiter.release(permit, None, spent=dollars("1"))
    await waiting


async def test_a_budget_is_used_up_only_when_nothing_in_flight_can_give_back() -> None:
    limiter = Limiter(Limits(concurrency=8), asyncio.get_running_loop().time, BudgetMeter(Budget(dollars=Decimal(10))))
    limiter.release(await limiter.acquire(1, lambda: dollars("8")), None, spent=None)  # nobody knows: all of it counts
    with pytest.raises(BudgetExceeded, match=r"\$8\.0000 spent, the next request may take \$5\.0000"):
        await limiter.acquire(1, lambda: dollars("5"))
    await limiter.acquire(1, lambda: dollars("2"))
