"""Finished frames that wait for an earlier one: a few in memory, the rest in a temporary folder."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from extract.errors import OutputError

__all__ = ["Backlog"]

_MOST_BYTES = 64 * 1024 * 1024


class Backlog:
    """Frames by number. What is more than `most_bytes` in memory goes to disk and comes back when it is its turn."""

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._held = 0
        self._frames: dict[int, pl.DataFrame | Path] = {}
        self._folder: TemporaryDirectory[str] | None = None

    def __contains__(self, number: int) -> bool:
        return number in self._frames

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def spilled(self) -> int:
        """How many frames are on disk now."""
        return sum(isinstance(kept, Path) for kept in self._frames.values())

    def put(self, number: int, frame: pl.DataFrame) -> None:
        """Keep a frame under its number. OutputError where it has no room in memory and cannot be written."""
        size = frame.estimated_size()
        if self._held + size > self._most_bytes and self._frames:
            self._frames[number] = self._spill(number, frame)
        else:
            self._held += int(size)
            self._frames[number] = frame

    def pop(self, number: int) -> pl.DataFrame:
        """Return the frame of a number and forget it."""
        kept = self._frames[number]
        if isinstance(kept, pl.DataFrame):
            self._held -= int(kept.estimated_size())
            del self._frames[number]
            return kept
        try:
            frame = pl.read_ipc(kept)  # what is interrupted in here can be done again
            kept.unlink()
        except (OSError, pl.exceptions.PolarsError) as error:
            del self._frames[number]
            raise OutputError(f"rows put aside in {kept.parent} cannot be read back: {error}") from None
        del self._frames[number]
        return frame

    def drop(self, number: int) -> None:
        """Put an empty place where a frame could not be kept."""
        self._frames[number] = pl.DataFrame()

    def close(self) -> None:
        """Leave nothing behind."""
        self._frames.clear()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _spill(self, number: int, frame: pl.DataFrame) -> Path:
        try:
            if self._folder is None:
                self._folder = TemporaryDirectory(prefix="extract-")
            path = Path(self._folder.name) / f"{number}.arrow"
            frame.write_ipc(path)
        except (OSError, pl.exceptions.PolarsError) as error:
            raise OutputError(f"finished rows cannot be put aside in the temporary folder: {error}") from None
        return path
