"""Texts that a spreadsheet runs as formulas when it opens a csv file: a quote before them makes them texts."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

__all__ = ["quoted", "quoted_names", "unquoted"]

# What Excel, LibreOffice and Google Sheets read as the beginning of a formula, the wide forms of East Asia too. Quotes
# that stand there already get one more, so that it can be taken away again.
_FORMULA = "^'*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]"


def quoted(frame: pl.DataFrame) -> pl.DataFrame:
    """Return a frame with a quote before each text, and each name of a column, that begins like a formula."""
    columns = [_quoted(column) for column in frame.get_columns()]
    names = quoted_names(frame.columns)
    return pl.DataFrame(dict(zip(names, columns, strict=True)))


def quoted_names(names: Iterable[str]) -> list[str]:
    """Return the names of columns as `quoted` writes them."""
    return _quoted(pl.Series(list(names), dtype=pl.String)).to_list()


def unquoted(column: pl.Series) -> pl.Series:
    """Return a column of texts without the quotes that `quoted` has put before them."""
    texts = pl.col("text")
    changed = pl.when(texts.str.contains(_QUOTED)).then(texts.str.slice(1)).otherwise(texts)
    return column.alias("text").to_frame().select(changed).to_series().alias(column.name)


_QUOTED = _FORMULA.replace("'*", "'+")


def _quoted(column: pl.Series) -> pl.Series:
    if not isinstance(column.dtype, pl.String | pl.Categorical | pl.Enum):
        return column
    texts = column.cast(pl.String).alias("text").to_frame()
    formula = pl.col("text").str.contains(_FORMULA)
    changed = pl.when(formula).then(pl.concat_str(pl.lit("'"), "text")).otherwise("text")
    return texts.select(changed).to_series().alias(column.name)
