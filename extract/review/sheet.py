"""A drawn sample as a sheet to label in a spreadsheet program: filled in, it is gold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl
from polars.selectors import by_name

from extract.errors import ConfigError
from extract.extractor.gold import SPLIT
from extract.io.sinks.formats import SINKS, one_of
from extract.review.decision_file import ENDING
from extract.review.drawn import Drawn
from extract.review.gold import write_table

__all__ = ["write_sheet"]


def write_sheet(drawn: Drawn, path: Path, fields: Sequence[str], *, overwrite: bool = False) -> Path:
    """Write the rows with an empty column for each field; return the path.

    The first column names the row, `_split` and `_row_hash` say what its gold may be used for; leave these three as
    they are. ConfigError for a file that is there, unless `overwrite`, and for an ending that nothing writes.
    """
    if path.exists() and not overwrite:
        raise ConfigError(f"{path} exists, maybe with labels in it; choose another name or add --overwrite")
    if path.suffix.lower() not in SINKS:
        raise ConfigError(f"{path}: rows to judge go to a {ENDING} file for the page, or as a sheet to {one_of()}")
    return write_table(_sheet(drawn, fields), path, overwrite=overwrite)


def _sheet(drawn: Drawn, fields: Sequence[str]) -> pl.DataFrame:
    table = drawn.table
    key = table.on or "row"
    inputs = [name for name in table.inputs if name not in (key, *fields)]
    named = drawn.chosen["row_id"].alias(key)
    columns = [named, *drawn.frame.select(by_name(*inputs)).get_columns()]
    empty = [pl.Series(name, [None] * drawn.chosen.height, dtype=pl.String) for name in fields]
    about = [drawn.chosen["split"].alias(SPLIT), drawn.chosen["row_hash"].alias("_row_hash")]
    return pl.DataFrame([*columns, *empty, *about])
