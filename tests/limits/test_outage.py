"""When an outage begins and ends, who may ask meanwhile, and how long that goes on: no clock, no waiting."""

from __future__ import annotations

from math import inf

import pytest

from extract import BadRequest, Blocked, Incomplete, Overloaded, QuotaExhausted, RateLimited, Retry, Unreachable
from extract.errors import AnswerTimeout, ApiError
from extract.limits.outage import Moment, OutageWatch, is_transport_failure, shows_life

REFUSED = Unreachable("refused")


def watch_of(**options: float) -> OutageWatch:
    return OutageWatch(Retry(**options), uniform=lambda _, high: high)  # type: ignore[arg-type]


def rows(count: int) -> list[object]:
    return [object() for _ in range(count)]


def down(watch: OutageWatch, now: float = 0.0, error: ApiError = REFUSED) -> None:
    """Let an outage begin at `now`."""
    for row in rows(5):
        watch.fail(row, now, now, error)


def test_an_outage_begins_with_five_different_rows() -> None:
    watch = watch_of()
    assert [watch.fail(row, 1.0, 1.0, REFUSED) for row in rows(5)] == [False] * 4 + [True]
    assert watch.is_on


def test_one_row_alone_makes_no_outage_however_often_it_fails() -> None:
    watch = watch_of()
    (row,) = rows(1)
    assert not any(watch.fail(row, at, at, REFUSED) for at in map(float, range(100)))


def test_an_answer_between_them_makes_failures_those_of_rows() -> None:
    watch = watch_of()
    for row in rows(20):
        assert not watch.fail(row, 1.0, 1.0, REFUSED)
        watch.answer(1.0)


def test_a_row_that_was_to_blame_counts_no_more() -> None:
    watch = watch_of()
    for row in rows(20):
        assert not watch.fail(row, 1.0, 1.0, REFUSED)
        watch.acquit(row)


def test_one_probe_at_a_time_goes_out_after_pauses_that_grow_to_a_minute() -> None:
    watch, now, pauses = watch_of(patience=inf), 0.0, list[float]()
    down(watch)
    watch.answers = 1
    for row in rows(12):
        pauses.append(watch.delay(now))
        now += pauses[-1]
        watch.take(now)
        assert watch.delay(now) == inf
        watch.fail(row, now, now, REFUSED)
    assert pauses == [0.5, 1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60]
    assert watch.probes == 12


def test_what_was_in_flight_as_it_began_is_no_probe() -> None:
    watch = watch_of()
    down(watch, 1.0)
    for row in rows(50):
        watch.fail(row, 0.5, 1.1, REFUSED)
    assert (watch.probes, watch.delay(1.0)) == (0, 0.5)


def test_a_probe_waits_as_long_as_the_service_asks() -> None:
    watch = watch_of()
    down(watch, error=Overloaded("later", status=503, retry_after=17.0))
    assert watch.delay(0.0) == 17.0


def test_a_probe_that_is_given_up_makes_room_for_another() -> None:
    watch = watch_of()
    down(watch)
    watch.take(0.5)
    watch.leave(0.1)  # another request
    assert watch.delay(0.6) == inf
    watch.leave(0.5)
    assert watch.delay(0.6) == 0.0


def test_the_first_answer_ends_an_outage_and_tells_how_long_it_was() -> None:
    watch = watch_of()
    down(watch, 10.0)
    assert watch.lasted(30.0) == 20.0
    assert watch.answer(71.5) == 61.5
    assert (watch.is_on, watch.rows, watch.lasted(80.0)) == (False, {}, 0.0)
    assert watch.answer(72.0) is None


def test_patience_counts_from_the_first_failure() -> None:
    watch = watch_of(patience=100.0)
    watch.answers = 1
    down(watch, 10.0)
    assert (watch.is_over_patience(109.9), watch.is_over_patience(110.0)) == (False, True)


def test_the_last_probe_is_sent_as_patience_ends() -> None:
    watch = watch_of(patience=45.0)
    watch.answers = 1
    down(watch)
    now = 0.0
    while not watch.is_over_patience(now):
        now += watch.delay(now)
        watch.take(now)
        watch.fail(object(), now, now, REFUSED)
    assert now == 45.0


def test_a_service_that_has_never_replied_gets_less_than_a_minute() -> None:
    watch = watch_of()
    down(watch, 15.0)
    assert (watch.is_silent, watch.is_over_patience(54.9), watch.is_over_patience(55.0)) == (True, False, True)


def test_where_failures_are_never_to_stop_a_run_there_is_no_outage_before_the_first_reply() -> None:
    watch = OutageWatch(Retry(), stops_early=False)
    down(watch)
    assert not watch.is_on
    watch.answers = 1
    watch.answer(1.0)
    down(watch, 2.0)
    assert watch.is_on


@pytest.mark.parametrize("error", [RateLimited("slow", status=429), Overloaded("busy", status=503, retry_after=3.0)])
def test_a_service_that_asks_to_wait_has_replied(error: ApiError) -> None:
    watch = watch_of()
    down(watch, error=error)
    assert not watch.is_silent
    assert not watch.is_over_patience(899.0)


def test_others_answered_since_only_within_a_minute() -> None:
    watch = watch_of()
    watch.answers = 7
    assert watch.answered_since(Moment(6, 40.0), 100.0)
    assert not watch.answered_since(Moment(6, 39.0), 100.0)
    assert not watch.answered_since(Moment(7, 99.0), 100.0)


def test_what_an_outage_is_made_of() -> None:
    failures = [REFUSED, Overloaded("502", status=502), RateLimited("429", status=429)]
    others = [QuotaExhausted("day"), BadRequest("400"), Blocked("no"), Incomplete("cut")]
    assert all(is_transport_failure(error) and not shows_life(error) for error in failures)
    assert all(shows_life(error) and not is_transport_failure(error) for error in others)
    assert not shows_life(AnswerTimeout("late"))
    assert not is_transport_failure(AnswerTimeout("late"))
