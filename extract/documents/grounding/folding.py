"""Texts made alike: case, width, digits, marks and blanks folded, with the way back to the original's code points.

There are two forms. LIGHT keeps the shape of a text: blanks and punctuation stay, in one form each. BARE keeps only
what is read out: letters, their marks, digits, and pictures such as emoji. Both fold one code point at a time, so a
place in a folded text is always the place of whole code points of the original.
"""

from __future__ import annotations

import unicodedata
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, compress, repeat
from typing import Final

__all__ = ["BARE", "LIGHT", "Folded", "fold", "is_silent"]

# Keyboards and typographers differ in these, NFKD does not make them one.
_ALIKE: Final = {
    "\u0130": "i", "\u0131": "i", "\u06cc": "\u064a", "\u06a9": "\u0643",
    "\u066b": ".", "\u066c": ",", "\u060c": ",", "\u2212": "-", "\u00b4": "'", "`": "'", "\u2032": "'", "\u02bc": "'",
    "\u2033": '"',
}  # fmt: skip
_QUOTES: Final = dict.fromkeys("‘’‚‛‹›", "'") | dict.fromkeys("“”„‟«»「」『』", '"')
# Vowel points and signs of recitation, which Arabic and Hebrew are mostly written without; and the stretcher of lines.
_POINTS: Final = (range(0x0591, 0x05C8), range(0x0610, 0x061B), range(0x064B, 0x0660), range(0x06D6, 0x06EE))
_STRETCHER: Final = "\u0640"
_PICTURES: Final = "So"
_SKIN_TONES: Final = range(0x1F3FB, 0x1F400)


class _Light(dict[int, str]):
    """Code point -> its light form, worked out on first sight."""

    def __missing__(self, code: int) -> str:
        self[code] = light = _light(chr(code))
        return light


class _Bare(dict[int, str]):
    """Code point -> its bare form, worked out on first sight."""

    def __missing__(self, code: int) -> str:
        self[code] = bare = "" if unicodedata.category(chr(code)) == "Sk" else "".join(filter(_said, LIGHT[code]))
        return bare


def _light(char: str) -> str:
    if alike := _ALIKE.get(char) or _QUOTES.get(char):
        return alike
    if is_silent(char):
        return ""
    kind = unicodedata.category(char)
    if kind == "No" and unicodedata.decomposition(char).startswith(("<super>", "<sub>")):
        return char  # the mark of a footnote is no digit of the number before it
    if kind[0] == "Z" or kind == "Cc":
        return " "
    if kind == "Pd":
        return "-"
    return "".join(_plain(letter) for letter in _decomposed(char))


def _decomposed(char: str) -> str:
    return unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", char).casefold())


def _plain(letter: str) -> str:
    if unicodedata.category(letter) == "Nd":
        return str(unicodedata.decimal(letter))
    return "" if is_silent(letter) else letter


def is_silent(char: str) -> bool:
    """Return whether folding drops the code point wherever it stands: formats, points of Arabic and Hebrew, selectors.

    Formats are what no reader sees: soft hyphens, joiners, spaces without width, marks of direction.
    """
    code = ord(char)
    if code < 0x80:
        return False
    return (
        unicodedata.category(char) == "Cf"
        or char in (_STRETCHER, "\u034f")
        or any(code in points for points in _POINTS)
        or 0xFE00 <= code <= 0xFE0F
        or code in _SKIN_TONES
    )


def _said(letter: str) -> bool:
    kind = unicodedata.category(letter)
    return kind[0] in "LMN" or kind == _PICTURES


LIGHT: Final = _Light()
BARE: Final = _Bare()


@dataclass(frozen=True, slots=True)
class Folded:
    """A folded text. `origins` gives, for each of its code points, the place in the original that it comes from."""

    text: str
    origins: Sequence[int]

    def span(self, start: int, end: int) -> tuple[int, int] | None:
        """Return the original's span of a folded one; None where that would cut a code point of the original."""
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
    if max(sizes, default=1) > 1:
        places = chain.from_iterable(map(repeat, places, sizes))
    elif len(folded) < len(text):
        places = compress(places, sizes)
    origins = places if isinstance(places, range) else array("L", places)
    # NFD changes no number of code points here: all that can be decomposed is, and only marks change places.
    return Folded(folded if folded.isascii() else unicodedata.normalize("NFD", folded), origins)
