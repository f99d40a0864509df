"""How peers choose a threshold: BARGAIN's betting bounds, LOTUS' normal bounds, and the plug-in estimate.

Rewritten here in a few lines each, so that nothing is installed: BARGAIN_P and its bound as in `bargain` 0.1.3 (M 20,
eta 0), the precision threshold of `learn_cascade_thresholds` as in `lotus-ai` 1.2.4. `same_as_bargain` compares the
bound with the package's, where that can be imported.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

Array = Any
_TRUNCATION = 3 / 4
_BATCH = 10
_THRESHOLDS = 20


def capital(hits: Array, target: float, error: float, rows: int) -> Array:
    """Return the capital of a bet against a mean of at most `target`, hit by hit, without replacement from `rows`."""
    count = len(hits)
    number = np.arange(1, count + 1)
    before = np.concatenate([[0.0], np.cumsum(hits)[:-1]])
    mean = (0.5 + before) / number
    # The sum of squares around the mean so far: n * mean^2 and the cross term follow from the hits alone.
    squares = before - 2 * mean * before + (number - 1) * mean**2
    variance = (0.25 + squares) / number
    wager = np.sqrt(2 * math.log(2 / error) / (number * np.log(number + 1) * variance))
    left = np.maximum((rows * target - before) / (rows - (number - 1)), 1e-12)
    wager = np.minimum(wager, _TRUNCATION / left)
    return np.cumprod(1 + wager * (hits - left))


def is_proved(hits: Array, target: float, error: float, rows: int) -> bool:
    """Return whether BARGAIN's bound proves a mean above the target: its capital reaches 1 / error at any time."""
    if not len(hits) or np.mean(hits) < target:
        return False
    return bool((capital(hits, target, error, rows) >= 1 / error).any())


def same_as_bargain(trials: int = 200) -> bool | None:
    """Return whether the package decides alike; None where it is not installed."""
    try:
        bounds = import_module("BARGAIN.bounds.betting_bounds")
    except ImportError:
        return None
    random = np.random.default_rng(0)
    for _ in range(trials):
        hits = (random.random(random.integers(20, 200)) < random.uniform(0.85, 1)).astype(float)
        theirs = not bounds.test_if_true_mean_is_above_m(
            hits, 0.9, 0.05, fixed_sample_size=False, without_replacement=True, N=1_000
        )
        if theirs != bool((capital(hits, 0.9, 0.05, 1_000) >= 20).any()):
            return False
    return True


@dataclass(frozen=True, slots=True)
class Table:
    """A table from the highest score to the lowest: scores, and whether right."""

    scores: Array
    right: Array


Rule = Callable[[Table, Array, float, float], float]
"""A table, the places of its gold rows in random order, the target, the error -> the number of rows accepted."""


def bargain_uniform(table: Table, gold: Array, target: float, error: float, first: float) -> float:
    """Return how many rows BARGAIN's bound accepts with a uniform gold sample, from `first` expected gold rows on."""
    rows, accepted = len(table.scores), 0
    step = max(rows // _THRESHOLDS, 1)
    for last in range(step - 1, rows, step):
        if (last + 1) * len(gold) / rows < first:
            continue
        hits = table.right[gold[gold <= last]].astype(float)
        if not is_proved(hits, target, error, last + 1):
            break
        accepted = last + 1
    return accepted


def bargain_adaptive(table: Table, order: Array, budget: int, target: float, error: float) -> float:
    """Return how many rows BARGAIN_P accepts with its own draw, without the rows that it has labelled."""
    rows, best, seen = len(table.scores), -1, np.zeros(len(table.scores), dtype=bool)
    step = max(rows // _THRESHOLDS, 1)
    for last in range(step - 1, rows, step):
        places, drawn, verdict = order[order <= last], 0, None
        while verdict is None and seen.sum() < budget and drawn < len(places):
            drawn = min(len(places), drawn + min(_BATCH, budget - int(seen.sum())))
            seen[places[:drawn]] = True
            verdict = _verdict(table.right[places[:drawn]].astype(float), target, error, last + 1, drawn == len(places))
        if seen.sum() >= budget or not verdict:
            break
        best = last
    return best + 1 - int(seen[: best + 1].sum())


def _verdict(hits: Array, target: float, error: float, rows: int, whole: bool) -> bool | None:
    """Return whether the mean is above or below the target, None where neither is proved yet."""
    mean = hits.mean()
    if whole:
        return bool(mean >= target)
    if mean >= target:
        return True if (capital(hits, target, error, rows) >= 1 / error).any() else None
    return False if (capital(1 - hits, 1 - target, error, rows) >= 1 / error).any() else None


def lotus(scores: Array, right: Array, target: float, error: float) -> float:
    """Return LOTUS' precision threshold, from gold rows: the least score whose normal bound exceeds the target."""
    order = np.argsort(-scores, kind="stable")
    ordered, hits = scores[order], np.cumsum(right[order])
    number = np.arange(1, len(ordered) + 1)
    last = np.append(ordered[1:] != ordered[:-1], True)
    mean = hits / number
    bound = mean - np.sqrt(mean * (1 - mean) / number) * math.sqrt(2 * math.log(len(ordered) / error))
    good = np.flatnonzero((bound > target) & last)
    return float(ordered[good[-1]]) if len(good) else math.inf


def plug_in(scores: Array, right: Array, target: float) -> float:
    """Return the lowest threshold at which the gold rows' own share of right answers meets the target."""
    order = np.argsort(-scores, kind="stable")
    ordered, hits = scores[order], np.cumsum(right[order])
    number = np.arange(1, len(ordered) + 1)
    last = np.append(ordered[1:] != ordered[:-1], True)
    good = np.flatnonzero((hits >= target * number - 1e-9) & last)
    return float(ordered[good[-1]]) if len(good) else math.inf
