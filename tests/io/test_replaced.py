"""A finished output is not replaced by one that covers fewer rows, unless the user says so."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from pydantic import BaseModel

from extract import Client, ConfigError, Emulator, Extractor, Run, run, write_report
from extract.io.sinks.open import errors_path, read_covered, read_manifest
from extract.io.sinks.replaced import covered_rows

SORT = Extractor(["a", "b"], "{text}", repairs=0)
ENDINGS = pytest.mark.parametrize("ending", [".parquet", ".csv", ".jsonl", ".ndjson"])


def service() -> Emulator:
    """Return a service whose answer to every fifth row is rejected."""
    return Emulator(answers=lambda body: {"value": "?" if "wrong" in str(body["input"]) else "a"})


def texts(count: int) -> pl.DataFrame:
    return pl.DataFrame({"text": [f"{'wrong' if number % 5 == 4 else 'right'} {number}" for number in range(count)]})


def ask(data: Any, output: Path, emulator: Emulator, **options: Any) -> Run:
    client = Client("a-key-for-tests", transport=emulator.transport)
    return run(data, SORT, client=client, output=output, cache=output.with_name(output.name + ".cache"), **options)


def finished(folder: Path, ending: str, **options: Any) -> tuple[Path, bytes]:
    output = folder / f"out{ending}"
    assert ask(texts(20), output, service(), **options).totals.rejected == 4
    return output, output.read_bytes()


@ENDINGS
@pytest.mark.parametrize("errors", ["split", "null"])
def test_a_smaller_run_over_a_whole_output_sends_nothing_and_changes_nothing(
    tmp_path: Path, ending: str, errors: Any
) -> None:
    output, before = finished(tmp_path, ending, errors=errors)
    rejected = pl.read_parquet(tmp_path / "out.errors.parquet")
    emulator = service()
    smaller: list[tuple[Any, dict[str, Any]]] = [
        (texts(20), {"limit": 5}),
        (texts(19), {}),
        (texts(20).lazy(), {"limit": 19}),
        (iter(texts(20).to_dicts()), {"limit": 19}),
    ]
    for data, options in smaller:
        with pytest.raises(ConfigError, match=r"covers 20 rows.*--overwrite"):
            ask(data, output, emulator, errors=errors, **options)
    assert emulator.stats()["requests"] == 0
    assert output.read_bytes() == before
    assert pl.read_parquet(tmp_path / "out.errors.parquet").equals(rejected)
    assert ask(texts(20), output, emulator, errors=errors, limit=5, overwrite=True).totals.rows == 5
    assert covered_rows(output, split_errors=errors == "split") == 5


@ENDINGS
@pytest.mark.parametrize("errors", ["split", "null"])
def test_the_same_run_again_or_a_larger_one_is_no_loss(tmp_path: Path, ending: str, errors: Any) -> None:
    output = tmp_path / f"out{ending}"
    for limit in (5, 5, 10, None, None):
        assert ask(texts(20), output, service(), errors=errors, limit=limit).output == output
    for data in (texts(20).lazy(), iter(texts(20).to_dicts()), iter(texts(25).to_dicts())):
        assert ask(data, output, service(), errors=errors).output == output
    assert covered_rows(output, split_errors=errors == "split") == 25


@pytest.mark.parametrize("ending", [".csv", ".jsonl"])
@pytest.mark.parametrize(("first", "then"), [("null", "split"), ("split", "null")])
def test_text_covers_the_same_rows_whatever_becomes_of_rejected_ones(
    tmp_path: Path, ending: str, first: Any, then: Any
) -> None:
    output, _ = finished(tmp_path, ending, errors=first)
    with pytest.raises(ConfigError, match="covers 20 rows, and this run only 19"):
        ask(texts(19), output, service(), errors=then)
    assert ask(texts(20), output, service(), errors=then).output == output


def test_rejected_rows_of_another_output_beside_it_are_not_counted(tmp_path: Path) -> None:
    right = texts(20).filter(pl.col("text").str.starts_with("right"))
    assert ask(right, tmp_path / "out.jsonl", service()).totals.rejected == 0
    finished(tmp_path, ".csv")  # whose errors file has the same name
    assert ask(right, tmp_path / "out.jsonl", service()).totals.rows == 16


def test_a_text_of_an_earlier_release_covers_its_rows_and_the_rejected_ones(tmp_path: Path) -> None:
    output, _ = finished(tmp_path, ".csv")
    errors = tmp_path / "out.errors.parquet"
    pl.read_parquet(errors).write_parquet(errors)  # without what this release notes there
    assert covered_rows(output, split_errors=True) == 20
    assert covered_rows(output, split_errors=False) == 16


def test_rows_that_a_rule_rejects_count_as_covered(tmp_path: Path) -> None:
    class Side(BaseModel):
        side: str

    quoting = Extractor(Side, "{text}", repairs=0, grounding=["text"])
    emulator = Emulator(answers=lambda _: {"side": "right"})  # which every fifth text does not say
    client = Client("a-key-for-tests", transport=emulator.transport)
    output = tmp_path / "out.csv"
    options: dict[str, Any] = {"client": client, "output": output, "cache": tmp_path / "out.csv.cache"}
    assert run(texts(20), quoting, **options).totals.valid == 20
    stricter = run(texts(20), quoting, require_grounding=True, **options)
    assert (stricter.output, stricter.totals.valid, stricter.totals.rows) == (output, 16, 20)


SOURCES: list[Callable[[], Any]] = [lambda: texts(7).lazy(), lambda: iter(texts(7).to_dicts())]


@ENDINGS
@pytest.mark.parametrize("source", SOURCES)
def test_an_input_of_unknown_length_that_is_smaller_goes_beside_the_output(
    tmp_path: Path, ending: str, source: Callable[[], Iterator[Any]], caplog: pytest.LogCaptureFixture
) -> None:
    output, before = finished(tmp_path, ending)
    rejected = (tmp_path / "out.errors.parquet").read_bytes()
    with caplog.at_level(logging.WARNING, logger="extract"):
        result = ask(source(), output, service())
    assert result.output == tmp_path / f"out.new{ending}"
    assert result.errors_file == tmp_path / "out.new.errors.parquet"
    assert (result.frame.height, result.totals.rows, result.totals.requests) == (6, 7, 0)
    assert (output.read_bytes(), (tmp_path / "out.errors.parquet").read_bytes()) == (before, rejected)
    assert f"out{ending} covers 20 rows, more than the 7 of this run: these are in out.new{ending}" in caplog.text
    assert ask(source(), output, service()).output == tmp_path / f"out.new2{ending}"
    assert ask(source(), output, service(), overwrite=True).output == output
    assert covered_rows(output, split_errors=True) == 7


@ENDINGS
def test_rejected_rows_that_are_asked_again_replace_the_output_beside_and_not_the_larger_one(
    tmp_path: Path, ending: str
) -> None:
    output, before = finished(tmp_path, ending)
    answers = iter(["?"])
    emulator = Emulator(answers=lambda _: {"value": next(answers, "a")})
    rows = pl.DataFrame({"text": ["one", "two"]}).lazy()
    result = ask(rows, output, emulator)
    beside = tmp_path / f"out.new{ending}"
    assert (result.output, result.totals.rejected) == (beside, 1)
    again = result.retry_rejected()
    assert (again.output, again.totals.valid, again.frame.height) == (beside, 2, 2)
    assert (output.read_bytes(), (tmp_path / f"out.new2{ending}").exists()) == (before, False)
    assert again.retry_rejected() is again


def test_a_run_that_does_not_reach_its_end_keeps_its_usual_name(tmp_path: Path) -> None:
    output, before = finished(tmp_path, ".parquet")
    more = pl.concat([texts(3), pl.DataFrame({"text": ["new"] * 3})]).lazy()
    stopped = ask(more, output, Emulator(faults="quota_exceeded=1"))
    assert stopped.stopped is not None
    assert stopped.output == tmp_path / "out.partial.parquet"
    assert output.read_bytes() == before


@pytest.mark.parametrize("damage", [b"", b"PAR1 and no more", b"\0" * 500])
def test_damaged_rejected_rows_beside_it_do_not_let_a_smaller_run_replace_a_text(tmp_path: Path, damage: bytes) -> None:
    output, before = finished(tmp_path, ".csv")
    (tmp_path / "out.errors.parquet").write_bytes(damage)
    with pytest.raises(ConfigError, match="covers 16 rows"):
        ask(texts(20), output, service(), limit=5)
    assert output.read_bytes() == before


def test_a_damaged_file_over_which_polars_panics_tells_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output, _ = finished(tmp_path, ".parquet")

    def panic(*_: object, **__: object) -> None:
        raise pl.exceptions.PanicException("capacity overflow")

    monkeypatch.setattr(pl, "read_parquet_metadata", panic)
    assert (read_manifest(output), read_covered(errors_path(output))) == ({}, None)
    monkeypatch.setattr(pl, "scan_parquet", panic)
    assert covered_rows(output, split_errors=True) is None
    with pytest.raises(ConfigError, match="cannot be read as Parquet: capacity overflow"):
        write_report(output, tmp_path / "report.html")
