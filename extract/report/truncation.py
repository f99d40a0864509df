"""Values as JSON, cut to a length that a page can hold, and without the secrets in URLs."""

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

_MAX_CELL = 1_000  # characters of one text in an answer
_MIN_CELL = 20  # no text is cut shorter than about that, however long the answer
_MAX_DEPTH = 8
# User and password end at "@". A password may hold characters that should be encoded, such as "/"; but a number before
# the path is a port, and an "@" in a path belongs to a name. `Path` leaves one slash of two, hence {1,2} below.
_USER = r"(?:[^\s/?#]*@|[^\s/?#:]+:(?!\d+[/?#])\S*@)?"
_ADDRESS = re.compile(rf"(?i)\b([a-z][a-z0-9+.-]+:/{{1,2}}){_USER}([^\s?#]*)([?#]\S*)?")


def without_secrets(text: str) -> str:
    """Return a text whose URLs have neither user and password nor a query or fragment, which may be a signature."""
    return _ADDRESS.sub(lambda url: f"{url[1]}{url[2]}{'?…' if url[3] else ''}", text)


def _public(text: str) -> str:
    """Return a cell that is one URL without its secrets, and any other unchanged: the offsets of spans count in it."""
    # The length bounds what the regular expression may cost on a long text without blanks.
    is_one = len(text) < 10_000 and _ADDRESS.match(text.strip()) and len(text.split()) == 1
    return without_secrets(text) if is_one else text


def shortened(text: str) -> str:
    """Return a text cut to the length of one in an answer."""
    return _cut(text, _MAX_CELL)


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[:length] + "…"


@dataclass(frozen=True, slots=True)
class Cutter:
    """Converts values to JSON and cuts them.

    `source_length` and `room` are the characters that a record's source cell and its whole answer may take; `cell` and
    `items` are those of one text and the items of one list.
    """

    source_length: int
    room: int
    cell: int = 1_000
    items: int = 60

    def source(self, value: Any, length: int | None = None) -> Any:
        """Return an input cell as text, a longer one as [its beginning, its length].

        `length` is that of the whole cell where `value` is only its beginning.
        """
        text = _public(value) if isinstance(value, str) else self.text(value)
        # Where a secret was removed, `length` no longer belongs to the text.
        length = length if text == value and length else len(text or "")
        return text if text is None or length <= self.source_length else [text[: self.source_length], length]

    def text(self, value: Any) -> str | None:
        plain = self.plain(value)
        is_nested = isinstance(plain, dict | list)
        text = json.dumps(plain, ensure_ascii=False, default=str) if is_nested else plain
        return text if text is None or isinstance(text, str) else str(text)

    def fitting(self, values: Sequence[Any]) -> list[Any]:
        """Return the values of one answer; each is cut the more the longer they are together."""
        shown = [self.plain(value) for value in values]
        if self.cell <= _MIN_CELL or len(json.dumps(shown, default=str)) <= self.room:
            return shown
        # Ends after three rounds: 1,000, 250, 62, 15 characters of a text.
        return replace(self, cell=self.cell // 4, items=max(1, self.items // 4)).fitting(values)

    def plain(self, value: Any, depth: int = 0) -> Any:
        """Return a value as JSON. Numbers stay numbers where a browser reads them exactly, else they become texts."""
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
        return "…" if depth >= _MAX_DEPTH else self._nested(value, depth + 1)

    def _nested(self, value: Any, depth: int) -> Any:
        if isinstance(value, Mapping):
            return {str(key): self.plain(item, depth) for key, item in value.items()}
        items = value.to_list() if isinstance(value, pl.Series) else value
        if not isinstance(items, list | tuple):
            return _cut(str(value), self.cell)
        shown = [self.plain(item, depth) for item in items[: self.items]]
        return shown if len(items) <= self.items else [*shown, f"… {len(items) - self.items:,} more"]
