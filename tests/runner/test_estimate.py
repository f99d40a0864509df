"""An estimate from a sample, and how far it can be trusted."""

from __future__ import annotations

import json
import random
import re
from decimal import Decimal
from pathlib import Path
from statistics import stdev
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

from extract import Client, ConfigError, Emulator, Extractor, Generation, ResponseCache, run
from extract.cli.app import app
from extract.interactions.usage import Usage
from extract.io.sources import open_source
from extract.results.estimate import PaidSample
from extract.runner.estimate import estimate, pay_sample
from extract.testing import running_server

LABELS = Extractor(["a", "b"], "{text}")


def rows(count: int, seed: int) -> pl.DataFrame:
    draws = random.Random(seed)
    # Sorted: the first rows are the shortest, so whoever looks only there is wrong.
    lengths = sorted(draws.randint(4, 4_000) for _ in range(count))
    return pl.DataFrame({"text": [f"{number:05}" + "x" * length for number, length in enumerate(lengths)]})


def test_a_cache_may_be_named_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "answers.cache"
    texts = ["a cat", "a dog", "a cow"]
    service = Emulator().transport
    client = Client("key", transport=service)
    assert estimate(texts, LABELS, endpoint=client.endpoint, cache=path).cached == 0
    assert not path.exists()
    run(texts[:2], LABELS, client=client, cache=path)
    for cache in (path, str(path)):
        found = estimate(texts, LABELS, endpoint=client.endpoint, cache=cache)
        assert (found.cached, found.left) == (2, 1)
    with ResponseCache(path) as opened:
        assert estimate(texts, LABELS, endpoint=client.endpoint, cache=opened) == found


def test_an_estimate_reads_a_file_as_the_run_does(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_bytes("id~text\n1~für\n2~später\n".encode("cp1252"))
    reading: Any = {"csv_separator": "~", "csv_encoding": "cp1252"}
    assert estimate(tmp_path / "in.csv", LABELS, **reading).requests == 2


def test_the_interval_holds_what_all_prompts_really_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("extract.runner.estimate._COUNTED_ROWS", 3_000)
    held = 0
    for seed in range(20):
        table = rows(4_000, seed)
        found = estimate(open_source(table), LABELS)
        constant = estimate(open_source(pl.DataFrame({"text": ["four"]})), LABELS).input_tokens - 1
        real = sum(-(-len(text) // 4) for text in table["text"]) + 4_000 * constant
        low, high = found.input_interval
        assert low < found.input_tokens < high
        assert high - low < 0.1 * real
        held += low <= real <= high
    assert held >= 16


def test_a_small_table_is_read_whole_and_leaves_no_doubt() -> None:
    found = estimate(open_source(rows(50, 1)), LABELS)
    assert found.sampled == 50
    assert found.input_interval == (found.input_tokens, found.input_tokens)


def test_an_estimate_takes_the_data_that_a_run_takes(tmp_path: Path) -> None:
    table = pl.DataFrame({"text": ["a bug", "a bill"]})
    table.write_csv(tmp_path / "in.csv")
    expected = estimate(open_source(table), LABELS)
    for data in (table, table.lazy(), table["text"].to_list(), table.to_dicts(), tmp_path / "in.csv"):
        assert estimate(data, LABELS) == expected
    with pytest.raises(ConfigError, match="cannot be read as input"):
        estimate(5, LABELS)


def test_the_same_table_gives_the_same_estimate() -> None:
    table = open_source(rows(5_000, 2))
    assert estimate(table, LABELS) == estimate(table, LABELS)


def repeated() -> pl.DataFrame:
    texts = [f"message number {number % 300} " + "word " * (number % 7) for number in range(2_100)]
    return pl.DataFrame({"text": texts})


def test_equal_rows_are_counted_once_and_what_a_run_then_sends_is_just_that() -> None:
    table = repeated()
    found = estimate(open_source(table), LABELS)
    emulator = Emulator()
    asked = run(table, LABELS, client=Client("key", transport=emulator.transport))
    assert asked.totals.valid == 2_100
    assert (found.requests, found.requests_exact) == (emulator.stats()["requests"], True) == (2_100, True)
    twice = pl.concat([table, table.head(900)])
    assert estimate(open_source(twice), LABELS).requests == 2_100
    assert estimate(open_source(twice), LABELS).input_tokens == found.input_tokens


def test_a_large_table_is_judged_by_a_sample_and_says_so() -> None:
    texts = [f"text {number}" for number in range(101_000)]
    table = pl.DataFrame({"text": texts + texts[:30_000]})
    found = estimate(open_source(table), LABELS)
    assert (found.rows, found.sampled, found.requests_exact) == (131_000, 2_000, False)
    assert found.requests == 101_000


def test_equal_rows_of_a_large_table_are_found_out_and_counted_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("p.py").write_text('from extract import Extractor\nextractor = Extractor(["a", "b"], "{text}")\n')
    # What the prompt does not read tells no rows apart.
    table = pl.DataFrame({"id": range(120_000), "text": ["one", "two", "three"] * 40_000})
    table.write_parquet("rows.parquet")
    found = estimate(open_source(table), LABELS)
    three = estimate(open_source(table.head(3)), LABELS)
    assert (found.rows, found.requests, found.requests_exact) == (120_000, 3, True)
    assert (found.input_tokens, found.output_tokens) == (three.input_tokens, three.output_tokens)
    assert found.input_interval == (found.input_tokens, found.input_tokens)
    shown = CliRunner().invoke(app, ["estimate", "p.py", "rows.parquet"]).stdout
    assert "120,000 rows, 3 different requests" in shown
    assert "with --no-cache they are not" in shown
    assert "(all prompts counted)" in shown


def test_a_sample_of_equally_long_prompts_does_not_say_that_all_were_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("extract.runner.estimate._COUNTED_ROWS", 2_500)
    Path("p.py").write_text('from extract import Extractor\nextractor = Extractor(["a", "b"], "{text}")\n')
    pl.DataFrame({"text": [f"{number:08}" for number in range(3_000)]}).write_csv("rows.csv")
    shown = CliRunner().invoke(app, ["estimate", "p.py", "rows.csv"]).stdout
    assert "at most about 3,000 different requests, judging by 2,000 of the rows" in shown
    assert "at 95 %, from 2,000 prompts" in shown
    assert "all prompts counted" not in shown


def test_rows_in_the_cache_and_rows_that_cannot_be_sent_count_as_often_as_they_stand_there(tmp_path: Path) -> None:
    client = Client("key", transport=Emulator().transport)
    run(pl.DataFrame({"text": ["one"]}), LABELS, client=client, cache=tmp_path / "c")
    with ResponseCache(tmp_path / "c", read_only=True) as cache:
        found = estimate(open_source(pl.DataFrame({"text": ["one", "two", "one", "one"]})), LABELS, cache=cache)
    assert (found.rows, found.cached, found.requests) == (4, 3, 2)
    missing = pl.DataFrame({"file": [str(tmp_path / "gone.png")] * 3})
    assert estimate(open_source(missing), Extractor(["a", "b"], "what is it?", media=("file",))).bad == 3


def test_rows_that_cannot_be_sent_are_counted_with_one_reason(tmp_path: Path) -> None:
    (tmp_path / "there.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"x" * 100)
    table = pl.DataFrame({"file": [str(tmp_path / name) for name in ("there.png", "gone.png", "lost.png")]})
    found = estimate(open_source(table), Extractor(["a", "b"], "what is it?", media=("file",)))
    assert (found.bad, found.requests) == (2, 1)
    assert found.reason is not None
    assert found.reason.startswith("row 1: ")
    assert "gone.png" in found.reason


def test_what_is_in_the_cache_is_told_and_not_priced_again(tmp_path: Path) -> None:
    table = repeated().unique(maintain_order=True).head(200)
    client = Client("key", transport=Emulator().transport)
    run(table, LABELS, client=client, cache=tmp_path / "c", limit=50)
    with ResponseCache(tmp_path / "c", read_only=True) as cache:
        found = estimate(open_source(table), LABELS, cache=cache)
        rest = estimate(open_source(table.tail(150)), LABELS, cache=cache)
    assert (found.cached, found.requests, rest.cached) == (50, 200, 0)
    assert found.input_tokens == rest.input_tokens
    assert found.costs == rest.costs


TALKING = Extractor(str, "{text}", generation=Generation(thinking_level="low"))


def talk(body: dict[str, Any]) -> str:
    return json.dumps({"value": "word " * (len(str(body["input"])) % 97)})


def test_a_paid_sample_gives_an_interval_that_holds_what_the_run_takes_and_is_paid_once(tmp_path: Path) -> None:
    held = 0
    for seed in range(10):
        emulator = Emulator(answers=talk)
        client = Client("key", transport=emulator.transport)
        source = open_source(rows(400, seed))
        with ResponseCache(tmp_path / f"{seed}.cache") as cache:
            paid = pay_sample(source, TALKING, 40, client=client, cache=cache)
            again = pay_sample(source, TALKING, 40, client=client, cache=cache)
            found = estimate(source, TALKING, cache=cache, paid=paid)
            assert emulator.stats()["requests"] == 40
            asked = run(rows(400, seed), TALKING, client=client, cache=cache)
        assert emulator.stats()["requests"] == 400
        assert (again.usages, again.cost) == (paid.usages, Decimal(0))
        assert paid.usage.thought_tokens > 0
        assert paid.cost is not None
        assert asked.cost is not None
        assert found.cached == 40
        interval = found.cost_intervals["standard"]
        assert interval is not None
        assert interval[1] - interval[0] < asked.cost  # it says something
        assert found.output_interval is not None
        low, high = found.output_interval
        tokens = asked.usage.output_tokens + asked.usage.thought_tokens
        held += low <= tokens <= high and interval[0] <= asked.cost <= interval[1]
    assert held >= 8


@pytest.mark.parametrize(("rows", "quantile"), [(2, 12.706), (3, 4.303), (6, 2.571), (11, 2.228), (12, 2.201)])
def test_a_tiny_paid_sample_leaves_as_much_doubt_as_it_must(rows: int, quantile: float) -> None:
    usages = tuple(Usage(input_tokens=10, output_tokens=1_000_000 + 10_000 * number) for number in range(rows))
    paid = PaidSample(rows=rows, usages=usages, cost=None)
    table = pl.DataFrame({"text": [f"row {number}" for number in range(100)]})
    found = estimate(open_source(table), LABELS, paid=paid)
    assert found.output_interval is not None
    doubt = stdev(usage.output_tokens for usage in usages) * (100 * (100 + rows) / rows) ** 0.5
    assert (found.output_interval[1] - found.output_tokens) / doubt == pytest.approx(quantile, rel=1e-3)


def test_a_paid_sample_that_nobody_answers_is_an_error_in_one_line(tmp_path: Path) -> None:
    client = Client("key", transport=Emulator(faults="blocked=1").transport)
    with ResponseCache(tmp_path / "c") as cache, pytest.raises(ConfigError, match="none of the 5 rows"):
        pay_sample(open_source(rows(50, 1)), LABELS, 5, client=client, cache=cache)


def test_the_command_says_what_the_sample_cost_and_sends_nothing_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("label.py").write_text('from extract import Extractor\nextractor = Extractor(["a", "b"], "{text}")\n')
    rows(60, 3).write_parquet("in.parquet")

    def typed(*words: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, ["estimate", "label.py", "in.parquet", *words])
        return result.exit_code, result.stdout if result.exception is None else str(result.exception)

    emulator = Emulator()
    with running_server(emulator) as url:
        assert typed("--cache", "c", "--base-url", url)[0] == 0
        assert not Path("c").exists()
        assert emulator.stats()["requests"] == 0
        assert "needs --cache" in typed("--paid-sample", "10", "--base-url", url)[1]
        status, said = typed("--paid-sample", "10", "--cache", "c", "--base-url", url)
        assert status == 0
        assert "10 rows are in the cache" in said
        assert "the sample: 10 of 10 rows answered" in said
        assert "which is spent" in said
        found = json.loads(typed("--paid-sample", "10", "--cache", "c", "--base-url", url, "--json")[1])
        assert emulator.stats()["requests"] == 10
    assert found["paid_sample"]["cost_usd"] == 0
    assert found["cost_usd_interval"]["standard"][0] <= found["cost_usd"]["standard"]


def test_samples_are_requests_of_their_own_unless_they_are_in_the_cache(tmp_path: Path) -> None:
    table = repeated().head(100)
    client = Client("key", transport=Emulator().transport)
    run(table, LABELS, client=client, cache=tmp_path / "c", limit=40)
    once = estimate(open_source(table), LABELS)
    with ResponseCache(tmp_path / "c", read_only=True) as cache:
        found = estimate(open_source(table), LABELS, cache=cache, samples=3)
    assert (once.left, found.requests, found.left, found.cached) == (100, 300, 260, 0)
    assert found.input_tokens < 3 * once.input_tokens
    with pytest.raises(ConfigError, match="samples is a whole number"):
        estimate(open_source(table), LABELS, samples=0)


def test_the_time_is_that_of_the_quota_which_decides() -> None:
    found = estimate(open_source(repeated().head(600)), LABELS)
    assert found.minutes() is None
    assert found.minutes(rpm=60) == 10
    assert found.minutes(rpm=60, tpm=found.input_tokens / 25) == pytest.approx(25)
    assert found.minutes(rpm=60, rpd=250) == 2 * 24 * 60  # the third day is not counted: it may take a moment only
    assert found.minutes(rpd=600) == 0


def test_the_command_shows_prices_with_their_date_time_losses_and_warnings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("p.py").write_text(
        "from typing import Annotated, Literal\n"
        "from pydantic import BaseModel, Field\n"
        "from extract import Extractor\n"
        "class A(BaseModel):\n"
        '    code: Annotated[str, Field(pattern="^[A-Z]{3}$")]\n'
        '    kind: Literal[tuple(f"kind number {n} with a long name" for n in range(600))]\n'
        'extractor = Extractor(A, "{text}")\n'
    )
    rows(30, 1).write_parquet("in.parquet")
    words = ["estimate", "p.py", "in.parquet", "--rpm", "10", "--samples", "2"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0
    assert "30 rows, 2 samples each" in done.stdout
    assert re.search(r"standard: about \$[\d.]+, at \$0\.30 in and \$2\.50 out per million tokens", done.stdout)
    assert re.search(r"prices of \d{4}-\d\d-\d\d, by genai-prices ", done.stdout)
    assert "time: at least 6 min at this quota" in done.stdout
    assert '$.code: pattern "^[A-Z]{3}$"' in done.stdout
    assert "warning:" in done.stderr
    found = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    assert (found["minutes_at_quota"], found["requests_left"]) == (6, 60)
    assert found["losses"] == [{"path": "$.code", "keyword": "pattern", "value": "^[A-Z]{3}$"}]
    assert len(found["warnings"]) > 0
    assert found["prices"]["usd_per_million_tokens"]["flex"]["input"] == 0.15
    plain = CliRunner().invoke(app, words[:3])
    assert "--rpm" in plain.stdout
