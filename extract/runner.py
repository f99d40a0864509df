"""Many records: workers on one bounded feed, order restored in blocks, progress told, nothing lost on the way out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import polars as pl
from polars.selectors import by_name

from extract.asker import Asker
from extract.errors import ConfigError, ExtractError, LostRows, NotRun, OutputError, TooManyFailures
from extract.limits import next_streak
from extract.results import Progress, Totals, error_frame, error_schema, provenance_frame
from extract.sinks import Sink
from extract.sources import Source
from extract.types import Outcome

__all__ = ["Runner", "Shape"]

_BLOCK_ROWS = 128
_TELL_EVERY = 0.1  # seconds between two progress events


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How outcomes become rows: which column names a row, what its new columns are called, where rejected rows go."""

    row_id: str | None = None
    prefix: str = ""
    split_errors: bool = True
    provenance: bool = False


@dataclass(slots=True, eq=False)
class _Block:
    """Neighbouring rows that leave together, once all of them are done."""

    frame: pl.DataFrame
    row_ids: list[Any]
    records: list[dict[str, Any]]
    outcomes: list[Outcome | None]
    left: int
    done: asyncio.Event = field(default_factory=asyncio.Event)


class Runner:
    """One run over one source. Memory holds a window of blocks: a slow record can hold back only so many others."""

    def __init__(
        self,
        source: Source,
        asker: Asker,
        sink: Sink,
        shape: Shape,
        *,
        on_event: Callable[[Progress], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.source, self.asker, self.sink, self.shape = source, asker, sink, shape
        self.totals = Totals()
        self.stopped: ExtractError | None = None
        self.interrupted = False
        self.errors: list[pl.DataFrame] = []
        self._on_event, self._clock = on_event, clock
        self._started = self._told = clock()
        self._frames: Iterator[pl.DataFrame] = source.batches(_BLOCK_ROWS)
        self._read = 0
        self._block: _Block | None = None
        self._feeding = asyncio.Lock()
        window = max(4, 8 * asker.limits.concurrency // _BLOCK_ROWS)
        self._blocks: asyncio.Queue[_Block | None] = asyncio.Queue(maxsize=window)
        self._asking: set[asyncio.Task[None]] = set()
        self._streak: int | None = 0
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
        taken = self.source.schema
        if self.shape.row_id and self.shape.row_id not in taken:
            raise ConfigError(f"there is no id column {self.shape.row_id!r}; the input has {list(taken)!r}")
        columns = {self.shape.prefix + name: dtype for name, dtype in self.asker.plan.schema.dtypes.items()}
        provenance = provenance_frame(()).schema if self.shape.provenance else pl.Schema()
        if clash := [name for name in columns if name in taken or name in provenance]:
            raise ConfigError(f"there are already columns named {clash!r}; name ours apart with prefix= (--prefix)")
        return pl.Schema({**taken, **columns, **provenance})

    async def run(self) -> None:
        """Ask every record and hand every block to the sink, in order."""
        workers = min(self.asker.limits.concurrency, self.source.height or self.asker.limits.concurrency)
        tasks = [asyncio.create_task(self._work()) for _ in range(max(1, workers))]
        writer = asyncio.create_task(self._write_all())
        try:
            # Together: a writer that fails must end the workers, which would wait for room in its queue for ever.
            await asyncio.gather(self._until_done(tasks), writer)
        finally:
            for task in (*tasks, writer):
                task.cancel()
        if self.totals.rows != self._read:
            raise LostRows(f"{self._read} rows came in and {self.totals.rows} went out; please report this")
        self._tell()

    async def _until_done(self, tasks: list[asyncio.Task[None]]) -> None:
        await asyncio.gather(*tasks)
        await self._blocks.put(None)

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

    @property
    def _stopping(self) -> bool:
        return self.interrupted or self.stopped is not None

    async def _work(self) -> None:
        this = cast("asyncio.Task[None]", asyncio.current_task())
        while (job := await self._next()) is not None:
            block, index = job
            self._asking.add(this)  # only here may a second interrupt cancel: elsewhere rows would be lost
            outcome = await self._outcome(block.records[index], block.row_ids[index])
            self._asking.discard(this)
            self._settle(block, index, outcome)

    async def _outcome(self, record: Mapping[str, Any], row_id: Any) -> Outcome:
        if not self._stopping:
            return await self.asker.ask(record, row_id)
        return Outcome(row_id=row_id, error=NotRun("the run ended before this row; run again to take it up"))

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
        """Open the next block; waits while the window is full. False at the end of the source."""
        try:
            frame = await asyncio.to_thread(next, self._frames, None)
        except ConfigError as error:  # a source that breaks half way
            self.stop(error)
            frame = None
        if frame is None:
            return False
        first, self._read = self._read, self._read + frame.height
        row_ids = frame[self.shape.row_id].to_list() if self.shape.row_id else list(range(first, self._read))
        columns = list(self.asker.plan.columns)
        records = frame.select(by_name(*columns)).to_dicts() if columns else [{}] * frame.height
        block = _Block(frame, row_ids, records, [], frame.height)
        await self._blocks.put(block)
        self._block = block
        return True

    def _settle(self, block: _Block, index: int, outcome: Outcome) -> None:
        block.outcomes[index] = outcome
        block.left -= 1
        self.totals.add(outcome)
        if block.left == 0:
            block.done.set()
        if outcome.ok or not outcome.cached:  # what an earlier run was told says nothing about this one's set-up
            self._streak = next_streak(self._streak, outcome.error)
        most = self.asker.limits.stop_after_failures
        if most and self._streak is not None and self._streak >= most and not self._stopping:
            self.stop(TooManyFailures(f"{most} rows failed and none succeeded; the last said: {outcome.error}"))
        if self._clock() - self._told >= _TELL_EVERY:
            self._tell()

    def _tell(self) -> None:
        self._told = self._clock()
        if self._on_event is None:
            return
        gate = self.asker.gate
        progress = Progress(
            total=self.source.height,
            totals=self.totals,
            seconds=self.seconds,
            in_flight=gate.active,
            slots=gate.slots,
            waiting=gate.waiting_for(),
            stopping=self._stopping,
        )
        try:
            self._on_event(progress)
        except Exception as error:  # the listener is not ours, and what is in flight is paid for
            self._on_event = None
            self.stop(ConfigError(f"on_event raised {type(error).__name__}: {error}"))

    async def _write_all(self) -> None:
        """Hand the blocks to the sink in the order of the input, each as soon as it and those before it are done."""
        usable = True
        while (block := await self._blocks.get()) is not None:
            await block.done.wait()
            outcomes = [outcome for outcome in block.outcomes if outcome is not None]
            if len(outcomes) != block.frame.height:
                raise LostRows(f"{block.frame.height - len(outcomes)} rows have no outcome; please report this")
            if any(outcome.error for outcome in outcomes):
                self.errors.append(error_frame(outcomes, self.id_type))
            frame = self._columns(block.frame, outcomes)
            if usable and frame.height:
                try:
                    await asyncio.to_thread(self.sink.write, frame)
                except OutputError as error:
                    usable = False
                    self.stop(error)

    def _columns(self, inputs: pl.DataFrame, outcomes: list[Outcome]) -> pl.DataFrame:
        columns = self.asker.plan.schema.frame([outcome.row for outcome in outcomes])
        if self.shape.prefix:
            columns = columns.rename({name: self.shape.prefix + name for name in columns.columns})
        frame = inputs.hstack(columns)
        if self.shape.provenance:
            frame = frame.hstack(provenance_frame(outcomes))
        if not self.shape.split_errors:
            return frame
        return frame.filter(pl.Series([outcome.error is None for outcome in outcomes], dtype=pl.Boolean))

    def error_rows(self) -> pl.DataFrame:
        """Return all rows that failed so far, in the order of the input."""
        return pl.concat([error_schema(self.id_type).to_frame(), *self.errors])
