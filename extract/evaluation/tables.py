"""Tables for people: aligned text, and plain HTML with everything escaped."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from extract.evaluation.intervals import Interval

__all__ = ["Figure", "aligned", "as_text", "figure", "html_table", "share"]


@dataclass(frozen=True, slots=True)
class Figure:
    """One score of a field. `heading` is its column's in tables, "" where these do not show it; `format` writes it."""

    name: str
    heading: str
    value: float | None
    interval: Interval | None
    format: Callable[[float | None, Interval | None], str]

    def __str__(self) -> str:
        return self.format(self.value, self.interval)


def aligned(header: Sequence[str], body: Sequence[Sequence[str]], *, words: int) -> list[str]:
    """Return the lines of a table, its first `words` columns aligned left and the figures aligned right.

    Control characters, which could steer a terminal, are shown as escapes.
    """
    header, body = _printable(header), [_printable(cells) for cells in body]
    widths = [max(map(len, column)) for column in zip(header, *body, strict=True)]
    return [_line(cells, widths, words) for cells in (header, *body)]


def _printable(cells: Sequence[str]) -> list[str]:
    return [cell if cell.isprintable() else ascii(cell)[1:-1] for cell in cells]


def _line(cells: Sequence[str], widths: Sequence[int], words: int) -> str:
    sides = [
        cell.ljust(width) if place < words else cell.rjust(width)
        for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "  ".join(sides).rstrip()


def html_table(caption: str, header: Sequence[str], body: Iterable[Sequence[str]]) -> str:
    """Return a table without style or script."""
    head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    rows = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>" for cells in body)
    return f"<table><caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def as_text(value: Any) -> str | None:
    """Return a value as text, lists and structs as JSON; null stays None."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, list | dict) else str(value)


def share(value: float | None, interval: Interval | None = None) -> str:
    """Return a share in percent, its interval in brackets."""
    if value is None:
        return "-"
    return f"{value:.1%}" + ("" if interval is None else f" ({100 * interval.low:.1f}-{100 * interval.high:.1f})")


def figure(value: float | None, interval: Interval | None = None) -> str:
    """Return a figure with three decimals, its interval in brackets."""
    if value is None:
        return "-"
    return f"{value:.3f}" + ("" if interval is None else f" ({interval.low:.3f}-{interval.high:.3f})")
