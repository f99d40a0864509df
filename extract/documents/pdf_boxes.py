"""Where the words of a PDF page stand: the place of each in the page's text, and its box on the page as it is shown."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple, TypeAlias

from extract.documents.grounding.span import Box

__all__ = ["PageView", "PageWords", "Sides", "WordPlace", "view_of"]

Sides: TypeAlias = tuple[float, float, float, float]
"""Left, bottom, right, top in the points of a page, y upwards: as PDF has them, whatever way the page is shown."""

WordPlace: TypeAlias = tuple[int, int, Sides]
"""The span of a word in the text of its page, and its sides."""

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


def view_of(page: Any) -> PageView:
    """Return the view of a page of pdfium."""
    left, bottom, right, top = page.get_bbox()
    return PageView(left, bottom, right, top, page.get_rotation() // 90)


class PageWords:
    """The words of one page in the order of its text; about 24 bytes each, however long they are kept."""

    def __init__(self, places: Iterable[WordPlace], view: PageView) -> None:
        self.view: PageView = view
        self.starts: array[int] = array("I")
        self.ends: array[int] = array("I")
        self._sides: array[float] = array("f")
        for start, end, sides in sorted(places):
            self.starts.append(start)
            self.ends.append(end)
            self._sides.extend(sides)

    def __len__(self) -> int:
        return len(self.starts)

    def box(self, index: int, page: int) -> Box:
        """Return the box of a word."""
        left, bottom, right, top = self._sides[4 * index : 4 * index + 4]
        return self.view.box((left, bottom, right, top), page)

    def boxes(self, start: int, end: int, page: int) -> Iterator[Box]:
        """Yield the boxes of the words that a span of the page's text touches: one for those that follow on a line."""
        first, last = bisect_right(self.ends, start), bisect_left(self.starts, end)
        run: Box | None = None
        for index in range(first, last):
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
