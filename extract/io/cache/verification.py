"""Whether a cache file is whole: SQLite's own check, and a look at every answer."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from extract.errors import ConfigError, ExtractError
from extract.io.cache.checksums import is_sound_answer
from extract.io.cache.damage import reason
from extract.io.cache.database import CacheFile
from extract.io.cache.ledger import ATTEMPTS
from extract.io.cache.ledger import damaged as damaged_of_ledger

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
        for row in file.connection.execute("SELECT key, interaction, rung, at, checksum FROM answers"):
            answers += 1
            if not _is_readable(row, readable):
                damaged.append(row[0] if isinstance(row[0], bytes) else b"")
        if entries := damaged_of_ledger(file.connection.execute(ATTEMPTS, (0.0,))):
            lines.append(f"damaged entries of the ledger: {entries:,}; `extract cache show` does not count them")
        return Verification(answers, tuple(damaged), tuple(line for line in lines if line != "ok"))
    except sqlite3.Error as error:
        return Verification(0, tuple(damaged), (reason(error),))


def _is_readable(row: Sequence[Any], readable: Callable[[bytes], object]) -> bool:
    try:
        if not is_sound_answer(*row) or len(row[0]) != _KEY_BYTES:
            raise ConfigError("not what was stored")
        readable(row[1])
    except ExtractError:
        return False
    return True
