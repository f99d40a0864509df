"""`extract report`: one HTML file about an output."""

from __future__ import annotations

import sys
from pathlib import Path

from extract.cli.terminal import plain
from extract.report import write_report

__all__ = ["report_command"]


def report_command(
    output: Path, path: Path, *, gold: str | None, on: str | None, rows: int, cache: Path | None, source: str | None
) -> None:
    """Write the report, and print its path on stderr."""
    written = write_report(output, path, gold=gold, on=on, rows=rows, cache=cache, source=source)
    sys.stderr.write(f"wrote {plain(written)}\n")
