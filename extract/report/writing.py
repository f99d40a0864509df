"""A report written: one file, put in place when it is whole."""

from __future__ import annotations

import os
from pathlib import Path

import polars as pl

from extract.errors import ConfigError, OutputError
from extract.report.facts import gather
from extract.report.material import Material, open_output
from extract.report.page import render

__all__ = ["report_on", "write_report"]


def write_report(
    output: str | os.PathLike[str],
    path: str | os.PathLike[str],
    *,
    gold: str | None = None,
    on: str | None = None,
    rows: int = 2_000,
    cache: str | os.PathLike[str] | None = None,
) -> Path:
    """Write a report on the Parquet output of a run: one HTML file that loads nothing. Return its path.

    `gold` is a file of right answers, joined where the column `on` is equal; `rows` is the most records that are shown,
    `cache` the run's cache, by default looked for beside the output. Memory and the file's size are bounded by `rows`,
    whatever the output's size.
    Raises ConfigError for files that do not fit, and without the extra `report`; OutputError where it cannot write.
    """
    return report_on(open_output(output, cache=cache), path, gold=gold, on=on, rows=rows)


def report_on(
    material: Material,
    path: str | os.PathLike[str],
    *,
    gold: str | None = None,
    on: str | None = None,
    rows: int = 2_000,
) -> Path:
    """Write a report on what is at hand: `write_report` for rows that need not be in a file."""
    target = Path(path)
    if (gold is None) != (on is None):
        raise ConfigError("gold answers need the column that names a record in both files: --gold FILE --on COLUMN")
    if rows < 1:
        raise ConfigError(f"rows must be at least 1, not {rows}")
    if target.suffix.lower() not in (".html", ".htm"):
        raise ConfigError(f"{target}: a report ends in .html")
    try:
        facts = gather(material, gold=gold, on=on, most=rows)
    except pl.exceptions.PolarsError as error:
        raise ConfigError(f"{material.name} cannot be read: {str(error).strip().splitlines()[0][:200]}") from None
    return _put(render(facts), target)


def _put(page: str, target: Path) -> Path:
    temporary = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        temporary.write_text(page, "utf-8", errors="replace", newline="\n")
        temporary.replace(target)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OutputError(f"{target} cannot be written: {error.strerror}") from None
    return target
