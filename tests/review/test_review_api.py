"""What the page asks its server, over a socket: rows with form and source, decisions checked as answers are."""

from __future__ import annotations

import gc
import json
import warnings
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from asking import Asking
from pydantic import BaseModel, Field

from extract import Client, ConfigError, Emulator, Extractor, Limits, open_review, run
from extract.evaluation.intervals import share_interval
from extract.review.decision_file import DecisionFile

TEXTS = ["It works", "It broke", "fine, thank you", "Broken again", "good", "bad"]


class Line(BaseModel):
    name: str
    price: Decimal = Field(decimal_places=2)


class Invoice(BaseModel):
    vendor: str = Field(alias="seller")
    total: Decimal = Field(ge=0, decimal_places=2)
    paid: date | None
    lines: list[Line]


INVOICES = Extractor(Invoice, "{text}", grounding=("text",))
ANSWERS: list[dict[str, Any]] = [
    {"seller": "ACME", "total": "12.50", "paid": None, "lines": [{"name": "pen", "price": "12.5"}]},
    {"seller": "Nobody", "total": "3", "paid": "2024-05-01", "lines": []},
]
INPUTS = [{"id": "a", "text": "ACME sold a pen for 12.50"}, {"id": "b", "text": "Shop 3 on 2024-05-01"}]


def labelled(folder: Path, **options: Any) -> Asking:
    frame = pl.DataFrame({"id": [f"row {i}" for i in range(len(TEXTS))], "text": TEXTS, "from": "shop"})
    run(frame, Extractor(["good", "bad"], "{text}"), offline=True, output=folder / "out.parquet", row_id="id")
    return Asking(open_review(folder / "out.parquet", person="ann", **options))


def invoices(folder: Path, extractor: Extractor | None = INVOICES, ending: str = ".parquet", **options: Any) -> Asking:
    emulator = Emulator(answers=[json.dumps(answer) for answer in ANSWERS])
    with Client(api_key="k", transport=emulator.transport) as client:
        run(INPUTS, INVOICES, client=client, output=folder / f"out{ending}", row_id="id", limits=Limits(concurrency=1))
    return Asking(open_review(folder / f"out{ending}", extractor, person="ann", **options))


def by_id(page: Asking) -> dict[str, Any]:
    rows = [page.get(f"/api/rows/{number}") for number in range(1, page.get("/api/task")["total"] + 1)]
    return {row["row_id"]: row for row in rows}


def test_a_row_comes_with_its_source_its_answer_and_its_spans(tmp_path: Path) -> None:
    with invoices(tmp_path) as page:
        row = by_id(page)["a"]
        assert row["source"]["columns"] == [{"name": "text", "text": INPUTS[0]["text"], "cut": False}]
        assert row["others"] == [{"name": "id", "text": "a"}]
        assert row["values"] == {
            "seller": "ACME", "total": "12.5", "paid": None, "lines": [{"name": "pen", "price": "12.5"}]
        }  # fmt: skip
        places = {one["path"]: (one["column"], one["start"], one["end"]) for one in row["spans"]}
        assert places["$.seller"] == ("text", 0, 4)
        assert next(one["status"] for one in by_id(page)["b"]["spans"] if one["path"] == "$.seller") == "missing"


@pytest.mark.parametrize("ending", [".parquet", ".csv", ".jsonl"])
def test_every_format_of_an_output_gives_the_same_values(tmp_path: Path, ending: str) -> None:
    with invoices(tmp_path, ending=ending) as page:
        values = by_id(page)["b"]["values"]
        assert values == {"seller": "Nobody", "total": "3", "paid": "2024-05-01", "lines": []}


def test_without_its_class_an_output_says_itself_what_its_answers_are(tmp_path: Path) -> None:
    with invoices(tmp_path, None) as page:
        fields = {one["name"]: one["kind"] for one in page.get("/api/task")["form"]["root"]["members"]}
        assert fields == {"seller": "text", "total": "decimal", "paid": "date", "lines": "list"}
        row = by_id(page)["a"]
        decided = page.decide(row["number"], action="decided", values=row["values"] | {"total": "12.50"})
        assert decided["decision"]["action"] == "right"
        decided = page.decide(row["number"], action="decided", values=row["values"] | {"total": "12.51"})
        assert decided["decision"]["action"] == "corrected"
        assert decided["progress"]["right"]["right"] == 0


def test_a_decision_is_checked_as_an_answer_is_with_messages_at_their_fields(tmp_path: Path) -> None:
    with invoices(tmp_path) as page:
        row = by_id(page)["a"]
        lines = [{"name": "pen", "price": "1.234"}]
        wrong = page.decide(row["number"], action="decided", values=row["values"] | {"total": "-1", "lines": lines})
        assert [one["path"] for one in wrong["errors"]] == ["$.total", "$.lines[0].price"]
        assert wrong["error"]["code"] == "invalid"
        assert page.get("/api/progress")["decided"] == 0
        missing = page.decide(row["number"], action="decided", values={"total": "1"})
        assert {one["path"] for one in missing["errors"]} == {"$.seller", "$.paid", "$.lines"}


def test_right_corrected_skipped_and_undone_are_told_and_counted(tmp_path: Path) -> None:
    with labelled(tmp_path, sample=6) as page:
        assert page.get("/api/task")["start"] == 1
        first = page.decide(1, action="right")
        assert (first["decision"]["action"], first["next"]) == ("right", 2)
        other = {"good": "bad", "bad": "good"}[page.get("/api/rows/2")["values"]["value"]]
        second = page.decide(2, action="decided", values={"value": other}, seconds=2.5)
        assert second["decision"]["action"] == "corrected"
        assert page.decide(3, action="skipped")["next"] == 4
        states = [one["state"] for one in page.get("/api/tasks?start=1&count=4")["tasks"]]
        assert states == ["right", "corrected", "skipped", "open"]
        told, ends = page.get("/api/progress")["right"], share_interval(1, 2)
        assert ends is not None
        assert (told["right"], told["judged"], told["low"], told["high"]) == (1, 2, ends.low, ends.high)
        assert (told["enough"], told["enough_at"]) == (False, 6)
        assert page.send("POST", "/api/undo", {}).json["undone"] == 3
        assert page.send("POST", "/api/undo", {}).json["undone"] == 2
        assert page.get("/api/rows/2")["decision"] is None
        assert page.get("/api/next?after=6")["next"] == 2


def test_a_review_goes_on_where_it_ended(tmp_path: Path) -> None:
    with labelled(tmp_path, sample=4) as page:
        page.decide(1, action="right")
    with Asking(open_review(tmp_path / "out.parquet", person="ann", sample=4)) as page:
        assert page.get("/api/task")["start"] == 2
    with Asking(open_review(tmp_path / "out.review.db", person="bob")) as page:
        assert page.get("/api/task")["start"] == 1
        assert page.get("/api/progress")["people"] == [{"person": "ann"}]


def test_who_judges_blind_is_shown_no_answer_and_nothing_that_tells_it(tmp_path: Path) -> None:
    with labelled(tmp_path, blind=True) as page:
        task, row = page.get("/api/task"), page.get("/api/rows/1")
        assert (task["blind"], row["values"], row["spans"], row["origin"]) == (True, None, [], None)
        assert all(one["name"] != "value" for one in row["others"])
        assert page.decide(1, action="right")["error"]["code"] == "invalid"
        decided = page.decide(1, action="decided", values={"value": "good"})
        assert decided["decision"]["values"] == {"value": "good"}
        assert page.get("/api/rows/1")["decision"]["values"] == {"value": "good"}
        assert page.get("/api/progress")["right"]["judged"] == 1
    assert (tmp_path / "out.blind.db").exists()


def test_only_the_fields_under_review_are_asked_and_checked(tmp_path: Path) -> None:
    with invoices(tmp_path, fields=["total"]) as page:
        assert [one["name"] for one in page.get("/api/task")["form"]["root"]["members"]] == ["total"]
        row = by_id(page)["a"]
        assert row["values"] == {"total": "12.5"}
        decided = page.decide(row["number"], action="decided", values={"total": "13"})
        assert decided["decision"]["action"] == "corrected"
    with DecisionFile.open(tmp_path / "out.review.db") as file:
        value = next(file.decisions()).value
    assert value == {"seller": "ACME", "total": "13", "paid": None, "lines": [{"name": "pen", "price": "12.5"}]}


def test_a_table_without_answers_is_labelled_by_what_labels_there_are(tmp_path: Path) -> None:
    pl.DataFrame({"text": TEXTS}).write_csv(tmp_path / "in.csv")
    labels = Extractor(["good", "bad", "other"], "{text}")
    with Asking(open_review(tmp_path / "in.csv", labels, person="ann", sample=3)) as page:
        assert page.get("/api/task")["blind"] is True
        row = page.get("/api/rows/1")
        assert (row["values"], row["missing"]) == (None, True)
        assert page.decide(1, action="decided", values={"value": "other"})["decision"]["action"] == "corrected"
        assert page.get("/api/progress")["right"] is None


def test_a_rejected_row_is_shown_with_its_reason_and_can_be_repaired(tmp_path: Path) -> None:
    emulator = Emulator(answers=['{"value": "good"}', *['{"value": "neither"}'] * 3])
    frame = pl.DataFrame({"id": ["a", "b"], "text": ["It works", "It broke"]})
    with Client(api_key="k", transport=emulator.transport) as client:
        run(
            frame, Extractor(["good", "bad"], "{text}"), client=client, output=tmp_path / "out.parquet", row_id="id",
            errors="null", provenance=True,
        )  # fmt: skip
    with Asking(open_review(tmp_path / "out.parquet", person="ann", queue=True)) as page:
        row = page.get("/api/rows/1")
        assert page.get("/api/task")["total"] == 1
        assert (row["row_id"], row["reason"], row["missing"]) == ("b", "rejected: invalid_answer", True)
        assert row["error"]["code"] == "invalid_answer"
        assert "neither" in row["error"]["answer"]
        assert page.decide(1, action="right")["error"]["code"] == "invalid"
        assert page.decide(1, action="decided", values={"value": "bad"})["decision"]["values"] == {"value": "bad"}


def test_a_row_that_is_gone_is_said_to_be_gone_and_decides_nothing(tmp_path: Path) -> None:
    labelled(tmp_path, sample=6).review.close()
    pl.read_parquet(tmp_path / "out.parquet").head(0).write_parquet(tmp_path / "other.parquet")
    frame = pl.read_parquet(tmp_path / "out.parquet")
    frame.with_columns(id=pl.lit("new ") + pl.col("id")).write_parquet(tmp_path / "out.parquet")
    with Asking(open_review(tmp_path / "out.review.db", person="ann")) as page:
        row = page.get("/api/rows/1")
        assert (row["source"]["kind"], row["missing"]) == ("missing", True)
        assert page.decide(1, action="decided", values={"value": "good"})["error"]["code"] == "changed"


def test_two_pages_work_at_one_file(tmp_path: Path) -> None:
    with labelled(tmp_path, sample=6) as ann, Asking(open_review(tmp_path / "out.review.db", person="bob")) as bob:
        ann.decide(1, action="right")
        bob.decide(1, action="right")
        bob.decide(2, action="right")
        assert ann.get("/api/progress")["agreement"]["same"] == 1
        assert ann.get("/api/progress")["decided"] == 1
        assert bob.get("/api/progress")["decided"] == 2


def test_spans_that_a_person_sets_are_kept(tmp_path: Path) -> None:
    with labelled(tmp_path, sample=1) as page:
        span = {"path": "$.value", "start": 3, "end": 8, "column": "text"}
        kept = page.decide(1, action="right", spans=[span | {"status": "<b>", "more": 1}])["decision"]["spans"]
        assert kept == [span]


def test_a_run_in_memory_is_reviewed_too(tmp_path: Path) -> None:
    result = run(TEXTS, Extractor(["good", "bad"], "{text}"), offline=True)
    with pytest.raises(ConfigError, match="decisions="):
        open_review(result)
    with Asking(open_review(result, decisions=tmp_path / "review.db", sample=2, person="ann")) as page:
        assert page.get("/api/rows/1")["source"]["columns"][0]["text"] in TEXTS
    with Asking(open_review(result, decisions=tmp_path / "review.db", person="ann")) as page:
        assert page.get("/api/task")["total"] == 2


def test_a_notebook_gets_a_link_and_closing_leaves_nothing_open(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        page = labelled(tmp_path, sample=2)
        html = page.review._repr_html_()
        assert f'href="{page.review.link}"' in html
        page.get("/api/rows/1")
        page.review.close()
        page.review.close()
        gc.collect()
    with pytest.raises(OSError, match="refused"):
        page.send("GET", "/")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sample": 2, "queue": True}, "never mixed"),
        ({"queue": True, "blind": True}, "not blind"),
        ({"queue": True}, "nothing speaks against"),
        ({"fields": ["nobody"]}, "nobody"),
        ({"on": "nobody"}, "nobody"),
        ({"port": 70_000}, "port 70000"),
        ({"allow_hosts": ["a/b"]}, "--allow-host"),
        ({"person": "  "}, "name"),
    ],
)
def test_what_cannot_be_reviewed_is_said_in_one_line(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    run(TEXTS, Extractor(["good", "bad"], "{text}"), offline=True, output=tmp_path / "out.parquet")
    with pytest.raises(ConfigError, match=message) as caught:
        open_review(tmp_path / "out.parquet", **{"person": "ann"} | options)
    assert "\n" not in str(caught.value)
