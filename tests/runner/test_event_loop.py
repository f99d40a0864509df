from __future__ import annotations

import asyncio
import subprocess
import sys
from importlib.util import find_spec

import pytest

from extract import Extractor, run

RUN = """
import asyncio, sys
from extract import Extractor, run
loops = set()
result = run(["a bug"], Extractor(["bug", "praise"], "{text}"), offline=True,
             on_event=lambda _: loops.add(type(asyncio.get_running_loop()).__module__.partition(".")[0]))
print(*result.frame["value"], *loops)
"""


def test_a_run_uses_uvloop_where_it_is_installed() -> None:
    if find_spec("uvloop") is None:
        pytest.skip("uvloop is optional, and there is none for Windows")
    done = subprocess.run([sys.executable, "-c", RUN], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["bug", "uvloop"]


def test_a_run_needs_no_uvloop() -> None:
    hidden = 'import sys; sys.modules["uvloop"] = None\n' + RUN
    done = subprocess.run([sys.executable, "-c", hidden], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["bug", "asyncio"]


async def test_the_loop_that_a_caller_runs_in_is_left_as_it_is() -> None:
    loop = asyncio.get_running_loop()
    result = await asyncio.to_thread(run, ["a bug"], Extractor(["bug"], "{text}"), offline=True)
    assert result.totals.valid == 1
    assert asyncio.get_running_loop() is loop
