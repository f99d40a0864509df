"""Reads and splits PDFs on this machine: page count, text layer, parts by pages. Nothing is rendered or sent."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from io import BytesIO
from itertools import accumulate
from typing import Any

from extract.documents.grounding.span import Box
from extract.documents.pdf_boxes import PageView, PageWords, view_of
from extract.documents.pdf_layout import Layout, Order, in_own_order, lay_out
from extract.documents.pdf_opening import UnreadablePdf, as_bad_record, has_pdfium, is_bomb, open_pdf
from extract.documents.pdf_words import read_words
from extract.errors import BadRecord, ConfigError

__all__ = [
    "MAX_PAGES",
    "MAX_PDF_BYTES",
    "PdfSlice",
    "PdfText",
    "check_pdf",
    "count_pages",
    "read_page",
    "read_pdf",
    "split_pdf",
]

MAX_PDF_BYTES, MAX_PAGES = 50_000_000, 1_000
"""The API's limits for one PDF (its page on documents, 2026)."""

_END_REACH = 4096  # bytes: some programs write more after the end marker; a truncated file has none here
_ENCRYPTED = re.compile(rb"/Encrypt\s*(?:\d{1,9}\s+\d{1,9}\s+R|<<)")
# pdfium's markers for a hyphen at the end of a line; a page's own form feeds, which would look like page ends here.
_CHARACTER_FIXES = str.maketrans({"\x02": "-", "\ufffe": "-", "\f": "\n", "\x00": None})


_NO_WORDS = PageWords((), PageView(0, 0, 0, 0))


@dataclass(frozen=True, slots=True)
class PdfText:
    """The text layer of a PDF by page: lines in their visual layout, three blanks between columns.

    `pictures` are the pages, from 1, that show something but hold no text: only a model can read them. `orders` are, by
    page, the other orders in which its text can be read (`pdf_layout.Layout`); () where none are known. `words` are the
    places of the words of each page; () where none are known.
    """

    pages: tuple[str, ...]
    pictures: tuple[int, ...] = ()
    orders: tuple[tuple[Order, ...], ...] = ()
    words: tuple[PageWords, ...] = field(default=(), repr=False, compare=False)

    @staticmethod
    def joined(texts: Sequence[PdfText]) -> PdfText:
        """Return the text of a PDF that comes in several parts."""
        return PdfText(
            tuple(page for text in texts for page in text.pages),
            orders=tuple(orders for text in texts for orders in text.orders or ((),) * len(text.pages)),
            words=tuple(words for text in texts for words in text.words or (_NO_WORDS,) * len(text.pages)),
        )

    @property
    def text(self) -> str:
        """All pages, joined with form feeds."""
        return "\f".join(self.pages)

    @property
    def page_starts(self) -> tuple[int, ...]:
        """The offset in `text` at which each page begins."""
        return tuple(accumulate((len(page) + 1 for page in self.pages[:-1]), initial=0))

    @property
    def readings(self) -> Iterator[Order]:
        """The other orders in which the pages can be read, as spans of `text`."""
        for start, orders in zip(self.page_starts, self.orders, strict=False):
            yield from (tuple((start + low, start + high) for low, high in order) for order in orders)

    def boxes(self, start: int, end: int) -> tuple[Box, ...]:
        """Return where a span of `text` stands: the boxes of its words, one for those that follow on a line."""
        starts = self.page_starts
        first = max(0, bisect_right(starts, start) - 1)
        return tuple(
            box
            for number in range(first, min(len(self.words), bisect_right(starts, max(start, end - 1))))
            for box in self.words[number].boxes(start - starts[number], end - starts[number], number + 1)
        )

    @property
    def has_text_layer(self) -> bool:
        """False for a scan, whose pages only a model can read."""
        return any(page.strip() for page in self.pages)


@dataclass(frozen=True, slots=True)
class PdfSlice:
    """A range of pages as a PDF of its own; `first` and `last` count from 1, both included."""

    first: int
    last: int
    data: bytes


def check_pdf(data: bytes, where: str = "the PDF", *, max_pages: int | None = MAX_PAGES) -> None:
    """Raise BadRecord for a PDF that the API could not read, or that has more pages than `max_pages`.

    A PDF that only restricts printing or copying opens without a password and passes. Without pdfium it cannot be told
    from one that needs a password, and of damage only a missing end is noticed.
    """
    with as_bad_record(where):
        pages = _inspect(data)
    if pages is not None and max_pages is not None and pages > max_pages:
        raise BadRecord(f"{where}: {pages:,} pages are too many (at most {max_pages:,}); split it by pages")


def count_pages(data: bytes, where: str = "the PDF") -> int:
    """Return the number of pages. BadRecord for a PDF that cannot be opened, ConfigError without pdfium."""
    with as_bad_record(where), open_pdf(data) as document:
        return len(document)


def read_pdf(data: bytes, where: str = "the PDF") -> PdfText:
    """Return the text layer. BadRecord for a PDF that cannot be read, ConfigError without pdfium."""
    with as_bad_record(where):
        if is_bomb(data):
            raise UnreadablePdf("a bomb")
        with open_pdf(data) as document:
            read = [read_page(document, number) for number in range(len(document))]
            pages = tuple(layout.text for layout, _ in read)
            blank = (number for number, page in enumerate(pages) if not page.strip())
            pictures = tuple(number + 1 for number in blank if _has_objects(document, number))
            orders, words = tuple(layout.orders for layout, _ in read), tuple(words for _, words in read)
            return PdfText(pages, pictures, orders, words)


def split_pdf(
    data: bytes, *, max_bytes: int = MAX_PDF_BYTES, max_pages: int = MAX_PAGES, where: str = "the PDF"
) -> Iterator[PdfSlice]:
    """Yield parts of a PDF within both limits, in page order; the PDF itself where it is within them already.

    The same PDF gives the same bytes every time. Outline and form, which belong to the whole document, are dropped.
    Raises BadRecord for a single page that is too large or a PDF that cannot be opened, ConfigError without pdfium.
    """
    if max_bytes < 1 or max_pages < 1:
        raise ConfigError("max_bytes and max_pages must be at least 1")
    pages = count_pages(data, where)
    if pages <= max_pages and len(data) <= max_bytes:
        yield PdfSlice(1, pages, data)
        return
    pending = [(first, min(first + max_pages, pages)) for first in range(0, pages, max_pages)][::-1]
    while pending:
        first, last = pending.pop()
        part = _cut(data, first, last, where)
        if len(part) <= max_bytes:
            yield PdfSlice(first + 1, last, part)
        elif last - first == 1:
            raise BadRecord(f"{where}: page {last} alone has {len(part):,} bytes (at most {max_bytes:,})")
        else:
            middle = (first + last) // 2
            pending += [(middle, last), (first, middle)]


def _inspect(data: bytes) -> int | None:
    """Return the number of pages, None without pdfium. Raises UnreadablePdf where the PDF cannot be read."""
    if b"%%EOF" not in data.rstrip(b"\0 \t\r\n")[-_END_REACH:]:
        raise UnreadablePdf("cut off")
    if is_bomb(data):
        raise UnreadablePdf("a bomb")
    if not has_pdfium():
        if _ENCRYPTED.search(data):
            raise UnreadablePdf("encrypted")
        return None
    with open_pdf(data) as document:
        pages = len(document)
        for page in range(pages if pages <= MAX_PAGES else 0):
            document.get_page_size(page)  # finds damaged page objects without parsing their content
    return pages


def read_page(document: Any, number: int) -> tuple[Layout, PageWords]:
    """Return the text of a page, from 0, in its visual layout, or in pdfium's order where that is better; its words."""
    with closing(document.get_page(number)) as page, closing(page.get_textpage()) as text:
        view = view_of(page)
        words = read_words(text, view[:4])
        layout = None if words is None else lay_out(words)
        if layout is None:
            own = text.get_text_bounded().replace("\r\n", "\n").replace("\r", "\n").translate(_CHARACTER_FIXES)
            layout = in_own_order(own, words or ())
        return layout, PageWords(layout.words, view)


def _has_objects(document: Any, number: int) -> bool:
    with closing(document.get_page(number)) as page:
        return next(page.get_objects(max_depth=1), None) is not None


def _cut(data: bytes, first: int, last: int, where: str) -> bytes:
    buffer = BytesIO()
    with as_bad_record(where), open_pdf(data) as document, closing(type(document).new()) as part:
        part.import_pages(document, list(range(first, last)))
        part.save(buffer)
    return _without_timestamps(buffer.getvalue())


def _without_timestamps(data: bytes) -> bytes:
    """Return pdfium's output with a fixed date and id, so that equal pages have equal content keys."""
    data = re.sub(rb"/CreationDate\(D:\d{14}", b"/CreationDate(D:20000101000000", data, count=1)
    trailer = data.rfind(b"trailer")
    blank = re.sub(rb"/ID\[<\w{32}><\w{32}>\]", b"/ID[<%b><%b>]" % (b"0" * 32, b"0" * 32), data[trailer:])
    return data[:trailer] + blank
