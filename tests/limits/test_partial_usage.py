"""What a service does not tell of its usage is unknown: in the cost, the budget, the ledger; it is never nothing."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from extract import AsyncClient, Budget, Extractor, Limits, ResponseCache, Run, run
from extract.cli.app import app
from extract.errors import BudgetExceeded
from extract.limits.pricing import find_price

MODEL = "gemini-3.5-flash-lite"
ANSWER = [{"type": "model_output", "content": [{"type": "text", "text": '{"value": "a"}'}]}]
WHOLE = {"total_input_tokens": 4000, "total_output_tokens": 3, "total_tokens": 4003}
ONLY_OUTPUT = {"total_output_tokens": 3}
FOUR_THOUSAND = "long text " * 1600


def service(*usages: dict[str, Any] | None, answers: Any = None) -> httpx.MockTransport:
    """Return a service whose answers tell these usages, one after the other, the last one for ever."""
    left = list(usages)

    def answer(_: httpx.Request) -> httpx.Response:
        usage = left.pop(0) if len(left) > 1 else left[0]
        told = {} if usage is None else {"usage": usage}
        more = answers.pop(0) if answers else {"status": "completed", "steps": ANSWER}
        return httpx.Response(200, json={"id": "x", "model": MODEL} | more | told)

    return httpx.MockTransport(answer)


def ask(transport: httpx.MockTransport, rows: int = 1, **options: Any) -> Run:
    texts = [f"{number} {FOUR_THOUSAND}" for number in range(rows)]
    extractor = options.pop("extractor", Extractor(["a", "b"], "{text}", model=MODEL))
    options = {"limits": Limits(concurrency=4), "provenance": True} | options
    return run(texts, extractor, client=AsyncClient("a-key-for-tests", transport=transport), **options)


PARTS = [
    {"total_output_tokens": 3},
    {"total_input_tokens": 4000},
    {"total_tokens": 4003},
    {"total_input_tokens": 4000, "total_output_tokens": 3, "total_thought_tokens": -1},
    {"total_input_tokens": "4000", "total_output_tokens": 3},
    {},
    None,
]


@pytest.mark.parametrize("usage", PARTS)
def test_an_answer_that_tells_a_part_of_its_usage_costs_nobody_knows_how_much(usage: dict[str, Any] | None) -> None:
    result = ask(service(usage))
    assert (result.totals.valid, result.totals.unknown_attempts) == (1, 1)
    assert result.cost is None
    assert result.summary()["cost_usd"] is None
    assert result.totals.unknown_cost is not None
    assert result.totals.unknown_cost > 0
    row = result.frame["_extract"].to_list()[0]
    assert [row[name] for name in ("cost_usd", "input_tokens", "output_tokens", "cached_tokens")] == [None] * 4
    assert [row["ledger"][0][name] for name in ("code", "cost_usd", "input_tokens")] == ["no_usage", None, None]


def test_a_count_that_is_left_of_the_total_is_known() -> None:
    result = ask(service({"total_output_tokens": 3, "total_tokens": 4003}))
    assert (result.usage.input_tokens, result.usage.output_tokens, result.totals.unknown_attempts) == (4000, 3, 0)
    assert result.cost is not None
    assert result.cost > 0


@pytest.mark.parametrize("total", [2**40, 2**62, 2**63, 10**30])
def test_nothing_is_left_of_a_total_that_cannot_be(total: int) -> None:
    told = ask(service({"total_input_tokens": 4000, "total_output_tokens": 3, "total_tokens": total}))
    assert (told.usage.total, told.totals.unknown_attempts) == (4003, 0)
    untold = ask(service({"total_input_tokens": 4000, "total_tokens": total}))
    assert (untold.cost, untold.totals.unknown_attempts) == (None, 1)


def test_the_cost_of_the_rows_that_tell_all_is_known_by_row() -> None:
    result = ask(service(WHOLE, ONLY_OUTPUT, WHOLE), 3, limits=Limits(concurrency=1))
    costs = result.frame["_extract"].struct.field("cost_usd").to_list()
    assert [cost is None for cost in costs] == [False, True, False]
    assert (result.cost, result.usage.input_tokens, result.totals.unknown_attempts) == (None, 8000, 1)


@pytest.mark.parametrize("usage", PARTS)
def test_a_budget_holds_whatever_part_of_the_usage_is_told(usage: dict[str, Any] | None) -> None:
    result = ask(service(usage), 40, budget=0.02, errors="null")
    assert isinstance(result.stopped, BudgetExceeded)
    price = find_price(MODEL)
    assert price is not None
    assert result.totals.requests * 4000 * price.input <= Decimal("0.02")
    assert result.budget is not None
    assert result.budget.spent.dollars == result.totals.unknown_cost


def test_what_is_told_counts_in_the_budget_where_it_is_more_than_was_expected() -> None:
    budget = Budget(tokens=100_000)
    result = ask(service({"total_output_tokens": 60_000}), 40, budget=budget, limits=Limits(concurrency=1))
    assert isinstance(result.stopped, BudgetExceeded)
    assert result.totals.requests == 1  # the next may take as much again
    assert result.budget is not None
    assert result.budget.spent.tokens >= 64_000


def test_one_silent_round_of_a_continuation_or_of_functions_makes_the_rows_cost_unknown() -> None:
    opened = {"status": "requires_continuation", "continuation_token": "t", "steps": []}
    continued = ask(service(WHOLE, ONLY_OUTPUT, answers=[opened]))
    assert (continued.totals.requests, continued.totals.unknown_attempts, continued.cost) == (2, 1, None)
    call = {"type": "function_call", "id": "1", "name": "look", "arguments": {}}

    def look() -> str:
        return "seen"

    with_functions = Extractor(["a", "b"], "{text}", model=MODEL, tools=(look,))
    called = ask(
        service(ONLY_OUTPUT, WHOLE, answers=[{"status": "requires_action", "steps": [call]}]), extractor=with_functions
    )
    assert (called.totals.requests, called.totals.unknown_attempts, called.cost) == (2, 1, None)
    assert called.frame["_extract"].to_list()[0]["cost_usd"] is None


def test_one_silent_sample_makes_the_rows_cost_unknown() -> None:
    result = ask(service(WHOLE, ONLY_OUTPUT, WHOLE), samples=3)
    assert (result.totals.requests, result.totals.unknown_attempts, result.cost) == (3, 1, None)


def test_the_ledger_of_a_cache_says_what_is_unknown(tmp_path: Path) -> None:
    path = tmp_path / "c"
    ask(service(WHOLE, ONLY_OUTPUT, WHOLE), 3, cache=path, limits=Limits(concurrency=1))
    with ResponseCache(path) as cache:
        (spent,) = cache.spent()
    assert (spent.attempts, spent.unknown, spent.cost, spent.usage.input_tokens) == (3, 1, None, 8000)
    assert spent.bound is not None
    assert spent.bound > 0
    shown = json.loads(CliRunner().invoke(app, ["cache", "show", str(path), "--json"]).stdout)
    assert [shown["spent"][0][name] for name in ("unknown", "cost")] == [1, None]
    again = ask(service(None), 3, cache=path)
    assert (again.totals.requests, again.totals.cached, again.cost) == (0, 3, 0)
