"""A line of progress while a run lasts: by default in notebooks, elsewhere on request."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Protocol

from extract.limits.pricing import money
from extract.results.eta import Eta
from extract.results.notebook import in_kernel
from extract.results.progress import Progress

__all__ = ["Listener", "shown", "status"]

Listener = Callable[[Progress], None]

_DRAW_EVERY = 0.25  # seconds between two drawings: a widget takes about a millisecond for each


class _Line(Protocol):
    def draw(self, progress: Progress, text: str) -> None: ...
    def close(self) -> None: ...


@contextmanager
def shown(wanted: bool | None, listener: Listener | None = None) -> Iterator[Listener | None]:
    """Yield the listener for a run: it draws the progress and passes it on to `listener`.

    `wanted` True draws, False does not; None draws in notebooks only.
    """
    if not (in_kernel() if wanted is None else wanted):
        yield listener
        return
    drawn = _Drawn(_line(), listener)
    try:
        yield drawn
    finally:
        drawn.close()


def status(progress: Progress, eta: Eta, *, over: bool = False) -> str:
    """Return in one line how fast a run is, how long it will take, what it costs and what it waits for."""
    totals = progress.totals
    notes = [_duration(progress.seconds)] if over else [f"{_number(eta.rows_per_second)} rows/s"]
    if eta.seconds_left and not over:
        notes.append(f"{_duration(eta.seconds_left)} left")
    notes.append(_cost(totals.cost, None if over else eta.projected_cost))
    if totals.cached:
        notes.append(f"{totals.cached:,} from the cache")
    if totals.rejected:
        notes.append(f"{totals.rejected:,} rejected")
    if progress.stopping:
        notes.append("stopped" if over else f"stopping, {progress.in_flight} in flight")
    elif progress.outage and not over:
        notes.append(f"no answer for {_duration(progress.outage)}, next try in {_duration(progress.waiting)}")
    elif progress.waiting >= 1 and not over:
        notes.append(f"waiting {_duration(progress.waiting)} for quota")
    return " · ".join(notes)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"


def _cost(so_far: Decimal | None, projected: Decimal | None) -> str:
    if so_far is None:
        return "cost unknown"
    expected = "" if projected is None or projected == so_far else f" of about {money(projected)}"
    return money(so_far) + expected


class _Drawn:
    """Draws a run's progress a few times a second. A failure to draw never stops the run, whose answers cost money."""

    def __init__(self, line: _Line, listener: Listener | None) -> None:
        self._line: _Line | None = line
        self._listener = listener
        self._eta: Eta | None = None
        self._drawn = float("-inf")
        self._last: Progress | None = None

    def __call__(self, progress: Progress) -> None:
        self._last = progress
        if progress.seconds - self._drawn >= _DRAW_EVERY:
            self._drawn = progress.seconds
            self._draw(progress)
        if self._listener is not None:
            self._listener(progress)

    def close(self) -> None:
        """Draw how the run ended, and leave that on the screen."""
        if self._last is not None:
            self._draw(self._last, over=True)
        self._try(lambda line: line.close())

    def _draw(self, progress: Progress, *, over: bool = False) -> None:
        def draw(line: _Line) -> None:
            self._eta = Eta.of(progress, self._eta)
            line.draw(progress, status(progress, self._eta, over=over))

        self._try(draw)

    def _try(self, work: Callable[[_Line], None]) -> None:
        if self._line is None:
            return
        try:
            work(self._line)
        except Exception:  # the front end is gone, or cannot show this kind of output
            self._line = None


def _line() -> _Line:
    has_tqdm = find_spec("tqdm") is not None
    if in_kernel():
        return _Widget() if has_tqdm and find_spec("ipywidgets") is not None else _CellLine()
    return _Bar() if has_tqdm else _TerminalLine()


class _Bar:
    """tqdm's bar, as text on stderr."""

    def __init__(self) -> None:
        self._bar: Any = None

    def draw(self, progress: Progress, text: str) -> None:
        if self._bar is None:
            self._bar = self._new(progress.total)
        self._bar.n = _done(progress)
        self._bar.set_postfix_str(text, refresh=True)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()

    def _new(self, total: int | None) -> Any:
        return import_module("tqdm").tqdm(total=total, bar_format=_bar_format(total))


class _Widget(_Bar):
    """tqdm's bar as a widget of a notebook, which at the end becomes an output that a saved notebook keeps.

    Of a widget a notebook saves the text that it had when it was shown: 0 %.
    """

    def __init__(self) -> None:
        super().__init__()
        self._shown: Any = None
        self._last: tuple[Progress, str] | None = None

    def draw(self, progress: Progress, text: str) -> None:
        super().draw(progress, text)
        self._last = (progress, text)

    def close(self) -> None:
        super().close()
        if self._shown is not None and self._last is not None:
            self._shown.update(_output(*self._last), raw=True)

    def _new(self, total: int | None) -> Any:
        bar = import_module("tqdm.notebook").tqdm(total=total, bar_format=_bar_format(total), display=False)
        self._shown = import_module("IPython.display").display(bar.container, display_id=True)
        return bar


def _bar_format(total: int | None) -> str:
    return "{percentage:3.0f}% {bar} {n_fmt}/{total_fmt} rows{postfix}" if total else "{n_fmt} rows{postfix}"


class _CellLine:
    """One output of a cell, replaced in place. It needs only IPython, and stays readable in a saved notebook."""

    def __init__(self) -> None:
        self._shown: Any = None

    def draw(self, progress: Progress, text: str) -> None:
        data = _output(progress, text)
        if self._shown is None:
            self._shown = import_module("IPython.display").display(data, raw=True, display_id=True)
        else:
            self._shown.update(data, raw=True)

    def close(self) -> None:
        """Leave the last line on the screen."""


class _TerminalLine:
    """One line on stderr, rewritten where that is a terminal; a file gets only the last state."""

    def __init__(self) -> None:
        self._line = ""

    def draw(self, progress: Progress, text: str) -> None:
        self._line = _counted(progress, text)
        if sys.stderr.isatty():
            sys.stderr.write(f"\r\x1b[K{self._line}")
            sys.stderr.flush()

    def close(self) -> None:
        if self._line:
            sys.stderr.write("\n" if sys.stderr.isatty() else f"{self._line}\n")


def _output(progress: Progress, text: str) -> dict[str, str]:
    """Return how far a run is as an output of a cell: text, and a bar where the number of rows is known."""
    line = _counted(progress, text)
    if not progress.total:
        return {"text/plain": line}
    share = f"{100 * _done(progress) // progress.total}% "
    bar = f'<progress value="{_done(progress)}" max="{progress.total}"></progress>'
    return {"text/plain": share + line, "text/html": f"<div>{share}{bar} {line}</div>"}


def _done(progress: Progress) -> int:
    return progress.totals.rows - progress.totals.not_run


def _counted(progress: Progress, text: str) -> str:
    expected = "" if progress.total is None else f" of {progress.total:,}"
    return f"{_done(progress):,}{expected} rows · {text}"
