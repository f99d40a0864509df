"""The text of a record in which values can be found again."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from extract.documents.grounding import SourceText
from extract.documents.parts import MediaPart, Part, TextPart
from extract.documents.pdf import PdfText, need_pdfium, read_pdf

__all__ = ["Quoted", "source_text"]


class Quoted:
    """The cells in which the values of an answer are to be found again; the first that has a text counts.

    Raises ConfigError for a PDF where there is no pdfium to read it: before anything is asked.
    """

    def __init__(self, cells: Sequence[tuple[Part, ...]]) -> None:
        if any(_is_pdf(part) for parts in cells for part in parts):
            need_pdfium()
        self._cells = cells

    @cached_property
    def source(self) -> SourceText | None:
        """The text, read once for all answers to a record; None where there is none. Reading a PDF takes a moment."""
        return next(filter(None, map(source_text, self._cells)), None)


def source_text(parts: Sequence[Part], *, whole: bool = False) -> SourceText | None:
    """Return the text of a cell: what it says, or the text layer of a PDF, which may come in several parts.

    None where there is no text, or, for the `whole` of it, where a page of a PDF is a picture. ConfigError for a PDF
    where there is no pdfium.
    """
    if len(parts) == 1 and isinstance(parts[0], TextPart):
        return SourceText(parts[0].text) if parts[0].text.strip() else None
    read = [read_pdf(part.data) for part in parts if isinstance(part, MediaPart) and part.data and _is_pdf(part)]
    if whole and any(text.pictures for text in read):
        return None
    document = PdfText(tuple(page for text in read for page in text.pages))
    return SourceText(document.text, page_starts=document.page_starts) if document.has_text_layer else None


def _is_pdf(part: Part) -> bool:
    return isinstance(part, MediaPart) and part.data is not None and part.mime_type == "application/pdf"
