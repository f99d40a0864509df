"""The summary of a run on stderr: a headline and a small table."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import timedelta

from rich.console import Console
from rich.text import Text

from extract.cli.accepted_run import accepted_lines
from extract.cli.terminal import console_for, duration, money, plain, rate, width_of
from extract.limits.outage import Outage
from extract.results.run import Run

__all__ = ["say_summary"]

_UNNAMED = 'no column holds them; Extractor(extra="keep") does'
_LABEL_WIDTH = 10  # with the gap behind it


def say_summary(run: Run, *, limit: str = "", cached: bool = True) -> None:
    """Print the summary. `limit` held requests back; `cached` says whether the answers are in a cache."""
    console = console_for(sys.stderr)
    console.print(_headline(run), soft_wrap=True)
    for label, text in _table(run, limit):
        _print_row(console, label, text)
    for number, (path, note) in enumerate(_written(run)):
        # Never wrapped, so that the path can be copied.
        console.print(
            Text.assemble(_label("" if number else "wrote"), plain(path, console), (note, "dim")), soft_wrap=True
        )
    if run.output is None and run.complete:
        _print_row(console, "wrote", "nothing: -o OUTPUT.parquet writes the rows and stores the paid answers")
    if run.interrupted:
        console.print(Text.assemble(("interrupted:", "bold yellow"), _next_run(cached=cached)), soft_wrap=True)
    elif run.stopped is not None:
        console.print(Text.assemble(("stopped:", "bold red"), " ", plain(run.stopped, console)), soft_wrap=True)


def _headline(run: Run) -> Text:
    totals = run.totals
    style = "bold green" if totals.valid == totals.rows else "bold"
    line = Text.assemble((f"{totals.valid:,} of {totals.rows:,} rows valid", style))
    if totals.rejected:
        line.append(", ").append(f"{totals.rejected:,} rejected", "yellow").append(f" ({_reasons(run)})")
    if totals.not_run:
        line.append(", ").append(f"{totals.not_run:,} not run", "yellow")
    if totals.cached:
        line.append(f", {totals.cached:,} from the cache")
    return line


def _table(run: Run, limit: str) -> Iterator[tuple[str, str]]:
    """Yield the rows of the table: a label and its text."""
    totals, usage = run.totals, run.totals.usage
    repeated = [
        f"{count:,} {name}" for count, name in ((totals.retries, "retries"), (totals.repairs, "repairs")) if count
    ]
    yield "requests", f"{totals.requests:,}" + (f", of these {', '.join(repeated)}" if repeated else "")
    if (packed := _packed(run)) is not None:
        yield "pack", packed
    yield from accepted_lines(run)
    yield "tokens", f"{usage.input_tokens:,} in, {usage.output_tokens + usage.thought_tokens:,} out"
    yield "cost", money(totals.cost) + _budgeted(run)
    done = totals.rows - totals.not_run
    speed = f", {rate(done / run.seconds)}" if done and run.seconds >= 1 else ""
    yield "time", _seconds(run.seconds) + speed + (f", held at {limit}" if limit.endswith("/min") else "")
    for outage in run.outages:
        yield "outage", _outage(outage)
    if totals.unknown_attempts:
        bound = f", for at most {money(totals.unknown_cost)}" if totals.unknown_cost else ""
        yield "unknown", f"{totals.unknown_attempts:,} requests may have been billed; no answer says how much{bound}"
    if run.rung:
        yield "schema", f"too complex for the service: sent {run.rung} rungs simpler, and checked here in full"
    if totals.mended:
        yield "mended", f"{totals.mended:,} answers, without asking again (fences, commas, numbers as text)"
    if totals.unnamed:
        yield "unnamed", f"{totals.unnamed:,} answers have members that the schema does not name: {_UNNAMED}"
    if run.row_ids is not None and str(run.row_ids):
        yield "ids", f"{run.row_ids}: eval and report cannot tell such rows apart"
    if run.files_left:
        yield (
            "uploads",
            f"{run.files_left:,} could not be deleted: the next run with this cache does it, or the service after 48 h",
        )


def _packed(run: Run) -> str | None:
    """Return how many rows shared a request and why, None where each had its own and nobody asked for more."""
    pack = run.details.manifest.get("pack")
    if isinstance(pack, dict):
        return f"{_rows_each(pack['rows'])}: {pack['reason']}"
    return _rows_each(pack) if isinstance(pack, int) else None


def _rows_each(rows: int) -> str:
    return "each row has a request of its own" if rows == 1 else f"up to {rows} rows a request"


def _outage(outage: Outage) -> str:
    began = outage.started.astimezone()
    ended = began + timedelta(seconds=outage.seconds)
    times = f"{began:%H:%M:%S} to {ended:%H:%M:%S}, {duration(outage.seconds)}"
    return f"{times}: the service did not answer ({outage.reason}); no row was rejected for it"


def _seconds(seconds: float) -> str:
    return f"{seconds:.{1 if seconds >= 1 else 2}f} s" if seconds < 10 else duration(seconds)


def _budgeted(run: Run) -> str:
    if run.budget is None or run.budget.budget.dollars is None:
        return ""
    return f" of a budget of {money(run.budget.budget.dollars)} (at most {money(run.budget.peak)} reserved at a time)"


def _written(run: Run) -> Iterator[tuple[str, str]]:
    """Yield the files that the run leaves behind, each with a note."""
    if run.output is not None:
        yield str(run.output), ""
    if run.errors_file is not None:
        yield str(run.errors_file), ": the rows without an answer, and why"
    if run.review_file is not None:
        yield str(run.review_file), ": the rows for people"
    for path in run.member_files:
        yield str(path), ": a row for each member"


def _reasons(run: Run) -> str:
    rejected = [(count, code) for code, count in run.totals.errors.items() if code != "not_run"]
    return ", ".join(f"{count:,} {code}" for count, code in sorted(rejected, reverse=True))


def _next_run(*, cached: bool) -> str:
    if cached:
        return " run the same command again to continue; paid answers are in the cache"
    return " without a cache (--no-cache) the next run asks all rows again"


def _label(name: str) -> tuple[str, str]:
    return f"  {name:<{_LABEL_WIDTH}}", "dim"


def _print_row(console: Console, label: str, text: str) -> None:
    """Print one row; where it is too wide, the lines after the first are indented like its text."""
    width = max(width_of(console) - _LABEL_WIDTH - 2, 16)
    for number, line in enumerate(Text(text).wrap(console, width)):
        console.print(Text.assemble(_label("" if number else label), line), soft_wrap=True)
