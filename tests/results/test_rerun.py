"""What a Run offers afterwards: rows to look at, and its rejected rows sent again."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from pydantic import BaseModel

from extract import Client, ConfigError, Emulator, Extractor, Limits, Loss, OutputError, Progress, Run, run

LABEL = Extractor(["good", "bad"], "Which? {text}", repairs=0)
INVOICES = Path(__file__).parents[2] / "sample_data"


class Invoice(BaseModel):
    vendor: str | None
    total: float | None


def prompt_of(body: dict[str, Any]) -> str:
    return str(body["input"][-1]["content"][0]["text"])


def rows(count: int) -> pl.DataFrame:
    return pl.DataFrame({"id": [f"r{number}" for number in range(count)], "text": [f"text {n}" for n in range(count)]})


class Moody:
    """Answers some texts wrongly, as long as it is in a bad mood."""

    def __init__(self, wrong: Callable[[int], bool] = lambda number: number % 3 == 0) -> None:
        self.wrong = wrong
        self.emulator = Emulator(answers=self)
        self.client = Client("key", transport=self.emulator.transport)

    def __call__(self, body: dict[str, Any]) -> str:
        number = int(prompt_of(body).rsplit(" ", 1)[1])
        return '{"value": "ugly"}' if self.wrong(number) else '{"value": "good"}'

    @property
    def requests(self) -> int:
        return int(self.emulator.stats()["requests"])


def test_rejected_rows_are_asked_anew_without_a_cache_and_the_others_are_not() -> None:
    model = Moody()
    first = run(rows(300), LABEL, client=model.client)
    assert (first.totals.rejected, model.requests) == (100, 300)
    model.wrong = lambda number: number == 30
    second = first.retry_rejected()
    assert model.requests == 400
    assert second.frame["id"].to_list() == first.frame["id"].to_list()
    assert second.frame["value"].null_count() == 1
    assert second.errors["row_id"].to_list() == [30]
    assert (second.totals.rows, second.totals.valid, second.totals.rejected) == (300, 299, 1)
    assert second.totals.requests == 100
    model.wrong = lambda _: False
    third = second.retry_rejected()
    assert model.requests == 401
    assert third.frame["value"].to_list() == ["good"] * 300
    assert third.retry_rejected() is third


def test_sampled_rows_are_named_as_in_the_input_though_others_were_left_out(tmp_path: Path) -> None:
    result = run(rows(6), LABEL, client=Moody().client, output=tmp_path / "o.parquet")
    assert [row.row_id for row in result.sample(9).rows] == [1, 2, 4, 5]
    assert all(row.prompt == f"Which? text {row.row_id}" for row in result.sample(9).rows)


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_a_run_into_any_file_comes_back_as_it_was_asked(ending: str, tmp_path: Path) -> None:
    texts = [*(str(number) for number in range(150)), "007", "1e5", "AB1 2CD", "9.00"]
    data = pl.DataFrame(
        {"text": texts, "seen": [None] * 153 + ["later"]}, schema={"text": pl.String, "seen": pl.String}
    )
    expected = run(data, LABEL, offline=True)
    result = run(data, LABEL, offline=True, output=tmp_path / f"o.{ending}", errors="null")
    assert_frame_equal(result.frame, expected.frame)
    assert [row.prompt for row in result.sample(154).rows] == [f"Which? {text}" for text in texts]


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
@pytest.mark.parametrize(
    "cells",
    [
        pl.Series("x", [1, None, -3], dtype=pl.Int8),
        pl.Series("x", [1, None, 3], dtype=pl.UInt16),
        pl.Series("x", [1.5, None, 3], dtype=pl.Float32),
        pl.Series("x", [[1, 2], None, [3, 4]], dtype=pl.Array(pl.Int64, 2)),
        pl.Series("x", [["a"], None, []], dtype=pl.List(pl.Categorical)),
    ],
    ids=lambda cells: str(cells.dtype),
)
def test_input_columns_of_any_type_come_back(cells: pl.Series, ending: str, tmp_path: Path) -> None:
    data = pl.DataFrame({"text": ["a", "b", "c"], "x": cells})
    result = run(data, LABEL, offline=True, output=tmp_path / f"o.{ending}")
    assert_frame_equal(result.frame.select("text", "x"), data)


def test_rejected_rows_that_were_left_out_in_memory_are_asked_anew_with_a_cache(tmp_path: Path) -> None:
    model = Moody()
    first = run(rows(6), LABEL, client=model.client, errors="split", cache=tmp_path / "c")
    model.wrong = lambda _: False
    assert first.retry_rejected().totals.valid == 6
    assert model.requests == 8


def test_an_output_that_was_changed_since_is_told_in_a_line(tmp_path: Path) -> None:
    result = run(rows(2), LABEL, offline=True, output=tmp_path / "o.csv")
    (tmp_path / "o.csv").write_text("id,text,value\nr0,text 0,neither\n")
    with pytest.raises(OutputError, match=r"o\.csv cannot be read back"):
        _ = result.frame


def test_rows_of_a_run_that_was_stopped_are_taken_up() -> None:
    model = Moody(lambda _: False)
    failures = [RuntimeError("once")]

    def listen(now: Progress) -> None:
        if now.totals.valid and failures:
            raise failures.pop()

    client = Client("key", transport=Emulator(answers=model, latency=0.05).transport)
    stopped = run(rows(300), LABEL, client=client, limits=Limits(concurrency=4), on_event=listen)
    assert stopped.totals.not_run > 0
    whole = stopped.retry_rejected()
    assert whole.complete
    assert_frame_equal(whole.frame, run(rows(300), LABEL, client=model.client).frame)


def test_with_a_cache_a_file_is_written_anew_and_only_rejected_rows_are_paid_for(tmp_path: Path) -> None:
    model = Moody()
    options: dict[str, Any] = {"output": tmp_path / "out.parquet", "cache": tmp_path / "out.cache", "row_id": "id"}
    first = run(rows(90), LABEL, client=model.client, **options)
    assert pl.read_parquet(tmp_path / "out.parquet").height == 60
    model.wrong = lambda _: False
    second = first.retry_rejected()
    assert model.requests == 120
    assert pl.read_parquet(tmp_path / "out.parquet")["id"].to_list() == rows(90)["id"].to_list()
    assert second.errors.is_empty()


def test_rows_that_are_not_at_hand_need_a_cache(tmp_path: Path) -> None:
    model = Moody()
    for options in ({"output": tmp_path / "out.parquet"}, {"errors": "split"}):
        with pytest.raises(ConfigError, match="run with a cache="):
            run(rows(9), LABEL, client=model.client, **options).retry_rejected()


@given(wrong=st.sets(st.integers(0, 39)), still=st.sets(st.integers(0, 39)), named=st.booleans())
@settings(max_examples=15, deadline=None)
def test_whatever_fails_a_retry_gives_the_frame_of_a_run_that_saw_the_last_answers(
    wrong: set[int], still: set[int], named: bool
) -> None:
    model = Moody(wrong.__contains__)
    options: dict[str, Any] = {"prefix": "x_", "provenance": True, "row_id": "id" if named else None}
    options["limits"] = Limits(stop_after_failures=0)  # whatever fails: however many in a row
    first = run(rows(40), LABEL, client=model.client, **options)
    model.wrong = still.__contains__
    second = first.retry_rejected()
    left = sorted(wrong & still)
    expected = [None if number in left else "good" for number in range(40)]
    assert second.frame["x_value"].to_list() == expected
    assert second.frame.schema == first.frame.schema
    assert second.errors["row_id"].to_list() == ([f"r{number}" for number in left] if named else left)
    assert (second.totals.valid, second.totals.rejected) == (40 - len(left), len(left))


def test_a_sample_shows_what_was_asked_and_answered_and_a_seed_draws_it_again() -> None:
    result = run(rows(50), LABEL, client=Moody().client)
    drawn = result.sample(5, seed=0)
    assert repr(drawn) == repr(result.sample(5, seed=0))
    assert len(drawn) == 5
    for row in drawn:
        assert row.prompt == f"Which? text {row.row_id}"
        if row.row_id % 3:
            assert row.answer == {"value": "good"}
        else:
            assert row.answer is None
            assert row.error.startswith("invalid_answer: $.value")
    assert len(result.sample(1_000)) == 50
    with pytest.raises(ConfigError, match="at least one"):
        result.sample(0)


@pytest.mark.parametrize("folder", ["invoices", "invoices_pdf"])
def test_values_are_marked_where_they_stand_in_the_document(folder: str, tmp_path: Path) -> None:
    if folder == "invoices_pdf":
        pytest.importorskip("pypdfium2")
    extractor = Extractor(Invoice, "Read.", media=("path",), grounding=("path",))
    result = run(INVOICES / folder, extractor, offline=True, output=tmp_path / "out.parquet", row_id="name")
    (row,) = result.sample(1, seed=3)
    assert row.source is not None
    marked = {piece.text for piece in row.pieces() if piece.status}
    assert marked == {span["text"] for span in row.spans if span["text"]}
    assert row.answer is not None
    assert row.answer["vendor"] in marked
    assert row.status_of("vendor") == "exact"
    assert str(row.row_id) in repr(result.sample(1, seed=3))


def test_a_file_that_is_gone_is_said_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Total 5.00")
    result = run(tmp_path, Extractor(Invoice, "Read.", media=("path",)), offline=True)
    (tmp_path / "a.txt").unlink()
    assert "a.txt" in result.sample(1)[0].prompt


def test_a_pickled_run_keeps_its_numbers_and_holds_no_key() -> None:
    result = run(rows(9), LABEL, client=Client("a-secret-key", transport=Moody().emulator.transport))
    stored = pickle.dumps(result)
    assert b"a-secret-key" not in stored
    again: Run = pickle.loads(stored)
    assert_frame_equal(again.frame, result.frame)
    assert repr(again) == repr(result)
    for ask in (again.sample, again.retry_rejected):
        with pytest.raises(ConfigError, match="pickle"):
            ask()


def test_a_run_pickled_by_an_earlier_version_loads() -> None:
    result = run(rows(9), LABEL, client=Client("key", transport=Moody().emulator.transport))
    _, state = result.__getstate__()
    details = state.pop("details")
    earlier = {"_schema": details.schema, "_frame": details.frame, "_inputs": 1, "_failed": details.failed_places}
    again = Run.__new__(Run)
    again.__setstate__((None, state | earlier | {"_recipe": None}))  # one of the first, without a manifest
    assert_frame_equal(again.frame, result.frame)
    assert_frame_equal(again.scan().collect(), result.frame)
    assert repr(again) == repr(result)
    assert again.details.failed_places.to_list() == details.failed_places.to_list()
    assert (again.details.input_columns, again.details.manifest) == (1, {})
    with pytest.raises(ConfigError, match="pickle"):
        again.sample()


EARLIER_PLACES = {
    "extract.results.run Run": "extract.results Run",
    "extract.results.progress Totals": "extract.results Totals",
    "extract.interactions.usage Usage": "extract.types Usage",
    "extract.schema.losses Loss": "extract.types Loss",
    "extract.limits.budget BudgetMeter": "extract.budget Purse",
    "extract.limits.budget Budget": "extract.budget Budget",
    "extract.limits.budget Amount": "extract.budget Amount",
}


def named_in_a_pickle(place: str) -> bytes:
    """Return how a pickle of protocol 2 names a class."""
    return "c{}\n{}\n".format(*place.split()).encode()


def test_a_pickle_of_an_earlier_version_finds_the_classes_that_have_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    result = run(rows(9), LABEL, client=Client("key", transport=Moody().emulator.transport), budget=1.0)
    result = replace(result, losses=(Loss("$.value", "pattern", "^x"),))
    _, state = result.__getstate__()
    details = state.pop("details")
    earlier = {"_schema": details.schema, "_frame": details.frame, "_recipe": None}
    monkeypatch.setattr(Run, "__getstate__", lambda _: (None, state | earlier))
    stored = pickle.dumps(result, protocol=2)
    for now, before in EARLIER_PLACES.items():
        assert named_in_a_pickle(now) in stored
        stored = stored.replace(named_in_a_pickle(now), named_in_a_pickle(before))
    again: Run = pickle.loads(stored)
    assert_frame_equal(again.frame, result.frame)
    assert (again.totals, again.losses, again.budget) == (result.totals, result.losses, result.budget)
    with pytest.raises(ImportError):
        exec("from extract.results import Outcome")  # only what a pickle asks for is there


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
def test_a_sample_shows_spans_whatever_the_run_was_written_to(ending: str, tmp_path: Path) -> None:
    client = Client("key", transport=Emulator(answers=lambda _: '{"vendor": "Acme", "total": null}').transport)
    extractor = Extractor(Invoice, "{text}", grounding=("text",))
    result = run(["a bill of Acme"], extractor, client=client, output=tmp_path / f"out.{ending}")
    (row,) = shown = result.sample(1, seed=1)
    assert [span["text"] for span in row.spans] == ["Acme"]
    assert "<mark" in shown._repr_html_()
    assert "Acme" in repr(shown)
