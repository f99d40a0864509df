"""Reads the words of a PDF page from pdfium, and where they stand.

pdfium tells the place of one character a call, and a call through ctypes takes as long as pdfium takes to come from the
file to a character. So only both ends of a word are asked for, all in one go, without a line of Python between two
calls. Where they do not belong to a plain word, its characters are looked at one by one.
"""

from __future__ import annotations

import ctypes
import re
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from functools import cache
from importlib import import_module
from itertools import compress, pairwise, repeat
from operator import gt, sub
from typing import Any, Final, NamedTuple, TypeAlias

__all__ = ["Sides", "Word", "read_words"]

Sides: TypeAlias = tuple[float, float, float, float]
"""Left, bottom, right, top in the points of a page, y upwards: as PDF has them, whatever way the page is shown."""

# A word ends before a blank and behind pdfium's marks for a hyphen at the end of a line.
_TOKEN: Final = re.compile("[^\\s\\0\x02\ufffe]+[\x02\ufffe]?|[\x02\ufffe]")
_HYPHEN: Final = re.compile("[\x02\ufffe]")
_SAME_LEVEL: Final = 0.2  # of a character's height: the boxes of some letters are a little higher than those of others
_UPRIGHT: Final = 0.02  # a line that rises or falls by less of its length runs to the right


class Word(NamedTuple):
    """Characters without a blank between them, and their position in points; `base` is the baseline, y grows upwards.

    `height` is that of the first character. A word is `upright` if it runs to the right along its baseline. `sides` are
    those of all its characters together; `place` is that of the first among the characters of its page.
    """

    text: str
    left: float
    right: float
    base: float
    height: float
    upright: bool = True
    sides: Sides = (0.0, 0.0, 0.0, 0.0)
    place: int = 0


def read_words(text_page: Any, bounds: Sequence[float]) -> list[Word] | None:
    """Return the words of pdfium's text page in its order, None where the position of a character is missing.

    Words outside of `bounds` (left, bottom, right, top), the visible part of the page, are left out.
    """
    left, bottom, right, top = bounds
    words = _words(_Characters(text_page))
    if words is None:
        return None
    return [word for word in words if left <= (word.left + word.right) / 2 <= right and bottom <= word.base <= top]


class _Calls(NamedTuple):
    """Functions of pdfium that take plain numbers and addresses.

    They keep the interpreter's lock: a call takes less time than to let go of it, and a busy thread would hold it for
    milliseconds.
    """

    box: Callable[..., int]
    matrix: Callable[..., int]
    piece: Callable[..., int | None]
    origin: Callable[..., int]


@cache
def _calls() -> _Calls:
    raw = import_module("pypdfium2.raw")
    number, address = ctypes.c_int, ctypes.c_void_p

    def prepared(function: Any, *types: Any) -> Any:
        return ctypes.PYFUNCTYPE(*types)(ctypes.cast(function, address).value or 0)

    return _Calls(
        box=prepared(raw.FPDFText_GetLooseCharBox, number, address, number, address),
        piece=prepared(raw.FPDFText_GetTextObject, address, address, number),
        matrix=prepared(raw.FPDFText_GetMatrix, number, address, number, address),
        origin=prepared(raw.FPDFText_GetCharOrigin, number, address, number, address, address),
    )


class _Characters:
    """The characters of a page: all of their text, and of each what is asked for."""

    def __init__(self, text_page: Any) -> None:
        self._calls: _Calls = _calls()
        self._page: int | None = ctypes.cast(text_page.raw, ctypes.c_void_p).value
        self.text: str = _characters(text_page)

    def boxes(self, places: Sequence[int]) -> Iterator[list[float]]:
        """Yield left, top, right and bottom of characters; 0 where pdfium has no box."""
        sides = array("f", bytes(16 * len(places)))
        at = sides.buffer_info()[0]
        _consume(map(self._calls.box, repeat(self._page), places, range(at, at + 16 * len(places), 16)))
        return (sides[side::4].tolist() for side in range(4))

    def baselines(self, places: Sequence[int]) -> array[float]:
        """Return the heights of the baselines of characters."""
        origins = array("d", bytes(16 * len(places)))
        at = origins.buffer_info()[0]
        end = at + 16 * len(places)
        _consume(map(self._calls.origin, repeat(self._page), places, range(at, end, 16), range(at + 8, end + 8, 16)))
        return origins[1::2]

    def pieces(self, places: Iterable[int]) -> list[int | None]:
        """Return an address for each character: that of the piece of text that the PDF shows it with."""
        return list(map(self._calls.piece, repeat(self._page), places))

    def turned(self, places: Sequence[int]) -> list[bool]:
        """Return whether the line of a character does not run to the right. Slanted ones, made-up italics, do."""
        matrices = array("f", bytes(24 * len(places)))
        at = matrices.buffer_info()[0]
        _consume(map(self._calls.matrix, repeat(self._page), places, range(at, at + 24 * len(places), 24)))
        directions = zip(matrices[0::6], matrices[1::6], strict=True)
        return [along <= 0 or abs(across) >= _UPRIGHT * along for along, across in directions]


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


def _words(page: _Characters) -> list[Word] | None:
    texts = _TOKEN.findall(page.text)
    starts = [token.start() for token in _TOKEN.finditer(page.text)]
    ends = [start + len(text) - 1 for start, text in zip(starts, texts, strict=True)]
    left, top, _, bottom = page.boxes(starts)
    last, last_top, right, last_bottom = page.boxes(ends)
    height = list(map(sub, top, bottom))
    if min(height, default=1.0) <= 0:
        return None
    bases = _bases(page, starts, top, bottom)
    sides = zip(left, map(min, bottom, last_bottom), right, map(max, top, last_top), strict=True)
    words = list(map(Word._make, zip(texts, left, right, bases, height, repeat(True), sides, starts, strict=False)))
    pieces = page.pieces(starts)
    turned = _turned(page, pieces, starts)
    # What a word's end is away from its beginning: to the right, and above or below its level.
    steps = map(sub, last, left)
    climbs = map(max, map(abs, map(sub, last_top, top)), map(abs, map(sub, last_bottom, bottom)))
    odd = [
        at
        for at, (step, climb, tall) in enumerate(zip(steps, climbs, height, strict=True))
        if climb > _SAME_LEVEL * tall or (step <= 0 and starts[at] < ends[at])
    ]
    return _mended(page, words, {*odd, *turned, *_broken(page, words, _joined(page, pieces, ends))}, turned)


def _mended(page: _Characters, words: Sequence[Word], odd: Set[int], turned: Set[int]) -> list[Word] | None:
    """Return the words with the odd ones examined. None where a character has no box.

    All others end right of their beginning, on its level. pdfium adds no blank where text goes back: only then, with
    the next piece of text printed over the one before, has a word more in it than its ends tell.
    """
    mended: list[Word] = []
    done = 0
    for at in sorted(odd):
        pieces = _examined(page, words[at], is_turned=at in turned)
        if pieces is None:
            return None
        mended += words[done:at]
        mended += pieces
        done = at + 1
    mended += words[done:]
    return [_hyphenated(word) for word in mended] if _HYPHEN.search(page.text) else mended


def _turned(page: _Characters, pieces: Sequence[int | None], starts: Sequence[int]) -> set[int]:
    """Return the words of pieces that do not run to the right: a piece has one direction."""
    samples = dict(zip(pieces, starts, strict=True))
    turned = set(compress(samples, page.turned(list(samples.values()))))
    return {at for at, piece in enumerate(pieces) if piece in turned} if turned else set()


def _joined(page: _Characters, pieces: Sequence[int | None], ends: Sequence[int]) -> list[int]:
    """Return the words that the PDF shows in several pieces: with another piece at the end than at the beginning."""
    changes = [at for at, (piece, after) in enumerate(zip(pieces, [*pieces[1:], None], strict=False)) if piece != after]
    last = page.pieces([ends[at] for at in changes])
    return [at for at, piece in zip(changes, last, strict=True) if piece != pieces[at]]


def _broken(page: _Characters, words: Sequence[Word], joined: Sequence[int]) -> set[int]:
    """Return those of the joined words that have a character far off from the one before."""
    owners = [at for at in joined for _ in words[at].text]
    places = [place for at in joined for place in range(words[at].place, words[at].place + len(words[at].text))]
    left, top, right, bottom = page.boxes(places)
    far = map(gt, map(abs, map(sub, left[1:], right)), map(sub, top, bottom))
    return {at for at, after in compress(pairwise(owners), far) if at == after}


def _bases(page: _Characters, starts: Sequence[int], top: Sequence[float], bottom: Sequence[float]) -> list[float]:
    """Return the baselines of words. Those that follow each other on one level share theirs."""
    levels = list(zip(top, bottom, strict=True))
    begins = [at for at, (before, level) in enumerate(zip([None, *levels], levels, strict=False)) if level != before]
    bases: list[float] = []
    known = page.baselines([starts[at] for at in begins])
    for (at, end), base in zip(pairwise([*begins, len(starts)]), known, strict=True):
        bases += [base] * (end - at)
    return bases


def _examined(page: _Characters, word: Word, *, is_turned: bool) -> list[Word] | None:
    """Return what a word is made of, its characters looked at one by one; None where one of them has no box."""
    if len(word.text) == 1:
        return [word._replace(upright=not is_turned)]
    places = range(word.place, word.place + len(word.text))
    left, top, right, bottom = page.boxes(places)
    height, base = list(map(sub, top, bottom)), page.baselines(places)
    if min(height) <= 0:
        return None
    cuts = [] if is_turned else [at for at in range(1, len(places)) if _are_apart(left, right, height, base, at)]
    return [
        Word(
            word.text[low:high],
            left[low],
            max(right[low:high]),
            base[low],
            height[low],
            not is_turned and left[high - 1] >= left[low] and abs(base[high - 1] - base[low]) <= height[low] / 2,
            (min(left[low:high]), min(bottom[low:high]), max(right[low:high]), max(top[low:high])),
            places[low],
        )
        for low, high in pairwise((0, *cuts, len(places)))
    ]


def _are_apart(
    left: Sequence[float], right: Sequence[float], height: Sequence[float], base: Sequence[float], at: int
) -> bool:
    """True where a character is far off on the line of the one before: pdfium adds no blank where text goes back."""
    reach = height[at - 1]
    return abs(left[at] - right[at - 1]) > reach >= abs(base[at] - base[at - 1])


def _hyphenated(word: Word) -> Word:
    return word._replace(text=f"{word.text[:-1]}-") if _HYPHEN.match(word.text[-1]) else word
