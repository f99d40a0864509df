"""Decodes the bytes of a text file: by its marks, as UTF-8, by the declared encoding, else by what a detector tells."""

from __future__ import annotations

import codecs
import re
from typing import NamedTuple

from extract.documents.detection import detect_encoding, has_words
from extract.errors import BadRecord

__all__ = ["DecodedText", "decode_text", "looks_like_text", "read_encoded"]

# Longer marks first: the little-endian mark of UTF-32 begins with that of UTF-16.
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_DECLARED = re.compile(
    rb"""<(?:\?xml|meta)\b[^>]{0,200}?(?:encoding|charset)\s*=\s*["']?\s*([\w.:-]{2,40})""", re.IGNORECASE
)
_HEAD_BYTES = 4096  # where a page or an XML file declares its encoding
# Browsers read these as Windows-1252, since most pages that declare them are written in it.
_READ_AS_WINDOWS_1252 = frozenset({"iso8859-1", "ascii", "latin-1"})
# Python codecs that are not file encodings, and UTF-7, which can hide markup.
_NOT_FOR_FILES = frozenset({"utf-7", "idna", "punycode", "undefined", "unicode_escape", "raw_unicode_escape"})
_CONTROL_BYTES = bytes(set(range(32)) - set(b"\t\n\v\f\r\b\x1a\x1b\x1c\x1d\x1e\x1f\x01")) + b"\x7f"
_MAX_CONTROL_SHARE = 0.02  # of the bytes; old exports have a few
_UTF16_ZERO_SHARE = 0.7  # of every second byte: 0 in UTF-16 of Western text
_CONTROLS = re.compile("[\0-\x08\x0e-\x1f\x7f-\x9f]")
_VISIBLE = re.compile("[^\\s\ufeff\u200b\u2060\0]")
# Encodings of seven bits, which are valid UTF-8: they say themselves where their letters begin.
_ESCAPES = (
    (re.compile(rb"\x1b\$\)C"), ("iso2022_kr",)),
    (
        re.compile(rb"\x1b(?:\$[@AB]|\$\([A-Z]|\([IJ])"),
        ("iso2022_jp_2", "iso2022_jp_ext", "iso2022_jp_2004", "iso2022_jp_3"),
    ),
    (re.compile(rb"~\{(?:[\x21-\x7d][\x21-\x7e])+~\}"), ("hz",)),
)


class DecodedText(NamedTuple):
    """A text and the encoding that it was read from, by Python's name."""

    text: str
    encoding: str


def looks_like_text(data: bytes) -> bool:
    """True for bytes that `decode_text` can read as text."""
    try:
        read_encoded(data)
    except ValueError:
        return False
    return True


def decode_text(data: bytes, where: str, charset: str | None = None) -> DecodedText:
    """Return the text in `data`; `charset` is the encoding that was declared with it, as in a data: URI.

    Raises BadRecord for binary data, for an encoding that cannot be told, and for text of blanks only.
    """
    try:
        decoded = read_encoded(data, charset)
    except ValueError as error:
        raise BadRecord(f"{where}: {error}") from None
    if not _VISIBLE.search(decoded.text):
        raise BadRecord(f"{where}: it holds nothing but blanks")
    return decoded


def read_encoded(data: bytes, charset: str | None = None) -> DecodedText:
    """Return the text and its encoding; ValueError says why there is none."""
    marked = next((encoding for mark, encoding in _BYTE_ORDER_MARKS if data.startswith(mark)), None) or _unmarked_utf16(
        data
    )
    if marked:
        return DecodedText(_decode_marked(data, marked), marked)
    if escaped := _decode_escapes(data) or _decode_wide(data):
        return escaped
    if b"\0" in data or len(data) - len(data.translate(None, _CONTROL_BYTES)) > _MAX_CONTROL_SHARE * len(data):
        raise ValueError("binary data, not text; give the file the ending of what it is")
    try:
        return DecodedText(data.decode("utf-8"), "utf-8")
    except UnicodeDecodeError:
        return _decode_legacy(data, charset)


def _decode_wide(data: bytes) -> DecodedText | None:
    """Return text of two or four bytes a letter without a mark, None for any other: zeros stand in one place only."""
    if b"\0" not in data[:_HEAD_BYTES] or len(data) % 2:
        return None
    for encoding, width, high in (("utf-32-le", 4, 3), ("utf-32-be", 4, 0), ("utf-16-le", 2, 1), ("utf-16-be", 2, 0)):
        others = (data[place::width].count(0) for place in range(width) if place != high)
        if len(data) % width or not data[high::width].count(0) or (width == 2 and any(others)):
            continue
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if not _CONTROLS.search(text) and has_words(text):
            return DecodedText(text, encoding)
    return None


def _decode_escapes(data: bytes) -> DecodedText | None:
    """Return text in an encoding of seven bits that switches its letters on and off, None for any other."""
    if b"\x1b" not in data and b"~{" not in data:
        return None
    for encoding in (one for escape, encodings in _ESCAPES if escape.search(data) for one in encodings):
        try:
            return DecodedText(data.decode(encoding), encoding)
        except UnicodeDecodeError:
            continue
    return None


def _decode_marked(data: bytes, encoding: str) -> str:
    """Return text in the encoding that its byte order mark names; an incomplete last character is dropped."""
    width = {"utf-16": 2, "utf-32": 4}.get(encoding, 1)
    try:
        return data[: len(data) - len(data) % width].decode(encoding, errors="replace" if width == 1 else "strict")
    except UnicodeDecodeError:
        raise ValueError(f"damaged: it begins like {encoding.upper()}, but goes on otherwise") from None


def _unmarked_utf16(data: bytes) -> str | None:
    """Return the byte order of UTF-16 without a mark (every second byte is 0, the others are not), else None."""
    if len(data) % 2 or b"\0" not in data[:_HEAD_BYTES]:
        return None
    first, second = data[:_HEAD_BYTES:2], data[1:_HEAD_BYTES:2]
    zeros = (first.count(0), second.count(0))
    if min(zeros) > 0 or max(zeros) < _UTF16_ZERO_SHARE * len(first):
        return None
    return "utf-16-be" if zeros[0] else "utf-16-le"


def _decode_legacy(data: bytes, charset: str | None) -> DecodedText:
    """Return text that is not valid UTF-8: as declared; as UTF-8 where only a few bytes are wrong; as detected."""
    for name in (charset, _declared(data)):
        if (encoding := _encoding(name)) is not None:
            try:
                return DecodedText(data.decode(encoding), encoding)
            except (UnicodeDecodeError, LookupError):
                continue
    text = data.decode("utf-8", errors="replace")
    characters = len(text) - len(text.encode("ascii", "ignore"))
    if characters > 4 * text.count("\ufffd"):  # text in another encoding is hardly ever valid UTF-8 by chance
        return DecodedText(text, "utf-8")
    detected = detect_encoding(data)
    if detected is None:
        raise ValueError("its encoding is not UTF-8, and its bytes do not tell which it is; save it as UTF-8")
    return DecodedText(detected[1], detected[0])


def _declared(data: bytes) -> str | None:
    match = _DECLARED.search(data[:_HEAD_BYTES])
    return match[1].decode("ascii", "replace") if match else None


def _encoding(name: str | None) -> str | None:
    """Return Python's name for a declared encoding, None for an unknown or unsuitable one."""
    try:
        known = codecs.lookup(name).name if name else None
    except LookupError:
        return None
    if known is None or known in _NOT_FOR_FILES:
        return None
    return "cp1252" if known in _READ_AS_WINDOWS_1252 else known
