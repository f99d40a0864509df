"""Where the words of a PDF page stand: the place of each in the page's text, and its box on the page as it is shown."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain
from operator import add
from typing import Any, Final, NamedTuple

from extract.documents.grounding.span import Box
from extract.documents.pdf_words import Sides, Word

__all__ = ["PageView", "PageWords", "view_of"]

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

    `starts` and `ends` are their places in the text of the page.
    """

    def __init__(self, words: Sequence[Word] = (), starts: Sequence[int] = (), view: PageView = _NOTHING) -> None:
        self.view: PageView = view
        texts, left, _, base, height, upright, sides, place = zip(*words, strict=True) if words else ((),) * 8
        self.starts: array[int] = array("I", starts)
        self.ends: array[int] = array("I", list(map(add, starts, map(len, texts))))
        self._figures: tuple[array[float], ...] = tuple(array("d", column) for column in (left, base, height))
        self._upright: bytes = bytes(upright)
        self._sides: array[float] = array("f", list(chain.from_iterable(sides)))
        self._places: array[int] = array("I", place)

    def __len__(self) -> int:
        return len(self.starts)

    def words(self, text: str) -> list[tuple[Word, tuple[int, int]]]:
        """Return the words, and their places in the text of the page, in pdfium's order."""
        return sorted(map(partial(self._word, text), range(len(self))), key=lambda pair: pair[0].place)

    def _word(self, text: str, index: int) -> tuple[Word, tuple[int, int]]:
        span, sides = (self.starts[index], self.ends[index]), self._sides_of(index)
        left, base, height = (column[index] for column in self._figures)
        upright = bool(self._upright[index])
        return Word(text[slice(*span)], left, sides[2], base, height, upright, sides, self._places[index]), span

    def _sides_of(self, index: int) -> Sides:
        left, bottom, right, top = self._sides[4 * index : 4 * index + 4]
        return left, bottom, right, top

    def box(self, index: int, page: int) -> Box:
        """Return the box of a word."""
        return self.view.box(self._sides_of(index), page)

    def boxes(self, start: int, end: int, page: int) -> Iterator[Box]:
        """Yield the boxes of the words that a span of the page's text touches: one for those that follow on a line."""
        run: Box | None = None
        for index in range(bisect_right(self.ends, start), bisect_left(self.starts, end)):
            box = self.box(index, page)
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
