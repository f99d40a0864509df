"""The document that a row names: a text, a picture, a recording, or a PDF. It is read under the rules of a run."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePath
from threading import Lock
from typing import Any, Final, Literal, TypeAlias

from extract.documents.files import printable
from extract.documents.loader import load_parts
from extract.documents.parts import MediaPart, TextPart
from extract.documents.roots import Roots
from extract.documents.text_layer import source_text
from extract.errors import BadRecord, ConfigError
from extract.review.pdf_pages import PdfPages

__all__ = ["Document", "Documents", "Shown", "read_document"]

Shown: TypeAlias = Literal["text", "pdf", "image", "audio", "video", "missing"]

_RECENT: Final = 4
_RECENT_BYTES: Final = 100_000_000
_SHOWN: Final[dict[str, Shown]] = {"image": "image", "audio": "audio", "video": "video"}
_PDF: Final = "application/pdf"


@dataclass(frozen=True)
class Document:
    """What a cell names. `parts` are the bytes, of a PDF that is sent in several parts all of them; `text` a text."""

    kind: Shown
    name: str
    mime: str = ""
    text: str = ""
    parts: tuple[bytes, ...] = ()
    message: str = ""

    @cached_property
    def pdf(self) -> PdfPages:
        """The pages, where it is a PDF."""
        return PdfPages(self.parts, self.name)

    @property
    def size(self) -> int:
        """The bytes that it holds in memory."""
        return sum(map(len, self.parts)) + len(self.text)


def read_document(cell: Any, column: str, roots: Roots | None) -> Document | None:
    """Return the document that a cell names, None for null. One that cannot be read says why."""
    name = _name_of(cell, column)
    try:
        parts = load_parts(cell, column, roots)
        return _document(parts, name) if parts else None
    except (BadRecord, ConfigError) as error:
        return Document("missing", name, message=str(error))


def _name_of(cell: Any, column: str) -> str:
    if isinstance(cell, str) and not cell[:5].lower().startswith("data:"):
        return printable(PurePath(cell.partition("?")[0]).name or column)[:200]
    return column


def _document(parts: tuple[Any, ...], name: str) -> Document:
    first = parts[0]
    if any(isinstance(part, TextPart) for part in parts):  # an e-mail may have pictures beside its text
        source = source_text(parts)
        return Document("text", name, "text/plain", text="" if source is None else source.text)
    if not isinstance(first, MediaPart) or first.data is None:
        reason = "an address of the web, which is not fetched" if first.uri else "too large to be shown"
        return Document("missing", name, message=f"{name}: {reason}")
    if first.mime_type == _PDF:
        return Document("pdf", name, _PDF, parts=tuple(part.data for part in parts))
    kind = _SHOWN.get(first.kind)
    if kind is None:
        return Document("missing", name, message=f"{name}: files of type {first.mime_type} cannot be shown")
    return Document(kind, name, first.mime_type, parts=(first.data,))


@dataclass(slots=True)
class Documents:
    """The documents that were read last, for the requests that follow: a page's picture, its words, the next page."""

    roots: Roots | None
    _recent: OrderedDict[Hashable, Document] = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock)

    def read(self, key: Hashable, cell: Any, column: str) -> Document | None:
        """Return the document of a cell, None for null; `key` names the cell. Safe with several threads."""
        with self._lock:
            if key in self._recent:
                self._recent.move_to_end(key)
                return self._recent[key]
            document = read_document(cell, column, self.roots)
            if document is not None and document.kind != "missing":
                self._recent[key] = document
                while len(self._recent) > _RECENT or (len(self._recent) > 1 and self._size() > _RECENT_BYTES):
                    self._recent.popitem(last=False)
            return document

    def _size(self) -> int:
        return sum(document.size for document in self._recent.values())
