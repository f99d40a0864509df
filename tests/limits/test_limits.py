from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extract.limits.concurrency import AdaptiveConcurrency
from extract.limits.daily_quota import Day
from extract.limits.limits import Limits
from extract.limits.rate_limiter import RateLimiter
from extract.limits.token_bucket import TokenBucket


def test_one_answer_opens_ten_slots_which_double_per_round_until_the_first_throttle() -> None:
    limit = AdaptiveConcurrency(ceiling=128)
    for expected in (10, 20, 40, 80, 128, 128):
        for _ in range(int(limit.slots)):
            limit.after(throttled=False)
        assert int(limit.slots) == expected


def test_after_a_throttle_slots_are_halved_and_grow_by_one_per_round() -> None:
    limit = AdaptiveConcurrency(ceiling=64, slots=32)
    assert limit.after(throttled=True) == 16
    for _ in range(17):
        limit.after(throttled=False)
    assert int(limit.slots) == 17


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
