from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from extract import ConfigError
from extract.sources import Source, open_source, take_rows

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


def test_a_glob_reads_all_tables_that_match(tmp_path: Path) -> None:
    FRAME.head(4).write_csv(tmp_path / "a.csv")
    FRAME.tail(6).write_csv(tmp_path / "b.csv")
    assert_frame_equal(whole(open_source(str(tmp_path / "*.csv"))), FRAME)


def test_a_folder_is_one_record_per_document(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    for name in ("b.txt", "a.pdf", ".hidden.txt", "deep/c.md", "program.exe"):
        (tmp_path / name).write_text("x")
    frame = whole(open_source(tmp_path))
    assert frame["name"].to_list() == ["a.pdf", "b.txt", "c.md"]
    assert frame["mime_type"].to_list() == ["application/pdf", "text/plain", "text/markdown"]
    assert frame["path"][2] == str(tmp_path / "deep" / "c.md")


def test_types_are_inferred_from_all_rows(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("n\n" + "1\n" * 5000 + "x\n")
    assert open_source(tmp_path / "t.csv").schema == {"n": pl.String}


def test_a_limit_cuts_within_a_batch() -> None:
    assert whole(take_rows(open_source(FRAME), 5))["id"].to_list() == [0, 1, 2, 3, 4]
    assert take_rows(open_source(FRAME), 99).height == 10
    assert list(take_rows(open_source(FRAME), 0).batches(3)) == []


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("t.csv", "a,b\n1,2\n3,4,5\n", "line 3 has 3 fields, the header 2"),
        ("t.csv", "", "empty"),
        ("t.csv", "a,b\n", "no rows"),
        ("t.jsonl", '{"a": 1}\n{"a": \n', "cannot be read"),
        ("t.parquet", "no parquet", "cannot be read"),
        ("t.unknown", "x", "document"),
    ],
)
def test_a_broken_file_is_one_line_before_anything_is_sent(tmp_path: Path, name: str, content: str, said: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(ConfigError, match=said) as caught:
        open_source(tmp_path / name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("data", ["missing.csv", "no*match.csv", 17, None, ["text"]])
def test_what_is_no_input_is_told(data: Any) -> None:
    with pytest.raises(ConfigError):
        open_source(data)


def test_an_empty_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no document"):
        open_source(tmp_path)
