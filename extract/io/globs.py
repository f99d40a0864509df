"""What matches a glob: in order, each file once, though links between folders may form a loop."""

from __future__ import annotations

import re
from functools import cache
from glob import glob
from pathlib import Path

__all__ = ["ending_of", "matches", "matches_once"]

_EITHER = re.compile(r"\[(\w)\1\]")  # a small letter or a capital, once all are small


def ending_of(address: str) -> str:
    """Return the ending of a path, a glob such as `*.[cC]sv` or an address, in small letters.

    Only an address has a query: in a glob, `?` is any letter.
    """
    path = address.partition("?")[0] if "://" in address else address
    return _EITHER.sub(r"\1", Path(path).suffix.lower())


def matches(pattern: str) -> list[Path]:
    """Return the paths that match a pattern, which may be absolute and have `**`."""
    return matches_once(pattern)[0]


def matches_once(pattern: str) -> tuple[list[Path], int]:
    """Return the same, and how many links to folders above them were not followed: their files match already."""
    paths = [Path(path) for path in sorted(glob(pattern, recursive=True))]  # noqa: PTH207 - Path.glob takes no absolute
    if "**" not in pattern:
        return paths, 0
    loops: set[Path] = set()

    @cache
    def is_behind_a_loop(folder: Path) -> bool:
        if folder == folder.parent:
            return False
        if is_behind_a_loop(folder.parent):
            return True
        if folder.is_symlink() and folder.parent.resolve().is_relative_to(folder.resolve()):
            loops.add(folder)
            return True
        return False

    chosen = [path for path in paths if not is_behind_a_loop(path.parent)]
    return chosen, len(loops)
