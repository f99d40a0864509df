"""Leases without a cluster: several workers and one clock, all in one process."""

from __future__ import annotations

import asyncio
import itertools
import json
import math
import random
from collections import Counter
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extract import Budget, BudgetExceeded, Limits, RateLimited
from extract.distributed.budget_claims import Bid, LeasedPurse
from extract.distributed.quota import Leases, Report
from extract.distributed.worker_quota import LeasedThrottle, Leaseholder
from extract.errors import Denied, QuotaExhausted
from extract.limits.budget import Amount
from extract.limits.daily_quota import Day
from extract.limits.limiter import Limiter
from extract.limits.rate_limiter import Verdict

REFUSED = Verdict(refused=True)


NUMBERS = itertools.count()


def told(worker: str, **fields: Any) -> Report:
    """A report that is newer than all before it."""
    return Report(worker=worker, number=next(NUMBERS), **fields)


def asks(worker: str, requests: int, **more: Any) -> Report:
    return told(worker, sizes=(10,) * requests, waiting=requests, **more)


def test_without_a_quota_the_door_is_open() -> None:
    lease = Leases(Limits()).exchange(asks("a", 5), 0.0)
    assert lease.is_open
    assert lease.share == (math.inf,) * 3


@settings(max_examples=60, deadline=None)
@given(
    st.integers(60, 6_000),
    st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 300), st.floats(0, 2)), min_size=1, max_size=60),
)
def test_all_workers_together_keep_the_rate_of_one(rpm: int, visits: list[tuple[str, int, float]]) -> None:
    leases, now = Leases(Limits(rpm=rpm)), 0.0
    passed: Counter[str] = Counter()
    for worker, wanted, later in visits:
        now += later
        passed[worker] += leases.exchange(asks(worker, wanted, passed=passed[worker]), now).permits
        assert passed.total() <= rpm / 60 * (now + 0.5) + 1
    for worker, count in passed.items():
        leases.exchange(told(worker, passed=count), now)
    assert leases.requests == passed.total()


def test_permits_that_were_not_used_are_the_next_workers() -> None:
    leases = Leases(Limits(rpm=600))
    first = leases.exchange(asks("a", 100), 0.0)
    assert first.permits == 5  # half a second's worth
    assert leases.exchange(asks("b", 100), 0.0).permits == 0
    leases.exchange(told("a", passed=0, in_hand=0), 0.0)
    assert leases.exchange(asks("b", 100), 0.0).permits == 5


def test_a_refusal_that_one_worker_met_slows_all_down() -> None:
    leases = Leases(Limits())
    slower = Verdict(refused=True, rpm=600.0)
    leases.exchange(told("a", passed=30, tokens=300, replies=((0.1, slower),)), 1.0)
    lease = leases.exchange(asks("b", 1_000), 2.0)
    assert not lease.is_open
    assert 0 < lease.permits <= 10
    assert lease.share.per_second == pytest.approx(5.0, rel=0.1)  # two workers share ten a second


def test_a_delay_that_the_service_named_holds_for_all() -> None:
    leases = Leases(Limits())
    leases.exchange(told("a", replies=((0.1, Verdict(refused=True, pause=3.0)),)), 1.0)
    lease = leases.exchange(asks("b", 10), 2.0)
    assert (lease.permits, lease.is_open, lease.pause) == (0, False, 2.0)


def test_input_tokens_are_one_rate_for_all() -> None:
    leases = Leases(Limits(tpm=6_000))  # ten seconds may be saved up: 1,000 tokens
    assert leases.exchange(told("a", sizes=(400,) * 9), 0.0).permits == 3
    assert leases.exchange(told("b", sizes=(400,)), 0.0).permits == 0
    leases.exchange(told("a", passed=3, tokens=900), 0.0)  # 300 less than was estimated
    assert leases.exchange(told("b", sizes=(400,)), 0.0).permits == 1


def test_a_report_that_is_heard_twice_counts_once() -> None:
    leases, slower = Leases(Limits(rpm=600, tpm=60_000)), Verdict(refused=True, rpm=600.0)
    first = told("a", passed=3, in_hand=1, tokens=40, replies=((0.1, slower),) * 30)
    for _ in range(5):
        leases.exchange(first, 1.0)
    once = Leases(Limits(rpm=600, tpm=60_000))
    once.exchange(first, 1.0)
    assert leases.state(1.0) == once.state(1.0)
    assert leases.requests == 3
    assert leases.rates.delay(1.0) == once.rates.delay(1.0)


def test_what_a_report_told_whose_answer_was_lost_counts_once() -> None:
    leases, worker = Leases(Limits(rpm=600)), "a"
    leases.exchange(asks(worker, 5), 0.0)  # nobody hears of these five permits
    assert leases.exchange(asks("b", 5), 0.0).permits == 0
    assert leases.exchange(asks(worker, 3), 0.0).permits == 3
    assert leases.exchange(asks("b", 5), 0.0).permits == 2
    leases.exchange(told(worker, passed=3), 0.0)
    leases.exchange(told(worker, passed=3), 0.0)
    assert leases.requests == 3


def test_a_reply_that_was_told_twice_teaches_once() -> None:
    leases, once = Leases(Limits()), Leases(Limits())
    refused = (0.1, Verdict(refused=True, rpm=600.0))
    for each in (leases, once):
        each.exchange(told("a", passed=40, replies=(refused,)), 1.0)
    leases.exchange(told("a", passed=40, first_reply=0, replies=(refused, refused)), 2.0)  # the first was told before
    once.exchange(told("a", passed=40, first_reply=1, replies=(refused,)), 2.0)
    assert leases.rates.learned == once.rates.learned


NOON = 1_795_680_000.0 - 12 * 3_600  # of a day that ends at midnight, Pacific time


def test_the_daily_limit_is_that_of_all_workers_and_its_end_that_of_the_run() -> None:
    leases = Leases(Limits(rpd=10), day=Day.of(NOON, 4))
    assert leases.exchange(asks("a", 5), 0.0, NOON).permits == 5
    assert leases.exchange(asks("b", 5), 0.0, NOON).permits == 1
    assert leases.exchange(asks("b", 5, passed=1), 0.0, NOON).stop is None  # another may give permits back
    leases.exchange(told("a", passed=5), 0.1, NOON)
    assert leases.exchange(told("b", sizes=(10,), passed=1), 0.1, NOON).stop is None  # no request waits
    stop = leases.exchange(asks("b", 5, passed=1), 0.1, NOON).stop
    assert isinstance(stop, QuotaExhausted)
    assert "daily limit of 10 requests is used up" in str(stop)


def test_a_new_day_begins_anew() -> None:
    leases = Leases(Limits(rpd=10), day=Day.of(NOON, 4))
    assert leases.exchange(asks("a", 9), 0.0, NOON).permits == 6
    assert leases.exchange(asks("a", 9, passed=6), 60.0, NOON + 12 * 3_600 - 1).permits == 0
    leases.stopped = None
    assert leases.exchange(asks("a", 9, passed=6), 61.0, NOON + 12 * 3_600).permits == 9


def test_a_successor_and_workers_alone_keep_the_daily_limit() -> None:
    leases = Leases(Limits(rpd=10), day=Day.of(NOON, 1))
    leases.exchange(asks("b", 1), 0.0, NOON)
    share = leases.exchange(asks("a", 3), 0.0, NOON).share
    assert share.requests == 2.5  # of the five that are left
    throttle = LeasedThrottle(Limits(), lambda: None)
    throttle.go_alone(share, 0.0)
    for second in range(1, 9):
        if throttle.delay(second) <= 0:
            throttle.take(10, second)
    assert throttle.passed == 2
    successor = Leases(Limits(rpd=10), day=Day.of(NOON, 1))
    successor.resume(json.loads(json.dumps(leases.state(0.0))), 9.0)
    # Three with a's permits, and two alone; one of b's permits.
    assert successor.exchange(asks("a", 9, passed=5), 9.0, NOON).permits == 3


def test_a_late_report_that_a_successor_hears_first_opens_no_day_anew() -> None:
    leases, late = Leases(Limits(rpd=10), day=Day.of(NOON)), asks("a", 6)
    leases.exchange(late, 0.0, NOON)
    leases.exchange(asks("a", 4, passed=6), 0.0, NOON)
    successor = Leases(Limits(rpd=10), day=Day.of(NOON))
    successor.resume(json.loads(json.dumps(leases.state(0.0))), 9.0)
    assert successor.exchange(late, 9.0, NOON).permits == 0
    assert successor.exchange(asks("a", 4, passed=6), 9.1, NOON).permits == 4  # the others were lost on their way


def test_what_ends_the_run_for_one_ends_it_for_all_and_for_a_successor() -> None:
    leases = Leases(Limits())
    leases.exchange(told("a", stop=Denied("bad key")), 0.0)
    assert str(leases.exchange(asks("b", 1), 0.0).stop) == "bad key"
    successor = Leases(Limits())
    successor.resume(json.loads(json.dumps(leases.state(0.0))), 1.0)
    stop = successor.exchange(asks("b", 1), 1.0).stop
    assert (type(stop), str(stop)) == (Denied, "bad key")


@pytest.mark.parametrize("limits", [Limits(), Limits(rpd=100)])
def test_a_stop_is_promised_before_it_is_told(limits: Limits) -> None:
    leases = Leases(limits)
    before = leases.promised
    leases.exchange(told("a", stop=Denied("bad key")), 0.0)
    assert leases.promised != before


def money(dollars: str, requests: int = 1) -> Amount:
    return Amount(Decimal(dollars), 0, requests)


def bids(worker: str, **amounts: Amount) -> Report:
    return told(worker, bid=Bid(**amounts))


def test_claims_never_add_up_to_more_than_the_budget() -> None:
    leases = Leases(Limits(), Budget(dollars=Decimal(1)))
    first = leases.exchange(bids("a", wish=money("0.7"), least=money("0.1")), 0.0)
    second = leases.exchange(bids("b", wish=money("0.7"), least=money("0.1")), 0.0)
    assert (first.claim.dollars, second.claim.dollars) == (Decimal("0.7"), Decimal("0.3"))
    assert not second.is_final


def test_the_budget_is_used_up_only_once_nobody_can_give_anything_back() -> None:
    leases = Leases(Limits(), Budget(dollars=Decimal(1)))
    leases.exchange(bids("a", wish=money("1"), held=money("1")), 0.0)
    wants = {"wish": money("0.2"), "least": money("0.2")}
    assert not leases.exchange(bids("b", **wants), 0.0).is_final
    spent = money("0.9")
    leases.exchange(bids("a", wish=spent, held=spent, spent=spent, least=spent), 0.1)
    assert leases.exchange(bids("b", **wants), 0.2).is_final


def test_two_workers_that_both_need_more_do_not_wait_for_each_other() -> None:
    leases = Leases(Limits(), Budget(dollars=Decimal("0.15")))
    spent = money("0.05")
    wants = [Bid(wish=money("9"), held=spent, spent=spent, least=money("0.15"))] * 4
    answers = [leases.exchange(told(name, bid=want), 0.0).is_final for name, want in zip("abab", wants, strict=True)]
    assert answers[2:] == [True, True]


def test_what_a_lost_worker_had_claimed_counts_as_spent() -> None:
    leases = Leases(Limits(), Budget(dollars=Decimal(1)))
    leases.exchange(bids("lost", wish=money("0.4")), 0.0)
    lease = leases.exchange(bids("b", wish=money("1"), least=money("0.1")), 60.0)
    assert lease.claim.dollars == Decimal("0.6")
    assert leases.exchange(bids("b", wish=money("1"), least=money("1")), 60.0).is_final


def test_a_claim_that_a_worker_still_holds_is_not_granted_to_another() -> None:
    """The first needs more than there is, and has not heard yet that it gets nothing: it may still use its claim."""
    leases = Leases(Limits(), Budget(dollars=Decimal(10)))
    assert leases.exchange(bids("a", wish=money("8")), 0.0).claim == money("8")
    leases.exchange(bids("a", held=money("8"), wish=money("12"), least=money("12")), 0.1)
    assert leases.exchange(bids("b", wish=money("4")), 0.2).claim.dollars == 2


def test_a_successor_keeps_the_claims_and_the_rate_and_saves_nothing_up() -> None:
    leases = Leases(Limits(), Budget(dollars=Decimal(1)))
    refused = Verdict(refused=True, rpm=600.0)
    leases.exchange(told("a", passed=30, tokens=300, replies=((0.1, refused),)), 1.0)
    leases.exchange(told("a", passed=30, tokens=300, bid=Bid(wish=money("0.4"))), 1.0)
    successor = Leases(Limits(), Budget(dollars=Decimal(1)))
    successor.resume(json.loads(json.dumps(leases.state(1.0))), 50.0)
    assert successor.claims.granted == leases.claims.granted
    assert successor.requests == leases.requests
    assert successor.rates.learned == pytest.approx(10.0, rel=0.05)
    assert successor.exchange(asks("b", 1_000), 50.0).permits == 0
    later = passed = 0
    for tick in range(1, 31):
        later += successor.exchange(asks("b", 1_000, passed=passed), 50.0 + tick / 10).permits
        passed = later
    assert 27 <= later <= 31  # three seconds at ten a second


class World:
    """Workers with purses, one budget, and a network that loses, delays and repeats what is said."""

    def __init__(self, budget: Budget) -> None:
        self.budget, self.leases, self.now, self.dead = budget, Leases(Limits(), budget), 0.0, Amount()
        self.purses: dict[str, tuple[str, LeasedPurse]] = {}
        self.reports: list[Report] = []

    def act(self, who: str, act: str, chance: random.Random) -> None:
        self.now += 0.1
        worst = money(str(chance.randint(5, 45) / 100))
        name, purse = self.purses.setdefault(who, (f"{who}{self.now}", LeasedPurse(self.budget, lambda: None)))
        if act == "ask" and purse.fits(worst):
            purse.reserve(worst)
        elif act == "answer" and purse.reserved.requests:
            settled = Amount(purse.reserved.dollars / purse.reserved.requests, 0, 1)
            purse.settle(settled, Amount(settled.dollars * chance.choice((0, 0, Decimal("0.1"))), 0, 1))
        elif act == "die":
            self.dead += purse.used
            del self.purses[who]
        elif act == "restart":
            state = json.loads(json.dumps(self.leases.state(self.now)))
            self.leases = Leases(Limits(), self.budget)
            self.leases.resume(state, self.now)
        elif act == "again" and self.reports:
            self.leases.exchange(chance.choice(self.reports[-6:]), self.now)
        elif act in ("exchange", "unanswered", "unheard"):
            self.exchange(name, purse, act, chance.randint(0, 3))

    def exchange(self, name: str, purse: LeasedPurse, act: str, requests: int) -> None:
        report = told(name, bid=purse.bid(requests))
        self.reports.append(report)
        if act == "unheard":  # unless it is heard later
            return
        lease = self.leases.exchange(report, self.now)
        if act == "exchange":
            purse.grant(lease.claim, is_final=lease.is_final)

    @property
    def used(self) -> Decimal:
        return sum((purse.used.dollars for _, purse in self.purses.values()), self.dead.dollars)


ACTS = {"ask": 8, "answer": 6, "exchange": 6, "unanswered": 2, "unheard": 2, "again": 3, "restart": 1, "die": 0.1}


@pytest.mark.parametrize("seed", range(60))
def test_whatever_is_lost_or_repeated_the_budget_is_not_passed(seed: int) -> None:
    chance = random.Random(seed)
    world = World(Budget(dollars=Decimal(1)))
    for _ in range(200):
        who, (act,) = chance.choice("ab"), chance.choices(list(ACTS), list(ACTS.values()))
        world.act(who, act, chance)
        assert world.used <= 1


def holder(name: str = "a", budget: Budget | None = None, **limits: float) -> Leaseholder:
    """A worker with a gate of its own, and no wish to be woken."""
    throttle = LeasedThrottle(Limits(), lambda: None)
    purse = None if budget is None else LeasedPurse(budget, lambda: None)
    clock = asyncio.get_running_loop().time
    return Leaseholder(name, Limiter(Limits(**limits), clock, purse, rate_limit=throttle), throttle, purse)


def exchange(leases: Leases, worker: Leaseholder, now: float, times: int = 1) -> None:
    for _ in range(times):
        report = worker.report(now)
        worker.accept(leases.exchange(report, now), report, now)


async def test_a_request_waits_for_its_permit() -> None:
    leases, worker = Leases(Limits(rpm=600)), holder()
    entering = asyncio.create_task(worker.gate.acquire(10))
    await asyncio.sleep(0)
    assert not entering.done()
    exchange(leases, worker, asyncio.get_running_loop().time())
    permit = await asyncio.wait_for(entering, 1)
    worker.gate.release(permit, None)
    exchange(leases, worker, asyncio.get_running_loop().time())
    assert leases.requests == 1


async def test_what_was_reported_is_not_reported_again() -> None:
    leases, worker = Leases(Limits()), holder()
    now = asyncio.get_running_loop().time()
    exchange(leases, worker, now)
    worker.gate.release(await worker.gate.acquire(10), RateLimited("slow", status=429, rpm=600.0))
    report = worker.report(now)
    assert (report.passed, report.tokens) == (1, 10)
    assert [verdict for _, verdict in report.replies] == [Verdict(True, 600.0)]
    exchange(leases, worker, now)
    assert worker.report(now).replies == ()
    assert leases.requests == 1


async def test_a_worker_that_never_had_a_lease_waits_for_the_first() -> None:
    worker, now = holder(), 100.0
    worker.lost(now)
    assert worker.throttle.delay(now + 60) > 0
    exchange(Leases(Limits(rpm=600)), worker, now + 60)
    worker.lost(now + 60)
    assert worker.throttle.delay(now + 61) <= 0


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(["exchange", "unanswered", "unheard", "again", "pass"]), max_size=60))
def test_whatever_is_lost_or_repeated_each_request_counts_once(acts: list[str]) -> None:
    asyncio.run(passed_and_counted(acts))


async def passed_and_counted(acts: list[str]) -> None:
    leases, worker, now, reports = Leases(Limits(rpm=6_000)), holder(concurrency=64), 100.0, []
    for act in acts:
        now += 0.05
        if act == "pass":
            while worker.throttle.permits:
                worker.throttle.take(10, now)
            continue
        report = reports[len(reports) // 2] if act == "again" and reports else worker.report(now)
        report = replace(report, sizes=(10,) * 5)
        reports.append(report)
        if act != "unheard":
            lease = leases.exchange(report, now)
            if act == "exchange":
                worker.accept(lease, report, now)
    exchange(leases, worker, now)
    exchange(leases, worker, now)
    assert leases.requests == worker.throttle.passed
    (counted,) = leases.state(now)["workers"].values()
    assert counted == [
        worker.throttle.passed,
        worker.throttle.passed + len(worker.throttle.permits),
        worker.throttle.tokens,
    ]


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
    first, second = (asyncio.create_task(worker.gate.acquire(1, lambda: money("0.10"))) for worker in (one, other))
    await asyncio.sleep(0)
    exchange(leases, one, clock(), times=3)
    exchange(leases, other, clock(), times=3)
    permit = await asyncio.wait_for(first, 1)
    assert not second.done()
    one.gate.release(permit, None, spent=money("0.02"))
    exchange(leases, one, clock(), times=2)
    exchange(leases, other, clock(), times=2)
    assert (await asyncio.wait_for(second, 1)).reserved == money("0.10")


async def test_the_end_of_the_budget_is_told_to_who_waits() -> None:
    budget = Budget(dollars=Decimal("0.05"))
    leases, worker = Leases(Limits(), budget), holder("a", budget)
    entering = asyncio.create_task(worker.gate.acquire(1, lambda: money("0.10")))
    await asyncio.sleep(0)
    exchange(leases, worker, asyncio.get_running_loop().time(), times=3)
    with pytest.raises(BudgetExceeded, match=r"\$0\.0500 \(--budget\) is used up"):
        await asyncio.wait_for(entering, 1)
