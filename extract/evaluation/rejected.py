"""Which rows of a run were rejected: they have no answer, even where the frame keeps them with nulls."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

import polars as pl

__all__ = ["PROVENANCE", "inner_names", "split_rejected", "without_rejected"]

PROVENANCE: Final = "_extract"


def inner_names(schema: pl.Schema, column: str) -> list[str]:
    """Return the names of the fields of a struct column; none where there is no such column."""
    dtype = schema.get(column)
    return [field.name for field in dtype.fields] if isinstance(dtype, pl.Struct) else []


def split_rejected(frame: pl.DataFrame, on: str, keys: Collection[Any] = ()) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the rows that have an answer, and those that were rejected: by provenance, or by their keys."""
    named = pl.Series(list(keys), strict=False).cast(frame.schema[on], strict=False)
    failed = pl.col(on).is_in(named.implode())
    if "code" in inner_names(frame.schema, PROVENANCE):
        provenance = pl.col(PROVENANCE)
        failed |= provenance.is_null() | provenance.struct.field("code").is_not_null()
    return frame.filter(~failed), frame.filter(failed)


def without_rejected(frame: pl.DataFrame, fields: Collection[str]) -> pl.DataFrame:
    """Return the rows of an output that keeps its rejected ones, without these: all fields of their answer are null.

    An output with provenance says itself which rows were rejected, and is returned unchanged.
    """
    if "code" in inner_names(frame.schema, PROVENANCE):
        return frame
    return frame.filter(~pl.all_horizontal(pl.col(name).is_null() for name in fields))
