"""The text of a record in which extracted values are searched: its text cells, or the text layer of its PDFs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from extract.documents.grounding import SourceText
from extract.documents.parts import MediaPart, Part, TextPart
from extract.documents.pdf import PdfText, need_pdfium, read_pdf

__all__ = ["QuotableText", "source_text"]


class QuotableText:
    """The grounding columns of one record; their text is read when it is first needed.

    Raises ConfigError for a PDF if pdfium is not installed, so that a run fails before its first request.
    """

    def __init__(self, cells: Sequence[tuple[Part, ...]]) -> None:
        if any(_is_pdf(part) for parts in cells for part in parts):
            need_pdfium()
        self._cells = cells

    @cached_property
    def source(self) -> SourceText | None:
        """The text of the first cell that has any, read once per record, None without one. PDFs take a moment."""
        return next(filter(None, map(source_text, self._cells)), None)


def source_text(parts: Sequence[Part], *, whole: bool = False) -> SourceText | None:
    """Return the text of a cell: a text as it is, a PDF's text layer, joined where the PDF comes in several parts.

    None where there is no text; with `whole`, also where any page of a PDF is a picture. Raises ConfigError for a PDF
    if pdfium is not installed.
    """
    if len(parts) == 1 and isinstance(parts[0], TextPart):
        return SourceText(parts[0].text) if parts[0].text.strip() else None
    texts = [read_pdf(part.data) for part in parts if isinstance(part, MediaPart) and part.data and _is_pdf(part)]
    if whole and any(text.pictures for text in texts):
        return None
    document = PdfText.joined(texts)
    if not document.has_text_layer:
        return None
    return SourceText(document.text, page_starts=document.page_starts, readings=tuple(document.readings))


def _is_pdf(part: Part) -> bool:
    return isinstance(part, MediaPart) and part.data is not None and part.mime_type == "application/pdf"
