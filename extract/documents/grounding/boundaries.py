"""Word and number boundaries: whether a span of a text is a whole word or number and not a part of a longer one.

A span that starts or ends inside a word ("cat" in "concatenate"), a number ("9.00" in "1,239.00") or a grapheme (a base
letter without its accent) is not a place of a value. The rules are stricter than those of `windows.graphemes`, which
only keep a cut out of single characters.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final, Literal

from extract.documents.grounding.folding import is_silent
from extract.documents.grounding.money import touches_after, touches_before

__all__ = ["begins_word", "continues", "ends_word", "extends", "kind_of", "stands_alone", "with_silent_marks"]

_Kind = Literal["letter", "digit", "free", ""]

# Scripts without blanks between words: any character may begin or end a word.
_UNSPACED_SCRIPTS: Final = (
    (0x0E00, 0x0EFF), (0x0F00, 0x0FFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x2E80, 0x2FDF), (0x3005, 0x3007),
    (0x3040, 0x312F), (0x31A0, 0x31FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0xFF66, 0xFF9F),
    (0x20000, 0x3FFFF),
)  # fmt: skip
_MEDIAL_JAMO: Final = range(0x1160, 0x1200)
_HANGUL: Final = (range(0x1100, 0x1200), range(0xAC00, 0xD7A4))
_FLAGS: Final = range(0x1F1E6, 0x1F200)
_ZERO_WIDTH_JOINER: Final = "\u200d"
_NUMBER_MARKS: Final = ".,'’٫٬"
_DIGITS_AND_MARKS: Final = re.compile(r"\d+(?:[.,'’٫٬]\d+)*")
_WHOLE_NUMBER: Final = re.compile(r"\d+(?:[.,٫]\d+)?|\d{1,3}(?:[.,'’٬]\d{2,3})*[.,'’٬]\d{3}(?:[.,٫]\d+)?")
_MAX_TOUCHING: Final = 10  # letters read beside a number: no unit or currency has more
# Code points read on each side of a span: with a row of a million digits, the work per span must stay constant.
_MAX_NUMBER_REACH: Final = 40
_MAX_FLAGS: Final = 40  # regional indicators counted backwards, for the same reason
_KIND_CACHE: Final[dict[str, _Kind]] = {}


def stands_alone(text: str, start: int, end: int) -> bool:
    """Return whether a span begins and ends at boundaries of words, numbers and graphemes of its text."""
    return begins_word(text, start) and ends_word(text, end) and not _inside_number(text, start, end)


def begins_word(text: str, place: int) -> bool:
    """Return whether the word, number or grapheme at a place begins exactly there."""
    return not continues(text, place) and not _is_joined(text, place, leading=True)


def ends_word(text: str, place: int) -> bool:
    """Return whether the word, number or grapheme before a place ends exactly there."""
    return not continues(text, place) and not _is_joined(text, place, leading=False)


def continues(text: str, place: int) -> bool:
    """Return whether the code point at a place belongs to the grapheme before it: a mark, half a flag, a jamo."""
    if not 0 < place < len(text):
        return False
    char, before = text[place], text[place - 1]
    # A joiner makes one emoji of several (a family); between letters, as in Persian and Hindi, it joins nothing.
    if before == _ZERO_WIDTH_JOINER or char == _ZERO_WIDTH_JOINER:
        return _is_picture(text, place)
    # A flag is a pair of regional indicators: a place within a row of them is inside a flag after an odd number.
    if ord(char) in _FLAGS and ord(before) in _FLAGS:
        return _flags_before(text, place) % 2 == 1
    return extends(char)


def extends(char: str) -> bool:
    """Return whether a code point combines with the one before it: a mark, a medial jamo, a skin tone."""
    code = ord(char)
    if code < 0x300:
        return False
    return unicodedata.category(char)[0] == "M" or code in _MEDIAL_JAMO or 0x1F3FB <= code <= 0x1F3FF


def with_silent_marks(text: str, end: int) -> int:
    """Return the end of a span, extended over the marks behind it that folding drops: vowel points, selectors."""
    while end < len(text) and extends(text[end]) and is_silent(text[end]):
        end += 1
    return end


def _is_picture(text: str, place: int) -> bool:
    around = text[max(0, place - 2) : place + 2]
    return any(unicodedata.category(char) == "So" for char in around)


def _flags_before(text: str, place: int) -> int:
    count = 0
    while count < min(place, _MAX_FLAGS) and ord(text[place - 1 - count]) in _FLAGS:
        count += 1
    return count


def kind_of(char: str) -> _Kind:
    """Return how a character joins its neighbours: as "letter" or "digit"; "free" (an unspaced script) or "" do not."""
    kind = _KIND_CACHE.get(char)
    if kind is None:
        kind = _KIND_CACHE[char] = _kind(char)
    return kind


def _kind(char: str) -> _Kind:
    category, code = unicodedata.category(char), ord(char)
    if category == "Nd":
        return "digit"
    if category[0] not in "LM":
        return ""
    return "free" if any(low <= code <= high for low, high in _UNSPACED_SCRIPTS) else "letter"


def _is_joined(text: str, place: int, *, leading: bool) -> bool:
    """Return whether a word or number continues across a place; `leading` where a span begins there."""
    if not 0 < place < len(text):
        return False
    # Soft hyphens, vowel points and the like are skipped: the letters on both sides of them are still one word.
    left, right = _visible_before(text, place), _visible_after(text, place)
    if left is None or right is None:
        return False
    kinds = kind_of(text[left]), kind_of(text[right])
    if kinds == ("letter", "letter"):
        # Korean writes particles behind a name without a blank: a Hangul word may end before more Hangul.
        return leading or not _is_hangul(text[left]) or not _is_hangul(text[right])
    # "RM9.00", "12kg", "8PM": a unit or currency may touch a number; other letters and their number are one name.
    if kinds == ("letter", "digit"):
        return not (_is_hangul(text[left]) or touches_before(_letters_before(text, left)))
    if kinds == ("digit", "letter"):
        return not (_is_hangul(text[right]) or touches_after(_letters_after(text, right)))
    return kinds == ("digit", "digit")


def _visible_before(text: str, place: int) -> int | None:
    place -= 1
    while place >= 0 and is_silent(text[place]):
        place -= 1
    return place if place >= 0 else None


def _visible_after(text: str, place: int) -> int | None:
    while place < len(text) and is_silent(text[place]):
        place += 1
    return place if place < len(text) else None


def _is_hangul(char: str) -> bool:
    return any(ord(char) in block for block in _HANGUL)


def _letters_before(text: str, place: int) -> str:
    start = place
    while start > 0 and place - start < _MAX_TOUCHING and kind_of(text[start - 1]) == "letter":
        start -= 1
    return text[start : place + 1]


def _letters_after(text: str, place: int) -> str:
    end = place + 1
    while end < len(text) and end - place <= _MAX_TOUCHING and kind_of(text[end]) == "letter":
        end += 1
    return text[place:end]


def _inside_number(text: str, start: int, end: int) -> bool:
    """Return whether a span cuts a number at a decimal or grouping mark: "9.00" of "1,239.00" or of "9.00.1"."""
    if _is_mark_in_number(text, start) or _is_mark_in_number(text, end - 1):
        return True  # ",813.75" of "3,813.75"
    # Each argument triple is (mark, digit beyond it, last code point of the span on that side).
    before = _touches_number(text, start - 1, start - 2, start)
    after = _touches_number(text, end, end + 1, end - 1)
    if not before and not after:
        return False
    low, high = start, end
    while low > max(0, start - _MAX_NUMBER_REACH) and (text[low - 1].isdecimal() or text[low - 1] in _NUMBER_MARKS):
        low -= 1
    while high < min(len(text), end + _MAX_NUMBER_REACH) and (text[high].isdecimal() or text[high] in _NUMBER_MARKS):
        high += 1
    whole = _DIGITS_AND_MARKS.search(text[low:high])
    cuts_number = whole is not None and _WHOLE_NUMBER.fullmatch(whole[0]) is not None
    # "53,55,57" is not a number, so each of its members stands alone; but a span with a mark in it, such as "12.05" of
    # "12.05.2024", is a part of a date or code.
    return cuts_number or not text[start:end].isdecimal()


def _is_mark_in_number(text: str, place: int) -> bool:
    around = text[place - 1 : place + 2] if place > 0 else ""
    return len(around) == 3 and around[1] in _NUMBER_MARKS and around[0].isdecimal() and around[2].isdecimal()


def _touches_number(text: str, mark: int, digit: int, inner: int) -> bool:
    inside = 0 <= mark < len(text) and 0 <= digit < len(text)
    return inside and text[mark] in _NUMBER_MARKS and text[digit].isdecimal() and text[inner].isdecimal()
