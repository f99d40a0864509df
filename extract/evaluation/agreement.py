"""When a predicted and a gold value count as the same: exactly, or normalised as a careful reader would do."""

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
    """Return whether two values are equal; a text equals a typed value where it is that value's plain notation.

    Structs are compared by the names that gold holds, lists item by item, dicts in any order of their keys; null equals
    null.
    """
    return _agree(predicted, gold, _same_plain)


def same_when_normalised(predicted: Any, gold: Any, *, day_first: bool) -> bool:
    """Return whether two values are equal once case, blanks, punctuation and notation are ignored.

    Null, an empty list and a blank text are the same.
    """

    def same(one: Any, other: Any) -> bool:
        # Exact equality first: what is equal stays right, however normalising would read its notation.
        return _same_plain(one, other) or (_is_empty(one) and _is_empty(other)) or _same_notation(one, other, day_first)

    return _agree(predicted, gold, same)


def _agree(predicted: Any, gold: Any, same: Callable[[Any, Any], bool]) -> bool:
    """Return whether two values agree, `same` being the verdict on values that are not nested."""
    # Files of different formats hold one value as JSON text, as a struct or as a list of keys and values: first both
    # sides are brought into the same form.
    predicted, gold = _decoded(predicted, beside=gold), _decoded(gold, beside=predicted)
    if isinstance(predicted, list | dict) and isinstance(gold, list | dict):
        predicted_dict, gold_dict = _mappings(predicted, gold)
        if predicted_dict is not None and gold_dict is not None:
            # The keys of a mapping are data: one too many is an error, unlike a field that a struct has beyond gold.
            return all(_agree(predicted_dict.get(key), gold_dict.get(key), same) for key in predicted_dict | gold_dict)
    if isinstance(predicted, dict) and isinstance(gold, dict):
        return all(_agree(predicted.get(name), value, same) for name, value in gold.items())
    if isinstance(predicted, list) and isinstance(gold, list):
        pairs = zip(predicted, gold, strict=False)
        return len(predicted) == len(gold) and all(_agree(one, other, same) for one, other in pairs)
    return same(predicted, gold)


def _decoded(value: Any, *, beside: Any) -> Any:
    """Return the value of a JSON text where the other side is nested; anything else unchanged."""
    return json_value(value) if isinstance(value, str) and isinstance(beside, dict | list) else value


def _mappings(predicted: Any, gold: Any) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """Return both values as mappings where at least one is a list of keys and values; (None, None) for two structs."""
    if isinstance(predicted, dict) and isinstance(gold, dict):
        return None, None
    predicted, gold = (as_dict(value) if isinstance(value, list) else value for value in (predicted, gold))
    return predicted, gold


def _text_second(first: Any, second: Any) -> tuple[Any, Any]:
    return (second, first) if isinstance(first, str) else (first, second)


def _same_plain(predicted: Any, gold: Any) -> bool:
    value, other = _text_second(predicted, gold)
    if value is None or other is None:
        return value is other
    if isinstance(other, str) and not isinstance(value, str):
        other = typed_text(other, type(value))
    return bool(comparable(value) == comparable(other))


def comparable(value: Any) -> Any:
    """Return a float as the decimal of its shortest notation: 12.1 equals Decimal("12.10"), and NaN itself."""
    if isinstance(value, float):
        return Decimal(repr(value)) if math.isfinite(value) else repr(value)
    return value


def _same_notation(predicted: Any, gold: Any, day_first: bool) -> bool:
    """Return whether two values differ in notation only: texts by words, dates by the day, numbers within rounding."""
    value, other = _text_second(predicted, gold)
    if isinstance(other, str):
        return collapsed(value) == collapsed(other) if isinstance(value, str) else _denotes(other, value, day_first)
    if isinstance(value, date) and isinstance(other, date):
        return _same_moment(value, other)
    return isinstance(value, Number) and isinstance(other, Number) and _close(value, other)


def _is_empty(value: Any) -> bool:
    return value is None or value == [] or (isinstance(value, str) and not value.strip())


def _denotes(text: str, value: Any, day_first: bool) -> bool:
    """Return whether `text` is one of the notations of the typed `value`."""
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
        one, other = float(first), float(second)
    except OverflowError:  # an integer that no float holds
        return False
    return math.isfinite(one) and math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)


def _same_moment(first: date, second: date) -> bool:
    """Return whether two dates agree, and their times of day where both have one."""
    if not (isinstance(first, datetime) and isinstance(second, datetime)):
        return first.timetuple()[:3] == second.timetuple()[:3]
    # A moment with a time zone beside one without: nothing but the wall clock can be compared.
    if (first.tzinfo is None) != (second.tzinfo is None):
        return first.replace(tzinfo=None) == second.replace(tzinfo=None)
    return first == second
