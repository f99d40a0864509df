"""The signs at the edges of a value that change what it says: -5 is not 5, C# is not C, and 15 % is not 15."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from typing import Final, NamedTuple

from extract.documents.grounding.folding import BARE, LIGHT, fold

__all__ = ["Edges", "edges_of", "is_signed", "stands_signed"]

_MEANT: Final = frozenset("#@%‰*&§\\")
_JOINING: Final = frozenset("&@*\\")  # between two words they are punctuation
_POINTS: Final = (".", ",", "٫")
_MINUS, _PLUS = "-", "+"
_NUMBER: Final = re.compile(r"(?:[^\W\d_]{1,3}\.?)?\d")
_INNER_MINUS: Final = re.compile(r"(?<=\s)(?<!\d\s)-(?=\d)")
_MONEY_REACH: Final = 3
_MAX_GAP: Final = 2  # blanks between a sign and what it belongs to
_PHONE_LENGTH: Final = (
    7  # from this many digits on, a plus is the prefix of a telephone number, which people also leave out
)


class Edges(NamedTuple):
    """The signs of a light text before its first letter or digit, those after its last, those between, and currencies.

    `minuses` counts the numbers below zero after its first word, `number` is True where it begins with a number,
    `digits` is their count where it holds nothing but digits, `point` is True for one like ".12".
    """

    before: str
    after: str
    inside: str
    money: str
    minuses: int
    number: bool
    digits: int
    point: bool


@lru_cache(maxsize=256)
def edges_of(light: str) -> Edges:
    """Return the signs of a light text that change what it says; hyphens, quotes and brackets do not."""
    spoken = [index for index, char in enumerate(light) if BARE[ord(char)]]
    if not spoken:
        return Edges("", "", "", "", 0, number=False, digits=0, point=False)
    first, last = spoken[0], spoken[-1]
    number = _NUMBER.match(light, first) is not None
    before = "".join(char for char in light[:first] if _is_meant(char) or (number and char == _MINUS))
    ends = light[last].isdecimal()
    after = "".join(char for char in light[last + 1 :] if _is_meant(char) or (ends and char == _MINUS))
    inside = "".join(char for char in light[first:last] if _is_meant(char) and char not in _JOINING)
    money = "".join(filter(_is_money, light[:first] + light[last + 1 :]))
    minuses = len(_INNER_MINUS.findall(light, first, last))
    digits = len(light) if light.isdecimal() else 0
    point = light[first].isdecimal() and light[:first].strip("-+").endswith(_POINTS)
    return Edges(before, after, inside, money, minuses, number, digits, point)


def stands_signed(text: str, start: int, end: int, edges: Edges, *, amount: bool) -> bool:
    """Return whether the signs of a value stand around a span, and none that the value does not have before digits.

    `start` and `end` are the first and last letter or digit. A currency's sign may stand on either side.
    """
    if not (_stand(text, start, -1, reversed(edges.before)) and _stand(text, end, 1, edges.after)):
        return False
    if edges.point and text[start - 1 : start] not in _POINTS:
        return False
    beside = text[max(0, start - _MONEY_REACH) : start] + text[end : end + _MONEY_REACH]
    if not all(sign in map(_light, beside) for sign in edges.money):
        return False
    if any(text.count(sign, start, end) < edges.inside.count(sign) for sign in set(edges.inside)):
        return False
    if edges.minuses and edges.minuses > len(_INNER_MINUS.findall(fold(text[start:end], LIGHT).text)):
        return False
    return amount or not edges.number or bool(edges.before) or not is_signed(text, start, digits=edges.digits)


def is_signed(text: str, start: int, *, digits: int = 0) -> bool:
    """Return whether the number that begins at a place has a minus or plus directly before it.

    A hyphen behind a letter, a digit or a bracket joins two words or a range. The plus of a telephone number is none.
    """
    if start == 0:
        return False
    sign = _light(text[start - 1])
    if sign not in (_MINUS, _PLUS) or (sign == _PLUS and digits >= _PHONE_LENGTH):
        return False
    return not _is_joint(text, start - 1)


def _is_joint(text: str, place: int) -> bool:
    """Return whether a hyphen at a place joins what is before it: "INV-4711", "10-12", "10 -12"."""
    before = text[max(0, place - 2) : place]
    if not before or not before[-1].isspace():
        return bool(before) and (
            before[-1].isalnum() or before[-1] in ")]-" or unicodedata.category(before[-1]) == "Mn"
        )
    return before[0].isdecimal() and len(before) > 1


def _is_meant(char: str) -> bool:
    return char in _MEANT or char == _PLUS or unicodedata.category(char) == "Sm"


def _is_money(char: str) -> bool:
    return unicodedata.category(char) == "Sc"


def _light(char: str) -> str:
    return LIGHT[ord(char)]


def _stand(text: str, place: int, step: int, signs: Iterable[str]) -> bool:
    """Return whether signs stand, in this order, before (`step` -1) or behind a place, blanks aside."""
    for sign in signs:
        place = _skipped(text, place, step)
        if _sign_at(text, place, step) != sign:
            return False
        # The hyphen of "INV-4711" is no minus, nor is that of "4711-X".
        if sign == _MINUS and (_is_joint(text, place - 1) if step < 0 else text[place + 1 : place + 2].isalnum()):
            return False
        place += step
    return True


def _skipped(text: str, place: int, step: int) -> int:
    for _ in range(_MAX_GAP):
        char = _sign_at(text, place, step)
        if not (char.isspace() or (char and _is_money(char))):
            break
        place += step
    return place


def _sign_at(text: str, place: int, step: int) -> str:
    at = place - 1 if step < 0 else place
    return _light(text[at])[:1] if 0 <= at < len(text) else ""
