"""Normalises texts for comparison (case, width, digits, marks, blanks) and maps offsets back to the original.

There are two forms. LIGHT keeps the shape of a text: blanks and punctuation stay, each kind in one form. BARE keeps
only letters, their marks, digits and symbols such as emoji. Invariant: both fold one code point at a time, so every
code point of a folded text comes from exactly one code point of the original.
"""

from __future__ import annotations

import unicodedata
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, compress, repeat
from typing import Final

__all__ = ["BARE", "LIGHT", "Folded", "fold", "is_silent"]

# Keyboards and typesetting vary in these, and NFKD does not unify them.
_CONFUSABLES: Final = {
    "\u0130": "i", "\u0131": "i", "\u06cc": "\u064a", "\u06a9": "\u0643",
    "\u066b": ".", "\u066c": ",", "\u060c": ",", "\u2212": "-", "\u00b4": "'", "`": "'", "\u2032": "'", "\u02bc": "'",
    "\u2033": '"',
}  # fmt: skip
_QUOTES: Final = dict.fromkeys("‘’‚‛‹›", "'") | dict.fromkeys("“”„‟«»「」『』", '"')
# Vowel points and cantillation marks, which Arabic and Hebrew mostly omit; the tatweel only stretches a line.
_VOWEL_POINTS: Final = (range(0x0591, 0x05C8), range(0x0610, 0x061B), range(0x064B, 0x0660), range(0x06D6, 0x06EE))
_TATWEEL: Final = "\u0640"
_PICTURES: Final = "So"
_SKIN_TONES: Final = range(0x1F3FB, 0x1F400)


class _Light(dict[int, str]):
    """Code point -> its light form. Filled on demand, so that `fold` is a plain table look-up per code point."""

    def __missing__(self, code: int) -> str:
        self[code] = light = _light(chr(code))
        return light


class _Bare(dict[int, str]):
    """Code point -> its bare form, filled on demand from the light one."""

    def __missing__(self, code: int) -> str:
        self[code] = bare = "" if unicodedata.category(chr(code)) == "Sk" else "".join(filter(_is_spoken, LIGHT[code]))
        return bare


def _light(char: str) -> str:
    if same := _CONFUSABLES.get(char) or _QUOTES.get(char):
        return same
    if is_silent(char):
        return ""
    kind = unicodedata.category(char)
    if kind == "No" and unicodedata.decomposition(char).startswith(("<super>", "<sub>")):
        return char  # a footnote mark is not a digit of the number before it: 12² is not 122
    if kind[0] == "Z" or kind == "Cc":
        return " "
    if kind == "Pd":
        return "-"
    return "".join(_plain(letter) for letter in _decomposed(char))


def _decomposed(char: str) -> str:
    # Case folding can yield characters that decompose further, hence NFKD before and after.
    return unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", char).casefold())


def _plain(letter: str) -> str:
    if unicodedata.category(letter) == "Nd":
        return str(unicodedata.decimal(letter))
    return "" if is_silent(letter) else letter


def is_silent(char: str) -> bool:
    """Return whether folding always drops the code point: format characters, vowel points, variation selectors.

    Format characters are invisible: soft hyphens, joiners, zero-width spaces, direction marks.
    """
    code = ord(char)
    if code < 0x80:
        return False
    return (
        unicodedata.category(char) == "Cf"
        or char in (_TATWEEL, "\u034f")
        or any(code in points for points in _VOWEL_POINTS)
        or 0xFE00 <= code <= 0xFE0F
        or code in _SKIN_TONES
    )


def _is_spoken(letter: str) -> bool:
    kind = unicodedata.category(letter)
    return kind[0] in "LMN" or kind == _PICTURES


LIGHT: Final = _Light()
BARE: Final = _Bare()


@dataclass(frozen=True, slots=True)
class Folded:
    """A folded text; `origins` has, for each of its code points, the offset in the original that it comes from."""

    text: str
    origins: Sequence[int]

    def span(self, start: int, end: int) -> tuple[int, int] | None:
        """Return the original's span for a folded one; None where that would cut a code point of the original."""
        first, last = self.origins[start], self.origins[end - 1]
        cut_before = start > 0 and self.origins[start - 1] == first
        cut_after = end < len(self.origins) and self.origins[end] == last
        return None if cut_before or cut_after else (first, last + 1)


def fold(text: str, table: dict[int, str]) -> Folded:
    """Return the folded form of a text, its combining marks in canonical order."""
    pieces = list(map(table.__getitem__, map(ord, text)))
    folded = "".join(pieces)
    sizes = list(map(len, pieces))
    places: Iterable[int] = range(len(text))
    # The common cases need no copy: with one code point each, offsets are a range; with some dropped, a selection.
    if max(sizes, default=1) > 1:
        places = chain.from_iterable(map(repeat, places, sizes))
    elif len(folded) < len(text):
        places = compress(places, sizes)
    origins = places if isinstance(places, range) else array("L", places)
    # NFD does not change the number of code points here: all are decomposed already, only marks are reordered.
    return Folded(folded if folded.isascii() else unicodedata.normalize("NFD", folded), origins)
