"""A program of its own, run by `page_pictures`: reads a PDF from stdin, writes pictures of its pages as JSON.

A page of a hostile PDF may crash pdfium, or keep it busy for ever: here it takes nothing with it. The process gets only
the bytes of one file, and has bounds for memory and time where the system offers any. It imports nothing of this
package, so that it starts in a tenth of a second; `extract.documents.page_pictures` draws for the review page, where a
person waits for each picture.
"""

from __future__ import annotations

import json
import sys
import zlib
from base64 import b64encode
from contextlib import closing, suppress
from importlib import import_module
from typing import Any

__all__ = ["main"]

_MAX_MEMORY, _MAX_SECONDS = 3_000_000_000, 30
_MAX_SCALE = 2.0  # pixels per point: 144 dpi
_MAX_HEIGHT = 2.5  # times the width of the picture
_MAX_IMAGE_PIXELS = 100_000_000  # of all images on a page, which are unpacked to be drawn
_MAX_OBJECTS = 50_000  # on a page
_IMAGE = 3  # pdfium's number for image objects
_SHADES = 17  # steps between the shades of a colour: 16 shades look alike and pack far better
_FEW_SHADES = bytes(min(255, round(shade / _SHADES) * _SHADES) for shade in range(256))


def main(arguments: list[str]) -> None:
    """Draw pages, counted from 1, at most `width` pixels wide: each as colours, or in grey where that is too large."""
    width, max_bytes, *numbers = map(int, arguments)
    _bound()
    data = sys.stdin.buffer.read()
    pictures: dict[int, Any] = {}
    with closing(import_module("pypdfium2").PdfDocument(data)) as document:
        document.init_forms()  # what is filled in is drawn, too
        for number in (number for number in numbers if number <= len(document)):
            with closing(document.get_page(number - 1)) as page:
                pictures[number] = _picture(page, width, max_bytes)
    sys.stdout.write(json.dumps(pictures))


def _bound() -> None:
    with suppress(ImportError, ValueError, OSError):
        resource = import_module("resource")
        resource.setrlimit(resource.RLIMIT_AS, (_MAX_MEMORY, _MAX_MEMORY))
        resource.setrlimit(resource.RLIMIT_CPU, (_MAX_SECONDS, _MAX_SECONDS))


def _picture(page: Any, width: int, max_bytes: int) -> dict[str, Any] | None:
    """Return a picture of a page and the page's size in points; None where it is too much to draw."""
    across, down = page.get_size()
    if not (across > 0 and down > 0) or _is_elaborate(page):
        return None
    scale = min(_MAX_SCALE, width / across, _MAX_HEIGHT * width / down)
    for grey, smaller in ((False, 1.0), (True, 1.0), (True, 0.6)):
        png = _png(page, scale * smaller, grey=grey)
        if len(png) <= max_bytes:
            return {"png": b64encode(png).decode(), "width": across, "height": down}
    return None


def _is_elaborate(page: Any) -> bool:
    pixels = 0
    for count, one in enumerate(page.get_objects(max_depth=8)):
        if one.type == _IMAGE:
            across, down = one.get_px_size()
            pixels += across * down
        if count > _MAX_OBJECTS or pixels > _MAX_IMAGE_PIXELS:
            return True
    return False


def _png(page: Any, scale: float, *, grey: bool) -> bytes:
    """Return the page as a PNG of 16 shades a colour."""
    with closing(page.render(scale=scale, grayscale=grey, rev_byteorder=True, prefer_bgrx=False)) as bitmap:
        depth, length = bitmap.n_channels, bitmap.width * bitmap.n_channels
        pixels = bytes(bitmap.buffer).translate(_FEW_SHADES)
        rows = b"".join(
            b"\0" + pixels[start : start + length] for start in range(0, bitmap.height * bitmap.stride, bitmap.stride)
        )
        colours = {1: 0, 3: 2, 4: 6}[depth]
        head = bitmap.width.to_bytes(4, "big") + bitmap.height.to_bytes(4, "big") + bytes((8, colours, 0, 0, 0))
    body = zlib.compress(rows, 6)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", body) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")


if __name__ == "__main__":
    main(sys.argv[1:])
