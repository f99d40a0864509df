"""Successive halving: which variants go on, judged by rows that all of them were asked about. Pure; nothing is sent.

A variant leaves for one of three reasons: it is proven worse than the best, by McNemar's exact test at a level that is
shared among all looks; or it stands in the lower half and is behind the best by more than chance alone would explain
in nine of ten cases; or the budget does not reach.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal, TypeAlias

from extract.evaluation.compare import mcnemar

__all__ = ["LEVEL", "Left", "Standing", "leaving", "ranked", "rounds_of"]

LEVEL: Final = 0.05  # of all tests together
_BEHIND: Final = 1.645  # standard errors: the normal distribution's quantile for nine of ten, two-sided
_MIN_FIRST = 30  # rows of the first round, where there are that many

Reason: TypeAlias = Literal["worse", "behind", "budget"]


@dataclass(frozen=True, slots=True)
class Standing:
    """A variant after a round: its place in the list, which rows it has right, and what a row costs."""

    name: str
    place: int
    right: Mapping[Hashable, bool]
    cost: Decimal | None

    @property
    def hits(self) -> int:
        """The number of rows that it has right."""
        return sum(self.right.values())


@dataclass(frozen=True, slots=True)
class Left:
    """Why a variant left, after how many rows, and the p-value of its test against the best."""

    reason: Reason
    rows: int
    p_value: float


def rounds_of(variants: int, rows: int) -> list[int]:
    """Return how many rows are asked about up to each round, the last round about all: doubling, as variants halve.

    >>> rounds_of(8, 400)
    [100, 200, 400]
    """
    count = max(1, math.ceil(math.log2(max(2, variants))))
    sizes = [min(rows, max(_MIN_FIRST, math.ceil(rows / 2 ** (count - 1 - number)))) for number in range(count)]
    return list(dict.fromkeys(sizes))


def ranked(standings: Sequence[Standing]) -> list[Standing]:
    """Return variants from the best: more rows right, then cheaper, then earlier in the list."""
    return sorted(standings, key=lambda one: (-one.hits, math.inf if one.cost is None else one.cost, one.place))


def leaving(standings: Sequence[Standing], *, looks: int) -> dict[str, Left]:
    """Return the variants that do not go on. `looks` is the number of tests that there may be in all rounds."""
    best, *others = ranked(standings)
    left: dict[str, Left] = {}
    rows = len(best.right)
    for place, other in enumerate(others, start=1):
        ahead, behind = _discordant(best, other)
        p_value = mcnemar(ahead, behind)
        # The standard error of the difference of two shares of the same rows, times their number.
        spread = math.sqrt(max(0.0, ahead + behind - (ahead - behind) ** 2 / rows))
        if p_value <= LEVEL / max(1, looks):
            left[other.name] = Left("worse", rows, p_value)
        elif place >= (len(standings) + 1) // 2 and ahead - behind > _BEHIND * spread:
            left[other.name] = Left("behind", rows, p_value)
    return left


def _discordant(one: Standing, other: Standing) -> tuple[int, int]:
    """Return how many rows only the first and only the second has right."""
    first = sum(right and not other.right[key] for key, right in one.right.items())
    second = sum(other.right[key] and not right for key, right in one.right.items())
    return first, second
