"""Decimals as text without the zeros that only their type adds: 12.5, where a column of nine places holds 12.500000000.

A field without declared places has nine (docs/schemas.md). Where `decimal_places` says how many, they are kept.
"""

from __future__ import annotations

from typing import Any

import polars as pl

from extract.schema.dtypes import DEFAULT_SCALE

__all__ = ["unpadded"]


def unpadded(frame: pl.DataFrame) -> pl.DataFrame:
    """Return a frame whose decimals of undeclared places are texts, wherever they are within a type."""
    if not any(map(_holds_padded, frame.dtypes)):
        return frame
    return pl.DataFrame([_unpadded(column) for column in frame.get_columns()])


def _unpadded(column: pl.Series) -> pl.Series:
    if not _holds_padded(column.dtype):
        return column
    # Under a name of its own: an expression would take a column's name such as `^a$` for a pattern.
    texts = column.alias("v").to_frame().select(_text(pl.col("v"), column.dtype))
    return texts.to_series().alias(column.name)


def _is_padded(dtype: Any) -> bool:
    return isinstance(dtype, pl.Decimal) and dtype.scale == DEFAULT_SCALE


def _holds_padded(dtype: Any) -> bool:
    if isinstance(dtype, pl.List | pl.Array):
        return _holds_padded(dtype.inner)
    if isinstance(dtype, pl.Struct):
        return any(_holds_padded(field.dtype) for field in dtype.fields)
    return _is_padded(dtype)


def _text(value: pl.Expr, dtype: Any) -> pl.Expr:
    """Return an expression for a value of `dtype` in which decimals are texts."""
    if _is_padded(dtype):
        return value.cast(pl.String).str.strip_chars_end("0").str.strip_chars_end(".")
    if not _holds_padded(dtype):
        return value
    if isinstance(dtype, pl.List):
        return value.list.eval(_text(pl.element(), dtype.inner))
    if isinstance(dtype, pl.Array):
        return value.arr.to_list().list.eval(_text(pl.element(), dtype.inner))
    members = [_text(value.struct.field(field.name), field.dtype).alias(field.name) for field in dtype.fields]
    return pl.when(value.is_not_null()).then(pl.struct(members))
