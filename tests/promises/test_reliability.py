"""The reliability benchmark at a reduced size: what it promises is kept on every change."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


PARTS = [
    "matrix", "faults", "kills", "budget", "duplicates", "memory", "interrupts", "bodies", "outage", "damage",
    "processes",
]  # fmt: skip


@pytest.mark.parametrize("part", PARTS)
def test_no_bar_is_missed(part: str) -> None:
    command = [sys.executable, str(BENCHMARKS / "reliability.py"), part, "--quick"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 bars missed" in done.stdout
