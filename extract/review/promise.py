"""How many rows a promise takes: exact binomial tails, told before anybody has labelled anything."""

from __future__ import annotations

import math

from extract.errors import ConfigError

__all__ = ["rows_to_prove", "wrong_allowed"]


def rows_to_prove(right: float, confidence: float = 0.95, *, wrong: int = 0) -> int:
    """Return how many accepted rows, of which `wrong` are wrong, prove that a share of `right` is right.

    What is proved holds with the probability `confidence` over the draw of the rows. ConfigError for what no number of
    rows can prove.

        >>> rows_to_prove(0.95), rows_to_prove(0.98), rows_to_prove(0.99)
        (59, 149, 299)
    """
    _check(right, confidence)
    low, high = wrong, wrong + 1
    while _tail(high, wrong, right) > 1 - confidence:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        if _tail(middle, wrong, right) > 1 - confidence:
            low = middle
        else:
            high = middle
    return high


def wrong_allowed(rows: int, right: float, confidence: float = 0.95) -> int | None:
    """Return how many of `rows` accepted rows may be wrong at most, None where even 0 would prove nothing.

    >>> [wrong_allowed(rows, 0.95) for rows in (50, 100, 200, 300, 500)]
    [None, 1, 4, 8, 16]
    """
    _check(right, confidence)
    wrong = -1
    while wrong < rows and _tail(rows, wrong + 1, right) <= 1 - confidence:
        wrong += 1
    return None if wrong < 0 else wrong


def _check(right: float, confidence: float) -> None:
    for name, share in (("right", right), ("confidence", confidence)):
        if not 0 < share < 1:
            raise ConfigError(f"{name} is a share between 0 and 1, not {share!r}: no number of rows proves it")


def _tail(rows: int, wrong: int, right: float) -> float:
    """Return how probable at most `wrong` wrong rows are where each is right with the probability `right`."""
    hit, miss = math.log(right), math.log1p(-right)
    choose = [math.lgamma(rows + 1) - math.lgamma(k + 1) - math.lgamma(rows - k + 1) for k in range(wrong + 1)]
    return math.fsum(math.exp(ways + k * miss + (rows - k) * hit) for k, ways in enumerate(choose))
