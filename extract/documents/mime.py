"""Which type a file is of, told by its name or by how it begins, and the kind of content the API takes it as."""

from __future__ import annotations

import mimetypes
from pathlib import PurePath
from typing import Literal, TypeAlias, cast

__all__ = [
    "EXCEL",
    "POWERPOINT",
    "WORD",
    "MediaKind",
    "has_sign",
    "is_for_readers",
    "is_taken",
    "is_text",
    "kind_of",
    "mime_type_of",
    "sniffed",
    "told_apart",
]

MediaKind: TypeAlias = Literal["image", "audio", "video", "document"]

_OFFICE = "application/vnd.openxmlformats-officedocument."
_OPEN_DOCUMENT = "application/vnd.oasis.opendocument."
WORD, EXCEL, POWERPOINT = "application/msword", "application/vnd.ms-excel", "application/vnd.ms-powerpoint"
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
# Python's own table, without the files of the machine: what a file is must not depend on where it is read.
_KNOWN = mimetypes.MimeTypes().types_map[True]
_TEXT_TYPES = frozenset({"application/json", "application/xml", "application/xhtml+xml", "application/x-yaml"})
# The types on the API's own list (2026). It is an open list, but what is not on it is better converted than tried.
_TAKEN = frozenset(
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
# Documents to people, but not to the API: in a folder they are rows with their reason, not passed over.
_FOREIGN_DOCUMENTS = frozenset({"application/rtf", "application/epub+zip", "application/vnd.ms-outlook"})
_OPENINGS = (
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

# What follows "ftyp": the families of MPEG-4 files that are no plain video.
_BRANDS = {
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1"), "image/heic"),
    **dict.fromkeys((b"avif", b"avis"), "image/avif"),
    b"M4A": "audio/m4a",
    b"M4B": "audio/m4a",
    b"qt  ": "video/mov",
    b"3gp": "video/3gpp",
}
_MOVIE_ATOMS = (b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")
# Types that share a way to begin: there the name tells which one it is.
_SIBLINGS = (
    frozenset({"video/mp4", "video/mov", "video/3gpp", "audio/m4a"}),
    frozenset({"audio/ogg", "audio/opus", "video/ogg"}),
    frozenset({"audio/webm", "video/webm", "video/x-matroska"}),
    frozenset({"image/heic", "image/heif"}),
    frozenset({"audio/mpeg", "audio/mp3", "audio/aac"}),
)
_WITHOUT_SIGN = frozenset(
    ["audio/mpeg", "audio/mp3", "audio/aac", "audio/l16", "audio/alaw", "audio/mulaw", "video/mpeg", "video/mpg"]
)


def mime_type_of(name: str) -> str | None:
    """Return the type that a file's ending stands for, or None."""
    ending = PurePath(name).suffix.lower()
    return _TYPES.get(ending) or _KNOWN.get(ending)


def is_text(mime_type: str) -> bool:
    """True for what is sent as plain text, whatever the file is called."""
    return mime_type.startswith("text/") or mime_type in _TEXT_TYPES


def kind_of(mime_type: str) -> MediaKind | None:
    """Return the kind of content that a type is sent as, or None where there is none for it."""
    major = mime_type.partition("/")[0]
    if major in ("image", "audio", "video"):
        return cast("MediaKind", major)
    return "document" if mime_type in _DOCUMENTS else None


def is_taken(mime_type: str) -> bool:
    """True for a type on the API's own list of files."""
    return mime_type in _TAKEN or mime_type in _DOCUMENTS


def is_for_readers(mime_type: str) -> bool:
    """True for what people call a document, picture or recording, whether the API takes it or not."""
    return is_text(mime_type) or kind_of(mime_type) is not None or mime_type in _FOREIGN_DOCUMENTS


def has_sign(mime_type: str) -> bool:
    """True where every file of a type that the API takes begins in a way that `sniffed` or a container tells."""
    return is_taken(mime_type) and mime_type not in _WITHOUT_SIGN


def told_apart(found: str, told: str | None) -> str:
    """Return which of two types a file is of: what its bytes say, unless the name says a sibling of it."""
    is_sibling = told is not None and any({found, told} <= siblings for siblings in _SIBLINGS)
    return told if is_sibling and told else found


def sniffed(data: bytes) -> str | None:
    """Return the type that a file's first bytes stand for, or None."""
    opening = bytes(data[:1024])
    found = _signed(opening) or _contained(opening)
    if found or opening.startswith(_BYTE_ORDER_MARKS):
        return found or "text/plain"
    return None if b"\x00" in opening else "text/plain"


def _signed(opening: bytes) -> str | None:
    for sign, mime_type in _OPENINGS:
        if opening.startswith(sign):
            return mime_type
    if opening.lstrip(b"\xef\xbb\xbf\x00 \t\r\n").startswith(b"%PDF-"):
        return "application/pdf"
    if opening[:1] == b"\xff" and opening[1:2] in _MPEG_LAYER_3 and opening[1:2] and opening[2:3] < b"\xf0":
        return "audio/mpeg"
    is_bitmap = opening[:2] == b"BM" and opening[6:10] == bytes(4)
    return "image/bmp" if is_bitmap and int.from_bytes(opening[14:18], "little") in _BITMAP_HEADERS else None


def _contained(opening: bytes) -> str | None:
    """Return the type of a container's content: RIFF, IFF, MPEG-4, Matroska."""
    if opening[:4] == b"RIFF":
        return _RIFF.get(opening[8:12])
    if opening[:4] == b"FORM" and opening[8:12] in (b"AIFF", b"AIFC"):
        return "audio/aiff"
    if opening.startswith(_MATROSKA):
        return "video/webm" if b"webm" in opening[:64] else "video/x-matroska"
    if opening[4:8] == b"ftyp":
        return _BRANDS.get(opening[8:12]) or _BRANDS.get(opening[8:11], "video/mp4")
    return "video/mov" if opening[4:8] in _MOVIE_ATOMS and opening[:2] == b"\x00\x00" else None
