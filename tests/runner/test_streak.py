"""Failures that point to a wrong set-up stop a run, as long as no record has succeeded."""

from __future__ import annotations

from extract import BadRecord, Blocked, InvalidAnswer, Issue, Outcome, TooManyFailures, Unreachable
from extract.runner.streak import FailureStreak

GOOD, LOST = Outcome(row_id=0), Outcome(row_id=0, error=Unreachable("nobody there"))


def test_a_number_of_failures_stops_the_run() -> None:
    streak = FailureStreak(3)
    assert [streak.add(LOST) for _ in range(2)] == [None, None]
    assert isinstance(streak.add(LOST), TooManyFailures)


def test_a_success_switches_the_rule_off() -> None:
    streak = FailureStreak(2)
    assert [streak.add(outcome) for outcome in (LOST, GOOD, LOST, LOST, LOST)] == [None] * 5


def test_failures_of_single_records_and_of_earlier_runs_say_nothing_about_the_set_up() -> None:
    streak = FailureStreak(1)
    for outcome in (
        Outcome(row_id=0, error=BadRecord("blank")),
        Outcome(row_id=0, error=Blocked("no")),
        Outcome(row_id=0, error=Unreachable("then"), cached=True),
    ):
        assert streak.add(outcome) is None
    assert streak.add(Outcome(row_id=0, error=InvalidAnswer((Issue("$", "no"),)))) is not None


def test_a_limit_of_0_never_stops() -> None:
    streak = FailureStreak(0)
    assert [streak.add(LOST) for _ in range(50)] == [None] * 50
