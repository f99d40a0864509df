"""The MIME type of a file, by its name or its first bytes, and the kind of content that the API accepts it as."""

from __future__ import annotations

import mimetypes
from pathlib import PurePath
from typing import Literal, TypeAlias, cast

__all__ = [
    "EXCEL",
    "MAIL",
    "POWERPOINT",
    "WORD",
    "MediaKind",
    "has_signature",
    "is_supported",
    "is_text",
    "kind_of",
    "mime_type_of",
    "more_specific_type",
    "sniff_type",
]

MediaKind: TypeAlias = Literal["image", "audio", "video", "document"]

_OFFICE = "application/vnd.openxmlformats-officedocument."
_OPEN_DOCUMENT = "application/vnd.oasis.opendocument."
WORD, EXCEL, POWERPOINT = "application/msword", "application/vnd.ms-excel", "application/vnd.ms-powerpoint"
# Where the API's list of types (2026) differs from Python's table, the API's name is used.
_TYPES_BY_ENDING = {
    ".md": "text/markdown",
    ".markdown": "text/markdown",
    ".jsonl": "application/json",
    ".ndjson": "application/json",
    ".yaml": "text/plain",
    ".yml": "text/plain",
    ".log": "text/plain",
    ".eml": "message/rfc822",
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
    ".bmp": "image/bmp",
    ".mp3": "audio/mpeg",
    ".aac": "audio/aac",
    ".opus": "audio/opus",
    ".webm": "video/webm",
    ".mkv": "video/x-matroska",
    ".avif": "image/avif",
    ".rtf": "application/rtf",
    ".epub": "application/epub+zip",
    ".msg": "application/vnd.ms-outlook",
    ".doc": WORD,
    ".xls": EXCEL,
    ".ppt": POWERPOINT,
    ".odt": _OPEN_DOCUMENT + "text",
    ".ods": _OPEN_DOCUMENT + "spreadsheet",
    ".odp": _OPEN_DOCUMENT + "presentation",
    ".dotx": _OFFICE + "wordprocessingml.template",
    ".docx": _OFFICE + "wordprocessingml.document",
    ".xlsx": _OFFICE + "spreadsheetml.sheet",
    ".pptx": _OFFICE + "presentationml.presentation",
}
# Python's built-in table, without the machine's own files: the type must not depend on where the file is read.
_STANDARD_TYPES = mimetypes.MimeTypes().types_map[True]
MAIL = "message/rfc822"
_TEXT_TYPES = frozenset({MAIL, "application/json", "application/xml", "application/xhtml+xml", "application/x-yaml"})
# The types on the API's list (2026). The list is open, but other types are better converted than tried.
_SUPPORTED_MEDIA = frozenset(
    f"{kind}/{name}"
    for kind, names in {
        "image": "png jpeg webp heic heif gif bmp tiff",
        "audio": "wav mp3 aiff aac ogg flac mpeg m4a l16 opus alaw mulaw webm",
        "video": "mp4 mpeg mpg mov avi x-flv webm wmv 3gpp",
    }.items()
    for name in names.split()
)
_DOCUMENTS = frozenset(
    {
        "application/pdf",
        WORD,
        EXCEL,
        POWERPOINT,
        *(_OPEN_DOCUMENT + name for name in ("text", "spreadsheet", "presentation")),
        *(_OFFICE + name for name in ("wordprocessingml.document", "wordprocessingml.template")),
        *(_OFFICE + name for name in ("spreadsheetml.sheet", "presentationml.presentation")),
    }
)
_SIGNATURES = (
    (b"%PDF-", "application/pdf"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\x00", "image/tiff"),
    (b"II+\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"MM\x00+", "image/tiff"),
    (b"ID3\x02", "audio/mpeg"),
    (b"ID3\x03", "audio/mpeg"),
    (b"ID3\x04", "audio/mpeg"),
    (b"\xff\xf1", "audio/aac"),
    (b"\xff\xf9", "audio/aac"),
    (b"fLaC", "audio/flac"),
    (b"OggS\x00", "audio/ogg"),
    (b"FLV\x01", "video/x-flv"),
    (b"\x00\x00\x01\xba", "video/mpeg"),
    (b"\x00\x00\x01\xb3", "video/mpeg"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "video/wmv"),
    (b"{\\rtf", "application/rtf"),
)
_MATROSKA = b"\x1a\x45\xdf\xa3"
_RIFF = {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/avi"}
_BITMAP_HEADERS = (12, 40, 52, 56, 64, 108, 124)
_MPEG_LAYER_3 = b"\xfa\xfb\xf2\xf3\xe2\xe3"
_BYTE_ORDER_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")

# What follows "ftyp": the brands of MPEG-4 files that are not plain MP4 video.
_BRANDS = {
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1"), "image/heic"),
    **dict.fromkeys((b"avif", b"avis"), "image/avif"),
    b"M4A": "audio/m4a",
    b"M4B": "audio/m4a",
    b"qt  ": "video/mov",
    b"3gp": "video/3gpp",
}
_MOVIE_ATOMS = (b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")
# Types that share a signature: among these the file's name decides.
_SIBLINGS = (
    frozenset({"video/mp4", "video/mov", "video/3gpp", "audio/m4a"}),
    frozenset({"audio/ogg", "audio/opus", "video/ogg"}),
    frozenset({"audio/webm", "video/webm", "video/x-matroska"}),
    frozenset({"image/heic", "image/heif"}),
    frozenset({"audio/mpeg", "audio/mp3", "audio/aac"}),
)
_WITHOUT_SIGNATURE = frozenset(
    ["audio/mpeg", "audio/mp3", "audio/aac", "audio/l16", "audio/alaw", "audio/mulaw", "video/mpeg", "video/mpg"]
)


def mime_type_of(name: str) -> str | None:
    """Return the type for a file name's ending, None for an unknown one."""
    ending = PurePath(name).suffix.lower()
    return _TYPES_BY_ENDING.get(ending) or _STANDARD_TYPES.get(ending)


def is_text(mime_type: str) -> bool:
    """True for types that are sent as plain text."""
    return mime_type.startswith("text/") or mime_type in _TEXT_TYPES


def kind_of(mime_type: str) -> MediaKind | None:
    """Return the kind of content that a type is sent as, None for text and unknown types."""
    major = mime_type.partition("/")[0]
    if major in ("image", "audio", "video"):
        return cast("MediaKind", major)
    return "document" if mime_type in _DOCUMENTS else None


def is_supported(mime_type: str) -> bool:
    """True for a type on the API's list of file types."""
    return mime_type in _SUPPORTED_MEDIA or mime_type in _DOCUMENTS


def has_signature(mime_type: str) -> bool:
    """True for a supported type whose files always begin with a signature that `sniff_type` or `office` detects."""
    return is_supported(mime_type) and mime_type not in _WITHOUT_SIGNATURE


def more_specific_type(detected: str, declared: str | None) -> str:
    """Return the detected type, or the declared one where both share a signature."""
    is_sibling = declared is not None and any({detected, declared} <= siblings for siblings in _SIBLINGS)
    return declared if is_sibling and declared else detected


def sniff_type(data: bytes) -> str | None:
    """Return the type detected from a file's first bytes, None for unknown binary data."""
    opening = bytes(data[:1024])
    detected = _by_signature(opening) or _by_container(opening)
    if detected or opening.startswith(_BYTE_ORDER_MARKS):
        return detected or "text/plain"
    return None if b"\x00" in opening else "text/plain"


def _by_signature(opening: bytes) -> str | None:
    for signature, mime_type in _SIGNATURES:
        if opening.startswith(signature):
            return mime_type
    if opening.lstrip(b"\xef\xbb\xbf\x00 \t\r\n").startswith(b"%PDF-"):
        return "application/pdf"
    if opening[:1] == b"\xff" and opening[1:2] in _MPEG_LAYER_3 and opening[1:2] and opening[2:3] < b"\xf0":
        return "audio/mpeg"
    is_bitmap = opening[:2] == b"BM" and opening[6:10] == bytes(4)
    return "image/bmp" if is_bitmap and int.from_bytes(opening[14:18], "little") in _BITMAP_HEADERS else None


def _by_container(opening: bytes) -> str | None:
    """Return the type of the content of a media container: RIFF, IFF, MPEG-4 or Matroska."""
    if opening[:4] == b"RIFF":
        return _RIFF.get(opening[8:12])
    if opening[:4] == b"FORM" and opening[8:12] in (b"AIFF", b"AIFC"):
        return "audio/aiff"
    if opening.startswith(_MATROSKA):
        return "video/webm" if b"webm" in opening[:64] else "video/x-matroska"
    if opening[4:8] == b"ftyp":
        return _BRANDS.get(opening[8:12]) or _BRANDS.get(opening[8:11], "video/mp4")
    return "video/mov" if opening[4:8] in _MOVIE_ATOMS and opening[:2] == b"\x00\x00" else None
