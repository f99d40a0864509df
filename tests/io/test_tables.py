"""JSON lines, workbooks, and frames of other libraries: what is in them comes out, or the column is named."""

from __future__ import annotations

import gzip
import uuid
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from extract import ConfigError, Extractor, open_source, run

PROMPT = Extractor(["a", "b"], "{text}")
UID = uuid.UUID("6f1c1c9e-0000-4000-8000-00000000002a")


def frame(data: Any, **options: Any) -> pl.DataFrame:
    return pl.concat(list(open_source(data, **options).batches(100)))


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b'\xef\xbb\xbf{"text":"a"}\n', {"text": ["a"]}),
        (b'{"text":"a","x":NaN}\n{"text":"b","x":1.5}\n', {"text": ["a", "b"], "x": [None, 1.5]}),
        (b'{"text":"a","x":-Infinity}\n{"text":"b","x":Infinity}\n', {"text": ["a", "b"], "x": [None, None]}),
        (b'{"text":"NaN is no number"}\n', {"text": ["NaN is no number"]}),
        (rb'{"text":"cut \ud83d"}', {"text": ["cut \ufffd"]}),
        (rb'{"text":"\ude00 cut"}', {"text": ["\ufffd cut"]}),
        (rb'{"text":"whole \ud83d\ude00"}', {"text": ["whole 😀"]}),
        (rb'{"text":"a path \\ud83d"}', {"text": ["a path \\ud83d"]}),
        (b'{"text":"a"}\n\n{"text":"b"}\n', {"text": ["a", "b"]}),
        (b'{"text":"a"}\r{"text":"b"}\r', {"text": ["a", "b"]}),
        ('{"text":"ä"}\n{"text":"b"}\n'.encode("utf-16"), {"text": ["ä", "b"]}),
        (b'{"text":"a","id":12345678901234567890123}\n', {"text": ["a"], "id": [12345678901234567890123]}),
    ],
)
def test_json_lines_are_read_as_programs_write_them(tmp_path: Path, raw: bytes, expected: dict[str, list[Any]]) -> None:
    (tmp_path / "in.jsonl").write_bytes(raw)
    assert frame(tmp_path / "in.jsonl").to_dict(as_series=False) == expected
    assert frame(str(tmp_path / "*.jsonl")).to_dict(as_series=False) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["1", '{"b":1}', "null"], ["1", '{"b": 1}', None]),
        (["[1]", "1.5", '"s"'], ["[1]", "1.5", "s"]),
        (["1e400", "1.5"], ["1e400", "1.5"]),
        (["9" * 60, "1"], ["9" * 60, "1"]),
    ],
)
def test_values_that_share_no_type_are_text_and_refuse_no_run(
    tmp_path: Path, values: list[str], expected: list[Any]
) -> None:
    lines = (f'{{"text":"t","x":{value}}}\n' for value in values)
    (tmp_path / "in.jsonl").write_text("".join(lines))
    assert frame(tmp_path / "in.jsonl")["x"].to_list() == expected
    assert run(tmp_path / "in.jsonl", PROMPT, offline=True).totals.valid == len(values)


@pytest.fixture
def workbook(tmp_path: Path) -> Path:
    import xlsxwriter

    path = tmp_path / "book.xlsx"
    with xlsxwriter.Workbook(path) as book:
        for name in ("First", "Second", "3"):
            sheet = book.add_worksheet(name)
            sheet.write_row(0, 0, ["text", "sum"])
            sheet.write_row(1, 0, [name, 1])
            sheet.write_formula(2, 1, "=B2*2", value=2 if name == "First" else "")
            sheet.write(2, 0, "last")
    return path


@pytest.mark.parametrize(("sheet", "name"), [(None, "First"), ("Second", "Second"), (2, "Second"), ("2", "Second")])
def test_a_sheet_is_chosen_by_name_or_number(workbook: Path, sheet: Any, name: str) -> None:
    assert frame(workbook, sheet=sheet)["text"][0] == name


def test_the_name_of_a_sheet_comes_before_its_number(workbook: Path) -> None:
    assert frame(workbook, sheet="3")["text"][0] == "3"


def test_a_sheet_that_is_not_there_is_told_with_those_that_are(workbook: Path) -> None:
    with pytest.raises(ConfigError, match=r"no sheet 'Third' \(--sheet\); it has 'First', 'Second', '3'"):
        open_source(workbook, sheet="Third")


def test_what_is_not_in_the_cells_of_a_sheet_is_said(workbook: Path) -> None:
    assert open_source(workbook).notes == ("only the first of 3 sheets is read; another: --sheet NAME (sheet=)",)
    (note,) = open_source(workbook, sheet="Second").notes
    assert note.startswith("1 formulas of the sheet have no stored value and are read as empty")


def test_a_workbook_that_expands_without_end_is_refused_or_read_in_bounds(workbook: Path, tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.xlsx"
    entities = "".join(f'<!ENTITY a{n + 1} "{f"&a{n};" * 10}">' for n in range(12))
    with zipfile.ZipFile(workbook) as good, zipfile.ZipFile(bomb, "w") as bad:
        for name in good.namelist():
            data = good.read(name)
            if name.endswith("sheet1.xml"):
                data = f'<!DOCTYPE x [<!ENTITY a0 "a">{entities}]>'.encode() + data.replace(b"=B2*2", b"&a12;")
            bad.writestr(name, data)
    try:
        open_source(bomb)
    except ConfigError as refusal:
        assert "\n" not in str(refusal)


def test_uuids_are_text_wherever_they_come_from(tmp_path: Path) -> None:
    pd, pa = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    table = pa.table({"uid": pa.array([UID.bytes, None], pa.uuid()), "text": ["a", "b"]})
    pq.write_table(table, tmp_path / "in.parquet")
    for data in (table, pd.DataFrame({"uid": [UID, None], "text": ["a", "b"]}), tmp_path / "in.parquet"):
        assert frame(data)["uid"].to_list() == [str(UID), None]
    assert frame([{"uid": UID, "text": "a"}])["uid"].to_list() == [str(UID)]
    lists = pa.ListArray.from_arrays([0, 1, 1], pa.array([UID.bytes], pa.uuid()))
    assert frame(pa.table({"uids": lists, "text": ["a", "b"]}))["uids"].to_list() == [[str(UID)], []]


def odd_columns() -> dict[str, Any]:
    import pyarrow as pa

    one, two = pa.array([1]), pa.array(["a"])
    return {
        "interval": pa.array([(1, 2, 3)], pa.month_day_nano_interval()),
        "union": pa.UnionArray.from_sparse(pa.array([0], pa.int8()), [one, two]),
        "decimal256": pa.array([1], pa.decimal256(50, 2)),
        "lists of decimal256": pa.ListArray.from_arrays([0, 1], pa.array([1], pa.decimal256(50, 2))),
        "list view": pa.array([[1]], pa.list_view(pa.int64())),
        "run ends": pa.RunEndEncodedArray.from_arrays([1], ["a"]),
        "no such zone": pa.array([1], pa.timestamp("s", "Nowhere/X")),
        "lists of nothing": pa.array([[]], pa.list_(pa.int64(), 0)),
    }


@pytest.mark.parametrize("kind", ["interval", "union", "decimal256", "list view", "run ends", "no such zone"])
def test_a_type_that_polars_lacks_never_refuses_a_run_that_does_not_read_it(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    pa = pytest.importorskip("pyarrow")
    result = run(pa.table({"text": ["a"], "x": odd_columns()[kind]}), PROMPT, offline=True)
    assert result.totals.valid == 1
    assert "x" in result.frame.columns or "column 'x'" in caplog.text


@pytest.mark.parametrize("kind", ["decimal256", "lists of decimal256", "list view", "no such zone", "lists of nothing"])
def test_nor_does_it_in_a_parquet_file(tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    pq.write_table(pa.table({"text": ["a"], "x": odd_columns()[kind]}), tmp_path / "in.parquet")
    result = run(tmp_path / "in.parquet", PROMPT, offline=True)
    assert result.totals.valid == 1
    assert "x" in result.frame.columns or "column 'x'" in caplog.text


def test_a_type_of_an_extension_is_that_of_its_values_in_every_output(tmp_path: Path) -> None:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    table = pa.table({"text": ["a"], "x": pa.array(['{"a":1}'], pa.json_())})
    pq.write_table(table, tmp_path / "in.parquet")
    for data in (table, tmp_path / "in.parquet"):
        for ending in ("csv", "jsonl", "parquet"):
            result = run(data, PROMPT, offline=True, output=tmp_path / f"out.{ending}", overwrite=True)
            assert result.frame["x"].to_list() == ['{"a":1}']


def test_a_prompt_that_reads_such_a_column_is_refused_with_its_name() -> None:
    pa = pytest.importorskip("pyarrow")
    table = pa.table({"text": ["a"], "x": odd_columns()["no such zone"]})
    with pytest.raises(ConfigError, match=r"'x'"):
        run(table, Extractor(["a", "b"], "{text} {x}"), offline=True)


def test_a_column_of_mixed_values_is_text_and_refuses_nothing() -> None:
    pd = pytest.importorskip("pandas")
    mixed = pd.DataFrame({"text": ["a", "b"], "x": [1, "y"], "when": pd.period_range("2020-01", periods=2, freq="M")})
    assert frame(mixed).to_dict(as_series=False) == {
        "text": ["a", "b"],
        "x": ["1", "y"],
        "when": ["2020-01", "2020-02"],
    }
    rows = [{"text": "a", "x": 1}, {"text": "b", "x": [1]}, {"text": "c", "x": None}]
    assert frame(rows)["x"].to_list() == ["1", "[1]", None]
    assert frame([{"text": "a", "x": 10**50}])["x"].to_list() == [str(10**50)]


def test_an_object_without_a_text_is_left_out_and_refuses_nothing(caplog: pytest.LogCaptureFixture) -> None:
    pd = pytest.importorskip("pandas")
    result = run(pd.DataFrame({"text": ["a"], "x": [object()]}), PROMPT, offline=True)
    assert result.frame.columns == ["text", "value"]
    assert "the column 'x' is of the type object, which cannot be read: it is left out" in caplog.text
    assert run([{"text": "a", "x": object()}], PROMPT, offline=True).totals.valid == 1


def test_a_file_that_loses_rows_while_it_is_read_is_told(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text('{"text":"a"}\n' * 5)
    source = open_source(path)
    path.write_text('{"text":"a"}\n' * 3)
    with pytest.raises(ConfigError, match="ends after 3 of its 5 rows"):
        list(source.batches(10))


def test_frames_of_other_libraries_are_read_as_before() -> None:
    pd, pa = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
    plain = pl.DataFrame({"text": ["a", None], "n": [1, 2], "f": [1.5, None], "b": [True, False], "l": [[1], []]})
    assert_frame_equal(frame(plain.to_arrow()), plain)
    assert_frame_equal(frame(plain.to_pandas(use_pyarrow_extension_array=True)), plain)
    assert frame(pd.Series(["a", "b"], name="text")).to_dict(as_series=False) == {"text": ["a", "b"]}
    assert frame(pa.chunked_array([["a"]])).to_dict(as_series=False) == {"text": ["a"]}


def test_truths_beside_numbers_are_json_text_in_json_lines(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text('{"text":"a","x":true}\n{"text":"b","x":1}\n{"text":"c","x":null}\n')
    assert frame(tmp_path / "in.jsonl")["x"].to_list() == ["true", "1", None]


@pytest.mark.parametrize("data", [["a", "half \ud83d"], [{"text": "half \ud83d"}], iter(["half \ud83d"])])
def test_half_a_character_in_a_program_s_texts_is_a_config_error(data: Any) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        run(data, PROMPT, offline=True)


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_integers_of_128_bits_come_back_wherever_they_are(tmp_path: Path, ending: str) -> None:
    pytest.importorskip("pandas")
    wide, signed = 2**127 + 5, -(2**100)
    data = pl.DataFrame(
        {"text": ["a", "b"], "u": [wide, None], "l": [[signed], None], "s": [{"x": wide}, None]},
        schema={"text": pl.String, "u": pl.UInt128, "l": pl.List(pl.Int128), "s": pl.Struct({"x": pl.UInt128})},
    )
    result = run(data, PROMPT, offline=True, output=tmp_path / f"out.{ending}")
    assert_frame_equal(result.frame.select("u", "l", "s"), data.select("u", "l", "s"))
    assert result.to_arrow()["l"].to_pylist() == [[str(signed)], None]
    assert result.to_pandas()["s"].to_list()[0] == {"x": str(wide)}


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("in.csv", b'text,x\n"a, b",007\n'),
        ("in.tsv", b"text\tx\na, b\t007\n"),
        ("in.jsonl", b'{"text":"a, b","x":"007"}\n'),
    ],
)
def test_tables_that_are_packed_are_read_as_ever(
    tmp_path: Path, name: str, raw: bytes, pack: Callable[[bytes], bytes]
) -> None:
    (tmp_path / name).write_bytes(pack(raw))
    assert frame(tmp_path / name).to_dict(as_series=False) == {"text": ["a, b"], "x": ["007"]}


def test_letters_that_look_like_a_packed_file_are_letters(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_bytes("xЪезд,текст\nподъезд,Москва и область\nсъезд,Новгород\n".encode("cp1251"))
    assert frame(tmp_path / "in.csv", csv_encoding="cp1251").columns == ["xЪезд", "текст"]
