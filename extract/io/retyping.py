"""Restores the types of a schema in columns read from csv and jsonl, which store no types."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

import polars as pl

from extract.schema.plain_text import json_value, typed_text

__all__ = ["retyped", "typed_cell"]

_DECIMAL_DIGITS: Final = 38


def retyped(frame: pl.DataFrame, dtypes: Mapping[str, Any]) -> pl.DataFrame:
    """Return a frame with columns of the given dtypes: lists and structs from JSON text, durations, bytes and so on.

    A column with a cell that does not fit stays as it is, so that an evaluation can judge each of its cells.
    """
    return frame.with_columns(_column(frame[name], dtype) for name, dtype in dtypes.items() if name in frame.columns)


def _column(column: pl.Series, dtype: Any) -> pl.Series:
    if column.dtype == dtype:
        return column
    try:
        return pl.Series(column.name, [typed_cell(cell, dtype) for cell in column.to_list()], dtype=dtype, strict=True)
    except (ValueError, TypeError, OverflowError, pl.exceptions.PolarsError):
        return column


def typed_cell(value: Any, dtype: Any) -> Any:
    """Return a JSON value, or a text, in the form that Polars accepts for a dtype. ValueError where it does not fit."""
    if value is None:
        return None
    if dtype.is_nested():
        return _nested(json_value(value) if isinstance(value, str) else value, dtype)
    if not isinstance(value, str):
        return _same_kind(value, dtype)
    if dtype == pl.String or isinstance(dtype, pl.Enum | pl.Categorical):
        return value
    if dtype.is_integer() or dtype.is_float():
        return dtype.to_python()(value)
    typed = typed_text(value, dtype.to_python())
    if typed is None:
        raise ValueError(f"no {dtype}")
    return _fitting(typed, dtype) if isinstance(typed, Decimal) else typed


def _fitting(number: Decimal, dtype: Any) -> Decimal:
    """Return a number that fits a decimal column. ValueError for others: Polars panics where one is far too long."""
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int) or -exponent > dtype.scale or number.adjusted() + dtype.scale >= _DECIMAL_DIGITS:
        raise ValueError(f"no {dtype}")
    return number


def _nested(value: Any, dtype: Any) -> Any:
    if isinstance(dtype, pl.Struct) and isinstance(value, dict):
        inner = {field.name: field.dtype for field in dtype.fields}
        if value.keys() <= inner.keys():
            return {name: typed_cell(value.get(name), kind) for name, kind in inner.items()}
    if isinstance(dtype, pl.List | pl.Array) and isinstance(value, list):
        return [typed_cell(item, dtype.inner) for item in value]
    raise ValueError(f"no {dtype}")


def _same_kind(value: Any, dtype: Any) -> Any:
    """Return what JSON holds as a number or a truth value; it is no text."""
    is_truth = dtype == pl.Boolean
    if isinstance(dtype, pl.Decimal) and isinstance(value, int | float) and not isinstance(value, bool):
        return _fitting(Decimal(repr(value)), dtype)
    if isinstance(value, bool) == is_truth and (is_truth or dtype.is_numeric()):
        return value
    raise ValueError(f"no {dtype}")
