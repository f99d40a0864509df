"""Reads and splits PDFs on this machine: page count, text layer, parts by pages. Nothing is rendered or sent.

pdfium, from the extra `documents`, does the work. It is not thread-safe, so one lock guards all calls.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from io import BytesIO
from itertools import accumulate
from threading import Lock
from typing import Any, Literal, TypeAlias

from extract.documents.pdf_layout import Layout, Order, lay_out, orders_in, read_words
from extract.errors import BadRecord, ConfigError

__all__ = [
    "MAX_PAGES",
    "MAX_PDF_BYTES",
    "PdfSlice",
    "PdfText",
    "check_pdf",
    "count_pages",
    "has_pdfium",
    "need_pdfium",
    "read_pdf",
    "split_pdf",
]

PdfFault: TypeAlias = Literal["cut off", "damaged", "encrypted", "a bomb"]

MAX_PDF_BYTES, MAX_PAGES = 50_000_000, 1_000
"""The API's limits for one PDF (its page on documents, 2026)."""

_PDFIUM_LOCK = Lock()
_NEEDS_PASSWORD = 4  # pdfium's error code
_END_REACH = 4096  # bytes: some programs write more after the end marker; a truncated file has none here
_ENCRYPTED = re.compile(rb"/Encrypt\s*(?:\d{1,9}\s+\d{1,9}\s+R|<<)")
_INSTALL = "pip install 'extract-interactions[documents]'"
_ADVICE: dict[PdfFault, str] = {
    "cut off": "the PDF is damaged: its end is missing; fetch it again",
    "damaged": "the PDF is damaged: it cannot be opened; fetch it again",
    "encrypted": "the PDF is encrypted; save it without a password",
    "a bomb": "the PDF would unpack to many times its size: not a document",
}

# pdfium unpacks and parses the content of a page as a whole, at about twenty times its size in memory. Normal pages
# compress to a tenth; a large stream that compresses to under a fiftieth is a decompression bomb. Images stay packed.
_STREAM = re.compile(rb"(?<!end)stream\r?\n")
_MAX_UNPACKED_BYTES, _MAX_UNPACKED_RATIO = 32_000_000, 50
_MAX_STREAMS = 500_000
_DICTIONARY_REACH = 600
_TWICE_PACKED = re.compile(rb"/Fl(?:ateDecode)?\s*/Fl(?:ateDecode)?\b")
_CHUNK = 1 << 20

# pdfium's markers for a hyphen at the end of a line; a page's own form feeds, which would look like page ends here.
_CHARACTER_FIXES = str.maketrans({"\x02": "-", "\ufffe": "-", "\f": "\n", "\x00": None})


@dataclass(frozen=True, slots=True)
class PdfText:
    """The text layer of a PDF by page: lines in their visual layout, three blanks between columns.

    `pictures` are the pages, from 1, that show something but hold no text: only a model can read them. `orders` are, by
    page, the other orders in which its text can be read (`pdf_layout.Layout`); () where none are known.
    """

    pages: tuple[str, ...]
    pictures: tuple[int, ...] = ()
    orders: tuple[tuple[Order, ...], ...] = ()

    @staticmethod
    def joined(texts: Sequence[PdfText]) -> PdfText:
        """Return the text of a PDF that comes in several parts."""
        return PdfText(
            tuple(page for text in texts for page in text.pages),
            orders=tuple(orders for text in texts for orders in text.orders or ((),) * len(text.pages)),
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


def has_pdfium() -> bool:
    """True where pdfium, from the extra `documents`, is installed."""
    return find_spec("pypdfium2") is not None


def need_pdfium() -> None:
    """Raise ConfigError where pdfium is not installed."""
    if not has_pdfium():
        raise ConfigError(f"reading PDFs on this machine needs pdfium: {_INSTALL}")


def check_pdf(data: bytes, where: str = "the PDF", *, max_pages: int | None = MAX_PAGES) -> None:
    """Raise BadRecord for a PDF that the API could not read, or that has more pages than `max_pages`.

    A PDF that only restricts printing or copying opens without a password and passes. Without pdfium it cannot be told
    from one that needs a password, and of damage only a missing end is noticed.
    """
    with _as_bad_record(where):
        pages = _inspect(data)
    if pages is not None and max_pages is not None and pages > max_pages:
        raise BadRecord(f"{where}: {pages:,} pages are too many (at most {max_pages:,}); split it by pages")


def count_pages(data: bytes, where: str = "the PDF") -> int:
    """Return the number of pages. BadRecord for a PDF that cannot be opened, ConfigError without pdfium."""
    with _as_bad_record(where), _open_pdf(data) as document:
        return len(document)


def read_pdf(data: bytes, where: str = "the PDF") -> PdfText:
    """Return the text layer. BadRecord for a PDF that cannot be read, ConfigError without pdfium."""
    with _as_bad_record(where):
        if _is_bomb(data):
            raise _UnreadablePdf("a bomb")
        with _open_pdf(data) as document:
            layouts = [_page_layout(document, number) for number in range(len(document))]
            pages = tuple(layout.text for layout in layouts)
            blank = (number for number, page in enumerate(pages) if not page.strip())
            pictures = tuple(number + 1 for number in blank if _has_objects(document, number))
            return PdfText(pages, pictures, tuple(layout.orders for layout in layouts))


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


class _UnreadablePdf(Exception):
    def __init__(self, fault: PdfFault) -> None:
        super().__init__(fault)
        self.fault = fault


def _inspect(data: bytes) -> int | None:
    """Return the number of pages, None without pdfium. Raises _UnreadablePdf where the PDF cannot be read."""
    if b"%%EOF" not in data.rstrip(b"\0 \t\r\n")[-_END_REACH:]:
        raise _UnreadablePdf("cut off")
    if _is_bomb(data):
        raise _UnreadablePdf("a bomb")
    if not has_pdfium():
        if _ENCRYPTED.search(data):
            raise _UnreadablePdf("encrypted")
        return None
    with _open_pdf(data) as document:
        pages = len(document)
        for page in range(pages if pages <= MAX_PAGES else 0):
            document.get_page_size(page)  # finds damaged page objects without parsing their content
    return pages


@contextmanager
def _as_bad_record(where: str) -> Iterator[None]:
    """Turn an _UnreadablePdf into a BadRecord that says what to do."""
    try:
        yield
    except _UnreadablePdf as error:
        is_guess = error.fault == "encrypted" and not has_pdfium()
        hint = f", or, if it opens without one, {_INSTALL}" if is_guess else ""
        raise BadRecord(f"{where}: {_ADVICE[error.fault]}{hint}") from None


@contextmanager
def _open_pdf(data: bytes) -> Iterator[Any]:
    """Hold the lock for one document, and close the document before releasing it: finalisers call pdfium too."""
    need_pdfium()
    with _PDFIUM_LOCK:
        pdfium = import_module("pypdfium2")
        try:
            with closing(pdfium.PdfDocument(data)) as document:
                yield document
        except pdfium.PdfiumError as error:
            raise _UnreadablePdf("encrypted" if error.err_code == _NEEDS_PASSWORD else "damaged") from None


def _page_layout(document: Any, number: int) -> Layout:
    """Return the text of a page in its visual layout, or in pdfium's order where that is better."""
    with closing(document.get_page(number)) as page, closing(page.get_textpage()) as text:
        words = read_words(text, page.get_bbox())
        layout = None if words is None else lay_out(words)
        if layout is not None:
            return layout
        own = text.get_text_bounded().replace("\r\n", "\n").replace("\r", "\n").translate(_CHARACTER_FIXES)
        return Layout(own, () if words is None else orders_in(own, words))


def _has_objects(document: Any, number: int) -> bool:
    with closing(document.get_page(number)) as page:
        return next(page.get_objects(max_depth=1), None) is not None


def _cut(data: bytes, first: int, last: int, where: str) -> bytes:
    buffer = BytesIO()
    with _as_bad_record(where), _open_pdf(data) as document, closing(type(document).new()) as part:
        part.import_pages(document, list(range(first, last)))
        part.save(buffer)
    return _without_timestamps(buffer.getvalue())


def _without_timestamps(data: bytes) -> bytes:
    """Return pdfium's output with a fixed date and id, so that equal pages have equal content keys."""
    data = re.sub(rb"/CreationDate\(D:\d{14}", b"/CreationDate(D:20000101000000", data, count=1)
    trailer = data.rfind(b"trailer")
    blank = re.sub(rb"/ID\[<\w{32}><\w{32}>\]", b"/ID[<%b><%b>]" % (b"0" * 32, b"0" * 32), data[trailer:])
    return data[:trailer] + blank


def _is_bomb(data: bytes) -> bool:
    """True where the compressed streams, images aside, unpack to far more than any normal page."""
    unpacked = packed = 0
    for number, stream in enumerate(_STREAM.finditer(data)):
        head = data[max(0, stream.start() - _DICTIONARY_REACH) : stream.start()]
        described = head[head.rfind(b"obj") + 3 :]
        if number > _MAX_STREAMS or _TWICE_PACKED.search(described):
            return True
        if b"/Image" in described:
            continue
        size, consumed = _unpacked_size(memoryview(data)[stream.end() :], _MAX_UNPACKED_BYTES)
        unpacked, packed = unpacked + size, packed + consumed
        if unpacked > _MAX_UNPACKED_BYTES and unpacked > _MAX_UNPACKED_RATIO * packed:
            return True
    return False


def _unpacked_size(data: memoryview, max_bytes: int) -> tuple[int, int]:
    """Return the unpacked size of a zlib stream, counted up to about `max_bytes`, and the bytes read; 0, 0 for none."""
    unpacker = zlib.decompressobj()
    size = consumed = 0
    try:
        while size <= max_bytes and consumed < len(data) and not unpacker.eof:
            chunk = data[consumed : consumed + _CHUNK // 16]
            size += len(unpacker.decompress(chunk, _CHUNK))
            consumed += len(chunk) - len(unpacker.unconsumed_tail) - len(unpacker.unused_data)
    except zlib.error:
        return 0, 0
    return size, consumed
