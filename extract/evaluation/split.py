"""Gold split once: rows that are shown as examples, rows to choose by, and rows that only prove. By the row's hash.

A row always falls to the same part, in every command, whatever other rows there are; equal rows fall to the same one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, Final, Literal, TypeAlias

from extract.extractor.prompts import value_text
from extract.extractor.question import canonical

__all__ = ["SPLITS", "Split", "row_hash", "split_of"]

Split: TypeAlias = Literal["examples", "tuning", "proof"]

#: The parts of gold, with their shares of the rows in percent.
SPLITS: Final[Mapping[Split, int]] = {"examples": 40, "tuning": 30, "proof": 30}


def row_hash(row: Mapping[str, Any], columns: Sequence[str] | None = None) -> bytes:
    """Return the hash of a row's cells, by default of all of them; how a file writes them makes no difference.

    `columns` names those that count: for the split of gold, the columns that the pipeline reads.
    """
    names = sorted(row if columns is None else columns)
    return sha256(canonical([[name, _as_text(row[name], name)] for name in names])).digest()


def split_of(row: bytes, *, seed: int = 0) -> Split:
    """Return the part of gold that a row with this hash belongs to. `seed` 0 is the split of all commands.

    >>> split_of(row_hash({"text": "It crashes"}))
    'proof'
    """
    place = int.from_bytes(sha256(b"split %d %b" % (seed, row)).digest()[:8]) % 100
    for name, share in SPLITS.items():
        if place < share:
            return name
        place -= share
    raise AssertionError("the shares of SPLITS make 100")


def _as_text(cell: Any, name: str) -> str | None:
    if isinstance(cell, bytes | bytearray | memoryview):
        return sha256(bytes(cell)).hexdigest()
    return None if cell is None else value_text(cell, name)
