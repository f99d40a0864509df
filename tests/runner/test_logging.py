"""The logger `extract`: what a run reports, and what never stands in it."""

from __future__ import annotations

import logging
from typing import Any

import polars as pl
import pytest

from extract import Client, Emulator, Extractor, Limits, Retry, run

SECRET, KEY, PROMPT = "the row's own words", "AIza-not-a-real-key", "Sort what follows: {text}"
ROWS = pl.DataFrame({"text": [f"{SECRET} {number}" for number in range(20)]})
TOPIC = Extractor(["praise", "complaint"], PROMPT)
QUICK = Limits(retry=Retry(first_wait=0.01, longest_wait=0.01), stop_after_failures=5)


def logged(caplog: pytest.LogCaptureFixture, emulator: Emulator, level: int = logging.DEBUG, **options: Any) -> str:
    """Return what a run has logged."""
    caplog.set_level(level, logger="extract")
    run(ROWS, TOPIC, client=Client(KEY, transport=emulator.transport), **options)
    return "\n".join(f"{one.name} {one.levelname} {one.getMessage()}" for one in caplog.records)


def test_a_run_reports_its_begin_and_its_end(caplog: pytest.LogCaptureFixture) -> None:
    begin, end = logged(caplog, Emulator(), logging.INFO).splitlines()
    assert begin.startswith("extract.runner INFO run begins: 20 rows, pipeline Label, gemini-3.5-flash-lite at ")
    assert end.startswith(
        "extract.runner INFO run ends: whole; 20 of 20 rows valid, 0 rejected, 0 not run; 20 requests"
    )


def test_retries_are_told_by_their_codes(caplog: pytest.LogCaptureFixture) -> None:
    text = logged(caplog, Emulator(faults="500=0.5", seed=2), limits=QUICK)
    assert "extract.http DEBUG overloaded (500): tried again in 0.0" in text


@pytest.mark.parametrize("faults", ["", "500=0.5", "malformed=1", "blocked=1"])
def test_neither_key_nor_content_stands_in_a_log(caplog: pytest.LogCaptureFixture, faults: str) -> None:
    text = logged(caplog, Emulator(faults=faults, seed=1), limits=QUICK)
    assert "run begins" in text
    assert not [one for one in (SECRET, KEY, "Sort what follows", "praise") if one in text]


def test_nothing_is_shown_unless_somebody_asks(capfd: pytest.CaptureFixture[str]) -> None:
    run(ROWS, TOPIC, offline=True)
    assert capfd.readouterr() == ("", "")
