"""Reads csv and jsonl outputs back with the types that they were written with, which text does not store."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from glob import escape
from pathlib import Path
from typing import Any

import polars as pl

from extract.io.formulas import quoted_names, unquoted
from extract.io.retyping import retyped

__all__ = ["scan_text", "typed"]


def scan_text(path: Path, schema: Mapping[str, Any], *, csv_safe: bool = False) -> pl.LazyFrame:
    """Return the rows of a file of text lazily, with the columns and types of `schema`.

    Nothing is inferred: all types come from the schema. A cell that does not fit it (the file was edited since) raises
    Polars' InvalidOperationError or ComputeError when it is read. With `csv_safe` the quotes before formulas are taken
    away.
    """
    written = {name: _written(dtype, nested=path.suffix.lower() != ".csv") for name, dtype in schema.items()}
    if path.suffix.lower() == ".csv":
        names = dict(zip(quoted_names(written) if csv_safe else written, written, strict=True))
        # Polars does not undo the doubled quotes of a name: such a header is passed over, and the order of names holds.
        has_header = not any('"' in name for name in names)
        columns = {name: written[own] for name, own in names.items()}
        texts = pl.scan_csv(path, glob=False, schema=columns, has_header=has_header, skip_rows=0 if has_header else 1)
        if csv_safe:
            texts = texts.map_batches(partial(_unquoted, names=names), schema=pl.Schema(written), streamable=True)
    else:
        texts = pl.scan_ndjson(escape(str(path)), schema=written)
    return texts.map_batches(partial(typed, schema=schema), schema=pl.Schema(schema), streamable=True)


def _unquoted(frame: pl.DataFrame, names: Mapping[str, str]) -> pl.DataFrame:
    """Return the frame without the quotes before formulas, in cells and names."""
    columns = (column if column.dtype != pl.String else unquoted(column) for column in frame.get_columns())
    return pl.DataFrame({names[column.name]: column for column in columns})


def typed(frame: pl.DataFrame, schema: Mapping[str, Any]) -> pl.DataFrame:
    """Return a frame of texts, numbers and booleans with the types of `schema`."""
    labels = {name: dtype for name, dtype in schema.items() if isinstance(dtype, pl.Enum)}
    return _cast(retyped(_cast(frame, labels), schema), schema)


def _cast(frame: pl.DataFrame, dtypes: Mapping[str, Any]) -> pl.DataFrame:
    """Return the frame cast column by column: `DataFrame.cast` would take a name such as `^a$` as a pattern."""
    return pl.DataFrame(
        {column.name: column.cast(dtypes.get(column.name, column.dtype)) for column in frame.get_columns()}
    )


def _written(dtype: Any, *, nested: bool) -> Any:
    """Return the type that text can be read as without loss: numbers and booleans, and strings for all else."""
    if nested and isinstance(dtype, pl.List | pl.Array):
        return pl.List(_written(dtype.inner, nested=True))
    if nested and isinstance(dtype, pl.Struct):
        return pl.Struct({field.name: _written(field.dtype, nested=True) for field in dtype.fields})
    # The reader of jsonl has no narrow numbers; wide ones are cast down afterwards.
    if dtype.is_integer():
        if dtype == pl.UInt128:  # which no reader of text parses beyond those with a sign
            return pl.String()
        return dtype if dtype in (pl.UInt64, pl.Int128) else pl.Int64()
    is_plain = dtype in (pl.Float64, pl.Boolean)
    return dtype if is_plain else pl.Float64() if dtype.is_float() else pl.String()
