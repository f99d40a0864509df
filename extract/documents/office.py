"""The type of an office document from its container: a zip file (docx, odt, ...) or a compound file (doc, xls, ppt)."""

from __future__ import annotations

import struct
from collections.abc import Collection
from io import BytesIO
from zipfile import BadZipFile, ZipFile

from extract.documents.mime import EXCEL, POWERPOINT, WORD, mime_type_of
from extract.errors import BadRecord

__all__ = ["is_container", "office_type"]

_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_COMPOUND = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ZIP_END = b"PK\x05\x06"
_ZIP_END_REACH = 65_557  # bytes: the end record and the longest comment after it
# Only the list of entries is read, and only up to a sensible size: a list of a million entries is an attack.
_MAX_LISTED_BYTES = 4_000_000
_MAX_UNPACKED_BYTES = 2_000_000_000
_MAX_MIME_BYTES = 128
_IS_ENCRYPTED = 1
_FOLDERS = {"word/": mime_type_of("a.docx"), "xl/": mime_type_of("a.xlsx"), "ppt/": mime_type_of("a.pptx")}
_STREAMS = {
    "EncryptedPackage": None,
    "WordDocument": WORD,
    "PowerPoint Document": POWERPOINT,
    "Workbook": EXCEL,
    "Book": EXCEL,
}
# What zipfile raises for damage; NotImplementedError stands for an unknown compression method.
_DAMAGE_ERRORS = (BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError, struct.error)


def is_container(data: bytes) -> bool:
    """True for a zip or compound file, whatever it holds."""
    return data.startswith((*_ZIP, _COMPOUND))


def office_type(data: bytes, declared: str | None, where: str) -> str:
    """Return the type of the office document in a container; at most 128 bytes are unpacked.

    Raises BadRecord for a container that is damaged, protected by a password, or holds no office document.
    """
    if data.startswith(_COMPOUND):
        return _compound_type(data, where)
    detected = _zip_type(data, where)
    is_template = detected == mime_type_of("a.docx") and declared == mime_type_of("a.dotx")
    return declared if is_template and declared else detected


def _compound_type(data: bytes, where: str) -> str:
    for stream, mime_type in _STREAMS.items():
        if stream.encode("utf-16-le") + b"\0\0" in data:
            if mime_type is None:
                raise BadRecord(f"{where}: protected by a password; save it without one")
            return mime_type
    raise BadRecord(f"{where}: neither a Word, an Excel nor a PowerPoint file; save it as PDF")


def _zip_type(data: bytes, where: str) -> str:
    end = data.rfind(_ZIP_END, max(0, len(data) - _ZIP_END_REACH))
    if end < 0 or len(data) < end + 16:
        raise BadRecord(f"{where}: damaged: the zip file is cut off; fetch it again")
    if int.from_bytes(data[end + 12 : end + 16], "little") > _MAX_LISTED_BYTES:
        raise BadRecord(f"{where}: no document: a zip file of very many entries; unpack it and give its files")
    try:
        with ZipFile(BytesIO(data)) as archive:
            entries = archive.infolist()
            if sum(entry.file_size for entry in entries) > _MAX_UNPACKED_BYTES:
                raise BadRecord(f"{where}: it would unpack to more than {_MAX_UNPACKED_BYTES:,} bytes: not a document")
            detected = _open_document_type(archive) or _office_open_type({entry.filename for entry in entries})
            is_encrypted = any(entry.flag_bits & _IS_ENCRYPTED for entry in entries)
    except _DAMAGE_ERRORS:
        raise BadRecord(f"{where}: damaged: its zip file cannot be read; fetch it again") from None
    if is_encrypted:
        raise BadRecord(f"{where}: protected by a password; save it without one")
    if detected is None:
        raise BadRecord(f"{where}: a zip file that is no office document; unpack it and give its files")
    return detected


def _open_document_type(archive: ZipFile) -> str | None:
    """Return the content of the entry `mimetype`, None where there is none."""
    if "mimetype" not in archive.NameToInfo:
        return None
    with archive.open("mimetype") as entry:
        return entry.read(_MAX_MIME_BYTES).decode("ascii", "replace").strip()


def _office_open_type(names: Collection[str]) -> str | None:
    if "[Content_Types].xml" not in names:
        return None
    return next((kind for folder, kind in _FOLDERS.items() if any(name.startswith(folder) for name in names)), None)
