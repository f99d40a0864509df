"""Ids that name several rows, or none, are told at the run, in memory that is bounded."""

from __future__ import annotations

import json
import pickle
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from extract import Budget, Extractor, Run, run
from extract.cli import main
from extract.io.sinks.open import read_manifest
from extract.results.row_ids import RowIdCounter

GOOD = Extractor(["good", "bad"], "{text}")


def asked(ids: Sequence[Any], **options: Any) -> Run:
    frame = pl.DataFrame({"id": ids, "text": "good"}, strict=False)
    return run(frame, GOOD, row_id="id", offline=True, **options)


def test_repeated_and_null_ids_are_told_with_an_example(tmp_path: Path) -> None:
    result = asked(
        ["a", "b", "a", None, "a", "c", "c"] + [f"n{n}" for n in range(300)], output=tmp_path / "out.parquet"
    )
    row_ids = result.row_ids
    assert row_ids is not None
    assert (row_ids.repeated, row_ids.nulls, row_ids.example, row_ids.exact) == (2, 1, "a", True)
    assert repr(result).endswith("$0; ids: 2 occur more than once, as 'a', 1 are null)")
    told = {"repeated": 2, "nulls": 1, "example": "a", "exact": True}
    assert result.summary()["row_ids"] == told
    assert read_manifest(tmp_path / "out.parquet")["run"]["row_ids"] == told
    assert pickle.loads(pickle.dumps(result)).row_ids == row_ids


def test_ids_that_name_their_rows_are_no_matter() -> None:
    result = asked(range(500))
    assert str(result.row_ids) == ""
    assert repr(result) == "Run(500 of 500 rows valid, 0 rejected, $0)"
    assert run(["good", "good"], GOOD, offline=True).row_ids is None


@pytest.mark.parametrize(
    "ids",
    [
        pl.Series(["a", "b", "a"], dtype=pl.Categorical),
        pl.Series(["a", "b", "a"], dtype=pl.Enum(["a", "b"])),
        pl.Series([1.5, 2.5, 1.5]),
        pl.Series(["2026-01-01", "2026-01-02", "2026-01-01"]).str.to_date(),
        pl.Series(["1.5", "2.5", "1.5"]).cast(pl.Decimal(10, 2)),
        pl.Series([b"a", b"b", b"a"]),
        pl.Series([True, False, True]),
    ],
    ids=lambda ids: str(ids.dtype),
)
def test_ids_of_any_type_are_counted(ids: pl.Series) -> None:
    row_ids = asked(ids).row_ids
    assert row_ids is not None
    assert (row_ids.repeated, row_ids.example) == (1, ids[0])


def test_rows_that_a_stopped_run_does_not_reach_count_too() -> None:
    result = asked([*range(3_000), 2_999], budget=Budget(tokens=5_000))
    assert result.totals.not_run > 1_000
    assert result.row_ids is not None
    assert result.row_ids.repeated == 1


def test_the_command_tells_it_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in.csv").write_text("id,text\n007,good\n8,good\n007,bad\n,bad\n")
    (tmp_path / "p.py").write_text('from extract import Extractor\nextractor = Extractor(["good", "bad"], "{text}")\n')
    monkeypatch.chdir(tmp_path)
    arguments = ["extract", "run", "p.py", "in.csv", "-o", "out.parquet", "--offline", "--id", "id"]
    for option in ([], ["--json", "-q"]):
        monkeypatch.setattr(sys, "argv", [*arguments, *option])
        with pytest.raises(SystemExit):
            main()
        said = capsys.readouterr()
        if option:
            assert json.loads(said.out)["row_ids"]["repeated"] == 1
        else:
            lines = [" ".join(line.split()) for line in said.err.splitlines()]
            expected = "ids 1 occur more than once, as '007', 1 are null: eval and report cannot tell such rows apart"
            assert expected in " ".join(lines)


# Memory --------------------------------------------------------------------------------------------------------------


@given(st.lists(st.lists(st.integers(0, 60) | st.none(), max_size=30), max_size=8))
def test_up_to_its_bound_the_counter_is_exact(blocks: list[list[int | None]]) -> None:
    counter = RowIdCounter()
    for block in blocks:
        counter.add(pl.Series(block, dtype=pl.Int64))
    ids = [one for block in blocks for one in block]
    repeated = {one for one in ids if one is not None and ids.count(one) > 1}
    result = counter.result()
    assert (result.repeated, result.nulls, result.exact) == (len(repeated), ids.count(None), True)
    assert result.example in (repeated or {None})
    assert result == counter.result()


def test_beyond_its_bound_the_counter_estimates_and_says_so() -> None:
    counter = RowIdCounter(max_ids=5_000)
    for first in range(0, 200_000, 10_000):
        counter.add(pl.int_range(first, first + 10_000, eager=True))
    counter.add(pl.int_range(0, 50_000, eager=True))
    result = counter.result()
    assert not result.exact
    assert 40_000 < result.repeated < 60_000
    assert 0 <= result.example < 50_000
    assert len(counter._different) <= 5_000
    assert str(result).startswith("about ")


def test_long_ids_do_not_wait_in_memory() -> None:
    counter = RowIdCounter()
    for number in range(100):
        counter.add(pl.Series([f"{number}-{'x' * 1_000_000}"]))
    assert sum(ids.estimated_size() for ids in counter._waiting) < 5_000_000
    assert counter.result().repeated == 0
