"""Files read with care, and what their bytes are: the type, told by content before name, and whether it can be sent."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path

from extract.documents.decoding import looks_like_text
from extract.documents.mime import EXCEL, WORD, has_sign, is_taken, is_text, kind_of, mime_type_of, sniffed, told_apart
from extract.documents.office import is_container, office_type
from extract.documents.pdf import MOST_PAGES, MOST_PDF_BYTES, check_pdf
from extract.errors import BadRecord

__all__ = ["MOST_UPLOADED_BYTES", "StoredFile", "check_size", "printable", "read_file", "stored_file", "type_of"]

# The API's own limit (page on file input, 2026) is 100 MB for a request with inline data. Base64 adds a third, so 70 MB
# of bytes still leave room for the prompt.
_MOST_BYTES = 70_000_000
_MOST_DIVISIBLE_BYTES = 200_000_000  # of a PDF that is cut into parts: all of it is in memory then
MOST_UPLOADED_BYTES = 2 * 1024**3
"""The service's own limit of one uploaded file (its page on files, 2026)."""

_PDF = "application/pdf"
# Programs that export "Excel" or "Word" often write a table or a page as plain text under that ending.
_OFTEN_TEXT = frozenset({WORD, EXCEL})
_OPENING_BYTES = 65_536  # enough to tell the type of a recording
_KINDS = (
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
    """A file too large for a request: it stays on disk until it is uploaded. `sha256` is of its `size` bytes."""

    path: Path
    size: int
    sha256: bytes


def printable(path: object) -> str:
    """Return a path as one line: what cannot be printed is escaped."""
    text = str(path)
    return text if text.isprintable() else repr(text)[1:-1]


def read_file(path: Path, *, divisible: bool = False) -> bytes:
    """Return the bytes of a file that is small enough to be sent inline. Raises BadRecord; never waits for a pipe.

    A PDF may be larger where it is `divisible`: it is sent in parts.
    """
    where = printable(path)
    try:
        size = _size_of(path, where)
        # Judged before reading, so that no giant is pulled into memory.
        check_size(size, mime_type_of(path.name) or "", where, divisible=divisible)
        with path.open("rb") as file:
            data = file.read(size + 1)
    except (OSError, ValueError) as error:
        raise BadRecord(f"{where}: {_reason(error, path)}") from None
    if not data:
        raise BadRecord(f"{where}: the file is empty")
    return data


def stored_file(path: Path) -> tuple[StoredFile, str] | None:
    """Return a picture, recording or film that is too large for a request, and its type; None for any other file.

    Reads it once, for its hash. Raises BadRecord as `read_file` does.
    """
    where, told = printable(path), mime_type_of(path.name)
    try:
        size = _size_of(path, where)
        if size <= _MOST_BYTES or kind_of(told or "") in (None, "document"):
            return None
        with path.open("rb") as file:
            found = _by_content(file.read(_OPENING_BYTES), told, where)
            _check_taken(found, where)
            check_size(size, found, where, most=MOST_UPLOADED_BYTES)
            file.seek(0)
            return StoredFile(path.absolute(), size, file_digest(file, "sha256").digest()), found
    except (OSError, ValueError) as error:
        raise BadRecord(f"{where}: {_reason(error, path)}") from None


def _size_of(path: Path, where: str) -> int:
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):  # reading a pipe or a device would never end
        raise BadRecord(f"{where}: {_kind_of_file(found.st_mode)}")
    if found.st_size == 0:  # nor would reading some files of the system, which have no size
        raise BadRecord(f"{where}: the file is empty")
    return found.st_size


def check_size(size: int, mime_type: str, where: str, *, divisible: bool = False, most: int | None = None) -> None:
    """Raise BadRecord where a file of a type has more bytes than `most`, by default what is sent inline."""
    if mime_type == _PDF:
        most = _MOST_DIVISIBLE_BYTES if divisible else MOST_PDF_BYTES
    if size > (most := most or _MOST_BYTES):
        advice = "split it by pages" if mime_type == _PDF else "cut it into smaller files"
        raise BadRecord(f"{where}: {size:,} bytes is too large to send (at most {most:,}): {advice}")


def type_of(data: bytes, told: str | None, where: str, *, divisible: bool = False) -> str:
    """Return the type of a file that can be sent: what its bytes say, and where they say nothing, what was `told`.

    Raises BadRecord for what is empty, too large, damaged, protected, not what was told, or not taken by the API. A PDF
    may have more bytes and pages where it is `divisible`.
    """
    if not data:
        raise BadRecord(f"{where}: the file is empty")
    found = office_type(data, told, where) if is_container(data) else _by_content(data, told, where)
    _check_taken(found, where)
    if not is_text(found):
        check_size(len(data), found, where, divisible=divisible)
    if found == _PDF:
        check_pdf(data, where, most_pages=None if divisible else MOST_PAGES)
    return found


def _check_taken(mime_type: str, where: str) -> None:
    if not is_text(mime_type) and not is_taken(mime_type):
        raise BadRecord(f"{where}: the API takes no files of type {mime_type}; {_ADVICE.get(mime_type, 'convert it')}")


def _by_content(data: bytes, told: str | None, where: str) -> str:
    found = sniffed(data)
    if found is not None and not is_text(found):
        return told_apart(found, told)
    if told is None and found is None:
        raise BadRecord(f"{where}: not a type of file that is known; give it the ending of what it is")
    if told is None or is_text(told):
        return told or "text/plain"
    if told in _OFTEN_TEXT and looks_like_text(data):
        return "text/plain"
    if has_sign(told) or (is_taken(told) and looks_like_text(data)):
        what = "text" if looks_like_text(data) else "something else, or damaged"
        raise BadRecord(f"{where}: it should be {told}, but it holds {what}; give it the ending of what it is")
    return told


def _kind_of_file(mode: int) -> str:
    return next((words for test, words in _KINDS if test(mode)), "a device, not a regular file")


def _reason(error: OSError | ValueError, path: Path) -> str:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    if isinstance(error, FileNotFoundError) and not path.is_absolute():
        return f"{reason}; relative paths start at {printable(Path.cwd())}"
    return reason
