"""How a run went over time, and what it cost: from the output's footer, and from the ledger in its cache."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from extract.errors import ExtractError
from extract.io.cache.ledger import Spending
from extract.io.cache.response_cache import ResponseCache
from extract.json_types import JsonObject

__all__ = ["Course", "Ledger", "Moment", "course_of", "read_ledger"]

_POINTS = 60


class Moment(NamedTuple):
    """One interval of a run: its end in seconds since the start, rows a second and requests in flight within it."""

    seconds: float
    rate: float
    in_flight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """The run that wrote an output. `totals` are its counts, {} where the footer has none; `moments` its timeline."""

    seconds: float | None
    stopped: str | None
    interrupted: bool
    totals: JsonObject
    moments: tuple[Moment, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """What all runs with a cache took. `rates` is (Unix time, attempts) in equal intervals of `interval` seconds.

    `problem` says why the cache could not be read.
    """

    answers: int = 0
    spent: tuple[Spending, ...] = ()
    interval: float = 0.0
    rates: tuple[tuple[float, int], ...] = ()
    problem: str | None = None


def course_of(manifest: JsonObject) -> Course:
    """Return the run of a footer, which may hold anything."""
    run = manifest.get("run")
    run = run if isinstance(run, dict) else {}
    totals, stopped = run.get("totals"), run.get("stopped")
    return Course(
        seconds=_number(run.get("seconds")),
        stopped=None if stopped is None else str(stopped),
        interrupted=run.get("interrupted") is True,
        totals={name: _number(value) for name, value in totals.items()} if isinstance(totals, dict) else {},
        moments=tuple(_moments(_samples(run.get("timeline")))),
    )


def _number(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and math.isfinite(value) and abs(value) < 1e15 else None


def _samples(timeline: Any) -> list[tuple[float, float, float]]:
    """Return the valid samples of a timeline, beginning with (0, 0, 0)."""
    samples = [(0.0, 0.0, 0.0)]
    for sample in timeline if isinstance(timeline, list) else ():
        numbers = [_number(value) for value in sample] if isinstance(sample, list) else []
        if len(numbers) == 3 and None not in numbers and (numbers[0] or 0.0) > samples[-1][0]:
            seconds, rows, in_flight = (value or 0.0 for value in numbers)
            samples.append((seconds, rows, in_flight))
    return samples


def _moments(samples: Sequence[tuple[float, float, float]]) -> list[Moment]:
    """Return equal intervals, so that their rates can be compared, at most as many as there are samples."""
    if len(samples) < 4:
        return []
    number = min(_POINTS, len(samples) - 1)
    edges = [samples[-1][0] * i / number for i in range(number + 1)]
    rows = [_between(samples, edge) for edge in edges]
    return [
        Moment(end, (after - before) / (end - start), _in_flight(samples, start, end))
        for (start, end), (before, after) in zip(pairwise(edges), pairwise(rows), strict=True)
    ]


def _in_flight(samples: Sequence[tuple[float, float, float]], start: float, end: float) -> float:
    """Return the mean of the requests in flight within an interval, leaving out the run's last sample."""
    within = [in_flight for seconds, _, in_flight in samples[1:-1] if start <= seconds <= end]
    if within:
        return sum(within) / len(within)
    return samples[max(1, min(bisect_right(samples, end, key=lambda one: one[0]), len(samples) - 1) - 1)][2]


def _between(samples: Sequence[tuple[float, float, float]], seconds: float) -> float:
    """Return the rows done at a time, interpolated between two samples."""
    after = min(bisect_right(samples, seconds, key=lambda one: one[0]), len(samples) - 1)
    (start, before, _), (end, done, _) = samples[after - 1], samples[after]
    return before + (done - before) * min(1.0, (seconds - start) / (end - start))


def read_ledger(cache: Path) -> Ledger:
    """Read a cache without changing it."""
    try:
        with ResponseCache(cache, read_only=True) as stored:
            interval, rates = stored.statistics.pace(_POINTS)
            return Ledger(answers=len(stored), spent=tuple(stored.spent()), interval=interval, rates=tuple(rates))
    except ExtractError as error:
        return Ledger(problem=str(error))
