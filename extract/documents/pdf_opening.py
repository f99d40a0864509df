"""Opens PDFs with pdfium: one at a time, with what cannot be opened told in plain words, and no decompression bomb.

pdfium, from the extra `documents`, is not thread-safe, so one lock guards all calls.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib import import_module
from importlib.util import find_spec
from threading import Lock
from typing import Any, Literal, TypeAlias

from extract.errors import BadRecord, ConfigError

__all__ = ["STREAM", "UnreadablePdf", "as_bad_record", "has_pdfium", "is_bomb", "need_pdfium", "open_pdf"]

PdfFault: TypeAlias = Literal["cut off", "damaged", "encrypted", "a bomb"]

_PDFIUM_LOCK = Lock()
_NEEDS_PASSWORD = 4  # pdfium's error code
_INSTALL = "pip install 'extract-interactions[documents]'"
_ADVICE: dict[PdfFault, str] = {
    "cut off": "the PDF is damaged: its end is missing; fetch it again",
    "damaged": "the PDF is damaged: it cannot be opened; fetch it again",
    "encrypted": "the PDF is encrypted; save it without a password",
    "a bomb": "the PDF would unpack to many times its size: not a document",
}

STREAM = re.compile(rb"(?<!end)stream\r?\n")
"""What stands between the dictionary of a stream and its bytes."""

# pdfium unpacks and parses the content of a page as a whole, at about twenty times its size in memory. Normal pages
# compress to a tenth; a large stream that compresses to under a fiftieth is a decompression bomb. Images stay packed.
_MAX_UNPACKED_BYTES, _MAX_UNPACKED_RATIO = 32_000_000, 50
_MAXSTREAMS = 500_000
_DICTIONARY_REACH = 600
_TWICE_PACKED = re.compile(rb"/Fl(?:ateDecode)?\s*/Fl(?:ateDecode)?\b")
_CHUNK = 1 << 20


def has_pdfium() -> bool:
    """True where pdfium, from the extra `documents`, is installed."""
    return find_spec("pypdfium2") is not None


def need_pdfium() -> None:
    """Raise ConfigError where pdfium is not installed."""
    if not has_pdfium():
        raise ConfigError(f"reading PDFs on this machine needs pdfium: {_INSTALL}")


class UnreadablePdf(Exception):
    def __init__(self, fault: PdfFault) -> None:
        super().__init__(fault)
        self.fault = fault


@contextmanager
def as_bad_record(where: str) -> Iterator[None]:
    """Turn an UnreadablePdf into a BadRecord that says what to do."""
    try:
        yield
    except UnreadablePdf as error:
        is_guess = error.fault == "encrypted" and not has_pdfium()
        hint = f", or, if it opens without one, {_INSTALL}" if is_guess else ""
        raise BadRecord(f"{where}: {_ADVICE[error.fault]}{hint}") from None


@contextmanager
def open_pdf(data: bytes) -> Iterator[Any]:
    """Hold the lock for one document, and close the document before releasing it: finalisers call pdfium too."""
    need_pdfium()
    with _PDFIUM_LOCK:
        pdfium = import_module("pypdfium2")
        try:
            with closing(pdfium.PdfDocument(data)) as document:
                yield document
        except pdfium.PdfiumError as error:
            raise UnreadablePdf("encrypted" if error.err_code == _NEEDS_PASSWORD else "damaged") from None


def is_bomb(data: bytes) -> bool:
    """True where the compressed streams, images aside, unpack to far more than any normal page."""
    unpacked = packed = 0
    for number, stream in enumerate(STREAM.finditer(data)):
        head = data[max(0, stream.start() - _DICTIONARY_REACH) : stream.start()]
        described = head[head.rfind(b"obj") + 3 :]
        if number > _MAXSTREAMS or _TWICE_PACKED.search(described):
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
