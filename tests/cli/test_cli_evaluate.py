"""`extract eval`, as it is typed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

from extract import ExtractError
from extract.cli.app import app

PIPELINE = """
from typing import Literal
from pydantic import BaseModel
from extract import Extractor

class Item(BaseModel):
    sku: str
    price: float

class Order(BaseModel):
    topic: Literal["a", "b", "c"]
    items: list[Item]

extractor = Extractor(Order, "{text}")
"""


def orders(*rows: tuple[int, str | None, list[tuple[str, float]]]) -> pl.DataFrame:
    named = [(key, topic, [{"sku": sku, "price": price} for sku, price in items]) for key, topic, items in rows]
    items = pl.List(pl.Struct({"sku": pl.String, "price": pl.Float64}))
    return pl.DataFrame(named, schema={"id": pl.Int64, "topic": pl.String, "items": items}, orient="row")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("p.py").write_text(PIPELINE)
    gold = [(1, "a", [("x", 1.0)]), (2, "b", [("y", 2.0), ("z", 3.0)]), (3, "b", []), (4, "c", [("x", 1.0)])]
    orders(*gold).write_parquet("gold.parquet")
    orders((1, "a", [("x", 9.0)]), (2, "a", [("z", 3.0)]), (3, "b", []), (9, "a", [])).write_parquet("one.parquet")
    orders((1, "a", [("x", 1.0)]), (2, "b", []), (3, "b", []), (4, "c", [])).write_parquet("two.parquet")
    return tmp_path


def typed(*words: str) -> str:
    done = CliRunner().invoke(app, ["eval", "p.py", *words, "--on", "id"])
    assert done.exception is None, done.exception
    return done.stdout


def refused(*words: str) -> str:
    done = CliRunner().invoke(app, ["eval", "p.py", *words, "--on", "id"])
    assert isinstance(done.exception, ExtractError), done.stderr
    return str(done.exception)


def test_rows_on_one_side_only_are_told() -> None:
    first, header, *fields = typed("one.parquet", "gold.parquet").splitlines()
    assert first.startswith("4 rows, 1 missing, 1 extra; right in every field: ")
    assert header.split() == ["field", "kind", "n", "exact", "normalised", "F1", "kappa"]
    assert [line.split()[:4] for line in fields] == [["topic", "label", "4", "50.0%"], ["items", "list", "4", "25.0%"]]


def test_the_confusion_of_a_field_is_a_matrix_with_what_had_no_prediction() -> None:
    lines = typed("one.parquet", "gold.parquet", "--confusion", "topic").splitlines()
    assert lines[-4].split() == ["gold", "\\", "predicted", "a", "b", "c", "(none)"]
    assert [line.split() for line in lines[-3:]] == [
        ["a", "1", "0", "0", "0"],
        ["b", "1", "1", "0", "0"],
        ["c", "0", "0", "0", "1"],
    ]
    assert ["b", "100.0%", "50.0%", "0.667", "2"] in [line.split() for line in lines]
    assert "fields with labels are ['topic']" in refused("one.parquet", "gold.parquet", "--confusion", "items")


def test_many_labels_are_told_by_what_is_confused_most() -> None:
    names = [f"label {number}" for number in range(40)]
    gold = pl.DataFrame({"id": range(80), "topic": names * 2})
    gold.with_columns(topic=pl.col("topic").replace("label 7", "label 8")).write_csv("many.csv")
    gold.write_csv("gold.csv")
    lines = typed("many.csv", "gold.csv", "--confusion", "topic").splitlines()
    assert lines[-2].split() == ["gold", "predicted", "rows"]
    assert lines[-1].split() == ["label", "7", "label", "8", "2"]


def test_members_are_matched_by_the_fields_of_the_key_option() -> None:
    members: dict[str, Any] = {}
    for words in ((), ("--key", "items=sku")):
        fields = json.loads(typed("one.parquet", "gold.parquet", *words, "--json"))["fields"]
        members[" ".join(words)] = {field["field"]: field for field in fields}["items"]["members"]
    assert (members[""]["matched"], members["--key items=sku"]["matched"], members["--key items=sku"]["equal"]) == (
        1,
        2,
        1,
    )
    assert "write the list and the field that identifies its members" in refused(
        "one.parquet", "gold.parquet", "--key", "items"
    )
    assert "no field 'name'" in refused("one.parquet", "gold.parquet", "--key", "items=name")


def test_wrong_values_are_listed_with_gold_beside_them() -> None:
    lines = typed("one.parquet", "gold.parquet", "--mistakes", "2").splitlines()
    start = lines.index(next(line for line in lines if line.startswith("id  field")))
    assert [line.split()[:3] for line in lines[start : start + 3]] == [
        ["id", "field", "predicted"],
        ["1", "items", '[{"sku":'],
        ["2", "topic", "a"],
    ]
    assert lines[start + 3] == "and 3 more"
    listed = json.loads(typed("one.parquet", "gold.parquet", "--mistakes", "9", "--json"))["mistakes"]
    assert {"id": 2, "field": "topic", "predicted": "a", "gold": "b", "missing": False} in listed
    assert {"id": 4, "field": "topic", "predicted": None, "gold": "c", "missing": True} in listed


def test_rows_that_differ_between_two_runs_are_listed_with_gold_beside_them() -> None:
    lines = typed("one.parquet", "gold.parquet", "--against", "two.parquet", "--mistakes", "5").splitlines()
    header = next(line for line in lines if line.startswith("id  field  a"))
    assert header.split() == ["id", "field", "a", "b", "gold"]
    assert ["2", "topic", "a", "b", "b"] in [line.split() for line in lines]


def test_another_run_is_compared_with_and_without_gold() -> None:
    lines = typed("one.parquet", "--against", "two.parquet").splitlines()
    assert lines[0] == "a: one.parquet, b: two.parquet"
    assert lines[1] == "3 rows in both, 1 only in a, 1 only in b"
    assert [line.split() for line in lines[3:]] == [["topic", "3", "1"], ["items", "3", "2"]]
    result = json.loads(typed("one.parquet", "gold.parquet", "--against", "two.parquet", "--json"))
    topic = result["against"]["fields"][0]
    assert (topic["both"], topic["only_a"], topic["only_b"], topic["neither"]) == (2, 0, 2, 0)
    assert topic["p_value"] == 0.5
    changes = result["against"]["changes"]
    assert {"id": 2, "field": "topic", "a": "a", "b": "b", "gold": "b"} in changes
    assert len(changes) == 3


def test_with_nothing_to_compare_with_the_command_says_what_to_name() -> None:
    assert "--against" in refused("one.parquet")
    assert "need a file of gold answers" in refused("one.parquet", "--against", "two.parquet", "--confusion", "topic")


def test_repeated_ids_are_refused_in_any_file() -> None:
    pl.concat([pl.read_parquet("two.parquet")] * 2).write_parquet("twice.parquet")
    assert "repeats [1, 2, 3, 4]" in refused("twice.parquet", "gold.parquet")
    assert "repeats [1, 2, 3, 4]" in refused("one.parquet", "twice.parquet")
    assert "'id' of the b frame repeats" in refused("one.parquet", "--against", "twice.parquet")


def test_labels_cannot_steer_the_terminal() -> None:
    hostile = pl.DataFrame({"id": [1, 2], "topic": ["\x1b[2Ja", "\x1b[2Ja"]})
    hostile.write_csv("hostile.csv")
    shown = typed("hostile.csv", "hostile.csv", "--confusion", "topic")
    assert "\x1b" not in shown
    assert "\\x1b[2Ja" in shown
