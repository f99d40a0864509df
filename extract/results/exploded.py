"""A column of lists as a table of its own: one row per member, with the other columns beside it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from itertools import count
from pathlib import Path
from typing import Any

import polars as pl
from polars.selectors import by_name

from extract.errors import ConfigError
from extract.io.sinks.open import errors_path, open_sink

__all__ = ["check_exploded", "exploded", "exploded_path", "write_exploded"]

_ADDED = ("_agreement", "_extract", "_spans")  # they are about a row as a whole
_OWN_ENDINGS = re.compile(r"new\d*|partial")  # of an output's own name: beside a larger one, and unfinished
_ROWS_AT_ONCE = 10_000


def exploded(rows: pl.LazyFrame, column: str) -> pl.LazyFrame:
    """Return one row per member of a list, beside the other columns of its row; a row without members has one of nulls.

    The members of structs become columns. One whose name is taken has that of the list before it (`items_total`), and a
    number after it where that is taken as well. `items_number` counts the members of a row from 1. The columns that are
    about a row as a whole (`_spans` and the like) are left out. ConfigError where the column holds no lists.
    """
    schema = rows.collect_schema()
    inner = _member_type(schema, column)
    others = [name for name in schema if name != column and name not in _ADDED]
    number = _free([f"{column}_number"], others)
    counted = pl.int_ranges(1, by_name(column).list.len() + 1, dtype=pl.Int64).alias(number)
    members = rows.select(by_name(others), counted, by_name(column)).explode(
        by_name(number, column), empty_as_null=True, keep_nulls=True
    )
    if not isinstance(inner, pl.Struct):
        return members
    names = _member_names(column, [field.name for field in inner.fields], {*others, number})
    return members.with_columns(by_name(column).struct.rename_fields(names)).unnest(by_name(column))


def _member_type(schema: pl.Schema, column: str) -> Any:
    """Return the type of a list's members. ConfigError where the column holds no lists."""
    dtype = schema.get(column)
    if isinstance(dtype, pl.List):
        return dtype.inner
    lists = [repr(name) for name, kind in schema.items() if isinstance(kind, pl.List) and name not in _ADDED]
    what = f"there is no column {column!r}" if dtype is None else f"the column {column!r} holds no lists"
    raise ConfigError(f"{what} to explode; {'those that do: ' + ', '.join(lists) if lists else 'no column does'}")


def _member_names(column: str, members: Iterable[str], used: set[str]) -> list[str]:
    names = []
    for member in members:
        names.append(_free([member, f"{column}_{member}"], used))
        used = {*used, names[-1]}
    return names


def _free(names: list[str], used: Collection[str]) -> str:
    """Return the first name that is not used: one of these, else the last with a number."""
    free = [name for name in names if name not in used]
    return free[0] if free else next(name for n in count(2) if (name := f"{names[-1]}_{n}") not in used)


def exploded_path(output: Path, column: str) -> Path:
    """Return the file beside an output that has one row per member of a column: `bills.items.xlsx`."""
    return output.with_name(f"{output.stem}.{column}{output.suffix}")


def check_exploded(output: Path, columns: Iterable[str], schema: pl.Schema, *, overwrite: bool) -> None:
    """Raise ConfigError where a column holds no lists, or its table would replace a file that no run wrote."""
    for column in columns:
        _member_type(schema, column)
        path = exploded_path(output, column)
        if path.parent != output.parent:
            raise ConfigError(f"the column {column!r} cannot be part of a file's name; leave it out of explode")
        open_sink(path)
        if path == errors_path(output) or _OWN_ENDINGS.fullmatch(column):
            raise ConfigError(f"{path} is where other rows of a run go; leave {column!r} out of explode (Run.explode)")
        if path.exists() and not output.exists() and not overwrite:
            raise ConfigError(f"{path} exists, and {output} does not; choose another name, or add --overwrite")


def write_exploded(rows: pl.LazyFrame, output: Path, column: str, *, csv_safe: bool) -> Path:
    """Write the table of a column's members beside an output, and return its path. OutputError where it cannot be."""
    sink = open_sink(exploded_path(output, column), csv_safe=csv_safe)
    try:
        sink.open(exploded(rows, column).collect_schema(), {})
        for frame in rows.collect_batches(chunk_size=_ROWS_AT_ONCE, maintain_order=True):
            sink.write(exploded(frame.lazy(), column).collect())
        return sink.close(whole=True, manifest={}) or exploded_path(output, column)
    except BaseException:
        sink.abandon()
        raise
