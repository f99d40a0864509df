"""HTML for notebooks: everything escaped, and no colour of its own but tints that suit light and dark themes alike."""

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
_LONGEST = 200  # characters of a cell


def cell_text(value: Any, longest: int = _LONGEST) -> str:
    """Return how a value reads in a table: null is a dash, lists and structs are JSON; what is too long is cut."""
    if value is None:
        return "–"
    text = value if isinstance(value, str) else _plain(value, longest)
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def decimal_text(value: Decimal) -> str:
    """Return a decimal without the zeros that fill up its column's scale, but with both digits of a sum of money."""
    text = f"{value:f}"
    whole, point, digits = text.partition(".")
    return whole + point + (digits.rstrip("0").ljust(2, "0") if len(digits) > 2 else digits)


def _plain(value: Any, longest: int) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return f"{len(value):,} bytes"
    if isinstance(value, Decimal):
        return decimal_text(value)
    if isinstance(value, list | dict):
        return to_json(value, fallback=str, bytes_mode="base64").decode(errors="replace")[: longest + 1]
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
    """Return a link to a file, as seen from the folder in which the notebook runs."""
    try:
        seen = Path(os.path.relpath(path))
    except (ValueError, OSError):  # on another drive, or the folder is gone
        seen = path
    # With a dot in front no name can be read as the scheme of an address.
    address = quote(seen.as_posix() if seen.is_absolute() else f"./{seen.as_posix()}")
    return f'<a href="{escape(address)}" target="_blank" rel="noopener">{escape(str(path))}</a>'


def overview(told: Sequence[str], rejected: pl.DataFrame, first: pl.DataFrame, files: Mapping[str, Path]) -> str:
    """Return what a finished run shows of itself: lines of text, why rows were rejected, first rows, links to files."""
    head, *notes = told
    blocks = [f"<div><b>{escape(head)}</b></div>", *(f"<div>{escape(note)}</div>" for note in notes)]
    if rejected.height:
        blocks.append(table(rejected.columns, rejected.iter_rows()))
    if first.width:
        blocks.append(table(first.columns, first.iter_rows()))
    blocks += [f"<div>{escape(name)}: {link(path)}</div>" for name, path in files.items()]
    return f"<div>{''.join(blocks)}</div>"
