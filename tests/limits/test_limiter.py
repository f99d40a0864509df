from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest
from clocks import virtual_time

from extract import Budget, BudgetExceeded, Limits, NotRun, Overloaded, RateLimited
from extract.limits.budget import Amount, Purse
from extract.limits.limiter import Gate


def gate(**limits: float) -> Gate:
    return Gate(Limits(**limits), asyncio.get_running_loop().time)


async def test_no_more_are_inside_than_there_are_slots() -> None:
    door = gate(concurrency=3)
    inside = peak = 0

    async def visit() -> None:
        nonlocal inside, peak
        ticket = await door.enter(1)
        inside += 1
        peak = max(peak, inside)
        await asyncio.sleep(0)
        inside -= 1
        door.leave(ticket, None)

    await asyncio.gather(*(visit() for _ in range(50)))
    assert peak == 3
    assert door.active == 0


async def test_who_waits_longest_enters_first() -> None:
    door = gate(concurrency=1)
    first = await door.enter(1)
    order: list[int] = []

    async def visit(number: int) -> None:
        ticket = await door.enter(1)
        order.append(number)
        door.leave(ticket, None)

    tasks = [asyncio.create_task(visit(number)) for number in range(5)]
    await asyncio.sleep(0)
    door.leave(first, None)
    await asyncio.gather(*tasks)
    assert order == [0, 1, 2, 3, 4]


@virtual_time
async def test_a_named_delay_holds_everybody_back() -> None:
    door = gate(concurrency=10)
    ticket = await door.enter(1)
    started = asyncio.get_running_loop().time()
    door.leave(ticket, RateLimited("slow", status=429, retry_after=0.05))
    assert 0.04 < door.waiting_for() <= 0.05
    for _ in range(2):
        door.leave(await door.enter(1), None)
    assert asyncio.get_running_loop().time() - started == pytest.approx(0.05, abs=0.002)


async def test_a_burst_of_refusals_halves_the_slots_once() -> None:
    door = gate(concurrency=16)
    door.limit.slots = 16
    tickets = [await door.enter(1) for _ in range(16)]
    for ticket in tickets:
        door.leave(ticket, Overloaded("busy", status=503))
    assert door.slots == 8


@virtual_time
async def test_a_quota_named_in_a_refusal_is_kept_from_then_on() -> None:
    door = gate(concurrency=100)
    ticket = await door.enter(1)
    door.leave(ticket, RateLimited("slow", status=429, rpm=1200))
    started = asyncio.get_running_loop().time()
    for _ in range(4):  # the bucket was empty, and fills with 20 a second
        door.leave(await door.enter(1), None)
    assert asyncio.get_running_loop().time() - started == pytest.approx(0.2, abs=0.01)


async def test_the_limit_that_holds_requests_back_has_a_name() -> None:
    door = gate(concurrency=100)
    assert (door.limit_reached(), door.rpm, door.tpm) == ("", None, None)
    ticket = await door.enter(1)
    door.leave(ticket, RateLimited("slow", status=429, rpm=1200, tpm=6000, retry_after=5.0))
    assert (door.limit_reached(), door.rpm, door.tpm) == ("1,200 requests/min", 1200, 6000)
    given = gate(rpm=30)
    while not given.waiting_for():
        await given.enter(1)
    assert (given.limit_reached(), given.rpm) == ("30 requests/min", 30)
    busy = gate()
    busy.leave(await busy.enter(1), Overloaded("busy", status=503, retry_after=5.0))
    assert busy.limit_reached() == "the service is overloaded"


async def test_a_cancelled_visitor_leaves_no_slot_behind() -> None:
    door = gate(concurrency=1)
    ticket = await door.enter(1)
    waiting = asyncio.create_task(door.enter(1))
    await asyncio.sleep(0)
    door.leave(ticket, None)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert door.active == 0
    door.leave(await door.enter(1), None)


async def test_a_closed_gate_sends_everybody_home_but_those_inside() -> None:
    door = gate(concurrency=1)
    ticket = await door.enter(1)
    waiting = asyncio.create_task(door.enter(1))
    sleeping = asyncio.create_task(door.sleep(60))
    await asyncio.sleep(0)
    door.close()
    for task in (waiting, sleeping):
        with pytest.raises(NotRun):
            await task
    with pytest.raises(NotRun):
        await door.enter(1)
    door.leave(ticket, None)
    assert door.active == 0


def dollars(amount: str) -> Amount:
    return Amount(Decimal(amount), 1, 1)


async def test_who_does_not_fit_the_budget_waits_for_what_is_in_flight_to_settle() -> None:
    door = Gate(Limits(concurrency=8), asyncio.get_running_loop().time, Purse(Budget(dollars=Decimal(10))))
    door.limit.slots = 8
    ticket = await door.enter(1, lambda: dollars("8"))
    waiting = asyncio.create_task(door.enter(1, lambda: dollars("5")))
    await asyncio.sleep(0)
    assert not waiting.done()
    door.leave(ticket, None, spent=dollars("1"))
    await waiting


async def test_a_budget_is_used_up_only_when_nothing_in_flight_can_give_back() -> None:
    door = Gate(Limits(concurrency=8), asyncio.get_running_loop().time, Purse(Budget(dollars=Decimal(10))))
    door.leave(await door.enter(1, lambda: dollars("8")), None, spent=None)  # nobody knows: all of it counts
    with pytest.raises(BudgetExceeded, match=r"\$8\.0000 spent, the next request may take \$5\.0000"):
        await door.enter(1, lambda: dollars("5"))
    await door.enter(1, lambda: dollars("2"))
