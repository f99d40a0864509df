"""Files read with care, and what their bytes are: the type, told by content before name, and whether it can be sent."""

from __future__ import annotations

import stat
from pathlib import Path

from extract.containers import is_container, office_type
from extract.decoding import looks_like_text
from extract.errors import BadRecord
from extract.mime import EXCEL, WORD, has_sign, is_taken, is_text, mime_type_of, sniffed, told_apart
from extract.pdf import MOST_PDF_BYTES, check_pdf

__all__ = ["check_size", "printable", "read_file", "type_of"]

# The API's own limit (page on file input, 2026) is 100 MB for a request with inline data. Base64 adds a third, so 70 MB
# of bytes still leave room for the prompt.
_MOST_BYTES = 70_000_000
_PDF = "application/pdf"
# Programs that export "Excel" or "Word" often write a table or a page as plain text under that ending.
_OFTEN_TEXT = frozenset({WORD, EXCEL})
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


def printable(path: object) -> str:
    """Return a path as one line: what cannot be printed is escaped."""
    text = str(path)
    return text if text.isprintable() else repr(text)[1:-1]


def read_file(path: Path) -> bytes:
    """Return the bytes of a file that is small enough to be sent inline. Raises BadRecord; never waits for a pipe."""
    where = printable(path)
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):  # reading a pipe or a device would never end
            raise BadRecord(f"{where}: {_kind_of_file(found.st_mode)}")
        if found.st_size == 0:  # nor would reading some files of the system, which have no size
            raise BadRecord(f"{where}: the file is empty")
        # Judged before reading, so that no giant is pulled into memory.
        check_size(found.st_size, mime_type_of(path.name) or "", where)
        with path.open("rb") as file:
            data = file.read(found.st_size + 1)
    except (OSError, ValueError) as error:
        raise BadRecord(f"{where}: {_reason(error, path)}") from None
    if not data:
        raise BadRecord(f"{where}: the file is empty")
    return data


def check_size(size: int, mime_type: str, where: str) -> None:
    """Raise BadRecord where so many bytes of a type are too large to be sent inline."""
    most = MOST_PDF_BYTES if mime_type == _PDF else _MOST_BYTES
    if size > most:
        advice = "split it by pages" if mime_type == _PDF else "upload it with client.files instead"
        raise BadRecord(f"{where}: {size:,} bytes is too large to send inline (at most {most:,}): {advice}")


def type_of(data: bytes, told: str | None, where: str) -> str:
    """Return the type of a file that can be sent: what its bytes say, and where they say nothing, what was `told`.

    Raises BadRecord for what is empty, too large, damaged, protected, not what was told, or not taken by the API.
    """
    if not data:
        raise BadRecord(f"{where}: the file is empty")
    found = office_type(data, told, where) if is_container(data) else _by_content(data, told, where)
    if not is_text(found) and not is_taken(found):
        raise BadRecord(f"{where}: the API takes no files of type {found}; {_ADVICE.get(found, 'convert it')}")
    if not is_text(found):
        check_size(len(data), found, where)
    if found == _PDF:
        check_pdf(data, where)
    return found


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
