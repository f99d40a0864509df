from __future__ import annotations

import asyncio
import json
import os
import pickle
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow.parquet as pq
import pytest
from polars.testing import assert_frame_equal

from extract import ConfigError, ExtractError, Extractor, OutputError, Run, Sink, run
from extract.cli.completion import inputs, outputs
from extract.io import tables
from extract.io.endings import TABLES
from extract.io.sinks.formats import SINKS, one_of
from extract.io.sinks.frame import FrameSink
from extract.io.sinks.open import check_output, open_sink, read_manifest, write_errors
from extract.io.sources import open_source
from extract.json_types import JsonObject
from extract.runner.options import RunKeywords
from extract.runner.run import ask_all

ENDINGS = [ending.removeprefix(".") for ending in SINKS]
SCHEMA = pl.Schema(
    {
        "id": pl.Int64,
        "label": pl.Enum(["a", "b"]),
        "price": pl.Decimal(38, 2),
        "day": pl.Date,
        "at": pl.Datetime("us", "UTC"),
        "clock": pl.Time,
        "lasts": pl.Duration("us"),
        "data": pl.Binary,
        "items": pl.List(pl.Struct({"name": pl.String, "price": pl.Decimal(38, 2)})),
        "box": pl.Struct({"x": pl.Float64, "tags": pl.List(pl.String)}),
    }
)
ROW: dict[str, Any] = {
    "id": 1,
    "label": "b",
    "price": Decimal("12.50"),
    "day": date(2026, 1, 2),
    "at": datetime(2026, 1, 2, 3, 4, tzinfo=UTC),
    "clock": time(5, 6),
    "lasts": timedelta(seconds=90),
    "data": b"\x00\xff",
    "items": [{"name": 'a "quoted", piece', "price": Decimal("1.25")}],
    "box": {"x": 0.5, "tags": ["ü"]},
}
FRAME = pl.DataFrame([ROW, {"id": 2}], schema=SCHEMA)


def write(path: Path, *frames: pl.DataFrame, whole: bool = True) -> Path:
    sink = open_sink(path)
    sink.open(SCHEMA, {"pipeline": "p", "model": "m"})
    for frame in frames:
        sink.write(frame)
    return sink.close(whole=whole, manifest={"pipeline": "p", "model": "m"})


def test_parquet_keeps_every_type(tmp_path: Path) -> None:
    assert_frame_equal(pl.read_parquet(write(tmp_path / "o.parquet", FRAME, FRAME)), pl.concat([FRAME, FRAME]))


def test_other_readers_see_the_same_parquet(tmp_path: Path) -> None:
    path = write(tmp_path / "o.parquet", FRAME, FRAME)
    by_arrow = pq.read_table(path)
    assert by_arrow.num_rows == 4
    assert by_arrow.column("items")[0].as_py() == ROW["items"]
    assert by_arrow.column("price")[0].as_py() == Decimal("12.50")
    by_duckdb = duckdb.sql(f"SELECT id, label, price, day, box.x FROM '{path}' ORDER BY id").fetchall()
    assert by_duckdb[0] == (1, "b", Decimal("12.50"), date(2026, 1, 2), 0.5)


def test_the_footer_says_where_a_file_came_from(tmp_path: Path) -> None:
    path = write(tmp_path / "o.parquet", FRAME)
    assert json.loads(pl.read_parquet_metadata(path)["extract"]) == {"pipeline": "p", "model": "m"}
    assert json.loads(pq.read_metadata(path).metadata[b"extract"])["pipeline"] == "p"


@pytest.mark.parametrize("ending", ENDINGS)
def test_no_rows_still_make_a_readable_file(tmp_path: Path, ending: str) -> None:
    path = write(tmp_path / f"o.{ending}")
    if ending == "parquet":
        assert pl.read_parquet(path).schema == SCHEMA
    elif ending in ("csv", "xlsx"):
        read = pl.read_csv(path) if ending == "csv" else pl.read_excel(path, raise_if_empty=False)
        assert read.columns == list(SCHEMA)
    else:
        assert path.read_bytes() == b""


def test_csv_holds_nested_values_as_json_text(tmp_path: Path) -> None:
    frame = pl.read_csv(write(tmp_path / "o.csv", FRAME, FRAME))
    assert frame.height == 4
    first = frame.row(0, named=True)
    assert json.loads(first["items"]) == [{"name": 'a "quoted", piece', "price": "1.25"}]
    assert json.loads(first["box"]) == {"x": 0.5, "tags": ["ü"]}
    assert (first["data"], first["lasts"], first["day"]) == ("AP8=", "PT90S", "2026-01-02")
    assert set(frame.row(1, named=True).values()) == {2, None}


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_text_has_no_zeros_that_only_a_type_adds(tmp_path: Path, ending: str) -> None:
    undeclared = pl.Decimal(38, 9)
    schema: dict[str, Any] = {
        "^a$": undeclared,
        "cents": pl.Decimal(38, 2),
        "parts": pl.List(pl.Struct({"x": undeclared, "y": pl.List(undeclared)})),
        "pair": pl.Array(undeclared, 2),
        "box": pl.Struct({"x": undeclared}),
    }
    whole, half = Decimal(1200), Decimal("0.5")
    row = {
        "^a$": half,
        "cents": half,
        "parts": [{"x": whole, "y": [half, None]}, None],
        "pair": [whole, half],
        "box": {"x": whole},
    }
    frame = pl.DataFrame([row, dict.fromkeys(row)], schema=schema)
    sink = open_sink(tmp_path / f"o.{ending}")
    sink.open(frame.schema, {})
    sink.write(frame)
    sink.close(whole=True, manifest={})
    text = (tmp_path / f"o.{ending}").read_text(encoding="utf-8")
    assert "0.50" in text  # two places were declared
    assert not re.search(r"\.\d*0{3}", text)
    assert re.search(r"\b1200\b", text)
    read = sink.scan(frame.schema)
    assert read is not None
    assert_frame_equal(read.collect(), frame)


def test_jsonl_holds_one_object_a_row(tmp_path: Path) -> None:
    lines = write(tmp_path / "o.jsonl", FRAME).read_text().splitlines()
    first = json.loads(lines[0])
    assert (first["label"], first["data"], first["items"][0]["name"]) == ("b", "AP8=", 'a "quoted", piece')
    assert len(lines) == 2


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_reader_never_sees_half_a_file(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"o.{ending}"
    path.write_text("the last run's result")
    sink = open_sink(path)
    sink.open(SCHEMA, {})
    sink.write(FRAME)
    assert path.read_text() == "the last run's result"
    assert sink.close(whole=False, manifest={"pipeline": "p", "model": "m"}) == tmp_path / f"o.partial.{ending}"
    assert path.read_text() == "the last run's result"
    write(path, FRAME)
    assert path.read_bytes() != b"the last run's result"
    assert sorted(item.name for item in tmp_path.iterdir()) == [f"o.{ending}"]


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_abandoned_output_leaves_nothing(tmp_path: Path, ending: str) -> None:
    sink = open_sink(tmp_path / f"o.{ending}")
    sink.open(SCHEMA, {})
    sink.write(FRAME)
    sink.abandon()
    assert list(tmp_path.iterdir()) == []


def test_a_frame_sink_is_typed_without_rows() -> None:
    sink = FrameSink()
    sink.open(SCHEMA, {})
    assert sink.frame.schema == SCHEMA


@pytest.mark.parametrize("name", ["o.txt", "o", "missing/o.parquet"])
def test_an_output_that_cannot_be_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError):
        open_sink(tmp_path / name)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_full_disk_is_one_line(ending: str, tmp_path: Path) -> None:
    (tmp_path / f"o.{ending}.{os.getpid()}.part").symlink_to("/dev/full")
    sink = open_sink(tmp_path / f"o.{ending}")
    with pytest.raises(OutputError, match="cannot be written") as caught:
        fill(sink)
    sink.abandon()
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def fill(sink: Any) -> None:
    sink.open(SCHEMA, {})
    for _ in range(400):
        sink.write(FRAME.sample(2000, with_replacement=True))
    sink.close(whole=True, manifest={"pipeline": "p", "model": "m"})


def test_only_what_this_pipeline_wrote_is_replaced(tmp_path: Path) -> None:
    path, cache = tmp_path / "o.parquet", tmp_path / "o.parquet.cache"
    check_output(path, pipeline="p", cache=cache, overwrite=False)  # nothing there yet
    write(path, FRAME)
    check_output(path, pipeline="p", cache=cache, overwrite=False)
    with pytest.raises(ConfigError, match="--overwrite"):
        check_output(path, pipeline="other", cache=cache, overwrite=False)
    check_output(path, pipeline="other", cache=cache, overwrite=True)
    cache.touch()
    with pytest.raises(ConfigError, match="--overwrite"):
        check_output(path, pipeline="other", cache=cache, overwrite=False)


def test_a_text_output_is_replaced_only_with_its_own_cache_beside_it(tmp_path: Path) -> None:
    path, beside, shared = tmp_path / "o.csv", tmp_path / "o.csv.cache", tmp_path / "shared.cache"
    path.touch()
    shared.touch()
    for cache in (None, beside, shared):
        with pytest.raises(ConfigError, match="--overwrite"):
            check_output(path, pipeline="p", cache=cache, overwrite=False)
    beside.touch()
    check_output(path, pipeline="p", cache=beside, overwrite=False)


@pytest.mark.parametrize("content", [b"no parquet", b""])
def test_a_foreign_file_is_never_replaced_unasked(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "o.parquet").write_bytes(content)
    with pytest.raises(ConfigError, match="--overwrite"):
        check_output(tmp_path / "o.parquet", pipeline="p", cache=None, overwrite=False)


def test_the_errors_file_goes_when_there_are_no_errors(tmp_path: Path) -> None:
    errors = pl.DataFrame({"row_id": [1]})
    assert write_errors(errors, tmp_path / "o.parquet", whole=True) == tmp_path / "o.errors.parquet"
    assert write_errors(errors.clear(), tmp_path / "o.parquet", whole=True) is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("what", ["o.errors.parquet", "o.parquet", "o.partial.parquet"])
def test_a_folder_in_the_way_is_one_line(tmp_path: Path, what: str) -> None:
    sink = open_sink(tmp_path / "o.parquet")
    sink.open(SCHEMA, {})
    sink.write(FRAME)
    (tmp_path / what).mkdir()
    with pytest.raises(OutputError, match="cannot be written"):
        sink.close(whole=what != "o.partial.parquet", manifest={"pipeline": "p", "model": "m"})
        write_errors(pl.DataFrame(), tmp_path / "o.parquet", whole=True)


def test_two_runs_into_one_output_do_not_write_into_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = open_sink(tmp_path / "o.csv")
    monkeypatch.setattr(os, "getpid", lambda: 999_999_999)
    two = open_sink(tmp_path / "o.csv")
    for sink in (one, two):
        sink.open(SCHEMA, {})
    one.write(FRAME)
    two.write(FRAME)
    two.write(FRAME)
    assert [
        pl.read_csv(sink.close(whole=True, manifest={"pipeline": "p", "model": "m"})).height for sink in (two, one)
    ] == [4, 2]


def test_what_a_killed_run_left_is_taken_away(tmp_path: Path) -> None:
    (tmp_path / "o.parquet.999999999.part").touch()
    (tmp_path / f"o.parquet.{os.getppid()}.part").touch()
    write(tmp_path / "o.parquet", FRAME)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["o.parquet", f"o.parquet.{os.getppid()}.part"]


@pytest.mark.parametrize("dtype", [pl.Object, pl.Struct({}), pl.List(pl.Struct({}))])
def test_a_type_that_no_file_holds_is_refused_at_once(tmp_path: Path, dtype: Any) -> None:
    with pytest.raises(ConfigError, match="odd"):
        open_sink(tmp_path / "o.parquet").open(pl.Schema({"odd": dtype}), {})
    assert list(tmp_path.iterdir()) == []


class Shelf(Sink):
    """A sink of a few lines, as a user writes one for a database or a lake."""

    def __init__(self) -> None:
        self.schema, self.manifests, self.whole = pl.Schema(), list[dict[str, Any]](), False
        self.frames: list[pl.DataFrame] = []

    def open(self, schema: pl.Schema, manifest: dict[str, Any]) -> None:
        self.schema, self.manifests = schema, [manifest]

    def write(self, frame: pl.DataFrame) -> None:
        self.frames.append(frame)

    def close(self, *, whole: bool, manifest: dict[str, Any]) -> None:
        self.whole = whole
        self.manifests.append(manifest)

    def scan(self, schema: pl.Schema) -> pl.LazyFrame:
        return pl.concat([schema.to_frame(), *self.frames]).lazy()


EXTRACTOR = Extractor(["praise", "complaint"], "{text}")
TEXTS = pl.DataFrame({"text": [f"I love it {n}" for n in range(3_000)]})


def test_a_sink_of_a_few_lines_gets_all_that_a_parquet_file_gets(tmp_path: Path) -> None:
    shelf, path = Shelf(), tmp_path / "out.parquet"
    ours = run(TEXTS, EXTRACTOR, offline=True, sink=shelf, pipeline="p", errors="split")
    theirs = run(TEXTS, EXTRACTOR, offline=True, output=path, pipeline="p")
    assert shelf.whole
    assert dict(shelf.schema) == dict(pl.read_parquet_schema(path))
    assert_frame_equal(ours.frame, theirs.frame)
    assert_frame_equal(pl.concat(shelf.frames), pl.read_parquet(path))
    begun, ended = shelf.manifests
    footer = read_manifest(path)
    moving = ("started", "run")
    assert {k: v for k, v in begun.items() if k not in moving} == {k: v for k, v in footer.items() if k not in moving}
    assert ended["run"].keys() == footer["run"].keys()
    assert ended["run"]["totals"]["valid"] == footer["run"]["totals"]["valid"] == 3_000
    assert max(frame.height for frame in shelf.frames) >= 1_024  # many rows at a turn, as a file gets them


def test_a_run_into_such_a_sink_can_be_pickled_and_asked_again() -> None:
    result = run(TEXTS.head(3), EXTRACTOR, offline=True, sink=Shelf())
    assert_frame_equal(pickle.loads(pickle.dumps(result)).frame, result.frame)


def test_a_sink_that_cannot_be_read_back_says_so() -> None:
    class Hole(Sink):
        def write(self, frame: pl.DataFrame) -> None: ...

    result = run(TEXTS.head(3), EXTRACTOR, offline=True, sink=Hole())
    assert result.totals.valid == 3
    with pytest.raises(ExtractError, match="wrote no rows"):
        result.frame  # noqa: B018


class Full(Shelf):
    """A sink with room for one frame; Ctrl-C comes while it fails."""

    def __init__(self) -> None:
        super().__init__()
        self.interrupt, self.calls = list[Callable[[], object]](), list[str]()

    def write(self, frame: pl.DataFrame) -> None:
        if self.frames:
            self.interrupt[0]()
            raise OutputError("full")
        super().write(frame)

    def close(self, *, whole: bool, manifest: dict[str, Any]) -> None:
        self.calls.append(f"close whole={whole}")

    def abandon(self) -> None:
        self.calls.append("abandon")


async def interrupted(sink: Full | None, interrupt: list[Callable[[], object]]) -> Run:
    loop = asyncio.get_running_loop()
    options: RunKeywords = {"offline": True, "sink": sink}
    return await ask_all(
        TEXTS,
        EXTRACTOR,
        options,
        lambda runner: interrupt.append(lambda: loop.call_soon_threadsafe(runner.interrupt)),
    )


def test_a_sink_that_fails_before_an_interrupt_is_closed_with_the_rows_it_has() -> None:
    sink = Full()
    result = asyncio.run(interrupted(sink, sink.interrupt))
    assert result.interrupted
    assert sink.calls == ["close whole=False"]


def test_rows_in_memory_stay_where_a_later_one_is_lost_before_an_interrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt = list[Callable[[], object]]()
    frames = FrameSink.write

    def write(self: FrameSink, frame: pl.DataFrame) -> None:
        if len(self._frames) > 1:
            interrupt[0]()
            raise OutputError("rows put aside cannot be read back")
        frames(self, frame)

    monkeypatch.setattr(FrameSink, "write", write)
    result = asyncio.run(interrupted(None, interrupt))
    assert result.interrupted
    assert 1_024 <= result.frame.height < TEXTS.height


def test_a_sink_without_write_cannot_be_made() -> None:
    class Typo(Sink):
        def wirte(self, frame: pl.DataFrame) -> None: ...

    with pytest.raises(TypeError, match="write"):
        Typo()  # type: ignore[abstract] # the mistake that is tested


@pytest.mark.parametrize("where", ["write", "close"])
def test_whatever_a_sink_raises_ends_the_run_with_its_reason(where: str) -> None:
    class Broken(Sink):
        def __init__(self, error: Exception) -> None:
            self.error = error

        def write(self, frame: pl.DataFrame) -> None:
            if where == "write":
                raise self.error

        def close(self, *, whole: bool, manifest: JsonObject) -> None:
            raise self.error

    result = run(TEXTS.head(3), EXTRACTOR, offline=True, sink=Broken(OutputError("the table is gone")))
    assert (str(result.stopped), result.totals.valid) == ("the table is gone", 3)
    bug = RuntimeError("a bug\nof two lines")
    result = run(TEXTS.head(3), EXTRACTOR, offline=True, sink=Broken(bug))
    assert isinstance(result.stopped, OutputError)
    assert "(RuntimeError: a bug)" in str(result.stopped)
    assert (result.stopped.__cause__, result.totals.valid) == (bug, 3)


def test_every_ending_of_the_table_is_offered_named_and_read_back(tmp_path: Path) -> None:
    for ending in SINKS:
        path = tmp_path / f"out{ending}"
        result = run(TEXTS.head(2), EXTRACTOR, offline=True, output=path)
        assert_frame_equal(result.scan().collect(), result.frame)
        assert str(path) in outputs(str(tmp_path / "out"))
        with pytest.raises(ConfigError, match=re.escape(ending)):
            open_sink(tmp_path / "out.txt")


def test_every_ending_that_can_be_written_can_be_read_and_is_offered(tmp_path: Path) -> None:
    for ending in SINKS:
        path = tmp_path / f"out{ending}"
        run(TEXTS.head(2), EXTRACTOR, offline=True, output=path)
        assert open_source(path).schema.names() == ["text", "value"]
        assert str(path) in inputs(str(tmp_path / "out"))


def test_the_endings_that_are_offered_are_those_that_have_a_reader() -> None:
    assert set(TABLES) == set(tables._READERS)


def test_people_are_told_every_ending() -> None:
    readme = Path(__file__).parents[2] / "README.md"
    assert one_of() in readme.read_text(encoding="utf-8")
    assert one_of() in (run.__doc__ or "")
