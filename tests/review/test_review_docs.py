"""docs/review.md: its commands run as pasted, with a person in place of the page, and its figures are right."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import polars as pl
import pytest
from commands import in_process

from extract.evaluation.tails import rows_to_prove, wrong_allowed
from extract.review.decision_file import DecisionFile

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "review.md").read_text("utf-8")


def at_the_page(path: Path) -> None:
    """Decide every row of a file: all are billing, none is urgent; the rest of the answer stays."""
    with DecisionFile.open(path) as file:
        for task in file.tasks(1, len(file)):
            value = {"topic": "billing", "urgent": False, "confidence": 0.5, "reason": ""}
            file.decide(task.number, "ann", "corrected", value, blind=True, now=1.0)


def test_the_commands_of_the_page_run_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in ("sample_data", "pipelines"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.chdir(tmp_path)
    extract = in_process(monkeypatch, capfd)
    (block,) = re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    for command in block.splitlines():
        _, *words = shlex.split(command)
        if words[0] == "review":
            at_the_page(Path(words[1]))
            continue
        done = extract(*words)
        assert done.returncode in (0, 3), done.stderr
    assert set(pl.read_csv("gold.csv")["topic"]) == {"billing"}
    corrected = pl.read_parquet("corrected.parquet").filter(pl.col("_review").is_not_null())
    assert corrected.height == 100
    assert set(corrected["topic"]) == {"billing"}


def test_the_numbers_of_rows_that_the_page_names_are_right() -> None:
    rows = re.findall(r"^\| (\d+) % right \| (\d+) \| (\d+) \|$", PAGE, re.MULTILINE)
    assert len(rows) == 4
    for right, needed, wrong in rows:
        assert rows_to_prove(int(right) / 100) == int(needed)
        assert wrong_allowed(500, int(right) / 100) == int(wrong)
    assert f"or {rows_to_prove(0.95, wrong=1)} with one" in PAGE
