"""One row of a table at a time, by its position: no table is ever in memory."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import polars as pl

from extract.errors import ConfigError
from extract.io.source import records_of
from extract.io.unreadable import UNREADABLE
from extract.review.source_table import SourceTable
from extract.review.tasks import RowId

__all__ = ["RowIndex", "Rows", "open_rows"]


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a table in Parquet files; `starts` are the positions of their first rows, `height` is that of all."""

    parts: tuple[pl.LazyFrame, ...]
    starts: tuple[int, ...]
    height: int

    def at(self, position: int) -> dict[str, Any] | None:
        """Return the cells of the row at a position, from 0; None where there is none."""
        found = self.slice(position).collect() if 0 <= position < self.height else None
        return None if found is None or found.is_empty() else records_of(found)[0]

    def slice(self, position: int) -> pl.LazyFrame:
        """Return one row as a lazy frame."""
        part = bisect_right(self.starts, position) - 1
        return self.parts[part].slice(position - self.starts[part], 1)

    def column(self, name: str) -> Iterator[pl.Series]:
        """Yield a column part by part, in order."""
        for part in self.parts:
            yield part.select(pl.col(name)).collect().to_series()


def open_rows(table: SourceTable, folder: Path) -> Rows:
    """Return the rows of a table. What is no Parquet file is written into `folder` as some, of mode 0600."""
    path = Path(table.address)
    if path.suffix.lower() == ".parquet" and path.is_file():
        parts = [_scanned(path)]
    else:
        parts = [_scanned(_written(frame, folder / f"{i}.parquet")) for i, frame in enumerate(table.batches())]
    heights = [int(part.select(pl.len()).collect().item()) for part in parts]
    return Rows(tuple(parts), tuple(accumulate(heights[:-1], initial=0)), sum(heights))


def _scanned(path: Path) -> pl.LazyFrame:
    try:
        rows = pl.scan_parquet(path, glob=False)
        rows.collect_schema()
    except UNREADABLE as error:
        raise ConfigError(f"{path} cannot be read as Parquet: {str(error).splitlines()[0][:200]}") from None
    return rows


def _written(frame: pl.DataFrame, path: Path) -> Path:
    with open(path, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        frame.write_parquet(file)
    return path


class RowIndex:
    """The positions of keys, found by their hashes: twelve bytes a row."""

    def __init__(self, rows: Rows, on: str) -> None:
        self._rows = rows
        self._on = on
        hashes = pl.concat([_texts(column).hash() for column in rows.column(on)]).alias("hash")
        self._sorted = hashes.to_frame().with_row_index("row").sort("hash")

    def position(self, key: RowId) -> int | None:
        """Return the position of a key; None where no row, or more than one, has it."""
        text = str(key).lower() if isinstance(key, bool) else str(key)
        wanted = pl.Series([text], dtype=pl.String).hash()[0]
        hashes = self._sorted["hash"]
        low, high = (int(hashes.search_sorted(wanted, side=side)) for side in ("left", "right"))
        rows = [int(row) for row in self._sorted["row"][low:high] if self._key(int(row)) == text]
        return rows[0] if len(rows) == 1 else None

    def _key(self, row: int) -> str | None:
        key: str | None = _texts(self._rows.slice(row).select(pl.col(self._on)).collect().to_series()).item()
        return key


def _texts(column: pl.Series) -> pl.Series:
    return column.cast(pl.String)
