"""The risk-coverage curve: how many rows each threshold accepts, and how many of its gold rows are wrong."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from extract.evaluation.proof import Count, counted
from extract.evaluation.tails import exact_interval

__all__ = ["RiskPoint", "curve_frame", "risk_coverage"]

_POINTS: Final = 100

_SCHEMA: Final = {
    "threshold": pl.Float64,
    "coverage": pl.Float64,
    "rows": pl.Int64,
    "gold": pl.Int64,
    "wrong": pl.Int64,
    "right": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
}


@dataclass(frozen=True, slots=True)
class RiskPoint:
    """One threshold: the share of all rows that it accepts, and what is known of them.

    The interval of the share of right rows, 95 % and exact, holds for this threshold alone: choosing one by it proves
    nothing.
    """

    threshold: float
    coverage: float
    count: Count

    @property
    def right(self) -> float:
        """The share of accepted gold rows that are right."""
        return 1 - self.count.wrong / self.count.gold

    @property
    def interval(self) -> tuple[float, float]:
        """The exact 95 % interval of that share."""
        return exact_interval(self.count.gold - self.count.wrong, self.count.gold)


def risk_coverage(gold: Sequence[tuple[float, bool]], scores: Sequence[float], rows: int) -> tuple[RiskPoint, ...]:
    """Return the curve over at most 100 thresholds: scores of gold rows, strict ones first.

    `scores` are those of all rows that have one, `rows` counts all rows.

        >>> [point.coverage for point in risk_coverage([(0.9, True), (0.1, False)], [0.9, 0.1], 2)]
        [0.5, 1.0]
    """
    levels = sorted({score for score, _ in gold}, reverse=True)
    if len(levels) > _POINTS:
        levels = [levels[math.ceil(place * len(levels) / _POINTS) - 1] for place in range(1, _POINTS + 1)]
    counts = counted(levels, gold, scores)
    return tuple(RiskPoint(level, (count.rows or 0) / rows, count) for level, count in zip(levels, counts, strict=True))


def curve_frame(points: Sequence[RiskPoint]) -> pl.DataFrame:
    """Return a row per point: threshold, coverage, counts, and the share of right rows with its interval."""
    rows = [
        (one.threshold, one.coverage, one.count.rows, one.count.gold, one.count.wrong, one.right, *one.interval)
        for one in points
    ]
    return pl.DataFrame(rows, schema=_SCHEMA, orient="row")
