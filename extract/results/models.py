"""The validated objects of a run, made anew from its rows: streamed, so that a file may be larger than memory."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import polars as pl

from extract.schema import OutputSchema

__all__ = ["models_of"]

_BATCH = 2_000


def models_of(rows: pl.LazyFrame, schema: OutputSchema, prefix: str, rejected: Collection[int]) -> Iterator[Any]:
    """Yield the object of each row, in order; None for the rows whose places are in `rejected`."""
    place = 0
    columns = [pl.col(prefix + name).alias(name) for name in schema.dtypes]
    for batch in rows.select(columns).collect_batches(chunk_size=_BATCH, maintain_order=True):
        for cells in batch.iter_rows(named=True):
            yield None if place in rejected else schema.restored(cells)
            place += 1
