"""Values as JSON has them, cut to a length that a page can hold, and without what is secret in addresses."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any

import polars as pl

from extract.results.html import decimal_text

__all__ = ["Cutter", "shortened", "without_secrets"]

_CELL = 1_000  # characters of one text in an answer
_LEAST = 20
_DEEPEST = 8
# A password may hold what should be encoded there, but a port is none, and `@` in a path is a name. `Path` makes one
# slash of the two.
_USER = r"(?:[^\s/?#]*@|[^\s/?#:]+:(?!\d+[/?#])\S*@)?"
_ADDRESS = re.compile(rf"(?i)\b([a-z][a-z0-9+.-]+:/{{1,2}}){_USER}([^\s?#]*)([?#]\S*)?")


def without_secrets(text: str) -> str:
    """Return a text whose addresses have neither a password nor what stands behind `?`, which may be a signature."""
    return _ADDRESS.sub(lambda found: f"{found[1]}{found[2]}{'?…' if found[3] else ''}", text)


def _public(text: str) -> str:
    """Return a cell that is one address without its secrets, and any other as it is: spans count in it."""
    is_one = len(text) < 10_000 and _ADDRESS.match(text.strip()) and len(text.split()) == 1
    return without_secrets(text) if is_one else text


def shortened(text: str) -> str:
    """Return a text as long as one in an answer may be."""
    return _cut(text, _CELL)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[:most] + "…"


@dataclass(frozen=True, slots=True)
class Cutter:
    """Brings values into a form that JSON has, and keeps them short.

    `most` and `room` are the characters that one record's source cell and its answer may take; `cell` and `items` what
    is shown of a text and of a list.
    """

    most: int
    room: int
    cell: int = 1_000
    items: int = 60

    def source(self, value: Any, length: int | None = None) -> Any:
        """Return an input cell as text; a longer one as [its beginning, how long it is].

        `length` is how long it was, where the value is only its beginning.
        """
        text = _public(value) if isinstance(value, str) else self.text(value)
        length = length if text == value and length else len(text or "")
        return text if text is None or length <= self.most else [text[: self.most], length]

    def text(self, value: Any) -> str | None:
        plain = self.plain(value)
        is_nested = isinstance(plain, dict | list)
        text = json.dumps(plain, ensure_ascii=False, default=str) if is_nested else plain
        return text if text is None or isinstance(text, str) else str(text)

    def fitting(self, values: Sequence[Any]) -> list[Any]:
        """Return the values of one answer, the longer they are the less of each."""
        shown = [self.plain(value) for value in values]
        if self.cell <= _LEAST or len(json.dumps(shown, default=str)) <= self.room:
            return shown
        return replace(self, cell=self.cell // 4, items=max(1, self.items // 4)).fitting(values)

    def plain(self, value: Any, depth: int = 0) -> Any:
        """Return a value as JSON has it: numbers stay numbers where a browser reads them exactly."""
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return _cut(value, self.cell)
        if isinstance(value, int):
            return value if abs(value) < 2**53 else str(value)
        if isinstance(value, float):
            return value if math.isfinite(value) else str(value)
        if isinstance(value, Decimal):
            return decimal_text(value)
        if isinstance(value, bytes):
            return f"({len(value):,} bytes)"
        if isinstance(value, date | time | timedelta):
            return str(value)
        return "…" if depth >= _DEEPEST else self._nested(value, depth + 1)

    def _nested(self, value: Any, depth: int) -> Any:
        if isinstance(value, Mapping):
            return {str(key): self.plain(item, depth) for key, item in value.items()}
        items = value.to_list() if isinstance(value, pl.Series) else value
        if not isinstance(items, list | tuple):
            return _cut(str(value), self.cell)
        shown = [self.plain(item, depth) for item in items[: self.items]]
        return shown if len(items) <= self.items else [*shown, f"… {len(items) - self.items:,} more"]
