"""What can be scored: whatever `run` takes and returns."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from extract import Extractor, Run, compare, evaluate, run, write_report
from extract.errors import ConfigError
from extract.evaluation import Evaluation

TOPICS = [("billing", "invoice, refund"), ("delivery", "parcel"), ("bug", "app, crash")]
MESSAGES = pl.DataFrame(
    {
        "id": ["001", "002", "003", "004"],
        "text": ["please refund my invoice", "where is my parcel", "the app crashes", "a refund for my invoice"],
    }
)
GOLD = pl.DataFrame({"id": ["001", "002", "003", "004"], "value": ["billing", "delivery", "billing", "spam"]})


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> Run:
    output = tmp_path_factory.mktemp("run") / "out.parquet"
    return run(MESSAGES, Extractor(TOPICS, "{text}"), offline=True, provenance=True, output=output)


def judged(predicted: Any, gold: Any = GOLD, **options: Any) -> Evaluation:
    return evaluate(predicted, gold, on="id", **options)


def as_file(frame: pl.DataFrame, path: Path) -> str:
    frame.write_csv(path)
    return str(path)


FORMS: dict[str, Callable[[pl.DataFrame, Path], Any]] = {
    "Polars": lambda frame, _: frame,
    "lazy": lambda frame, _: frame.lazy(),
    "rows": lambda frame, _: frame.to_dicts(),
    "csv": lambda frame, folder: as_file(frame, folder / "gold.csv"),
    "path": lambda frame, folder: Path(as_file(frame, folder / "gold.csv")),
    "pandas": lambda frame, _: pytest.importorskip("pandas").DataFrame(frame.to_dict(as_series=False)),
    "Arrow": lambda frame, _: pytest.importorskip("pyarrow").table(frame.to_dict(as_series=False)),
}


@pytest.mark.parametrize("form", FORMS)
def test_gold_may_have_any_form_that_run_reads(form: str, answered: Run, tmp_path: Path) -> None:
    gold = FORMS[form](GOLD, tmp_path)
    assert judged(answered, gold) == judged(answered)
    assert compare(answered, answered, gold, on="id")["value"].both == 2
    assert write_report(answered, tmp_path / "report.html", gold=gold, on="id").is_file()


def test_a_run_its_frame_and_its_file_score_alike(answered: Run) -> None:
    assert judged(answered) == judged(answered.frame) == judged(answered.output) == judged(str(answered.output))


def test_columns_of_the_input_are_no_answers_of_a_run(answered: Run) -> None:
    gold = GOLD.with_columns(text=pl.lit("another text"))
    assert [score.name for score in judged(answered, gold).fields] == ["value"]
    assert [one.name for one in compare(answered, answered.output, on="id").fields] == ["value"]


def test_a_column_of_the_input_is_judged_where_it_is_named(answered: Run) -> None:
    gold = GOLD.with_columns(text=pl.lit("another text"))
    assert evaluate(answered, gold, on="id", fields=["text"])["text"].exact == 0


def test_a_prefix_is_taken_off_the_answers_of_a_run() -> None:
    result = run(MESSAGES, Extractor(TOPICS, "{text}"), offline=True, prefix="ai_")
    assert judged(result)["value"].exact == 0.5


@pytest.mark.parametrize("named", ["value", "ai_value"])
@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
def test_gold_may_have_the_prefix_of_an_output_or_not(ending: str, named: str, tmp_path: Path) -> None:
    output, gold = tmp_path / f"out.{ending}", tmp_path / "gold.csv"
    result = run(MESSAGES, Extractor(TOPICS, "{text}"), offline=True, prefix="ai_", output=output)
    GOLD.rename({"value": named}).write_csv(gold)
    prefix = None if ending == "parquet" else "ai_"
    assert judged(output, gold, prefix=prefix)["value"].exact == 0.5
    assert judged(result, gold)["value"].exact == 0.5
    (compared,) = compare(output, result, gold, on="id", prefix=prefix).fields
    assert (compared.name, compared.changed, compared.both) == ("value", 0, 2)
    report = write_report(result, tmp_path / "report.html", gold=gold, on="id")
    assert "2 of them right in every field." in report.read_text()


def test_a_prefix_that_is_not_named_is_guessed_in_the_error(tmp_path: Path) -> None:
    run(MESSAGES, Extractor(TOPICS, "{text}"), offline=True, prefix="ai_", output=tmp_path / "out.csv")
    with pytest.raises(ConfigError, match="the prefix of 'ai_value', which is 'value' there, with prefix="):
        judged(tmp_path / "out.csv", GOLD)


def test_options_say_how_the_file_of_gold_is_written(answered: Run, tmp_path: Path) -> None:
    gold = tmp_path / "gold.csv"
    gold.write_bytes(GOLD.with_columns(note=pl.lit("für später")).write_csv(separator="~").encode("cp1252"))
    options: Any = {"csv_separator": "~", "csv_encoding": "cp1252"}
    assert judged(answered, gold, **options)["value"].exact == judged(answered)["value"].exact
    (compared,) = compare(answered, answered, gold, on="id", **options).fields
    assert compared.both == 2
    report = write_report(answered, tmp_path / "report.html", gold=gold, on="id", **options)
    assert "Against 4 gold rows, 2 of them right in every field." in report.read_text()
    for wrong in (GOLD, answered):
        with pytest.raises(ConfigError, match=r"csv_separator .* is about csv files, not about a"):
            judged(answered, wrong, **options)
    with pytest.raises(ConfigError, match="not about a comparison without gold"):
        compare(answered, answered, on="id", csv_separator="~")
    with pytest.raises(ConfigError, match=r"csv_separator .* is about csv files, not about"):
        write_report(answered, tmp_path / "report.html", gold=GOLD, on="id", **options)


def test_rejected_rows_of_a_run_are_missing_though_its_frame_holds_them() -> None:
    blank = MESSAGES.with_columns(text=pl.when(pl.col("id") == "002").then(pl.lit("")).otherwise("text"))
    result = run(blank, Extractor(TOPICS, "{text}"), offline=True)
    assert result.frame.height == 4
    assert judged(result).missing == 1


def test_what_cannot_be_read_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="a int cannot be read as input"):
        judged(7)


def test_mistakes_stand_beside_what_is_right(answered: Run) -> None:
    assert judged(answered, GOLD.head(3)).mistakes().rows() == [("003", "value", "bug", "billing", False)]


def test_a_row_without_a_prediction_is_a_mistake(answered: Run) -> None:
    gold = pl.concat([GOLD.head(2), pl.DataFrame({"id": ["009"], "value": ["bug"]})])
    assert judged(answered, gold).mistakes("value").rows() == [("009", "value", None, "bug", True)]


def test_mistakes_of_a_field_that_was_not_judged_are_refused(answered: Run) -> None:
    with pytest.raises(KeyError):
        judged(answered).mistakes("colour")


def test_no_mistakes_are_an_empty_frame_with_all_columns(answered: Run) -> None:
    wrong = judged(answered, GOLD.head(2)).mistakes()
    assert (wrong.height, wrong.columns) == (0, ["id", "field", "predicted", "gold", "missing"])


def test_gold_labels_that_the_schema_lacks_are_named(answered: Run) -> None:
    result = judged(answered)
    assert result["value"].outside == {"spam": 1}
    assert "value: 1 gold rows have labels that the schema lacks: 'spam' (1)" in str(result)


def test_gold_labels_in_another_case_are_not_called_foreign(answered: Run) -> None:
    assert judged(answered, GOLD.head(2).with_columns(pl.col("value").str.to_uppercase()))["value"].outside == {}


def test_each_part_of_a_score_has_a_repr_of_one_line(answered: Run) -> None:
    result = judged(answered)
    for part in (result, result["value"], result["value"].confusion):
        assert len(repr(part)) < 200
        assert "\n" not in repr(part)
