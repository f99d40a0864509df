"""The quick form of benchmarks/acceptance.py: promises are kept in simulation, and its tables are whole."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "acceptance.py"


def test_promises_are_kept_in_a_short_simulation_where_the_plug_in_threshold_breaks_them() -> None:
    pytest.importorskip("numpy", reason="numpy is for development only")
    done = subprocess.run([sys.executable, BENCHMARK, "--quick"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    ties = next(line for line in done.stdout.splitlines() if line.startswith("| adversarial ties | 5%"))
    ours, _, plug_in, _ = (cell.strip() for cell in ties.strip("| ").split("|")[2:])
    assert ours.endswith("(0)")
    assert plug_in.endswith("(4)")
    assert "| one path, together |" in done.stdout
    assert "| two starts, 4 : 1 (kept) |" in done.stdout
