"""Writes a report: one file, put in place when it is complete."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Unpack

import polars as pl

from extract.documents.roots import Root
from extract.errors import ConfigError, OutputError
from extract.io.forks import check_fork
from extract.io.read_options import ReadKeywords
from extract.io.sources import shared_reading
from extract.report.facts import gather
from extract.report.material import open_material
from extract.report.page import render
from extract.results.run import Run

__all__ = ["put_page", "write_report"]


def write_report(
    output: Run | str | os.PathLike[str],
    path: str | os.PathLike[str],
    *,
    gold: Any = None,
    on: str | None = None,
    rows: int = 2_000,
    cache: str | os.PathLike[str] | None = None,
    source: Any = None,
    root: Root = None,
    **reading: Unpack[ReadKeywords],
) -> Path:
    """Write a report on a Run or on its Parquet output: one HTML file that loads nothing else. Return its path.

    `gold` holds gold answers, a file or anything that `run` reads, joined where the column `on` is equal; `rows` is the
    maximum of records shown, `cache` the run's cache, by default the one beside the output, and `source` its input, for
    the texts of rejected rows that were left out of the output. Memory and the file's size are bounded by `rows`,
    whatever the output's size. From then on a Run links to its report.

    Documents that the records name are read again and shown, with the places of values marked, as far as they have not
    changed since the run. They must lie in the current folder, that of `source`, or a folder of `root`; those of a Run
    where they might in the run. `csv_separator`, `csv_quote`, `csv_encoding` and `sheet` say how the files `gold` and
    `source` are written, as in `run`.
    Raises ConfigError for files that do not belong together, and without the extra `report`; OutputError where the file
    cannot be written.

        >>> result = run(["It works", "It broke"], Extractor(["good", "bad"], "{text}"), offline=True)
        >>> write_report(result, "report.html").name
        'report.html'
    """
    check_fork()
    target = Path(path)
    if (gold is None) != (on is None):
        raise ConfigError("gold answers need the column that names a record in both files: --gold FILE --on COLUMN")
    if rows < 1:
        raise ConfigError(f"rows must be at least 1, not {rows}")
    if target.suffix.lower() not in (".html", ".htm"):
        raise ConfigError(f"{target}: a report ends in .html")
    of_gold, of_source = shared_reading((gold, source), reading)
    material = open_material(output, cache=cache, source=source, root=root, **of_source)
    try:
        facts = gather(material, gold=gold, on=on, max_records=rows, **of_gold)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise ConfigError(f"{material.name} cannot be read: {str(error).strip().splitlines()[0][:200]}") from None
    written = put_page(render(facts), target)
    if isinstance(output, Run):
        output.report = written
    return written


def put_page(page: str, target: Path) -> Path:
    """Write a page under a temporary name, then give it its own. OutputError where that cannot be."""
    temporary = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        temporary.unlink(missing_ok=True)  # a link in its place is not followed
        with temporary.open("x", encoding="utf-8", errors="replace", newline="\n") as file:
            file.write(page)
        temporary.replace(target)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OutputError(f"{target} cannot be written: {error.strerror}") from None
    return target
