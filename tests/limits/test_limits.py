from __future__ import annotations

import random
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extract.limits.concurrency import AdaptiveConcurrency
from extract.limits.daily_quota import Day
from extract.limits.limits import Limits
from extract.limits.rate_limiter import RateLimiter, Verdict
from extract.limits.shared_pause import SharedPause
from extract.limits.token_bucket import TokenBucket


def test_one_answer_opens_ten_slots_which_double_per_round_until_the_first_throttle() -> None:
    limit = AdaptiveConcurrency(ceiling=128)
    for expected in (10, 20, 40, 80, 128, 128):
        for _ in range(int(limit.slots)):
            limit.after(throttled=False)
        assert int(limit.slots) == expected


def test_after_too_many_throttles_slots_are_halved_and_grow_by_one_per_round() -> None:
    limit = AdaptiveConcurrency(ceiling=64, slots=32)
    assert [limit.after(throttled=True) for _ in range(3)] == [32, 32, 16]
    for _ in range(17):
        limit.after(throttled=False)
    assert int(limit.slots) == 17


@pytest.mark.parametrize("seed", range(5))
def test_one_throttle_in_twenty_leaves_the_slots_as_they_are(seed: int) -> None:
    draws, limit = random.Random(seed), AdaptiveConcurrency(ceiling=64)
    narrow = sum(limit.after(throttled=draws.random() < 0.05) < 64 for _ in range(20_000))
    assert narrow < 1_500


@pytest.mark.parametrize("room", [4, 20, 50])
def test_a_service_with_room_for_fewer_gets_hardly_more(room: int) -> None:
    limit, refused = AdaptiveConcurrency(ceiling=64), 0
    for _ in range(400):  # rounds: all that is above its room is refused
        slots = int(limit.slots)
        for number in range(slots):
            if int(limit.slots) < slots and number >= room:
                break  # sent before the halving: no more news
            limit.after(throttled=number >= room)
        refused += max(0, slots - room)
    assert refused < 0.3 * 400 * room


def test_a_single_wait_is_for_the_request_that_was_refused_once_others_are_let_in() -> None:
    pause = SharedPause()
    pause.refuse(1.0, 1.1, 30.0, "the service says so", is_quota=False)
    assert pause.until == 31.1  # at first it is taken to be for all
    for sent_at in (0.9, 1.01, 1.02, 1.03):
        pause.accept(sent_at, 1.2)
    assert pause.until == 1.2
    pause.refuse(2.0, 2.1, 30.0, "the service says so", is_quota=False)
    assert pause.until == 1.2


def test_refusals_at_random_are_never_called_a_quota() -> None:
    draws, rates, names = random.Random(3), RateLimiter(Limits()), set()
    noise, answer = Verdict(refused=True, pause=1.0), Verdict()
    for number in range(2_000):
        at = number / 300
        rates.take(100, at)
        rates.note(at, at + 0.05, noise if draws.random() < 0.05 else answer)
        names.add(rates.reached(at + 0.05))
    assert names <= {"", "the service says so"}


def test_waits_of_several_refusals_in_a_row_or_of_a_quota_hold_all() -> None:
    pause = SharedPause()
    pause.refuse(1.0, 1.1, 1.0, "", is_quota=False)
    for sent_at in (1.01, 1.02, 1.03):
        pause.accept(sent_at, 1.2)
    for number in range(4):
        pause.refuse(2.0 + number / 100, 2.1, 30.0, "", is_quota=False)
    assert pause.until == 32.1
    named = SharedPause()
    named.refuse(1.0, 1.1, 30.0, "3,000 requests/min", is_quota=True)
    for sent_at in (1.01, 1.02, 1.03):
        named.accept(sent_at, 1.2)
    assert named.until == 31.1


@given(st.lists(st.booleans()), st.integers(1, 500))
def test_slots_stay_between_one_and_the_ceiling(throttles: list[bool], ceiling: int) -> None:
    limit = AdaptiveConcurrency(ceiling=ceiling)
    for throttled in throttles:
        assert 1 <= limit.after(throttled=throttled) <= ceiling


@pytest.mark.parametrize("reported", [10**6, 2**39])
def test_tokens_that_a_service_makes_up_hold_the_next_row_back_for_a_minute_at_most(reported: int) -> None:
    rates = RateLimiter(Limits(tpm=60_000))
    rates.take(1_000, 0.0)
    rates.settle(reported - 1_000, 0.0)
    assert 30.0 < rates.delay(0.0) < 61.0
    rates.settle(-500, 60.0)
    assert rates.delay(60.0) == 0.0


@given(st.floats(1, 10_000), st.lists(st.floats(0, 5), min_size=1, max_size=200))
def test_a_bucket_never_lets_more_pass_than_its_rate_and_one_burst(rate: float, pauses: list[float]) -> None:
    bucket = TokenBucket(rate)
    now, passed = 0.0, 0
    for pause in pauses:
        now += pause
        while bucket.delay(now) <= 0 and passed < 100_000:
            bucket.take(1, now)
            passed += 1
    assert passed <= now * rate / 60 + max(1.0, rate * bucket.burst / 60) + 1


def test_a_request_larger_than_the_bucket_passes_alone() -> None:
    bucket = TokenBucket(60, burst=1)
    assert bucket.delay(0) == 0
    bucket.take(10, 0)
    assert bucket.delay(0) == pytest.approx(10)
    assert bucket.delay(10.1) == 0


@pytest.mark.parametrize(
    ("at", "ends"),
    [
        ("2026-11-25T07:59:59+00:00", "2026-11-25T08:00:00+00:00"),
        ("2026-11-25T08:00:00+00:00", "2026-11-26T08:00:00+00:00"),
        ("2026-03-08T08:00:00+00:00", "2026-03-09T07:00:00+00:00"),  # 23 hours
        ("2026-11-01T07:00:00+00:00", "2026-11-02T08:00:00+00:00"),  # 25 hours
    ],
)
def test_a_day_of_the_quota_ends_at_midnight_pacific_time(at: str, ends: str) -> None:
    day = Day.of(datetime.fromisoformat(at).timestamp(), 7)
    assert day.ends == datetime.fromisoformat(ends).timestamp()
    assert (day.count(day.ends - 1), day.count(day.ends)) == (7, 0)
    day.take(-2, day.ends - 1)  # of yesterday's
    assert day.sent == 0
