"""Lazy frames: asked as they are wanted, paid for once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from extract import Client, ConfigError, Emulator, Extractor, lazy_run

ENGINES: tuple[Literal["in-memory", "streaming"], ...] = ("in-memory", "streaming")
SHOUT = Extractor(["spam", "ham"], "{text}")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "in.parquet"
    frame = pl.DataFrame({"number": range(700), "text": [f"message number {number}" for number in range(700)]})
    frame.write_parquet(path)
    return path


def by_number(body: dict[str, Any]) -> str:
    number = int(str(body["input"][0]["content"][0]["text"]).rsplit(" ", 1)[1])
    return '{"value": "%s"}' % ("spam" if number % 3 else "ham")


def asked(table: Path, emulator: Emulator, **options: Any) -> pl.LazyFrame:
    client = Client("key", transport=emulator.transport)
    lazy: pl.LazyFrame = pl.scan_parquet(table).extract.run(SHOUT, client=client, **options)
    return lazy


def truth() -> list[str]:
    return ["spam" if number % 3 else "ham" for number in range(700)]


@pytest.mark.parametrize("engine", ENGINES)
def test_it_is_asked_only_when_collected_and_streams_into_a_file(table: Path, tmp_path: Path, engine: Any) -> None:
    emulator = Emulator(answers=by_number)
    lazy = asked(table, emulator)
    assert lazy.collect_schema().names() == ["number", "text", "value"]
    assert emulator.stats()["requests"] == 0
    lazy.sink_parquet(tmp_path / "out.parquet", engine=engine)
    written = pl.read_parquet(tmp_path / "out.parquet")
    assert written["value"].cast(pl.String).to_list() == truth()
    assert emulator.stats()["requests"] == 700


@pytest.mark.parametrize("engine", ENGINES)
def test_collected_twice_it_pays_once(table: Path, engine: Any) -> None:
    emulator = Emulator(answers=by_number)
    lazy = asked(table, emulator)
    assert_frame_equal(lazy.collect(engine=engine), lazy.collect(engine=engine))
    assert emulator.stats()["requests"] == 700


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("shared", [True, False])
def test_joined_with_itself_it_pays_once(table: Path, engine: Any, shared: bool) -> None:
    emulator = Emulator(answers=by_number, latency=0.001)
    lazy = asked(table, emulator)
    other = lazy if shared else lazy.filter(pl.col("number") >= 0).with_columns(pl.col("number") * 1)
    joined = lazy.join(other, on="number", how="inner").sort("number").collect(engine=engine)
    assert joined["value"].cast(pl.String).to_list() == truth()
    assert emulator.stats()["requests"] == 700


@pytest.mark.parametrize("engine", ENGINES)
def test_no_more_rows_are_asked_than_are_wanted(table: Path, engine: Any) -> None:
    emulator = Emulator(answers=by_number)
    assert asked(table, emulator).head(5).collect(engine=engine)["value"].cast(pl.String).to_list() == truth()[:5]
    assert emulator.stats()["requests"] == 5


@pytest.mark.parametrize("engine", ENGINES)
def test_columns_and_filters_are_honoured(table: Path, engine: Any) -> None:
    lazy = asked(table, Emulator(answers=by_number))
    found = lazy.filter(pl.col("value").cast(pl.String) == "ham").select("number").collect(engine=engine)
    assert found["number"].to_list() == list(range(0, 700, 3))


EARLY = """
import sys
import polars as pl
from extract import Emulator, Client, Extractor, Limits

emulator = Emulator()
client = Client("key", transport=emulator.transport)
lazy = pl.scan_parquet(sys.argv[1]).extract.run(
    Extractor(["spam", "ham"], "{text}"), client=client, limits=Limits(concurrency=4)
)
found = lazy.filter(pl.col("value").is_not_null()).head(3).collect(engine="streaming")
print(found.height, emulator.stats()["requests"])
"""


def test_a_query_that_has_enough_asks_no_more_and_lets_the_program_end(table: Path) -> None:
    # Polars 2 does not close a Python source it no longer reads: the run behind it rests.
    command = [sys.executable, "-c", EARLY, str(table)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    height, requests = map(int, done.stdout.split())
    assert height == 3
    assert requests < 700


def test_a_named_cache_outlives_the_lazy_frame(table: Path, tmp_path: Path) -> None:
    emulator = Emulator(answers=by_number)
    for _ in range(2):
        asked(table, emulator, cache=tmp_path / "kept.cache").collect()
    assert emulator.stats()["requests"] == 700


def test_what_stops_the_run_is_raised_from_collect(table: Path) -> None:
    emulator = Emulator(answers=by_number, faults="quota_exceeded=1")
    with pytest.raises(Exception, match="daily quota"):
        asked(table, emulator).collect()


def test_an_output_and_a_clash_of_names_are_refused_at_once(table: Path) -> None:
    with pytest.raises(ConfigError, match="sink the lazy frame"):
        asked(table, Emulator(), output="x.parquet")
    with pytest.raises(ConfigError, match="already columns named"):
        pl.LazyFrame({"text": ["a"], "value": ["b"]}).extract.run(SHOUT, offline=True)


@pytest.mark.parametrize("options", [{"provenance": True}, {"provenance": True, "samples": 3}])
def test_a_column_of_the_output_in_the_input_is_refused_before_anything_is_collected(options: dict[str, Any]) -> None:
    taken = pl.LazyFrame({"text": ["a"], "_extract": [1]})
    with pytest.raises(ConfigError, match="_extract"):
        taken.extract.run(SHOUT, offline=True, **options)


def test_what_is_no_lazy_frame_is_refused_with_what_to_give() -> None:
    for source in ("in.csv", pl.DataFrame({"text": ["a"]})):
        with pytest.raises(ConfigError, match=r"lazy_run takes a LazyFrame, as of pl\.scan_csv"):
            lazy_run(source, Extractor(["a", "b"], "{text}"), offline=True)  # type: ignore[arg-type]  # what users do
