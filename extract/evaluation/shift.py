"""Where rows look unlike the gold that a promise was proved with: in their scores, their labels, their lengths."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Final, Literal, TypeAlias

import polars as pl

__all__ = ["Shift", "ShiftSample", "same_distribution", "shifts"]

_LEVEL: Final = 0.01  # of all tests together: a false alarm in a hundred tables
_TERMS: Final = 100

What: TypeAlias = Literal["scores", "lengths", "labels"]


@dataclass(frozen=True, slots=True)
class Shift:
    """One way in which rows differ from the gold. `chance` is how probable that is if gold was drawn from them."""

    what: What
    chance: float
    message: str


@dataclass(frozen=True, slots=True)
class ShiftSample:
    """What is compared of rows: their scores, the lengths of their texts, and what was answered in label fields."""

    scores: Sequence[float] = ()
    lengths: Sequence[float] = ()
    labels: Mapping[str, pl.Series] = field(default_factory=dict)


def shifts(gold: ShiftSample, rows: ShiftSample) -> tuple[Shift, ...]:
    """Return how rows differ from the gold rows, more than chance explains in one of a hundred tables.

    >>> [one.what for one in shifts(ShiftSample(scores=[0.9] * 50), ShiftSample(scores=[0.5] * 50))]
    ['scores']
    """
    tests = [_numbers("scores", gold.scores, rows.scores), _numbers("lengths", gold.lengths, rows.lengths)]
    tests += [_labels(name, gold.labels[name], rows.labels[name]) for name in gold.labels if name in rows.labels]
    known = [one for one in tests if one is not None]
    return tuple(one for one in known if one.chance < _LEVEL / len(known))


def _numbers(what: What, gold: Sequence[float], rows: Sequence[float]) -> Shift | None:
    if not gold or not rows:
        return None
    shown = " and ".join(f"{median(side):,.3g}" for side in (rows, gold))
    words = {"scores": "their scores are distributed otherwise", "lengths": "their texts have other lengths"}[what]
    return Shift(what, same_distribution(gold, rows), f"{words}: the medians are {shown}")


def _labels(name: str, gold: pl.Series, rows: pl.Series) -> Shift | None:
    known, answered = gold.drop_nulls(), rows.drop_nulls()
    if known.is_empty() or answered.is_empty():
        return None
    is_new = ~answered.cast(pl.String).is_in(known.cast(pl.String).unique().implode())
    new = answered.filter(is_new).cast(pl.String).unique(maintain_order=True).to_list()
    part = answered.filter(is_new).len() / len(answered)
    shown = ", ".join(f"{label!r}" for label in new[:3]) + (", ..." if len(new) > 3 else "")
    message = f"{part:.1%} of them have labels in {name} that no gold row has: {shown}"
    return Shift("labels", (1 - part) ** len(known), message)


def same_distribution(one: Sequence[float], other: Sequence[float]) -> float:
    """Return how probable so large a distance of two samples is if both are of one distribution.

    It is Kolmogorov and Smirnov's test with its limit for large samples; equal values make it larger than it is.

        >>> same_distribution([1, 2, 3, 4], [1, 2, 3, 4])
        1.0
    """
    distance = _distance(sorted(one), sorted(other))
    size = math.sqrt(len(one) * len(other) / (len(one) + len(other)))
    scaled = (size + 0.12 + 0.11 / size) * distance
    if scaled < 0.2:  # there the series does not converge, and the chance is 1 to nine digits
        return 1.0
    terms = (2 * (-1) ** (k - 1) * math.exp(-2 * k * k * scaled * scaled) for k in range(1, _TERMS))
    return min(1.0, max(0.0, math.fsum(terms)))


def _distance(one: Sequence[float], other: Sequence[float]) -> float:
    """Return the largest distance of two distribution functions, from sorted samples."""
    largest, i, j = 0.0, 0, 0
    while i < len(one) and j < len(other):
        value = min(one[i], other[j])
        while i < len(one) and one[i] == value:
            i += 1
        while j < len(other) and other[j] == value:
            j += 1
        largest = max(largest, abs(i / len(one) - j / len(other)))
    return largest
