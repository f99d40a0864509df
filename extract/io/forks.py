"""Forked processes: one that was forked after a run cannot run anything, and is told so; it would hang for ever.

A fork copies memory but only one thread. Polars computes in threads that are then missing, and waits for them.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from extract.errors import ConfigError

__all__ = ["check_fork", "note_run"]

_POLARS_THREAD = re.compile(r"polars-\d")


@dataclass(slots=True)
class _Process:
    """Whether this process has run anything, and whether it was forked from one that had."""

    has_run: bool = False
    is_stuck: bool = False

    def before_fork(self) -> None:
        """Note whether there are threads that the child will not have."""
        self.has_run = self.has_run or _polars_computes()

    def after_fork(self) -> None:
        """Note, in the child, that they are gone."""
        self.is_stuck = self.has_run


def _polars_computes() -> bool:
    """Return whether Polars has started its threads, as far as the system tells: Linux does."""
    for name in Path("/proc/self/task").glob("*/comm"):
        with suppress(OSError):  # a thread that has just ended
            if _POLARS_THREAD.match(name.read_text(errors="replace")):
                return True
    return False


_process = _Process()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_process.before_fork, after_in_child=_process.after_fork)


def note_run() -> None:
    """Note that a run begins in this process. ConfigError where that would hang."""
    check_fork()
    _process.has_run = True


def check_fork() -> None:
    """Raise ConfigError in a process in which Polars would wait for ever."""
    if _process.is_stuck:
        raise ConfigError(
            "this process was forked after a run, or after Polars had computed: that takes threads, which a fork does "
            "not copy; start processes with multiprocessing.get_context('spawn'), or fork before that"
        )
