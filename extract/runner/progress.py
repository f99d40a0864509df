"""What a run reports while it lasts: events for a listener, and the timeline of its footer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from extract.errors import ConfigError, in_one_line
from extract.results.progress import Progress, Totals
from extract.results.timeline import Sample, Timeline
from extract.runner.state import RunState

__all__ = ["ProgressReporter"]

_EVERY = 0.1  # seconds between two progress events
_AT_LEAST_EVERY = 0.5  # seconds between two of them while nothing happens


class ProgressReporter:
    """Counts what is done and reports it, to a listener if there is one. `height` is the number of rows, if known."""

    def __init__(
        self,
        state: RunState,
        height: int | None,
        on_event: Callable[[Progress], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.totals: Totals = Totals()
        self.timeline: Timeline = Timeline()
        self._state, self._height, self._on_event, self._clock = state, height, on_event, clock
        self._started = self._reported = clock()

    @property
    def seconds(self) -> float:
        """Seconds since the run began."""
        return self._clock() - self._started

    def report_if_due(self) -> None:
        """Report, unless that was done a moment ago."""
        if self._clock() - self._reported >= _EVERY:
            self.report()

    async def keep_reporting(self) -> None:
        """Report a run in which nothing is settled, too: it may wait for its quota."""
        while self._on_event is not None:
            await asyncio.sleep(_AT_LEAST_EVERY)
            if self._clock() - self._reported >= _AT_LEAST_EVERY:
                self.report()

    def report(self, *, last: bool = False) -> None:
        """Add to the timeline and call the listener. One that raises is called no more, and ends the run."""
        self._reported = self._clock()
        self.timeline.add(Sample(self.seconds, self.totals.rows, self._state.limiter.active), last=last)
        if self._on_event is None:
            return
        try:
            self._on_event(self._progress())
        except KeyboardInterrupt:  # Polars raises it in whichever thread calls it
            self._state.interrupt()
        except BaseException as error:  # the listener is a user's code, and what is in flight is paid for
            self._on_event = None
            self._state.stop(ConfigError(f"on_event raised {in_one_line(error)}"))

    def _progress(self) -> Progress:
        limiter, outage = self._state.limiter, self._state.outage
        return Progress(
            total=self._height,
            totals=self.totals,
            seconds=self.seconds,
            in_flight=limiter.active,
            slots=limiter.slots,
            waiting=limiter.waiting_for(),
            limit="" if outage else limiter.limit_reached(),
            rpm=limiter.rpm,
            tpm=limiter.tpm,
            stopping=self._state.stopping,
            outage=outage,
            interrupted=self._state.interrupted,
        )
