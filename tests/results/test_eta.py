"""Rate, time left and projected cost, from successive states of a run."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extract.interactions.usage import Usage
from extract.results.eta import Eta
from extract.results.progress import Progress, Totals


def moment(
    seconds: float,
    rows: int,
    *,
    total: int | None = 1_000,
    cost: str | None = "0",
    cached: int = 0,
    not_run: int = 0,
    stopping: bool = False,
) -> Progress:
    totals = Totals(rows=rows, valid=rows - not_run, cached=cached, not_run=not_run)
    totals.cost = None if cost is None else Decimal(cost)
    return Progress(total=total, totals=totals, seconds=seconds, in_flight=1, slots=4, waiting=0.0, stopping=stopping)


def after(*moments: Progress) -> Eta:
    eta: Eta | None = None
    for progress in moments:
        eta = Eta.of(progress, eta)
    assert eta is not None
    return eta


def test_a_steady_run_is_predicted_exactly() -> None:
    eta = after(*(moment(second, 10 * second, cost=f"{second}") for second in range(1, 51)))
    assert eta.rows_per_second == pytest.approx(10)
    assert eta.seconds_left == pytest.approx(50)
    assert eta.projected_cost == Decimal(100)


def test_the_rate_is_that_of_the_last_minute() -> None:
    slow = [moment(second, second) for second in range(1, 101)]
    fast = [moment(100 + second, 100 + 5 * second) for second in range(1, 62)]
    assert after(*slow, *fast).rows_per_second == pytest.approx(5, rel=0.02)


def test_a_quota_that_lets_a_burst_through_each_minute_gives_an_even_rate() -> None:
    rates = []
    eta = None
    for tenth in range(6_000):
        eta = Eta.of(moment(tenth / 10, 60 * (tenth // 600 + 1), total=100_000), eta)
        if tenth > 1_200:
            rates.append(eta.rows_per_second)
    assert min(rates) > 0.9
    assert max(rates) < 2.1


@pytest.mark.parametrize(("quota", "pace"), [({"rpm": 600.0}, 5.0), ({"tpm": 6_000.0}, 1.0), ({"rpm": 1e9}, 100.0)])
def test_a_burst_at_the_start_promises_no_more_than_the_quota_lets_pass(quota: dict[str, float], pace: float) -> None:
    burst = moment(5.0, 500)
    burst.totals.requests = 1_000  # each row took two requests
    burst.totals.by_kind["ask"] = Usage(input_tokens=50_000)
    eta = Eta.of(replace(burst, **quota))
    assert eta.rows_per_second == pytest.approx(pace)
    assert eta.seconds_left == pytest.approx(500 / pace)


def test_rows_out_of_the_cache_promise_nothing_about_those_to_come() -> None:
    eta = after(moment(1, 500, cached=500), moment(2, 502, cached=500, cost="0.2"), moment(3, 504, cached=500))
    assert eta.rows_per_second == pytest.approx(2)
    priced = after(moment(1, 500, cached=500), moment(2, 502, cached=500, cost="0.2"))
    assert priced.projected_cost == Decimal("0.2") + Decimal("0.1") * 498


def test_before_anything_was_asked_nothing_is_projected() -> None:
    assert after(moment(0, 0)) == after(moment(0, 0))
    for eta in (after(moment(0, 0)), after(moment(3, 0)), after(moment(3, 500, cached=500))):
        assert eta.projected_cost is None
    assert after(moment(3, 0)).seconds_left is None


def test_what_is_unknown_stays_unknown() -> None:
    assert after(moment(5, 50, total=None, cost="1")).seconds_left is None
    assert after(moment(5, 50, total=None, cost="1")).projected_cost is None
    assert after(moment(5, 50, cost=None)).projected_cost is None


def test_a_run_that_stops_has_no_time_left_and_costs_what_it_cost() -> None:
    eta = after(moment(5, 50, cost="1"), moment(6, 500, not_run=440, cost="2", stopping=True))
    assert eta.seconds_left is None
    assert eta.projected_cost == 2


def test_at_the_end_nothing_is_left() -> None:
    eta = after(moment(5, 1_000, cost="3"))
    assert eta.seconds_left == 0
    assert eta.projected_cost == 3


@given(st.lists(st.tuples(st.floats(0, 1e4), st.integers(0, 200)), min_size=1, max_size=200))
def test_any_glances_give_sane_numbers_and_little_is_kept(steps: list[tuple[float, int]]) -> None:
    seconds, rows = 0.0, 0
    eta: Eta | None = None
    for pause, more in steps:
        seconds, rows = seconds + pause, rows + more
        eta = Eta.of(moment(seconds, rows, total=40_000, cost=f"{rows}"), eta)
        assert eta.rows_per_second >= 0
        assert eta.seconds_left is None or eta.seconds_left >= 0
        assert eta.projected_cost is None or eta.projected_cost >= rows
        assert len(eta._samples) <= 63
