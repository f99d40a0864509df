"""Workbooks: what a spreadsheet shows of each type, and that all of it can be read back."""

from __future__ import annotations

import datetime as dt
import re
import sys
import zipfile
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import fastexcel
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from extract import ConfigError, Extractor, run
from extract.io.sinks.excel import ExcelSink
from extract.io.sinks.open import open_sink, scan_output

SCHEMA = pl.Schema(
    {
        "text": pl.String,
        "whole": pl.Int64,
        "amount": pl.Decimal(38, 9),
        "cents": pl.Decimal(38, 2),
        "real": pl.Float64,
        "yes": pl.Boolean,
        "day": pl.Date,
        "clock": pl.Time,
        "local": pl.Datetime("us"),
        "at": pl.Datetime("us", "UTC"),
        "lasts": pl.Duration("us"),
        "parts": pl.List(pl.Struct({"name": pl.String, "amount": pl.Decimal(38, 9)})),
    }
)


def written(path: Path, *frames: pl.DataFrame) -> Path:
    sink = open_sink(path)
    sink.open(frames[0].schema, {})
    for frame in frames:
        sink.write(frame)
    made = sink.close(whole=True, manifest={})
    assert made is not None
    return made


decimals = st.decimals(allow_nan=False, allow_infinity=False, places=9, min_value=-(10**20), max_value=10**20)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
moments = st.datetimes(min_value=dt.datetime(1, 1, 1), max_value=dt.datetime(9999, 12, 31))
rows = st.fixed_dictionaries(
    {
        "text": texts,
        "whole": st.integers(-(2**63), 2**63 - 1),
        "amount": decimals,
        "cents": st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-(10**20), max_value=10**20),
        "real": st.floats(),
        "yes": st.booleans(),
        "day": st.dates(),
        "clock": st.times(),
        "local": moments,
        "at": moments.map(lambda moment: moment.replace(tzinfo=dt.UTC)),
        "lasts": st.timedeltas(dt.timedelta(days=-40_000), dt.timedelta(days=40_000)),
        "parts": st.lists(st.fixed_dictionaries({"name": texts, "amount": decimals}), max_size=2),
    }
)


@settings(max_examples=60, deadline=None)
@given(st.lists(rows | st.just({}), min_size=1, max_size=4))
@example([{"real": sys.float_info.max}, {"real": -sys.float_info.max}, {"real": float("-inf")}])
def test_a_workbook_gives_back_every_value_that_was_written(rows: list[dict[str, Any]]) -> None:
    frame = pl.DataFrame(rows, schema=SCHEMA)
    with TemporaryDirectory() as name:
        sink = open_sink(Path(name) / "o.xlsx")
        sink.open(SCHEMA, {})
        sink.write(frame)
        sink.close(whole=True, manifest={})
        read = sink.scan(SCHEMA)
        assert read is not None
        assert_frame_equal(read.collect(), frame)


def test_numbers_dates_and_truths_are_cells_of_these_types(tmp_path: Path) -> None:
    row = {
        "text": "=1+1",
        "whole": 7,
        "amount": Decimal("274.8"),
        "yes": True,
        "day": dt.date(2026, 3, 14),
        "local": dt.datetime(2026, 3, 14, 12, 30),
    }
    path = written(tmp_path / "o.xlsx", pl.DataFrame([row], schema=SCHEMA))
    shown = fastexcel.read_excel(path).load_sheet(0).to_polars()
    assert shown.select("text", "whole", "amount", "yes", "day", "local").row(0) == (
        "=1+1",
        7,
        274.8,
        True,
        dt.datetime(2026, 3, 14),
        dt.datetime(2026, 3, 14, 12, 30),
    )


def test_an_amount_is_shown_with_cents_and_a_whole_number_without(tmp_path: Path) -> None:
    amounts = [Decimal("274.8"), Decimal(3), Decimal("0.125")]
    path = written(tmp_path / "o.xlsx", pl.DataFrame({"amount": amounts}, schema={"amount": pl.Decimal(38, 9)}))
    styles = zipfile.ZipFile(path).read("xl/styles.xml").decode()
    cells = zipfile.ZipFile(path).read("xl/worksheets/sheet1.xml").decode()
    assert 'formatCode="0.000"' in styles  # 0.00 and 0 are formats that every spreadsheet has
    assert len(set(re.findall(r'<c r="A[234]" s="(\d+)"', cells))) == 3


def test_a_text_too_long_for_a_cell_is_cut_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    frame = pl.DataFrame({"text": ["a" * 40_000, "short"]})
    path = written(tmp_path / "o.xlsx", frame)
    assert scan_output(path, frame.schema).collect()["text"].str.len_chars().to_list() == [32_767, 5]
    assert "1 text is longer than a cell can be, and is cut" in caplog.text


def test_more_rows_than_a_sheet_holds_are_refused_before_the_first_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ExcelSink, "max_rows", 2)
    with pytest.raises(ConfigError, match=r"holds at most 2 rows, and the input has 3; write \.parquet"):
        run(["a", "b", "c"], Extractor(["x", "y"], "{text}"), offline=True, output=tmp_path / "o.xlsx")
    assert not list(tmp_path.iterdir())


def test_without_the_extra_a_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xlsxwriter", None)
    with pytest.raises(ConfigError, match=r"pip install 'extract-interactions\[excel\]'"):
        run(["a"], Extractor(["x", "y"], "{text}"), offline=True, output=tmp_path / "o.xlsx")
