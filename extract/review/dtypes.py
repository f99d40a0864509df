"""Polars types as text and back, so that a decision file can make typed gold without its pipeline."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import polars as pl

from extract.errors import ConfigError
from extract.json_types import json_text

__all__ = ["dtype_texts", "dtypes_of"]

_PLAIN: Final[Mapping[str, Any]] = {
    one.__name__: one
    for one in (
        *(pl.String, pl.Boolean, pl.Binary, pl.Date, pl.Time, pl.Null, pl.Float32, pl.Float64),
        *(pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.Int128, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64, pl.UInt128),
    )
}


def dtype_texts(dtypes: Mapping[str, Any]) -> dict[str, str]:
    """Return each column's type as text. ConfigError for a type that no answer has.

    >>> dtype_texts({"total": pl.Decimal(38, 2)})
    {'total': '["Decimal",38,2]'}
    """
    return {name: json_text(_described(dtype)) for name, dtype in dtypes.items()}


def dtypes_of(texts: Mapping[str, str]) -> dict[str, pl.DataType]:
    """Return the types that `dtype_texts` has written. ConfigError for any other text."""
    try:
        return {name: _dtype(json.loads(text)) for name, text in texts.items()}
    except (ValueError, TypeError, KeyError, IndexError, pl.exceptions.PolarsError):
        raise ConfigError("its types of the columns cannot be read") from None


def _described(dtype: Any) -> Any:
    dtype = dtype() if isinstance(dtype, type) else dtype
    match dtype:
        case pl.List():
            return ["List", _described(dtype.inner)]
        case pl.Array():
            return ["Array", _described(dtype.inner), dtype.size]
        case pl.Struct():
            return ["Struct", [[one.name, _described(one.dtype)] for one in dtype.fields]]
        case pl.Enum():
            return ["Enum", dtype.categories.to_list()]
        case pl.Decimal():
            return ["Decimal", dtype.precision, dtype.scale]
        case pl.Datetime():
            return ["Datetime", dtype.time_unit, dtype.time_zone]
        case pl.Duration():
            return ["Duration", dtype.time_unit]
    name = type(dtype).__name__
    if name in _PLAIN:
        return name
    if isinstance(dtype, pl.Categorical):
        return "String"
    raise ConfigError(f"a column of the type {dtype} cannot be reviewed")


def _dtype(text: Any) -> pl.DataType:
    if isinstance(text, str):
        plain: pl.DataType = _PLAIN[text]()
        return plain
    kind, *rest = text
    if kind in ("List", "Array"):
        return pl.List(_dtype(rest[0])) if kind == "List" else pl.Array(_dtype(rest[0]), rest[1])
    if kind == "Struct":
        return pl.Struct([pl.Field(name, _dtype(inner)) for name, inner in rest[0]])
    if kind == "Decimal" and not all(isinstance(one, int) for one in rest):
        raise ValueError("no number of digits")
    made: pl.DataType = {"Enum": pl.Enum, "Decimal": pl.Decimal, "Datetime": pl.Datetime, "Duration": pl.Duration}[
        kind
    ](*rest)
    return made
