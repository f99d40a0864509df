"""Whether a cache file is whole: SQLite's own check, and a look at every answer."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

from extract.errors import ConfigError, ExtractError
from extract.io.cache.database import CacheFile

__all__ = ["Verification", "verify"]

_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Verification:
    """How whole a cache file is: `damaged` are keys of answers that cannot be read, which a run asks for again."""

    answers: int
    damaged: tuple[bytes, ...]
    problems: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return not self.damaged and not self.problems


def verify(file: CacheFile, readable: Callable[[bytes], object]) -> Verification:
    """Read the whole file; `readable` raises ExtractError for an answer that cannot be read."""
    answers = 0
    damaged: list[bytes] = []
    try:
        lines = [str(row[0]) for row in file.connection.execute("PRAGMA integrity_check")]
        for key, interaction in file.connection.execute("SELECT key, interaction FROM answers"):
            answers += 1
            if not _is_readable(key, interaction, readable):
                damaged.append(bytes(key))
        return Verification(answers, tuple(damaged), tuple(line for line in lines if line != "ok"))
    except sqlite3.Error as error:
        return Verification(0, tuple(damaged), (str(error),))


def _is_readable(key: bytes, interaction: bytes, readable: Callable[[bytes], object]) -> bool:
    try:
        if len(key) != _KEY_BYTES:
            raise ConfigError("a key of another length")
        readable(interaction)
    except ExtractError:
        return False
    return True
