"""When a predicted and a gold value count as the same: strictly, or forgiving what a careful reader would forgive."""

from __future__ import annotations

import math
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias

from extract.schema.mappings import as_dict
from extract.schema.notation import (
    collapsed,
    written_boolean,
    written_moment,
    written_numbers,
)
from extract.schema.plain_text import json_value, typed_text

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["comparable", "same_exactly", "same_when_normalised"]

Number: TypeAlias = int | float | Decimal


def same_exactly(predicted: Any, gold: Any) -> bool:
    """Return whether two values are equal, a text beside a typed value by that type's plain notation.

    Structs are compared by the names that gold holds, lists item by item, dicts whatever the order of their keys; null
    equals null.
    """
    return _agree(predicted, gold, _same_plain)


def same_when_normalised(predicted: Any, gold: Any, *, day_first: bool) -> bool:
    """Return whether two values are equal, or become so once case, blanks, punctuation and notation are set aside.

    Null, an empty list and a blank text all say nothing.
    """

    def same(ours: Any, theirs: Any) -> bool:
        # What is exactly right stays right, however the forgiving reading of its text would come out.
        return (
            _same_plain(ours, theirs)
            or (_says_nothing(ours) and _says_nothing(theirs))
            or _forgiven(ours, theirs, day_first)
        )

    return _agree(predicted, gold, same)


def _agree(predicted: Any, gold: Any, same: Callable[[Any, Any], bool]) -> bool:
    predicted, gold = _unpacked(predicted, beside=gold), _unpacked(gold, beside=predicted)
    if isinstance(predicted, list | dict) and isinstance(gold, list | dict):
        ours, theirs = _dicts(predicted, gold)
        if ours is not None and theirs is not None:
            return all(_agree(ours.get(key), theirs.get(key), same) for key in ours | theirs)
    if isinstance(predicted, dict) and isinstance(gold, dict):
        return all(_agree(predicted.get(name), value, same) for name, value in gold.items())
    if isinstance(predicted, list) and isinstance(gold, list):
        pairs = zip(predicted, gold, strict=False)
        return len(predicted) == len(gold) and all(_agree(ours, theirs, same) for ours, theirs in pairs)
    return same(predicted, gold)


def _unpacked(value: Any, *, beside: Any) -> Any:
    """Return what a JSON text holds where the other side is nested; anything else as it is."""
    return json_value(value) if isinstance(value, str) and isinstance(beside, dict | list) else value


def _dicts(predicted: Any, gold: Any) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """Return two values as the dicts that they stand for, where one is a list of keys and values; else None."""
    if isinstance(predicted, dict) and isinstance(gold, dict):
        return None, None
    ours, theirs = (as_dict(value) if isinstance(value, list) else value for value in (predicted, gold))
    return ours, theirs


def _text_last(first: Any, second: Any) -> tuple[Any, Any]:
    return (second, first) if isinstance(first, str) else (first, second)


def _same_plain(predicted: Any, gold: Any) -> bool:
    value, other = _text_last(predicted, gold)
    if value is None or other is None:
        return value is other
    if isinstance(other, str) and not isinstance(value, str):
        other = typed_text(other, type(value))
    return bool(comparable(value) == comparable(other))


def comparable(value: Any) -> Any:
    """Return a float by its shortest notation, so that 12.1 equals Decimal("12.10") and NaN equals itself."""
    if isinstance(value, float):
        return Decimal(repr(value)) if math.isfinite(value) else repr(value)
    return value


def _forgiven(predicted: Any, gold: Any, day_first: bool) -> bool:
    value, other = _text_last(predicted, gold)
    if isinstance(other, str):
        return collapsed(value) == collapsed(other) if isinstance(value, str) else _writes(other, value, day_first)
    if isinstance(value, date) and isinstance(other, date):
        return _same_moment(value, other)
    return isinstance(value, Number) and isinstance(other, Number) and _close(value, other)


def _says_nothing(value: Any) -> bool:
    return value is None or value == [] or (isinstance(value, str) and not value.strip())


def _writes(text: str, value: Any, day_first: bool) -> bool:
    """Return whether `text` is a written form of the typed `value`."""
    if isinstance(value, bool):
        return written_boolean(text) is value
    if isinstance(value, Number):
        return any(_close(value, number) for number in written_numbers(text))
    if isinstance(value, date):
        written = written_moment(text, day_first=day_first)
        return written is not None and _same_moment(value, written)
    return False


def _close(first: Number, second: Number) -> bool:
    try:
        ours, theirs = float(first), float(second)
    except OverflowError:  # an integer that no float holds
        return False
    return math.isfinite(ours) and math.isclose(ours, theirs, rel_tol=1e-9, abs_tol=1e-12)


def _same_moment(first: date, second: date) -> bool:
    """Return whether two dates agree, down to the time of day where both have one."""
    if not (isinstance(first, datetime) and isinstance(second, datetime)):
        return first.timetuple()[:3] == second.timetuple()[:3]
    if (first.tzinfo is None) != (second.tzinfo is None):
        return first.replace(tzinfo=None) == second.replace(tzinfo=None)
    return first == second
