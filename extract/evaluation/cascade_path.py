"""A cascade's thresholds: one ordered path of tuples, and what each tuple accepts of all steps together.

A row is accepted by the first step whose threshold its score there reaches, with that step's answer. Tuples are proved
together: each is tested on the gold rows that any step accepts, at the full error; to prove step by step with parts of
the error accepts far less.

The path opens the last step first, which is the strongest, from strict to lenient; then the steps before it, all by
equal shares of their rows, so that rows move from the expensive step to the cheap ones for as long as that is proved.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from extract.evaluation.proof import Count, Promise, Proof, prove, thresholds

__all__ = ["StepScores", "Tuple", "cascade_path", "path_counts", "prove_path", "route"]

Tuple: TypeAlias = tuple[float, ...]
"""One threshold per step, from the first step to the last; infinity where a step accepts nothing."""

StepScores: TypeAlias = Sequence[float | None]
"""A row's scores, one per step; None where the step has no answer for it, or was not asked."""

_CHEAP_STEPS: Final = 20
"""The number of tuples from no row of the cheap steps to all of them."""


def cascade_path(rows: Sequence[StepScores], gold_rows: int, promise: Promise, *, whole: bool = True) -> list[Tuple]:
    """Return the path of tuples, fixed by scores alone: `rows` are the scores of the table, or of the gold rows.

    `whole=False` says that they are the gold rows': a threshold then stands just above one of their scores.

        >>> cascade_path([(0.9, 0.9), (0.2, 0.8)], 2, Promise(0.5, 0.5))[0]
        (inf, 0.8)
    """
    if not rows:
        return []
    steps = [[one for one in column if one is not None] for column in zip(*rows, strict=True)]
    last = thresholds(steps[-1], gold_rows, promise, whole=whole) or (math.inf,)
    closed = (math.inf,) * (len(steps) - 1)
    path = [(*closed, level) for level in last]
    parts = [part / _CHEAP_STEPS for part in range(1, _CHEAP_STEPS + 1)]
    path += [(*(_level(scores, part, whole) for scores in steps[:-1]), last[-1]) for part in parts]
    return list(dict.fromkeys(path))


def _level(scores: Sequence[float], part: float, whole: bool) -> float:
    """Return the threshold that a part of the scores reaches."""
    if not scores:
        return math.inf
    if part >= 1:
        return min(scores) if whole else -math.inf
    ordered = sorted(scores, reverse=True)
    place = math.ceil(part * len(ordered))
    return ordered[place - 1] if whole else math.nextafter(ordered[min(place, len(ordered) - 1)], math.inf)


def route(levels: Tuple, scores: StepScores) -> int | None:
    """Return the step, from 0, that accepts a row; None where none does.

    >>> route((0.9, 0.5), (0.8, 0.7)), route((0.9, 0.5), (0.8, 0.4))
    (1, None)
    """
    for step, (level, score) in enumerate(zip(levels, scores, strict=True)):
        if score is not None and score >= level:
            return step
    return None


def path_counts(
    path: Sequence[Tuple],
    gold: Sequence[tuple[StepScores, Sequence[bool]]],
    rows: Sequence[StepScores] | None = None,
) -> list[Count]:
    """Return what each tuple accepts: of gold rows, given as scores and whether right by step, and of all `rows`."""
    counts = []
    for levels in path:
        accepted = [(right, step) for scores, right in gold if (step := route(levels, scores)) is not None]
        wrong = sum(not right[step] for right, step in accepted)
        of_all = None if rows is None else sum(route(levels, scores) is not None for scores in rows)
        counts.append(Count(len(accepted), wrong, of_all))
    return counts


def prove_path(path: Sequence[Tuple], counts: Sequence[Count], promise: Promise) -> Proof:
    """Test a path that `cascade_path` has made: half of the error begins it, half begins where the last step is open.

    `Proof.best` is the last proven tuple, the cheapest of those that accept every row.
    """
    opened = bisect_left(range(len(path)), 1, key=lambda place: path[place][-1] == path[-1][-1])
    return prove(counts, promise, shares=(0.5, 0.5), starts=(0, opened))


def shares_by_step(levels: Tuple, rows: Sequence[StepScores]) -> Mapping[int | None, int]:
    """Return how many rows each step accepts, and under None those that none does."""
    shares: dict[int | None, int] = dict.fromkeys((*range(len(levels)), None), 0)
    for scores in rows:
        shares[route(levels, scores)] += 1
    return shares
