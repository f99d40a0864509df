"""Types that every floor shares."""

from __future__ import annotations

from json import JSONEncoder
from typing import Any, Final, TypeAlias

__all__ = ["JsonObject", "json_text"]

JsonObject: TypeAlias = dict[str, Any]
_as_json: Final = JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def json_text(value: Any) -> str:
    """Return compact JSON. Raises ValueError for NaN and infinities, which are not JSON."""
    return _as_json(value)
