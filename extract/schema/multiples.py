"""`multipleOf` as it is written: 4.02 is 402 hundredths, though the double nearest to it is no multiple of another."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError
    from jsonschema.protocols import Validator

__all__ = ["in_decimal", "is_multiple"]


def is_multiple(number: float, divisor: float) -> bool:
    """Return whether a number is a whole multiple of another, each taken as the decimal that it is written as."""
    # As fractions of integers, since a remainder of decimals has a limit of digits: 1e308 is a multiple of 0.5.
    one, two = (Decimal(repr(value)).as_integer_ratio() for value in (number, divisor))
    return (one[0] * two[1]) % (one[1] * two[0]) == 0


@cache
def in_decimal(validator: type[Validator]) -> type[Validator]:
    """Return a validator class like `validator` that reads `multipleOf` with `is_multiple`."""
    extend = import_module("jsonschema.validators").extend
    return cast("type[Validator]", extend(validator, {"multipleOf": _multiple_of}))


def _multiple_of(validator: Any, divisor: Any, instance: Any, _: Any) -> Iterator[ValidationError]:
    if validator.is_type(instance, "number") and not is_multiple(instance, divisor):
        error = import_module("jsonschema.exceptions").ValidationError
        yield error(f"{instance!r} is not a multiple of {divisor}")
