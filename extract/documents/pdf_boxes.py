"""Where the words of a PDF page stand: the place of each in the page's text, and its box on the page as it is shown."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, Final, NamedTuple, TypeAlias

from extract.documents.grounding.span import Box
from extract.documents.pdf_words import Word

__all__ = ["PageView", "PageWords", "Sides", "view_of"]

Sides: TypeAlias = tuple[float, float, float, float]
"""Left, bottom, right, top in the points of a page, y upwards: as PDF has them, whatever way the page is shown."""

_SAME_LINE: Final = 0.5  # of the lower of two boxes: this much of it is beside the other
_MAX_BLANK: Final = 1.5  # heights between two words that share a box


class PageView(NamedTuple):
    """The visible part of a page in its own points, and the quarter turns clockwise by which it is shown."""

    left: float
    bottom: float
    right: float
    top: float
    turns: int = 0

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in points as the page is shown."""
        wide, high = self.right - self.left, self.top - self.bottom
        return (high, wide) if self.turns % 2 else (wide, high)

    def box(self, sides: Sides, page: int) -> Box:
        """Return the box of what has these sides, from the top left of the page as it is shown."""
        left, bottom, right, top = sides
        match self.turns % 4:
            case 1:
                shown = (bottom - self.bottom, left - self.left, top - self.bottom, right - self.left)
            case 2:
                shown = (self.right - right, bottom - self.bottom, self.right - left, top - self.bottom)
            case 3:
                shown = (self.top - top, self.right - right, self.top - bottom, self.right - left)
            case _:
                shown = (left - self.left, self.top - top, right - self.left, self.top - bottom)
        return Box(page, *(round(side, 2) for side in shown))


_NOTHING: Final = PageView(0, 0, 0, 0)


def view_of(page: Any) -> PageView:
    """Return the view of a page of pdfium."""
    left, bottom, right, top = page.get_bbox()
    return PageView(left, bottom, right, top, page.get_rotation() // 90)


class PageWords:
    """The words of one page in the order of its text, in arrays: a long document has many.

    `starts` and `ends` are their places in the text of the page; `sides` those of all characters of pdfium's page.
    """

    def __init__(
        self,
        words: Sequence[Word] = (),
        starts: Sequence[int] = (),
        sides: Sequence[float] = (),
        view: PageView = _NOTHING,
    ) -> None:
        self.view: PageView = view
        self.starts: array[int] = array("I", starts)
        self.ends: array[int] = array("I", [start + len(word.text) for start, word in zip(starts, words, strict=True)])
        self._first: array[int] = array("I", [word.first for word in words])
        self._end: array[int] = array("I", [word.end for word in words])
        self._base: array[float] = array("d", [word.base for word in words])
        self._upright: bytes = bytes([word.upright for word in words])
        self._sides: Sequence[float] = sides

    def __len__(self) -> int:
        return len(self.starts)

    def words(self, text: str) -> list[tuple[Word, tuple[int, int]]]:
        """Return the words, and their places in the text of the page, in pdfium's order."""
        return sorted(map(partial(self._word, text), range(len(self))), key=lambda pair: pair[0].first)

    def _word(self, text: str, index: int) -> tuple[Word, tuple[int, int]]:
        span = self.starts[index], self.ends[index]
        first, end, sides = self._first[index], self._end[index], self._sides
        left, top, _, bottom = sides[4 * first : 4 * first + 4]
        right, upright = max(sides[4 * first + 2 : 4 * end : 4]), bool(self._upright[index])
        return Word(text[slice(*span)], left, right, self._base[index], top - bottom, upright, first, end), span

    def box(self, index: int, page: int, start: int = 0, end: int | None = None) -> Box:
        """Return the box of a word, or of the part of it that lies in a span of the text."""
        first, last = self._first[index], self._end[index]
        low, high = self.starts[index], self.ends[index]
        if last - first == high - low:  # as ever, but where pdfium has two halves for a character
            last -= max(0, high - (high if end is None else end))
            first += max(0, start - low)
        left, top, right, bottom = (self._sides[4 * first + side : 4 * last : 4] for side in range(4))
        return self.view.box((min(left), min(bottom), max(right), max(top)), page)

    def boxes(self, start: int, end: int, page: int) -> Iterator[Box]:
        """Yield where a span of the page's text stands: one box for words that follow each other on a line."""
        run: Box | None = None
        for index in range(bisect_right(self.ends, start), bisect_left(self.starts, end)):
            box = self.box(index, page, start, end)
            if run is not None and self.starts[index] <= self.ends[index - 1] + 1 and _continues(run, box):
                run = _around(run, box)
                continue
            if run is not None:
                yield run
            run = box
        if run is not None:
            yield run


def _continues(run: Box, box: Box) -> bool:
    lower = min(run.bottom - run.top, box.bottom - box.top)
    beside = min(run.bottom, box.bottom) - max(run.top, box.top)
    gap = max(box.left - run.right, run.left - box.right)
    return beside > _SAME_LINE * lower and gap <= _MAX_BLANK * lower


def _around(one: Box, other: Box) -> Box:
    left, top = min(one.left, other.left), min(one.top, other.top)
    return Box(one.page, left, top, max(one.right, other.right), max(one.bottom, other.bottom))
