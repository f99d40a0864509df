"""Finds a text that is an amount, alone or with its currency or unit, in the other forms in which people write it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from extract.documents.grounding.boundaries import kind_of
from extract.documents.grounding.currencies import currency_places
from extract.documents.grounding.folding import LIGHT, Folded, fold
from extract.documents.grounding.money import codes_of, is_unit
from extract.documents.grounding.numbers import end_of_scale, index_numbers
from extract.documents.grounding.places import Place, in_order
from extract.documents.grounding.signs import is_signed
from extract.documents.grounding.source import SourceText
from extract.documents.grounding.text_search import folded_places

__all__ = ["amount_places"]

_SHAPE: Final = re.compile(r"(?P<before>\D*)(?P<number>\d(?:[\d.,' ]*\d)?)(?P<after>\D*)")
_WORDS: Final = re.compile(r"[^\s\d,()'\"+-]+")
_WORD_BEFORE: Final = re.compile(r"([^\s\d,()'\"+-]+)[ -]*$")
_WORD_AFTER: Final = re.compile(r" ?([^\s\d,()'\"+-]+)")
_POINT: Final = re.compile(r"\d[.,٫]\d")
_PADDED: Final = re.compile(r"0\d")
_REACH: Final = 8  # code points beside a number in which its currency may stand
_USUAL_DECIMALS: Final = 2


@dataclass(frozen=True, slots=True)
class _Amount:
    """A text read as one number: what it may mean, its currencies, its units, and how it is written."""

    values: frozenset[Decimal]
    codes: frozenset[str]
    units: tuple[str, ...]
    written: str
    plus: bool
    requested: bool  # the field asks for an amount

    @property
    def has_cents(self) -> bool:
        return any(value.as_tuple().exponent != 0 for value in self.values)

    @property
    def is_code(self) -> bool:
        """True for digits alone, or with zeros that no amount has: another way to write them is another code."""
        decimals = len(self.written) - 1 - max(self.written.rfind("."), self.written.rfind(","))
        if self.written.isdecimal():
            return not (self.codes or self.units or min(self.values) < 0) or _PADDED.match(self.written) is not None
        return _PADDED.match(self.written) is not None or (decimals > _USUAL_DECIMALS and self.written.endswith("0"))


def amount_places(source: SourceText, light: Folded, *, requested: bool) -> list[Place] | None:
    """Return the places of the one number in a light text, alone or with a currency or unit; None for any other text.

    [] means that it is a number and stands nowhere. `requested` is True where the field is for an amount: digits alone
    are a code elsewhere, which stands where it is written as it is.
    """
    amount = _read(light, requested=requested)
    if amount is None:
        return None
    if amount.is_code and not requested:
        return []
    places = in_order(place for value in amount.values for place in source.numbers.get(value, ()))
    return [place for place in places if _agrees(source, place, amount)]


def _read(light: Folded, *, requested: bool) -> _Amount | None:
    """Return a text as an amount; None where it has other letters or signs than those of an amount, or two numbers."""
    shape = _SHAPE.fullmatch(light.text)
    if shape is None or shape["before"].endswith(","):  # ",5" is half of one
        return None
    before = _WORDS.findall(shape["before"])
    after = _WORDS.findall(light.text[end_of_scale(light.text, shape.end("number")) :])
    codes = frozenset[str]().union(*map(codes_of, before + after))
    units = tuple(word for word in after if not codes_of(word))
    if not all(map(codes_of, before)) or not all(map(is_unit, units)):
        return None
    # "1 234" is read as 1234, 1 and 234: only the outermost readings count, and there must be exactly one.
    numbers = index_numbers(light, ())
    spans = {place[:2] for places in numbers.values() for place in places}
    outer = [span for span in spans if not any(_within(span, other) for other in spans)]
    if len(outer) != 1:
        return None
    values = frozenset(value for value, places in numbers.items() if outer[0] in {place[:2] for place in places})
    return _Amount(values, codes, units, shape["number"], "+" in shape["before"], requested)


def _agrees(source: SourceText, place: Place, amount: _Amount) -> bool:
    """Return whether the number at a place is this amount: its cents, its sign, its currency and unit."""
    text = source.text[place.start : place.end]
    near = _codes_beside(source.text, place)
    has_point = _POINT.search(text) is not None
    # "9.00" is not the 9 of "9 pieces", but may be the 9 of "$9".
    if (amount.has_cents and not (has_point or near)) or (amount.codes and near and not amount.codes & near):
        return False
    if amount.requested:
        return True
    # "(47.11)" is an amount below zero beside a currency only.
    if (text.startswith("(") and not near) or not _same_sign(source.text, place, amount):
        return False
    is_money = bool(near) or has_point or amount.has_cents or not amount.codes
    return (is_money or any(_stands(source, code) for code in amount.codes)) and all(
        _stands(source, unit) for unit in amount.units
    )


def _same_sign(text: str, place: Place, amount: _Amount) -> bool:
    if amount.plus:
        return text[place.start - 1 : place.start] == "+"
    return min(amount.values) < 0 or not is_signed(text, place.start)


def _codes_beside(text: str, place: Place) -> frozenset[str]:
    """Return the currencies whose sign or word stands before or behind a number."""
    before = _WORD_BEFORE.search(fold(text[max(0, place.start - _REACH) : place.start], LIGHT).text)
    after = _WORD_AFTER.match(fold(text[place.end : place.end + _REACH], LIGHT).text)
    return (_codes_in(before[1], -1) if before else frozenset()) | (_codes_in(after[1], 0) if after else frozenset())


def _codes_in(word: str, edge: int) -> frozenset[str]:
    """Return the currencies of a word, else of the sign at its edge: "合計¥", "円です"."""
    sign = word[edge]
    return codes_of(word) or (frozenset() if kind_of(sign) == "letter" else codes_of(sign))


def _stands(source: SourceText, word: str) -> bool:
    """Return whether a currency's code or sign, or a unit, stands anywhere in a source: in a table's header, say."""
    return bool(folded_places(source, word) or currency_places(source, word))


def _within(span: tuple[int, int], other: tuple[int, int]) -> bool:
    return span != other and other[0] <= span[0] and span[1] <= other[1]
