"""Types that every floor shares."""

from __future__ import annotations

import json
from typing import Any, TypeAlias

__all__ = ["JsonObject", "json_text"]

JsonObject: TypeAlias = dict[str, Any]


def json_text(value: Any) -> str:
    """Return compact JSON. Raises ValueError for NaN and infinities, which are not JSON."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
