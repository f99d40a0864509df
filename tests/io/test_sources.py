from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from extract import ConfigError, Extractor, estimate, run
from extract.io.sources import Source, open_source, take_rows

FRAME = pl.DataFrame({"id": range(10), "text": [f"row {number}" for number in range(10)]})


def whole(source: Source) -> pl.DataFrame:
    frames = list(source.batches(3))
    assert all(frame.height <= 3 for frame in frames)
    return pl.concat(frames)


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "ndjson", "parquet", "xlsx"])
def test_every_table_format_is_read_in_batches_and_in_order(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"t.{ending}"
    write = {
        "csv": FRAME.write_csv,
        "tsv": lambda path: FRAME.write_csv(path, separator="\t"),
        "jsonl": FRAME.write_ndjson,
        "ndjson": FRAME.write_ndjson,
        "parquet": FRAME.write_parquet,
        "xlsx": FRAME.write_excel,
    }
    write[ending](path)
    source = open_source(path)
    assert source.height == 10
    assert_frame_equal(whole(source), FRAME)
    assert_frame_equal(whole(source), FRAME)  # a source can be read again


@pytest.mark.parametrize("data", [FRAME, FRAME.lazy(), FRAME.to_dicts()])
def test_frames_and_rows_are_sources(data: Any) -> None:
    assert_frame_equal(whole(open_source(data)), FRAME)


def test_a_series_is_a_column() -> None:
    assert open_source(pl.Series(["a"])).schema == {"text": pl.String}


def test_a_list_of_texts_is_a_column() -> None:
    assert whole(open_source(["a", "b"])).to_dict(as_series=False) == {"text": ["a", "b"]}


def test_a_glob_reads_all_tables_that_match(tmp_path: Path) -> None:
    FRAME.head(4).write_csv(tmp_path / "a.csv")
    FRAME.tail(6).write_csv(tmp_path / "b.csv")
    assert_frame_equal(whole(open_source(str(tmp_path / "*.csv"))), FRAME)


def test_a_folder_is_one_record_per_document(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    for name in ("b.txt", "a.pdf", ".hidden.txt", "deep/c.md", "program.exe"):
        (tmp_path / name).write_text("x")
    frame = whole(open_source(tmp_path))
    assert frame["name"].to_list() == ["a.pdf", "b.txt", "c.md", "program.exe"]
    assert frame["mime_type"].to_list()[:3] == ["application/pdf", "text/plain", "text/markdown"]
    assert frame["path"][2] == str(tmp_path / "deep" / "c.md")


def test_what_cannot_be_read_in_a_folder_is_a_row_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "gone.pdf").symlink_to(tmp_path / "nothing")
    (tmp_path / "self").symlink_to(tmp_path, target_is_directory=True)
    os.mkfifo(tmp_path / "pipe.txt")
    (tmp_path / "letter.rtf").touch()
    assert whole(open_source(tmp_path))["name"].to_list() == ["gone.pdf", "letter.rtf", "pipe.txt"]


@pytest.mark.skipif(sys.platform != "linux", reason="names of bytes are Linux's")
def test_a_file_whose_name_is_no_unicode_has_an_address(tmp_path: Path) -> None:
    Path(os.fsdecode(bytes(tmp_path) + b"/caf\xe9.txt")).write_text("words")
    frame = whole(open_source(tmp_path))
    assert frame["path"].to_list() == [f"file://{tmp_path}/caf%E9.txt"]
    assert frame["name"].to_list() == ["caf\\udce9.txt"]


def test_types_are_inferred_from_all_rows(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("n\n" + "1\n" * 5000 + "x\n")
    assert open_source(tmp_path / "t.csv").schema == {"n": pl.String}


def test_a_limit_cuts_within_a_batch() -> None:
    assert whole(take_rows(open_source(FRAME), 5))["id"].to_list() == [0, 1, 2, 3, 4]
    assert take_rows(open_source(FRAME), 99).height == 10
    with pytest.raises(ConfigError, match="limit"):
        take_rows(open_source(FRAME), 0)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", "a,b\n1,2\n3,4,5\n", "line 3 has 3 fields, the header 2"),
        ("t.csv", "", "empty"),
        ("t.csv", "a,b\n", "no rows"),
        ("t.jsonl", '{"a": 1}\n{"a": \n', "cannot be read"),
        ("t.parquet", "no parquet", "cannot be read"),
    ],
)
def test_a_broken_file_is_one_line_before_anything_is_sent(
    tmp_path: Path, name: str, content: str, message: str
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(ConfigError, match=message) as caught:
        open_source(tmp_path / name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("data", ["missing.csv", "no*match.csv", 17, None, [1], ["text", 1]])
def test_what_cannot_be_read_as_input_is_a_config_error(data: Any) -> None:
    with pytest.raises(ConfigError):
        open_source(data)


def test_an_empty_folder_is_a_config_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no document"):
        open_source(tmp_path)


def test_a_number_that_would_lose_its_zeros_stays_text(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("zip,n,phone\n00123,1,+49\n10115,0,7\n")
    frame = whole(open_source(tmp_path / "t.csv"))
    assert frame.rows() == [("00123", 1, "+49"), ("10115", 0, "7")]


def test_a_file_is_read_and_not_what_its_name_would_match(tmp_path: Path) -> None:
    for name, value in (("data[1].csv", "right"), ("data1.csv", "wrong")):
        (tmp_path / name).write_text(f"a\n{value}\n")
    assert whole(open_source(tmp_path / "data[1].csv"))["a"].to_list() == ["right"]
    (tmp_path / "data[1].jsonl").write_text('{"a": "right"}\n')
    assert whole(open_source(tmp_path / "data[1].jsonl"))["a"].to_list() == ["right"]


def test_a_lazy_frame_that_raises_is_told_in_one_line() -> None:
    def fail(_: pl.Series) -> pl.Series:
        raise ZeroDivisionError("mine")

    source = open_source(FRAME.lazy().with_columns(pl.col("id").map_batches(fail, return_dtype=pl.Int64)))
    with pytest.raises(ConfigError, match="mine"):
        whole(source)


@pytest.mark.parametrize("name", ["x" * 300 + ".csv", "a\0b.csv"])
def test_a_name_that_cannot_be_is_told(name: str) -> None:
    with pytest.raises(ConfigError):
        open_source(name)


def test_a_broken_workbook_is_told(tmp_path: Path) -> None:
    (tmp_path / "t.xlsx").write_bytes(b"no workbook")
    with pytest.raises(ConfigError, match="cannot be read"):
        open_source(tmp_path / "t.xlsx")


def test_a_huge_field_before_a_broken_row_is_told(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n" + "x" * 200_000 + ",1\n1,2,3\n")
    with pytest.raises(ConfigError, match="cannot be read"):
        open_source(tmp_path / "t.csv")


def test_a_generator_is_read_in_batches_and_only_once() -> None:
    read = 0

    def rows() -> Iterator[dict[str, object]]:
        nonlocal read
        for number in range(5_000):
            read += 1
            yield {"number": number, "text": f"row {number}"}

    source = open_source(rows())
    assert read < 1_100
    batches = source.batches(100)
    assert next(batches).height == 100
    assert read < 1_200
    rest = pl.concat(list(batches))
    assert rest["number"].to_list() == list(range(100, 5_000))
    with pytest.raises(ConfigError, match="only once"):
        next(source.batches(100))


@pytest.mark.parametrize(
    "items", [["a", "b", "c"], [{"text": "a"}, {"text": "b"}, {"text": "c"}], [pl.DataFrame({"text": ["a", "b", "c"]})]]
)
def test_texts_rows_and_frames_may_come_from_an_iterator(items: list[object]) -> None:
    assert pl.concat(list(open_source(iter(items)).batches(2)))["text"].to_list() == ["a", "b", "c"]


def test_a_later_row_of_another_type_is_named_and_what_came_before_it_is_kept() -> None:
    rows = [{"number": number} for number in range(1_500)] + [{"number": "many"}]
    batches = open_source(iter(rows)).batches(100)
    assert pl.concat([next(batches) for _ in range(14)]).height == 1_400
    with pytest.raises(ConfigError, match=r"from row 1[0-9]{3} on"):
        list(batches)


@pytest.mark.parametrize("items", [[], [1, 2], [object()]])
def test_an_iterator_of_anything_else_is_refused(items: list[object]) -> None:
    with pytest.raises(ConfigError):
        open_source(iter(items))


def test_rows_that_a_panic_in_a_thread_of_polars_takes_away_end_the_run() -> None:
    def fails(frame: pl.DataFrame) -> pl.DataFrame:
        if frame["id"].max() == 5_999:
            raise pl.exceptions.PanicException("a bug in a plug-in")
        return frame

    table = pl.LazyFrame({"id": range(6_000), "text": ["a bug"] * 6_000})
    failing = table.map_batches(fails, streamable=True, schema=table.collect_schema())
    result = run(failing, Extractor(["bug", "bill"], "{text}"), offline=True)
    assert result.totals.rows < 6_000
    assert "the lazy frame ended before its last row" in str(result.stopped)


def test_a_lazy_frame_of_every_type_is_read_whole() -> None:
    table = pl.LazyFrame(
        {
            "label": pl.Series(["u", None], dtype=pl.Enum(["u", "v"])),
            "kind": pl.Series(["u", "v"], dtype=pl.Categorical),
            "record": [{"q": 1}, None],
            "list": [[1], []],
            "amount": [Decimal("1.10"), None],
            "nothing": [None, None],
            "bytes": [b"x", b"y"],
            "^a$": [1, 2],
            "pair": pl.Series([[1, 2], [3, 4]], dtype=pl.Array(pl.Int64, 2)),
        }
    )
    source = open_source(table)
    read = pl.concat(source.batches(1))
    assert read.equals(table.collect())
    assert read.schema == source.schema
    assert list(open_source(pl.LazyFrame()).batches(1)) == []


@pytest.mark.parametrize(
    ("cells", "written"),
    [
        (pl.Series([0, 2_534_023_008_000_000_000], dtype=pl.Int64).cast(pl.Datetime("us")), "82269"),
        (pl.Series([0, 20_000_000], dtype=pl.Int32).cast(pl.Date), "56728"),
        (pl.Series([0, 2**62], dtype=pl.Int64).cast(pl.Duration("ms")), "P"),
    ],
    ids=["datetime", "date", "duration"],
)
def test_a_time_that_python_cannot_hold_is_text_and_stops_no_run(cells: pl.Series, written: str) -> None:
    result = run(pl.DataFrame({"at": cells}), Extractor(["a", "b"], "When: {at}"), offline=True)
    assert (result.totals.valid, result.complete) == (2, True)
    assert written in result.sample(2).rows[1].prompt


@pytest.mark.parametrize("how", [{"csv_separator": ";"}, {"csv_encoding": "cp1251"}, {"sheet": 2}])
def test_an_opened_source_takes_no_options_of_reading(how: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("text\na\n")
    source = open_source(tmp_path / "in.csv")
    for read in (
        lambda: open_source(source, **how),
        lambda: run(source, Extractor(["a", "b"], "{text}"), offline=True, **how),
        lambda: estimate(source, Extractor(["a", "b"], "{text}"), **how),
    ):
        with pytest.raises(ConfigError, match="not about a source that is open already: give them to open_source"):
            read()
    assert run(source, Extractor(["a", "b"], "{text}"), offline=True).totals.rows == 1
