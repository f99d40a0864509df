"""Opens a file that was judged by its place: no link leads elsewhere in between."""

from __future__ import annotations

import os
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

__all__ = ["Place", "open_file"]

# A folder that may be passed through but not listed can be opened only as a place (Linux), not for reading.
_AS_PLACE = getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_PATH", 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a file lies: its `path` through all links, and the `root`, a folder above it, that it may be read under."""

    path: Path
    root: Path


def open_file(path: Path, place: Place | None = None) -> BufferedReader:
    """Open a file for reading; with its `place`, that very file, and no link is followed.

    So a link that is put in place of a part of the path after it was judged leads nowhere: it is an OSError.
    """
    if place is None:
        return path.open("rb")
    if os.open not in os.supports_dir_fd:
        return place.path.open("rb")
    return os.fdopen(_below(place.root, place.path.relative_to(place.root).parts), "rb")


def _below(root: Path, parts: tuple[str, ...]) -> int:
    """Return a descriptor of a file, opened step by step: each folder from the one above it."""
    here = os.open(root, os.O_RDONLY | _AS_PLACE)
    try:
        for name in parts[:-1]:
            above, here = here, os.open(name, os.O_RDONLY | _AS_PLACE | _NO_LINK, dir_fd=here)
            os.close(above)
        # A pipe that has just taken the file's place must not be waited for.
        return os.open(parts[-1], os.O_RDONLY | _NO_LINK | os.O_NONBLOCK, dir_fd=here)
    finally:
        os.close(here)
