"""Finished blocks on their way to the sink: in the order of the input, several at a turn, never too many waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Protocol, TypeVar

import polars as pl

from extract.errors import OutputError
from extract.io.sinks.base import Sink
from extract.runner.event_loop import in_thread
from extract.runner.spill import Backlog

__all__ = ["Writer"]

_UNWRITTEN = 8  # blocks that may wait for a slow sink before no more rows are read
_GATHERED_BYTES = 4 * 1024 * 1024  # of finished rows that are gathered for one turn of the sink's

T = TypeVar("T")


class Undisturbed(Protocol):
    """Does something with Polars whatever Ctrl-C says meanwhile."""

    def __call__(self, work: Callable[[], T], /) -> T: ...


class Writer:
    """Takes blocks by number, as they are finished, and hands them to the sink from the first to the last.

    A sink that has `rows_at_once` gets blocks together until it is so many rows. Once the sink has failed (`lost`),
    which `on_failure` is told, blocks are counted and dropped.
    """

    def __init__(self, sink: Sink, undisturbed: Undisturbed, on_failure: Callable[[OutputError], None]) -> None:
        self.sink = sink
        self.lost = False
        self._undisturbed, self._on_failure = undisturbed, on_failure
        self._finished = Backlog()
        self._written = 0
        self._writing = False  # what has left the backlog, but the sink is not done with
        self._ready, self._progress = asyncio.Event(), asyncio.Event()
        self._last: int | None = None

    async def room(self) -> None:
        """Wait while the sink is so far behind that no more should be read."""
        while len(self._finished) > _UNWRITTEN and (self._writing or self._written in self._finished):
            self._progress.clear()
            await self._progress.wait()

    def put(self, number: int, frame: pl.DataFrame) -> None:
        """Take a finished block; what has no room in memory goes to disk until it is its turn."""
        try:
            self._undisturbed(partial(self._finished.put, number, frame))
        except OutputError as error:
            self._finished.drop(number)
            self._on_failure(error)
        self._ready.set()

    def end(self, blocks: int) -> None:
        """Let `run` return once so many blocks are written."""
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
                    gathered.append(self._undisturbed(partial(self._finished.pop, self._written)))
                if gathered and (not more or self._undisturbed(partial(self._is_enough, gathered))):
                    together, gathered = gathered, []
                    await self._hand_over(together)
            except OutputError as error:
                self.lost = True
                self._on_failure(error)
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

    def _is_enough(self, frames: list[pl.DataFrame]) -> bool:
        rows_at_once: int = getattr(self.sink, "rows_at_once", 0)
        if sum(frame.height for frame in frames) >= rows_at_once:
            return True
        return sum(frame.estimated_size() for frame in frames) >= _GATHERED_BYTES

    async def _hand_over(self, frames: list[pl.DataFrame]) -> None:
        frames = [frame for frame in frames if frame.height]
        if frames and not self.lost:
            frame = self._undisturbed(partial(pl.concat, frames)) if len(frames) > 1 else frames[0]
            await in_thread(partial(self._write, frame))

    def _write(self, frame: pl.DataFrame) -> None:
        try:
            self.sink.write(frame)
        except KeyboardInterrupt:  # Polars raises it in this thread, too; in a future it would end the loop
            raise OutputError("interrupted while rows were written; answers are kept in the cache, if any") from None
