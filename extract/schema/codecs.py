"""Codecs: convert one kind of value to a Polars cell, to JSON, and from the cell back to JSON.

A codec is built once per schema node; its functions are plain closures, called once per value. Invariants: None passes
every codec and is null in every column; a value that does not fit raises `ConversionError`, nothing is rounded or cut;
and `restore(cell(value))` is JSON that validates to an equal value.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

import polars as pl
from pydantic import RootModel, SecretBytes, SecretStr
from pydantic_core import to_jsonable_python

from extract.json_types import json_text
from extract.schema.unnamed import Unnamed

__all__ = [
    "BOOLEAN",
    "DATE",
    "DURATION",
    "FLOAT",
    "INTEGER",
    "LOCAL_DATETIME",
    "LOCAL_TIME",
    "TEXT",
    "UTC_DATETIME",
    "Codec",
    "ConversionError",
    "Convert",
    "alternatives",
    "conversion_error",
    "decimal",
    "embedded_json",
    "finite_json",
    "json_column",
    "labels",
    "plain_json",
    "text_column",
    "unwrapped",
]

Convert: TypeAlias = Callable[[Any], Any]

_INT64 = 2**63


class ConversionError(Exception):  # never leaves this package: `OutputSchema` turns it into an InvalidAnswer
    """A value does not fit its column. `path` is relative to the value that was converted."""

    def __init__(self, message: str, path: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.path = path

    def under(self, step: str) -> ConversionError:
        """Return the same error with its path one level further out."""
        return ConversionError(self.message, step + self.path)


@dataclass(frozen=True, slots=True)
class Codec:
    """The dtype of a schema node and its three conversions.

    `cell`: validated value -> value for Polars; `plain`: validated value -> JSON value with wire keys; `restore`: cell,
    as Polars returns it -> JSON value. `is_json` is True for a text column whose texts are JSON. `unnamed` are the
    members of a JSON value that the cell leaves out, None where there can be none.
    """

    dtype: pl.DataType
    cell: Convert
    plain: Convert
    restore: Convert
    is_json: bool = False
    unnamed: Unnamed | None = None


def unwrapped(value: Any) -> Any:
    """Return the content of a chain of `RootModel`s, an `Enum` member or a secret; any other value unchanged."""
    while isinstance(value, RootModel):
        value = value.root
    if isinstance(value, Enum):
        return value.value
    return value.get_secret_value() if isinstance(value, SecretStr | SecretBytes) else value


def plain_json(value: Any) -> Any:
    """Return any Python value as JSON, aliases included. Raises Unfit where it has no JSON form."""
    value = unwrapped(value)
    try:
        return to_jsonable_python(value, by_alias=True, fallback=_as_text)
    except (ValueError, TypeError) as error:
        raise ConversionError(f"no JSON form: {error}") from None


def _as_text(value: Any) -> str:
    """Return the text of a path of another system, or of a time zone, which Pydantic reads but does not write."""
    if isinstance(value, PurePath | ZoneInfo):
        return str(value)
    raise TypeError(f"Unable to serialize unknown type: {type(value)}")


def _same(value: Any) -> Any:
    return value


def conversion_error(value: Any, expected: str) -> ConversionError:
    """Return the error of a value that is not what was expected, which it quotes if it is short."""
    text = str(value) if isinstance(value, date | time | timedelta | Decimal) else repr(value)
    return ConversionError(f"{expected} expected, got {text if len(text) <= 60 else type(value).__name__}")


def _text(value: Any) -> str | None:
    if type(value) is str or value is None:
        return value
    plain = plain_json(value)  # a UUID, URL, path or the like, which JSON holds as a string
    if type(plain) is str:
        return plain
    raise conversion_error(value, "text")


# Each of these checks the exact type first: most values have it, and `unwrapped` costs several times as much.
def _integer(value: Any) -> int | None:
    if type(value) is int:
        if -_INT64 <= value < _INT64:
            return value
        raise ConversionError("an integer within 64 bits expected")
    if value is None:
        return None
    inner = unwrapped(value)
    # JSON Schema counts 5.0 as an integer; True is an int to Python, but not in JSON.
    if type(inner) is float and inner.is_integer():
        return _integer(int(inner))
    if inner is not value or (isinstance(inner, int) and not isinstance(inner, bool)):
        return _integer(int(inner) if isinstance(inner, int) else inner)
    raise conversion_error(value, "an integer")


def _float(value: Any) -> float | None:
    if type(value) is float:
        if math.isfinite(value):
            return value
        raise ConversionError("a finite number expected")
    if value is None:
        return None
    inner = unwrapped(value)
    if type(inner) is int:
        return _exact_float(inner)
    if isinstance(inner, float):
        return _float(float(inner))
    raise conversion_error(value, "a number")


def _exact_float(value: int) -> float:
    # Python compares an int with a float exactly, so equality means that no digit is lost.
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if number == value:
        return number
    raise ConversionError("a number that 64-bit floats hold exactly expected")


def _boolean(value: Any) -> bool | None:
    if value is True or value is False or value is None:
        return value
    inner = unwrapped(value)
    if type(inner) is bool:
        return inner
    raise conversion_error(value, "true or false")


def _date(value: Any) -> date | None:
    if type(value) is date or value is None:
        return value
    inner = unwrapped(value)
    try:
        if type(inner) is str:
            return date.fromisoformat(inner)
    except ValueError:
        pass
    if type(inner) is date:
        return inner
    raise conversion_error(value, "a date")


def _utc_datetime(value: Any) -> datetime | None:
    if value is None:
        return None
    inner = unwrapped(value)
    try:
        if type(inner) is str:
            inner = _parsed_datetime(inner)
        if isinstance(inner, datetime) and inner.tzinfo is not None:
            return inner.astimezone(UTC)
    except (ValueError, OverflowError):  # overflow: in UTC it may lie before year 1 or after 9999
        pass
    raise conversion_error(value, "a date and time with a zone")


def _parsed_datetime(text: str) -> datetime:
    """Return an RFC 3339 date-time; ValueError where it is finer than a microsecond, as nothing is rounded."""
    head, dot, tail = text.upper().partition(".")
    digits = len(tail) - len(tail.lstrip("0123456789"))
    if dot and tail[6:digits].strip("0"):
        raise ValueError("finer than a microsecond")
    return datetime.fromisoformat(f"{head}.{tail[:digits][:6]}{tail[digits:]}" if dot else head)


def _local_datetime(value: Any) -> datetime | None:
    if value is None:
        return None
    inner = unwrapped(value)
    if isinstance(inner, datetime) and inner.tzinfo is None:
        return inner
    raise conversion_error(value, "a local date and time without a zone")


def _local_time(value: Any) -> time | None:
    if value is None:
        return None
    inner = unwrapped(value)
    if isinstance(inner, time) and inner.tzinfo is None:
        return inner
    raise conversion_error(value, "a local time of day without a zone")


def _duration(value: Any) -> timedelta | None:
    if value is None:
        return None
    inner = unwrapped(value)
    if isinstance(inner, timedelta):
        if -_INT64 <= inner // timedelta(microseconds=1) < _INT64:
            return inner
        raise ConversionError("a duration of at most 292,000 years expected")
    raise conversion_error(value, "a duration")


def _isoformat(value: Any) -> str | None:
    inner = unwrapped(value)
    return inner if inner is None or isinstance(inner, str) else str(inner.isoformat()).replace("+00:00", "Z")


def _plain_as(cell: Convert) -> Convert:
    """Return a `plain` that accepts the same values as `cell` and writes them as JSON does."""

    def plain(value: Any) -> Any:
        cell(value)  # only to raise for a value that does not fit
        return plain_json(value)

    return plain


TEXT = Codec(pl.String(), _text, _text, _same)
INTEGER = Codec(pl.Int64(), _integer, _plain_as(_integer), _same)
FLOAT = Codec(pl.Float64(), _float, _float, _same)
BOOLEAN = Codec(pl.Boolean(), _boolean, _boolean, _same)
DATE = Codec(pl.Date(), _date, _plain_as(_date), _isoformat)
UTC_DATETIME = Codec(pl.Datetime("us", "UTC"), _utc_datetime, _plain_as(_utc_datetime), _isoformat)
LOCAL_DATETIME = Codec(pl.Datetime("us"), _local_datetime, _plain_as(_local_datetime), _isoformat)
LOCAL_TIME = Codec(pl.Time(), _local_time, _plain_as(_local_time), _isoformat)
DURATION = Codec(pl.Duration("us"), _duration, _plain_as(_duration), plain_json)


def labels(categories: Sequence[str]) -> Codec:
    """Return the codec of a fixed set of texts: a Polars Enum in the given order."""
    known = frozenset(categories)

    def cell(value: Any) -> str | None:
        label = _text(value)
        if label is None or label in known:
            return label
        raise conversion_error(label, "one of the schema's labels")

    return Codec(pl.Enum(categories), cell, cell, _same)


def decimal(scale: int) -> Codec:
    """Return the codec of decimals with at most `scale` places and 38 digits in all."""
    limit = Decimal(10) ** (38 - scale)  # Polars stores 38 digits in all, of which `scale` are after the point

    def cell(value: Any) -> Decimal | None:
        if value is None:
            return None
        inner = unwrapped(value)
        if not isinstance(inner, Decimal):
            raise conversion_error(value, "a decimal number")
        if not inner.is_finite() or abs(inner) >= limit:
            raise ConversionError(f"a decimal number of at most {38 - scale} digits before the point expected")
        if _places(inner) > scale:
            raise ConversionError(f"a decimal number of at most {scale} places expected")
        return inner

    def plain(value: Any) -> str | None:
        inner = unwrapped(value)
        if inner is None:
            return None
        if isinstance(inner, Decimal) and inner.is_finite():
            return _digits(inner)  # as text, since a JSON number would pass through a float
        raise conversion_error(value, "a decimal number")

    return Codec(pl.Decimal(38, scale), cell, plain, plain)


def _places(value: Decimal) -> int:
    """Return the number of digits after the point that `value` needs, trailing zeros aside."""
    exponent = value.as_tuple().exponent
    if not value or not isinstance(exponent, int) or exponent >= 0:
        return 0
    digits = value.as_tuple().digits
    zeros = next(count for count, digit in enumerate(reversed(digits)) if digit)
    return max(0, -exponent - zeros)


def _digits(value: Decimal) -> str:
    """Return a decimal without exponent and without trailing zeros after the point."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def json_column(plain: Convert) -> Codec:
    """Return the codec of values without a fixed shape: a text column that holds JSON."""

    def cell(value: Any) -> str | None:
        return None if value is None else finite_json(plain(value))

    return Codec(pl.String(), cell, plain, _parsed, is_json=True)


def embedded_json(plain: Convert) -> Codec:
    """Return the codec of pydantic's `Json[X]`: a string of JSON that the validation parses."""

    def text(value: Any) -> str | None:
        return None if value is None else finite_json(plain(value))

    return Codec(pl.String(), text, text, _same)


def finite_json(value: Any) -> str:
    try:
        return json_text(value)
    except ValueError:
        raise ConversionError("a finite number expected") from None


def _parsed(cell: str | None) -> Any:
    return None if cell is None else json.loads(cell)


def alternatives(options: Sequence[Codec]) -> Convert:
    """Return the `plain` of a value for several codecs: the first one that accepts the value writes it."""

    def plain(value: Any) -> Any:
        for option in options:
            try:
                return option.plain(value)
            except ConversionError:
                continue
        return plain_json(value)

    return plain


def text_column(plain: Convert) -> Codec:
    """Return the codec of values of several types that are all strings in JSON."""
    return Codec(pl.String(), plain, plain, _same)
