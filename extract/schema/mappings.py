"""Dicts as columns: a list of structs `key` and `value`, in which the order has no meaning."""

from __future__ import annotations

from typing import Any

import polars as pl

__all__ = ["as_dict", "as_pairs", "is_mapping"]

_NAMES = {"key", "value"}


def is_mapping(dtype: Any) -> bool:
    """True where a column of this dtype holds dicts."""
    inner = dtype.inner if isinstance(dtype, pl.List) else None
    return isinstance(inner, pl.Struct) and {field.name for field in inner.fields} == _NAMES


def as_dict(value: Any) -> dict[str, Any] | None:
    """Return the dict of a list of pairs; None for any other list, and where a key repeats."""
    pairs = [(item["key"], item["value"]) for item in value if isinstance(item, dict) and item.keys() == _NAMES]
    if len(pairs) < len(value) or not all(isinstance(key, str) for key, _ in pairs):
        return None
    mapping = dict(pairs)
    return mapping if len(mapping) == len(pairs) else None


def as_pairs(value: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a dict as its column holds it, without null members: a struct also has the members of other rows."""
    return [{"key": key, "value": item} for key, item in value.items() if item is not None]
