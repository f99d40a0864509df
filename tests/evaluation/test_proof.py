"""Thresholds with a guarantee: fixed by scores alone, whole ties at a time, the error spent once."""

from __future__ import annotations

import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extract.errors import ConfigError
from extract.evaluation.cascade_path import cascade_path, path_counts, prove_path, route, shares_by_step
from extract.evaluation.proof import Count, Promise, counted, first_step, prove, thresholds

PROMISE = Promise(0.95)
scores = st.lists(st.floats(0, 1).map(lambda one: round(one, 2)), min_size=1, max_size=300)


@pytest.mark.parametrize("share", [0, 1, 1.5, -1, True, "0.9"])
def test_a_promise_is_a_share_between_0_and_1(share: float) -> None:
    for names in ({"right": share}, {"right": 0.9, "confidence": share}):
        with pytest.raises(ConfigError, match=r"is a share above 0 and below 1, such as 0\.95"):
            Promise(**names)


@given(scores, st.integers(1, 500), st.booleans())
def test_thresholds_go_from_strict_to_lenient_and_the_last_accepts_all(
    table: list[float], gold: int, whole: bool
) -> None:
    levels = thresholds(table, gold, PROMISE, whole=whole)
    assert list(levels) == sorted(set(levels), reverse=True)
    assert levels[-1] <= min(table)


@given(scores, st.lists(st.booleans(), min_size=300, max_size=300))
def test_equal_scores_are_accepted_together(table: list[float], right: list[bool]) -> None:
    gold = list(zip(table, right, strict=False))
    levels = thresholds(table, len(table), PROMISE)
    for level, count in zip(levels, counted(levels, gold, table), strict=True):
        accepted = [one for one in gold if one[0] >= level]
        assert (count.gold, count.wrong, count.rows) == (
            len(accepted),
            sum(not is_right for _, is_right in accepted),
            len(accepted),
        )


def test_of_gold_scores_a_threshold_stands_above_a_row_that_is_not_counted() -> None:
    table = [place / 1000 for place in range(1000)]
    levels = thresholds(table, 1000, PROMISE, whole=False)
    assert levels[0] > 1 - first_step(PROMISE) / 1000 - 0.002
    assert all(not any(score == level for score in table) for level in levels)
    assert levels[-1] == -math.inf


def test_the_first_step_is_taken_where_a_large_tie_begins() -> None:
    table = [0.9] * 1000 + [0.1] * 1000
    assert thresholds(table, 200, PROMISE) == (0.9, 0.1)


def test_few_gold_rows_are_tested_once_at_the_whole_error() -> None:
    proof = prove(counted((0.5,), [(0.5, True)] * 59), PROMISE)
    assert [step.level for step in proof.steps] == [pytest.approx(0.05)]
    assert proof.best == 0


def test_a_failure_ends_the_sequence_until_the_next_start() -> None:
    good, bad = Count(400, 4), Count(400, 40)
    assert prove([good, bad, good, good], PROMISE, shares=(1.0,)).best == 0
    assert prove([good, bad, good, good], PROMISE, shares=(0.5, 0.5)).best == 3
    assert prove([bad, bad, good, bad], PROMISE, starts=(0, 2)).best == 2


def test_the_error_is_spent_once_however_many_starts_there_are() -> None:
    steps = prove([Count(60, 30)] * 40, PROMISE, shares=(0.25,) * 4).steps
    assert math.fsum(step.level for step in steps) == pytest.approx(0.05)
    passed = prove([Count(2000, 0)] * 40, PROMISE, shares=(0.25,) * 4).steps
    assert max(step.level for step in passed) == pytest.approx(0.05)


def test_a_known_table_counts_its_rows_exactly() -> None:
    # 60 of 70 rows were looked at, and all are right: at most 10 of 70 can be wrong, but 4 would break the promise.
    assert Count(60, 0, 70).chance(0.95) < 1e-3 < Count(60, 0).chance(0.95)
    assert Count(70, 3, 70).chance(0.95) == 0.0
    assert Count(70, 4, 70).chance(0.95) == 1.0


def test_no_gold_row_proves_nothing() -> None:
    assert Count(0, 0, 0).chance(0.5) == 1.0
    assert prove([Count(0, 0)], PROMISE).best is None
    assert thresholds([], 10, PROMISE) == ()


def test_a_cascade_opens_the_last_step_first_and_then_the_cheap_ones() -> None:
    random = Random(1)
    rows = [(random.random(), random.random()) for _ in range(2000)]
    path = cascade_path(rows, 500, PROMISE)
    accepted = [sum(route(levels, row) is not None for row in rows) for levels in path]
    assert accepted == sorted(accepted)
    assert all(levels[0] == math.inf for levels in path[: path.index((math.inf, path[-1][1])) + 1])
    cheap = [shares_by_step(levels, rows)[0] for levels in path]
    assert cheap == sorted(cheap)
    assert cheap[-1] == 2000


def test_a_cascade_is_proved_on_the_accepted_rows_of_all_steps_together() -> None:
    random = Random(2)
    rows = [(score, 1.0) for score in (random.random() for _ in range(1000))]
    # The cheap step is right where it is sure, the strong one on nearly all rows.
    rights = [(score > 0.4, place % 100 > 0) for place, (score, _) in enumerate(rows)]
    path = cascade_path(rows, 300, Promise(0.95))
    gold = list(zip(rows, rights, strict=True))[:300]
    proof = prove_path(path, path_counts(path, gold, rows), PROMISE)
    assert proof.best is not None
    assert shares_by_step(path[proof.best], rows)[None] == 0
    assert 400 < shares_by_step(path[proof.best], rows)[0] <= 650


def test_a_row_without_a_score_at_any_step_is_accepted_by_none() -> None:
    assert route((0.5, 0.5), (None, None)) is None
    assert route((-math.inf, 0.5), (None, 0.9)) == 1
