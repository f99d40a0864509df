"""Which type a file is of, told by its name or by how it begins, and the kind of content the API takes it as."""

from __future__ import annotations

import mimetypes
from pathlib import PurePath
from typing import Literal, TypeAlias, cast

__all__ = ["MediaKind", "is_text", "kind_of", "mime_type_of", "sniffed"]

MediaKind: TypeAlias = Literal["image", "audio", "video", "document"]

_OFFICE = "application/vnd.openxmlformats-officedocument."
_OPEN_DOCUMENT = "application/vnd.oasis.opendocument."
# Where the API's own list of types (2026) has another word than Python's table, the API's stands.
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
    ".ogg": "audio/ogg",
    ".aif": "audio/aiff",
    ".aiff": "audio/aiff",
    ".mov": "video/mov",
    ".avi": "video/avi",
    ".flv": "video/x-flv",
    ".wmv": "video/wmv",
    ".m4v": "video/mp4",
    ".3gp": "video/3gpp",
    ".odt": _OPEN_DOCUMENT + "text",
    ".ods": _OPEN_DOCUMENT + "spreadsheet",
    ".odp": _OPEN_DOCUMENT + "presentation",
    ".dotx": _OFFICE + "wordprocessingml.template",
    ".docx": _OFFICE + "wordprocessingml.document",
    ".xlsx": _OFFICE + "spreadsheetml.sheet",
    ".pptx": _OFFICE + "presentationml.presentation",
}
# Python's own table, without the files of the machine: what a file is must not depend on where it is read.
_KNOWN = mimetypes.MimeTypes().types_map[True]
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

# What follows "ftyp": the families of MPEG-4 files that are no plain video.
_BRANDS = {
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"mif1": "image/heic",
    b"M4A": "audio/m4a",
    b"M4B": "audio/m4a",
    b"qt  ": "video/mov",
    b"3gp": "video/3gpp",
}


def mime_type_of(name: str) -> str | None:
    """Return the type that a file's ending stands for, or None."""
    ending = PurePath(name).suffix.lower()
    return _TYPES.get(ending) or _KNOWN.get(ending)


def is_text(mime_type: str) -> bool:
    """True for what is sent as plain text, whatever the file is called."""
    return mime_type.startswith("text/") or mime_type in _TEXT_TYPES


def kind_of(mime_type: str) -> MediaKind | None:
    """Return the kind of content that a type is sent as, or None where the API takes none of it."""
    major = mime_type.partition("/")[0]
    if major in ("image", "audio", "video"):
        return cast("MediaKind", major)
    is_office = mime_type.startswith((_OFFICE, _OPEN_DOCUMENT, "application/vnd.ms-"))
    return "document" if is_office or mime_type in ("application/pdf", "application/msword") else None


def sniffed(data: bytes) -> str | None:
    """Return the type that a file's first bytes stand for, or None."""
    for opening, mime_type in _OPENINGS:
        if data.startswith(opening):
            return mime_type
    if data[:4] == b"RIFF":
        return {b"WEBP": "image/webp", b"WAVE": "audio/wav"}.get(data[8:12])
    if data[4:8] == b"ftyp":
        return _BRANDS.get(data[8:12]) or _BRANDS.get(data[8:11], "video/mp4")
    return None if b"\x00" in data[:1024] else "text/plain"
