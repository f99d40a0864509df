"""The blocks of a cluster as they come, in order, made into what a run of one machine leaves: file, errors, totals."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
from ray.data import Dataset
from ray.exceptions import RayError

from extract.distributed.actors import Actors, State, answered, failure_of, raised
from extract.distributed.error_column import ERROR, counted, errors_of
from extract.distributed.worker import Job
from extract.errors import ExtractError, NotRun, OutputError
from extract.extractor.plan import Plan
from extract.interactions.usage import AttemptKind, Usage
from extract.io.cache.ledger import Spending
from extract.io.sinks.base import Sink, footer
from extract.io.sinks.open import write_errors
from extract.io.sinks.parquet import ParquetSink
from extract.json_types import JsonObject
from extract.limits.budget import BudgetMeter
from extract.results.columns import error_schema
from extract.results.manifest import course_of
from extract.results.progress import Progress, Totals
from extract.results.run import Run, RunDetails
from extract.results.timeline import Sample, Timeline

__all__ = ["Collector"]


@dataclass(slots=True)
class Collector:
    """Takes the blocks of the cluster as they come, in order, and makes of them what a run of one machine leaves."""

    schema: pl.Schema
    inputs: int
    row_id: str | None
    sink: Sink
    on_event: Callable[[Progress], None] | None
    height: int | None
    totals: Totals = field(default_factory=Totals)
    timeline: Timeline = field(default_factory=Timeline)
    interrupted: bool = False
    stopped: ExtractError | None = None
    _stopping: Any = None
    _errors: list[pl.DataFrame] = field(default_factory=list)
    _failed: list[pl.Series] = field(default_factory=list)
    _started: float = field(default_factory=time.monotonic)
    _since: float = field(default_factory=time.time)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    def interrupter(self, actors: Actors) -> Callable[[], None]:
        """Return what a signal calls: the first lets the workers drain, the second gives up."""

        def interrupt() -> None:
            if self.interrupted:
                raise KeyboardInterrupt
            self.interrupted = True
            self._stopping = actors.quota.stop.remote(NotRun("the run was interrupted"))

        return interrupt

    def collect(self, dataset: Dataset, actors: Actors) -> None:
        """Read all blocks. OutputError where the cluster fails."""
        try:
            for block in dataset.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=2):
                self._take(pl.DataFrame(pl.from_arrow(block)))
                self._tell(actors)
        except RayError as error:
            state: State = answered(actors.quota.state.remote)
            why = state.stopped or raised(error)  # a worker that fails tells the quota why
            raise OutputError(f"the cluster failed: {why}; run again to go on from the cache") from None

    def _take(self, frame: pl.DataFrame) -> None:
        first = self.totals.rows
        counted(self.totals, frame)
        self.timeline.add(Sample(self.seconds, self.totals.rows, 0))
        places = pl.int_range(first, first + frame.height, eager=True)
        self._errors.append(errors_of(frame, frame[self.row_id] if self.row_id else places))
        self._failed.append(places.filter(frame[ERROR].is_not_null()))
        valid = frame.filter(pl.col(ERROR).is_null()).select(
            pl.col(name).cast(kind) for name, kind in self.schema.items()
        )
        if valid.height:
            self.sink.write(valid)

    def _tell(self, actors: Actors) -> None:
        if self.on_event is not None:
            self._bill(actors)
            self.on_event(
                Progress(total=self.height, totals=self.totals, seconds=self.seconds, in_flight=0, slots=0, waiting=0.0)
            )

    def _bill(self, actors: Actors) -> State:
        """Read from the ledger what all workers have spent, those that were lost included."""
        totals, state = self.totals, answered(actors.quota.state.remote)
        assert isinstance(state, State), "as the actor says"
        spendings: list[Spending] = answered(lambda: actors.keeper.spent.remote(self._since))
        totals.requests = state.requests
        totals.unknown_attempts = sum(one.unknown for one in spendings)
        totals.cost = _sum([one.cost for one in spendings])
        totals.unknown_cost = _sum([one.bound for one in spendings])
        totals.by_kind = {}
        for one in spendings:
            kind: AttemptKind = one.kind  # type: ignore[assignment]  # the ledger holds what attempts are made of
            totals.by_kind[kind] = totals.by_kind.get(kind, Usage()) + one.usage
        return state

    def finished(self, output: Path, plan: Plan, job: Job, manifest: JsonObject) -> Run:
        """Close the sink and return the Run. A stop before any row was judged is raised."""
        state = self._bill(job.actors)
        self.stopped = self._stop_of(state)
        if self.stopped is not None and self.totals.valid == self.totals.rejected == 0:
            raise self.stopped
        self.timeline.add(Sample(self.seconds, self.totals.rows, 0), last=True)
        id_type = self.schema[self.row_id] if self.row_id else pl.Int64()
        errors = pl.concat([error_schema(id_type).to_frame(), *self._errors])
        whole = self.stopped is None and not self.interrupted
        written, errors_file = None, None
        manifest = manifest | {"run": course_of(self)}
        try:
            if self.totals.valid == 0 and not whole:
                self.sink.abandon()
            else:
                if isinstance(self.sink, ParquetSink):
                    self.sink.metadata = footer(manifest)
                written = self.sink.close(whole=whole)
            errors_file = write_errors(errors, output, whole=whole)
        except OutputError as error:
            self.stopped = self.stopped or error
        return Run(
            totals=self.totals,
            errors=errors,
            losses=plan.schema.losses,
            seconds=self.seconds,
            stopped=self.stopped,
            interrupted=self.interrupted,
            rung=answered(lambda: job.actors.keeper.rung.remote(plan.schema_key)),
            files_left=answered(job.actors.keeper.close_files.remote),
            budget=None if job.budget is None else BudgetMeter(job.budget, state.spent, peak=state.peak),
            output=written,
            errors_file=errors_file,
            details=RunDetails(
                schema=self.schema,
                input_columns=self.inputs,
                failed_places=pl.concat([pl.Series(dtype=pl.Int64), *self._failed]),
                manifest=manifest,
            ),
        )

    def _stop_of(self, state: State) -> ExtractError | None:
        """Return what ended the run, None for the user. OutputError where the workers could not be told to stop."""
        if self.interrupted:
            return failure_of(self._stopping)
        if state.stopped is None and self.totals.not_run:
            return NotRun(f"{self.totals.not_run:,} rows were not reached; run again to take them up")
        return state.stopped


def _sum(sums: list[Decimal | None]) -> Decimal | None:
    """Return the sum, None where one of them is unknown."""
    known = [one for one in sums if one is not None]
    return sum(known, Decimal(0)) if len(known) == len(sums) else None
