"""A run for other programs: JSON on stdout and in the log, and a quiet one."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from commands import Extract, in_process

from extract import Emulator
from extract.cli.json_log import JsonLog
from extract.results.progress import Progress, Totals
from extract.testing import running_server

PIPELINE = """
from extract import Extractor

extractor = Extractor(["spam", "ham"], "{body}", model="gemini-2.5-flash")
"""
RUN = ("run", "p.py", "in.csv", "-o", "out.parquet")


@pytest.fixture
def extract(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Extract:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GEMINI_API_KEY", "a-key-for-tests-1234567890")
    Path("p.py").write_text(PIPELINE)
    pl.DataFrame({"body": [f"text {n}" for n in range(30)]}).write_csv("in.csv")
    return in_process(monkeypatch, capfd)


def test_json_of_a_stopped_run_says_what_stopped_it(extract: Extract) -> None:
    with running_server(Emulator(answers=lambda _: '{"value": "ham"}', rpd=10)) as url:
        done = extract(*RUN, "--json", "--base-url", url)
    summary = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (1, "")
    assert (summary["valid"], summary["not_run"], summary["interrupted"]) == (10, 20, False)
    assert summary["stopped"]["code"] == "quota"
    assert "midnight" in summary["stopped"]["message"]


def test_json_of_a_run_that_ends_well_says_that_nothing_stopped_it(extract: Extract) -> None:
    summary = json.loads(extract(*RUN, "--json", "--offline").stdout)
    assert (summary["stopped"], summary["interrupted"]) == (None, False)


def test_json_of_a_run_without_any_answer_says_what_stopped_it(extract: Extract) -> None:
    with running_server(Emulator(api_key="another-key-than-the-one-of-tests")) as url:
        done = extract(*RUN, "--json", "--base-url", url)
    assert done.returncode == 1
    assert json.loads(done.stdout)["stopped"]["code"] == "denied"


def test_a_quiet_run_that_is_stopped_says_only_why(extract: Extract) -> None:
    with running_server(Emulator(answers=lambda _: '{"value": "ham"}', rpd=10)) as url:
        done = extract(*RUN, "-q", "--base-url", url)
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1


def test_a_json_log_ends_with_the_summary(extract: Extract) -> None:
    done = extract(*RUN, "--log", "json", "--offline")
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert {line["event"] for line in lines} == {"progress", "end"}
    assert lines[-1]["event"] == "end"
    assert (lines[-1]["rows"], lines[-1]["valid"]) == (30, 30)
    assert all(datetime.fromisoformat(line["time"]).tzinfo for line in lines)


def test_a_json_log_has_nothing_but_json_lines(extract: Extract) -> None:
    Path("semi.csv").write_text("body;n\none;1\ntwo;2\n")
    done = extract("run", "p.py", "semi.csv", "-o", "semi.parquet", "--log", "json", "--offline")
    warning, *_, end = [json.loads(line) for line in done.stderr.splitlines()]
    assert (warning["event"], warning["message"]) == ("warning", "csv is read with ; between cells")
    assert end["event"] == "end"
    with running_server(Emulator(api_key="another-key-than-the-one-of-tests")) as url:
        done = extract(*RUN, "--log", "json", "--base-url", url)
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert (done.returncode, lines[-1]["event"], lines[-1]["stopped"]["code"]) == (1, "end", "denied")


def test_a_json_log_has_a_line_each_half_minute_and_one_where_the_run_stops() -> None:
    file = io.StringIO()
    log = JsonLog(file, 30.0, lambda: datetime(2026, 11, 28, 12, tzinfo=UTC))
    totals = Totals(rows=10, valid=9, rejected=1, cost=Decimal("0.5"))
    for seconds in (0.1, 10.0, 29.9, 30.2, 31.0, 45.0):
        log(
            Progress(total=20, totals=totals, seconds=seconds, in_flight=3, slots=4, waiting=0.0, stopping=seconds > 40)
        )
    lines = [json.loads(line) for line in file.getvalue().splitlines()]
    assert [(line["event"], line["seconds"]) for line in lines] == [
        ("progress", 0.1),
        ("progress", 30.2),
        ("stopping", 45.0),
    ]
    assert lines[0]["time"] == "2026-11-28T12:00:00.000+00:00"
    assert (lines[0]["total"], lines[0]["cost_usd"], lines[0]["in_flight"]) == (20, 0.5, 3)
