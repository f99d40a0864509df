"""The encoding of a text file that may be larger than the memory."""

from __future__ import annotations

import codecs
import zlib
from pathlib import Path
from typing import BinaryIO

from extract.documents.decoding import read_encoded

__all__ = ["encoding_of", "has_old_line_ends", "is_compressed"]

_CHUNK_BYTES = 1 << 20
_HEAD_BYTES = 65_536
_GZIP, _ZSTD, _ZLIB = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", (b"\x78\x01", b"\x78\x9c", b"\x78\xda")
_MAX_SAMPLE_BYTES = 200_000  # of the letters that tell an encoding


def encoding_of(path: Path) -> tuple[str, bool]:
    """Return the encoding of a file, and whether some of its bytes are wrong: of UTF-8 a few may be.

    Raises ValueError, with the reason, where its bytes do not tell.
    """
    with path.open("rb") as file:
        if (marked := _marked(file.read(_HEAD_BYTES))) is not None:
            return marked, False
        file.seek(0)
        if _is_utf8(file):
            return "utf-8", False
        encoding = read_encoded(_sample(file)).encoding
        return encoding, encoding == "utf-8"


def is_compressed(path: Path) -> bool:
    """True for a file that Polars unpacks while it reads it, whatever its name."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if not head.startswith(_ZLIB):
        return head.startswith((_GZIP, _ZSTD))
    try:  # these two bytes are letters in some encodings
        return bool(zlib.decompressobj().decompress(head))
    except zlib.error:
        return False


def has_old_line_ends(path: Path) -> bool:
    """True for a file with the line ends of old Macintoshes."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    return b"\r" in head and b"\n" not in head


def _marked(head: bytes) -> str | None:
    """Return an encoding that the beginning of a file names by a mark, zeros or escapes, None for none."""
    if head[:1] not in (b"\xff", b"\xfe") and not any(mark in head for mark in (b"\0", b"\x1b$", b"~{")):
        return None
    try:
        encoding = read_encoded(head[: len(head) // 4 * 4] if len(head) == _HEAD_BYTES else head).encoding
    except ValueError:
        return None
    return None if encoding == "utf-8" else encoding


def _is_utf8(file: BinaryIO) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        while chunk := file.read(_CHUNK_BYTES):
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _sample(file: BinaryIO) -> bytes:
    """Return a small file as it is, of a large one the lines that are not ASCII."""
    file.seek(0)
    whole = file.read(_MAX_SAMPLE_BYTES + 1)
    if len(whole) <= _MAX_SAMPLE_BYTES:
        return whole
    file.seek(0)
    sample = bytearray()
    for line in file:
        if not line.isascii():
            sample += line
        if len(sample) > _MAX_SAMPLE_BYTES:
            break
    return bytes(sample)
