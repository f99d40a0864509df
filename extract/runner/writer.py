"""Finished blocks on their way to the sink: in the order of the input, several at a time, never too many waiting."""

from __future__ import annotations

import asyncio
from functools import partial

import polars as pl

from extract.errors import ORDERS, OutputError, unforeseen
from extract.io.sinks.base import Sink
from extract.runner.event_loop import in_thread
from extract.runner.interrupts import Interrupts
from extract.runner.spill import SpillBuffer
from extract.runner.state import RunState

__all__ = ["Writer"]

_MAX_UNWRITTEN = 8  # blocks that may wait for a slow sink before no more rows are read
_GATHERED_BYTES = 4 * 1024 * 1024  # of finished rows that are gathered for one call of the sink


class Writer:
    """Takes blocks by number, as they are finished, and hands them to the sink from the first to the last.

    A sink gets blocks together, about `rows_at_once` rows each time. One that has `failed` ends the run; once it is
    `lost`, blocks are counted and dropped.
    """

    def __init__(self, sink: Sink, state: RunState, interrupts: Interrupts) -> None:
        self._sink, self._state, self._interrupts = sink, state, interrupts
        self.failed: bool = False
        self._finished = SpillBuffer()
        self._written = 0
        self._writing = False  # True for what has left the buffer, but the sink is not done with
        self._ready, self._progress = asyncio.Event(), asyncio.Event()
        self._last: int | None = None

    @property
    def lost(self) -> bool:
        """True once the sink has failed, or an interrupt has taken from it what it was writing."""
        return self.failed or self._interrupts.sink_lost

    async def room(self) -> None:
        """Wait while the sink is so far behind that no more should be read.

        Blocks that wait for an unfinished one do not count: only that one's records can make room, so they must go on.
        """
        while len(self._finished) > _MAX_UNWRITTEN and (self._writing or self._written in self._finished):
            self._progress.clear()
            await self._progress.wait()

    def put(self, number: int, frame: pl.DataFrame) -> None:
        """Take a finished block; what has no room in memory goes to disk until it is its turn."""
        try:
            self._interrupts.with_polars_retries(partial(self._finished.put, number, frame))
        except ORDERS:
            raise
        except BaseException as error:
            self.drop(number, error)
        self._ready.set()

    def drop(self, number: int, error: BaseException) -> None:
        """End the run for a block that could not be made or stored; an empty one stands in its place."""
        self._finished.drop(number)
        self._state.stop(unforeseen(error, "finished rows cannot be put together"))
        self._ready.set()

    def end(self, blocks: int) -> None:
        """Let `run` return once this number of blocks is written."""
        self._last = blocks
        self._ready.set()

    def close(self) -> None:
        """Leave nothing behind."""
        self._finished.close()

    async def run(self) -> None:
        """Write until the end."""
        gathered: list[pl.DataFrame] = []
        more = True
        while more:
            more = await self._until_next()
            self._writing = True
            try:
                if more:
                    gathered.append(self._next())
                if gathered and (not more or self._is_enough(gathered)):
                    together, gathered = gathered, []
                    await self._hand_over(together)
            except ORDERS:
                raise
            except BaseException as error:  # whoever waits for room must go on, and Polars panics as a BaseException
                self.failed = True
                self._state.stop(unforeseen(error, "rows cannot be written"))
            self._written += more
            self._writing = False
            self._progress.set()

    async def _until_next(self) -> bool:
        """Wait for the next block in order; False where all are written."""
        while self._written not in self._finished:
            if self._written == self._last:
                return False
            self._ready.clear()
            await self._ready.wait()
        return True

    def _next(self) -> pl.DataFrame:
        return self._interrupts.with_polars_retries(partial(self._finished.pop, self._written))

    def _is_enough(self, frames: list[pl.DataFrame]) -> bool:
        if sum(frame.height for frame in frames) >= self._sink.rows_at_once:
            return True
        sizes = self._interrupts.with_polars_retries(lambda: [frame.estimated_size() for frame in frames])
        return sum(sizes) >= _GATHERED_BYTES

    async def _hand_over(self, frames: list[pl.DataFrame]) -> None:
        frames = [frame for frame in frames if frame.height]
        if frames and not self.lost:
            whole = partial(pl.concat, frames)
            frame = self._interrupts.with_polars_retries(whole) if len(frames) > 1 else frames[0]
            await in_thread(partial(self._write, frame))

    def _write(self, frame: pl.DataFrame) -> None:
        try:
            self._sink.write(frame)
        except KeyboardInterrupt:  # Polars raises it in this thread, too; in a future it would end the loop
            raise OutputError("interrupted while rows were written; answers are kept in the cache, if any") from None
