"""The same answers score the same, whichever format the output and the gold answers are kept in."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

from extract import Client, Emulator, ExtractError, run
from extract.cli.app import app
from extract.cli.pipelines import load_pipeline

PIPELINE = """
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Literal
from pydantic import AwareDatetime, BaseModel
from extract import Extractor

class Inner(BaseModel):
    city: str
    since: date | None = None

class Everything(BaseModel):
    code: str
    count: int
    size: float
    ok: bool
    day: date
    moment: AwareDatetime
    local: datetime
    at: time
    took: timedelta
    price: Decimal
    raw: bytes
    truth: Literal["true", "false", "unclear"]
    tags: list[str]
    pair: tuple[int, str]
    totals: dict[str, int]
    inner: Inner
    several: list[Inner]
    either: int | str
    maybe: str | None

extractor = Extractor(Everything, "{text}")
"""
ANSWER: dict[str, Any] = {
    "code": "007",
    "count": 3,
    "size": 2.0,
    "ok": True,
    "day": "2026-03-05",
    "moment": "2026-03-05T10:00:00.000001Z",
    "local": "2026-03-05T10:00:00",
    "at": "10:00:00",
    "took": "PT1.5S",
    "price": "12.50",
    "raw": "ä",
    "truth": "true",
    "tags": ["a", "b"],
    "pair": [1, "x"],
    "totals": {"a": 1, "b": 2},
    "inner": {"city": "Ulm", "since": "2026-01-01"},
    "several": [{"city": "Ulm", "since": None}, {"city": "", "since": "2026-01-02"}],
    "either": 5,
    "maybe": None,
}
OTHER = ANSWER | {
    "code": "1.50",
    "ok": False,
    "day": "2026-03-06",
    "took": "-P2D",
    "truth": "false",
    "tags": [],
    "totals": {},
    "several": [],
    "either": "five",
    "maybe": "",
}
ENDINGS = ("parquet", "csv", "jsonl")


def answered(answers: list[dict[str, Any]], output: str, **options: Any) -> None:
    """Have the rows 0, 1, ... answered so, and write them to a file."""
    service = Emulator(answers=lambda body: json.dumps(answers[int(json.dumps(body).split("row ")[-1][0])]))
    rows = pl.DataFrame({"id": range(len(answers)), "text": [f"row {number}" for number in range(len(answers))]})
    client = Client("key", transport=service.transport)
    done = run(rows, load_pipeline("p.py"), client=client, output=output, overwrite=True, provenance=True, **options)
    assert done.totals.valid == len(answers), done.errors


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("p.py").write_text(PIPELINE)


def judged(*words: str) -> dict[str, Any]:
    done = CliRunner().invoke(app, ["eval", "p.py", *words, "--on", "id", "--json"])
    assert done.exception is None, done.exception
    return dict(json.loads(done.stdout))


def test_the_format_decides_no_score() -> None:
    for ending in ENDINGS:
        answered([ANSWER, OTHER, ANSWER], f"out.{ending}")
        answered([ANSWER, OTHER, OTHER], f"gold.{ending}")
    evaluations = {
        (ours, theirs): judged(f"out.{ours}", f"gold.{theirs}") for ours, theirs in product(ENDINGS, ENDINGS)
    }
    changed = {name for name, value in ANSWER.items() if value != OTHER[name]}
    expected = {one["field"]: one for one in evaluations["parquet", "parquet"]["fields"]}
    for name, one in expected.items():
        share = 2 / 3 if name.partition(".")[0] in changed else 1
        assert one["exact"] == share, name
    for formats, evaluation in evaluations.items():
        fields = {one["field"]: one for one in evaluation["fields"]}
        assert fields.keys() >= ANSWER.keys()  # of a struct in csv only the whole is judged
        for name, one in fields.items():
            for figure in ("exact", "normalised", "macro", "members"):
                assert one[figure] == expected[name][figure], (formats, name, figure)
        assert evaluation["cost"] == evaluations["parquet", "parquet"]["cost"], formats
        assert evaluation["correct"] == 2, formats


def test_another_format_is_no_change() -> None:
    for ending in ENDINGS:
        answered([ANSWER, OTHER], f"out.{ending}")
    for ours, theirs in product(ENDINGS, ENDINGS):
        assert judged(f"out.{ours}", "--against", f"out.{theirs}")["against"]["changes"] == []


def test_a_cell_that_does_not_fit_is_wrong_and_the_others_are_judged() -> None:
    answered([ANSWER, OTHER, ANSWER], "out.csv")
    answered([ANSWER, OTHER, ANSWER], "gold.parquet")
    table = pl.read_csv("out.csv", infer_schema=False)
    broken = ["count", "size", "ok", "day", "moment", "took", "raw", "truth", "several", "totals", "inner"]
    last = pl.int_range(pl.len()) == 2
    table.with_columns(pl.when(last).then(pl.lit("[?")).otherwise(pl.col(broken)).name.keep()).write_csv("out.csv")
    shares = {one["field"]: one["exact"] for one in judged("out.csv", "gold.parquet")["fields"]}
    assert {name: round(shares[name], 3) for name in broken} == dict.fromkeys(broken, 0.667)


def test_labels_that_look_like_numbers_are_met_by_numbers() -> None:
    Path("p.py").write_text(
        "from typing import Literal\nfrom pydantic import BaseModel\nfrom extract import Extractor\n"
        'class Review(BaseModel):\n    stars: Literal["1", "2", "3"]\n    true: Literal["true", "false", "unclear"]\n'
        'extractor = Extractor(Review, "{text}")\n'
    )
    Path("out.csv").write_text("id,stars,true\n1,1,true\n2,3,false\n3,2,true\n")
    Path("gold.csv").write_text("id,stars,true\n1,1.0,True\n2,3.0,False\n3,,\n")
    Path("gold.jsonl").write_text(
        '{"id": 1, "stars": 1.0, "true": true}\n{"id": 2, "stars": 3, "true": false}\n{"id": 3}\n'
    )
    for gold in ("gold.csv", "gold.jsonl"):
        for one in judged("out.csv", gold)["fields"]:
            assert (round(one["exact"], 3), round(one["accuracy"], 3)) == (0.667, 0.667), (gold, one["field"])


@pytest.mark.parametrize("ending", ENDINGS)
def test_columns_with_a_prefix_are_judged(ending: str) -> None:
    answered([ANSWER, OTHER], f"out.{ending}", prefix="x_")
    answered([ANSWER, OTHER], "gold.parquet")
    words = [] if ending == "parquet" else ["--prefix", "x_"]
    assert judged(f"out.{ending}", "gold.parquet", *words)["correct"] == 2
    gold = pl.read_parquet("gold.parquet")
    gold.rename({name: f"x_{name}" for name in ANSWER if name in gold.columns}).write_parquet("named.parquet")
    assert judged(f"out.{ending}", "named.parquet", *words)["correct"] == 2
    if words:
        done = CliRunner().invoke(app, ["eval", "p.py", f"out.{ending}", "gold.parquet", "--on", "id"])
        assert isinstance(done.exception, ExtractError)
        assert "name it with --prefix" in str(done.exception)


def test_how_gold_is_written_can_be_typed() -> None:
    answered([ANSWER, OTHER], "out.csv")
    rows = pl.DataFrame({"id": [0, 1], "day": [ANSWER["day"], OTHER["day"]], "note": ["für", "später"]})
    Path("gold.csv").write_bytes(rows.write_csv(separator="~").encode("cp1252"))
    words = ["--csv-separator", "~", "--csv-encoding", "cp1252"]
    assert judged("out.csv", "gold.csv", *words)["correct"] == 2
    for others in (["gold.parquet", *words], ["--against", "out.csv", *words]):
        answered([ANSWER, OTHER], "gold.parquet")
        done = CliRunner().invoke(app, ["eval", "p.py", "out.csv", *others, "--on", "id"])
        assert "csv_separator (--csv-separator) is about csv files" in str(done.exception)


def test_the_order_of_day_and_month_can_be_typed() -> None:
    answered([ANSWER], "out.parquet")
    pl.DataFrame({"id": [0], "day": ["03/05/2026"]}).write_csv("gold.csv")
    assert judged("out.parquet", "gold.csv")["correct"] == 0
    assert judged("out.parquet", "gold.csv", "--no-day-first")["correct"] == 1
