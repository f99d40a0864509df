"""PDF pages for people: a picture of a page, and its words with their boxes, so that text can be selected on it.

Pictures are drawn by pdfium, on this machine. They are bounded in pixels and in seconds; each call holds pdfium's lock.
They are drawn in this process, as a person waits for each of them, in any size, and judges one document after the
other. `extract.report.render_pages` draws those of a whole report in processes of their own: there nobody watches, and
a page that crashes pdfium must not take the report with it.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from importlib import import_module
from math import sqrt
from time import monotonic
from typing import Any, Final

from extract.documents.grounding.span import Box
from extract.documents.pdf import read_page
from extract.documents.pdf_boxes import PageView, view_of
from extract.documents.pdf_opening import STREAM, UnreadablePdf, as_bad_record, is_bomb, open_pdf
from extract.errors import BadRecord, ConfigError

__all__ = ["MAX_PIXELS", "MAX_SECONDS", "PageWord", "page_picture", "page_size", "page_words"]

MAX_PIXELS: Final = 8_000_000
"""A picture has at most this many pixels, at any width that is asked for: A4 in 2,400 × 3,400."""

MAX_SECONDS: Final = 10.0
"""A page that takes longer is not drawn."""

_MAX_IMAGE_BYTES: Final = 512_000_000  # of one image in the PDF, unpacked
_SIDE: Final = rb"/%b\s+(\d{1,9})(\s+\d{1,9}\s+R\b)?"
_WIDTH: Final = re.compile(_SIDE % b"Width")
_HEIGHT: Final = re.compile(_SIDE % b"Height")
_ONE_BIT: Final = re.compile(rb"/BitsPerComponent\s+1\b|/ImageMask\s+true\b")
_ESCAPED: Final = re.compile(rb"#([0-9A-Fa-f]{2})")
_WHITE: Final = (255, 255, 255, 255)
_PNG: Final = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, slots=True)
class PageWord:
    """A word of a PDF page; `start` and `end` are its place in the text of the page, as `read_pdf` returns it.

    >>> PageWord("Total", start=0, end=5, box=Box(page=1, left=60, top=72, right=84, bottom=84)).box.left
    60
    """

    text: str
    start: int
    end: int
    box: Box


def page_words(data: bytes, page: int, where: str = "the PDF") -> tuple[PageWord, ...]:
    """Return the words of a page, from 1, in the order of its text.

    Raises BadRecord for a page that does not exist or cannot be read, ConfigError without pdfium.
    """
    with _document(data, page, where) as document:
        text, words = read_page(document, page - 1)
    spans = zip(words.starts, words.ends, strict=True)
    return tuple(
        PageWord(text[start:end], start, end, words.box(index, page)) for index, (start, end) in enumerate(spans)
    )


def page_size(data: bytes, page: int, where: str = "the PDF") -> tuple[float, float]:
    """Return the width and height of a page, from 1, in points as it is shown.

    Raises BadRecord for a page that does not exist or cannot be read, ConfigError without pdfium.
    """
    with _document(data, page, where) as document, closing(document.get_page(page - 1)) as opened:
        return view_of(opened).size


def page_picture(
    data: bytes,
    page: int,
    width: int = 1_000,
    where: str = "the PDF",
    *,
    max_seconds: float = MAX_SECONDS,
    clock: Callable[[], float] = monotonic,
) -> bytes:
    """Return a page, from 1, as a PNG that is `width` pixels wide, or less where it would have over MAX_PIXELS.

    Raises BadRecord for a page that does not exist or cannot be drawn, or not in time; ConfigError without pdfium.
    """
    if width < 1:
        raise ConfigError(f"a picture is at least 1 pixel wide, not {width}")
    if _has_huge_image(data):
        raise BadRecord(f"{where}: an image in it is too large to be drawn; open it in another program")
    with _document(data, page, where, forms=True) as document, closing(document.get_page(page - 1)) as opened:
        size = _pixels(view_of(opened), width)
        end = clock() + max_seconds
        rows = _drawn(document, opened, size, lambda: clock() > end)
    if rows is None:
        raise BadRecord(f"{where}: page {page} cannot be drawn in {max_seconds:g} s; open it in another program")
    return _png(size, rows)


@contextmanager
def _document(data: bytes, page: int, where: str, *, forms: bool = False) -> Iterator[Any]:
    """Open a PDF that is no bomb and has the page; with `forms`, so that what is filled in can be drawn."""
    with as_bad_record(where):
        if is_bomb(data):
            raise UnreadablePdf("a bomb")
        with open_pdf(data) as document:
            if not 1 <= page <= len(document):
                raise BadRecord(f"{where}: there is no page {page}; it has {len(document):,}")
            if forms:
                document.init_forms()
            yield document


def _pixels(view: PageView, width: int) -> tuple[int, int]:
    wide, high = view.size
    scale = min(width / wide, sqrt(MAX_PIXELS / (wide * high)), MAX_PIXELS / max(wide, high))
    return max(1, int(wide * scale)), max(1, int(high * scale))


def _drawn(document: Any, page: Any, size: tuple[int, int], is_over: Callable[[], bool]) -> bytes | None:
    """Return the rows of a picture as PNG wants them, None where time is over before it is whole."""
    pdfium, raw = import_module("pypdfium2"), import_module("pypdfium2.raw")
    pause = raw.IFSDK_PAUSE(version=1)
    import_module("pypdfium2.internal").set_callback(pause, "NeedToPauseNow", lambda _: is_over())
    with closing(pdfium.PdfBitmap.new_native(*size, raw.FPDFBitmap_BGR, rev_byteorder=True)) as bitmap:
        bitmap.fill_rect(_WHITE, 0, 0, *size)
        flags = raw.FPDF_ANNOT | raw.FPDF_REVERSE_BYTE_ORDER
        status = raw.FPDF_RenderPageBitmap_Start(bitmap, page, 0, 0, *size, 0, flags, pause)
        raw.FPDF_RenderPage_Close(page)
        if status != raw.FPDF_RENDER_DONE:
            return None
        if document.formenv:
            raw.FPDF_FFLDraw(document.formenv, bitmap, page, 0, 0, *size, 0, flags)
        pixels, stride, row = memoryview(bitmap.buffer).cast("B"), bitmap.stride, 3 * size[0]
        # Each row of a PNG begins with the number of its filter; 0 is none.
        return b"".join(b"\0" + pixels[at : at + row] for at in range(0, stride * size[1], stride))


def _png(size: tuple[int, int], rows: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", *size, 8, 2, 0, 0, 0)  # 8 bits for each of red, green and blue
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 3)), (b"IEND", b""))
    return _PNG + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks
    )


def _has_huge_image(data: bytes) -> bool:
    """True where pdfium would unpack more of an image than it should hold, or the file hides how large that is."""
    before = 0
    for stream in STREAM.finditer(data):
        head = _ESCAPED.sub(_unescaped, data[before : stream.start()])
        described, before = head[head.rfind(b"obj") + 3 :], stream.end()
        wide, high = _WIDTH.search(described), _HEIGHT.search(described)
        if wide and high and (wide[2] or high[2] or _unpacked_bytes(described, wide, high) > _MAX_IMAGE_BYTES):
            return True
    return False


def _unescaped(escaped: re.Match[bytes]) -> bytes:
    return bytes.fromhex(escaped[1].decode())


def _unpacked_bytes(described: bytes, wide: re.Match[bytes], high: re.Match[bytes]) -> int:
    pixels = int(wide[1]) * int(high[1])
    return pixels // 8 if _ONE_BIT.search(described) else 4 * pixels
