"""A place in a source at which a value may stand, with a rank that says how certain that is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

__all__ = ["CLEAR", "DOUBTFUL", "UNLIKELY", "Place", "in_order"]

CLEAR: Final = 0  # it can be read in this way only
DOUBTFUL: Final = 1  # it can also be read in another way
UNLIKELY: Final = 2  # it is a part of something else, such as the day of a date


class Place(NamedTuple):
    """A span of a source in code points; a lower rank is better."""

    start: int
    end: int
    rank: int = CLEAR


def in_order(places: Iterable[Place]) -> list[Place]:
    """Return the places in the order of the source, each span once, with its best rank."""
    best: dict[tuple[int, int], Place] = {}
    for place in places:
        known = best.get(place[:2])
        if known is None or place.rank < known.rank:
            best[place[:2]] = place
    return sorted(best.values())
