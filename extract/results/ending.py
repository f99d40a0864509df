"""The end of a run: the sink is closed, rejected rows are written, and the result becomes a Run."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from extract.errors import ORDERS, ExtractError, unforeseen
from extract.io.sinks.base import Sink
from extract.io.sinks.open import write_errors
from extract.io.sinks.replaced import Replaced
from extract.io.sinks.routed import RoutedSink
from extract.json_types import JsonObject
from extract.limits.budget import BudgetMeter
from extract.limits.outage import Outage
from extract.results.exploded import write_exploded
from extract.results.manifest import course_of
from extract.results.progress import Totals
from extract.results.row_ids import RowIds
from extract.results.run import Run, RunDetails
from extract.results.timeline import Timeline
from extract.schema import OutputSchema
from extract.schema.losses import Loss

__all__ = ["Ending", "Opened", "finish"]

_log = logging.getLogger("extract.runner")


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What is known before the first request: where rows go, and what the output looks like.

    `output` is the path that the user named, None where rows stay in memory or go to the user's own sink. The first
    `input_columns` columns of the schema are those of the input; `answers` is what the others hold. `explode` are
    the columns whose members get tables of their own, beside a whole output. `replaced` is the output that stays where
    the run, whose number of rows is unknown, turns out to cover fewer.
    """

    sink: Sink
    output: Path | None
    explode: tuple[str, ...] = ()
    csv_safe: bool = False
    schema: pl.Schema
    input_columns: int
    manifest: JsonObject
    losses: tuple[Loss, ...]
    answers: OutputSchema | None = None
    replaced: Replaced | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a run went, on one machine or on many.

    `sink_failed`: the sink could not take all rows. `sink_lost`: an interrupt has taken from it what it had.
    `failed_places` are the positions of `errors` in the input, counted from 0. `acceptance` says what was accepted, on
    which promise; None where nothing was to be.
    """

    totals: Totals
    timeline: Timeline
    seconds: float
    stopped: ExtractError | None
    interrupted: bool
    errors: pl.DataFrame
    failed_places: pl.Series
    sink_failed: bool = False
    sink_lost: bool = False
    rung: int = 0
    files_left: int = 0
    outages: tuple[Outage, ...] = ()
    row_ids: RowIds | None = None
    meter: BudgetMeter | None = None
    acceptance: JsonObject | None = None

    @property
    def whole(self) -> bool:
        """True where the run reached its end."""
        return self.stopped is None and not self.interrupted


def finish(opened: Opened, ending: Ending) -> Run:
    """Close the sink, write the rejected rows, and return the Run.

    A stop before any row was valid or rejected is raised: there is nothing to return. Where the output cannot be
    written, the Run says so in `stopped`; its answers are in the cache.
    """
    if ending.stopped is not None and ending.totals.valid == ending.totals.rejected == 0:
        raise ending.stopped
    stopped, manifest = ending.stopped, opened.manifest | {"run": course_of(ending)}
    if ending.acceptance is not None:
        manifest["acceptance"] = ending.acceptance
    output: Path | None = None
    errors_file: Path | None = None
    member_files: tuple[Path, ...] = ()
    if (larger := _larger(opened, ending)) is not None:
        manifest["run"]["beside"] = larger.path.name
        larger.keep()
    try:
        if _is_worthless(opened, ending):
            opened.sink.abandon()
        else:
            output = opened.sink.close(whole=ending.whole, manifest=manifest)
        if opened.output is not None:
            named = opened.output if larger is None or output is None else output
            errors_file = write_errors(ending.errors, named, whole=ending.whole, rows=ending.totals.rows)
        if output is not None and ending.whole:
            member_files = _write_members(opened, output)
    except ORDERS:
        raise
    except BaseException as error:  # a sink is a user's code, and Polars panics as a BaseException
        stopped = stopped or unforeseen(error, "the output cannot be finished")
    if larger is not None and output is not None:
        covered = (larger.path.name, larger.rows, ending.totals.rows)
        _log.warning("%s covers %d rows, more than the %d of this run: these are in %s", *covered, output.name)
    return Run(
        totals=ending.totals,
        errors=ending.errors,
        losses=opened.losses,
        seconds=ending.seconds,
        stopped=stopped,
        interrupted=ending.interrupted,
        rung=ending.rung,
        files_left=ending.files_left,
        outages=ending.outages,
        row_ids=ending.row_ids,
        budget=ending.meter,
        output=output,
        errors_file=errors_file,
        member_files=member_files,
        review_file=opened.sink.review_file if isinstance(opened.sink, RoutedSink) else None,
        details=RunDetails(
            schema=opened.schema,
            input_columns=opened.input_columns,
            failed_places=ending.failed_places,
            manifest=manifest,
            sink=opened.sink,
            answers=opened.answers,
        ),
    )


def _larger(opened: Opened, ending: Ending) -> Replaced | None:
    """Return the finished output that covers more rows than the run, None where there is none."""
    replaced = opened.replaced
    return replaced if replaced is not None and ending.whole and ending.totals.rows < replaced.rows else None


def _write_members(opened: Opened, output: Path) -> tuple[Path, ...]:
    """Write a table for each column to explode, and return their paths."""
    rows = opened.sink.scan(opened.schema) if opened.explode else None
    if rows is None:
        return ()
    return tuple(write_exploded(rows, output, column, csv_safe=opened.csv_safe) for column in opened.explode)


def _is_worthless(opened: Opened, ending: Ending) -> bool:
    """Return whether the output is not worth keeping: a file without a row, or one that Ctrl-C broke off.

    Rows in memory, or in a sink of the user's, are kept as far as they came, unless the sink itself has lost them.
    """
    if ending.interrupted and ending.sink_lost:
        return True
    if opened.output is None:
        return False
    return (ending.interrupted and ending.sink_failed) or (ending.totals.valid == 0 and not ending.whole)
