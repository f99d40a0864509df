"""Leases without a cluster: several workers and one clock, all in one process."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extract import Budget, BudgetExceeded, Limits, RateLimited
from extract.budget import Amount
from extract.errors import Denied
from extract.gate import Gate
from extract.leased import LeasedPurse, LeasedThrottle, Leaseholder
from extract.leases import Leases, Report
from extract.rates import Verdict

REFUSED = Verdict(refused=True)


def asks(worker: str, requests: int, **more: object) -> Report:
    return Report(worker=worker, sizes=(10,) * requests, **more)  # type: ignore[arg-type]


def test_without_a_quota_the_door_is_open() -> None:
    lease = Leases(Limits()).exchange(asks("a", 5), 0.0)
    assert lease.is_open
    assert lease.share == float("inf")


@settings(max_examples=60, deadline=None)
@given(
    st.integers(60, 6_000),
    st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 300), st.floats(0, 2)), min_size=1, max_size=60),
)
def test_all_workers_together_keep_the_rate_of_one(rpm: int, visits: list[tuple[str, int, float]]) -> None:
    leases, now, granted = Leases(Limits(rpm=rpm)), 0.0, 0
    for worker, wanted, later in visits:
        now += later
        granted += leases.exchange(asks(worker, wanted), now).permits
        assert granted <= rpm / 60 * (now + 0.5) + 1
    assert leases.requests == granted


def test_permits_that_were_not_used_are_the_next_workers() -> None:
    leases = Leases(Limits(rpm=600))
    first = leases.exchange(asks("a", 100), 0.0)
    assert first.permits == 5  # half a second's worth
    assert leases.exchange(asks("b", 100), 0.0).permits == 0
    leases.exchange(Report(worker="a", unused=(10,) * 5), 0.0)
    assert leases.exchange(asks("b", 100), 0.0).permits == 5
    assert leases.requests == 5


def test_a_refusal_that_one_worker_met_slows_all_down() -> None:
    leases = Leases(Limits())
    told = Verdict(refused=True, rpm=600.0)
    leases.exchange(Report(worker="a", taken=(10,) * 30, replies=((0.1, told),)), 1.0)
    lease = leases.exchange(asks("b", 1_000), 2.0)
    assert not lease.is_open
    assert 0 < lease.permits <= 10
    assert lease.share == pytest.approx(5.0, rel=0.1)  # two workers share ten a second


def test_a_delay_that_the_service_named_holds_for_all() -> None:
    leases = Leases(Limits())
    leases.exchange(Report(worker="a", replies=((0.1, Verdict(refused=True, pause=3.0)),)), 1.0)
    lease = leases.exchange(asks("b", 10), 2.0)
    assert (lease.permits, lease.is_open, lease.pause) == (0, False, 2.0)


def test_input_tokens_are_one_rate_for_all() -> None:
    leases = Leases(Limits(tpm=6_000))  # ten seconds may be saved up: 1,000 tokens
    assert leases.exchange(Report(worker="a", sizes=(400,) * 9), 0.0).permits == 3
    assert leases.exchange(Report(worker="b", sizes=(400,)), 0.0).permits == 0
    leases.exchange(Report(worker="a", more_tokens=-300), 0.0)
    assert leases.exchange(Report(worker="b", sizes=(400,)), 0.0).permits == 1


def test_the_daily_limit_ends_in_an_open_door_where_each_is_told_that_the_day_is_over() -> None:
    leases = Leases(Limits(rpd=10), sent_today=4)
    assert leases.exchange(asks("a", 5), 0.0).permits == 5
    assert leases.exchange(asks("b", 5), 0.0).permits == 1
    last = leases.exchange(asks("b", 5), 0.0)
    assert (last.is_open, last.sent_today) == (True, 10)


def test_what_ends_the_run_for_one_ends_it_for_all() -> None:
    leases = Leases(Limits())
    leases.exchange(Report(worker="a", stop=Denied("bad key")), 0.0)
    assert str(leases.exchange(asks("b", 1), 0.0).stop) == "bad key"


def money(dollars: str, requests: int = 1) -> Amount:
    return Amount(Decimal(dollars), 0, requests)


def test_claims_never_add_up_to_more_than_the_budget() -> None:
    leases = Leases(Limits(), Budget(dollars=Decimal(1)))
    first = leases.exchange(Report(worker="a", wish=money("0.7"), least=money("0.1")), 0.0)
    second = leases.exchange(Report(worker="b", wish=money("0.7"), least=money("0.1")), 0.0)
    assert (first.claim.dollars, second.claim.dollars) == (Decimal("0.7"), Decimal("0.3"))
    assert not second.is_final


def test_the_budget_is_used_up_only_once_nobody_can_give_anything_back() -> None:
    leases = Leases(Limits(), Budget(dollars=Decimal(1)))
    leases.exchange(Report(worker="a", wish=money("1"), used=money("1")), 0.0)
    wants = Report(worker="b", wish=money("0.2"), least=money("0.2"))
    assert not leases.exchange(wants, 0.0).is_final
    spent = money("0.9")
    leases.exchange(Report(worker="a", wish=spent, used=spent, spent=spent, least=spent), 0.1)
    assert leases.exchange(wants, 0.2).is_final


def test_two_workers_that_both_need_more_do_not_wait_for_each_other() -> None:
    leases = Leases(Limits(), Budget(dollars=Decimal("0.15")))
    spent = money("0.05")
    wants = [Report(worker=name, wish=money("9"), used=spent, spent=spent, least=money("0.15")) for name in "ab"]
    answers = [leases.exchange(want, 0.0).is_final for want in wants * 2]
    assert answers[2:] == [True, True]


def test_what_a_lost_worker_had_claimed_counts_as_spent() -> None:
    leases = Leases(Limits(), Budget(dollars=Decimal(1)))
    leases.exchange(Report(worker="lost", wish=money("0.4")), 0.0)
    lease = leases.exchange(Report(worker="b", wish=money("1"), least=money("0.1")), 60.0)
    assert lease.claim.dollars == Decimal("0.6")
    assert leases.exchange(Report(worker="b", wish=money("1"), least=money("1")), 60.0).is_final


def test_a_successor_keeps_the_claims_and_the_rate_and_saves_nothing_up() -> None:
    leases = Leases(Limits(), Budget(dollars=Decimal(1)))
    leases.exchange(Report(worker="a", taken=(10,) * 30, replies=((0.1, Verdict(refused=True, rpm=600.0)),)), 1.0)
    leases.exchange(Report(worker="a", wish=money("0.4")), 1.0)
    successor = Leases(Limits(), Budget(dollars=Decimal(1)))
    successor.resume(json.loads(json.dumps(leases.state(1.0))), 50.0)
    assert successor.claimed == leases.claimed
    assert successor.requests == leases.requests
    assert successor.rates.learned == pytest.approx(10.0, rel=0.05)
    assert successor.exchange(asks("b", 1_000), 50.0).permits == 0
    later = sum(successor.exchange(asks("b", 1_000), 50.0 + tick / 10).permits for tick in range(1, 31))
    assert 27 <= later <= 31  # three seconds at ten a second


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from(["ask", "answer", "exchange", "die", "restart"])),
        max_size=120,
    ),
    st.integers(0, 10),
)
def test_whatever_dies_the_budget_is_not_passed(acts: list[tuple[str, str]], cents: int) -> None:
    budget = Budget(dollars=Decimal(1))
    leases, now, dead = Leases(Limits(), budget), 0.0, Amount()
    purses: dict[str, tuple[str, LeasedPurse]] = {}
    worst = money("0.10")
    for number, (who, act) in enumerate(acts):
        now += 0.1
        name, purse = purses.setdefault(who, (f"{who}{number}", LeasedPurse(budget, lambda: None)))
        if act == "ask" and purse.fits(worst):
            purse.reserve(worst)
        elif act == "answer" and purse.reserved.requests:
            purse.settle(worst, Amount(Decimal(cents) / 100, 0, 1))
        elif act == "die":
            dead += purse.used
            del purses[who]
        elif act == "restart":
            state = leases.state(now)
            leases = Leases(Limits(), budget)
            leases.resume(json.loads(json.dumps(state)), now)
        elif act == "exchange":
            wish = purse.used + worst
            purse.claim = min(purse.claim, wish, key=lambda amount: amount.dollars)
            told = Report(worker=name, used=purse.used, spent=purse.spent, wish=wish, least=wish)
            purse.claim = leases.exchange(told, now).claim
        assert sum((one.used.dollars for _, one in purses.values()), dead.dollars) <= 1


def holder(name: str = "a", budget: Budget | None = None, **limits: float) -> Leaseholder:
    """A worker with a gate of its own, and no wish to be woken."""
    throttle = LeasedThrottle(Limits(), lambda: None)
    purse = None if budget is None else LeasedPurse(budget, lambda: None)
    clock = asyncio.get_running_loop().time
    return Leaseholder(name, Gate(Limits(**limits), clock, purse, throttle=throttle), throttle, purse)


def exchange(leases: Leases, worker: Leaseholder, now: float, times: int = 1) -> None:
    for _ in range(times):
        report = worker.report(now)
        worker.accept(leases.exchange(report, now), report, now)


async def test_a_request_waits_for_its_permit() -> None:
    leases, worker = Leases(Limits(rpm=600)), holder()
    entering = asyncio.create_task(worker.gate.enter(10))
    await asyncio.sleep(0)
    assert not entering.done()
    exchange(leases, worker, asyncio.get_running_loop().time())
    ticket = await asyncio.wait_for(entering, 1)
    worker.gate.leave(ticket, None)
    assert leases.requests == 1


async def test_what_was_reported_is_not_reported_again() -> None:
    leases, worker = Leases(Limits()), holder()
    now = asyncio.get_running_loop().time()
    exchange(leases, worker, now)
    worker.gate.leave(await worker.gate.enter(10), RateLimited("slow", status=429, rpm=600.0))
    told = worker.report(now)
    assert told.taken == (10,)
    assert [verdict for _, verdict in told.replies] == [Verdict(True, 600.0)]
    exchange(leases, worker, now)
    assert worker.report(now).taken == worker.report(now).replies == ()


async def test_workers_go_on_at_their_shares_while_nobody_grants_permits() -> None:
    leases, now = Leases(Limits(rpm=1_200)), 100.0
    workers = [holder("a"), holder("b")]
    for worker in workers * 2:  # the second round knows that they are two
        exchange(leases, worker, now)
    passed = 0
    for worker in workers:
        worker.lost(now)
    for tick in range(1_000):
        for worker in workers:
            while worker.throttle.delay(now + tick / 100) <= 0:
                worker.throttle.take(10, now + tick / 100)
                passed += 1
    assert 190 <= passed <= 205  # ten seconds at twenty a second, for both together


async def test_what_was_sent_alone_is_paid_off_afterwards() -> None:
    leases, worker, now = Leases(Limits(rpm=600)), holder(), 100.0
    exchange(leases, worker, now)
    worker.lost(now)
    for _ in range(20):
        worker.throttle.take(10, now + 2)
    exchange(leases, worker, now + 2)
    assert leases.requests == 20
    assert leases.exchange(asks("b", 100), now + 3).permits == 0
    assert leases.exchange(asks("b", 100), now + 4).permits > 0


async def test_a_request_waits_for_money_that_another_may_give_back() -> None:
    budget = Budget(dollars=Decimal("0.15"))
    leases, one, other = Leases(Limits(), budget), holder("a", budget), holder("b", budget)
    clock = asyncio.get_running_loop().time
    first, second = (asyncio.create_task(worker.gate.enter(1, lambda: money("0.10"))) for worker in (one, other))
    await asyncio.sleep(0)
    exchange(leases, one, clock(), times=3)
    exchange(leases, other, clock(), times=3)
    ticket = await asyncio.wait_for(first, 1)
    assert not second.done()
    one.gate.leave(ticket, None, spent=money("0.02"))
    exchange(leases, one, clock(), times=2)
    exchange(leases, other, clock(), times=2)
    assert (await asyncio.wait_for(second, 1)).reserved == money("0.10")


async def test_the_end_of_the_budget_is_told_to_who_waits() -> None:
    budget = Budget(dollars=Decimal("0.05"))
    leases, worker = Leases(Limits(), budget), holder("a", budget)
    entering = asyncio.create_task(worker.gate.enter(1, lambda: money("0.10")))
    await asyncio.sleep(0)
    exchange(leases, worker, asyncio.get_running_loop().time(), times=3)
    with pytest.raises(BudgetExceeded, match=r"\$0\.0500 \(--budget\) is used up"):
        await asyncio.wait_for(entering, 1)
