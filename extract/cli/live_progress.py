"""Progress of a run on stderr: lines that are redrawn on a terminal, a plain line now and then in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Literal, Protocol, TextIO, TypeAlias

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.text import Text

from extract.cli.json_log import JsonLog
from extract.cli.terminal import console_for, duration, is_live, money, rate, signs_for
from extract.results.eta import Eta
from extract.results.progress import Progress

__all__ = ["Log", "LogForm", "Status", "Watcher", "watched"]

LogForm: TypeAlias = Literal["auto", "plain", "json"]

LOG_EVERY = 30.0  # seconds between two lines of a log
_HELD_FOR = 3.0  # seconds for which a limit stays on display: it is reached for moments only, between requests
_MIN_SECONDS, _MIN_ROWS = 5.0, 20  # either must be reached before a rate is shown
_BAR = 30  # columns, at most
_STILL, _WARNING = "dim", "yellow"


class Watcher(Protocol):
    """Receives a run's progress. `limit` is the last limit that held requests back, "" where none did."""

    limit: str

    def __call__(self, progress: Progress) -> None: ...


@contextmanager
def watched(*, quiet: bool, log: LogForm = "auto") -> Iterator[Watcher | None]:
    """Yield the listener that shows a run on stderr; None where `quiet`.

    `log` is "json" for lines that programs read, quiet or not, and "plain" for those of a log on a terminal, too.
    """
    if log == "json":
        with JsonLog(sys.stderr, LOG_EVERY).listening() as lines:
            yield lines
    elif quiet:
        yield None
    elif log == "plain":
        yield Log(sys.stderr)
    elif is_live(sys.stderr):
        status = Status()
        console = console_for(sys.stderr)
        # What functions of the pipeline print goes above the lines on a terminal, and stays as it is in a file.
        with Live(status, console=console, transient=True, refresh_per_second=8, redirect_stdout=sys.stdout.isatty()):
            yield status
    else:
        yield Log(sys.stderr)


class _Latest:
    """The latest progress of a run, with its estimated end and the limit that held it back a moment ago."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit: str = ""
        self.progress: Progress | None = None
        self.eta: Eta | None = None
        self._clock = clock
        self._updated_at = 0.0
        self._held_at = float("-inf")

    def __call__(self, progress: Progress) -> None:
        self.eta = Eta.of(progress, self.eta)
        self.progress = progress
        self._updated_at = self._clock()
        if progress.limit:
            self.limit, self._held_at = progress.limit, progress.seconds

    def since(self) -> float:
        """Seconds since the progress was updated."""
        return self._clock() - self._updated_at

    def notes(self, progress: Progress, eta: Eta) -> Iterator[tuple[str, str]]:
        """Yield the parts of the status line, each with its style."""
        totals = progress.totals
        if eta.rows_per_second and (progress.seconds >= _MIN_SECONDS or totals.rows >= _MIN_ROWS):
            yield rate(eta.rows_per_second), "cyan"
            if eta.seconds_left:
                yield f"{duration(eta.seconds_left)} left", "cyan"
        projected = eta.projected_cost
        # Answers arrive while this is drawn, so that the cost may have passed the projection of a moment ago.
        more = projected is not None and totals.cost is not None and projected > totals.cost and not progress.stopping
        expected = f" of about {money(projected)}" if more else ""
        yield money(totals.cost) + expected, ""
        if totals.cached:
            yield f"{totals.cached:,} from the cache", ""
        if totals.rejected:
            yield f"{totals.rejected:,} rejected", _WARNING
        yield self._state(progress)

    def _state(self, progress: Progress) -> tuple[str, str]:
        if progress.stopping:
            flying = f"stopping: {progress.in_flight:,} in flight"
            again = "; Ctrl-C again to stop now" if progress.interrupted else ""
            return flying + again if progress.in_flight else "stopping", "bold yellow"
        waiting = progress.waiting - self.since()
        if progress.outage:
            down = f"no answer for {duration(progress.outage + self.since())}"
            return f"{down}, next try in {duration(max(waiting, 0.0))}", _WARNING
        if waiting >= 1:
            # A rate is a quota; any other limit is a sentence about the service.
            why = f" for quota ({self.limit})" if self.limit.endswith("/min") else f": {self.limit}"
            return f"waiting {duration(waiting)}{why}", _WARNING
        if progress.seconds - self._held_at < _HELD_FOR:
            return f"{'quota reached' if self.limit.endswith('/min') else 'held back'}: {self.limit}", _STILL
        if progress.in_flight == 0 and _done(progress) != progress.total:
            return "waiting to try again", _STILL
        return f"{progress.in_flight:,} in flight", _STILL


class Status(_Latest):
    """A bar and the status, in as many lines as the width of the terminal needs. Rich draws it in its own thread."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        progress, eta = self.progress, self.eta
        if progress is None or eta is None:
            yield Text("Starting" + signs_for(console).more, _STILL)
            return
        yield from self._bar(progress, options.max_width)
        yield from _packed(self.notes(progress, eta), signs_for(console).dot, options.max_width)

    def _bar(self, progress: Progress, width: int) -> RenderResult:
        done, total = _done(progress), progress.total
        elapsed = duration(progress.seconds + self.since())
        if not total:
            yield Text(f"{done:,} rows  {elapsed}", "bold")
            return
        label = Text.assemble((f" {done:,}/{total:,} ", "bold"), f"{done / total:.0%} ", (elapsed, _STILL))
        if (room := min(_BAR, width - label.cell_len - 1)) >= 8:
            yield _Beside(ProgressBar(total=total, completed=done, width=room), label)
        else:
            yield Text(label.plain.strip(), "bold")


class _Beside:
    """A bar and a text to the right of it, in one line."""

    def __init__(self, bar: ProgressBar, text: Text) -> None:
        self.bar, self.text = bar, text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from console.render(self.bar, options)
        yield self.text


def _packed(notes: Iterable[tuple[str, str]], dot: str, width: int) -> Iterator[Text]:
    """Yield lines of at most `width` columns, broken between notes."""
    line = Text(overflow="ellipsis", no_wrap=True)
    for note, style in notes:
        if line and line.cell_len + cell_len(dot) + cell_len(note) > width:
            yield line
            line = Text(overflow="ellipsis", no_wrap=True)
        if line:
            line.append(dot, _STILL)
        line.append(note, style)
    yield line


class Log(_Latest):
    """Writes one plain line every half minute, with the local time, so that a log shows life; none for a shorter run.

    `now` gives the time of the day.
    """

    def __init__(
        self,
        file: TextIO,
        every: float = LOG_EVERY,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = datetime.now,
    ) -> None:
        super().__init__(clock)
        self._now = now
        self._file: TextIO | None = file
        self._every, self._next = every, every
        self._stopping = False

    def __call__(self, progress: Progress) -> None:
        super().__call__(progress)
        just_stopped = progress.stopping and not self._stopping and progress.in_flight > 0
        if progress.seconds >= self._next or just_stopped:
            self._next = progress.seconds + self._every
            self._stopping = progress.stopping
            self._write(progress)

    def _write(self, progress: Progress) -> None:
        if self._file is None or self.eta is None:
            return
        done, total = _done(progress), progress.total
        rows = f"{done:,} of {total:,} rows ({done / total:.0%})" if total else f"{done:,} rows"
        notes = [f"{rows} in {duration(progress.seconds)}", *(n for n, _ in self.notes(progress, self.eta))]
        try:
            self._file.write(f"{self._now():%Y-%m-%d %H:%M:%S}  {', '.join(notes)}\n")
            self._file.flush()
        except (OSError, ValueError):  # nobody reads the log any more; the run must go on
            self._file = None


def _done(progress: Progress) -> int:
    return progress.totals.rows - progress.totals.not_run
