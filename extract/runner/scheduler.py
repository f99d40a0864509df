"""Many records: workers on one bounded feed, outcomes settled in blocks, nothing lost on the way out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, cast

import polars as pl

from extract.errors import ORDERS, ExtractError, LostRows, NotRun, unforeseen
from extract.io.sinks.base import Sink
from extract.io.sources import Source
from extract.results.columns import OutputShape, block_columns, not_run_columns, output_schema
from extract.results.outcome import Outcome
from extract.results.progress import Progress, Totals
from extract.results.row_ids import RowIds
from extract.results.timeline import Timeline
from extract.runner.asker import Asker
from extract.runner.feed import Block, Feed
from extract.runner.interrupts import Interrupts
from extract.runner.pool import WorkerPool
from extract.runner.progress import ProgressReporter
from extract.runner.record import PreparedRecord
from extract.runner.rejected import RejectedRows
from extract.runner.state import RunState
from extract.runner.writer import Writer

__all__ = ["Scheduler"]

_NOT_REACHED = "the run ended before this row; run again to take it up"


class Scheduler:
    """One run over one source: one record in, exactly one outcome out.

    Memory is bounded whatever the input's size: open blocks by the number of workers, since each has a record that is
    being asked; finished blocks that wait for an earlier one are a few frames in memory, and on disk beyond that. So a
    record that takes a quarter of an hour holds back neither the others nor memory.
    """

    extractor: Asker
    shape: OutputShape
    source: Source

    def __init__(
        self,
        source: Source,
        extractor: Asker,
        sink: Sink,
        shape: OutputShape,
        *,
        on_event: Callable[[Progress], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.source, self.extractor, self.shape = source, extractor, shape
        self.state: RunState = extractor.state
        self._interrupts = Interrupts(self.state, sink)
        self.writer: Writer = Writer(sink, self.state, self._interrupts)
        self._feed = Feed(source, extractor, self._interrupts, row_id=shape.row_id)
        self._rejected = RejectedRows()
        self._progress = ProgressReporter(self.state, source.height, on_event, clock)
        self.totals: Totals = self._progress.totals
        self._schema = pl.Schema()
        self._pool = WorkerPool(self._work, self.state, extractor.in_hand)
        self._block: Block | None = None
        self._feeding = asyncio.Lock()
        self._ended = False

    @property
    def timeline(self) -> Timeline:
        return self._progress.timeline

    @property
    def row_ids(self) -> RowIds | None:
        """Whether the ids of the input name its rows; None without an id column."""
        return self._feed.row_ids

    @property
    def seconds(self) -> float:
        return self._progress.seconds

    @property
    def stopped(self) -> ExtractError | None:
        """What ended the run early, None where nothing has or the user did."""
        return self.state.stopped

    @property
    def interrupted(self) -> bool:
        return self.state.interrupted

    @property
    def sink_lost(self) -> bool:
        """True once an interrupt has taken from the sink what it was writing."""
        return self._interrupts.sink_lost

    @property
    def whole(self) -> bool:
        """True while nothing has cut the run short."""
        return not self.state.stopping

    def check(self) -> pl.Schema:
        """Return the output's schema. ConfigError for clashes of names, before anything is sent."""
        plan = self.extractor.plan
        self._schema = output_schema(
            self.source.schema, plan, self.shape, sampled=self._is_sampled, routed=self.extractor.routes
        )
        return self._schema

    def stop(self, error: ExtractError) -> None:
        """End the run for a reason: nothing new is sent, what is in flight may finish."""
        self.state.stop(error)

    def interrupt(self) -> None:
        """Drain at the first call; at the second give up what is in flight as well. Nothing, once the run has ended."""
        if self._ended:  # such as a trial before the run, which has the same state
            return
        self._interrupts.interrupt()
        self._progress.report()

    def error_rows(self) -> pl.DataFrame:
        """Return all rows that failed so far, in the order of the input."""
        return self._rejected.errors(self._id_type)

    def failed_rows(self) -> pl.Series:
        """Return where these rows stand in the input, counted from 0."""
        return self._rejected.places()

    async def run(self) -> None:
        """Extract every record and hand every block to the sink, in order."""
        self._pool.start(self.source.height)
        writer = asyncio.create_task(self.writer.run())
        self._pool.watch(writer)  # where it fails, workers would wait for room for ever
        watching = (self._interrupts.watch_main_thread, self._progress.keep_reporting, self._pool.lend_slots)
        watches = [asyncio.create_task(self._watched(watch)) for watch in watching]
        try:
            await self._pool.wait()
            if self._pool.failure is None:
                # Only now is the number of blocks known: a source may not tell how many rows it has.
                self.writer.end(self._feed.opened)
                await writer
        finally:
            self._ended = True
            # Whatever happened, no task and no temporary file of this run outlives it.
            self._pool.cancel()
            for task in (writer, *watches):
                task.cancel()
            self.writer.close()
            self.extractor.close()
        if (failure := self._pool.failure) is not None:
            raise failure if isinstance(failure, ORDERS) else unforeseen(failure, "the run broke off")
        # One row in, one outcome out: a bug in here must not pass for a finished run.
        if self.totals.rows != self._feed.rows:
            raise LostRows(f"{self._feed.rows} rows came in and {self.totals.rows} went out; please report this")
        self._progress.report(last=True)

    async def _watched(self, watch: Callable[[], Awaitable[None]]) -> None:
        try:
            await watch()
        except ORDERS:
            raise
        except BaseException as error:
            self.state.stop(unforeseen(error, "the run cannot be watched"))

    async def _work(self) -> None:
        this = cast("asyncio.Task[None]", asyncio.current_task())
        cancellable = self._interrupts.cancellable
        while (job := await self._next()) is not None:
            block, index = job
            cancellable.add(this)  # only here may a second interrupt cancel: elsewhere rows would be lost
            record, block.records[index] = block.records[index], None  # its texts are freed as soon as it is settled
            outcome = await self._outcome(cast("PreparedRecord", record), block.row_ids[index])
            cancellable.discard(this)
            self._settle(block, index, outcome)
            if self._pool.may_leave(this):
                return

    async def _outcome(self, record: PreparedRecord, row_id: Any) -> Outcome:
        if not self.state.stopping and not self._interrupts.main_thread_ended():
            return await self.extractor.extract(record, row_id)
        return Outcome(row_id=row_id, error=NotRun(_NOT_REACHED))

    async def _next(self) -> tuple[Block, int] | None:
        """Return the next row to ask. The feed is only awaited at the border of two blocks."""
        while True:
            block = self._block
            if block is not None and (index := len(block.outcomes)) < len(block.records):
                block.outcomes.append(None)  # takes the row, before anybody else can run
                return block, index
            async with self._feeding:
                # Who waited for the lock finds a new block there: only the first of them opens one.
                if self._block is block and not await self._open_block():
                    return None

    async def _open_block(self) -> bool:
        """Open the next block; waits while the sink is behind. False at the end of the source."""
        # Here and nowhere else a slow sink holds the run back: records that were begun are always finished.
        await self.writer.room()
        if (block := await anext(self._feed, None)) is None:
            return False
        if block.records:
            self._block = block
        else:
            self._pass_over(block)
        return True

    def _pass_over(self, block: Block) -> None:
        """Count rows that were read and will not be asked, all at once."""
        self.writer.put(block.number, self._interrupts.with_polars_retries(partial(self._not_run, block)))
        self.totals.pass_over(block.frame.height)

    def _not_run(self, block: Block) -> pl.DataFrame:
        self._rejected.add_not_run(block.number, block.start, block.frame, self.shape.row_id, _NOT_REACHED)
        return not_run_columns(block.frame, self._schema, self.shape)

    def _settle(self, block: Block, index: int, outcome: Outcome) -> None:
        block.outcomes[index] = outcome
        block.unsettled -= 1
        self.totals.add(outcome)
        if block.unsettled == 0:  # any worker may settle the last row; blocks are put in order by the writer
            self._finish(block)
        if (reason := self.state.streak.add(outcome)) is not None:
            self.state.stop(reason)
        self._progress.report_if_due()

    def _finish(self, block: Block) -> None:
        """Turn a block's outcomes into columns at once: frames are small, outcomes are not."""
        outcomes = [outcome for outcome in block.outcomes if outcome is not None]
        if len(outcomes) != block.frame.height:
            raise LostRows(f"{block.frame.height - len(outcomes)} rows have no outcome; please report this")
        try:
            frame = self._interrupts.with_polars_retries(partial(self._columns, block, outcomes))
        except ORDERS:
            raise
        except BaseException as error:
            self.writer.drop(block.number, error)
        else:
            self.writer.put(block.number, frame)

    def _columns(self, block: Block, outcomes: list[Outcome]) -> pl.DataFrame:
        self._rejected.add(block.number, block.start, outcomes, self._id_type)
        asker = self.extractor
        return block_columns(
            block.frame, outcomes, asker.plan, self.shape, sampled=self._is_sampled, routed=asker.routes
        )

    @property
    def _is_sampled(self) -> bool:
        return self.extractor.rules.samples > 1

    @property
    def _id_type(self) -> pl.DataType:
        return self.source.schema[self.shape.row_id] if self.shape.row_id else pl.Int64()
