"""A dict as a column: a list of structs `key` and `value`, whose order says nothing."""

from __future__ import annotations

from typing import Any

import polars as pl

__all__ = ["as_dict", "as_pairs", "is_mapping"]

_NAMES = {"key", "value"}


def is_mapping(dtype: Any) -> bool:
    """Return whether a column of this dtype holds dicts."""
    inner = dtype.inner if isinstance(dtype, pl.List) else None
    return isinstance(inner, pl.Struct) and {field.name for field in inner.fields} == _NAMES


def as_dict(value: Any) -> dict[str, Any] | None:
    """Return the dict that a list of pairs stands for; None for another list, and for keys that repeat."""
    pairs = [(item["key"], item["value"]) for item in value if isinstance(item, dict) and item.keys() == _NAMES]
    if len(pairs) < len(value) or not all(isinstance(key, str) for key, _ in pairs):
        return None
    found = dict(pairs)
    return found if len(found) == len(pairs) else None


def as_pairs(value: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a dict as its column holds it, without keys that are null: a struct has those of other rows, too."""
    return [{"key": key, "value": item} for key, item in value.items() if item is not None]
