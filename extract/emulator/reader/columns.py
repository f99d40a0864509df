"""Rows of a table by its columns: cells under headings, and quantities printed on the line below."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TypeAlias

from extract.emulator.reader.record import LETTERS, Record, cells_of
from extract.emulator.reader.words import terms

__all__ = ["PREFERRED", "SLOTS", "SUMS_FIT", "Row", "heads_of", "lines_with_counts", "row_by_columns"]

Row: TypeAlias = dict[str, str | float]  # slot -> value
SLOTS = {"quantity": "quantity", "price": "price", "subtotal": "amount", "total": "amount", "amount": "amount"}
SLOTS |= {"due": "amount", "description": "text", "name": "text"}
PREFERRED = ("quantity", "subtotal", "total", "amount", "price")  # which word decides in "unit_price_total"
NO_SLOT = frozenset(("number", "tax", "discount"))
COUNTED = re.compile(
    r"\W{0,3}(\d{1,4}(?:[.,]\d{1,3})?)\s?[x×*]\s?[^\w\n]{0,3}(\d[\d.,]{0,12})(?:\s?\W)?", re.IGNORECASE
)
SUMS_FIT = 0.0051


def heads_of(line: str) -> list[str]:
    """Return the slot of each column in a table's heading, "" for a column without one."""
    return [slot_of(terms(cell[:80])) for cell in cells_of(line)]


def slot_of(words: Sequence[str]) -> str:
    slots = [word for word in (*PREFERRED, *words) if word in words and word in SLOTS]
    return SLOTS[slots[0]] if slots and (slots[0] == "quantity" or NO_SLOT.isdisjoint(words)) else ""


def row_by_columns(record: Record, line: str, heads: Sequence[str]) -> Row | None:
    """Return the row with its cells under `heads`, or None where a cell is missing or holds no number."""
    cells = cells_of(line)
    if len(cells) != len(heads) or not {"text", "quantity", "price", "amount"} <= set(heads):
        return None
    row: Row = {}
    for slot, cell in zip(heads, cells, strict=True):
        value = text_of(cell) if slot == "text" else next((value for *_, value in record.numbers(cell)), None)
        if slot and value in (None, ""):
            return None
        if slot and value is not None:
            row.setdefault(slot, value)
    return row


def text_of(cell: str) -> str:
    start = LETTERS.search(cell)
    return cell[start.start() :] if start else ""


def lines_with_counts(record: Record) -> Iterator[str]:
    """Yield the record's lines; "5 x 4.20" below a line with 21.00 is moved into that line, before the amount."""
    joined = False
    for line, below in pairwise([*record.lines, ""]):
        counted = None if joined else with_count(record, line, below)
        if not joined:
            yield counted or line
        joined = counted is not None


def with_count(record: Record, line: str, below: str) -> str | None:
    """Return `line` with the quantity and the price below it, or None where their product is not its amount."""
    amounts = list(record.numbers(line[:400]))
    match = COUNTED.fullmatch(below) if amounts and LETTERS.search(line) else None
    if match is None:
        return None
    quantity, price = (next((value for *_, value in record.numbers(part)), 0.0) for part in match.groups())
    start, _, amount = amounts[-1]
    if not amount or abs(quantity * price - amount) > SUMS_FIT:
        return None
    return f"{line[:start].rstrip()}   {match[1]}   {match[2]}   {line[start:]}"
