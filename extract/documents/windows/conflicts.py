"""Where the windows of one text disagree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["Candidate", "Conflict"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """One of several values for a place, and the numbers of the windows that gave it."""

    value: Any
    windows: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Conflict:
    """A place for which windows gave different values, none of them empty: all of these, in order, and the chosen."""

    path: str
    candidates: tuple[Candidate, ...]
    chosen: Any
