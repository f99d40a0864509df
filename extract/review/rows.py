"""One row of a table at a time, by its position: no table is ever in memory."""

from __future__ import annotations

import os
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import polars as pl
from polars.selectors import by_name

from extract.errors import ConfigError
from extract.io.source import records_of
from extract.io.unreadable import UNREADABLE
from extract.review.tasks import RowId

__all__ = ["RowIndex", "Rows", "parquet_rows", "written_rows"]


_AT_ONCE = 65_536


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a table in Parquet files; `starts` are the positions of their first rows, `height` is that of all."""

    parts: tuple[pl.LazyFrame, ...]
    starts: tuple[int, ...]
    height: int

    def at(self, position: int) -> dict[str, Any] | None:
        """Return the cells of the row at a position, from 0; None where there is none."""
        matches = self.slice(position).collect() if 0 <= position < self.height else None
        return None if matches is None or matches.is_empty() else records_of(matches)[0]

    def slice(self, position: int) -> pl.LazyFrame:
        """Return one row as a lazy frame."""
        part = bisect_right(self.starts, position) - 1
        return self.parts[part].slice(position - self.starts[part], 1)

    def has(self, name: str) -> bool:
        """Return whether there is a column of this name."""
        return bool(self.parts) and name in self.parts[0].collect_schema()

    def column(self, name: str) -> Iterator[pl.Series]:
        """Yield a column part by part, in order."""
        for part in self.parts:
            for frame in part.select(by_name(name)).collect_batches(chunk_size=_AT_ONCE, maintain_order=True):
                yield frame.to_series()


def parquet_rows(address: str) -> Rows | None:
    """Return the rows of a Parquet file, None for any other table. ConfigError for one that cannot be read."""
    path = Path(address)
    return _of_files([path]) if path.suffix.lower() == ".parquet" and path.is_file() else None


def written_rows(batches: Iterable[pl.DataFrame], folder: Path) -> Rows:
    """Return the rows of a table that is no Parquet file: they are written into `folder` as some, of mode 0600."""
    return _of_files([_written(frame, folder / f"{number}.parquet") for number, frame in enumerate(batches)])


def _of_files(paths: Iterable[Path]) -> Rows:
    parts = [_scanned(path) for path in paths]
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
    """The positions of keys, matches by their hashes: eight bytes a row; rows with one hash differ in their keys."""

    def __init__(self, rows: Rows, on: str) -> None:
        self._rows = rows
        self._on = on
        self._hashes, self._places = _sorted_hashes(rows, on)

    def row(self, key: RowId) -> dict[str, Any] | None:
        """Return the cells of the row with a key; None where no row has it, or more than one."""
        wanted = str(key).lower() if isinstance(key, bool) else str(key)
        hashed = _hashes(pl.Series([wanted]))[0]
        low, high = bisect_left(self._hashes, hashed), bisect_right(self._hashes, hashed)
        rows = [self._rows.slice(place).collect() for place in self._places[low:high]]
        matches = [row for row in rows if row[self._on].cast(pl.String)[0] == wanted]
        return records_of(matches[0])[0] if len(matches) == 1 else None


def _sorted_hashes(rows: Rows, on: str) -> tuple[array[int], array[int]]:
    hashes = pl.concat([_hashes(column) for column in rows.column(on)])
    order = hashes.arg_sort()
    return _packed(hashes.gather(order)), _packed(order)


def _hashes(keys: pl.Series) -> pl.Series:
    return (keys.cast(pl.String).hash() // 2**32).cast(pl.UInt32)


def _packed(numbers: pl.Series) -> array[int]:
    packed = array("I")
    for first in range(0, len(numbers), _AT_ONCE):
        packed.extend(numbers.slice(first, _AT_ONCE).to_list())
    return packed
