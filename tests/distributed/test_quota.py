"""The quota of a cluster, without a cluster: several workers and one clock, all in one process."""

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
from extract.distributed.budget_claims import Claim, ClaimedBudgetMeter
from extract.distributed.quota import ClusterQuota, WorkerReport
from extract.distributed.worker_quota import GrantedRateLimit, WorkerQuota
from extract.errors import Denied, QuotaExhausted
from extract.limits.budget import Amount
from extract.limits.daily_quota import Day
from extract.limits.limiter import Limiter
from extract.limits.rate_limiter import Verdict

REFUSED = Verdict(refused=True)


NUMBERS = itertools.count()


def report_of(worker: str, **fields: Any) -> WorkerReport:
    """Return a report that is newer than all before it."""
    return WorkerReport(worker=worker, number=next(NUMBERS), **fields)


def request_for(worker: str, requests: int, **more: Any) -> WorkerReport:
    return report_of(worker, sizes=(10,) * requests, waiting=requests, **more)


def test_without_a_quota_all_requests_may_pass() -> None:
    grant = ClusterQuota(Limits()).exchange(request_for("a", 5), 0.0)
    assert grant.is_open
    assert grant.share == (math.inf,) * 3


@settings(max_examples=60, deadline=None)
@given(
    st.integers(60, 6_000),
    st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 300), st.floats(0, 2)), min_size=1, max_size=60),
)
def test_all_workers_together_keep_the_rate_of_one(rpm: int, visits: list[tuple[str, int, float]]) -> None:
    quota, now = ClusterQuota(Limits(rpm=rpm)), 0.0
    sent: Counter[str] = Counter()
    for worker, wanted, later in visits:
        now += later
        sent[worker] += quota.exchange(request_for(worker, wanted, sent=sent[worker]), now).permits
        assert sent.total() <= rpm / 60 * (now + 0.5) + 1
    for worker, count in sent.items():
        quota.exchange(report_of(worker, sent=count), now)
    assert quota.requests == sent.total()


def test_permits_that_were_not_used_are_the_next_workers() -> None:
    quota = ClusterQuota(Limits(rpm=600))
    first = quota.exchange(request_for("a", 100), 0.0)
    assert first.permits == 5  # half a second's worth
    assert quota.exchange(request_for("b", 100), 0.0).permits == 0
    quota.exchange(report_of("a", sent=0, unused_permits=0), 0.0)
    assert quota.exchange(request_for("b", 100), 0.0).permits == 5


def test_a_refusal_that_one_worker_met_slows_all_down() -> None:
    quota = ClusterQuota(Limits())
    slower = Verdict(refused=True, rpm=600.0)
    quota.exchange(report_of("a", sent=30, tokens=300, replies=((0.1, slower),)), 1.0)
    grant = quota.exchange(request_for("b", 1_000), 2.0)
    assert not grant.is_open
    assert 0 < grant.permits <= 10
    assert grant.share.per_second == pytest.approx(5.0, rel=0.1)  # two workers share ten a second


def test_a_delay_that_the_service_named_holds_for_all() -> None:
    quota = ClusterQuota(Limits())
    quota.exchange(report_of("a", replies=((0.1, Verdict(refused=True, pause=3.0)),)), 1.0)
    grant = quota.exchange(request_for("b", 10), 2.0)
    assert (grant.permits, grant.is_open, grant.pause) == (0, False, 2.0)


def test_a_delay_that_was_for_one_request_ends_for_all_workers_once_others_are_let_in() -> None:
    quota, here = ClusterQuota(Limits()), GrantedRateLimit(Limits(), lambda: None)
    refused, fine = Verdict(refused=True, pause=30.0), Verdict()
    here.note(0.1, 1.0, refused)
    quota.exchange(report_of("a", replies=((0.9, refused),)), 1.0)
    assert here.paused_until == 31.0
    for sent_at in (0.2, 0.3, 0.4):
        here.note(sent_at, 1.1, fine)
    report = report_of("a", sizes=(10,), first_reply=1, replies=((0.9, fine), (0.8, fine), (0.7, fine)))
    grant = quota.exchange(report, 1.1)
    here.accept(grant, report, 1.1)
    assert (grant.pause, here.paused_until) == (0.0, 1.1)


def test_input_tokens_are_one_rate_for_all() -> None:
    quota = ClusterQuota(Limits(tpm=6_000))  # ten seconds may be saved up: 1,000 tokens
    assert quota.exchange(report_of("a", sizes=(400,) * 9), 0.0).permits == 3
    assert quota.exchange(report_of("b", sizes=(400,)), 0.0).permits == 0
    quota.exchange(report_of("a", sent=3, tokens=900), 0.0)  # 300 less than was estimated
    assert quota.exchange(report_of("b", sizes=(400,)), 0.0).permits == 1


def test_a_report_that_arrives_twice_counts_once() -> None:
    quota, slower = ClusterQuota(Limits(rpm=600, tpm=60_000)), Verdict(refused=True, rpm=600.0)
    first = report_of("a", sent=3, unused_permits=1, tokens=40, replies=((0.1, slower),) * 30)
    for _ in range(5):
        quota.exchange(first, 1.0)
    once = ClusterQuota(Limits(rpm=600, tpm=60_000))
    once.exchange(first, 1.0)
    assert quota.state(1.0) == once.state(1.0)
    assert quota.requests == 3
    assert quota.rates.delay(1.0) == once.rates.delay(1.0)


def test_a_report_whose_reply_was_lost_counts_once() -> None:
    quota, worker = ClusterQuota(Limits(rpm=600)), "a"
    quota.exchange(request_for(worker, 5), 0.0)  # the reply with these five permits is lost
    assert quota.exchange(request_for("b", 5), 0.0).permits == 0
    assert quota.exchange(request_for(worker, 3), 0.0).permits == 3
    assert quota.exchange(request_for("b", 5), 0.0).permits == 2
    quota.exchange(report_of(worker, sent=3), 0.0)
    quota.exchange(report_of(worker, sent=3), 0.0)
    assert quota.requests == 3


def test_a_reply_that_is_reported_twice_teaches_once() -> None:
    quota, once = ClusterQuota(Limits()), ClusterQuota(Limits())
    refused = (0.1, Verdict(refused=True, rpm=600.0))
    for each in (quota, once):
        each.exchange(report_of("a", sent=40, replies=(refused,)), 1.0)
    quota.exchange(
        report_of("a", sent=40, first_reply=0, replies=(refused, refused)), 2.0
    )  # the first was reported before
    once.exchange(report_of("a", sent=40, first_reply=1, replies=(refused,)), 2.0)
    assert quota.rates.learned == once.rates.learned


NOON = 1_795_680_000.0 - 12 * 3_600  # of a day that ends at midnight, Pacific time


def test_the_daily_limit_is_that_of_all_workers_and_its_end_that_of_the_run() -> None:
    quota = ClusterQuota(Limits(rpd=10), day=Day.of(NOON, 4))
    assert quota.exchange(request_for("a", 5), 0.0, NOON).permits == 5
    assert quota.exchange(request_for("b", 5), 0.0, NOON).permits == 1
    assert quota.exchange(request_for("b", 5, sent=1), 0.0, NOON).stop is None  # another may give permits back
    quota.exchange(report_of("a", sent=5), 0.1, NOON)
    assert quota.exchange(report_of("b", sizes=(10,), sent=1), 0.1, NOON).stop is None  # no request waits
    stop = quota.exchange(request_for("b", 5, sent=1), 0.1, NOON).stop
    assert isinstance(stop, QuotaExhausted)
    assert "daily limit of 10 requests is used up" in str(stop)


def test_a_new_day_begins_anew() -> None:
    quota = ClusterQuota(Limits(rpd=10), day=Day.of(NOON, 4))
    assert quota.exchange(request_for("a", 9), 0.0, NOON).permits == 6
    assert quota.exchange(request_for("a", 9, sent=6), 60.0, NOON + 12 * 3_600 - 1).permits == 0
    quota.stopped = None
    assert quota.exchange(request_for("a", 9, sent=6), 61.0, NOON + 12 * 3_600).permits == 9


def test_a_successor_and_workers_on_their_fallback_shares_keep_the_daily_limit() -> None:
    quota = ClusterQuota(Limits(rpd=10), day=Day.of(NOON, 1))
    quota.exchange(request_for("b", 1), 0.0, NOON)
    share = quota.exchange(request_for("a", 3), 0.0, NOON).share
    assert share.requests == 2.5  # of the five that are left
    rate_limit = GrantedRateLimit(Limits(), lambda: None)
    rate_limit.use_fallback_share(share, 0.0)
    for second in range(1, 9):
        if rate_limit.delay(second) <= 0:
            rate_limit.take(10, second)
    assert rate_limit.sent == 2
    successor = ClusterQuota(Limits(rpd=10), day=Day.of(NOON, 1))
    successor.resume(json.loads(json.dumps(quota.state(0.0))), 9.0)
    # Three with a's permits, and two on its share; one of b's permits.
    assert successor.exchange(request_for("a", 9, sent=5), 9.0, NOON).permits == 3


def test_a_late_report_that_reaches_a_successor_first_frees_nothing_of_the_day() -> None:
    quota, late = ClusterQuota(Limits(rpd=10), day=Day.of(NOON)), request_for("a", 6)
    quota.exchange(late, 0.0, NOON)
    quota.exchange(request_for("a", 4, sent=6), 0.0, NOON)
    successor = ClusterQuota(Limits(rpd=10), day=Day.of(NOON))
    successor.resume(json.loads(json.dumps(quota.state(0.0))), 9.0)
    assert successor.exchange(late, 9.0, NOON).permits == 0
    assert successor.exchange(request_for("a", 4, sent=6), 9.1, NOON).permits == 4  # the others were lost on their way


def test_what_ends_the_run_for_one_ends_it_for_all_and_for_a_successor() -> None:
    quota = ClusterQuota(Limits())
    quota.exchange(report_of("a", stop=Denied("bad key")), 0.0)
    assert str(quota.exchange(request_for("b", 1), 0.0).stop) == "bad key"
    successor = ClusterQuota(Limits())
    successor.resume(json.loads(json.dumps(quota.state(0.0))), 1.0)
    stop = successor.exchange(request_for("b", 1), 1.0).stop
    assert (type(stop), str(stop)) == (Denied, "bad key")


@pytest.mark.parametrize("limits", [Limits(), Limits(rpd=100)])
def test_a_stop_is_one_of_the_commitments_to_be_saved(limits: Limits) -> None:
    quota = ClusterQuota(limits)
    before = quota.commitments
    quota.exchange(report_of("a", stop=Denied("bad key")), 0.0)
    assert quota.commitments != before


def money(dollars: str, requests: int = 1) -> Amount:
    return Amount(Decimal(dollars), 0, requests)


def claim_of(worker: str, **amounts: Amount) -> WorkerReport:
    return report_of(worker, claim=Claim(**amounts))


def test_claims_never_add_up_to_more_than_the_budget() -> None:
    quota = ClusterQuota(Limits(), Budget(dollars=Decimal(1)))
    first = quota.exchange(claim_of("a", wanted=money("0.7"), needed=money("0.1")), 0.0)
    second = quota.exchange(claim_of("b", wanted=money("0.7"), needed=money("0.1")), 0.0)
    assert (first.allowance.dollars, second.allowance.dollars) == (Decimal("0.7"), Decimal("0.3"))
    assert not second.is_final


def test_the_budget_is_used_up_only_once_nobody_can_give_anything_back() -> None:
    quota = ClusterQuota(Limits(), Budget(dollars=Decimal(1)))
    quota.exchange(claim_of("a", wanted=money("1"), held=money("1")), 0.0)
    wants = {"wanted": money("0.2"), "needed": money("0.2")}
    assert not quota.exchange(claim_of("b", **wants), 0.0).is_final
    spent = money("0.9")
    quota.exchange(claim_of("a", wanted=spent, held=spent, spent=spent, needed=spent), 0.1)
    assert quota.exchange(claim_of("b", **wants), 0.2).is_final


def test_two_workers_that_both_need_more_do_not_wait_for_each_other() -> None:
    quota = ClusterQuota(Limits(), Budget(dollars=Decimal("0.15")))
    spent = money("0.05")
    wants = [Claim(wanted=money("9"), held=spent, spent=spent, needed=money("0.15"))] * 4
    answers = [
        quota.exchange(report_of(name, claim=want), 0.0).is_final for name, want in zip("abab", wants, strict=True)
    ]
    assert answers[2:] == [True, True]


def test_what_a_lost_worker_had_claimed_counts_as_spent() -> None:
    quota = ClusterQuota(Limits(), Budget(dollars=Decimal(1)))
    quota.exchange(claim_of("lost", wanted=money("0.4")), 0.0)
    grant = quota.exchange(claim_of("b", wanted=money("1"), needed=money("0.1")), 60.0)
    assert grant.allowance.dollars == Decimal("0.6")
    assert quota.exchange(claim_of("b", wanted=money("1"), needed=money("1")), 60.0).is_final


def test_an_allowance_that_a_worker_still_holds_is_not_granted_to_another() -> None:
    """The first needs more than there is, and does not know yet that it gets nothing, so it may use its allowance."""
    quota = ClusterQuota(Limits(), Budget(dollars=Decimal(10)))
    assert quota.exchange(claim_of("a", wanted=money("8")), 0.0).allowance == money("8")
    quota.exchange(claim_of("a", held=money("8"), wanted=money("12"), needed=money("12")), 0.1)
    assert quota.exchange(claim_of("b", wanted=money("4")), 0.2).allowance.dollars == 2


def test_a_successor_keeps_the_claims_and_the_rate_and_saves_nothing_up() -> None:
    quota = ClusterQuota(Limits(), Budget(dollars=Decimal(1)))
    refused = Verdict(refused=True, rpm=600.0)
    quota.exchange(report_of("a", sent=30, tokens=300, replies=((0.1, refused),)), 1.0)
    quota.exchange(report_of("a", sent=30, tokens=300, claim=Claim(wanted=money("0.4"))), 1.0)
    successor = ClusterQuota(Limits(), Budget(dollars=Decimal(1)))
    successor.resume(json.loads(json.dumps(quota.state(1.0))), 50.0)
    assert successor.claims.granted == quota.claims.granted
    assert successor.requests == quota.requests
    assert successor.rates.learned == pytest.approx(10.0, rel=0.05)
    assert successor.exchange(request_for("b", 1_000), 50.0).permits == 0
    later = sent = 0
    for tick in range(1, 31):
        later += successor.exchange(request_for("b", 1_000, sent=sent), 50.0 + tick / 10).permits
        sent = later
    assert 27 <= later <= 31  # three seconds at ten a second


class World:
    """Workers with meters, one budget, and a network that loses, delays and repeats messages."""

    def __init__(self, budget: Budget) -> None:
        self.budget, self.quota, self.now, self.dead = budget, ClusterQuota(Limits(), budget), 0.0, Amount()
        self.meters: dict[str, tuple[str, ClaimedBudgetMeter]] = {}
        self.reports: list[WorkerReport] = []

    def act(self, who: str, act: str, chance: random.Random) -> None:
        self.now += 0.1
        worst = money(str(chance.randint(5, 45) / 100))
        name, meter = self.meters.setdefault(who, (f"{who}{self.now}", ClaimedBudgetMeter(self.budget, lambda: None)))
        if act == "ask" and meter.fits(worst):
            meter.reserve(worst)
        elif act == "answer" and meter.reserved.requests:
            settled = Amount(meter.reserved.dollars / meter.reserved.requests, 0, 1)
            meter.settle(settled, Amount(settled.dollars * chance.choice((0, 0, Decimal("0.1"))), 0, 1))
        elif act == "die":
            self.dead += meter.used
            del self.meters[who]
        elif act == "restart":
            state = json.loads(json.dumps(self.quota.state(self.now)))
            self.quota = ClusterQuota(Limits(), self.budget)
            self.quota.resume(state, self.now)
        elif act == "again" and self.reports:
            self.quota.exchange(chance.choice(self.reports[-6:]), self.now)
        elif act in ("exchange", "unanswered", "undelivered"):
            self.exchange(name, meter, act, chance.randint(0, 3))

    def exchange(self, name: str, meter: ClaimedBudgetMeter, act: str, requests: int) -> None:
        report = report_of(name, claim=meter.claim(requests))
        self.reports.append(report)
        if act == "undelivered":  # unless it is repeated later
            return
        grant = self.quota.exchange(report, self.now)
        if act == "exchange":
            meter.accept(grant.allowance, is_final=grant.is_final)

    @property
    def used(self) -> Decimal:
        return sum((meter.used.dollars for _, meter in self.meters.values()), self.dead.dollars)


ACTS = {"ask": 8, "answer": 6, "exchange": 6, "unanswered": 2, "undelivered": 2, "again": 3, "restart": 1, "die": 0.1}


@pytest.mark.parametrize("seed", range(60))
def test_whatever_is_lost_or_repeated_the_budget_is_not_passed(seed: int) -> None:
    chance = random.Random(seed)
    world = World(Budget(dollars=Decimal(1)))
    for _ in range(200):
        who, (act,) = chance.choice("ab"), chance.choices(list(ACTS), list(ACTS.values()))
        world.act(who, act, chance)
        assert world.used <= 1


def new_worker(name: str = "a", budget: Budget | None = None, **limits: float) -> WorkerQuota:
    """Return a worker with its limiter. Nothing happens when a report is due: tests call `exchange` themselves."""
    rate_limit = GrantedRateLimit(Limits(), lambda: None)
    meter = None if budget is None else ClaimedBudgetMeter(budget, lambda: None)
    clock = asyncio.get_running_loop().time
    return WorkerQuota(name, Limiter(Limits(**limits), clock, meter, rate_limit=rate_limit), rate_limit, meter)


def exchange(quota: ClusterQuota, worker: WorkerQuota, now: float, times: int = 1) -> None:
    for _ in range(times):
        report = worker.report(now)
        worker.accept(quota.exchange(report, now), report, now)


async def test_a_request_waits_for_its_permit() -> None:
    quota, worker = ClusterQuota(Limits(rpm=600)), new_worker()
    entering = asyncio.create_task(worker.limiter.acquire(10))
    await asyncio.sleep(0)
    assert not entering.done()
    exchange(quota, worker, asyncio.get_running_loop().time())
    permit = await asyncio.wait_for(entering, 1)
    worker.limiter.release(permit, None)
    exchange(quota, worker, asyncio.get_running_loop().time())
    assert quota.requests == 1


async def test_what_was_reported_is_not_reported_again() -> None:
    quota, worker = ClusterQuota(Limits()), new_worker()
    now = asyncio.get_running_loop().time()
    exchange(quota, worker, now)
    worker.limiter.release(await worker.limiter.acquire(10), RateLimited("slow", status=429, rpm=600.0))
    report = worker.report(now)
    assert (report.sent, report.tokens) == (1, 10)
    assert [verdict for _, verdict in report.replies] == [Verdict(True, 600.0)]
    exchange(quota, worker, now)
    assert worker.report(now).replies == ()
    assert quota.requests == 1


async def test_a_worker_that_never_had_a_grant_waits_for_the_first() -> None:
    worker, now = new_worker(), 100.0
    worker.use_fallback_share(now)
    assert worker.rate_limit.delay(now + 60) > 0
    exchange(ClusterQuota(Limits(rpm=600)), worker, now + 60)
    worker.use_fallback_share(now + 60)
    assert worker.rate_limit.delay(now + 61) <= 0


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(["exchange", "unanswered", "undelivered", "again", "pass"]), max_size=60))
def test_whatever_is_lost_or_repeated_each_request_counts_once(acts: list[str]) -> None:
    asyncio.run(passed_and_counted(acts))


async def passed_and_counted(acts: list[str]) -> None:
    quota, worker, now, reports = ClusterQuota(Limits(rpm=6_000)), new_worker(concurrency=64), 100.0, []
    for act in acts:
        now += 0.05
        if act == "pass":
            while worker.rate_limit.permits:
                worker.rate_limit.take(10, now)
            continue
        report = reports[len(reports) // 2] if act == "again" and reports else worker.report(now)
        report = replace(report, sizes=(10,) * 5)
        reports.append(report)
        if act != "undelivered":
            grant = quota.exchange(report, now)
            if act == "exchange":
                worker.accept(grant, report, now)
    exchange(quota, worker, now)
    exchange(quota, worker, now)
    assert quota.requests == worker.rate_limit.sent
    (counted,) = quota.state(now)["workers"].values()
    assert counted == [
        worker.rate_limit.sent,
        worker.rate_limit.sent + len(worker.rate_limit.permits),
        worker.rate_limit.tokens,
    ]


async def test_workers_go_on_at_their_shares_while_the_quota_is_silent() -> None:
    quota, now = ClusterQuota(Limits(rpm=1_200)), 100.0
    workers = [new_worker("a"), new_worker("b")]
    for worker in workers * 2:  # the second round knows that they are two
        exchange(quota, worker, now)
    sent = 0
    for worker in workers:
        worker.use_fallback_share(now)
    for tick in range(1_000):
        for worker in workers:
            while worker.rate_limit.delay(now + tick / 100) <= 0:
                worker.rate_limit.take(10, now + tick / 100)
                sent += 1
    assert 190 <= sent <= 205  # ten seconds at twenty a second, for both together


async def test_what_was_sent_without_the_quota_is_charged_afterwards() -> None:
    quota, worker, now = ClusterQuota(Limits(rpm=600)), new_worker(), 100.0
    exchange(quota, worker, now)
    worker.use_fallback_share(now)
    for _ in range(20):
        worker.rate_limit.take(10, now + 2)
    exchange(quota, worker, now + 2)
    assert quota.requests == 20
    assert quota.exchange(request_for("b", 100), now + 3).permits == 0
    assert quota.exchange(request_for("b", 100), now + 4).permits > 0


async def test_a_request_waits_for_money_that_another_may_give_back() -> None:
    budget = Budget(dollars=Decimal("0.15"))
    quota, one, other = ClusterQuota(Limits(), budget), new_worker("a", budget), new_worker("b", budget)
    clock = asyncio.get_running_loop().time
    first, second = (asyncio.create_task(worker.limiter.acquire(1, lambda: money("0.10"))) for worker in (one, other))
    await asyncio.sleep(0)
    exchange(quota, one, clock(), times=3)
    exchange(quota, other, clock(), times=3)
    permit = await asyncio.wait_for(first, 1)
    assert not second.done()
    one.limiter.release(permit, None, spent=money("0.02"))
    exchange(quota, one, clock(), times=2)
    exchange(quota, other, clock(), times=2)
    assert (await asyncio.wait_for(second, 1)).reserved == money("0.10")


async def test_a_request_that_waits_learns_that_the_budget_is_used_up() -> None:
    budget = Budget(dollars=Decimal("0.05"))
    quota, worker = ClusterQuota(Limits(), budget), new_worker("a", budget)
    entering = asyncio.create_task(worker.limiter.acquire(1, lambda: money("0.10")))
    await asyncio.sleep(0)
    exchange(quota, worker, asyncio.get_running_loop().time(), times=3)
    with pytest.raises(BudgetExceeded, match=r"\$0\.0500 \(--budget\) is used up"):
        await asyncio.wait_for(entering, 1)
