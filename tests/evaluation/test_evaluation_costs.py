"""Rejected rows are missing answers, and what a right row costs holds what they cost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import polars as pl
import pytest
from pydantic import BaseModel
from typer.testing import CliRunner

from extract import Client, Emulator, Extractor, Run, compare, evaluate, run
from extract.cli.app import app
from extract.report import write_report

PIPELINE = """
from typing import Literal
from pydantic import BaseModel
from extract import Extractor

class Sum(BaseModel):
    amount: int | None
    topic: Literal["a", "b"]

extractor = Extractor(Sum, "{text}")
"""


class Sum(BaseModel):
    amount: int | None
    topic: Literal["a", "b"]


def half_rejected(**options: Any) -> tuple[Run, pl.DataFrame]:
    """A run of ten rows of which four are answered by nonsense, and gold answers of which nine are null and "a"."""

    def answer(body: dict[str, Any]) -> str:
        number = int(json.dumps(body).split("row number ")[-1].split("#")[0])
        return "nonsense" if number < 4 else json.dumps({"amount": None, "topic": "a"})

    rows = pl.DataFrame({"id": range(10), "text": [f"row number {number}#" for number in range(10)]})
    client = Client("key", transport=Emulator(answers=answer).transport)
    done = run(rows, Extractor(Sum, "{text}"), client=client, row_id="id", **options)
    gold = pl.DataFrame({"id": range(10), "amount": pl.Series([None] * 10, dtype=pl.Int64), "topic": ["b", *["a"] * 9]})
    return done, gold


@pytest.mark.parametrize("errors", ["split", "null"])
def test_a_rejected_row_is_a_missing_answer_whatever_the_frame_holds_of_it(errors: Any) -> None:
    done, gold = half_rejected(errors=errors, provenance=True)
    with_provenance = evaluate(done.frame, gold, on="id")
    bare = evaluate(done.frame.drop("_extract"), gold, on="id", rejected=done.errors["row_id"])
    for result in (with_provenance, bare):
        assert (result.missing, result.extra, result.correct) == (4, 0, 6)
        assert (result["amount"].exact, result["topic"].accuracy) == (0.6, 0.6)


def test_a_rejected_row_is_right_in_no_run_that_is_compared() -> None:
    (null, gold), (split, _) = (half_rejected(errors=errors, provenance=True) for errors in ("null", "split"))
    comparison = compare(null.frame, split.frame, gold, on="id")
    assert (comparison.rows, comparison.only_in_a, comparison.only_in_b) == (6, 0, 0)
    assert (comparison["amount"].both, comparison["amount"].neither) == (6, 4)


def test_what_rejected_rows_cost_counts_where_it_is_known_and_is_told_where_not() -> None:
    for errors in ("split", "null"):
        done, gold = half_rejected(errors=errors, provenance=True)
        known = evaluate(done.frame, gold, on="id", spent=done.cost).cost
        assert known is not None
        assert done.cost is not None
        assert known.per_correct == pytest.approx(float(done.cost) / 6)
        assert (known.rows, known.missing, known.at_least) == (10, 0, False)
        assert known.interval is not None
        # What others cost is not shared out among some.
        some = evaluate(done.frame, gold.head(8), on="id", spent=done.cost).cost
        assert some is not None
        assert some.at_least == (errors == "split")
    split, gold = half_rejected(errors="split", provenance=True)
    evaluation = evaluate(split.frame, gold, on="id")
    assert "at least $" in str(evaluation)
    assert "what 4 rows without an answer cost is not known" in str(evaluation)


def test_rows_that_an_earlier_run_has_paid_in_part_are_left_out(tmp_path: Path) -> None:
    rows = pl.DataFrame({"id": range(6), "text": [f"row {number}" for number in range(6)]})
    gold = rows.select("id", value=pl.lit("a"))
    client = Client("key", transport=Emulator(answers=lambda _: '{"value": "a"}').transport)
    extractor = Extractor(["a", "b"], "{text}")
    run(rows.head(4), extractor, client=client, cache=tmp_path / "cache")
    again = run(rows, extractor, client=client, cache=tmp_path / "cache", samples=3, provenance=True)
    cost = evaluate(again.frame, gold, on="id").cost
    assert cost is not None
    assert (cost.rows, cost.unknown, cost.missing) == (2, 4, 0)


def test_what_cost_nothing_is_not_told_as_a_price() -> None:
    rows = pl.DataFrame({"id": [1], "text": ["a"]})
    done = run(rows, Extractor(["a", "b"], "{text}"), offline=True, provenance=True)
    shown = str(evaluate(done.frame, rows.select("id", value="text"), on="id"))
    assert "cost: none, nothing was paid for 1 rows" in shown
    assert "per correct row" not in shown


def typed(*words: str) -> dict[str, Any]:
    done = CliRunner().invoke(app, ["eval", "p.py", *words, "--on", "id", "--json"])
    assert done.exception is None, done.exception
    return dict(json.loads(done.stdout))


@pytest.mark.parametrize("provenance", [True, False])
def test_the_command_knows_rejected_rows_and_the_cost_of_the_whole_run_from_its_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, provenance: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("p.py").write_text(PIPELINE)
    fields = {}
    for errors in ("split", "null"):
        done, gold = half_rejected(output=f"{errors}.parquet", errors=errors, provenance=provenance)
        gold.write_parquet("gold.parquet")
        evaluation = typed(f"{errors}.parquet", "gold.parquet")
        assert (evaluation["missing"], evaluation["correct"]) == (4, 6)
        if provenance:
            assert done.cost is not None
            assert evaluation["cost"]["per_correct"] == pytest.approx(float(done.cost) / 6)
            assert evaluation["cost"]["at_least"] is False
        fields[errors] = evaluation["fields"]
        write_report(f"{errors}.parquet", "report.html", gold="gold.parquet", on="id")
        assert "Without a prediction, counted as wrong: 4." in Path("report.html").read_text()
    assert fields["split"] == fields["null"]
