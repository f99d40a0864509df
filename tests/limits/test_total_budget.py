"""A total budget: all runs of a cache together spend no more, at once or one after the other, killed or not."""

from __future__ import annotations

import json
import logging
import pickle
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

from extract import Budget, BudgetExceeded, Client, ConfigError, Emulator, Extractor, Limits, ResponseCache, Run, run
from extract.cli.app import app
from extract.interactions.usage import Attempt
from extract.limits.pricing import find_price
from extract.testing import running_server

MODEL = "gemini-3.5-flash-lite"
SORT = Extractor(["a", "b"], "{text}", model=MODEL)
TOTAL = Decimal("0.004")
CHILD = """
import sys
from decimal import Decimal
from extract import Budget, BudgetExceeded, Client, Extractor, Limits, run
url, cache, name, total = sys.argv[1:]
sort, client = Extractor(["a", "b"], "{text}", model="gemini-3.5-flash-lite"), Client("a-key", base_url=url)
rows, limits = [f"{name} {n}" for n in range(2_000)], Limits(concurrency=8)
try:
    print(run(rows, sort, client=client, cache=cache, limits=limits, budget=Budget(total=Decimal(total))).stopped)
except BudgetExceeded as error:
    print(error)
"""


def rows(count: int, name: str = "row") -> list[str]:
    return [f"{name} {number}" for number in range(count)]


def ask(emulator: Emulator, cache: Path, data: list[str], total: Any = TOTAL, **budget: Any) -> Run:
    client = Client("key", transport=emulator.transport)
    return run(
        data, SORT, client=client, cache=cache, limits=Limits(concurrency=8), budget=Budget(total=total, **budget)
    )


def bill(emulator: Emulator) -> Decimal:
    """What the service would ask for, from its own counters."""
    price = find_price(MODEL)
    assert price is not None
    stats = emulator.stats()
    return stats["input_tokens"] * price.input + (stats["output_tokens"] + stats["thought_tokens"]) * price.output


def spent(cache: Path) -> Decimal:
    with ResponseCache(cache, read_only=True) as stored:
        return sum((one.cost or Decimal(0) for one in stored.spent()), Decimal(0))


def test_runs_one_after_the_other_stop_at_the_total_and_more_money_continues(tmp_path: Path) -> None:
    emulator, cache = Emulator(), tmp_path / "c"
    first = ask(emulator, cache, rows(50))
    assert first.stopped is None
    second = ask(emulator, cache, rows(2_000))
    assert isinstance(second.stopped, BudgetExceeded)
    assert "raise --budget-total" in str(second.stopped)
    assert TOTAL * 9 / 10 < bill(emulator) <= TOTAL
    assert second.totals.cached == 50
    asked = emulator.stats()["requests"]
    with pytest.raises(BudgetExceeded):
        ask(emulator, cache, rows(10, "new"))
    assert emulator.stats()["requests"] == asked
    again = ask(emulator, cache, rows(2_000), total=20 * TOTAL)
    assert again.stopped is None
    assert bill(emulator) == spent(cache) <= 20 * TOTAL


def test_what_is_in_the_cache_comes_out_though_nothing_is_left(tmp_path: Path) -> None:
    emulator, cache = Emulator(), tmp_path / "c"
    ask(emulator, cache, rows(50))
    again = ask(emulator, cache, rows(50), total=Decimal("0.000001"))
    assert (again.totals.cached, again.stopped) == (50, None)


def test_the_start_says_in_one_line_how_much_is_left(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    emulator, cache = Emulator(), tmp_path / "c"
    with caplog.at_level(logging.WARNING, "extract"):
        ask(emulator, cache, rows(50), total=Decimal(1))
        ask(emulator, cache, rows(51), total=Decimal(1))
    assert caplog.messages[0] == "$1.00 is left of the total budget of $1.00: all runs with this cache have spent $0"
    assert caplog.messages[1].startswith("$0.99")
    assert len(caplog.messages) == 2


def test_a_budget_of_the_run_holds_beside_the_total(tmp_path: Path) -> None:
    result = ask(Emulator(), tmp_path / "c", rows(100), requests=5)
    assert result.totals.requests == 5
    assert "requests" in str(result.stopped)
    assert pickle.loads(pickle.dumps(result)).budget == result.budget


def test_a_total_needs_a_cache_a_price_and_a_ledger_without_gaps(tmp_path: Path) -> None:
    client = Client("key", transport=Emulator().transport)
    with pytest.raises(ConfigError, match="name it with cache="):
        run(rows(2), SORT, client=client, budget=Budget(total=TOTAL))
    with pytest.raises(ConfigError, match="price"):
        unknown = Extractor(["a"], "{text}", model="a-model")
        run(rows(2), unknown, client=client, cache=tmp_path / "c", budget=Budget(total=TOTAL))
    with pytest.raises(ConfigError, match="dollars in total"):
        Budget(total=Decimal(0))
    with ResponseCache(tmp_path / "c") as cache:
        cache.note(Attempt(kind="ask", model="a-model"))
    with pytest.raises(ConfigError, match="a cost that is not known"):
        ask(Emulator(), tmp_path / "c", rows(2))


def test_a_request_that_may_have_been_billed_counts_at_its_worst(tmp_path: Path) -> None:
    with ResponseCache(tmp_path / "c") as cache:
        cache.note(Attempt(kind="ask", model=MODEL, bound=TOTAL, code="lost"))
    with pytest.raises(BudgetExceeded):
        ask(Emulator(), tmp_path / "c", rows(2))


def test_a_cache_of_an_earlier_release_has_a_total_too(tmp_path: Path) -> None:
    emulator, cache = Emulator(), tmp_path / "c"
    ask(emulator, cache, rows(50))
    with closing(sqlite3.connect(cache)) as database:
        database.executescript("DROP TABLE services; DROP TABLE funds; PRAGMA user_version = 7")
    assert ask(emulator, cache, rows(50)).totals.requests == 0
    ask(emulator, cache, rows(2_000))
    assert TOTAL * 9 / 10 < bill(emulator) <= TOTAL


def test_two_processes_at_once_spend_no_more_than_the_total(tmp_path: Path) -> None:
    emulator = Emulator(latency=0.01)
    with running_server(emulator) as url:
        words = [[sys.executable, "-c", CHILD, url, str(tmp_path / "c"), name, str(TOTAL)] for name in ("one", "two")]
        children = [subprocess.Popen(each, stdout=subprocess.PIPE, text=True) for each in words]
        said = [child.communicate(timeout=120)[0] for child in children]
    assert all("total budget" in one for one in said)
    assert TOTAL * 9 / 10 < bill(emulator) <= TOTAL


def test_runs_that_are_killed_again_and_again_spend_no_more_than_the_total(tmp_path: Path) -> None:
    emulator = Emulator(latency=0.01)
    with running_server(emulator) as url:
        words = [sys.executable, "-c", CHILD, url, str(tmp_path / "c"), "row", str(TOTAL)]
        for killed in range(1, 3):
            child = subprocess.Popen(words, stdout=subprocess.DEVNULL)
            while emulator.stats()["requests"] < 30 * killed:
                assert child.poll() is None
            child.send_signal(signal.SIGKILL)
            child.wait()
        said = subprocess.run(words, capture_output=True, text=True, timeout=120, check=True)
    assert "total budget" in said.stdout
    assert "were killed" in said.stderr
    shown = json.loads(CliRunner().invoke(app, ["cache", "show", str(tmp_path / "c"), "--json"]).stdout)
    assert 0 < Decimal(shown["set_aside_usd"]) < TOTAL
    assert "set aside" in CliRunner().invoke(app, ["cache", "show", str(tmp_path / "c")]).stdout
    assert bill(emulator) <= TOTAL


def test_it_can_be_typed(tmp_path: Path) -> None:
    (tmp_path / "sort.py").write_text('from extract import Extractor\nextractor = Extractor(["a", "b"], "{text}")\n')
    pl.DataFrame({"text": rows(2_000)}).write_csv(tmp_path / "rows.csv")
    emulator = Emulator()
    words = ["run", str(tmp_path / "sort.py"), str(tmp_path / "rows.csv"), "-o", str(tmp_path / "out.csv"), "--json"]
    with running_server(emulator) as url:
        result = CliRunner().invoke(app, [*words, "--base-url", url, "--budget-total", str(TOTAL)])
    assert result.exit_code == 1
    assert json.loads(result.stdout.splitlines()[-1])["stopped"]["code"] == "budget"
    assert bill(emulator) <= TOTAL
