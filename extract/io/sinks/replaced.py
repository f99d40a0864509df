"""The finished output that a run is about to replace: how many rows of input it covers, and how it stays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from extract.errors import ConfigError
from extract.io.sinks.base import FileSink
from extract.io.sinks.open import count_rows, errors_path, read_covered, read_manifest
from extract.io.unreadable import UNREADABLE

__all__ = ["Replaced", "covered_rows", "replaced_by"]


@dataclass(frozen=True, slots=True)
class Replaced:
    """A finished output that covers `rows` of its input. `keep` makes the sink write beside it, in place of over it."""

    path: Path
    rows: int
    keep: Callable[[], None]


def replaced_by(
    sink: FileSink, path: Path, *, height: int | None, limit: int | None, split_errors: bool
) -> Replaced | None:
    """Return the output that a run of `height` rows replaces if it covers as many, None where there is none to lose.

    Where the height is unknown only the end of the run can tell. ConfigError where the output is known to shrink.
    """
    covered = covered_rows(path, split_errors=split_errors) if path.exists() else None
    if covered is None:
        return None
    coming = limit if height is None else height
    if coming is not None and coming < covered:
        raise ConfigError(
            f"{path} covers {covered:,} rows, and this run only {coming:,}; choose another name, or add --overwrite to "
            "leave only these"
        )
    return Replaced(path, covered, sink.keep_beside) if height is None else None


def covered_rows(path: Path, *, split_errors: bool) -> int | None:
    """Return how many rows of its input a finished output covers, the rejected ones included; None if unknown.

    `split_errors` says whether rejected rows are left out of it, for text of earlier releases: nothing else does.
    """
    course = read_manifest(path).get("run")
    totals = course.get("totals") if isinstance(course, dict) else None
    rows = totals.get("rows") if isinstance(totals, dict) else None
    if type(rows) is int:
        return rows
    try:
        return _counted(path, split_errors=split_errors)
    except UNREADABLE:
        return None


def _counted(path: Path, *, split_errors: bool) -> int:
    errors = errors_path(path)
    if (stored := read_covered(errors)) is None:
        return count_rows(path) + (_readable_rows(errors) if split_errors else 0)
    name, rows = stored
    return rows if name == path.name else count_rows(path)  # else they are those of out.csv beside out.jsonl


def _readable_rows(errors: Path) -> int:
    """Return how many rows a file of rejected rows holds, 0 for none and for a damaged one: the output counts alone."""
    try:
        return count_rows(errors) if errors.is_file() else 0
    except UNREADABLE:
        return 0
