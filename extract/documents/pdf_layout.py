"""The text of a PDF page in its visual layout: lines by their baselines, column gaps kept as three blanks.

PDF producers write the cells of a table in any order, and pdfium returns them in that order, one blank between two.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

__all__ = ["GAP", "Word", "laid_out", "read_words"]

GAP = "   "
"""What stands between two columns."""

_COLUMN_GAP = 1.7  # average character widths, about three blanks: a wider gap separates columns
_BASELINE_TOLERANCE = 0.25  # of a character's height: baselines this close are one line
_HYPHENS = (0x02, 0xFFFE)  # pdfium's marks for a hyphen at the end of a line
_RIGHT_TO_LEFT = re.compile(r"[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")

# Two columns of running text are read one after the other; the cells of a table are shorter.
_PROSE_WORDS, _PROSE_LINES, _PROSE_SHARE = 5, 6, 0.3


@dataclass(frozen=True, slots=True)
class Word:
    """Characters without a blank between them, and their position in points; `base` is the baseline, y grows upwards.

    `height` is that of the first character. A word is `upright` if it runs to the right along its baseline.
    """

    text: str
    left: float
    right: float
    base: float
    height: float
    upright: bool = True


def laid_out(words: Sequence[Word]) -> str | None:
    """Return the lines of a page from top to bottom, GAP between columns; words that are not upright come last.

    None where pdfium's own order is better: columns of running text, a rotated page, right-to-left scripts.
    """
    upright = [word for word in words if word.upright]
    if len(upright) < len(words) / 2 or any(_RIGHT_TO_LEFT.search(word.text) for word in words):
        return None
    lines = [_columns(row) for row in _rows(upright)]
    if _is_prose(lines):
        return None
    aside = " ".join(word.text for word in words if not word.upright)
    text = "\n".join([*(GAP.join(line) for line in lines), *filter(None, [aside])])
    # Some builds of pdfium return UTF-16 units: surrogate pairs are joined, a surrogate alone is dropped.
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "ignore")


def _rows(words: Iterable[Word]) -> Iterator[list[Word]]:
    """Yield the words of each line, from the left."""
    row: list[Word] = []
    for word in sorted(words, key=lambda word: -word.base):
        if row and row[0].base - word.base > _BASELINE_TOLERANCE * min(row[0].height, word.height):
            yield sorted(row, key=lambda word: word.left)
            row = []
        row.append(word)
    if row:
        yield sorted(row, key=lambda word: word.left)


def _columns(row: Sequence[Word]) -> list[str]:
    """Return the words of one line joined into columns."""
    wide = _COLUMN_GAP * sum(word.right - word.left for word in row) / sum(len(word.text) for word in row)
    columns = [row[0].text]
    reach = row[0].right
    for word in row[1:]:
        if word.left - reach > wide:
            columns.append(word.text)
        else:
            columns[-1] += f" {word.text}"
        reach = max(reach, word.right)
    return columns


def _is_prose(lines: Sequence[Sequence[str]]) -> bool:
    """True where many lines hold running text in two columns."""
    count = sum(sum(column.count(" ") + 1 >= _PROSE_WORDS for column in line) > 1 for line in lines)
    return count >= max(_PROSE_LINES, _PROSE_SHARE * len(lines))


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
    words: list[Word] = []
    run: list[_Glyph] = []
    for glyph in _glyphs(text_page):
        if glyph is None:
            return None
        if run and (not glyph.text.strip() or run[-1].ends or run[-1].is_far_from(glyph)):
            words.append(_word(run))
            run = []
        if glyph.text.strip():
            run.append(glyph)
    return words + ([_word(run)] if run else [])


@dataclass(slots=True)
class _Glyph:
    text: str
    left: float = 0.0
    right: float = 0.0
    base: float = 0.0
    height: float = 0.0
    ends: bool = False
    upright: bool = True

    def is_far_from(self, after: _Glyph) -> bool:
        """True where the next character is far off on the same line: pdfium adds no blank where text goes backwards."""
        return abs(after.left - self.right) > self.height >= abs(after.base - self.base)


def _glyphs(text_page: Any) -> Iterator[_Glyph | None]:
    """Yield each character, None for one whose position pdfium does not know."""
    raw = import_module("pypdfium2.raw")
    page, box, x, base = text_page.raw, raw.FS_RECTF(), ctypes.c_double(), ctypes.c_double()
    code_of, box_of, origin_of = raw.FPDFText_GetUnicode, raw.FPDFText_GetLooseCharBox, raw.FPDFText_GetCharOrigin
    is_new = upright = True
    for index in range(text_page.count_chars()):
        code = code_of(page, index)
        text = chr(code)
        if code in (0, 32) or text.isspace():
            yield _Glyph(" ")
            is_new = True
            continue
        if not (box_of(page, index, box) and origin_of(page, index, x, base) and box.top > box.bottom):
            yield None
            return
        if is_new:
            upright = abs(raw.FPDFText_GetCharAngle(page, index)) < 0.1
        ends = code in _HYPHENS
        yield _Glyph(text, box.left, box.right, base.value, box.top - box.bottom, ends, upright)
        is_new = False


def _word(run: Sequence[_Glyph]) -> Word:
    first, last = run[0], run[-1]
    level = abs(last.base - first.base) <= first.height / 2 and last.left >= first.left
    text = "".join(glyph.text for glyph in run)
    right = max(glyph.right for glyph in run)
    return Word(text, first.left, right, first.base, first.height, first.upright and level)
