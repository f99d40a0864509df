"""Why a row has no answer, from the file of rejected rows beside an output, and how an answer came about."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import polars as pl

from extract.io.sinks.open import errors_path
from extract.io.unreadable import UNREADABLE
from extract.json_types import JsonObject
from extract.review.tasks import Task

__all__ = ["Rejections", "origin_of"]

_SHOWN: Final = ("code", "message", "path", "answer")
_ORIGIN: Final = ("code", "model", "attempts", "repairs", "cached", "mended", "windows")


class Rejections:
    """The rejected rows beside a table; `row_id` is the column that they are named by, None for their position."""

    def __init__(self, table: Path, row_id: Any) -> None:
        self._row_id = row_id if isinstance(row_id, str) else None
        self._errors: pl.LazyFrame | None = None
        with suppress(*UNREADABLE, ValueError):
            errors = pl.scan_parquet(errors_path(table), glob=False)
            if {"row_id", *_SHOWN} <= set(errors.collect_schema()):
                self._errors = errors

    def of(self, task: Task, cells: Mapping[str, Any]) -> JsonObject | None:
        """Return why a row was rejected, None where nothing says so."""
        key = task.row_id if self._row_id is None else cells.get(self._row_id)
        if self._errors is None or key is None:
            return None
        try:
            matches = self._errors.filter(pl.col("row_id").cast(pl.String) == str(key)).head(1).collect().to_dicts()
        except UNREADABLE:
            return None
        return {name: matches[0][name] for name in _SHOWN} if matches else None


def origin_of(provenance: Any) -> JsonObject | None:
    """Return what a page shows of how an answer came about, None where the output does not say it."""
    if not isinstance(provenance, Mapping):
        return None
    return {name: provenance[name] for name in _ORIGIN if provenance.get(name) not in (None, [], False)}
