"""What a person sees while a run lasts and when it is over. All of it on stderr; stdout is for data."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from extract.errors import ConfigError, ExtractError, SchemaError
from extract.results import Progress, Run
from extract.schema import OutputSchema

__all__ = ["exit_status", "say_error", "say_summary", "say_warnings", "watched"]

STOPPED, WRONG_USAGE, SOME_REJECTED, INTERRUPTED = 1, 2, 3, 130


def exit_status(result: Run | ExtractError) -> int:
    """Return the exit status of the command line for a run, or for the error that ended one."""
    if isinstance(result, ExtractError):
        return WRONG_USAGE if isinstance(result, ConfigError | SchemaError) else STOPPED
    if result.interrupted:
        return INTERRUPTED
    if result.stopped is not None:
        return exit_status(result.stopped)
    return SOME_REJECTED if result.totals.rejected else 0


def say_error(error: ExtractError) -> None:
    """Print an error in one line that says what to do."""
    _console().print(f"[bold red]error:[/] {escape(str(error))}", soft_wrap=True)


def say_warnings(schema: OutputSchema) -> None:
    """Print what may get a schema refused, before anything is sent."""
    console = _console()
    for warning in schema.complexity.warnings:
        console.print(f"[yellow]warning:[/] {escape(warning)}", highlight=False, soft_wrap=True)


@contextmanager
def watched(*, quiet: bool) -> Iterator[Callable[[Progress], None] | None]:
    """Give the listener that draws a bar with rate, time left, cost and rejected rows; None where nobody looks."""
    console = _console()
    if quiet or not console.is_terminal:
        yield None
        return
    columns = (
        BarColumn(bar_width=24),
        TaskProgressColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Bar(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=None, rate="", note="")

        def draw(progress: Progress) -> None:
            rate = progress.totals.rows / progress.seconds if progress.seconds else 0.0
            bar.update(
                task,
                total=progress.total,
                completed=progress.totals.rows,
                rate=f"{rate:,.0f} rows/s",
                note=_note(progress),
            )

        yield draw


def _note(progress: Progress) -> str:
    totals = progress.totals
    notes = [_money(totals.cost)]
    if totals.rejected:
        notes.append(f"{totals.rejected:,} rejected")
    if progress.stopping:
        notes.append(f"stopping: {progress.in_flight} in flight; Ctrl-C again to stop now")
    elif progress.waiting >= 1:
        notes.append(f"waiting {progress.waiting:.0f} s for quota")
    return " · ".join(notes)


def say_summary(run: Run) -> None:
    """Print how a run went, in a few lines that a person can read."""
    console = _console()
    for line in _summary_lines(run):
        console.print(line, highlight=False, soft_wrap=True)


def _summary_lines(run: Run) -> Iterator[str]:
    totals = run.totals
    parts = [f"[bold]{totals.valid:,} of {totals.rows:,} rows valid[/]"]
    if totals.rejected:
        parts.append(f"[yellow]{totals.rejected:,} rejected[/] ({_reasons(run)})")
    if totals.not_run:
        parts.append(f"[yellow]{totals.not_run:,} not run[/]")
    if totals.cached:
        parts.append(f"{totals.cached:,} from the cache")
    yield ", ".join(parts)
    usage = totals.usage
    yield (
        f"{totals.requests:,} requests ({totals.retries:,} retries, {totals.repairs:,} repairs), "
        f"{usage.input_tokens:,} tokens in, {usage.output_tokens + usage.thought_tokens:,} out, "
        f"{_money(totals.cost)}, {run.seconds:.1f} s"
    )
    if run.rung:
        yield f"the schema was too complex for the service: sent {run.rung} rungs simpler, and checked here in full"
    if totals.mended:
        yield f"{totals.mended:,} answers were mended without asking again (fences, commas, numbers as text)"
    if totals.unknown_attempts:
        most = f", at most {_money(totals.unknown_cost)}" if totals.unknown_cost else ""
        yield f"{totals.unknown_attempts:,} requests may have been billed without an answer arriving{most}"
    if run.budget is not None and run.budget.budget.dollars is not None:
        yield f"budget {_money(run.budget.budget.dollars)}; at most {_money(run.budget.peak)} was reserved at one time"
    yield from _written(run)
    if run.interrupted:
        yield "[yellow]interrupted:[/] run the same command again to go on; what was paid for is in the cache"
    elif run.stopped is not None:
        yield f"[bold red]stopped:[/] {escape(str(run.stopped))}"


def _written(run: Run) -> Iterator[str]:
    """Tell what the run leaves behind."""
    if run.output is not None:
        yield f"wrote {escape(str(run.output))}"
    if run.errors_file is not None:
        yield f"wrote {escape(str(run.errors_file))}: the rows without an answer, and why"
    if run.files_left:
        yield (
            f"{run.files_left:,} uploaded files could not be deleted: the next run with this cache does it, or the "
            "service after 48 hours"
        )


def _reasons(run: Run) -> str:
    rejected = [(count, code) for code, count in run.totals.errors.items() if code != "not_run"]
    return ", ".join(f"{count:,} {code}" for count, code in sorted(rejected, reverse=True))


def _money(cost: Decimal | None) -> str:
    if cost is None:
        return "cost unknown"
    return f"${cost:,.2f}" if cost >= 1 else f"${cost:.4f}"


def _console() -> Console:
    return Console(stderr=True, file=sys.stderr)
