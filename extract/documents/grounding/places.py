"""A place in a source where a value may stand, and how clearly it stands there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

__all__ = ["CLEAR", "DOUBTFUL", "UNLIKELY", "Place", "in_order"]

CLEAR: Final = 0  # it can be read in no other way
DOUBTFUL: Final = 1  # it can be read so, and in another way too
UNLIKELY: Final = 2  # it is a piece of something else, such as the day of a date


class Place(NamedTuple):
    """A span of a source, in code points. The lower the rank, the better the place."""

    start: int
    end: int
    rank: int = CLEAR


def in_order(places: Iterable[Place]) -> list[Place]:
    """Return the places by where they begin, one for each span: the best that was found for it."""
    best: dict[tuple[int, int], Place] = {}
    for place in places:
        known = best.get(place[:2])
        if known is None or place.rank < known.rank:
            best[place[:2]] = place
    return sorted(best.values())
