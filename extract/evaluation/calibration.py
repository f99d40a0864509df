"""How much a score tells about rightness: reliability by bins, expected calibration error, area under the ROC curve."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any, Final

from extract.evaluation.intervals import Interval, share_interval
from extract.evaluation.tables import aligned, figure, share

__all__ = ["Calibration", "ReliabilityBin", "calibration", "roc_area"]

_BINS: Final = 10
_HEADER: Final = ("score", "rows", "mean score", "right")


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """The rows whose score lies from `low` to `high`: how many, their mean score, and how many of them are right."""

    low: float
    high: float
    rows: int
    score: float
    right: int

    @property
    def share(self) -> float:
        """The share of right rows; in a calibrated score it is the mean score."""
        return self.right / self.rows

    @property
    def interval(self) -> Interval | None:
        """The 95 % confidence interval of the share."""
        return share_interval(self.right, self.rows)


@dataclass(frozen=True, slots=True)
class Calibration:
    """How a score meets rightness on `rows` gold rows.

    `error` is the expected calibration error: the mean distance of score and share of right rows over the `bins`, None
    where a score lies outside of 0..1. `area` is the area under the ROC curve, the chance that a right row scores
    higher than a wrong one: 0.5 says nothing, 1 tells them apart; None where all are right, or all wrong.
    """

    rows: int
    right: int
    bins: tuple[ReliabilityBin, ...]
    error: float | None
    area: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON."""
        bins = [asdict(one) | {"share": one.share} for one in self.bins]
        return {"rows": self.rows, "right": self.right, "error": self.error, "area": self.area, "bins": bins}

    def line(self) -> str:
        """Return the figures in one line."""
        error = "-" if self.error is None else f"{self.error:.3f}"
        return f"AUROC {figure(self.area)}, expected calibration error {error}, {self.rows:,} gold rows with a score"

    def __str__(self) -> str:
        rows = [
            (f"{one.low:.1f}-{one.high:.1f}", f"{one.rows:,}", f"{one.score:.3f}", share(one.share, one.interval))
            for one in self.bins
        ]
        return "\n".join([self.line(), *(aligned(_HEADER, rows, words=1) if rows else ())])


def calibration(scored: Sequence[tuple[float, bool]]) -> Calibration:
    """Return how scores meet rightness, from pairs of a row's score and whether it is right.

    >>> calibration([(0.9, True), (0.9, True), (0.2, False)]).area
    1.0
    """
    right = sum(one for _, one in scored)
    inside = all(0 <= score <= 1 for score, _ in scored)
    bins = tuple(_bins(scored)) if inside else ()
    gaps = [one.rows * abs(one.share - one.score) for one in bins]
    error = math.fsum(gaps) / len(scored) if bins else None
    return Calibration(len(scored), right, bins, error, roc_area(scored))


def _bins(scored: Sequence[tuple[float, bool]]) -> list[ReliabilityBin]:
    def number(pair: tuple[float, bool]) -> int:
        return min(_BINS - 1, int(pair[0] * _BINS))

    bins = []
    for place, group in groupby(sorted(scored), key=number):
        pairs = list(group)
        mean = math.fsum(score for score, _ in pairs) / len(pairs)
        right = sum(one for _, one in pairs)
        bins.append(ReliabilityBin(place / _BINS, (place + 1) / _BINS, len(pairs), mean, right))
    return bins


def roc_area(scored: Sequence[tuple[float, bool]]) -> float | None:
    """Return the area under the ROC curve, equal scores counting half; None where all rows are right, or all wrong."""
    right = sum(one for _, one in scored)
    wrong = len(scored) - right
    if not right or not wrong:
        return None
    higher, below = 0.0, 0  # pairs of a right row above a wrong one; wrong rows below the scores read so far
    for _, group in groupby(sorted(scored), key=lambda pair: pair[0]):
        labels = [one for _, one in group]
        hits = sum(labels)
        misses = len(labels) - hits
        higher += hits * (below + misses / 2)
        below += misses
    return higher / (right * wrong)
