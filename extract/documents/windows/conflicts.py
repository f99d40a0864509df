"""Conflicts: fields for which the windows of one text gave different values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["Candidate", "Conflict"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """One of several values for a field, and the numbers of the windows that gave it."""

    value: Any
    windows: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Conflict:
    """A field for which windows gave different non-empty values: all candidates in order, and the chosen value."""

    path: str
    candidates: tuple[Candidate, ...]
    chosen: Any
