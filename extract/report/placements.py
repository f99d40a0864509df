"""How the values of the answers were found in their sources: counts by field and status, over all rows."""

from __future__ import annotations

from typing import NamedTuple

import polars as pl

from extract.documents.grounding.span import column_path
from extract.report.material import SPANS, Columns

__all__ = ["Placement", "placements"]

STATUSES = ("exact", "normalised", "fuzzy", "missing")
_MAX_FIELDS = 40


class Placement(NamedTuple):
    """How the values of one field were found; `path` has `[]` for the elements of lists."""

    path: str
    exact: int
    normalised: int
    fuzzy: int
    missing: int

    @property
    def total(self) -> int:
        return self.exact + self.normalised + self.fuzzy + self.missing


def placements(rows: pl.LazyFrame, columns: Columns) -> list[Placement]:
    """Return the fields with the most values first; [] where another program wrote the column of spans."""
    span = pl.col(SPANS).explode(empty_as_null=False, keep_nulls=False)
    path = span.struct.field("path").cast(pl.String).str.replace_all(r"\[\d+\]", "[]")
    try:
        pairs = rows.select(path.alias("path"), span.struct.field("status").cast(pl.String).alias("status"))
        counted = pairs.group_by("path", "status").len("count").collect(engine="streaming")
    except pl.exceptions.PolarsError:
        return []
    counts: dict[str, dict[str, int]] = {}
    for path_, status, count in counted.drop_nulls().iter_rows():
        counts.setdefault(column_path(path_, columns.keys, columns.names), {})[status] = count
    by_field = [Placement(name, *(of.get(status, 0) for status in STATUSES)) for name, of in counts.items()]
    return sorted(by_field, key=lambda one: (-one.total, one.path))[:_MAX_FIELDS]
