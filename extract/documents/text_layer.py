"""The text of a record in which extracted values are searched: its text cells, or the text layer of its PDFs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from extract.documents.grounding import SourceText
from extract.documents.parts import MediaPart, Part, TextPart
from extract.documents.pdf import PdfText, read_pdf
from extract.documents.pdf_opening import need_pdfium

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

    An e-mail has its own text and that of its attachments. None where there is no text; with `whole`, also where any
    page of a PDF, or another part, is a picture. Raises ConfigError for a PDF if pdfium is not installed.
    """
    if whole and any(not isinstance(part, TextPart) and not _is_pdf(part) for part in parts):
        return None
    if any(isinstance(part, TextPart) for part in parts):
        return _joined(parts, whole=whole)
    texts = [read_pdf(part.data) for part in parts if isinstance(part, MediaPart) and part.data and _is_pdf(part)]
    if whole and any(text.pictures for text in texts):
        return None
    document = PdfText.joined(texts)
    if not document.has_text_layer:
        return None
    return SourceText(
        document.text,
        page_starts=document.page_starts,
        readings=tuple(document.readings),
        boxes=document.boxes,
    )


def _joined(parts: Sequence[Part], *, whole: bool) -> SourceText | None:
    """Return texts, and the text layers of the PDFs among them, as one; its places are on no page."""
    texts: list[str] = []
    for part in parts:
        if isinstance(part, TextPart):
            texts.append(part.text)
        elif (layer := source_text((part,), whole=whole)) is not None:
            texts.append(layer.text)
        elif whole:
            return None
    text = "\n\n".join(texts)
    return SourceText(text) if text.strip() else None


def _is_pdf(part: Part) -> bool:
    return isinstance(part, MediaPart) and part.data is not None and part.mime_type == "application/pdf"
