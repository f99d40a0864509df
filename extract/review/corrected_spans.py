"""The places of a row's values in its source, once a person has changed some of the values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from extract.io.retyping import typed_cell
from extract.json_types import JsonObject
from extract.schema.keywords import member

__all__ = ["spans_after"]


def spans_after(
    before: Sequence[Mapping[str, Any]] | None, given: Iterable[JsonObject], keys: Iterable[str], dtype: Any
) -> list[dict[str, Any]]:
    """Return a row's cell of the column `_spans`, whose type is `dtype`.

    Places of members with these `keys` are dropped, since their values are others now; those that the person has marked
    take their place.
    """
    roots = tuple(member("$", key) for key in keys)
    others = [dict(span) for span in before or () if not _is_under(span["path"], roots)]
    return [*others, *_given([one for one in given if _is_under(str(one.get("path")), roots)], dtype.inner)]


def _is_under(path: str, roots: Iterable[str]) -> bool:
    return any(path == root or path.startswith((f"{root}.", f"{root}[")) for root in roots)


def _given(spans: Iterable[JsonObject], dtype: Any) -> Iterator[dict[str, Any]]:
    types = {one.name: one.dtype for one in dtype.fields}
    for span in spans:
        known = {name: span.get(name) for name in types} | {"status": _status(span.get("status"), types["status"])}
        if "boxes" in types:
            known["boxes"] = _boxes(span.get("boxes"), types["boxes"].inner)
        try:
            cell: dict[str, Any] = typed_cell(known, dtype)
            pl.Series([cell], dtype=dtype, strict=True)
        except (ValueError, TypeError, AttributeError, pl.exceptions.PolarsError):
            continue  # a place that the column cannot hold
        yield cell


def _status(status: Any, dtype: Any) -> str:
    """Return how the value matches its place: a person who has marked it says that it stands there."""
    return status if status in dtype.categories.to_list() else "exact"


def _boxes(boxes: Any, dtype: Any) -> list[Any] | None:
    """Return boxes by the names of their edges; a page gives each as a list of numbers."""
    names = [one.name for one in dtype.fields] if isinstance(dtype, pl.Struct) else []
    return None if boxes is None else [dict(zip(names, one, strict=True)) if names else one for one in boxes]
