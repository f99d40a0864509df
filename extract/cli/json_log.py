"""Progress for programs: one JSON object per line on stderr."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TextIO

from extract.json_types import JsonObject
from extract.results.progress import Progress

__all__ = ["JsonLog"]


class JsonLog:
    """Writes a line when the run starts to answer, then every `every` seconds, and `end` with the summary.

    Every line has `time` (UTC, ISO 8601) and `event`: progress, warning, stopping or end. Amounts are numbers in US
    dollars, null where they are unknown; `rpm` and `tpm` are the requests and input tokens that may pass per minute.
    """

    def __init__(self, file: TextIO, every: float, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.limit: str = ""
        self._file: TextIO | None = file
        self._every, self._next, self._now = every, 0.0, now
        self._stopping = False

    def __call__(self, progress: Progress) -> None:
        self.limit = progress.limit or self.limit
        just_stopped = progress.stopping and not self._stopping
        if progress.seconds >= self._next or just_stopped:
            self._next = progress.seconds + self._every
            self._stopping = progress.stopping
            self._write("stopping" if just_stopped else "progress", _line_of(progress))

    @contextmanager
    def listening(self) -> Iterator[JsonLog]:
        """Write what the library warns of as lines, too, while this is open."""
        logger, handler = logging.getLogger("extract"), _Warnings(self)
        logger.addHandler(handler)
        try:
            yield self
        finally:
            logger.removeHandler(handler)

    def warn(self, message: str) -> None:
        """Write a warning."""
        self._write("warning", {"message": message})

    def end(self, summary: JsonObject) -> None:
        """Write the last line."""
        self._write("end", summary)

    def _write(self, event: str, values: dict[str, Any]) -> None:
        if self._file is None:
            return
        head = {"time": self._now().isoformat(timespec="milliseconds"), "event": event}
        try:
            self._file.write(json.dumps(head | values) + "\n")
            self._file.flush()
        except (OSError, ValueError):  # nobody reads the log any more; the run must go on
            self._file = None


class _Warnings(logging.Handler):
    """Hands warnings to a log of JSON lines; without it, Python would print them as plain text."""

    def __init__(self, log: JsonLog) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        self._log.warn(record.getMessage())


def _line_of(progress: Progress) -> dict[str, Any]:
    state = {
        "total": progress.total,
        "seconds": round(progress.seconds, 3),
        "in_flight": progress.in_flight,
        "waiting": round(progress.waiting, 3),
        "limit": progress.limit,
        "rpm": progress.rpm,
        "tpm": progress.tpm,
    }
    return state | progress.totals.counts()
