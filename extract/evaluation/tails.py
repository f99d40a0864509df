"""Exact tails of the binomial and the hypergeometric distribution, and what follows from them, in plain Python.

A tail is summed from its largest term away from the mean, each term from the one before it: no table, no
approximation, a few microseconds. The first term comes from `lgamma`, whose rounding limits the relative error to about
1e-9 for a million rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from extract.errors import ConfigError

__all__ = [
    "binomial_tail",
    "exact_interval",
    "hypergeometric_tail",
    "lower_bound",
    "rows_to_prove",
    "upper_bound",
    "wrong_allowed",
]

_NEGLIGIBLE: Final = 1e-17  # of the sum, where terms only shrink
_HALVINGS: Final = 60


def binomial_tail(hits: int, rows: int, share: float) -> float:
    """Return how probable at most `hits` hits are in `rows` draws that each hit with the probability `share`.

    >>> round(binomial_tail(0, 59, 0.05), 4), round(binomial_tail(1, 2, 0.5), 4)
    (0.0485, 0.75)
    """
    if hits < 0:
        return 0.0
    if hits >= rows or share <= 0:
        return 1.0
    if share >= 1:
        return 0.0
    odds = share / (1 - share)
    if hits <= rows * share:
        first = math.exp(_log_binomial(hits, rows, share))
        return min(1.0, _summed(first, hits, lambda k: k / ((rows - k + 1) * odds), -1, 0))
    first = math.exp(_log_binomial(hits + 1, rows, share))
    return max(0.0, 1 - _summed(first, hits + 1, lambda k: (rows - k) * odds / (k + 1), 1, rows))


def hypergeometric_tail(hits: int, drawn: int, marked: int, total: int) -> float:
    """Return how probable at most `hits` marked ones are among `drawn` of `total`, of which `marked` are marked.

    >>> hypergeometric_tail(0, 2, 1, 4)
    0.5
    """
    low, high = max(0, drawn + marked - total), min(drawn, marked)
    if hits < low:
        return 0.0
    if hits >= high:
        return 1.0
    if hits * total <= drawn * marked:
        first = math.exp(_log_hypergeometric(hits, drawn, marked, total))
        down = lambda k: k * (total - marked - drawn + k) / ((marked - k + 1) * (drawn - k + 1))  # noqa: E731
        return min(1.0, _summed(first, hits, down, -1, low))
    first = math.exp(_log_hypergeometric(hits + 1, drawn, marked, total))
    up = lambda k: (marked - k) * (drawn - k) / ((k + 1) * (total - marked - drawn + k + 1))  # noqa: E731
    return max(0.0, 1 - _summed(first, hits + 1, up, 1, high))


def lower_bound(hits: int, rows: int, confidence: float = 0.95) -> float:
    """Return the share that `hits` of `rows` prove at least, one-sided: Clopper and Pearson's, 0 for no rows.

    >>> round(lower_bound(100, 100), 4)
    0.9705
    """
    return 1 - upper_bound(rows - hits, rows, confidence)


def upper_bound(hits: int, rows: int, confidence: float = 0.95) -> float:
    """Return the share that `hits` of `rows` leave possible at most, one-sided: Clopper and Pearson's."""
    if hits >= rows:
        return 1.0
    low, high = hits / rows, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if binomial_tail(hits, rows, middle) > 1 - confidence else (low, middle)
    return high


def exact_interval(hits: int, rows: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the two-sided interval of Clopper and Pearson for a share: both sides have half of the error."""
    each = (1 + confidence) / 2
    return lower_bound(hits, rows, each), upper_bound(hits, rows, each)


def rows_to_prove(right: float, confidence: float = 0.95, *, wrong: int = 0) -> int:
    """Return how many accepted rows, of which `wrong` are wrong, prove that a share of `right` is right.

    What is proved holds with the probability `confidence` over the draw of the rows. ConfigError for what no number of
    rows can prove.

        >>> rows_to_prove(0.95), rows_to_prove(0.98), rows_to_prove(0.99)
        (59, 149, 299)
    """
    _check_shares(right, confidence)
    low, high = wrong, wrong + 1
    while binomial_tail(wrong, high, 1 - right) > 1 - confidence:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if binomial_tail(wrong, middle, 1 - right) > 1 - confidence else (low, middle)
    return high


def wrong_allowed(rows: int, right: float, confidence: float = 0.95) -> int | None:
    """Return how many of `rows` accepted rows may be wrong at most, None where even 0 would prove nothing.

    >>> [wrong_allowed(rows, 0.95) for rows in (50, 100, 200, 300, 500)]
    [None, 1, 4, 8, 16]
    """
    _check_shares(right, confidence)
    low, high = -1, rows  # all rows wrong prove nothing: the tail is 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if binomial_tail(middle, rows, 1 - right) <= 1 - confidence else (low, middle)
    return None if low < 0 else low


def _check_shares(right: float, confidence: float) -> None:
    for name, share in (("right", right), ("confidence", confidence)):
        if not 0 < share < 1:
            raise ConfigError(f"{name} is a share between 0 and 1, not {share!r}: no number of rows proves it")


def _summed(first: float, start: int, ratio: Callable[[int], float], step: int, last: int) -> float:
    """Return the sum of terms from `start` to `last`, `ratio(k)` being the next term over the k-th."""
    total = term = first
    for k in range(start, last, step):
        term *= ratio(k)
        total += term
        if term < total * _NEGLIGIBLE:
            break
    return total


def _log_choose(total: int, chosen: int) -> float:
    return math.lgamma(total + 1) - math.lgamma(chosen + 1) - math.lgamma(total - chosen + 1)


def _log_binomial(hits: int, rows: int, share: float) -> float:
    return _log_choose(rows, hits) + hits * math.log(share) + (rows - hits) * math.log1p(-share)


def _log_hypergeometric(hits: int, drawn: int, marked: int, total: int) -> float:
    ways = _log_choose(marked, hits) + _log_choose(total - marked, drawn - hits)
    return ways - _log_choose(total, drawn)
