"""Parses values in the canonical text notation of a type, as CSV and other text files hold them."""

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
    """Return the value of a Python type in its text notation, None for any other text.

    Numbers are returned as Decimal; dates and durations are in ISO 8601, bytes in base64.
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
    """Return the boolean for "true" or "false" in any case; None for any other text."""
    return {"true": True, "false": False}.get(text.strip().lower())


def plain_number(text: str) -> Decimal | None:
    """Return the finite number that a text is in Python's notation; None for any other text."""
    try:
        number = Decimal(text.strip())
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def json_value(text: str) -> Any:
    """Return the value of a JSON text; a text that is not JSON, or nested too deeply, unchanged."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
