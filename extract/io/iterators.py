"""Sources of rows that come one by one: dicts, texts or frames, with the types of the first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import polars as pl

from extract.errors import ConfigError
from extract.io.arrow import frame_of_rows
from extract.io.source import Source, read_errors

__all__ = ["TEXTS", "are_texts", "from_iterator"]

TEXTS = pl.Schema({"text": pl.String()})
_SCHEMA_ROWS = 1_000  # rows of an iterator that are read to learn its types


def from_iterator(items: Iterator[Any]) -> Source:
    """Return a source of rows, texts or frames that come one by one. It can be read only once.

    The first rows are read here, as they decide the types; the rest is never in memory all at once.
    """
    with read_errors("the iterator"):
        first = list(islice(items, 1))
        of_frames = bool(first) and isinstance(first[0], pl.DataFrame)
        head = _frame_of(first if of_frames else [*first, *islice(items, _SCHEMA_ROWS - 1)], None)
    if head.width == 0:
        raise ConfigError("the iterator yields no rows")
    unread = [head]  # emptied by the first reader

    def batches(size: int) -> Iterator[pl.DataFrame]:
        if not unread:
            raise ConfigError("an iterator can be read only once; give a list, a frame or a file to run again")
        frame = unread.pop()
        done = 0
        while True:
            yield from frame.iter_slices(size)
            done += frame.height
            with read_errors(f"the iterator, from row {done} on,"):
                if not (chunk := list(islice(items, 1 if of_frames else size))):
                    return
                frame = _frame_of(chunk, head.schema)

    return Source(head.schema, None, batches, once=True)


def are_texts(items: Sequence[Any]) -> bool:
    """Return whether these are texts; None stands for a missing one."""
    return any(isinstance(item, str) for item in items) and all(isinstance(item, str | None) for item in items)


def _frame_of(items: list[Any], schema: pl.Schema | None) -> pl.DataFrame:
    """Return rows, texts or one frame as a frame of a schema, if one is given."""
    if items and all(isinstance(item, pl.DataFrame) for item in items):
        frame = items[0]
    elif are_texts(items) or (schema == TEXTS and not any(items)):
        frame = pl.DataFrame({"text": items}, schema=TEXTS)
    elif all(isinstance(item, Mapping) for item in items):
        frame = frame_of_rows(items)
    else:
        raise ConfigError("an iterator yields dicts, texts or Polars frames, and only one kind of these")
    return frame if schema is None else _fitted(frame, schema)


def _fitted(frame: pl.DataFrame, schema: pl.Schema) -> pl.DataFrame:
    """Return a frame with the types of the first rows. ConfigError where a column or a fraction would be lost."""
    if new := [name for name in frame.columns if name not in schema]:
        raise ConfigError(f"a later row of the iterator has {new!r}, which the first rows do not have")
    for column in frame.get_columns():
        if column.dtype.is_float() and schema[column.name].is_integer():
            raise ConfigError(
                f"a later row of the iterator has a fraction in {column.name!r}, where the first rows have integers"
            )
    missing = [pl.lit(None).alias(name) for name in schema if name not in frame.columns]
    return frame.with_columns(missing).select(schema.names()).cast(schema)
