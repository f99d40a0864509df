"""Many records: workers on one bounded feed, order restored in blocks, progress told, nothing lost on the way out."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar, cast

import polars as pl
from polars.selectors import by_name

from extract.errors import (
    ConfigError,
    ExtractError,
    LostRows,
    NotRun,
    TooManyFailures,
)
from extract.io.sinks.base import Sink
from extract.io.sinks.parquet import ParquetSink
from extract.io.sources import Source
from extract.results.columns import (
    OutputShape,
    agreement_frame,
    error_frame,
    error_schema,
    not_run_frame,
    output_schema,
    provenance_frame,
    spans_frame,
)
from extract.results.outcome import Outcome
from extract.results.progress import Progress, Totals
from extract.results.timeline import Sample, Timeline
from extract.runner.event_loop import in_thread
from extract.runner.record import Asker, Prepared
from extract.runner.writer import Writer

__all__ = ["Runner"]

_BLOCK_ROWS = 128
# Read at a turn: each time another thread takes over, which costs as much as some ten records.
_READ_ROWS = 1_024
_PASSED_ROWS = 65_536  # the same, of rows that are only counted
_READ_BYTES = 8 * 1024 * 1024
_PREPARED_BYTES = 1024 * 1024  # of a block whose questions are written ahead
_AHEAD = 4  # for so many slots, one more record is made ready while all slots are taken
_SPARE_WORKERS = 64  # besides four for every slot: how many records may sleep while others use their slots
_TELL_EVERY = 0.1  # seconds between two progress events
_TELL_AT_LEAST = 0.5  # seconds between two of them while nothing happens
_LOOK_EVERY = 0.2  # seconds between two looks at the main thread
_POLARS_TRIES = 500  # a hundredth of a second apart
_NOT_REACHED = "the run ended before this row; run again to take it up"

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class _Block:
    """Neighbouring rows that leave together, once all of them are done."""

    number: int
    start: int
    frame: pl.DataFrame
    row_ids: list[Any]
    records: list[Prepared | None]
    outcomes: list[Outcome | None]
    left: int


class Runner:
    """One run over one source.

    Memory is bounded whatever the input's size: open blocks by the number of workers, since each has a record that is
    being asked; finished blocks that wait for an earlier one are a few frames in memory, and on disk beyond that. So a
    record that takes a quarter of an hour holds back neither the others nor memory.
    """

    def __init__(
        self,
        source: Source,
        asker: Asker,
        sink: Sink,
        shape: OutputShape,
        *,
        on_event: Callable[[Progress], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.source, self.asker, self.sink, self.shape = source, asker, sink, shape
        self.totals = Totals()
        self.timeline = Timeline()
        self.stopped: ExtractError | None = None
        self.interrupted = False
        self.errors: dict[int, pl.DataFrame] = {}
        self.failed: dict[int, pl.Series] = {}  # where these rows stand in the input
        self._on_event, self._clock = on_event, clock
        self._started = self._told = clock()
        self._schema = pl.Schema()
        self._frames: Iterator[pl.DataFrame] = source.batches(_BLOCK_ROWS)
        self._unopened: deque[pl.DataFrame] = deque()
        self._read = 0
        self._block: _Block | None = None
        self._feeding = asyncio.Lock()
        self._opened = 0
        self.writer = Writer(sink, self._undisturbed, self.stop)
        self._over = asyncio.Event()
        self._failure: BaseException | None = None
        self._workers: set[asyncio.Task[None]] = set()
        self._asking: set[asyncio.Task[None]] = set()
        self._streak: int | None = 0
        self._main = threading.main_thread()
        asker.on_stop = self.stop

    @property
    def id_type(self) -> pl.DataType:
        return self.source.schema[self.shape.row_id] if self.shape.row_id else pl.Int64()

    @property
    def seconds(self) -> float:
        return self._clock() - self._started

    @property
    def whole(self) -> bool:
        """True while nothing has cut the run short."""
        return not self._stopping

    def check(self) -> pl.Schema:
        """Return the output's schema. ConfigError for clashes of names, before anything is sent."""
        self._schema = output_schema(self.source.schema, self.asker.plan, self.shape, sampled=self.asker.samples > 1)
        return self._schema

    @property
    def _grounds(self) -> bool:
        return bool(self.asker.plan.extractor.grounding)

    @property
    def _sampled(self) -> list[str]:
        """The columns that are voted on."""
        return list(self.asker.plan.schema.dtypes) if self.asker.samples > 1 else []

    async def run(self) -> None:
        """Ask every record and hand every block to the sink, in order."""
        for _ in range(max(1, min(self._wanted, self.source.height or self._wanted))):
            self._hire()
        writer = asyncio.create_task(self.writer.run())
        writer.add_done_callback(self._note_end)  # where it fails, workers would wait for it for ever
        watches = [asyncio.create_task(watch()) for watch in (self._watch_main, self._keep_telling)]
        self.asker.gate.on_sleep = self._hire_for_sleeper
        try:
            await self._over.wait()
            if self._failure is None:
                self.writer.end(self._opened)
                await writer
        finally:
            for task in (*self._workers, writer, *watches):
                task.cancel()
            self.writer.close()
            self.asker.end()
        if self._failure is not None:
            raise self._failure
        if self.totals.rows != self._read:
            raise LostRows(f"{self._read} rows came in and {self.totals.rows} went out; please report this")
        self._tell()

    def _hire(self) -> None:
        task = asyncio.create_task(self._work())
        self._workers.add(task)
        task.add_done_callback(self._note_end)

    def _hire_for_sleeper(self) -> None:
        """Let another record use the slot of one that waits for its next try."""
        most = 4 * self.asker.limits.concurrency + _SPARE_WORKERS
        if self._awake < self._wanted and len(self._workers) < most and not self._stopping:
            self._hire()

    @property
    def _wanted(self) -> int:
        """How many records are worked on at once: those in flight, and those that follow them without a gap."""
        concurrency = self.asker.limits.concurrency
        return concurrency + -(-concurrency // _AHEAD)

    @property
    def _awake(self) -> int:
        return len(self._workers) - self.asker.gate.asleep

    def _note_end(self, task: asyncio.Task[None]) -> None:
        self._workers.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failure = self._failure or error
            self._over.set()
        elif not self._workers:
            self._over.set()

    def stop(self, error: ExtractError) -> None:
        """End the run for a reason: nothing new is sent, what is in flight may finish."""
        if self.stopped is None and not self.interrupted:
            self.stopped = error
        self.asker.gate.close()

    def interrupt(self) -> None:
        """Drain at the first call; at the second give up what is in flight as well."""
        if self.interrupted:
            self.asker.abandoned = True
            for task in self._asking:
                task.cancel()
        self.interrupted = True
        self.asker.gate.close()
        self._tell()

    async def _watch_main(self) -> None:
        """Look whether the main thread is still there, where this is another: Ctrl-C ends only that one."""
        if threading.current_thread() is self._main:
            return
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            if self._is_deserted():
                return

    async def _keep_telling(self) -> None:
        """Tell of a run in which nothing is settled, too: it may wait for its quota."""
        while self._on_event is not None:
            await asyncio.sleep(_TELL_AT_LEAST)
            if self._clock() - self._told >= _TELL_AT_LEAST:
                self._tell()

    def _is_deserted(self) -> bool:
        """Drain where the main thread has ended: the interpreter closes, and gives out no more threads."""
        if self._main.is_alive():
            return False
        self._drain()
        return True

    def _drain(self) -> None:
        if not self.interrupted:
            self.interrupt()

    def _undisturbed(self, work: Callable[[], T]) -> T:
        """Return what `work` does with Polars, which answers a Ctrl-C in whichever thread calls it next.

        It does so until all queries that run have ended. A Parquet file that is being written is one of them.
        """
        for _ in range(_POLARS_TRIES):
            try:
                return work()
            except KeyboardInterrupt:
                if threading.current_thread() is self._main:
                    raise
                self._drain()
                if isinstance(self.sink, ParquetSink):
                    self.writer.lost = True
                    self.sink.abandon()
                time.sleep(0.01)
        return work()

    @property
    def _stopping(self) -> bool:
        return self.interrupted or self.stopped is not None

    async def _work(self) -> None:
        this = cast("asyncio.Task[None]", asyncio.current_task())
        while (job := await self._next()) is not None:
            block, index = job
            self._asking.add(this)  # only here may a second interrupt cancel: elsewhere rows would be lost
            prepared, block.records[index] = block.records[index], None  # its texts go as soon as they were asked
            outcome = await self._outcome(cast("Prepared", prepared), block.row_ids[index])
            self._asking.discard(this)
            self._settle(block, index, outcome)
            if self._awake > self._wanted:
                self._workers.discard(this)  # now, so that no other leaves for the same reason
                return  # those who slept are back

    async def _outcome(self, record: Prepared, row_id: Any) -> Outcome:
        if not self._stopping and not self._is_deserted():
            return await self.asker.ask(record, row_id)
        return Outcome(row_id=row_id, error=NotRun(_NOT_REACHED))

    async def _next(self) -> tuple[_Block, int] | None:
        """Return the next row to ask. The feed is only awaited at the border of two blocks."""
        while True:
            block = self._block
            if block is not None and (index := len(block.outcomes)) < len(block.records):
                block.outcomes.append(None)
                return block, index
            async with self._feeding:
                if self._block is block and not await self._feed():
                    return None

    async def _feed(self) -> bool:
        """Open the next block; waits while the sink is behind. False at the end of the source."""
        await self.writer.room()
        if self._stopping and self.source.once:  # it may never end, so its rows cannot be counted as not run
            return False
        if not self._unopened:
            await self._read_on()
        if not self._unopened:
            return False
        if self._stopping:
            self._pass_over()
            return True
        frame = self._unopened.popleft()
        block = self._undisturbed(partial(self._open_block, frame))
        await self.asker.look_ahead(block.records)
        self._block = block
        self._read += frame.height
        self._opened += 1
        return True

    def _pass_over(self) -> None:
        """Count what was read and will not be asked, all at once: a stop must not take long, however many rows wait."""
        frame, places, errors = self._undisturbed(self._passed)
        self.errors[self._opened], self.failed[self._opened] = errors, places
        self.writer.put(self._opened, frame)
        self._unopened.clear()
        self.totals.pass_over(errors.height)
        self._read += errors.height
        self._opened += 1

    def _passed(self) -> tuple[pl.DataFrame, pl.Series, pl.DataFrame]:
        """Return the output, the places and the errors of rows that were read and not opened."""
        frame = pl.concat(self._unopened)
        places = pl.int_range(self._read, self._read + frame.height, eager=True)
        errors = not_run_frame(frame[self.shape.row_id] if self.shape.row_id else places, _NOT_REACHED)
        nulls = [pl.lit(None, dtype).alias(name) for name, dtype in self._schema.items() if name not in frame.columns]
        return (frame.clear() if self.shape.split_errors else frame).with_columns(nulls), places, errors

    async def _read_on(self) -> None:
        """Read the next blocks in a thread; what it has read before it fails is there all the same."""
        try:
            await in_thread(self._read_blocks)
        except ConfigError as error:  # a source that breaks half way
            self.stop(error)
        except NotRun:
            self._drain()

    def _read_blocks(self) -> None:
        rows = size = 0
        try:
            most = _PASSED_ROWS if self._stopping else _READ_ROWS
            while rows < most and size < _READ_BYTES:
                if (frame := next(self._frames, None)) is None:
                    return
                self._unopened.append(frame)
                rows += frame.height
                size += int(frame.estimated_size())
                if self.source.once:  # an iterator may take its time over each row: read no more than is asked
                    return
        except KeyboardInterrupt:  # Polars raises it in this thread, too; in a future it would end the loop
            raise NotRun("interrupted while the input was read") from None

    def _open_block(self, frame: pl.DataFrame) -> _Block:
        name = self.shape.row_id
        row_ids = frame[name].to_list() if name else list(range(self._read, self._read + frame.height))
        return _Block(self._opened, self._read, frame, row_ids, self._prepared(frame), [], frame.height)

    def _prepared(self, frame: pl.DataFrame) -> list[Prepared | None]:
        if self._stopping:  # its rows are counted, and not asked
            return [None] * frame.height
        columns = list(self.asker.plan.columns)
        records = frame.select(by_name(*columns)).to_dicts() if columns else [{}] * frame.height
        # Questions are as large again as their records: long texts are written when it is their turn.
        small = frame.estimated_size() <= _PREPARED_BYTES
        return [*self.asker.prepare(records)] if small else [Prepared(record) for record in records]

    def _settle(self, block: _Block, index: int, outcome: Outcome) -> None:
        block.outcomes[index] = outcome
        block.left -= 1
        self.totals.add(outcome)
        if block.left == 0:
            self._finish(block)
        if outcome.ok or not outcome.cached:  # what an earlier run was told says nothing about this one's set-up
            self._streak = next_streak(self._streak, outcome.error)
        most = self.asker.limits.stop_after_failures
        if most and self._streak is not None and self._streak >= most and not self._stopping:
            self.stop(TooManyFailures(f"{most} rows failed and none succeeded; the last said: {outcome.error}"))
        if self._clock() - self._told >= _TELL_EVERY:
            self._tell()

    def _finish(self, block: _Block) -> None:
        """Turn a block's outcomes into columns at once: frames are small, outcomes are not."""
        outcomes = [outcome for outcome in block.outcomes if outcome is not None]
        if len(outcomes) != block.frame.height:
            raise LostRows(f"{block.frame.height - len(outcomes)} rows have no outcome; please report this")
        self.writer.put(block.number, self._undisturbed(partial(self._columns, block, outcomes)))

    def _tell(self) -> None:
        self._told = self._clock()
        gate = self.asker.gate
        self.timeline.add(Sample(self.seconds, self.totals.rows, gate.active), last=self._over.is_set())
        if self._on_event is None:
            return
        progress = Progress(
            total=self.source.height,
            totals=self.totals,
            seconds=self.seconds,
            in_flight=gate.active,
            slots=gate.slots,
            waiting=gate.waiting_for(),
            limit=gate.limit_reached(),
            rpm=gate.rpm,
            tpm=gate.tpm,
            stopping=self._stopping,
        )
        try:
            self._on_event(progress)
        except Exception as error:  # the listener is not ours, and what is in flight is paid for
            self._on_event = None
            self.stop(ConfigError(f"on_event raised {type(error).__name__}: {error}"))

    def _columns(self, block: _Block, outcomes: list[Outcome]) -> pl.DataFrame:
        if any(outcome.error for outcome in outcomes):
            failed = [block.start + index for index, outcome in enumerate(outcomes) if outcome.error]
            self.errors[block.number] = error_frame(outcomes, self.id_type)
            self.failed[block.number] = pl.Series(failed, dtype=pl.Int64)
        columns = self.asker.plan.schema.frame([outcome.row for outcome in outcomes])
        if self.shape.prefix:
            columns = columns.rename({name: self.shape.prefix + name for name in columns.columns})
        frame = block.frame.hstack(columns)
        if self._sampled:
            frame = frame.hstack(agreement_frame(outcomes, self._sampled))
        if self._grounds:
            frame = frame.hstack(spans_frame(outcomes))
        if self.shape.provenance:
            frame = frame.hstack(provenance_frame(outcomes))
        valid = [outcome.error is None for outcome in outcomes]
        # A filter starts Polars' engine: as much work as all else that a block of valid rows takes.
        return frame.filter(pl.Series(valid)) if self.shape.split_errors and not all(valid) else frame

    def error_rows(self) -> pl.DataFrame:
        """Return all rows that failed so far, in the order of the input."""
        return pl.concat([error_schema(self.id_type).to_frame(), *(frame for _, frame in sorted(self.errors.items()))])

    def failed_rows(self) -> pl.Series:
        """Return where these rows stand in the input, counted from 0."""
        return pl.concat([pl.Series(dtype=pl.Int64), *(places for _, places in sorted(self.failed.items()))])


def next_streak(streak: int | None, error: ExtractError | None) -> int | None:
    """Count the failures in a row that speak of a wrong set-up; None once a record has succeeded.

    Blocks, bad records, throttles and cut answers are about single records and leave the count as it is.
    """
    if streak is None or error is None:
        return None
    return streak + 1 if error.code in ("bad_request", "invalid_answer", "unreachable") else streak
