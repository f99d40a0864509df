"""Cells that name or hold a file become parts: text files as text, the rest inline with their type."""

from __future__ import annotations

import mimetypes
import os
import stat
from pathlib import Path
from typing import Any, cast

from extract.errors import BadRecord
from extract.types import MediaKind, MediaPart, Part, TextPart

__all__ = ["is_document", "load_part", "mime_type_of"]

# The API's own limits (pages on file input, 2026): 100 MB for a request with inline data, 50 MB for a PDF. Base64 adds
# a third, so 70 MB of bytes still leave room for the prompt.
_MOST_BYTES = 70_000_000
_MOST_PDF_BYTES = 50_000_000

_OFFICE = "application/vnd.openxmlformats-officedocument."
_TYPES = {
    ".md": "text/markdown",
    ".markdown": "text/markdown",
    ".jsonl": "application/json",
    ".ndjson": "application/json",
    ".yaml": "text/plain",
    ".yml": "text/plain",
    ".log": "text/plain",
    ".eml": "text/plain",
    ".webp": "image/webp",
    ".heic": "image/heic",
    ".heif": "image/heif",
    ".flac": "audio/flac",
    ".m4a": "audio/m4a",
    ".wav": "audio/wav",
    ".docx": _OFFICE + "wordprocessingml.document",
    ".xlsx": _OFFICE + "spreadsheetml.sheet",
    ".pptx": _OFFICE + "presentationml.presentation",
}
_TEXT_TYPES = frozenset({"application/json", "application/xml", "application/xhtml+xml", "application/x-yaml"})
_OPENINGS = (
    (b"%PDF-", "application/pdf"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"ID3", "audio/mp3"),
    (b"fLaC", "audio/flac"),
    (b"OggS", "audio/ogg"),
)
_REMOTE = ("https://", "http://", "gs://")


def mime_type_of(name: str) -> str | None:
    """Return the type that a file's ending stands for, or None."""
    ending = Path(name).suffix.lower()
    return _TYPES.get(ending) or mimetypes.types_map.get(ending)


def is_document(path: Path) -> bool:
    """True for a file that can become a part, judged by its ending; hidden files never."""
    kind = mime_type_of(path.name)
    return not path.name.startswith(".") and kind is not None and (_is_text(kind) or _kind_of(kind) is not None)


def load_part(value: Any, column: str) -> Part | None:
    """Return the part for one cell: a path, an URI or bytes; None for null. Reads the file.

    Raises BadRecord for what is missing, unreadable, empty, too large or of a type that the API does not take.
    """
    if value is None or isinstance(value, TextPart | MediaPart):
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        data = bytes(value)
        return _inline(data, _sniffed(data), f"column {column!r}")
    if isinstance(value, str) and value.startswith(_REMOTE):
        return _remote(value)
    if isinstance(value, str | os.PathLike):
        return _from_path(Path(value))
    raise BadRecord(f"column {column!r} holds a {type(value).__name__}; a path, an URI or bytes is needed")


def _remote(uri: str) -> MediaPart:
    mime_type = mime_type_of(uri.partition("?")[0]) or "application/pdf"
    kind = _kind_of(mime_type)
    if kind is None:
        raise BadRecord(f"{uri}: files of type {mime_type} cannot be sent by address")
    return MediaPart(kind=kind, mime_type=mime_type, uri=uri)


def _from_path(path: Path) -> Part:
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):  # reading a pipe or a device would never end
            raise BadRecord(f"{path}: not a regular file")
        size = found.st_size
        if size > _MOST_BYTES:  # judged before reading, so that no giant is pulled into memory
            raise BadRecord(f"{path}: {size:,} bytes is too large to send inline (at most {_MOST_BYTES:,})")
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise BadRecord(f"{path}: {reason}") from None
    return _inline(data, mime_type_of(path.name) or _sniffed(data), str(path))


def _inline(data: bytes, mime_type: str | None, where: str) -> Part:
    if not data:
        raise BadRecord(f"{where}: the file is empty")
    if mime_type is None:
        raise BadRecord(f"{where}: not a type of file that is known")
    if _is_text(mime_type):
        return TextPart(_decoded(data))
    kind = _kind_of(mime_type)
    if kind is None:
        raise BadRecord(f"{where}: the API takes no files of type {mime_type}")
    most = _MOST_PDF_BYTES if mime_type == "application/pdf" else _MOST_BYTES
    if len(data) > most:
        raise BadRecord(f"{where}: {len(data):,} bytes is too large for {mime_type} (at most {most:,})")
    return MediaPart(kind=kind, mime_type=mime_type, data=data)


def _is_text(mime_type: str) -> bool:
    return mime_type.startswith("text/") or mime_type in _TEXT_TYPES


def _kind_of(mime_type: str) -> MediaKind | None:
    major = mime_type.partition("/")[0]
    if major in ("image", "audio", "video"):
        return cast("MediaKind", major)
    is_office = mime_type.startswith((_OFFICE, "application/vnd.ms-", "application/vnd.oasis.opendocument."))
    return "document" if is_office or mime_type in ("application/pdf", "application/msword") else None


def _sniffed(data: bytes) -> str | None:
    for opening, mime_type in _OPENINGS:
        if data.startswith(opening):
            return mime_type
    if data[:4] == b"RIFF":
        return {b"WEBP": "image/webp", b"WAVE": "audio/wav"}.get(data[8:12])
    if data[4:8] == b"ftyp":
        return "image/heic" if data[8:12] in (b"heic", b"heix", b"mif1") else "video/mp4"
    return None if b"\x00" in data[:1024] else "text/plain"


def _decoded(data: bytes) -> str:
    """Return the text: by its byte order mark, as UTF-8, else as Windows-1252, which takes nearly every byte."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")
