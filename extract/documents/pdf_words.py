"""Reads the words of a PDF page from pdfium, and where they stand."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, NamedTuple

from extract.documents.pdf_boxes import Sides

__all__ = ["Word", "read_words"]

_HYPHENS = ("\x02", "\ufffe")  # pdfium's marks for a hyphen at the end of a line


@dataclass(frozen=True, slots=True)
class Word:
    """Characters without a blank between them, and their position in points; `base` is the baseline, y grows upwards.

    `height` is that of the first character. A word is `upright` if it runs to the right along its baseline. `sides` are
    those of all its characters together.
    """

    text: str
    left: float
    right: float
    base: float
    height: float
    upright: bool = True
    sides: Sides = (0.0, 0.0, 0.0, 0.0)


def read_words(text_page: Any, bounds: Sequence[float]) -> list[Word] | None:
    """Return the words of pdfium's text page in its order, None where the position of a character is missing.

    Words outside of `bounds` (left, bottom, right, top), the visible part of the page, are left out.
    """
    left, bottom, right, top = bounds
    words = _read_words(text_page)
    if words is None:
        return None
    return [word for word in words if left <= (word.left + word.right) / 2 <= right and bottom <= word.base <= top]


def _read_words(text_page: Any) -> list[Word] | None:
    raw = import_module("pypdfium2.raw")
    page, box = text_page.raw, raw.FS_RECTF()
    box_of = raw.FPDFText_GetLooseCharBox
    words: list[Word] = []
    run: list[_Glyph] = []
    begins, upright = True, True
    for index, char in enumerate(_characters(text_page)):
        if char == "\0" or char.isspace():
            if run:
                words.append(_word(page, run, upright=upright))
                run = []
            begins = True
            continue
        # The position of each character costs more than all the rest: no other call is made for most of them.
        if not box_of(page, index, box) or box.top <= box.bottom:
            return None
        glyph = _Glyph(index, char, box.left, box.right, box.bottom, box.top)
        if run and (run[-1].text in _HYPHENS or (upright and _are_apart(page, run[-1], glyph))):
            words.append(_word(page, run, upright=upright))
            run = []
        if begins:
            begins, upright = False, abs(raw.FPDFText_GetCharAngle(page, index)) < 0.1
        run.append(glyph)
    return words + ([_word(page, run, upright=upright)] if run else [])


class _Glyph(NamedTuple):
    place: int
    text: str
    left: float
    right: float
    bottom: float
    top: float

    @property
    def height(self) -> float:
        return self.top - self.bottom


def _characters(text_page: Any) -> str:
    """Return the characters of a page, one for each of pdfium's: all at once where their numbers agree."""
    raw = import_module("pypdfium2.raw")
    count = text_page.count_chars()
    buffer = (ctypes.c_ushort * (count + 1))()
    raw.FPDFText_GetText(text_page.raw, 0, count, buffer)
    text = bytes(buffer).decode("utf-16-le", "surrogatepass")[:-1]
    if len(text) == count and raw.FPDFText_GetTextIndexFromCharIndex(text_page.raw, count - 1) == count - 1:
        return text
    return "".join(chr(raw.FPDFText_GetUnicode(text_page.raw, index)) for index in range(count))


def _are_apart(page: Any, before: _Glyph, after: _Glyph) -> bool:
    """True where the next character is far off on the same line: pdfium adds no blank where text goes backwards."""
    if abs(after.left - before.right) <= before.height:
        return False
    return before.height >= abs(_baseline(page, after.place) - _baseline(page, before.place))


def _baseline(page: Any, index: int) -> float:
    raw = import_module("pypdfium2.raw")
    x, base = ctypes.c_double(), ctypes.c_double()
    raw.FPDFText_GetCharOrigin(page, index, x, base)
    return base.value


def _word(page: Any, run: Sequence[_Glyph], *, upright: bool) -> Word:
    first, last = run[0], run[-1]
    base = _baseline(page, first.place)
    is_level = last.left >= first.left and (
        first is last or abs(_baseline(page, last.place) - base) <= first.height / 2
    )
    text = "".join([glyph.text for glyph in run])
    if last.text in _HYPHENS:
        text = f"{text[:-1]}-"
    right = max([glyph.right for glyph in run])
    left, bottom, top = (
        min(glyph.left for glyph in run),
        min(glyph.bottom for glyph in run),
        max(glyph.top for glyph in run),
    )
    return Word(text, first.left, right, base, first.height, upright and is_level, (left, bottom, right, top))
