"""Frames of cells that a csv or a spreadsheet can hold: no nesting, no bytes, no durations."""

from __future__ import annotations

import polars as pl

from extract.io.decimals import unpadded

__all__ = ["flat"]


def flat(frame: pl.DataFrame) -> pl.DataFrame:
    """Return a frame in which lists and structs are JSON text, bytes base64, and durations as in ISO 8601."""
    return pl.DataFrame({column.name: _flat_column(column) for column in unpadded(frame).get_columns()})


def _flat_column(column: pl.Series) -> pl.Series:
    if isinstance(column.dtype, pl.Binary):
        return column.bin.encode("base64")
    is_duration = isinstance(column.dtype, pl.Duration)
    if not is_duration and not column.dtype.is_nested():
        return column
    # Polars encodes structs only: the value stands between `{"v":` and `}`; a duration also has quotes.
    quotes = 1 if is_duration else 0
    text = pl.struct("v").struct.json_encode()
    value = text.str.slice(5 + quotes, text.str.len_chars() - 6 - 2 * quotes)
    encoded = column.alias("v").to_frame().select(pl.when(pl.col("v").is_null()).then(None).otherwise(value))
    return encoded.to_series().alias(column.name)
