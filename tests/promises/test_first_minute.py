"""Somebody new has a table soon after `pip install`, in five lines, without a key."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

first_minute = pytest.importorskip("first_minute")


def test_the_readme_begins_with_five_lines_or_less() -> None:
    assert len([line for line in first_minute.first_block().splitlines() if line.strip()]) <= 5


@pytest.mark.notebook
def test_from_pip_install_to_the_first_table_in_a_notebook(tmp_path: Path) -> None:
    try:
        measured = first_minute.measure(tmp_path)
    except subprocess.CalledProcessError as error:
        if "No matching distribution" in error.stderr or "Connection" in error.stderr:
            pytest.skip(f"pip finds no packages here: {error.stderr.strip().splitlines()[-1]}")
        raise
    print(measured)  # noqa: T201 - the figures, for whoever asks with -s
    assert "┌" in measured.shown
    assert "billing" in measured.shown
    assert measured.first_table < 30  # the promise is about real time: a few seconds from the start of the kernel
