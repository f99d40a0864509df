"""The text of a PDF page in its visual layout: lines by their baselines, column gaps kept as three blanks.

PDF producers write the cells of a table in any order, and pdfium returns them in that order, one blank between two.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from extract.documents.pdf_boxes import WordPlace
from extract.documents.pdf_words import Word

__all__ = ["GAP", "Layout", "Order", "in_own_order", "laid_out", "lay_out"]

Span: TypeAlias = tuple[int, int]
Order: TypeAlias = tuple[Span, ...]

GAP = "   "
"""What stands between two columns."""

_COLUMN_GAP = 1.7  # average character widths, about three blanks: a wider gap separates columns
_BASELINE_TOLERANCE = 0.25  # of a character's height: baselines this close are one line
_MAX_LINE_GAP = 3  # character heights between two lines of one column
_RIGHT_TO_LEFT = re.compile(r"[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")

# Two columns of running text are read one after the other; the cells of a table are shorter.
_PROSE_WORDS, _PROSE_LINES, _PROSE_SHARE = 5, 6, 0.3


@dataclass(frozen=True, slots=True)
class Layout:
    """The text of a page, the places of its words, and other orders in which it can be read.

    Each order is a row of spans of the text, read one after the other: words in pdfium's own order, as far as it goes
    on in the text, and the lines of each column from top to bottom. The lines of a cell whose text wraps follow each
    other in one of them only.
    """

    text: str
    orders: tuple[Order, ...] = ()
    words: tuple[WordPlace, ...] = ()


def laid_out(words: Sequence[Word]) -> str | None:
    """Return the lines of a page from top to bottom, GAP between columns; words that are not upright come last.

    None where pdfium's own order is better: columns of running text, a rotated page, right-to-left scripts.
    """
    layout = lay_out(words)
    return None if layout is None else layout.text


def lay_out(words: Sequence[Word]) -> Layout | None:
    """Return the text that `laid_out` returns with the other orders in which it can be read."""
    upright = _upright(words)
    if len(upright) < len(words) / 2 or _is_right_to_left(words):
        return None
    lines = [_columns(row) for row in _rows(upright)]
    if _is_prose(lines):
        return None
    aside = [word for word in words if not word.upright]
    text, places = _written([*lines, *([[aside]] if aside else [])])
    orders = [*_read_on([places[id(word)] for word in words]), *_read_down(lines, places)]
    return Layout(text, _of_several(orders), _word_places(words, places))


def in_own_order(text: str, words: Sequence[Word]) -> Layout:
    """Return a page in pdfium's order, which `lay_out` has found to be better, with its columns as the other orders.

    The words stand in its text one after the other. Scripts from right to left have no other order, and where a word
    is not found, the page has neither orders nor words.
    """
    places: dict[int, Span] = {}
    at = 0
    for word in words:
        at = text.find(word.text, at)
        if at < 0:
            return Layout(text)
        places[id(word)] = (at, at + len(word.text))
        at += len(word.text)
    orders = [] if _is_right_to_left(words) else _read_down([_columns(row) for row in _rows(_upright(words))], places)
    return Layout(text, _of_several(orders), _word_places(words, places))


def _upright(words: Iterable[Word]) -> list[Word]:
    return [word for word in words if word.upright]


def _is_right_to_left(words: Iterable[Word]) -> bool:
    return any(_RIGHT_TO_LEFT.search(word.text) for word in words)


def _of_several(orders: Iterable[Sequence[Span]]) -> tuple[Order, ...]:
    return tuple(tuple(order) for order in orders if len(order) > 1)


def _word_places(words: Iterable[Word], places: Mapping[int, Span]) -> tuple[WordPlace, ...]:
    return tuple((*places[id(word)], word.sides) for word in words)


def _written(lines: Sequence[Sequence[Sequence[Word]]]) -> tuple[str, dict[int, Span]]:
    """Return the text of all lines, and the span of each word in it, by the word's id."""
    pieces: list[str] = []
    places: dict[int, Span] = {}
    at = 0
    for line in lines:
        for column in line:
            for word in column:
                text = _without_halves(word.text)
                places[id(word)] = (at, at + len(text))
                pieces += [text, " "]
                at += len(text) + 1
            pieces[-1] = GAP
            at += len(GAP) - 1
        pieces[-1] = "\n"
        at += 1 - len(GAP)
    return "".join(pieces[:-1]), places


def _without_halves(text: str) -> str:
    # Some builds of pdfium return UTF-16 units: surrogate pairs are joined, a surrogate alone is dropped.
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "ignore")


def _read_on(spans: Sequence[Span]) -> list[list[Span]]:
    """Return spans in pdfium's order, apart where it goes back in the text: the next cell or column begins there."""
    if list(spans) == sorted(spans):
        return []
    cells: list[list[Span]] = []
    for span in spans:
        if cells and span > cells[-1][-1]:
            cells[-1].append(span)
        else:
            cells.append([span])
    return [_merged(cell) for cell in cells]


def _merged(spans: Iterable[Span]) -> list[Span]:
    """Return spans with those that follow each other, one blank between, as one."""
    merged: list[Span] = []
    for start, end in spans:
        if merged and merged[-1][1] + 1 == start:
            merged[-1] = (merged[-1][0], end)
        else:
            merged.append((start, end))
    return merged


@dataclass(slots=True)
class _Column:
    """The lines of one column so far; `left`, `right` and `base` are those of the last line."""

    spans: list[Span]
    left: float
    right: float
    base: float

    def overlap(self, left: float, right: float) -> float:
        return min(right, self.right) - max(left, self.left)


def _read_down(lines: Sequence[Sequence[Sequence[Word]]], places: Mapping[int, Span]) -> list[list[Span]]:
    """Return the lines of each column, as far as they stand below each other."""
    columns: list[_Column] = []
    open_columns: list[_Column] = []
    for line in lines:
        base, reach = line[0][0].base, _MAX_LINE_GAP * max(words[0].height for words in line)
        open_columns = [column for column in open_columns if column.base - base <= reach]
        for words in line:
            left, right = words[0].left, max(word.right for word in words)
            column = _column_above(open_columns, left, right, base)
            if column is None:
                column = _Column([], left, right, base)
                columns.append(column)
                open_columns.append(column)
            column.spans += _merged(places[id(word)] for word in words)
            column.left, column.right, column.base = left, right, base
    return [column.spans for column in columns]


def _column_above(columns: Iterable[_Column], left: float, right: float, base: float) -> _Column | None:
    """Return the column that a part of a line continues: the one whose last line is above most of it."""
    overlaps = [(column.overlap(left, right), column) for column in columns if column.base != base]
    overlap, column = max(overlaps, key=lambda pair: pair[0], default=(0.0, None))
    return column if overlap > 0 else None


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


def _columns(row: Sequence[Word]) -> list[list[Word]]:
    """Return the words of one line by column."""
    wide = _COLUMN_GAP * sum(word.right - word.left for word in row) / sum(len(word.text) for word in row)
    columns = [[row[0]]]
    reach = row[0].right
    for word in row[1:]:
        if word.left - reach > wide:
            columns.append([word])
        else:
            columns[-1].append(word)
        reach = max(reach, word.right)
    return columns


def _is_prose(lines: Sequence[Sequence[Sequence[Word]]]) -> bool:
    """True where many lines hold running text in two columns."""
    count = sum(sum(len(column) >= _PROSE_WORDS for column in line) > 1 for line in lines)
    return count >= max(_PROSE_LINES, _PROSE_SHARE * len(lines))
