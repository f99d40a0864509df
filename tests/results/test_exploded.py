"""`explode`: a row per member of a list, in a file beside the output and as a frame."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from commands import in_process
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from pydantic import BaseModel

from extract import Client, ConfigError, Emulator, Extractor, run
from extract.results.exploded import exploded


class Part(BaseModel):
    name: str
    total: int
    parts_total: int


class Bill(BaseModel):
    total: int
    parts: list[Part]


BILLS = Extractor(Bill, "{text}", grounding=("text",))
TWO = {"total": 3, "parts": [{"name": "a", "total": 1, "parts_total": 5}, {"name": "b", "total": 2, "parts_total": 6}]}
NONE: dict[str, Any] = {"total": 0, "parts": []}
COLUMNS = ["id", "text", "total", "parts_number", "name", "parts_total", "parts_parts_total"]


def client() -> Client:
    return Client("key", transport=Emulator(answers=lambda record: TWO if "two" in str(record) else NONE).transport)


ROWS = [{"id": 7, "text": "two"}, {"id": 8, "text": "nothing"}]
MEMBERS = [(7, "two", 3, 1, "a", 1, 5), (7, "two", 3, 2, "b", 2, 6), (8, "nothing", 0, None, None, None, None)]


@pytest.mark.parametrize("ending", ["xlsx", "csv", "parquet", "jsonl"])
def test_a_table_of_the_members_stands_beside_the_output(ending: str, tmp_path: Path) -> None:
    result = run(ROWS, BILLS, client=client(), output=tmp_path / f"bills.{ending}", explode="parts")
    (path,) = result.member_files
    assert path == tmp_path / f"bills.parts.{ending}"
    reader: Any = getattr(pl, {"xlsx": "read_excel", "jsonl": "read_ndjson"}.get(ending, f"read_{ending}"))
    members: pl.DataFrame = reader(path)
    assert members.columns == COLUMNS
    assert members.rows() == MEMBERS
    assert result.frame.height == 2
    assert result.summary()["member_files"] == [str(path)]


def test_a_run_gives_the_same_as_a_frame() -> None:
    result = run(ROWS, BILLS, client=client())
    assert result.explode("parts").rows() == MEMBERS
    assert result.explode("parts").columns == COLUMNS


@pytest.mark.parametrize(
    ("column", "reason"),
    [("total", "the column 'total' holds no lists"), ("items", "there is no column 'items' to explode")],
)
def test_a_column_without_lists_is_refused_before_the_first_request(column: str, reason: str, tmp_path: Path) -> None:
    emulator = Emulator()
    service = Client("key", transport=emulator.transport)
    with pytest.raises(ConfigError, match=rf"{reason}.*'parts'"):
        run(ROWS, BILLS, client=service, output=tmp_path / "bills.csv", explode=column)
    assert not emulator.requests
    assert not list(tmp_path.iterdir())


def test_a_file_that_no_run_wrote_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "bills.parts.csv").write_text("mine")
    with pytest.raises(ConfigError, match=r"bills\.parts\.csv exists"):
        run(ROWS, BILLS, offline=True, output=tmp_path / "bills.csv", explode="parts")
    assert (tmp_path / "bills.parts.csv").read_text() == "mine"
    run(ROWS, BILLS, client=client(), output=tmp_path / "bills.csv", explode="parts", overwrite=True)
    assert pl.read_csv(tmp_path / "bills.parts.csv").height == 3


@pytest.mark.parametrize("column", ["errors", "partial", "new", "new2"])
def test_a_table_never_takes_the_place_of_other_rows(column: str, tmp_path: Path) -> None:
    lists = {"type": "object", "properties": {column: {"type": "array", "items": {"type": "string"}}}}
    with pytest.raises(ConfigError, match=f"{column!r} out of explode"):
        run(ROWS, Extractor(lists, "{text}"), offline=True, output=tmp_path / "bills.parquet", explode=column)
    assert not list(tmp_path.iterdir())


def test_explode_without_an_output_says_what_is_missing() -> None:
    with pytest.raises(ConfigError, match="name one with output="):
        run(ROWS, BILLS, offline=True, explode="parts")


def test_the_command_line_names_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    extract = in_process(monkeypatch, capfd)
    extract("init", "documents")
    done = extract("run", "documents.py", "invoices", "-o", "out.xlsx", "--offline", "--explode", "positions")
    assert done.returncode == 0
    assert "out.positions.xlsx: a row for each member" in done.stderr
    assert pl.read_excel(tmp_path / "out.positions.xlsx").height > 2


names = st.sampled_from(["a", "b", "a_number", "a_a", "a_b", "^a$", "c d"])
structs = st.dictionaries(names, st.integers(0, 9), min_size=1, max_size=4)


@given(st.dictionaries(names, st.integers(0, 9), max_size=4), structs, st.lists(st.integers(0, 3), max_size=4))
def test_no_member_is_lost_and_no_name_taken_twice(
    outer: dict[str, int], member: dict[str, int], sizes: list[int]
) -> None:
    others = {name: value for name, value in outer.items() if name != "a"}
    rows: list[dict[str, Any]] = [others | {"a": [member] * size} for size in sizes]
    schema = {**dict.fromkeys(others, pl.Int64), "a": pl.List(pl.Struct(dict.fromkeys(member, pl.Int64)))}
    frame = pl.DataFrame(rows, schema=schema)
    members = exploded(frame.lazy(), "a").collect()
    assert members.height == sum(max(size, 1) for size in sizes)
    assert len(members.columns) == len(others) + 1 + len(member)
    assert members[members.columns[len(others)]].drop_nulls().len() == sum(sizes)
    whole = members.filter(pl.col(members.columns[len(others)]).is_not_null()) if sizes else members
    assert all(row[len(others) + 1 :] == tuple(member.values()) for row in whole.rows())
    others_of = pl.selectors.by_name(*others)
    assert_frame_equal(members.select(others_of).unique(), frame.select(others_of).unique(), check_row_order=False)
