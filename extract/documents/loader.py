"""Loads the file that a cell names or holds: text files become text parts, all others media parts.

A PDF with more bytes or pages than the API accepts becomes several parts; a recording too large for a request stays on
disk until it is uploaded.
"""

from __future__ import annotations

import os
import re
from base64 import b64decode
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes
from urllib.request import url2pathname

from extract.documents.decoding import decode_text
from extract.documents.files import printable, read_file, stored_file, type_of
from extract.documents.mail import read_mail
from extract.documents.mime import MAIL, is_text, kind_of, mime_type_of
from extract.documents.parts import MediaPart, Part, TextPart
from extract.documents.pdf import MAX_PDF_BYTES, split_pdf
from extract.documents.pdf_opening import has_pdfium
from extract.documents.roots import Roots
from extract.errors import BadRecord

__all__ = ["load_parts"]

_REMOTE = ("https://", "http://", "gs://")
_MAX_SHOWN_CHARACTERS = 80  # of a data: URI in a message


def load_parts(value: Any, column: str, roots: Roots | None = None) -> tuple[Part, ...]:
    """Return the parts for one cell: a path, a URI or bytes; none for null. Reads the file.

    It is one part, except for a PDF that has to be sent in several. `roots` are the folders that a path must lie under.

    Raises BadRecord for a file that lies under none of them, or is missing, unreadable, empty, damaged, encrypted, too
    large or of a type that the API does not accept; the message is one line with the path and what to do.
    """
    if value is None:
        return ()
    if isinstance(value, TextPart | MediaPart):
        return (value,)
    if isinstance(value, bytes | bytearray | memoryview):
        return _inline(bytes(value), None, f"column {column!r}")
    if isinstance(value, str):
        return _from_text(value, column, roots)
    if isinstance(value, os.PathLike):
        return _from_path(Path(value), roots)
    raise BadRecord(f"column {column!r} holds a {type(value).__name__}; a path, an URI or bytes is needed")


def _from_text(value: str, column: str, roots: Roots | None) -> tuple[Part, ...]:
    """Return the parts that a text cell names: a URI of any scheme, else a path."""
    if not value.strip():
        raise BadRecord(f"column {column!r} holds an empty text; a path, an URI or bytes is needed, or null for none")
    start = value[:8].lower()
    if start.startswith(_REMOTE):
        return (_remote(value),)
    if start.startswith("data:"):
        return _from_data(value)
    return _from_path(_local_path(value) if start.startswith("file:") else Path(value), roots)


def _remote(uri: str) -> MediaPart:
    mime_type = mime_type_of(uri.partition("?")[0].partition("#")[0]) or "application/pdf"
    kind = kind_of(mime_type)
    if kind is None:
        raise BadRecord(
            f"{printable(uri)}: files of type {mime_type} cannot be sent by address; fetch it and name its path"
        )
    return MediaPart(kind=kind, mime_type=mime_type, uri=uri)


def _local_path(uri: str) -> Path:
    """Return the path of a file: URI. BadRecord for one on another machine."""
    match = re.fullmatch(r"file:(?://(?:localhost)?)?(/[^/].*)", uri, re.IGNORECASE | re.DOTALL)
    if match is None:
        raise BadRecord(f"{printable(uri)}: no file of this machine; write file:///path, or the path itself")
    if os.name == "nt":
        return Path(url2pathname(match[1]))
    try:
        return Path(os.fsdecode(unquote_to_bytes(match[1])))
    except UnicodeEncodeError:
        raise BadRecord(f"{printable(uri)}: an address holds half a character") from None


def _from_data(uri: str) -> tuple[Part, ...]:
    """Return the parts that a data: URI holds; its declared type is checked like that of a file's name."""
    head, comma, body = uri[5:].partition(",")
    where = printable(f"data:{head}"[:_MAX_SHOWN_CHARACTERS])
    if not comma:
        raise BadRecord(f"{where}: a data: URI has a comma before the data")
    mime_type, *options = (option.strip() for option in head.split(";"))
    try:
        data = unquote_to_bytes(body)
        if "base64" in (option.lower() for option in options):
            data = b64decode(b"".join(data.split()), validate=True)
    except ValueError:  # includes UnicodeEncodeError, for half a character
        raise BadRecord(f"{where}: its data is no base64") from None
    charset = next((option[8:] for option in options if option.lower().startswith("charset=")), None)
    return _inline(data, mime_type.lower() or "text/plain", where, charset)


def _from_path(path: Path, roots: Roots | None) -> tuple[Part, ...]:
    place = None if roots is None else roots.find(path)
    if (stored := stored_file(path, place)) is not None:
        file, mime_type = stored
        return (MediaPart(kind=kind_of(mime_type) or "document", mime_type=mime_type, file=file),)
    return _inline(read_file(path, divisible=True, place=place), mime_type_of(path.name), printable(path))


def _inline(data: bytes, declared: str | None, where: str, charset: str | None = None) -> tuple[Part, ...]:
    mime_type = type_of(data, declared, where, divisible=True)
    if mime_type == MAIL and (mail := read_mail(data, where, _attached)):
        return mail
    if is_text(mime_type):
        return (TextPart(*decode_text(data, where, charset)),)
    kind = kind_of(mime_type) or "document"
    pieces = _split(data, where) if mime_type == "application/pdf" else (data,)
    return tuple(MediaPart(kind=kind, mime_type=mime_type, data=piece) for piece in pieces)


def _attached(data: bytes, declared: str | None, name: str) -> tuple[Part, ...]:
    """Return the parts of a file in an e-mail. An e-mail in a file there stays text: each within another has no end."""
    return _inline(data, "text/plain" if declared == MAIL else declared, name)


def _split(data: bytes, where: str) -> tuple[bytes, ...]:
    """Return a PDF in parts that the API accepts. BadRecord where it must be split and pdfium is not installed."""
    if has_pdfium():
        return tuple(piece.data for piece in split_pdf(data, where=where))
    if len(data) > MAX_PDF_BYTES:
        raise BadRecord(
            f"{where}: {len(data):,} bytes is too large for one PDF (at most {MAX_PDF_BYTES:,}); to have it split by "
            "pages: pip install 'extract-interactions[documents]'"
        )
    return (data,)
