"""What a text says in the plain notation of a type: the one in which files of text hold its values."""

from __future__ import annotations

import json
from base64 import b64decode
from datetime import date, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from pydantic import TypeAdapter

__all__ = ["json_value", "plain_boolean", "plain_number", "typed_text"]

_DURATION: Final = TypeAdapter(timedelta)


def typed_text(text: str, kind: type) -> Any:
    """Return the value of a Python type that `text` writes plainly, None where it writes none.

    Numbers come as Decimal; dates and durations are ISO 8601, bytes base64.
    """
    if issubclass(kind, bool):
        return plain_boolean(text)
    if issubclass(kind, int | float | Decimal):
        return plain_number(text)
    try:
        if issubclass(kind, date | time):
            return kind.fromisoformat(text.strip())
        if issubclass(kind, timedelta):
            return _DURATION.validate_strings(text.strip())
        return b64decode(text, validate=True) if issubclass(kind, bytes) else None
    except ValueError:
        return None


def plain_boolean(text: str) -> bool | None:
    """Return what "true" or "false" says, in any case; None for all else."""
    return {"true": True, "false": False}.get(text.strip().lower())


def plain_number(text: str) -> Decimal | None:
    """Return the finite number that the text is in Python's notation; None for all else."""
    try:
        number = Decimal(text.strip())
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def json_value(text: str) -> Any:
    """Return what a JSON text holds; a text that is none, or too deep to be read, as it is."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
