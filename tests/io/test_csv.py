"""Csv as it is found: what is plain stays plain, the rest is found out or refused, and no cell loses a letter."""

from __future__ import annotations

import csv
import io
import logging
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from extract import ConfigError, Extractor, open_source, run
from extract.io.sources import Source, read_table

LETTER = "Уважаемая госпожа, направляем вам счёт; заказанные стулья, два стола"
PROMPT = Extractor(["a", "b"], "{text}")


def rows(source: Source) -> list[tuple[Any, ...]]:
    return pl.concat(list(source.batches(1_000))).rows()


def written(folder: Path, content: str | bytes, name: str = "in.csv") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


# --- plain csv stays what it is ---

NAMES = st.lists(st.sampled_from(["id", "text", "a b", 'q"q', "x,y", "ß"]), min_size=2, max_size=4, unique=True)
CELL = st.one_of(
    st.integers().map(str),
    st.text(st.sampled_from("abc ,;|\t\"'\\\né€.0123-+"), max_size=12),
    st.sampled_from(["", "true", "2026-01-31", "12.50", "null", 'he said \\"hi\\"', "C:\\dir\\", "a;b;c"]),
)


def as_before(path: Path) -> pl.DataFrame | None:
    """Return what Polars makes of a file, all as text; None where it refuses."""
    try:
        return pl.scan_csv(path, infer_schema=False, glob=False).collect()
    except pl.exceptions.PolarsError:
        return None


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_what_is_read_evenly_today_is_read_the_same(tmp_path: Path, data: st.DataObject) -> None:
    names = data.draw(NAMES)
    table = data.draw(st.lists(st.lists(CELL, min_size=len(names), max_size=len(names)), min_size=1, max_size=6))
    text = io.StringIO()
    quoting = data.draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]))
    end = data.draw(st.sampled_from(["\n", "\r\n"]))
    csv.writer(text, quoting=quoting, lineterminator=end).writerows([names, *table])
    path = written(tmp_path, text.getvalue())
    before = as_before(path)
    assume(before is not None and before.width > 1)
    assert before is not None
    now = read_table(str(path), texts=before.columns)
    assert_frame_equal(now.with_columns(pl.all().cast(pl.String)), before)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.sampled_from('ab1;,"\\\n|'), min_size=3, max_size=40))
def test_any_text_that_is_even_csv_today_is_read_the_same(tmp_path: Path, text: str) -> None:
    path = written(tmp_path, text)
    try:
        shape = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error:
        return
    before = as_before(path)
    widths = {len(row) for row in shape}
    if before is None or before.is_empty() or len(widths) != 1 or widths == {1}:
        return
    now = read_table(str(path), texts=before.columns)
    assert_frame_equal(now.with_columns(pl.all().cast(pl.String)), before)


# --- numbers ---


@pytest.mark.parametrize(
    ("cells", "dtype"),
    [
        (["12.50", "3.00"], pl.Float64),
        (["1.5", "2.25", "300.125"], pl.Float64),
        (["0.5", "-0.25"], pl.Float64),
        (["1e5", "2.5e7"], pl.Float64),
        (["1.5", "", "2"], pl.Float64),
        (["0.30000000000000004", "1.1"], pl.Float64),
        (["007.1", "038.11"], pl.String),
        (["+1.5", "2.5"], pl.String),
        (["1e5", "2.5"], pl.String),
        (["1.1", "1.10"], pl.String),
        (["1", "1.0"], pl.String),
        ([".5", "0.5"], pl.String),
        (["1.123456789012345678", "2.5"], pl.String),
        (["1e400", "2e3"], pl.String),
        (["9" * 50, "1"], pl.String),
        (["12345678901234567890123", "1"], pl.Int128),
        (["00123", "10115"], pl.String),
        (["1", "2"], pl.Int64),
    ],
)
def test_a_number_that_says_more_than_a_double_stays_as_it_is_written(
    tmp_path: Path, cells: list[str], dtype: Any
) -> None:
    source = open_source(written(tmp_path, "x,note\n" + "".join(f"{cell},n\n" for cell in cells)))
    assert source.schema["x"] == dtype
    if dtype == pl.String:
        assert [row[0] for row in rows(source)] == cells


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.from_regex(r"[+-]?(0|[1-9][0-9]{0,20})?(\.[0-9]{0,20})?([eE]-?[0-9]{1,2})?", fullmatch=True).filter(
            lambda text: any(letter.isdigit() for letter in text)
        ),
        min_size=2,
        max_size=5,
    )
)
def test_two_texts_are_never_one_number(tmp_path: Path, cells: list[str]) -> None:
    source = open_source(written(tmp_path, "x,note\n" + "".join(f"{cell},n\n" for cell in cells)))
    assert len({row[0] for row in rows(source)}) == len(set(cells))


# --- dialects ---

TWO = [(1, "one, with a comma"), (2, "two")]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('id;text\n1;"one, with a comma"\n2;two\n', TWO),
        ("id\ttext\n1\tone, with a comma\n2\ttwo\n", TWO),
        ("id|text\n1|one, with a comma\n2|two\n", TWO),
        ('sep=;\nid;text\n1;"one, with a comma"\n2;two\n', TWO),
        ("id,text\n1,'one, with a comma'\n2,two\n", TWO),
        ('id,text\r1,"one, with a comma"\r2,two\r', TWO),
        ('id,text\n1,"he said \\"hi\\", ok"\n2,b\n', [(1, 'he said "hi", ok'), (2, "b")]),
        ('id;text\n1;"he said \\"hi\\"; ok"\n2;b\n', [(1, 'he said "hi"; ok'), (2, "b")]),
        ('id;text\n1;5\\" pipe at C:\\new\n2;"a; \\"b\\""\n', [(1, '5" pipe at C:\\new'), (2, 'a; "b"')]),
        ('id;text\n1;"C:\\dir\\"\n2;b\n', [(1, "C:\\dir\\"), (2, "b")]),
        ('id,text\n1,5" pipe\n2,6" pipe\n', [(1, '5" pipe'), (2, '6" pipe')]),
        ('id,text\n1,"open\n2,b\n', [(1, '"open'), (2, "b")]),
        ("id,text\n\n1,a\n\n   \n2,b\n\n\n", [(1, "a"), (2, "b")]),
        ('id,text\n\n1,"a\n\nb"\n2,""\n3,\n', [(1, "a\n\nb"), (2, ""), (3, None)]),
        ("id,text\r\r\n1,a\r\r\n2,b\r\r\n", [(1, "a"), (2, "b")]),
        ("text\n\nred; blue\n\ngreen\n", [("red; blue",), ("green",)]),
        ("\ufeffid;text\n1;a\n", [(1, "a")]),
    ],
)
def test_how_a_file_is_written_is_found_out(tmp_path: Path, content: str, expected: list[Any]) -> None:
    source = open_source(written(tmp_path, content))
    assert rows(source) == expected
    assert source.height == len(expected)


@pytest.mark.parametrize("encoding", ["cp1251", "koi8_r", "utf_16", "utf_8_sig", "iso8859_5"])
@pytest.mark.parametrize("separator", [",", ";"])
def test_an_encoding_is_found_out_by_the_same_function_as_for_documents(
    tmp_path: Path, encoding: str, separator: str
) -> None:
    lines = [f'{number}{separator}"{LETTER}"' for number in range(3)]
    path = written(tmp_path, "\n".join([f"id{separator}text", *lines]).encode(encoding))
    assert rows(open_source(path)) == [(number, LETTER) for number in range(3)]


def test_files_of_different_dialects_are_one_glob(tmp_path: Path) -> None:
    written(tmp_path, "id,text\n1,a\n", "1.csv")
    written(tmp_path, "id;text\n2;b\n", "2.csv")
    written(tmp_path, f"id;text\n3;{LETTER.replace(';', '')}\n".encode("utf_16"), "3.csv")
    assert [row[0] for row in rows(open_source(str(tmp_path / "*.csv")))] == [1, 2, 3]


def test_what_was_found_out_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = written(tmp_path, f"id;text\n1;{LETTER.replace(';', '')}\n".encode("cp1251"))
    run(path, PROMPT, offline=True)
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert warnings == ["csv is read in cp1251, with ; between cells"]
    assert LETTER[:5] not in caplog.text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("id,text\n1,2,3\n", r"line 2 has 3 fields, the header 2; .*--csv-separator, --csv-quote"),
        ('id,text\n1,"a",x\n2,"b\n', r"the quote in line 3 is never closed; .*--csv-quote none"),
        ("id,text\n1,Łódź\n".encode("cp1250"), r"its bytes do not tell which it is; name it, as in --csv-encoding"),
    ],
)
def test_a_refusal_says_which_option_to_give(tmp_path: Path, content: str | bytes, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        open_source(written(tmp_path, content))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "options", "expected"),
    [
        ("id:text\n1:a\n", {"csv_separator": ":"}, [(1, "a")]),
        ("id\ttext\n1\ta\n", {"csv_separator": "tab"}, [(1, "a")]),
        ("id,text\n1,Łódź\n".encode("cp1250"), {"csv_encoding": "cp1250"}, [(1, "Łódź")]),
        ('id,text\n1,"a\n2,b\n', {"csv_quote": "none"}, [(1, '"a'), (2, "b")]),
        ("id,text\n1,'a,b'\n", {"csv_quote": "'"}, [(1, "a,b")]),
        ('id,text\n1,"a \\"b\\""\n', {"csv_quote": '\\"'}, [(1, 'a "b"')]),
    ],
)
def test_what_is_given_is_not_looked_for(
    tmp_path: Path, content: str | bytes, options: dict[str, str], expected: list[Any]
) -> None:
    assert rows(open_source(written(tmp_path, content), **options)) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"csv_separator": ";;"}, "csv_separator is one character"),
        ({"csv_quote": "ab"}, "csv_quote is one character"),
        ({"csv_encoding": "cp9999"}, "cp9999' is no encoding"),
        ({"csv_encoding": "base64"}, "is no encoding"),
        ({"sheet": 0}, "sheet is the name"),
        ({"sheet": "a"}, r"sheet \(--sheet\) is about Excel workbooks, not about a file that ends in .csv"),
    ],
)
def test_a_wrong_option_is_a_config_error(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        run(written(tmp_path, "id,text\n1,a\n"), PROMPT, offline=True, **options)


def test_an_option_of_csv_on_another_input_is_a_config_error(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"csv_separator \(--csv-separator\) is about csv files, not about a DataFrame"
    ):
        run(pl.DataFrame({"text": ["a"]}), PROMPT, offline=True, csv_separator=";")
    with pytest.raises(ConfigError, match="not about a folder"):
        open_source(tmp_path, csv_encoding="cp1251")


def test_the_copy_of_a_file_is_gone_with_its_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    source = open_source(written(tmp_path, "id,text\n1,a\n\n2,b\n"))
    (copy,) = tmp_path.glob("extract-*.csv")
    assert copy.stat().st_mode & 0o077 == 0
    assert len(rows(source)) == 2
    del source
    assert not copy.exists()


def test_integers_of_more_than_64_bits_come_back_from_every_output(tmp_path: Path) -> None:
    path = written(tmp_path, "id,text\n12345678901234567890123,a\n")
    for ending in ("csv", "jsonl", "parquet"):
        result = run(path, PROMPT, offline=True, output=tmp_path / f"out.{ending}")
        assert result.frame["id"].to_list() == [12345678901234567890123]
    assert [str(value) for value in result.to_pandas()["id"]] == ["12345678901234567890123"]
    assert [str(value) for value in result.to_arrow()["id"].to_pylist()] == ["12345678901234567890123"]
