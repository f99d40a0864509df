"""Finished frames that wait for an earlier one: a few in memory, the rest in a temporary folder."""

from __future__ import annotations

import logging
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple, Self
from zlib import crc32

import polars as pl

from extract.errors import OutputError

__all__ = ["SpillBuffer"]

_log = logging.getLogger("extract.runner")

_MAX_BYTES = 64 * 1024 * 1024


class _SpilledFrame(NamedTuple):
    """A frame on disk, and the checksum of its bytes: Arrow would read changed ones as other values."""

    path: Path
    checksum: int

    @classmethod
    def written(cls, frame: pl.DataFrame, path: Path) -> Self:
        content = frame.write_ipc(None).getbuffer()
        path.write_bytes(content)
        return cls(path, crc32(content))

    def read(self) -> pl.DataFrame:
        """Return the frame. ValueError where its bytes have changed."""
        content = self.path.read_bytes()
        if crc32(content) != self.checksum:
            raise ValueError(f"{self.path.name} has changed on disk")
        return pl.read_ipc(content)


class SpillBuffer:
    """Frames by number. What is more than `max_bytes` in memory goes to disk and comes back when it is its turn."""

    def __init__(self, max_bytes: int = _MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._frames: dict[int, pl.DataFrame | _SpilledFrame] = {}
        self._folder: TemporaryDirectory[str] | None = None

    def __contains__(self, number: int) -> bool:
        return number in self._frames

    def __len__(self) -> int:
        return len(self._frames)

    def put(self, number: int, frame: pl.DataFrame) -> None:
        """Store a frame under its number. OutputError where it has no room in memory and cannot be written."""
        size = frame.estimated_size()
        if self._bytes + size > self._max_bytes and self._frames:
            self._frames[number] = self._spill(number, frame)
        else:
            self._bytes += int(size)
            self._frames[number] = frame

    def pop(self, number: int) -> pl.DataFrame:
        """Return the frame of a number and forget it."""
        stored = self._frames[number]
        if isinstance(stored, pl.DataFrame):
            self._bytes -= int(stored.estimated_size())
            del self._frames[number]
            return stored
        try:
            frame = stored.read()  # before anything is forgotten: what a Ctrl-C breaks off is done again
            stored.path.unlink()
        except (OSError, ValueError, pl.exceptions.PolarsError) as error:
            del self._frames[number]
            raise OutputError(f"rows put aside in {stored.path.parent} cannot be read back: {error}") from None
        del self._frames[number]
        return frame

    def drop(self, number: int) -> None:
        """Put an empty frame in the place of one that could not be stored."""
        self._frames[number] = pl.DataFrame()

    def close(self) -> None:
        """Leave nothing behind."""
        self._frames.clear()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _spill(self, number: int, frame: pl.DataFrame) -> _SpilledFrame:
        try:
            if self._folder is None:
                self._folder = TemporaryDirectory(prefix="extract-", ignore_cleanup_errors=True)
            path = Path(self._folder.name) / f"{number}.arrow"
            spilled = _SpilledFrame.written(frame, path)
            _log.debug("finished block %d moved to disk: %d rows wait for an earlier block", number, frame.height)
        except (OSError, pl.exceptions.PolarsError) as error:
            raise OutputError(f"finished rows cannot be put aside in the temporary folder: {error}") from None
        return spilled
