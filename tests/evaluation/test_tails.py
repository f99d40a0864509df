"""Exact tails in plain Python, beside scipy's."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extract.errors import ConfigError
from extract.evaluation.tails import (
    binomial_tail,
    exact_interval,
    hypergeometric_tail,
    lower_bound,
    rows_to_prove,
    upper_bound,
    wrong_allowed,
)

stats: Any = pytest.importorskip("scipy.stats", reason="scipy is for development only")
rows_and_hits = st.integers(1, 20_000).flatmap(lambda rows: st.tuples(st.just(rows), st.integers(-1, rows)))


@given(rows_and_hits, st.floats(0.0001, 0.9999))
def test_a_binomial_tail_is_scipys(case: tuple[int, int], share: float) -> None:
    rows, hits = case
    assert binomial_tail(hits, rows, share) == pytest.approx(stats.binom.cdf(hits, rows, share), rel=1e-8, abs=1e-200)


@given(st.data())
def test_a_hypergeometric_tail_is_scipys(data: st.DataObject) -> None:
    total = data.draw(st.integers(1, 20_000))
    marked, drawn = (data.draw(st.integers(0, total)) for _ in range(2))
    hits = data.draw(st.integers(-1, min(marked, drawn)))
    expected = stats.hypergeom.cdf(hits, total, marked, drawn)
    assert hypergeometric_tail(hits, drawn, marked, total) == pytest.approx(expected, rel=1e-6, abs=1e-12)


@given(rows_and_hits, st.floats(0.5, 0.999))
def test_the_bounds_are_clopper_and_pearsons(case: tuple[int, int], confidence: float) -> None:
    rows, hits = case[0], max(0, case[1])
    low = stats.beta.ppf(1 - confidence, hits, rows - hits + 1) if hits else 0.0
    high = stats.beta.ppf(confidence, hits + 1, rows - hits) if hits < rows else 1.0
    assert lower_bound(hits, rows, confidence) == pytest.approx(low, rel=1e-7, abs=1e-9)
    assert upper_bound(hits, rows, confidence) == pytest.approx(high, rel=1e-7, abs=1e-9)


def test_a_two_sided_interval_shares_the_error() -> None:
    low, high = exact_interval(90, 100)
    assert (low, high) == pytest.approx(binom_interval(90, 100))


def binom_interval(hits: int, rows: int) -> tuple[float, float]:
    return float(stats.beta.ppf(0.025, hits, rows - hits + 1)), float(stats.beta.ppf(0.975, hits + 1, rows - hits))


@pytest.mark.parametrize(("right", "rows"), [(0.9, 29), (0.95, 59), (0.98, 149), (0.99, 299)])
def test_so_many_rows_without_an_error_prove_a_share_and_one_less_does_not(right: float, rows: int) -> None:
    assert rows_to_prove(right) == rows
    assert wrong_allowed(rows, right) == 0
    assert wrong_allowed(rows - 1, right) is None


@given(st.floats(0.5, 0.995), st.sampled_from([0.8, 0.9, 0.95, 0.99]), st.integers(0, 20))
def test_the_rows_to_prove_are_the_fewest(right: float, confidence: float, wrong: int) -> None:
    rows = rows_to_prove(right, confidence, wrong=wrong)
    assert stats.binom.cdf(wrong, rows, 1 - right) <= (1 - confidence) * (1 + 1e-9)
    assert stats.binom.cdf(wrong, rows - 1, 1 - right) > (1 - confidence) * (1 - 1e-9)


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5])
def test_a_share_that_no_rows_prove_is_refused(share: float) -> None:
    with pytest.raises(ConfigError, match="no number of rows proves it"):
        rows_to_prove(share)
