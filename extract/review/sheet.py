"""A drawn sample as a sheet to label in a spreadsheet program: filled in, it is gold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl
from polars.selectors import by_name

from extract.errors import ConfigError, OutputError
from extract.evaluation.split import SPLIT
from extract.io.sinks.base import Destination
from extract.review.drawn import Drawn
from extract.review.gold import write_table

__all__ = ["write_sheet"]

_WORKBOOK = ".xlsx"


def write_sheet(drawn: Drawn, path: Path, fields: Sequence[str], *, overwrite: bool = False) -> Path:
    """Write the rows with an empty column for each field; return the path.

    The first column names the row, `_split` and `_row_hash` say what its gold may be used for; leave these three as
    they are. ConfigError for a file that is there, unless `overwrite`, and for an ending that nothing writes.
    """
    if path.exists() and not overwrite:
        raise ConfigError(f"{path} exists, maybe with labels in it; choose another name or add --overwrite")
    sheet = _sheet(drawn, fields)
    if path.suffix.lower() == _WORKBOOK:
        return _write_workbook(sheet, path)
    return write_table(sheet, path, overwrite=overwrite)


def _sheet(drawn: Drawn, fields: Sequence[str]) -> pl.DataFrame:
    table = drawn.table
    key = table.on or "row"
    inputs = [name for name in table.inputs if name not in (key, *fields)]
    named = drawn.chosen["row_id"].alias(key)
    columns = [named, *drawn.frame.select(by_name(*inputs)).get_columns()]
    empty = [pl.Series(name, [None] * drawn.chosen.height, dtype=pl.String) for name in fields]
    about = [drawn.chosen["split"].alias(SPLIT), drawn.chosen["row_hash"].alias("_row_hash")]
    return pl.DataFrame([*columns, *empty, *about])


def _write_workbook(sheet: pl.DataFrame, path: Path) -> Path:
    destination = Destination(path)
    destination.claim()
    flat = sheet.with_columns(pl.selectors.nested().map_batches(_as_text), pl.selectors.binary().bin.encode("base64"))
    try:
        # Texts stay texts: a cell that begins with = is no formula.
        flat.write_excel(destination.temporary, autofit=True, freeze_panes=(1, 0))
    except ModuleNotFoundError:
        destination.drop()
        raise ConfigError(f"{path}: a workbook needs xlsxwriter: pip install xlsxwriter, or write .csv") from None
    except Exception as error:
        destination.drop()
        raise OutputError(f"{path} cannot be written: {error}") from None
    return destination.finish(whole=True)


def _as_text(column: pl.Series) -> pl.Series:
    return pl.Series(column.name, [None if cell is None else str(cell) for cell in column.to_list()], dtype=pl.String)
