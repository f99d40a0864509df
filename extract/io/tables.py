"""Tables in files: one reader for each ending."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import polars as pl
from polars.selectors import by_name

from extract.errors import ORDERS, ConfigError
from extract.io.arrow import read_parquet, uuids_as_text, uuids_of_parquet
from extract.io.csv_tables import open_csv, plain_dialect
from extract.io.excel import read_sheet
from extract.io.globs import ending_of, matches
from extract.io.json_lines import scan_as_text, scan_json_lines
from extract.io.read_options import ReadOptions
from extract.io.source import Source, checked_batches

__all__ = ["is_table", "open_table"]

_DECIMAL_DIGITS: Final = 38


@dataclass(frozen=True, slots=True)
class _Table:
    """A table that was opened: its rows, what to say of it once, and what must live as long as the rows are read.

    `instead` reads it by other means where Polars fails at one of its columns, if anything can.
    """

    rows: pl.LazyFrame
    notes: tuple[str, ...] = ()
    source: object = None
    instead: Callable[[], _Table | None] = lambda: None


def _read_csv(address: str, how: ReadOptions) -> _Table:
    table = open_csv(address, how)
    return _Table(table.scan(), table.notes, table)


def _read_json_lines(address: str, _: ReadOptions) -> _Table:
    rows, source = scan_json_lines(address)
    return _Table(rows, source=source, instead=partial(_with_texts, address))


def _with_texts(address: str) -> _Table | None:
    return None if "://" in address or (read := scan_as_text(address)) is None else _Table(*read)


def _read_parquet(address: str, _: ReadOptions) -> _Table:
    if "://" in address:
        return _Table(pl.scan_parquet(address))
    paths = [address] if Path(address).exists() else list(map(str, matches(address)))
    try:
        table = pl.scan_parquet(address, glob=not Path(address).exists())
        uuids = [name for name in uuids_of_parquet(paths[0]) if table.collect_schema().get(name) == pl.Binary]
        plain = [pl.col(name).ext.storage() for name, dtype in table.collect_schema().items() if _is_extension(dtype)]
        rows = table.with_columns(*map(uuids_as_text, uuids), *plain) if uuids or plain else table
        if any(map(_is_too_precise, table.collect_schema().values())):
            return _without_broken(rows, paths)
        return _Table(rows, instead=partial(_without_broken, rows, paths))
    except ORDERS:
        raise
    except BaseException:  # a panic is no Exception
        if (read := read_parquet(paths)) is None:
            raise
        return _Table(read[0].lazy(), read[1])


def _read_excel(address: str, how: ReadOptions) -> _Table:
    return _Table(*read_sheet(address, how.sheet))


_READERS: dict[str, Callable[[str, ReadOptions], _Table]] = {
    ".csv": _read_csv,
    ".tsv": _read_csv,
    ".jsonl": _read_json_lines,
    ".ndjson": _read_json_lines,
    ".parquet": _read_parquet,
    ".xlsx": _read_excel,
}


def is_table(address: str) -> bool:
    """True for a file that is read as a table, by its ending."""
    return ending_of(address) in _READERS


def open_table(address: str, how: ReadOptions) -> Source:
    """Return the source for a table in a file, in all files of a glob, or at an address. Raises whatever readers do."""
    reader = _READERS.get(ending_of(address))
    if reader is None:
        raise ConfigError(f"{address!r} ends in none of {', '.join(_READERS)}")
    ending = ending_of(address)
    how.check_for(f"a file that ends in {ending}", csv=plain_dialect(address) is not None, excel=ending == ".xlsx")
    table = reader(address, how)
    try:
        height = _height(table.rows)
    except ORDERS:
        raise
    except BaseException:  # a panic is no Exception
        if (other := table.instead()) is None:
            raise
        table, height = other, _height(other.rows)
    if height == 0:
        raise ConfigError(f"{address} holds no rows")

    def batches(rows: int) -> Iterator[pl.DataFrame]:
        seen = 0
        for frame in checked_batches(table.rows, rows, address):  # `table` lives until then, and its files with it
            yield frame
            seen += frame.height
        if seen < height:  # a panic in a thread of Polars ends the rows without a word
            raise ConfigError(
                f"{address} ends after {seen:,} of its {height:,} rows: it was changed, or cannot be read"
            )

    return Source(table.rows.collect_schema(), height, batches, notes=table.notes)


def _without_broken(table: pl.LazyFrame, paths: list[str]) -> _Table:
    """Return Parquet files with a column that Polars does not read: by pyarrow, else without the column."""
    if (read := read_parquet(paths)) is not None:
        return _Table(read[0].lazy(), read[1])
    broken = [name for name in table.collect_schema() if not _is_readable(table.select(by_name(name)))]
    notes = tuple(f"the column {name!r} is left out: it cannot be read" for name in broken)
    return _Table(table.drop(by_name(*broken)), notes)


def _is_extension(dtype: pl.DataType) -> bool:
    return isinstance(dtype, pl.BaseExtension)


def _is_too_precise(dtype: Any) -> bool:
    """True for decimals of more digits than Polars computes with, wherever they are within a type."""
    if isinstance(dtype, pl.List | pl.Array):
        return _is_too_precise(dtype.inner)
    if isinstance(dtype, pl.Struct):
        return any(_is_too_precise(field.dtype) for field in dtype.fields)
    return isinstance(dtype, pl.Decimal) and dtype.precision > _DECIMAL_DIGITS


def _is_readable(column: pl.LazyFrame) -> bool:
    if any(map(_is_too_precise, column.collect_schema().values())):
        return False
    try:
        _height(column)
    except ORDERS:
        raise
    except BaseException:  # a panic is no Exception
        return False
    return True


def _height(table: pl.LazyFrame) -> int:
    # Counting rows alone would parse no column. With the nulls counted too, a broken row fails here, unpaid.
    checked = table.select(pl.len().alias("\0rows"), pl.all().null_count()).collect(engine="streaming")
    return int(checked.item(0, 0))
