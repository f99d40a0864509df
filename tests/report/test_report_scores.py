"""How the score of an output meets gold, in the report."""

from __future__ import annotations

from pathlib import Path

import polars as pl
from reports import Page, page_of

from extract.report import write_report


def page_with(tmp_path: Path, rows: pl.DataFrame, gold: pl.DataFrame) -> Page:
    rows.write_parquet(tmp_path / "out.parquet")
    return page_of(write_report(tmp_path / "out.parquet", tmp_path / "out.html", gold=gold, on="id"))


def test_a_score_is_drawn_against_gold_as_reliability_and_as_risk_by_coverage(tmp_path: Path) -> None:
    sure = [place / 100 for place in range(100)]
    rows = pl.DataFrame({"id": range(100), "city": ["Bonn"] * 100, "confidence": sure})
    gold = pl.DataFrame({"id": range(100), "city": ["Cologne"] * 40 + ["Bonn"] * 60})
    section = page_with(tmp_path, rows, gold).section("evaluation")
    assert "Score: declared confidence" in section
    assert "AUROC 1.000, expected calibration error 0." in section
    assert "Reliability share of right rows by score" in section
    assert "Risk and coverage share of right rows among those accepted" in section


def test_a_score_outside_of_0_to_1_has_a_curve_and_no_diagram(tmp_path: Path) -> None:
    rows = pl.DataFrame({"id": range(4), "city": ["Bonn"] * 4, "confidence": [1.0, 20.0, 300.0, 4.0]})
    section = page_with(tmp_path, rows, rows.select("id", "city")).section("evaluation")
    assert "Risk and coverage" in section
    assert "Reliability" not in section


def test_an_output_without_a_score_has_neither(tmp_path: Path) -> None:
    rows = pl.DataFrame({"id": range(4), "city": ["Bonn"] * 4})
    section = page_with(tmp_path, rows, rows).section("evaluation")
    assert "Against 4 gold rows" in section
    assert "Risk and coverage" not in section
