"""Money: reserved before a request, settled after it, and told by attempt to the last token."""

from __future__ import annotations

import json
import time
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from extract import (
    Budget,
    BudgetExceeded,
    Client,
    ConfigError,
    Emulator,
    Extractor,
    Generation,
    Limits,
    QuotaExhausted,
    ResponseCache,
    Retry,
    Run,
    run,
)
from extract.emulator.faults import Fault
from extract.interactions.http.retrying import RetryBudget
from extract.limits.budget import Amount, BudgetMeter, Forecast
from extract.limits.pricing import find_price


class Note(BaseModel):
    note: str


MODEL = "gemini-3.5-flash-lite"
NOTES = Extractor(Note, "{text}", model=MODEL)
QUICK = Retry(first_wait=0.001, longest_wait=0.01)


def rows(count: int) -> pl.DataFrame:
    return pl.DataFrame({"text": [f"message number {number}" for number in range(count)]})


def ask(
    data: pl.DataFrame, emulator: Emulator, extractor: Extractor = NOTES, *, concurrency: int = 8, **options: Any
) -> Run:
    limits = options.pop("limits", None) or Limits(concurrency=concurrency, retry=QUICK)
    return run(data, extractor, client=Client("key", transport=emulator.transport), limits=limits, **options)


def bill(emulator: Emulator) -> Decimal:
    """What the service would ask for, from its own counters."""
    price = find_price(MODEL)
    assert price is not None
    stats = emulator.stats()
    return stats["input_tokens"] * price.input + (stats["output_tokens"] + stats["thought_tokens"]) * price.output


def long_answer(length: int) -> str:
    return json.dumps({"note": "word " * length})


@pytest.mark.parametrize("concurrency", [1, 8, 64])
def test_spending_stays_within_the_budget_and_what_was_reserved(concurrency: int) -> None:
    emulator = Emulator(answers=lambda _: long_answer(400))
    budget = Decimal("0.01")
    result = ask(rows(500), emulator, budget=budget, concurrency=concurrency)
    assert isinstance(result.stopped, BudgetExceeded)
    assert result.cost == bill(emulator)
    assert result.budget is not None
    assert budget / 2 < bill(emulator) <= budget + result.budget.peak
    assert result.totals.not_run > 0
    assert result.totals.valid + result.totals.not_run == 500


def test_with_an_output_limit_the_budget_is_never_passed() -> None:
    emulator = Emulator(answers=lambda _: long_answer(50))
    limited = Extractor(Note, "{text}", model=MODEL, generation=Generation(max_output_tokens=200))
    result = ask(rows(300), emulator, limited, budget=0.005)
    assert isinstance(result.stopped, BudgetExceeded)
    assert Decimal("0.004") < bill(emulator) <= Decimal("0.005")


def test_a_run_that_fits_its_budget_is_not_stopped() -> None:
    emulator = Emulator()
    result = ask(rows(40), emulator, budget=1)
    assert result.complete
    assert result.totals.valid == 40


def test_a_rerun_with_more_money_takes_up_the_rest_and_pays_nothing_twice(tmp_path: Path) -> None:
    emulator = Emulator(answers=lambda _: long_answer(100))
    first = ask(rows(200), emulator, budget=0.005, cache=tmp_path / "c")
    assert first.stopped is not None
    second = ask(rows(200), emulator, budget=5, cache=tmp_path / "c")
    assert second.complete
    assert second.totals.cached == first.totals.valid
    assert emulator.stats()["repeats"] == 0


def test_a_token_budget_needs_no_price() -> None:
    emulator = Emulator(answers=lambda _: long_answer(20))
    unpriced = Extractor(Note, "{text}", model="gemini-99-none")
    result = ask(rows(200), emulator, unpriced, budget=Budget(tokens=5_000))
    stats = emulator.stats()
    assert isinstance(result.stopped, BudgetExceeded)
    assert "tokens" in str(result.stopped)
    assert 3_000 < stats["input_tokens"] + stats["output_tokens"] + stats["thought_tokens"] <= 6_000


def test_a_request_budget_is_exact() -> None:
    emulator = Emulator()
    result = ask(rows(60), emulator, budget=Budget(requests=25))
    assert emulator.stats()["requests"] == 25
    assert result.totals.valid == 25


@pytest.mark.parametrize(
    ("model", "budget", "message"),
    [
        ("gemini-99-none", 1, "price of 'gemini-99-none' on the standard tier is unknown"),
        (MODEL, 0, "before its first request"),
        (MODEL, float("nan"), "before its first request"),
        (MODEL, "much", "number of US dollars"),
    ],
)
def test_a_budget_that_cannot_be_kept_is_refused_before_the_first_request(
    model: str, budget: Any, message: str
) -> None:
    emulator = Emulator()
    with pytest.raises(ConfigError, match=message):
        ask(rows(3), emulator, Extractor(Note, "{text}", model=model), budget=budget)
    assert emulator.stats()["requests"] == 0


def test_requests_whose_answer_was_lost_are_counted_with_an_upper_bound() -> None:
    emulator = Emulator(faults="cut=0.3", seed=3)
    result = ask(rows(60), emulator, budget=1)
    lost = emulator.stats()["faults"]["cut"]
    assert result.totals.valid == 60
    assert result.totals.unknown_attempts == lost > 0
    assert result.totals.unknown_cost is not None
    assert result.totals.unknown_cost > 0
    assert result.budget is not None
    assert result.budget.spent.dollars == (result.cost or 0) + result.totals.unknown_cost
    assert result.budget.reserved == Amount()


def test_the_ledger_is_the_services_bill_by_attempt_and_kind(tmp_path: Path) -> None:
    emulator = Emulator(faults="malformed=0.15,failed=0.1,503=0.1,continuation=0.1,cut=0.05", seed=5)
    with ResponseCache(tmp_path / "c") as cache:
        result = ask(rows(150), emulator, provenance=True, cache=cache)
    stats = emulator.stats()
    usage = result.usage
    assert (usage.input_tokens, usage.output_tokens, usage.thought_tokens) == (
        stats["input_tokens"],
        stats["output_tokens"],
        stats["thought_tokens"],
    )
    assert result.cost == bill(emulator)
    kinds = result.totals.by_kind
    assert set(kinds) == {"ask", "retry", "repair", "continuation"}
    assert sum(part.total for part in kinds.values()) == usage.total
    attempts = result.frame["_extract"].struct.field("ledger").explode(empty_as_null=False).struct.unnest()
    assert attempts["input_tokens"].sum() == stats["input_tokens"]
    assert attempts.filter(code="lost").height == result.totals.unknown_attempts


def test_flex_falls_back_to_standard_for_rows_it_has_shed_for_half_the_deadline() -> None:
    def shedding(body: dict[str, Any]) -> Any:
        return Fault("503") if body.get("service_tier") == "flex" else '{"note": "served"}'

    emulator = Emulator(answers=shedding)
    limits = Limits(concurrency=4, deadline=0.6, retry=QUICK)
    result = ask(rows(4), emulator, limits=limits, service_tier="flex", provenance=True)
    assert result.totals.valid == 4
    assert result.frame["_extract"].struct.field("service_tier").to_list() == ["standard"] * 4
    tiers = Counter(request.body["service_tier"] for request in emulator.requests)
    assert tiers["flex"] >= 4
    assert tiers["standard"] == 4


def test_flex_without_a_deadline_never_costs_the_standard_price() -> None:
    emulator = Emulator(answers=lambda _: Fault("503"))
    limits = Limits(concurrency=2, retry=Retry(first_wait=0.001, longest_wait=0.01, patience=0.1))
    result = ask(rows(2), emulator, limits=limits, service_tier="flex")
    assert result.totals.errors == Counter(overloaded=2)
    assert {request.body["service_tier"] for request in emulator.requests} == {"flex"}


def test_a_cut_answer_is_asked_once_more_with_the_limit_the_user_allows(tmp_path: Path) -> None:
    def by_limit(body: dict[str, Any]) -> str:
        return long_answer(60)

    emulator = Emulator(answers=by_limit)
    growing = Extractor(Note, "{text}", model=MODEL, generation=Generation(max_output_tokens=20, if_cut=500))
    result = ask(rows(3), emulator, growing, cache=tmp_path / "c")
    assert result.totals.valid == 3
    limits = [request.body["generation_config"]["max_output_tokens"] for request in emulator.requests]
    assert Counter(limits) == {20: 3, 500: 3}
    again = ask(rows(3), emulator, growing, cache=tmp_path / "c")
    assert again.totals.requests == 0
    assert again.totals.valid == 3


def test_a_cut_answer_is_never_repeated_as_it_is() -> None:
    emulator = Emulator(answers=lambda _: long_answer(60))
    limited = Extractor(Note, "{text}", model=MODEL, generation=Generation(max_output_tokens=20))
    result = ask(rows(3), emulator, limited)
    assert result.totals.errors == Counter(incomplete=3)
    assert emulator.stats()["requests"] == 3


@pytest.mark.parametrize(("limit", "if_cut"), [(None, 100), (100, 100), (100, 50)])
def test_a_limit_for_cut_answers_must_be_larger(limit: int | None, if_cut: int) -> None:
    with pytest.raises(ConfigError, match="larger"):
        Generation(max_output_tokens=limit, if_cut=if_cut)


def test_the_limit_for_cut_answers_is_no_part_of_what_is_asked_first(tmp_path: Path) -> None:
    emulator = Emulator()
    for if_cut in (None, 900):
        generation = Generation(max_output_tokens=400, if_cut=if_cut)
        ask(rows(5), emulator, Extractor(Note, "{text}", model=MODEL, generation=generation), cache=tmp_path / "c")
    assert emulator.stats()["requests"] == 5


def test_a_daily_limit_counts_the_requests_of_earlier_runs(tmp_path: Path) -> None:
    emulator = Emulator()
    limits = Limits(concurrency=4, rpd=12, retry=QUICK)
    first = ask(rows(8), emulator, limits=limits, cache=tmp_path / "c")
    assert first.complete
    second = ask(rows(20), emulator, limits=limits, cache=tmp_path / "c")
    assert isinstance(second.stopped, QuotaExhausted)
    assert "midnight Pacific" in str(second.stopped)
    assert second.totals.valid == 12
    assert emulator.stats()["requests"] == 12


def test_a_daily_limit_begins_anew_at_midnight(monkeypatch: pytest.MonkeyPatch) -> None:
    days, now = [0], time.time
    monkeypatch.setattr(time, "time", lambda: now() + 86_400 * days[0])

    def answer(body: dict[str, Any]) -> str:
        days[0] = 1 if "number 9" in str(body["input"]) else days[0]
        return '{"note": "x"}'

    emulator = Emulator(answers=answer)
    result = ask(rows(20), emulator, limits=Limits(concurrency=1, rpd=12, retry=QUICK))
    assert result.complete, result.stopped


def test_a_service_that_is_down_is_not_asked_six_times_for_every_row() -> None:
    emulator = Emulator(answers=lambda _: Fault("500"))
    limits = Limits(concurrency=16, stop_after_failures=0, retry=QUICK)
    result = ask(rows(1_000), emulator, limits=limits)
    assert result.totals.errors == Counter(overloaded=1_000)
    assert emulator.stats()["requests"] <= 2 * 1_000 + 400


def test_retries_are_bounded_by_the_requests() -> None:
    retries = RetryBudget(share=0.5, spare=3)
    retries.requests = 10
    allowed = 0
    while retries.may_retry():
        retries.requests += 1
        allowed += 1
    assert allowed == 8  # three to spare, and one for every second of ten rows


amounts = st.builds(Amount, st.decimals(0, 5, places=3), st.integers(0, 1_000), st.just(1))


@given(st.lists(st.tuples(amounts, st.floats(0, 1), st.booleans()), max_size=60))
@settings(max_examples=200, deadline=None)
def test_a_purse_whose_forecasts_hold_never_passes_its_budget(requests: list[tuple[Amount, float, bool]]) -> None:
    meter = BudgetMeter(Budget(dollars=Decimal(10), tokens=2_000, requests=12))
    flying: list[tuple[Amount, Amount]] = []
    for worst, share, settle_now in requests:
        if meter.fits(worst):
            meter.reserve(worst)
            real = Amount(worst.dollars * Decimal(share), int(worst.tokens * share), 1)
            flying.append((worst, real))
        if settle_now and flying:
            meter.settle(*flying.pop())
        assert meter.spent.dollars + meter.reserved.dollars <= 10
        assert meter.spent.tokens + meter.reserved.tokens <= 2_000
        assert meter.spent.requests + meter.reserved.requests <= 12
    for one in flying:
        meter.settle(*one)
    assert meter.reserved.dollars == 0
    assert not meter.waits


def test_a_forecast_learns_from_the_largest_answer_and_the_worst_ratio() -> None:
    forecast = Forecast(typical=30)
    assert forecast.output_tokens() == 30
    forecast.note(estimated=100, input_tokens=130, output_tokens=500)
    forecast.note(estimated=100, input_tokens=90, output_tokens=10)
    assert forecast.output_tokens() == 1_000
    assert forecast.input_tokens(200) == 261
    assert Forecast(typical=30, limit=64).output_tokens() == 64
    assert Forecast(typical=30, limit=64).output_tokens(256) == 256
