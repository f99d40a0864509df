"""PDFs read and cut on this machine: page count, text layer, parts by pages. Nothing is drawn, nothing is sent.

pdfium, of the extra `documents`, does the work; it takes one call at a time, so one lock holds all of them.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from io import BytesIO
from itertools import accumulate
from threading import Lock
from typing import Any, Literal, TypeAlias

from extract.documents.pdf_layout import laid_out, read_words
from extract.errors import BadRecord, ConfigError

__all__ = [
    "MOST_PAGES",
    "MOST_PDF_BYTES",
    "PdfSlice",
    "PdfText",
    "check_pdf",
    "count_pages",
    "has_pdfium",
    "need_pdfium",
    "pdf_fault",
    "read_pdf",
    "split_pdf",
]

PdfFault: TypeAlias = Literal["cut off", "damaged", "encrypted", "a bomb"]

MOST_PDF_BYTES, MOST_PAGES = 50_000_000, 1_000
"""What the API takes of one PDF (its pages on documents, 2026)."""

_PDFIUM = Lock()
_NEEDS_PASSWORD = 4  # pdfium's number for it
_END_REACH = 4096  # some programs write more after the end mark; a file that was cut off has none there
_ENCRYPTED = re.compile(rb"/Encrypt\s*(?:\d{1,9}\s+\d{1,9}\s+R|<<)")
_INSTALL = "pip install 'extract-interactions[documents]'"
_ADVICE: dict[PdfFault, str] = {
    "cut off": "the PDF is damaged: its end is missing; fetch it again",
    "damaged": "the PDF is damaged: it cannot be opened; fetch it again",
    "encrypted": "the PDF is encrypted; save it without a password",
    "a bomb": "the PDF would unpack to many times its size: not a document",
}

# A page's drawing is unpacked and taken apart whole, at some twenty times its size in memory. Honest pages shrink to a
# tenth; what shrinks to less than a fiftieth and is large was made to fill a memory. Pictures are left packed.
_STREAM = re.compile(rb"(?<!end)stream\r?\n")
_MOST_UNPACKED, _MOST_RATIO = 32_000_000, 50
_MOST_STREAMS = 500_000
_DICTIONARY_REACH = 600
_TWICE_PACKED = re.compile(rb"/Fl(?:ateDecode)?\s*/Fl(?:ateDecode)?\b")
_CHUNK = 1 << 20

# What pdfium puts for a hyphen at the end of a line, and a page's own form feeds, which part pages here.
_MARKS = str.maketrans({"\x02": "-", "\ufffe": "-", "\f": "\n", "\x00": None})


@dataclass(frozen=True, slots=True)
class PdfText:
    """The text layer of a PDF, page by page: lines as they are laid out, three blanks between two columns.

    `pictures` are the pages, from 1, that show something and hold no text: only a model can read them.
    """

    pages: tuple[str, ...]
    pictures: tuple[int, ...] = ()

    @property
    def text(self) -> str:
        """All pages, a form feed between two of them."""
        return "\f".join(self.pages)

    @property
    def page_starts(self) -> tuple[int, ...]:
        """Where each page begins in `text`."""
        return tuple(accumulate((len(page) + 1 for page in self.pages[:-1]), initial=0))

    @property
    def has_text_layer(self) -> bool:
        """False for a scan: pages of pictures, which only a model can read."""
        return any(page.strip() for page in self.pages)


@dataclass(frozen=True, slots=True)
class PdfSlice:
    """Some pages of a PDF as a PDF of their own, counted from 1, the last one included."""

    first: int
    last: int
    data: bytes


def has_pdfium() -> bool:
    """True where PDFs can be opened here: the extra `documents` is installed."""
    return find_spec("pypdfium2") is not None


def need_pdfium() -> None:
    """Raise ConfigError where PDFs cannot be opened here."""
    if not has_pdfium():
        raise ConfigError(f"reading PDFs on this machine needs pdfium: {_INSTALL}")


def pdf_fault(data: bytes) -> PdfFault | None:
    """Return what keeps a PDF from being read, or None.

    A PDF that only restricts printing or copying opens without a password, and is none the worse. Without pdfium that
    cannot be told from one that needs a password, and only a missing end tells of damage.
    """
    try:
        _look_over(data)
    except _Unreadable as error:
        return error.fault
    return None


def check_pdf(data: bytes, where: str = "the PDF", *, most_pages: int | None = MOST_PAGES) -> None:
    """Raise BadRecord for a PDF that the API could not read, or that has more pages than `most_pages`."""
    with _told(where):
        pages = _look_over(data)
    if pages is not None and most_pages is not None and pages > most_pages:
        raise BadRecord(f"{where}: {pages:,} pages are too many (at most {most_pages:,}); split it by pages")


def count_pages(data: bytes, where: str = "the PDF") -> int:
    """Return how many pages a PDF has. BadRecord for one that cannot be opened, ConfigError without pdfium."""
    with _told(where), _opened(data) as document:
        return len(document)


def read_pdf(data: bytes, where: str = "the PDF") -> PdfText:
    """Return the text layer. BadRecord for a PDF that cannot be read, ConfigError without pdfium."""
    with _told(where):
        if _is_bomb(data):
            raise _Unreadable("a bomb")
        with _opened(data) as document:
            pages = tuple(_page_text(document, number) for number in range(len(document)))
            blank = (number for number, page in enumerate(pages) if not page.strip())
            return PdfText(pages, tuple(number + 1 for number in blank if _shows_something(document, number)))


def split_pdf(
    data: bytes, *, most_bytes: int = MOST_PDF_BYTES, most_pages: int = MOST_PAGES, where: str = "the PDF"
) -> Iterator[PdfSlice]:
    """Yield a PDF as parts that keep both limits, in the order of the pages; as it is where it keeps them already.

    The same PDF gives the same bytes every time. What belongs to the whole document (outline, form) stays behind.
    BadRecord for a single page that is too large, and for a PDF that cannot be opened; ConfigError without pdfium.
    """
    if most_bytes < 1 or most_pages < 1:
        raise ConfigError("most_bytes and most_pages must be at least 1")
    pages = count_pages(data, where)
    if pages <= most_pages and len(data) <= most_bytes:
        yield PdfSlice(1, pages, data)
        return
    left = [(first, min(first + most_pages, pages)) for first in range(0, pages, most_pages)][::-1]
    while left:
        first, last = left.pop()
        part = _cut(data, first, last, where)
        if len(part) <= most_bytes:
            yield PdfSlice(first + 1, last, part)
        elif last - first == 1:
            raise BadRecord(f"{where}: page {last} alone has {len(part):,} bytes (at most {most_bytes:,})")
        else:
            middle = (first + last) // 2
            left += [(middle, last), (first, middle)]


class _Unreadable(Exception):
    def __init__(self, fault: PdfFault) -> None:
        super().__init__(fault)
        self.fault = fault


def _look_over(data: bytes) -> int | None:
    """Return how many pages there are, None where there is no pdfium to count them; raise _Unreadable for a fault."""
    if b"%%EOF" not in data.rstrip(b"\0 \t\r\n")[-_END_REACH:]:
        raise _Unreadable("cut off")
    if _is_bomb(data):
        raise _Unreadable("a bomb")
    if not has_pdfium():
        if _ENCRYPTED.search(data):
            raise _Unreadable("encrypted")
        return None
    with _opened(data) as document:
        pages = len(document)
        for page in range(pages if pages <= MOST_PAGES else 0):
            document.get_page_size(page)  # the page is looked up, not taken apart
    return pages


@contextmanager
def _told(where: str) -> Iterator[None]:
    """Say as a BadRecord what keeps a PDF from being read, and what to do."""
    try:
        yield
    except _Unreadable as error:
        is_guess = error.fault == "encrypted" and not has_pdfium()
        hint = f", or, if it opens without one, {_INSTALL}" if is_guess else ""
        raise BadRecord(f"{where}: {_ADVICE[error.fault]}{hint}") from None


@contextmanager
def _opened(data: bytes) -> Iterator[Any]:
    """Hold pdfium for one document, and close it before another thread may call: its finalisers call pdfium, too."""
    need_pdfium()
    with _PDFIUM:
        pdfium = import_module("pypdfium2")
        try:
            with closing(pdfium.PdfDocument(data)) as document:
                yield document
        except pdfium.PdfiumError as error:
            raise _Unreadable("encrypted" if error.err_code == _NEEDS_PASSWORD else "damaged") from None


def _page_text(document: Any, number: int) -> str:
    """Return the text of a page in its layout, or in pdfium's order where that is the better one."""
    with closing(document.get_page(number)) as page, closing(page.get_textpage()) as text:
        words = read_words(text, page.get_bbox())
        found: str | None = None if words is None else laid_out(words)
        if found is None:
            found = text.get_text_bounded()
    return found.replace("\r\n", "\n").replace("\r", "\n").translate(_MARKS)


def _shows_something(document: Any, number: int) -> bool:
    with closing(document.get_page(number)) as page:
        return next(page.get_objects(max_depth=1), None) is not None


def _cut(data: bytes, first: int, last: int, where: str) -> bytes:
    buffer = BytesIO()
    with _told(where), _opened(data) as document, closing(type(document).new()) as part:
        part.import_pages(document, list(range(first, last)))
        part.save(buffer)
    return _dateless(buffer.getvalue())


def _dateless(data: bytes) -> bytes:
    """Return what pdfium wrote without the time and the random id it adds: equal pages have equal content keys."""
    data = re.sub(rb"/CreationDate\(D:\d{14}", b"/CreationDate(D:20000101000000", data, count=1)
    trailer = data.rfind(b"trailer")
    blank = re.sub(rb"/ID\[<\w{32}><\w{32}>\]", b"/ID[<%b><%b>]" % (b"0" * 32, b"0" * 32), data[trailer:])
    return data[:trailer] + blank


def _is_bomb(data: bytes) -> bool:
    """True where the packed streams, pictures aside, unpack to far more than any honest page."""
    unpacked = packed = 0
    for number, found in enumerate(_STREAM.finditer(data)):
        head = data[max(0, found.start() - _DICTIONARY_REACH) : found.start()]
        described = head[head.rfind(b"obj") + 3 :]
        if number > _MOST_STREAMS or _TWICE_PACKED.search(described):
            return True
        if b"/Image" in described:
            continue
        size, used = _unpacked_size(memoryview(data)[found.end() :], _MOST_UNPACKED)
        unpacked, packed = unpacked + size, packed + used
        if unpacked > _MOST_UNPACKED and unpacked > _MOST_RATIO * packed:
            return True
    return False


def _unpacked_size(data: memoryview, most: int) -> tuple[int, int]:
    """Return how large a zlib stream is unpacked, up to about `most`, and how much of `data` it took; 0, 0 for none."""
    unpacker = zlib.decompressobj()
    size = used = 0
    try:
        while size <= most and used < len(data) and not unpacker.eof:
            fed = data[used : used + _CHUNK // 16]
            size += len(unpacker.decompress(fed, _CHUNK))
            used += len(fed) - len(unpacker.unconsumed_tail) - len(unpacker.unused_data)
    except zlib.error:
        return 0, 0
    return size, used
