"""`extract review` on the command line: what it prints, what it refuses, how it ends and goes on."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from extract import Extractor, run


def review(folder: Path, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "extract", "review", *words, "--no-browser"]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def refused(folder: Path, *words: str) -> str:
    """Return what the command says that does not serve; its exit status is that of wrong usage."""
    process = review(folder, *words)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (2, "")
    assert "Traceback" not in err
    return err


@contextmanager
def serving(folder: Path, *words: str) -> Iterator[tuple[Any, subprocess.Popen[str]]]:
    process = review(folder, *words)
    assert process.stdout is not None
    address, _, token = process.stdout.readline().strip().partition("/#token=")

    def ask(path: str, body: Any = None) -> Any:
        connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=60)
        headers = {"X-Review-Token": token, "Content-Type": "application/json"}
        sent = None if body is None else json.dumps(body)
        connection.request("GET" if body is None else "POST", path, sent, headers)
        answer = json.loads(connection.getresponse().read())
        connection.close()
        return answer

    try:
        yield ask, process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    frame = pl.DataFrame({"id": [f"A{i}" for i in range(20)], "text": [f"It works {i}" for i in range(20)]})
    run(frame, Extractor(["good", "bad"], "{text}"), offline=True, output=tmp_path / "out.parquet", row_id="id")
    frame.write_csv(tmp_path / "in.csv")
    return tmp_path


@pytest.mark.parametrize("ends", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_decision_is_kept_however_the_page_ends(folder: Path, ends: signal.Signals) -> None:
    with serving(folder, "out.parquet", "--sample", "5", "--as", "ann") as (ask, process):
        assert ask("/api/task")["total"] == 5
        assert ask("/api/rows/1/decisions", {"action": "right"})["next"] == 2
        process.send_signal(ends)
        _, err = process.communicate(timeout=60)
        assert "Traceback" not in err
        if ends == signal.SIGINT:
            assert process.returncode == 0
            assert "1 of 5 rows decided, 0 skipped" in err
            assert "extract gold write out.review.db -o gold.csv" in err
    with serving(folder, "out.review.db", "--as", "ann") as (ask, _):
        assert ask("/api/task")["start"] == 2


def test_the_command_says_what_was_drawn_and_where_decisions_go(folder: Path) -> None:
    with serving(folder, "out.parquet", "--sample", "5", "--seed", "7", "--as", "ann") as (ask, process):
        ask("/api/task")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert "5 of 20 rows of out.parquet drawn with seed 7, each beside its answer" in err
    assert "out.review.db: decisions of ann" in err


def test_labels_make_a_form_for_a_table_without_answers(folder: Path) -> None:
    (folder / "labels.txt").write_text("good\nbad\n\nneither\n")
    for labels in ("good,bad,neither", "labels.txt"):
        with serving(folder, "in.csv", "--labels", labels, "--decisions", f"{labels[:4]}.db") as (ask, _):
            task = ask("/api/task")
            assert task["blind"] is True
            assert [one["value"] for one in task["form"]["root"]["members"][0]["labels"]] == ["good", "bad", "neither"]


def test_what_does_not_fit_the_decisions_that_are_there_is_refused(folder: Path) -> None:
    with serving(folder, "out.parquet", "--sample", "5", "--decisions", "r.db"):
        pass
    again = ("--decisions", "r.db")
    assert "not blind" in refused(folder, "out.parquet", "--blind", *again)
    assert "holds a sample, not a queue" in refused(folder, "out.parquet", "--queue", *again)
    assert "holds 5 rows, fixed when they were drawn" in refused(folder, "out.parquet", "--sample", "6", *again)
    assert "is about" in refused(folder, "in.csv", "--labels", "good,bad", *again)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("nothing.parquet",), "no file"),
        (("nothing.db",), "nothing.db"),
        (("in.csv",), "add --pipeline or --labels"),
        (("out.parquet", "--sample", "5", "--queue"), "never mixed"),
        (("out.parquet", "--queue"), "nothing speaks against"),
        (("out.parquet", "--pipeline", "nothing.py"), "nothing.py"),
        (("out.parquet", "--allow-host", "http://box"), "--allow-host"),
        (("out.parquet", "--as", " "), "name"),
        (("out.parquet", "--root", "nowhere"), "nowhere"),
        (("in.csv", "--labels", "a,b", "--pipeline", "p.py"), "p.py"),
    ],
)
def test_what_cannot_be_reviewed_is_refused_in_words(folder: Path, words: tuple[str, ...], message: str) -> None:
    assert message in refused(folder, *words)
