"""What is drawn while a run lasts."""

from __future__ import annotations

import sys
from decimal import Decimal
from typing import Any

import pytest

from extract import Client, Emulator, Extractor, Limits, Progress, classify, run
from extract.results.eta import Eta
from extract.results.progress import Totals
from extract.results.progress_bar import status

LABEL = Extractor(["good", "bad"], "{text}")


def moment(**changes: Any) -> Progress:
    totals = Totals(rows=250, valid=240, rejected=10, cached=50, cost=Decimal("0.5"))
    settings: dict[str, Any] = {"total": 1_000, "seconds": 50.0, "in_flight": 8, "slots": 8, "waiting": 0.0}
    return Progress(totals=totals, **(settings | changes))


@pytest.mark.parametrize(
    ("progress", "over", "line"),
    [
        (moment(), False, "5.0 rows/s · 2 min left · $0.5000 of about $2.38 · 50 from the cache · 10 rejected"),
        (moment(waiting=42.0), False, "· 10 rejected · waiting 42 s for quota"),
        (moment(stopping=True), False, "· stopping, 8 in flight"),
        (moment(stopping=True), True, "50 s · $0.5000 · 50 from the cache · 10 rejected · stopped"),
        (moment(total=None), False, "5.0 rows/s · $0.5000 · 50"),
    ],
)
def test_a_line_gives_rate_time_cost_and_what_it_waits_for(progress: Progress, over: bool, line: str) -> None:
    assert line in status(progress, Eta.of(progress), over=over)


@pytest.fixture
def without_tqdm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tqdm", None)


def test_a_script_shows_nothing_by_default(capsys: pytest.CaptureFixture[str], without_tqdm: None) -> None:
    run(["one", "two"], LABEL, offline=True)
    assert capsys.readouterr() == ("", "")
    classify(["one", "two"], ["good", "bad"], offline=True, progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("2 of 2 rows · ")
    assert err.count("\n") == 1


def test_where_tqdm_is_there_it_draws_the_bar(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tqdm")
    run(["one", "two"], LABEL, offline=True, progress=True)
    assert "100%" in capsys.readouterr().err


def test_a_listener_is_called_too_and_a_broken_display_stops_nothing(
    monkeypatch: pytest.MonkeyPatch, without_tqdm: None
) -> None:
    class Broken:
        def isatty(self) -> bool:
            raise OSError("gone")

    monkeypatch.setattr(sys, "stderr", Broken())
    rows: list[int] = []
    result = run(["one", "two"], LABEL, offline=True, progress=True, on_event=lambda now: rows.append(now.totals.rows))
    assert result.complete
    assert rows[-1] == 2


def test_progress_is_reported_while_a_run_waits() -> None:
    emulator = Emulator(latency=1.4)
    seconds: list[float] = []
    client = Client("key", transport=emulator.transport)
    run(["one"], LABEL, client=client, limits=Limits(concurrency=1), on_event=lambda now: seconds.append(now.seconds))
    assert len(seconds) >= 3
