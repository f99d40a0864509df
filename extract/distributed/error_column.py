"""Rejected rows as data: the struct column `_error` beside the answer's columns, null where a row is valid."""

from __future__ import annotations

from collections import Counter

import polars as pl

from extract.results.columns import error_schema
from extract.results.progress import Totals

__all__ = ["ERROR", "add_counts", "errors_of", "with_errors"]

ERROR = "_error"
_FIELDS = [name for name in error_schema(pl.Int64()) if name != "row_id"]
ERROR_TYPE = pl.Struct({name: dtype for name, dtype in error_schema(pl.Int64()).items() if name != "row_id"})


def with_errors(frame: pl.DataFrame, errors: pl.DataFrame) -> pl.DataFrame:
    """Return a block with its errors beside the rows; `errors` names rows by their position in the block."""
    structs = errors.select(pl.col("row_id"), pl.struct(_FIELDS).cast(ERROR_TYPE).alias(ERROR))
    positions = pl.DataFrame({"row_id": range(frame.height)}, schema={"row_id": pl.Int64})
    column = positions.join(structs, on="row_id", how="left", maintain_order="left")[ERROR]
    return frame.with_columns(column)


def errors_of(frame: pl.DataFrame, row_ids: pl.Series) -> pl.DataFrame:
    """Return the rejected rows of a block as `Run.errors` has them; `row_ids` are the names of all its rows."""
    rejected = frame.select(row_ids.alias("row_id"), pl.col(ERROR)).filter(pl.col(ERROR).is_not_null())
    return rejected.unnest(ERROR)


def add_counts(totals: Totals, frame: pl.DataFrame) -> None:
    """Add the rows of a block to the totals of a run; it has the columns `_error` and `_extract`."""
    codes = Counter(frame[ERROR].struct.field("code").drop_nulls().to_list())
    entries = frame["_extract"]
    totals.rows += frame.height
    totals.valid += frame.height - codes.total()
    totals.not_run += codes["not_run"]
    totals.rejected += codes.total() - codes["not_run"]
    totals.errors.update(codes)
    totals.cached += int(entries.struct.field("cached").sum())
    totals.repairs += int(entries.struct.field("repairs").sum())
    totals.mended += int((entries.struct.field("mended").list.len() > 0).sum())
    totals.unnamed += int(entries.struct.field("unnamed").sum())
    kinds = entries.struct.field("ledger").list.eval(pl.element().struct.field("kind") == "retry").list.sum()
    totals.retries += int(kinds.sum() or 0)
