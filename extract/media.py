"""Cells that name or hold a file become parts: text files as text, the rest inline with their type."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from extract.errors import BadRecord
from extract.mime import is_text, kind_of, mime_type_of, sniffed
from extract.parts import MediaPart, Part, TextPart, check_size, read_file

__all__ = ["is_document", "load_part"]

_REMOTE = ("https://", "http://", "gs://")


def is_document(path: Path) -> bool:
    """True for a file that can become a part, judged by its ending; hidden files never."""
    kind = mime_type_of(path.name)
    return not path.name.startswith(".") and kind is not None and (is_text(kind) or kind_of(kind) is not None)


def load_part(value: Any, column: str) -> Part | None:
    """Return the part for one cell: a path, an URI or bytes; None for null. Reads the file.

    Raises BadRecord for what is missing, unreadable, empty, too large or of a type that the API does not take.
    """
    if value is None or isinstance(value, TextPart | MediaPart):
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        data = bytes(value)
        return _inline(data, sniffed(data), f"column {column!r}")
    if isinstance(value, str) and value.startswith(_REMOTE):
        return _remote(value)
    if isinstance(value, str | os.PathLike):
        return _from_path(Path(value))
    raise BadRecord(f"column {column!r} holds a {type(value).__name__}; a path, an URI or bytes is needed")


def _remote(uri: str) -> MediaPart:
    mime_type = mime_type_of(uri.partition("?")[0]) or "application/pdf"
    kind = kind_of(mime_type)
    if kind is None:
        raise BadRecord(f"{uri}: files of type {mime_type} cannot be sent by address")
    return MediaPart(kind=kind, mime_type=mime_type, uri=uri)


def _from_path(path: Path) -> Part:
    data = read_file(path)
    return _inline(data, mime_type_of(path.name) or sniffed(data), str(path))


def _inline(data: bytes, mime_type: str | None, where: str) -> Part:
    if not data:
        raise BadRecord(f"{where}: the file is empty")
    if mime_type is None:
        raise BadRecord(f"{where}: not a type of file that is known")
    if is_text(mime_type):
        return TextPart(_decoded(data))
    kind = kind_of(mime_type)
    if kind is None:
        raise BadRecord(f"{where}: the API takes no files of type {mime_type}")
    check_size(len(data), mime_type, where)
    return MediaPart(kind=kind, mime_type=mime_type, data=data)


def _decoded(data: bytes) -> str:
    """Return the text: by its byte order mark, as UTF-8, else as Windows-1252, which takes nearly every byte."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")
