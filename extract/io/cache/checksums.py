"""Checksums of the rows of a cache: what has changed on disk is never taken for what was stored."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any
from zlib import crc32

__all__ = ["answer_checksum", "entry_checksum", "is_sound_answer"]

_ENTRY = "%s\0" * 11 + "%r"  # texts, numbers, and the time to its last digit
_RUNG_AND_TIME = struct.Struct("<qd")


def answer_checksum(key: bytes, interaction: bytes, rung: int, at: float) -> int:
    """Return the checksum of one answer. The key stands for the sample, and the interaction has the usage in it."""
    return crc32(_RUNG_AND_TIME.pack(rung, at), crc32(interaction, crc32(key)))


def is_sound_answer(key: Any, interaction: Any, rung: Any, at: Any, checksum: Any) -> bool:
    """Return whether a row of answers is as it was stored; one of an earlier release, without a checksum, passes."""
    if checksum is None:
        return isinstance(key, bytes) and isinstance(interaction, bytes)
    try:
        return bool(checksum == answer_checksum(key, interaction, rung, at))
    except (TypeError, struct.error):  # a cell that has become one of another type
        return False


def entry_checksum(values: Sequence[Any]) -> int:
    """Return the checksum of one entry of the ledger, a tuple as SQLite returns it."""
    return crc32((_ENTRY % tuple(values)).encode("utf-8", "surrogatepass"))
