"""Which of many thresholds a draw of gold rows proves, for finite samples and for having looked at all of them.

Thresholds are put into an order before any label is seen, and tested in that order, each by an exact tail; the first
that fails ends the sequence. So the whole error is spent once, however many thresholds there are: a false one is only
accepted if the first false one in the order passes, and that happens with at most the error. A sequence may have
several starts that share the error (Wiens and Dmitrienko, J. Biopharm. Stat. 15, 2005): a start that fails early does
not end what another begins, and what was not used up is carried on.

The test is hypergeometric where the number of accepted rows of the whole table is known, which is exact for a draw
without replacement, and binomial otherwise, which is the limit for a table of any size.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from extract.errors import ConfigError
from extract.evaluation.tails import binomial_tail, hypergeometric_tail, rows_to_prove

__all__ = ["Count", "Promise", "Proof", "Step", "counted", "first_step", "prove", "thresholds"]

_FIRST: Final = 1.6
"""A sequence begins at this multiple of the fewest rows that its first start can prove anything with: so that one wrong
row, or a draw that has fewer rows above the threshold than expected, does not end it."""
_MIN_FIRST: Final = 1.2
"""It begins at this multiple where gold has too few rows for the other, or where many scores are equal."""
_GROWTH: Final = 1.05
"""The next threshold is to accept this many times as many rows."""
_SHARES: Final = (0.8, 0.2)
"""How the starts share the error: the second stands in the middle of the sequence. Measured in benchmarks/acceptance.py
beside one start, four starts and betting bounds, over score distributions: it accepts most on
the whole, though not for each."""


@dataclass(frozen=True, slots=True)
class Promise:
    """What is to be proved: a share of `right` accepted rows is right, with the probability `confidence`.

    >>> Promise(0.95).rows_needed
    59
    """

    right: float
    confidence: float = 0.95

    def __post_init__(self) -> None:
        for name, share in (("right", self.right), ("confidence", self.confidence)):
            if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share < 1:
                raise ConfigError(f"{name} is a share above 0 and below 1, such as 0.95, not {share!r}")

    @property
    def error(self) -> float:
        """The probability with which the promise may be broken."""
        return 1 - self.confidence

    @property
    def rows_needed(self) -> int:
        """The fewest accepted gold rows that can prove it, all of them right."""
        return rows_to_prove(self.right, self.confidence)


@dataclass(frozen=True, slots=True)
class Count:
    """What one threshold, or one tuple of thresholds, accepts: gold rows, those of them that are wrong, and all rows.

    `rows` is the number of accepted rows of the whole table, None where it is not known yet.
    """

    gold: int
    wrong: int
    rows: int | None = None

    def chance(self, right: float) -> float:
        """Return how probable so few wrong rows are at most, if less than a share of `right` of `rows` is right."""
        if not self.gold:
            return 1.0
        if self.rows is None:
            return binomial_tail(self.wrong, self.gold, 1 - right)
        # The fewest wrong rows with which the promise is broken: a draw from any worse table is less probable still.
        fewest = math.floor(self.rows * (1 - right) + 1e-9) + 1
        return hypergeometric_tail(self.wrong, self.gold, fewest, self.rows) if fewest <= self.rows else 0.0


@dataclass(frozen=True, slots=True)
class Step:
    """One test: `chance` is its p-value, `level` the error it may have; it is proven where the first is not larger."""

    count: Count
    chance: float
    level: float

    @property
    def proven(self) -> bool:
        """True where the promise is proved for this threshold."""
        return self.chance <= self.level


@dataclass(frozen=True, slots=True)
class Proof:
    """The tests in their order. `best` is the place of the last one that is proven, None where none is."""

    promise: Promise
    steps: tuple[Step, ...]

    @property
    def best(self) -> int | None:
        """The place of the last threshold that is proven, which accepts most."""
        return max((place for place, step in enumerate(self.steps) if step.proven), default=None)


def prove(
    counts: Sequence[Count], promise: Promise, *, shares: Sequence[float] = _SHARES, starts: Sequence[int] | None = None
) -> Proof:
    """Test thresholds, or tuples of them, in their order, which must not depend on any label of the counted gold.

    `starts` are the places at which the sequence begins anew, by default at even distances from 0; `shares` of the
    error are theirs.

        >>> prove([Count(gold=94, wrong=1), Count(gold=150, wrong=4), Count(gold=200, wrong=20)], Promise(0.95)).best
        1
    """
    if starts is None:
        starts = [place * len(counts) // len(shares) for place in range(len(shares))]
    levels = _levels(len(counts), promise.error, shares, starts)
    steps, carried = [], 0.0
    for count, own in zip(counts, levels, strict=True):
        level = carried + own
        step = Step(count, count.chance(promise.right) if level else 1.0, level)
        carried = level if level and step.proven else 0.0
        steps.append(step)
    return Proof(promise, tuple(steps))


def _levels(steps: int, error: float, shares: Sequence[float], starts: Sequence[int]) -> list[float]:
    """Return the error that each step has of its own, without what is carried on to it."""
    levels = [0.0] * steps
    for start, share in zip(starts, shares, strict=True):
        if start < steps:
            levels[start] += error * share / math.fsum(shares)
    return levels


def first_step(promise: Promise) -> int:
    """Return how many accepted gold rows the first threshold is to have."""
    return math.ceil(_FIRST * _needed(promise))


def _needed(promise: Promise) -> int:
    return rows_to_prove(promise.right, 1 - promise.error * _SHARES[0])


def thresholds(
    scores: Sequence[float], gold_rows: int, promise: Promise, *, whole: bool = True, growth: float = _GROWTH
) -> tuple[float, ...]:
    """Return thresholds from strict to lenient, fixed by scores alone: a row is accepted where its score is not lower.

    `scores` are those of the whole table, so that the thresholds say nothing of the draw; or, with `whole=False`, those
    of the gold rows, where the rest of the table is not known yet: then a threshold stands just above a gold row's
    score, which itself is not counted. One such threshold is tested exactly; for a sequence of them, which also depends
    on the draw, that the error is kept is shown by simulation only.

    `gold_rows` is the number of gold rows that will prove. The last one accepts
    every row that has a score. Equal scores are accepted together.

        >>> thresholds([0.9, 0.8, 0.8, 0.5], 4, Promise(0.5, 0.5))
        (0.8, 0.5)
    """
    ordered = sorted((score for score in scores if not math.isnan(score)), reverse=True)
    if not ordered or not gold_rows:
        return ()
    per_gold = len(ordered) / gold_rows if whole else 1.0
    smallest = _MIN_FIRST * _needed(promise)
    wanted = float(first_step(promise)) if first_step(promise) <= gold_rows else smallest
    places = [stricter] if (stricter := _above(ordered, wanted * per_gold)) >= smallest * per_gold else []
    while (place := math.ceil(wanted * per_gold)) < len(ordered):
        places.append(place)
        wanted *= growth
    levels = [ordered[place - 1] if whole else math.nextafter(ordered[place], math.inf) for place in places]
    return tuple(dict.fromkeys([*levels, ordered[-1] if whole else -math.inf]))


def _above(ordered: Sequence[float], wanted: float) -> int:
    """Return how many rows score higher than all that are equal to the row at a place: where many are equal, a step."""
    place = min(math.ceil(wanted), len(ordered)) - 1
    return bisect_left(ordered, -ordered[place], key=lambda score: -score)


def counted(
    levels: Sequence[float], gold: Sequence[tuple[float, bool]], scores: Sequence[float] | None = None
) -> list[Count]:
    """Return what each threshold accepts of gold rows, given as score and whether right, and of all `scores`."""
    ordered = sorted(score for score, _ in gold)
    wrong = sorted(score for score, right in gold if not right)
    table = None if scores is None else sorted(scores)
    # A threshold accepts what is not lower: equal scores together.
    return [
        Count(
            len(ordered) - bisect_left(ordered, level),
            len(wrong) - bisect_left(wrong, level),
            None if table is None else len(table) - bisect_left(table, level),
        )
        for level in levels
    ]
