"""Reads files from disk and checks that they can be sent: size, kind, and type by content before name."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import file_digest
from io import BufferedReader
from pathlib import Path

from extract.documents.decoding import looks_like_text
from extract.documents.mime import (
    EXCEL,
    WORD,
    has_signature,
    is_supported,
    is_text,
    kind_of,
    mime_type_of,
    more_specific_type,
    sniff_type,
)
from extract.documents.office import is_container, office_type
from extract.documents.opening import Place, open_file
from extract.documents.pdf import MAX_PAGES, MAX_PDF_BYTES, check_pdf
from extract.errors import BadRecord

__all__ = ["MAX_UPLOADED_BYTES", "StoredFile", "check_size", "printable", "read_file", "stored_file", "type_of"]

# The API's own limit (page on file input, 2026) is 100 MB for a request with inline data. Base64 adds a third, so 70 MB
# of bytes still leave room for the prompt.
_MAX_INLINE_BYTES = 70_000_000
_MAX_DIVISIBLE_BYTES = 200_000_000  # of a PDF that is sent in parts: all of it is held in memory meanwhile
MAX_UPLOADED_BYTES = 2 * 1024**3
"""The service's limit for one uploaded file (its page on files, 2026)."""

_PDF = "application/pdf"
# Programs that export to "Excel" or "Word" often write plain text under that file ending.
_OFTEN_PLAIN_TEXT = frozenset({WORD, EXCEL})
_OPENING_BYTES = 65_536  # enough to detect the type of a recording
_SPECIAL_FILES = (
    (stat.S_ISDIR, "a folder, not a regular file; name its files, or give the folder as the input"),
    (stat.S_ISFIFO, "a pipe, not a regular file; save what comes out of it"),
    (stat.S_ISSOCK, "a socket, not a regular file"),
)
_ADVICE = {
    "application/rtf": "save it as docx or PDF",
    "application/epub+zip": "save it as PDF",
    "application/vnd.ms-outlook": "save it as text or PDF",
    "image/svg+xml": "save it as PNG",
    "image/avif": "save it as PNG",
    "video/x-matroska": "save it as MP4",
}


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file too large for a request: it stays on disk until it is uploaded. `sha256` is the hash of all its bytes.

    `place` is where it was found, None where it may lie anywhere: an upload opens that very file.
    """

    path: Path
    size: int
    sha256: bytes
    place: Place | None = None


def printable(path: object) -> str:
    """Return a path as one line, with unprintable characters escaped."""
    text = str(path)
    return text if text.isprintable() else repr(text)[1:-1]


def read_file(path: Path, *, divisible: bool = False, place: Place | None = None) -> bytes:
    """Return the bytes of a file that is small enough to be sent inline. Raises BadRecord; never waits on a pipe.

    With `divisible` a PDF may be larger, as it is sent in parts. With `place`, the file there is read, and no link is
    followed; `path` is then its name.
    """
    where = printable(path)
    try:
        with _opened(path, where, place) as (file, size):
            # Checked before reading, so that no huge file is loaded into memory.
            check_size(size, mime_type_of(path.name) or "", where, divisible=divisible)
            data = file.read(size + 1)
    except (OSError, ValueError) as error:
        raise BadRecord(f"{where}: {_reason(error, path)}") from None
    if not data:
        raise BadRecord(f"{where}: the file is empty")
    return data


def stored_file(path: Path, place: Place | None = None) -> tuple[StoredFile, str] | None:
    """Return an image, audio or video file that is too large for a request, with its type; None for any other file.

    Reads the file once, for its hash. Raises BadRecord as `read_file` does; `place` is as there.
    """
    where, declared = printable(path), mime_type_of(path.name)
    try:
        if kind_of(declared or "") in (None, "document") or _status(path, place).st_size <= _MAX_INLINE_BYTES:
            return None
        with _opened(path, where, place) as (file, size):
            detected = _by_content(file.read(_OPENING_BYTES), declared, where)
            _check_supported(detected, where)
            check_size(size, detected, where, max_bytes=MAX_UPLOADED_BYTES)
            file.seek(0)
            return StoredFile(path.absolute(), size, file_digest(file, "sha256").digest(), place), detected
    except (OSError, ValueError) as error:
        raise BadRecord(f"{where}: {_reason(error, path)}") from None


@contextmanager
def _opened(path: Path, where: str, place: Place | None) -> Iterator[tuple[BufferedReader, int]]:
    """Yield a file and its size. It is looked at before it is opened, and again after: another may be there by then."""
    _size_of(_status(path, place), where)
    with open_file(path, place) as file:
        yield file, _size_of(os.fstat(file.fileno()), where)


def _status(path: Path, place: Place | None) -> os.stat_result:
    return (path if place is None else place.path).stat()


def _size_of(status: os.stat_result, where: str) -> int:
    if not stat.S_ISREG(status.st_mode):  # reading a pipe or a device might never end
        raise BadRecord(f"{where}: {_special_file(status.st_mode)}")
    if status.st_size == 0:  # nor might some system files, which report no size
        raise BadRecord(f"{where}: the file is empty")
    return status.st_size


def check_size(size: int, mime_type: str, where: str, *, divisible: bool = False, max_bytes: int | None = None) -> None:
    """Raise BadRecord where a file of a type has more than `max_bytes`, by default the limit for inline data."""
    if mime_type == _PDF:
        max_bytes = _MAX_DIVISIBLE_BYTES if divisible else MAX_PDF_BYTES
    if size > (max_bytes := max_bytes or _MAX_INLINE_BYTES):
        advice = "split it by pages" if mime_type == _PDF else "cut it into smaller files"
        raise BadRecord(f"{where}: {size:,} bytes is too large to send (at most {max_bytes:,}): {advice}")


def type_of(data: bytes, declared: str | None, where: str, *, divisible: bool = False) -> str:
    """Return the type of a file that can be sent, detected from its bytes, else the `declared` one (from its name).

    Raises BadRecord for a file that is empty, too large, damaged, protected, not of the declared type, or of a type
    that the API does not accept. With `divisible` a PDF may have more bytes and pages, as it is sent in parts.
    """
    if not data:
        raise BadRecord(f"{where}: the file is empty")
    detected = office_type(data, declared, where) if is_container(data) else _by_content(data, declared, where)
    _check_supported(detected, where)
    if not is_text(detected):
        check_size(len(data), detected, where, divisible=divisible)
    if detected == _PDF:
        check_pdf(data, where, max_pages=None if divisible else MAX_PAGES)
    return detected


def _check_supported(mime_type: str, where: str) -> None:
    if not is_text(mime_type) and not is_supported(mime_type):
        raise BadRecord(f"{where}: the API takes no files of type {mime_type}; {_ADVICE.get(mime_type, 'convert it')}")


def _by_content(data: bytes, declared: str | None, where: str) -> str:
    detected = sniff_type(data)
    if detected is not None and not is_text(detected):
        return more_specific_type(detected, declared)
    if declared is None and detected is None:
        raise BadRecord(f"{where}: not a type of file that is known; give it the ending of what it is")
    if declared is None or is_text(declared):
        return declared or "text/plain"
    if declared in _OFTEN_PLAIN_TEXT and looks_like_text(data):
        return "text/plain"
    if has_signature(declared) or (is_supported(declared) and looks_like_text(data)):
        what = "text" if looks_like_text(data) else "something else, or damaged"
        raise BadRecord(f"{where}: it should be {declared}, but it holds {what}; give it the ending of what it is")
    return declared


def _special_file(mode: int) -> str:
    return next((advice for test, advice in _SPECIAL_FILES if test(mode)), "a device, not a regular file")


def _reason(error: OSError | ValueError, path: Path) -> str:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    if isinstance(error, FileNotFoundError) and not path.is_absolute():
        return f"{reason}; relative paths start at {printable(Path.cwd())}"
    return reason
