"""The same run gives the same table wherever it is called: nobody patches a loop."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from extract import Extractor, run, run_async

ROWS = pl.DataFrame(
    {"text": [f"message {number} about {'billing' if number % 2 else 'a bug'}" for number in range(40)]}
)
ASKED = Extractor(["billing", "bug"], "{text}")
SCRIPT = """
import polars as pl
from extract import Extractor, run

rows = pl.DataFrame({"text": [f"message {n} about {'billing' if n % 2 else 'a bug'}" for n in range(40)]})
result = run(rows, Extractor(["billing", "bug"], "{text}"), offline=True)
print(result.frame["value"].to_list().count("billing"), result.frame.height)
"""


@pytest.fixture(scope="module")
def expected() -> pl.DataFrame:
    return run(ROWS, ASKED, offline=True).frame


def test_in_a_thread(expected: pl.DataFrame) -> None:
    found: list[pl.DataFrame] = []
    thread = threading.Thread(target=lambda: found.append(run(ROWS, ASKED, offline=True).frame))
    thread.start()
    thread.join(60)
    assert_frame_equal(found[0], expected)


async def test_under_a_running_loop(expected: pl.DataFrame) -> None:
    loop_class = type(asyncio.get_running_loop())
    assert_frame_equal(run(ROWS, ASKED, offline=True).frame, expected)
    assert_frame_equal((await run_async(ROWS, ASKED, offline=True)).frame, expected)
    assert type(asyncio.get_running_loop()) is loop_class


@pytest.mark.parametrize("command", [["-c"], ["-m", "IPython", "--colors=NoColor", "--quick", "-c"]])
def test_in_a_script_and_in_ipython(command: list[str], expected: pl.DataFrame, tmp_path: Path) -> None:
    if "IPython" in command:
        pytest.importorskip("IPython")
    done = subprocess.run(
        [sys.executable, *command, SCRIPT], capture_output=True, text=True, timeout=90, check=True, cwd=tmp_path
    )
    billing = expected["value"].cast(pl.String).to_list().count("billing")
    assert done.stdout.split()[-2:] == [str(billing), "40"]


def test_in_a_real_kernel_where_the_stop_button_gives_what_there_is(expected: pl.DataFrame, tmp_path: Path) -> None:
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    stopped = """
import os, signal, threading
from extract import Client, Emulator, Limits

emulator = Emulator(latency=0.05)
threading.Timer(0.7, os.kill, (os.getpid(), signal.SIGINT)).start()  # what the stop button sends
many = pl.DataFrame({"text": [f"message {n}" for n in range(5_000)]})
partial = run(many, Extractor(["billing", "bug"], "{text}"), client=Client("key", transport=emulator.transport))
print(partial.interrupted, 0 < partial.totals.valid < 5_000, partial.frame.height)
"""
    after = "print(run(rows, Extractor(['billing', 'bug'], '{text}'), offline=True).frame.height)"
    cells = [nbformat.v4.new_code_cell(source) for source in (SCRIPT, stopped, after)]
    notebook = nbformat.v4.new_notebook(cells=cells)
    nbclient.NotebookClient(
        notebook, timeout=90, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    said = ["".join(output.get("text", "") for output in cell.outputs).split() for cell in notebook.cells]
    billing = expected["value"].cast(pl.String).to_list().count("billing")
    assert said == [[str(billing), "40"], ["True", "True", "5000"], ["40"]]
