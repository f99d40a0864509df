"""Collects the blocks of a cluster in order, into what a run of one machine leaves: file, errors, totals."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import polars as pl
from ray.data import Dataset
from ray.exceptions import RayError

from extract.distributed.actors import Actors, RunState, as_extract_error, failure_of, result_of
from extract.distributed.error_column import ERROR, add_counts, errors_of
from extract.distributed.worker import Job
from extract.errors import ExtractError, NotRun, OutputError
from extract.interactions.usage import AttemptKind, Usage
from extract.io.cache.ledger import Spending
from extract.io.sinks.base import Sink
from extract.limits.budget import BudgetMeter
from extract.results.columns import error_schema
from extract.results.ending import Ending
from extract.results.progress import Progress, Totals
from extract.results.row_ids import RowIdCounter
from extract.results.timeline import Sample, Timeline

__all__ = ["Collector"]


@dataclass(slots=True)
class Collector:
    """Writes the blocks of the cluster to the sink as they come, in order, and adds up errors and totals.

    `height` is the number of rows to come, None where it is not known.
    """

    schema: pl.Schema
    row_id: str | None
    sink: Sink
    on_event: Callable[[Progress], None] | None
    height: int | None
    totals: Totals = field(default_factory=Totals)
    timeline: Timeline = field(default_factory=Timeline)
    interrupted: bool = False
    _stopping: Any = None
    _errors: list[pl.DataFrame] = field(default_factory=list)
    _failed: list[pl.Series] = field(default_factory=list)
    _ids: RowIdCounter = field(default_factory=RowIdCounter)
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
                self._write(pl.DataFrame(pl.from_arrow(block)))
                self._report_progress(actors)
        except RayError as error:
            state: RunState = result_of(actors.quota.state.remote)
            reason = state.stopped or as_extract_error(error)  # a worker that fails reports to the quota why
            raise OutputError(f"the cluster failed: {reason}; run again to go on from the cache") from None

    def _write(self, frame: pl.DataFrame) -> None:
        first = self.totals.rows
        add_counts(self.totals, frame)
        self.timeline.add(Sample(self.seconds, self.totals.rows, 0))
        positions = pl.int_range(first, first + frame.height, eager=True)
        if self.row_id:
            self._ids.add(frame[self.row_id])
        self._errors.append(errors_of(frame, frame[self.row_id] if self.row_id else positions))
        self._failed.append(positions.filter(frame[ERROR].is_not_null()))
        valid = frame.filter(pl.col(ERROR).is_null()).select(
            pl.col(name).cast(kind) for name, kind in self.schema.items()
        )
        if valid.height:
            self.sink.write(valid)

    def _report_progress(self, actors: Actors) -> None:
        if self.on_event is not None:
            self._update_costs(actors)
            self.on_event(
                Progress(total=self.height, totals=self.totals, seconds=self.seconds, in_flight=0, slots=0, waiting=0.0)
            )

    def _update_costs(self, actors: Actors) -> RunState:
        """Read from the ledger what all workers have spent, including those that were lost."""
        totals, state = self.totals, result_of(actors.quota.state.remote)
        assert isinstance(state, RunState), "the return type of QuotaActor.state"
        spendings: list[Spending] = result_of(lambda: actors.cache.spent.remote(self._since))
        totals.requests = state.requests
        totals.unknown_attempts = sum(one.unknown for one in spendings)
        totals.cost = _sum([one.cost for one in spendings])
        totals.unknown_cost = _sum([one.bound for one in spendings])
        totals.by_kind = {}
        for one in spendings:
            kind: AttemptKind = one.kind  # type: ignore[assignment]  # the ledger holds what attempts are made of
            totals.by_kind[kind] = totals.by_kind.get(kind, Usage()) + one.usage
        return state

    def ending(self, job: Job) -> Ending:
        """Return how the run went, once all blocks are read."""
        state = self._update_costs(job.actors)
        self.timeline.add(Sample(self.seconds, self.totals.rows, 0), last=True)
        id_type = self.schema[self.row_id] if self.row_id else pl.Int64()
        budget = job.options.budget
        return Ending(
            totals=self.totals,
            timeline=self.timeline,
            seconds=self.seconds,
            stopped=self._stop_of(state),
            interrupted=self.interrupted,
            errors=pl.concat([error_schema(id_type).to_frame(), *self._errors]),
            failed_places=pl.concat([pl.Series(dtype=pl.Int64), *self._failed]),
            row_ids=self._ids.result() if self.row_id else None,
            meter=None if budget is None else BudgetMeter(budget, state.spent, peak=state.peak),
        )

    def _stop_of(self, state: RunState) -> ExtractError | None:
        """Return what ended the run, None where the user did. An error where the workers could not be stopped."""
        if self.interrupted:
            return failure_of(self._stopping)
        if state.stopped is None and self.totals.not_run:
            return NotRun(f"{self.totals.not_run:,} rows were not reached; run again to process them")
        return state.stopped


def _sum(sums: list[Decimal | None]) -> Decimal | None:
    """Return the sum, None where one of them is unknown."""
    known = [one for one in sums if one is not None]
    return sum(known, Decimal(0)) if len(known) == len(sums) else None
