"""Tools in a run: functions are called here and answered statelessly, evidence stands beside each row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from extract import Client, ConfigError, Emulator, Extractor, Limits, Request, ResponseCache, run
from extract.emulator import Calls, Steps
from extract.interactions.tools.builtin import ComputerUse, GoogleSearch

DIALECTS = pytest.mark.parametrize("dialect", ["steps", "outputs"])
GOOD = {"type": "text", "text": '{"value": "found"}'}
ROWS = pl.DataFrame({"city": ["Bonn", "Oslo", "Lima"]})


def look_up(city: str) -> str:
    """Return the weather of a city.

    Args:
        city: its name.
    """
    if city == "Lima":
        raise LookupError("no such station")
    return f"rain over {city}"


def city_of(body: dict[str, Any]) -> str:
    return next(name for name in ROWS["city"] if name in json.dumps(body))


def answer(body: dict[str, Any]) -> Any:
    """Ask for the function first, then for another, then answer with what both said."""
    conversation = json.dumps(body["input"])
    if conversation.count("function_result") == 0:
        return Calls(("look_up", {"city": city_of(body)}), ("look_up", {"city": "Bonn"}))
    if conversation.count("function_result") == 2:
        return Calls(("look_up", {"city": city_of(body)}))
    return {"value": "failed" if "no such station" in conversation else "found"}


@DIALECTS
def test_functions_are_called_until_the_model_answers_and_nothing_is_stored(dialect: Any, tmp_path: Path) -> None:
    emulator = Emulator(dialect=dialect, answers=answer)
    weather = Extractor(["found", "failed"], "The weather in {city}?", tools=(look_up,))
    client = Client("key", dialect=dialect, transport=emulator.transport)
    result = run(ROWS, weather, client=client, cache=tmp_path / "cache", provenance=True)
    assert result.frame["value"].to_list() == ["found", "found", "failed"]
    assert emulator.stats()["requests"] == 9
    assert emulator.stats()["store_true"] == 0
    kinds = [[one["kind"] for one in row["ledger"]] for row in result.frame["_extract"].to_list()]
    assert kinds == [["ask", "tool", "tool"]] * 3
    assert result.usage.input_tokens == emulator.stats()["input_tokens"]
    again = run(ROWS, weather, client=client, cache=tmp_path / "cache")
    assert again.frame["value"].to_list() == ["found", "found", "failed"]
    assert emulator.stats()["requests"] == 9
    with ResponseCache(tmp_path / "cache") as cache:
        assert sum(spent.attempts for spent in cache.spent()) == 9


def test_calls_that_never_end_are_one_row_s_error() -> None:
    def endless(body: dict[str, Any]) -> Any:
        return Calls(("look_up", {"city": "Bonn"})) if "Bonn" in json.dumps(body) else {"value": "found"}

    emulator = Emulator(answers=endless)
    weather = Extractor(["found", "failed"], "The weather in {city}?", tools=(look_up,), tool_rounds=3)
    result = run(ROWS.tail(2).vstack(ROWS.head(1)), weather, client=Client("key", transport=emulator.transport))
    assert result.frame["value"].to_list() == ["found", "found", None]
    assert result.errors["row_id"].to_list() == [2]
    assert "after 3 rounds" in result.errors["message"][0]
    assert "raise tool_rounds" in result.errors["message"][0]
    assert emulator.stats()["requests"] == 2 + 4


def test_a_slot_is_free_while_functions_run_and_the_limit_holds() -> None:
    emulator = Emulator(answers=answer, latency=0.01)
    many = pl.concat([ROWS] * 10).with_row_index("n").with_columns(city=pl.col("city") + pl.col("n").cast(pl.String))
    weather = Extractor(["found", "failed"], "The weather in {city}?", tools=(look_up,))
    limits = Limits(concurrency=4)
    result = run(many, weather, client=Client("key", transport=emulator.transport), limits=limits)
    assert result.totals.valid == 30
    assert emulator.stats()["peak_in_flight"] <= 4


@DIALECTS
def test_a_row_says_where_its_answer_comes_from_or_that_it_says_nothing(dialect: Any) -> None:
    emulator = Emulator(dialect=dialect)
    cities = ["found", "failed"]
    client = Client("key", dialect=dialect, transport=emulator.transport)
    extractor = Extractor(cities, "Search the web: the weather in {city}?", tools=(GoogleSearch(),))
    grounded = run(ROWS, extractor, client=client, provenance=True).frame["_extract"]
    for row in grounded.to_list():
        assert row["grounded"] is True
        assert row["citations"][0]["source"].startswith("https://")
    silent = Emulator(dialect=dialect, answers=lambda _: Steps({"type": "model_output", "content": [GOOD]}))
    client = Client("key", dialect=dialect, transport=silent.transport)
    ungrounded = run(ROWS, extractor, client=client, provenance=True).frame["_extract"]
    assert [(row["grounded"], row["citations"]) for row in ungrounded.to_list()] == [(False, [])] * 3
    plain = run(ROWS, Extractor(cities, "{city}"), client=client, provenance=True).frame["_extract"]
    assert [(row["grounded"], row["citations"]) for row in plain.to_list()] == [(None, [])] * 3


def test_tools_are_part_of_what_an_answer_is_known_by(tmp_path: Path) -> None:
    emulator = Emulator()
    client = Client("key", transport=emulator.transport)
    for tools in ((), (GoogleSearch(),), (look_up,)):
        run(ROWS, Extractor(["a", "b"], "{city}", tools=tools), client=client, cache=tmp_path / "c")
    first = emulator.stats()["requests"]
    assert first >= 9
    for tools in ((), (GoogleSearch(),), (look_up,)):
        run(ROWS, Extractor(["a", "b"], "{city}", tools=tools), client=client, cache=tmp_path / "c")
    assert emulator.stats()["requests"] == first


@pytest.mark.parametrize("tool", [ComputerUse(), {"type": "function", "name": "f", "parameters": {"type": "object"}}])
def test_a_tool_whose_calls_nobody_answers_is_refused_before_anything_is_sent(tool: Any) -> None:
    with pytest.raises(ConfigError, match="cannot answer"):
        Extractor(["a", "b"], "{city}", tools=(tool,))


def test_a_run_takes_neither_background_nor_stored_calls() -> None:
    with pytest.raises(ConfigError, match="store"):
        Request(model="gemini-3.8-flash", input="x", background=True, store=False)
    with pytest.raises(ConfigError, match="store"):
        Request(model="gemini-3.8-flash", input="x", previous_interaction_id="v1_x", store=False)
