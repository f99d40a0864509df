"""`extract eval --right`: from an existing output and its gold to the accepted table and a queue for people."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import polars as pl
import pytest
from typer.testing import CliRunner

from extract.cli.app import app
from extract.io.sinks.open import read_manifest

PIPELINE = """
from pydantic import BaseModel
from extract import Extractor


class Place(BaseModel):
    city: str
    confidence: float


extractor = Extractor(Place, "{text}")
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a folder with a pipeline, an output that is right as often as it says, and gold of 300 of its rows."""
    monkeypatch.chdir(tmp_path)
    random = Random(7)
    sure = [round(random.betavariate(6, 1), 3) for _ in range(1_500)]
    right = ["Bonn" if random.random() < 1 - (1 - one) ** 1.7 else "Cologne" for one in sure]
    columns = {"id": range(1_500), "text": ["a text"] * 1_500, "city": ["Bonn"] * 1_500, "confidence": sure}
    pl.DataFrame(columns).write_parquet("out.parquet")
    pl.DataFrame({"id": range(1_500), "city": right}).sample(300, seed=1).write_csv("gold.csv")
    Path("place.py").write_text(PIPELINE, encoding="utf-8")
    return tmp_path


def evaluated(*words: str) -> str:
    result = CliRunner().invoke(app, ["eval", "place.py", "out.parquet", "gold.csv", "--on", "id", *words])
    assert result.exit_code == 0, result.output
    return result.output


def refused(*words: str) -> str:
    result = CliRunner().invoke(app, ["eval", "place.py", "out.parquet", *words])
    assert isinstance(result.exception, Exception)
    return " ".join(str(result.exception).split())


def test_accepted_rows_and_the_queue_are_written_and_said() -> None:
    printed = evaluated("--right", "0.95", "--accepted", "accepted.parquet", "--rest", "queue.csv")
    accepted, queue = pl.read_parquet("accepted.parquet"), pl.read_csv("queue.csv")
    assert f"{accepted.height:,} of 1,500 rows accepted at score >= 0." in printed
    assert "at least 95% are right, with 95% confidence" in printed
    assert f"accepted.parquet: {accepted.height:,} accepted rows" in printed
    assert f"queue.csv: {queue.height:,} rows for people" in printed
    assert accepted.columns == ["id", "text", "city", "confidence", "_route"]
    assert queue.columns == ["id", "score", "reason", "answer"]
    assert json.loads(queue["answer"][0]) == {"city": "Bonn"}
    assert not set(queue["id"]) & set(accepted["id"])
    assert read_manifest(Path("accepted.parquet"))["acceptance"]["right"] == 0.95


def test_programs_get_threshold_counts_curve_and_calibration() -> None:
    said = json.loads(evaluated("--right", "0.9", "--confidence", "0.9", "--json"))["acceptance"]
    assert said["right"] == said["bound"] == 0.9
    assert said["confidence"] == 0.9
    assert said["gold"]["rows"] == 300
    assert 0 < said["share"] <= 1
    assert said["scores"] == {"city": "declared confidence"}
    assert said["curve"][-1]["gold"] == 300
    assert sum(one["rows"] for one in said["calibration"]["bins"]) == 300


def test_a_score_that_the_output_has_is_judged_in_one_line_and_a_named_one_by_bins() -> None:
    assert "score (declared confidence): AUROC 0." in evaluated()
    printed = evaluated("--score", "confidence * 0.5")
    assert "0.4-0.5" in printed
    assert json.loads(evaluated("--json"))["calibration"]["rows"] == 300


def test_an_output_without_a_score_is_evaluated_as_before() -> None:
    pl.read_parquet("out.parquet").drop("confidence").write_parquet("out.parquet")
    assert "AUROC" not in evaluated()
    assert "no score for ['city']" in refused("gold.csv", "--on", "id", "--right", "0.9")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["gold.csv", "--on", "id", "--rest", "q.csv"], "--rest needs --right"),
        (["gold.csv", "--on", "id", "--right", "0.9", "--clear", "city=Bonn"], "two promises: state one of them"),
        (["gold.csv", "--on", "id", "--clear", "city"], "write a field and its value, such as harmful=true"),
        (["gold.csv", "--on", "id", "--clear", "town=Bonn"], "cannot judge ['town']"),
        (["--on", "id", "--against", "out.parquet", "--clear", "city=Bonn"], "need a file of gold answers"),
        (["gold.csv", "--on", "id", "--used-gold"], "--used-gold needs --right"),
        (["--on", "id", "--against", "out.parquet", "--right", "0.9"], "need a file of gold answers"),
        (["gold.csv", "--on", "id", "--right", "95"], "right is a share above 0 and below 1, such as 0.95, not 95"),
        (["gold.csv", "--on", "id", "--right", "0.9", "--confidence", "1"], "confidence is a share above 0"),
        (["gold.csv", "--on", "id", "--right", "0.9", "--accepted", "x.csv", "--rest", "./x.csv"], "the same file"),
        (["gold.csv", "--on", "id", "--right", "0.9", "--accepted", "x.txt"], "an output ends in"),
        (["gold.csv", "--on", "id", "--right", "0.9", "--fields", "town"], "cannot judge ['town']"),
    ],
)
def test_options_that_make_no_sense_together_are_refused_in_a_line(words: list[str], message: str) -> None:
    assert message in refused(*words)


def test_rows_are_cleared_of_a_label_and_the_others_are_a_queue() -> None:
    output = pl.read_parquet("out.parquet")
    answers = output.with_columns(city=pl.when(pl.col("id") % 4 == 0).then(pl.lit("Cologne")).otherwise("city"))
    answers.write_parquet("out.parquet")
    answers.select("id", "city").sample(600, seed=1).write_csv("gold.csv")
    printed = evaluated("--clear", "city=cologne", "--recall", "0.9", "--accepted", "c.parquet", "--rest", "q.csv")
    cleared, queue = pl.read_parquet("c.parquet"), pl.read_csv("q.csv")
    assert f"{cleared.height:,} of 1,500 rows cleared: at least 90.00% of the label's rows are found" in printed
    assert set(cleared["city"]) == {"Bonn"}
    assert set(queue["reason"]) == {"has the label"}
    assert json.loads(evaluated("--clear", "city=Cologne", "--json"))["clearance"]["recall"] == 0.98


def test_a_file_that_is_there_is_replaced_only_when_that_is_said() -> None:
    words = ("--right", "0.9", "--rest", "queue.csv")
    evaluated(*words)
    assert "queue.csv exists; choose another name or add --overwrite" in refused("gold.csv", "--on", "id", *words)
    evaluated(*words, "--overwrite")


def test_gold_that_was_seen_is_refused_without_used_gold() -> None:
    pl.read_csv("gold.csv").with_columns(_split=pl.lit("examples")).write_csv("gold.csv")
    assert "no gold row may prove anything" in refused("gold.csv", "--on", "id", "--right", "0.9")
    assert "what was chosen by it is not proved by it" in evaluated("--right", "0.9", "--used-gold")
