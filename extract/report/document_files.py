"""The files that records name, read again for a report: those that a run would read, and only unchanged ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from extract.documents.files import printable
from extract.documents.loader import load_parts, path_of
from extract.documents.parts import Part, hash_of
from extract.documents.roots import Roots
from extract.errors import BadRecord
from extract.report.truncation import without_secrets

__all__ = ["DocumentFiles", "Unshown", "name_of", "started_at"]

_MAX_BYTES, _ALL_BYTES = 20_000_000, 400_000_000  # of one file, and of all that are read for one report


class Unshown(Exception):
    """Why a document is not shown, in one line."""


@dataclass(slots=True)
class DocumentFiles:
    """Reads the files that records name.

    `roots` are the folders that they must lie under, None for no limit. `started` is when the run began, in seconds
    since 1970: without a hash, a file that was modified later counts as changed.
    """

    roots: Roots | None
    started: float | None
    bytes_left: int = _ALL_BYTES

    def load(self, cells: Mapping[str, str], files: str | None) -> dict[str, tuple[Part, ...]]:
        """Return the parts that cells name, by column. Raises Unshown where they are not those that the run has read.

        `files` is the hash of what the run has read, None where it is unknown.
        """
        modified = max(self._check(cell) for cell in cells.values())
        parts = {column: self._parts(cell, column) for column, cell in cells.items()}
        names = " or ".join(map(name_of, cells.values()))
        if files is None and self.started is not None and modified > self.started:
            raise Unshown(
                f"{names} was modified after the run, so it is not shown. With --provenance (provenance=True) a run "
                "keeps its hash, which tells whether it is the same."
            )
        if files is not None and files != hash_of(part for of_cell in parts.values() for part in of_cell):
            raise Unshown(f"{names} has changed since the run: it is not shown.")
        return parts

    def _check(self, cell: str) -> float:
        """Return when a file was modified. Raises Unshown for one that is not to be read."""
        name = name_of(cell)
        try:
            if (path := path_of(cell)) is None:
                raise Unshown(f"{name} is no file of this machine: it is not shown.")
            real = path if self.roots is None else self.roots.find(path).path
            status = real.stat()
        except BadRecord:
            raise Unshown(
                f"{name} lies outside of the current folder and that of the input: --source INPUT or --root FOLDER "
                "shows it."
            ) from None
        except FileNotFoundError:
            raise Unshown(f"{name} is not there any more: it is not shown.") from None
        except (OSError, ValueError):
            raise Unshown(f"{name} cannot be read: it is not shown.") from None
        if status.st_size > min(_MAX_BYTES, self.bytes_left):
            raise Unshown(f"{name} has {status.st_size:,} bytes, too many for a report: it is not shown.")
        self.bytes_left -= status.st_size
        return status.st_mtime

    def _parts(self, cell: str, column: str) -> tuple[Part, ...]:
        try:
            return load_parts(cell, column, self.roots)
        except BadRecord:
            raise Unshown(f"{name_of(cell)} cannot be read: it is not shown.") from None


def name_of(cell: str) -> str:
    """Return the name of the file that a cell names, as one line without secrets."""
    try:
        path = path_of(cell)
    except BadRecord:
        return "a file elsewhere"
    if path is None:
        return "a file in the cell" if cell[:5].lower() == "data:" else printable(without_secrets(cell))[:200]
    return printable(path.name or path)[:200]


def started_at(manifest: Mapping[str, Any]) -> float | None:
    """Return when a run began, in seconds since 1970, at the end of that second; None where its footer does not say."""
    try:
        return datetime.fromisoformat(str(manifest.get("started"))).timestamp() + 1
    except (ValueError, OverflowError):
        return None
