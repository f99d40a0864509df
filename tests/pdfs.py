"""Small PDFs for tests, put together by hand: whole ones, and those that no program would write."""

from __future__ import annotations

import hashlib
import re
import zlib
from itertools import cycle

__all__ = ["assembled", "bomb_pdf", "locked_pdf", "pdf_of", "placed_pdf", "restricted_pdf", "stream"]

PADDING = bytes.fromhex("28BF4E5E4E758A4164004E56FFFA01082E2E00B6D0683E802F0CA9FE6453697A")
FONT = b"<</Font<</F<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>>>>>"


def assembled(objects: list[bytes], trailer: bytes = b"") -> bytes:
    """Return a PDF of these objects; the first is its catalog."""
    out = bytearray(b"%PDF-1.4\n")
    starts = []
    for number, body in enumerate(objects, start=1):
        starts.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % start for start in starts)
    size, end = len(objects) + 1, len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n%btrailer\n<</Size %d/Root 1 0 R%b>>\n" % (size, table, size, trailer)
    return bytes(out + b"startxref\n%d\n%%%%EOF\n" % end)


def stream(data: bytes, entries: bytes = b"") -> bytes:
    return b"<</Length %d%b>>stream\n%b\nendstream" % (len(data), entries, data)


def shown(text: str) -> bytes:
    """Return the content stream that shows lines of text."""
    lines = (re.sub(rb"([\\()])", rb"\\\1", line.encode("cp1252")) for line in text.split("\n"))
    return b"BT /F 11 Tf 14 TL 60 780 Td %b ET" % b" ".join(b"(%b) Tj T*" % line for line in lines)


def pages_of(contents: list[bytes], entries: bytes = b"") -> list[bytes]:
    """Return catalog, page tree, and for each content stream a page, with these entries added, and the stream."""
    kids = b" ".join(b"%d 0 R" % (3 + 2 * index) for index in range(len(contents)))
    objects = [b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[%b]/Count %d>>" % (kids, len(contents))]
    for index, content in enumerate(contents):
        shared = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Resources%b%b" % (FONT, entries)
        page = b"%b/Contents %d 0 R>>" % (shared, 4 + 2 * index)
        objects += [page, content]
    return objects


def pdf_of(*pages: str) -> bytes:
    """Return a PDF with one page per text; an empty text is a page without a text layer."""
    return assembled(pages_of([stream(shown(page) if page else b"") for page in pages]))


def placed_pdf(*placed: tuple[float, float, str], turn: str = "1 0 0 1", entries: bytes = b"") -> bytes:
    """Return a PDF of one page with each text at its place, in the order given, turned by the matrix `turn`.

    `entries` are added to the page: its rotation, say.
    """
    shown_at = "BT /F 10 Tf {} {} {} Tm ({}) Tj ET".format
    drawn = "\n".join(shown_at(turn, x, y, re.sub(r"([\\()])", r"\\\1", text)) for x, y, text in placed)
    return assembled(pages_of([stream(drawn.encode("cp1252"))], entries))


def bomb_pdf(megabytes: int) -> bytes:
    """Return a small PDF whose one page unpacks to `megabytes` MB."""
    packer = zlib.compressobj(9)
    text = b"BT /F 12 Tf (aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa) Tj ET\n" * 16_000
    packed = b"".join(packer.compress(text) for _ in range(megabytes)) + packer.flush()
    return assembled(pages_of([stream(packed, b"/Filter/FlateDecode")]))


def locked_pdf() -> bytes:
    """Return a PDF that no empty password opens."""
    return _encrypted(b"secret")


def restricted_pdf(text: str = "Total 12.50") -> bytes:
    """Return a PDF that opens without a password, but is encrypted all the same: printing is not allowed."""
    return _encrypted(b"", text)


def _encrypted(password: bytes, text: str = "x") -> bytes:
    """Encrypt as PDF 1.1 did (40 bits of RC4), which every reader still knows."""
    owner, permissions, identity = bytes(range(32)), -64, b"0123456789abcdef"
    padded = (password + PADDING)[:32]
    key = hashlib.md5(padded + owner + permissions.to_bytes(4, "little", signed=True) + identity).digest()[:5]
    content = rc4(hashlib.md5(key + b"\x04\0\0\0\0").digest()[:10], shown(text))
    entry = b"<</Filter/Standard/V 1/R 2/O<%b>/U<%b>/P %d>>" % (
        owner.hex().encode(),
        rc4(key, PADDING).hex().encode(),
        permissions,
    )
    objects = [*pages_of([stream(content)]), entry]
    return assembled(objects, b"/Encrypt %d 0 R/ID[<%b><%b>]" % (len(objects), *[identity.hex().encode()] * 2))


def rc4(key: bytes, data: bytes) -> bytes:
    box = list(range(256))
    at = 0
    for index, byte in zip(range(256), cycle(key), strict=False):
        at = (at + box[index] + byte) % 256
        box[index], box[at] = box[at], box[index]
    out = bytearray()
    here = there = 0
    for byte in data:
        here = (here + 1) % 256
        there = (there + box[here]) % 256
        box[here], box[there] = box[there], box[here]
        out.append(byte ^ box[(box[here] + box[there]) % 256])
    return bytes(out)
