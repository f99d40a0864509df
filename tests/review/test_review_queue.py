"""The queue of an output: what its columns say against rows, the worst first, and no row that proves something."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from asking import Asking

from extract import Client, ConfigError, Emulator, Extractor, compile_schema, open_review, run
from extract.review.queue import doubtful_rows
from extract.review.source_table import open_source_table
from extract.review.start import Choice, make_file

SCHEMA = compile_schema(
    {"type": "object", "properties": {"name": {"type": "string"}, "unit price": {"type": "string"}},
     "required": ["name", "unit price"]}
)  # fmt: skip


def span(path: str, status: str) -> dict[str, str]:
    return {"path": path, "status": status}


def told(**columns: list[Any]) -> dict[str, str]:
    """Return the reasons of the rows that are in the queue of an output with these columns, in its order."""
    return {row["id"]: row["reason"] for row in queued(columns).iter_rows(named=True)}


def queued(columns: dict[str, list[Any]], fields: tuple[str, ...] = ("name", "unit price")) -> pl.DataFrame:
    count = len(next(iter(columns.values())))
    base = {"id": [f"r{i}" for i in range(count)], "name": ["n"] * count, "unit price": ["1"] * count}
    frame = pl.DataFrame(base | columns)
    path = Path("out.parquet")
    frame.write_parquet(path)
    return doubtful_rows(open_source_table(path, SCHEMA, on="id"), fields, limit=10)


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def origin(**changes: Any) -> dict[str, Any]:
    return {"code": None, "repairs": 0, "mended": [], "conflicts": []} | changes


def test_rows_are_queued_by_what_the_output_says_against_them_the_worst_first() -> None:
    rows = [
        origin(),
        origin(mended=["fence"]),
        origin(repairs=1),
        origin(conflicts=[{"path": "$.name"}]),
        origin(code="blocked", repairs=2),
    ]
    assert told(_extract=rows) == {
        "r4": "rejected: blocked",
        "r3": "the parts of the text differ: $.name",
        "r2": "repaired",
        "r1": "mended: fence",
    }


def test_samples_that_differ_are_queued_by_how_much() -> None:
    shares = [{"name": 1.0, "unit price": 1.0}, {"name": 0.6, "unit price": 0.8}, {"name": 1.0, "unit price": 0.4}]
    assert told(_agreement=shares) == {
        "r2": "samples differ: unit price 40 %",
        "r1": "samples differ: name 60 %, unit price 80 %",
    }


def test_values_that_are_not_in_the_source_are_queued() -> None:
    spans = [
        [span("$.name", "exact"), span('$["unit price"]', "exact")],
        [span("$.name", "fuzzy"), span('$["unit price"]', "exact")],
        [span("$.name", "exact"), span('$["unit price"]', "missing")],
        None,
    ]
    assert told(_spans=spans) == {
        "r2": 'not in the source: $["unit price"]',
        "r1": "only similar words in the source: $.name",
    }


def test_only_the_fields_under_review_count() -> None:
    spans = [[span("$.name", "missing")], [span('$["unit price"]', "missing")], [span("$.names", "missing")]]
    assert queued({"_spans": spans}, ("name",))["id"].to_list() == ["r0"]


def test_a_queue_has_at_most_so_many_rows_and_begins_with_the_worst() -> None:
    rows = [origin(repairs=1)] * 30 + [origin(code="blocked")]
    found = queued({"_extract": rows})
    assert (found.height, found["id"][0]) == (10, "r30")


def test_a_table_that_says_nothing_has_no_queue() -> None:
    with pytest.raises(ConfigError, match="nothing speaks against"):
        queued({"_extract": [origin()]})
    with pytest.raises(ConfigError, match="no answers"):
        pl.DataFrame({"text": ["x"]}).write_csv("in.csv")
        make_file(Path("q.db"), "in.csv", Choice(queue=True), schema=SCHEMA)


def test_rows_that_prove_something_are_in_no_queue() -> None:
    queued({"_extract": [origin(repairs=1)] * 40})
    with make_file(Path("blind.db"), "out.parquet", Choice(sample=40, blind=True, on="id"), schema=SCHEMA) as blind:
        proof = {task.row_id for task in blind.tasks(1, 40) if task.split == "proof"}
    with make_file(
        Path("queue.db"), "out.parquet", Choice(queue=True, gold=("blind.db",), on="id"), schema=SCHEMA
    ) as queue:
        shown = {task.row_id for task in queue.tasks(1, 40)}
    assert proof
    assert shown
    assert not shown & proof


def test_the_page_shows_why_a_row_is_in_the_queue_and_counts_it_apart() -> None:
    queued({"_extract": [origin(repairs=1), origin()]})
    review = open_review("out.parquet", Extractor(SCHEMA, "{id}"), queue=True, on="id", person="ann")
    with Asking(review) as page:
        row = page.get("/api/rows/1")
        assert (row["kind"], row["row_id"], row["reason"], row["score"]) == ("queue", "r0", "repaired", 0.2)
        assert page.decide(1, action="right")["progress"]["right"] is None
        assert page.get("/api/progress")["accuracy"][0]["kind"] == "queue"
    assert Path("out.queue.db").exists()


def test_a_queue_that_a_table_names_is_taken_in_its_order() -> None:
    queued({"_extract": [origin(repairs=1)] * 3})
    pl.DataFrame({"id": ["r2", "r0"], "score": [0.9, 0.1], "reason": ["odd", None]}).write_csv("worst.csv")
    with make_file(Path("q.db"), "out.parquet", Choice(queue="worst.csv", on="id"), schema=SCHEMA) as file:
        assert [(task.row_id, task.reason) for task in file.tasks()] == [("r2", "odd"), ("r0", None)]


@pytest.mark.parametrize("row_id", [None, "id"])
def test_rejected_rows_are_reviewed_from_the_input_with_their_reasons(row_id: str | None) -> None:
    frame = pl.DataFrame({"id": ["a", "b", "c"], "text": ["one", "two", "three"]})
    frame.write_csv("in.csv")
    emulator = Emulator(answers=lambda body: f'{{"value": "{"neither" if "two" in str(body) else "good"}"}}')
    labels, client = Extractor(["good", "bad"], "{text}"), Client("k", transport=emulator.transport)
    run("in.csv", labels, client=client, output="out.parquet", errors="split", row_id=row_id)
    with pytest.raises(ConfigError, match=r"--queue-file out\.errors\.parquet"):
        open_review("out.parquet", queue=True, person="ann")
    review = open_review("in.csv", labels, queue="out.errors.parquet", on=row_id, person="ann")
    with Asking(review) as page:
        assert page.get("/api/task")["total"] == 1
        row = page.get("/api/rows/1")
        assert row["source"]["columns"][0]["text"] == "two"
        assert row["reason"] == "rejected: $.value: Input should be 'good' or 'bad'"
        assert page.decide(1, action="decided", values={"value": "bad"})["decision"]["values"] == {"value": "bad"}
