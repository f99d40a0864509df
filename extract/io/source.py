"""`Source`: the rows of an input, in batches, as often as they are wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl
from polars.selectors import temporal

from extract.errors import ORDERS, ConfigError, ExtractError, in_one_line

__all__ = ["Source", "checked_batches", "from_frame", "read_errors", "records_of", "take_rows", "whole_batches"]


@dataclass(frozen=True, slots=True)
class Source:
    """The rows of an input. `batches(n)` yields them from the first, in frames of at most `n` rows.

    `height` is the number of rows, None where it is unknown.

    `once`: the rows come from an iterator, which can be read only once and may have no end. `folder` is the folder of
    the files that the rows come from, None for rows that a program made: what paths in them name is its own choice.
    `notes` say what was found out or left out, to be said once; `hint` what a user may have meant who misses columns.
    """

    schema: pl.Schema
    height: int | None
    batches: Callable[[int], Iterator[pl.DataFrame]]
    once: bool = False
    folder: Path | None = None
    notes: tuple[str, ...] = ()
    hint: str = ""

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Add the hint to a ConfigError about the columns of this input."""
        try:
            yield
        except ConfigError as error:
            if not self.hint:
                raise
            raise ConfigError(f"{error}; {self.hint}") from None


def take_rows(source: Source, limit: int) -> Source:
    """Return the first `limit` rows of a source. ConfigError for less than one."""
    if limit < 1:
        raise ConfigError(f"limit must be at least 1, not {limit}")

    def batches(rows: int) -> Iterator[pl.DataFrame]:
        left = limit
        for frame in source.batches(rows) if left else ():
            yield frame.head(left)
            left -= frame.height
            if left <= 0:
                return

    return replace(source, height=None if source.height is None else min(limit, source.height), batches=batches)


def from_frame(frame: pl.DataFrame) -> Source:
    """Return the source for a frame."""
    return Source(frame.schema, frame.height, frame.iter_slices)


def records_of(frame: pl.DataFrame) -> list[dict[str, Any]]:
    """Return rows as dicts. A time that Python cannot hold, as one in the year 82269, is text as Polars writes it."""
    try:
        return frame.to_dicts()
    except (ValueError, OverflowError):
        return [record for row in frame.iter_slices(1) for record in _record_of(row)]


def _record_of(row: pl.DataFrame) -> list[dict[str, Any]]:
    try:
        return row.to_dicts()
    except (ValueError, OverflowError):
        return row.with_columns(temporal().dt.to_string("iso")).to_dicts()


_END = "\0end"


def whole_batches(table: pl.LazyFrame, rows: int, what: str) -> Iterator[pl.DataFrame]:
    """Yield the rows of a lazy frame as `checked_batches` does. ConfigError where they end before the frame does.

    A panic in a thread of Polars ends them without an error: so the frame is read with one more row behind its last.
    """
    schema = table.collect_schema()
    if not schema:
        return  # no columns, no rows: a marker would be one
    end = pl.DataFrame({name: [None] for name in schema}, schema=schema).lazy().with_columns(pl.lit(True).alias(_END))
    marked = pl.concat([table.with_columns(pl.lit(False).alias(_END)), end])
    is_whole = False
    for frame in checked_batches(marked, rows, what):
        is_whole = frame.height > 0 and frame[_END][-1]
        if (height := frame.height - is_whole) > 0:
            yield frame.drop(_END).head(height)
    if not is_whole:
        raise ConfigError(f"{what} ended before its last row: Polars has reported the reason above")


def checked_batches(table: pl.LazyFrame, rows: int, what: str) -> Iterator[pl.DataFrame]:
    """Yield the rows of a lazy frame; all that goes wrong is a ConfigError about `what`."""
    with read_errors(what):
        try:
            for frame in table.collect_batches(chunk_size=rows, maintain_order=True):
                yield from frame.iter_slices(rows)
        except KeyboardInterrupt:  # Polars raises it in any thread; here it would end the event loop
            raise ConfigError(f"{what}: interrupted while it was read; run again to go on") from None


@contextmanager
def read_errors(what: str, where: Callable[[str], str] = lambda _: "") -> Iterator[None]:
    """Turn any error of reading `what` into a ConfigError of one line; `where` may add the place in the file."""
    try:
        yield
    except ExtractError:
        raise
    except ModuleNotFoundError as error:
        raise ConfigError(f"{what}: {error.name} is needed; pip install 'extract-interactions[excel]'") from None
    except ORDERS:
        raise
    except BaseException as error:  # readers raise many classes, or panic; the user's functions in a lazy frame any
        reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        if not isinstance(error, Exception):  # its text alone may be a number
            reason = in_one_line(error)
        raise ConfigError(f"{what!r} cannot be read: {reason[:300]}{where(what)}") from None
