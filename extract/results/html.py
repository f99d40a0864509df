"""HTML for notebooks: everything is escaped, and tints suit light and dark themes alike."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

import polars as pl
from pydantic_core import to_json

__all__ = ["QUIET", "cell_text", "decimal_text", "link", "overview", "table"]

QUIET = "opacity: 0.7"
_LEFT = "text-align: left; vertical-align: top; white-space: pre-wrap; max-width: 40em; overflow-wrap: break-word"
_MAX_CELL = 200  # characters


def cell_text(value: Any, max_length: int = _MAX_CELL) -> str:
    """Return a value as a table shows it: null is a dash, lists and structs are JSON, long texts are cut."""
    if value is None:
        return "–"
    text = value if isinstance(value, str) else _plain(value, max_length)
    return text if len(text) <= max_length else f"{text[: max_length - 1]}…"


def decimal_text(value: Decimal) -> str:
    """Return a decimal without the trailing zeros of its column's scale, but with two of them where it had as many."""
    text = f"{value:f}"
    whole, point, digits = text.partition(".")
    return whole + point + (digits.rstrip("0").ljust(2, "0") if len(digits) > 2 else digits)


def _plain(value: Any, max_length: int) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return f"{len(value):,} bytes"
    if isinstance(value, Decimal):
        return decimal_text(value)
    if isinstance(value, list | dict):
        return to_json(value, fallback=str, bytes_mode="base64").decode(errors="replace")[: max_length + 1]
    return str(value)


def table(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return rows of plain values as a table with a header."""
    head = "".join(f'<th style="{_LEFT}">{escape(name)}</th>' for name in names)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    opening = '<table class="dataframe" style="table-layout: auto">'
    return f"{opening}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(value: Any) -> str:
    return f'<td style="{_LEFT}">{escape(cell_text(value))}</td>'


def link(path: Path) -> str:
    """Return a link to a file, relative to the folder in which the notebook runs."""
    try:
        seen = Path(os.path.relpath(path))
    except (ValueError, OSError):  # on another drive, or the folder is gone
        seen = path
    # With "./" in front, a name with a colon cannot be read as the scheme of an address.
    address = quote(seen.as_posix() if seen.is_absolute() else f"./{seen.as_posix()}")
    return f'<a href="{escape(address)}" target="_blank" rel="noopener">{escape(str(path))}</a>'


def overview(lines: Sequence[str], rejected: pl.DataFrame, first: pl.DataFrame, files: Mapping[str, Path]) -> str:
    """Return the HTML of a finished run: lines of text, why rows were rejected, its first rows, links to files."""
    head, *notes = lines
    blocks = [f"<div><b>{escape(head)}</b></div>", *(f"<div>{escape(note)}</div>" for note in notes)]
    if rejected.height:
        blocks.append(table(rejected.columns, rejected.iter_rows()))
    if first.width:
        blocks.append(table(first.columns, first.iter_rows()))
    blocks += [f"<div>{escape(name)}: {link(path)}</div>" for name, path in files.items()]
    return f"<div>{''.join(blocks)}</div>"
