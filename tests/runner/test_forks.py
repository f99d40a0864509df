"""A process that was forked after a run is told so; it never hangs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")

SCRIPT = """
import asyncio, multiprocessing, os, sys
import polars as pl
from extract import ConfigError, Emulator, Client, Extractor, check_labels, compare, estimate, evaluate, extract_one
from extract import lazy_run, open_source, run, run_async, write_report

SORT = Extractor(["a", "b"], "{text}")
FRAME = pl.DataFrame({"id": [1, 2], "text": ["x", "y"], "value": ["a", "b"]})
CALLS = {
    "run": lambda client: run(["x"], SORT, client=client).totals.valid,
    "run_async": lambda client: asyncio.run(run_async(["x"], SORT, client=client)).totals.valid,
    "polars": lambda client: pl.DataFrame({"n": [1, 2]}).lazy().select(pl.col("n").sum()).collect().item(),
    "open_source": lambda client: open_source("in.csv"),
    "estimate": lambda client: estimate(FRAME, SORT),
    "evaluate": lambda client: evaluate(FRAME, FRAME, on="id"),
    "compare": lambda client: compare(FRAME, FRAME, on="id"),
    "check_labels": lambda client: check_labels(FRAME, SORT, client=client),
    "lazy_run": lambda client: lazy_run(pl.LazyFrame({"text": ["x"]}), SORT, client=client).collect(),
    "write_report": lambda client: write_report("out.parquet", "report.html"),
    "extract_one": lambda client: int(extract_one({"text": "x"}, SORT, client=client).ok),
}

def call(name):
    emulator = Emulator(answers=lambda body: {"value": "a"})
    try:
        print(name, CALLS[name](Client("a-key-for-tests", transport=emulator.transport)), flush=True)
    except ConfigError as error:
        print(name, "spawn" in str(error), flush=True)

def in_child(method, name):
    process = multiprocessing.get_context(method).Process(target=call, args=(name,))
    process.start()
    process.join(60)
    if process.is_alive():
        process.kill()
        print("hangs")

if __name__ == "__main__":
    for step in sys.argv[1:]:
        method, _, name = step.rpartition(":")
        in_child(method, name) if method else call(name)
"""


def outputs(folder: Path, *steps: str) -> list[str]:
    """Run the steps in a process of their own, each as `run` or as `fork:run` in a child; return what they print."""
    script = folder / "script.py"
    script.write_text(SCRIPT, encoding="utf-8")
    command = [sys.executable, "-W", "ignore", str(script), *steps]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout.splitlines()


def test_a_run_in_a_child_that_was_forked_after_a_run_says_spawn(tmp_path: Path) -> None:
    calls = ["run", "run_async", "extract_one", "open_source", "estimate", "evaluate", "compare", "check_labels"]
    calls += ["lazy_run", "write_report"]
    printed = outputs(tmp_path, "run", *(f"fork:{call}" for call in calls))
    assert printed == ["run 1", *(f"{call} True" for call in calls)]


def test_a_child_forked_after_one_record_says_spawn(tmp_path: Path) -> None:
    assert outputs(tmp_path, "extract_one", "fork:run") == ["extract_one 1", "run True"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux names the threads of a process")
def test_a_child_that_was_forked_after_polars_has_computed_says_spawn(tmp_path: Path) -> None:
    assert outputs(tmp_path, "polars", "fork:run") == ["polars 3", "run True"]


def test_a_child_that_is_spawned_or_was_forked_before_the_first_run_runs(tmp_path: Path) -> None:
    assert outputs(tmp_path, "fork:run", "run", "spawn:run", "run") == ["run 1"] * 4
