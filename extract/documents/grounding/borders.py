"""Where a word, a number or a visible character ends: what may be cut out of a text, and what would tear it."""

from __future__ import annotations

import re
import unicodedata
from typing import Final, Literal

from extract.documents.grounding.folding import is_silent

__all__ = ["begins_word", "continues", "ends_word", "extends", "stands_alone", "with_silent_marks"]

_Kind = Literal["letter", "digit", "free", ""]

# Scripts that put no blank between words: any character may begin or end a word.
_FREE: Final = (
    (0x0E00, 0x0EFF), (0x0F00, 0x0FFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x2E80, 0x2FDF), (0x3005, 0x3007),
    (0x3040, 0x312F), (0x31A0, 0x31FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0xFF66, 0xFF9F),
    (0x20000, 0x3FFFF),
)  # fmt: skip
_MEDIAL_JAMO: Final = range(0x1160, 0x1200)
_HANGUL: Final = (range(0x1100, 0x1200), range(0xAC00, 0xD7A4))
_FLAGS: Final = range(0x1F1E6, 0x1F200)
_JOINER: Final = "\u200d"
_MARKS: Final = ".,'’٫٬"
_TOKEN: Final = re.compile(r"\d+(?:[.,'’٫٬]\d+)*")
_WHOLE_NUMBER: Final = re.compile(r"\d+(?:[.,٫]\d+)?|\d{1,3}(?:[.,'’٬]\d{2,3})*[.,'’٬]\d{3}(?:[.,٫]\d+)?")
# "RM9.00", "12kg", "8PM", "A12": a unit or currency may touch a number; a longer word and its number are one name.
_LONGEST_UNIT: Final = 3
_LONGEST_NUMBER: Final = (
    40  # code points looked at on each side: a row of a million digits must not be read a million times
)
_MOST_FLAGS: Final = 40
_KNOWN: Final[dict[str, _Kind]] = {}


def stands_alone(text: str, start: int, end: int) -> bool:
    """Return whether a span begins and ends at borders of words, numbers and visible characters of its text."""
    return begins_word(text, start) and ends_word(text, end) and not _inside_number(text, start, end)


def begins_word(text: str, place: int) -> bool:
    """Return whether nothing before a place belongs to the word, number or character that begins there."""
    return not continues(text, place) and not _joined(text, place, leading=True)


def ends_word(text: str, place: int) -> bool:
    """Return whether nothing from a place on belongs to the word, number or character that ends there."""
    return not continues(text, place) and not _joined(text, place, leading=False)


def continues(text: str, place: int) -> bool:
    """Return whether the character at a place goes on with the visible one before it: a mark, half a flag, a jamo."""
    if not 0 < place < len(text):
        return False
    char, before = text[place], text[place - 1]
    if before == _JOINER or char == _JOINER:
        return _is_picture(text, place)
    if ord(char) in _FLAGS and ord(before) in _FLAGS:
        return _flags_before(text, place) % 2 == 1
    return extends(char)


def extends(char: str) -> bool:
    """Return whether a code point is drawn onto the one before it."""
    code = ord(char)
    if code < 0x300:
        return False
    return unicodedata.category(char)[0] == "M" or code in _MEDIAL_JAMO or 0x1F3FB <= code <= 0x1F3FF


def with_silent_marks(text: str, end: int) -> int:
    """Return the end of a span together with the marks behind it that folding drops: vowel points, selectors."""
    while end < len(text) and extends(text[end]) and is_silent(text[end]):
        end += 1
    return end


def _is_picture(text: str, place: int) -> bool:
    around = text[max(0, place - 2) : place + 2]
    return any(unicodedata.category(char) == "So" for char in around)


def _flags_before(text: str, place: int) -> int:
    count = 0
    while count < min(place, _MOST_FLAGS) and ord(text[place - 1 - count]) in _FLAGS:
        count += 1
    return count


def kind_of(char: str) -> _Kind:
    """Return what a character is to its neighbours: a letter or digit that binds, a free sign, or nothing."""
    kind = _KNOWN.get(char)
    if kind is None:
        kind = _KNOWN[char] = _kind(char)
    return kind


def _kind(char: str) -> _Kind:
    category, code = unicodedata.category(char), ord(char)
    if category == "Nd":
        return "digit"
    if category[0] not in "LM":
        return ""
    return "free" if any(low <= code <= high for low, high in _FREE) else "letter"


def _joined(text: str, place: int, *, leading: bool) -> bool:
    """Return whether a word or number goes on across a place; `leading` where a span begins there."""
    if not 0 < place < len(text):
        return False
    left, right = _seen_before(text, place), _seen_after(text, place)
    if left is None or right is None:
        return False
    kinds = kind_of(text[left]), kind_of(text[right])
    if kinds == ("letter", "letter"):
        # Korean puts its particles behind a name, without a blank.
        return leading or not _is_hangul(text[left]) or not _is_hangul(text[right])
    if kinds == ("letter", "digit"):
        return _letters_before(text, left) > _LONGEST_UNIT
    if kinds == ("digit", "letter"):
        return _letters_after(text, right) > _LONGEST_UNIT
    return kinds == ("digit", "digit")


def _seen_before(text: str, place: int) -> int | None:
    place -= 1
    while place >= 0 and is_silent(text[place]):
        place -= 1
    return place if place >= 0 else None


def _seen_after(text: str, place: int) -> int | None:
    while place < len(text) and is_silent(text[place]):
        place += 1
    return place if place < len(text) else None


def _is_hangul(char: str) -> bool:
    return any(ord(char) in block for block in _HANGUL)


def _letters_before(text: str, place: int) -> int:
    count = 0
    while count <= _LONGEST_UNIT and place - count >= 0 and kind_of(text[place - count]) == "letter":
        count += 1
    return count


def _letters_after(text: str, place: int) -> int:
    count = 0
    while count <= _LONGEST_UNIT and place + count < len(text) and kind_of(text[place + count]) == "letter":
        count += 1
    return count


def _inside_number(text: str, start: int, end: int) -> bool:
    """Return whether a span cuts a number at a decimal or grouping mark: "9.00" of "1,239.00" or of "9.00.1"."""
    before = _touches_number(text, start - 1, start - 2, start)
    after = _touches_number(text, end, end + 1, end - 1)
    if not before and not after:
        return False
    low, high = start, end
    while low > max(0, start - _LONGEST_NUMBER) and (text[low - 1].isdecimal() or text[low - 1] in _MARKS):
        low -= 1
    while high < min(len(text), end + _LONGEST_NUMBER) and (text[high].isdecimal() or text[high] in _MARKS):
        high += 1
    whole = _TOKEN.search(text[low:high])
    torn = whole is not None and _WHOLE_NUMBER.fullmatch(whole[0]) is not None
    # A row such as 53,55,57 is no number: its members stand alone, but a piece with a mark in it is a piece of a date.
    return torn or not text[start:end].isdecimal()


def _touches_number(text: str, mark: int, digit: int, own: int) -> bool:
    inside = 0 <= mark < len(text) and 0 <= digit < len(text)
    return inside and text[mark] in _MARKS and text[digit].isdecimal() and text[own].isdecimal()
