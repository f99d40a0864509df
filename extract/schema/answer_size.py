"""The expected size of an answer, guessed from its columns: for estimates, and for budgets before the first answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

__all__ = ["answer_tokens"]

_BYTES_PER_TOKEN = 4


def answer_tokens(dtypes: Mapping[str, pl.DataType]) -> int:
    """Return the approximate tokens of an answer, assuming a phrase per free text and three items per list."""
    return -(-(2 + sum(_field_bytes(name, dtype) for name, dtype in dtypes.items())) // _BYTES_PER_TOKEN)


def _field_bytes(name: str, dtype: pl.DataType) -> int:
    return len(name) + 4 + _value_bytes(dtype)


def _value_bytes(dtype: pl.DataType) -> int:
    if isinstance(dtype, pl.Enum):
        labels = dtype.categories.to_list()
        return 2 + sum(map(len, labels)) // max(1, len(labels))
    if isinstance(dtype, pl.Struct):
        return 2 + sum(_field_bytes(item.name, _instance(item.dtype)) for item in dtype.fields)
    if isinstance(dtype, pl.List):
        return 2 + 3 * (_value_bytes(_instance(dtype.inner)) + 1)
    return 62 if isinstance(dtype, pl.String | pl.Binary) else 12


def _instance(dtype: Any) -> pl.DataType:
    """Return a dtype as an instance; Polars may give the class instead."""
    made: pl.DataType = dtype() if isinstance(dtype, type) else dtype
    return made
