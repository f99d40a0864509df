"""The rows of a source as blocks of prepared records, in the order of the input."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import polars as pl
from polars.selectors import by_name

from extract.errors import ORDERS, NotRun, unforeseen
from extract.io.source import records_of
from extract.io.sources import Source
from extract.results.outcome import Outcome
from extract.results.row_ids import RowIdCounter, RowIds
from extract.runner.asker import Asker
from extract.runner.event_loop import in_thread
from extract.runner.interrupts import Interrupts
from extract.runner.record import PreparedRecord
from extract.runner.state import RunState

__all__ = ["Block", "Feed"]

_BLOCK_ROWS = 128
# Read at a time: each time another thread takes over, which costs as much as some ten records.
_READ_ROWS = 1_024
_PASSED_ROWS = 65_536  # the same, of rows that are only counted
_READ_BYTES = 8 * 1024 * 1024
_PREPARED_BYTES = 1024 * 1024  # of a block whose questions are written ahead


@dataclass(slots=True, eq=False)
class Block:
    """Neighbouring rows that leave together, once all of them are done. `start` is the place of the first in the input.

    `records` is empty where the run has ended: its rows are counted as not run. `unsettled` counts down to 0.
    """

    number: int
    start: int
    frame: pl.DataFrame
    row_ids: list[Any]
    records: list[PreparedRecord | None]
    outcomes: list[Outcome | None]
    unsettled: int


class Feed:
    """An async iterator of blocks. What is read ahead of them is bounded in rows and bytes, whatever the source.

    After a stop the rest of the source comes in large blocks without records, to be counted; of a source that can be
    read only once, nothing more: it may never end. `opened` and `rows` count what has come so far.
    """

    opened: int
    rows: int

    def __init__(self, source: Source, extractor: Asker, interrupts: Interrupts, *, row_id: str | None = None) -> None:
        self.opened = self.rows = 0
        self._source, self._extractor, self._interrupts, self._row_id = source, extractor, interrupts, row_id
        self._ids: RowIdCounter | None = RowIdCounter() if row_id else None
        self._state: RunState = extractor.state
        self._frames: Iterator[pl.DataFrame] = source.batches(_BLOCK_ROWS)
        self._unopened: deque[pl.DataFrame] = deque()

    @property
    def row_ids(self) -> RowIds | None:
        """Whether the ids that came so far name their rows; None without an id column."""
        return None if self._ids is None else self._ids.result()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Block:
        block = await self._next()
        if block is None:
            raise StopAsyncIteration
        self.opened += 1
        self.rows += block.frame.height
        return block

    async def _next(self) -> Block | None:
        if self._state.stopping and self._source.once:
            return None
        if not self._unopened:
            await self._read()
        if not self._unopened:
            return None
        if self._state.stopping:
            return self._interrupts.with_polars_retries(self._passed_over)
        try:
            block = self._interrupts.with_polars_retries(partial(self._open, self._unopened[0]))
            await self._extractor.prefetch(block.records)
        except ORDERS:
            raise
        except BaseException as error:  # its rows are counted all the same
            self._state.stop(unforeseen(error, "the next rows cannot be made ready"))
            return self._interrupts.with_polars_retries(self._passed_over)
        self._unopened.popleft()
        return block

    async def _read(self) -> None:
        """Read the next frames in a thread; what it has read before it fails is there all the same."""
        try:
            await in_thread(self._read_frames)
        except NotRun:
            self._interrupts.drain()
        except ORDERS:
            raise
        except BaseException as error:  # a source that breaks half way
            self._state.stop(unforeseen(error, "the input cannot be read on"))

    def _read_frames(self) -> None:
        rows = size = 0
        max_rows = _PASSED_ROWS if self._state.stopping else _READ_ROWS
        try:
            while rows < max_rows and size < _READ_BYTES:
                if (frame := next(self._frames, None)) is None:
                    return
                self._unopened.append(frame)
                if self._ids is not None and self._row_id:
                    self._ids.add(frame[self._row_id])
                rows += frame.height
                size += int(frame.estimated_size())
                if self._source.once:  # an iterator may take its time over each row: read no more than is needed
                    return
        except KeyboardInterrupt:  # Polars raises it in this thread, too; in a future it would end the loop
            raise NotRun("interrupted while the input was read") from None

    def _open(self, frame: pl.DataFrame) -> Block:
        """Return a block that is ready to be asked. Changes nothing: a Ctrl-C in Polars makes it run again."""
        return Block(
            number=self.opened,
            start=self.rows,
            frame=frame,
            row_ids=self._row_ids(frame),
            records=self._records(frame),
            outcomes=[],
            unsettled=frame.height,
        )

    def _row_ids(self, frame: pl.DataFrame) -> list[Any]:
        return frame[self._row_id].to_list() if self._row_id else list(range(self.rows, self.rows + frame.height))

    def _records(self, frame: pl.DataFrame) -> list[PreparedRecord | None]:
        columns = list(self._extractor.columns)
        records = records_of(frame.select(by_name(*columns))) if columns else [{}] * frame.height
        # Questions are as large again as their records: long texts are written when it is their turn.
        if frame.estimated_size() > _PREPARED_BYTES:
            return [PreparedRecord(record) for record in records]
        return [*self._extractor.prepare(records)]

    def _passed_over(self) -> Block:
        """Return all that was read as one block: a stop must not take long, however many rows wait."""
        frame = pl.concat(self._unopened)
        self._unopened.clear()
        return Block(self.opened, self.rows, frame, [], [], [], 0)
