"""Shell completion: files with the right ending, and the folders in which they may be."""

from __future__ import annotations

import os
from collections.abc import Iterator

from extract.io.endings import TABLES
from extract.io.sinks.formats import SINKS

__all__ = ["inputs", "outputs", "pipelines"]


def pipelines(incomplete: str) -> list[str]:
    """Return the Python files and the folders that begin with `incomplete`."""
    return list(_matching(incomplete, (".py",)))


def inputs(incomplete: str) -> list[str]:
    """Return the tables and the folders that begin with `incomplete`; a folder can be an input, too."""
    return list(_matching(incomplete, TABLES))


def outputs(incomplete: str) -> list[str]:
    """Return the outputs and the folders that begin with `incomplete`."""
    return list(_matching(incomplete, tuple(SINKS)))


def _matching(incomplete: str, endings: tuple[str, ...]) -> Iterator[str]:
    folder, name = os.path.split(incomplete)
    try:
        entries = sorted(os.scandir(os.path.expanduser(folder) or "."), key=lambda entry: entry.name)  # noqa: PTH111
    except OSError:
        return
    for entry in entries:
        if not entry.name.startswith(name) or (entry.name.startswith(".") and not name) or not entry.name.isprintable():
            continue
        if entry.is_dir():
            yield os.path.join(folder, entry.name, "")  # noqa: PTH118
        elif entry.name.lower().endswith(endings):
            yield os.path.join(folder, entry.name)  # noqa: PTH118
