"""Whether answers to rows that share a request agree with those to rows alone, as often as two of the latter do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean, stdev
from typing import Any

from extract.evaluation.tails import upper_bound

__all__ = ["ERROR", "PACKS", "Agreement", "agreement_of"]

PACKS = 60
"""Requests that a size is tried with: with fewer, one spoilt request in twenty could go unseen."""

ERROR = 0.05
"""How often a size may pass that differs by more than the tolerance."""

_SPOILT = 0.5  # of a request's rows that differ more than single answers do
# Student's 95 % quantile for 59 degrees of freedom; the normal one's and an expansion give it for other numbers.
_Z = 1.6448536


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How answers to rows in requests of `rows` agree with answers to the same rows alone.

    `packed` is the share of rows whose packed answer is the first single one, `single` the share whose second single
    answer is; `lower` is a bound of their difference that holds in 95 % of trials, `requests` how many were looked at.
    """

    rows: int
    packed: float
    single: float
    lower: float
    requests: int
    passed: bool


def agreement_of(
    rows: int, packs: Sequence[Sequence[tuple[Any, Any]]], repeats: Sequence[tuple[Any, Any]], tolerance: float
) -> Agreement:
    """Return how a size agrees. `packs` are pairs (single, packed) of answers by request, `repeats` (first, second).

    Rows of one request may go wrong together, so the requests are what is counted: a one-sided Student bound of their
    means, and an exact binomial bound of the share of requests in which most rows differ.
    """
    single = fmean(first == second for first, second in repeats)
    means = [fmean(alone == packed for alone, packed in pack) for pack in packs]
    noise = sqrt(single * (1 - single) / max(1, len(repeats)))
    error = sqrt((stdev(means) ** 2 if len(means) > 1 else 1.0) / len(means) + noise**2)
    difference = fmean(means) - single
    lower = difference - _quantile(len(means) - 1) * error
    spoilt = sum(mean < single - _SPOILT for mean in means)
    passed = lower >= -tolerance and upper_bound(spoilt, len(means), 1 - ERROR) <= tolerance
    return Agreement(rows=rows, packed=fmean(means), single=single, lower=lower, requests=len(means), passed=passed)


def _quantile(freedom: int) -> float:
    """Return Student's 95 % quantile, by its expansion around the normal one."""
    freedom = max(1, freedom)
    return _Z + (_Z**3 + _Z) / (4 * freedom) + (5 * _Z**5 + 16 * _Z**3 + 3 * _Z) / (96 * freedom**2)
