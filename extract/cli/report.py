"""`extract report`: one HTML file about an output."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from extract.cli.terminal import plain
from extract.io.read_options import ReadKeywords
from extract.report import write_report

__all__ = ["report_command"]


def report_command(output: Path, path: Path, *, reading: ReadKeywords, **options: Any) -> None:
    """Write the report with the options of `write_report`, and print its path on stderr."""
    written = write_report(output, path, **options, **reading)
    sys.stderr.write(f"wrote {plain(written)}\n")
