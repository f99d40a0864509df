"""Where a value stands in the source that it was taken from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["Span", "Status"]

Status: TypeAlias = Literal["exact", "normalised", "fuzzy", "missing"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Where a value stands in its source.

    `path` is the value's JSON path. `start` and `end` count code points of the source, `text` is what stands between
    them; `page` counts from 1, where the source has pages. `status` tells how the value was found: *exact* as it is;
    *normalised* in another dress or written form; *fuzzy* in similar words, with their similarity as `score`; *missing*
    nowhere. `score` is 1.0 for the first two, and None, as are all places, for the last.
    """

    path: str
    status: Status
    start: int | None = None
    end: int | None = None
    score: float | None = None
    page: int | None = None
    text: str | None = None
