"""The text of a file from its bytes: by its byte order mark, as UTF-8, by what it declares, else as Windows-1252."""

from __future__ import annotations

import codecs
import re

from extract.errors import BadRecord

__all__ = ["decoded", "looks_like_text"]

# The longer marks first: UTF-32's little-endian one begins like UTF-16's.
_MARKS = (
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
# Browsers read these as Windows-1252, since that is what pages that say so are written in.
_AS_WINDOWS = frozenset({"iso8859-1", "ascii", "latin-1"})
# Codecs of Python's that are no encodings of files, and one that can hide markup.
_NO_ENCODINGS = frozenset({"utf-7", "idna", "punycode", "undefined", "unicode_escape", "raw_unicode_escape"})
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\v\f\r\b\x1a\x1b\x1c\x1d\x1e\x1f\x01")) + b"\x7f"
_MOST_CONTROLS = 0.02  # of the bytes; old exports have a few
_WIDE_SHARE = 0.7  # of every second byte: 0 in UTF-16 of Western text
_VISIBLE = re.compile("[^\\s\ufeff\u200b\u2060\0]")


def looks_like_text(data: bytes) -> bool:
    """True for bytes that `decoded` would take as text."""
    try:
        _text_of(data, None)
    except ValueError:
        return False
    return True


def decoded(data: bytes, where: str, charset: str | None = None) -> str:
    """Return the text in `data`; `charset` is one that was told with it.

    Raises BadRecord for binary data, for an encoding that cannot be told, and for a text of nothing but blanks.
    """
    try:
        text = _text_of(data, charset)
    except ValueError as error:
        raise BadRecord(f"{where}: {error}") from None
    if not _VISIBLE.search(text):
        raise BadRecord(f"{where}: it holds nothing but blanks")
    return text


def _text_of(data: bytes, charset: str | None) -> str:
    """Return the text; ValueError says why there is none."""
    marked = next((encoding for mark, encoding in _MARKS if data.startswith(mark)), None) or _wide(data)
    if marked:
        return _unicode(data, marked)
    if b"\0" in data or len(data) - len(data.translate(None, _CONTROLS)) > _MOST_CONTROLS * len(data):
        raise ValueError("binary data, not text; give the file the ending of what it is")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return _not_unicode(data, charset)


def _unicode(data: bytes, encoding: str) -> str:
    """Return text in an encoding that its mark names; the last character may be cut off."""
    width = {"utf-16": 2, "utf-32": 4}.get(encoding, 1)
    try:
        return data[: len(data) - len(data) % width].decode(encoding, errors="replace" if width == 1 else "strict")
    except UnicodeDecodeError:
        raise ValueError(f"damaged: it begins like {encoding.upper()}, but goes on otherwise") from None


def _wide(data: bytes) -> str | None:
    """Return which UTF-16 without a mark this is, or None: every second byte is 0, the others are not."""
    if len(data) % 2 or b"\0" not in data[:_HEAD_BYTES]:
        return None
    first, second = data[:_HEAD_BYTES:2], data[1:_HEAD_BYTES:2]
    zeros = (first.count(0), second.count(0))
    if min(zeros) > 0 or max(zeros) < _WIDE_SHARE * len(first):
        return None
    return "utf-16-be" if zeros[0] else "utf-16-le"


def _not_unicode(data: bytes, charset: str | None) -> str:
    """Return text that is not whole UTF-8: as declared; as UTF-8 where only a few bytes are wrong; as Windows-1252."""
    for name in (charset, _declared(data)):
        if (encoding := _encoding(name)) is not None:
            try:
                return data.decode(encoding)
            except (UnicodeDecodeError, LookupError):
                continue
    text = data.decode("utf-8", errors="replace")
    characters = len(text) - len(text.encode("ascii", "ignore"))
    if characters > 4 * text.count("\ufffd"):  # words of another encoding are nearly never whole UTF-8
        return text
    try:
        return data.decode("cp1252")
    except UnicodeDecodeError:
        raise ValueError("its encoding is neither UTF-8 nor Windows-1252; save it as UTF-8") from None


def _declared(data: bytes) -> str | None:
    found = _DECLARED.search(data[:_HEAD_BYTES])
    return found[1].decode("ascii", "replace") if found else None


def _encoding(name: str | None) -> str | None:
    """Return Python's name for a declared encoding, or None for one that is none."""
    try:
        known = codecs.lookup(name).name if name else None
    except LookupError:
        return None
    if known is None or known in _NO_ENCODINGS:
        return None
    return "cp1252" if known in _AS_WINDOWS else known
