"""Reads the words of a PDF page from pdfium, and where they stand.

pdfium tells the place of one character a call, and a call through ctypes takes longer than its answer. So the boxes of
all characters are asked for in one go, without a line of Python between two calls, and all else at most once a word.
"""

from __future__ import annotations

import ctypes
import re
from array import array
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from importlib import import_module
from itertools import compress, pairwise, repeat
from operator import gt, le, sub
from typing import Any, Final, NamedTuple

__all__ = ["Word", "read_words"]

_TOKEN: Final = re.compile(r"[^\s\0]+")
_HYPHEN: Final = re.compile("[\x02\ufffe]")  # pdfium's marks for a hyphen at the end of a line
_UPRIGHT: Final = 0.02  # a line that rises or falls by less of its length runs to the right


class Word(NamedTuple):
    """Characters without a blank between them, and their position in points; `base` is the baseline, y grows upwards.

    `height` is that of the first character. A word is `upright` if it runs to the right along its baseline. On its page
    it has the characters from `first` to before `end`.
    """

    text: str
    left: float
    right: float
    base: float
    height: float
    upright: bool = True
    first: int = 0
    end: int = 0


def read_words(text_page: Any, bounds: Sequence[float]) -> tuple[list[Word], array[float]] | None:
    """Return the words of pdfium's text page in its order, and the sides of all characters: left, top, right, bottom.

    Words outside of `bounds` (left, bottom, right, top), the visible part of the page, are left out. None where the
    position of a character is missing.
    """
    left, bottom, right, top = bounds
    page = _Characters(text_page)
    if page.has_gaps():
        return None
    visible = [
        word for word in _words(page) if left <= (word.left + word.right) / 2 <= right and bottom <= word.base <= top
    ]
    return visible, page.sides


class _Calls(NamedTuple):
    """Functions of pdfium that take plain numbers and addresses.

    They keep the interpreter's lock: a call takes less time than to let go of it, and a busy thread would hold it for
    milliseconds.
    """

    box: Callable[..., int]
    matrix: Callable[..., int]
    origin: Callable[..., int]


@cache
def _calls() -> _Calls:
    raw = import_module("pypdfium2.raw")
    number, address = ctypes.c_int, ctypes.c_void_p

    def prepared(function: Any, *types: Any) -> Any:
        return ctypes.PYFUNCTYPE(*types)(ctypes.cast(function, address).value or 0)

    return _Calls(
        box=prepared(raw.FPDFText_GetLooseCharBox, number, address, number, address),
        matrix=prepared(raw.FPDFText_GetMatrix, number, address, number, address),
        origin=prepared(raw.FPDFText_GetCharOrigin, number, address, number, address, address),
    )


class _Characters:
    """The characters of a page and the sides of each."""

    def __init__(self, text_page: Any) -> None:
        self._calls: _Calls = _calls()
        self._page: int | None = ctypes.cast(text_page.raw, ctypes.c_void_p).value
        self.text: str = _characters(text_page)
        count = len(self.text)
        self.sides: array[float] = array("f", bytes(16 * count))  # 0 where pdfium has no box
        at = self.sides.buffer_info()[0]
        _consume(map(self._calls.box, repeat(self._page), range(count), range(at, at + 16 * count, 16)))
        self.left, self.top, self.right, self.bottom = (self.sides[side::4].tolist() for side in range(4))
        self.height: list[float] = list(map(sub, self.top, self.bottom))

    def has_gaps(self) -> bool:
        """True where a character that is no blank has no box."""
        without = compress(self.text, map(le, self.height, repeat(0.0)))
        return _TOKEN.search("".join(without)) is not None

    def is_turned(self, place: int) -> bool:
        """True for a character whose line does not run to the right. Slanted ones, as in made-up italics, do."""
        matrix = array("f", bytes(24))
        self._calls.matrix(self._page, place, matrix.buffer_info()[0])
        across, along = matrix[1], matrix[0]
        return along <= 0 or abs(across) >= _UPRIGHT * along

    def baselines(self, places: Sequence[int]) -> array[float]:
        """Return the heights of the baselines of characters."""
        origins = array("d", bytes(16 * len(places)))
        at = origins.buffer_info()[0]
        end = at + 16 * len(places)
        _consume(map(self._calls.origin, repeat(self._page), places, range(at, end, 16), range(at + 8, end + 8, 16)))
        return origins[1::2]

    def far_off(self) -> set[int]:
        """Return the characters that stand far off on the line of the one before.

        pdfium adds no blank where text goes backwards.
        """
        gaps = map(abs, map(sub, self.left[1:], self.right))
        apart = compress(range(1, len(self.text)), map(gt, gaps, self.height))
        far = [place for place in apart if _TOKEN.fullmatch(self.text, place - 1, place + 1)]
        bases = zip(far, self.baselines(far), self.baselines([place - 1 for place in far]), strict=True)
        near = [place for place, base, before in bases if abs(base - before) <= self.height[place - 1]]
        return {place for place in near if not self.is_turned(place - 1)}

    def runs_right(self, first: int, last: int, base: float) -> bool:
        """True for a word that runs to the right along its baseline."""
        if self.left[last] < self.left[first]:
            return False
        is_level = self.bottom[first] == self.bottom[last] and self.top[first] == self.top[last]
        if is_level and self.left[last] > self.left[first]:
            return True
        if self.is_turned(first):
            return False
        return is_level or abs(self.baselines((last,))[0] - base) <= self.height[first] / 2


def _consume(calls: Iterable[int]) -> None:
    deque(calls, maxlen=0)


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


def _words(page: _Characters) -> list[Word]:
    spans = _spans(page)
    bases = page.baselines([start for start, _ in spans])
    text, left, right, height, runs_right = page.text, page.left, page.right, page.height, page.runs_right
    words = [
        Word(
            text[start:end],
            left[start],
            max(right[start:end]),
            base,
            height[start],
            runs_right(start, end - 1, base),
            start,
            end,
        )
        for (start, end), base in zip(spans, bases, strict=True)
    ]
    if _HYPHEN.search(text):
        return [word._replace(text=_HYPHEN.sub("-", word.text)) for word in words]
    return words


def _spans(page: _Characters) -> list[tuple[int, int]]:
    """Return where words begin and end."""
    spans = [token.span() for token in _TOKEN.finditer(page.text)]
    cuts = sorted({hyphen.end() for hyphen in _HYPHEN.finditer(page.text)} | page.far_off())
    if not cuts:
        return spans
    return [
        piece
        for start, end in spans
        for piece in pairwise((start, *cuts[bisect_right(cuts, start) : bisect_left(cuts, end)], end))
    ]
