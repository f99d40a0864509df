"""Rows of a bill: a text with a quantity, a price and an amount in one line, with or without a header."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from extract.emulator.reader.meaning import Wanted
from extract.emulator.reader.record import CELLS, Record
from extract.emulator.reader.values import CENTS, dates
from extract.emulator.reader.words import terms

__all__ = ["Row", "read_rows", "slots"]

Row = dict[str, str | float]  # slot -> value
SLOTS = {"quantity": "quantity", "price": "price", "total": "amount", "amount": "amount", "due": "amount", "description": "text", "name": "text"}
CLOSING = frozenset("total subtotal tax net gross due cash change rounding discount shipping date time phone invoice balance".split())
COUNTED = re.compile(r"^\W{0,3}(\d{1,4})\s?[x×*]?\s+(?=[^\W\d_])|\s[x×]\s?(\d{1,4})(?!\d|[.,]\d)", re.IGNORECASE)


def slots(fields: Mapping[str, Wanted]) -> dict[str, str]:
    """Return slot -> field name for the fields that a row of a bill can fill."""
    found: dict[str, str] = {}
    for name, wanted in fields.items():
        slot = next((SLOTS[word] for word in ("quantity", "price", *wanted.words) if word in wanted.words and word in SLOTS), None)
        found.setdefault(slot or "", name)
    found.pop("", None)
    return found


def read_rows(record: Record) -> Iterator[Row]:
    """Yield the rows of the record's table, from its header, if there is one, to its totals."""
    header: list[str] = []
    for line in record.lines:
        said = [SLOTS[term] for term in terms(line[:200]) if term in SLOTS]
        if len(set(said)) >= 2 and not any(map(str.isdigit, line)):
            header = [slot for slot in dict.fromkeys(said) if slot != "text"]
        elif row := read_row(record, line, header):
            yield row


def read_row(record: Record, line: str, header: Sequence[str]) -> Row | None:
    """Return the row that `line` holds, or None where it is something else."""
    line = "  ".join(CELLS.split(line[:400]))
    counted = COUNTED.search(line)
    rest = line if counted is None else line[: counted.start()] + " " + line[counted.end() :] if counted.group(2) else line[counted.end() :]
    found = list(record.numbers(rest))
    text = rest[: found[0][0]] if found else ""
    trailing = [value for start, end, value in found if start >= len(text)]
    cents = any(CENTS.search(rest[start:end]) for start, end, _ in found)
    if not trailing or not re.search(r"[^\W\d_]{2}", text) or not (cents or header) or ": " in text or next(dates(line), None):
        return None
    if not CLOSING.isdisjoint(terms(text)[:3]) or re.search(r"[^\W\d_]{4}", rest[found[-1][1] :]):
        return None
    values = ([float(counted.group(1) or counted.group(2))] if counted else []) + trailing
    return {"text": text.strip(" -–•*.:@x×\t")} | complete(assign(values, header, counted=counted is not None))


def assign(values: Sequence[float], header: Sequence[str], *, counted: bool) -> Row:
    """Give each number its slot: by arithmetic, else by the header, else by custom."""
    for first, quantity in enumerate(values):
        for price, amount in zip(values[first + 1 :], values[first + 2 :], strict=False):
            if abs(quantity * price - amount) < 0.011:
                return {"quantity": quantity, "price": price, "amount": amount}
    if len(header) == len(values):
        return dict(zip(header, values, strict=True))
    if len(values) == 1:
        return {"amount": values[0]}
    if counted or values[0].is_integer():
        return {"quantity": values[0], "amount": values[-1]}
    return {"price": values[0], "amount": values[-1]}


def complete(row: Row) -> Row:
    """Fill the third of quantity, price and amount from the other two."""
    quantity, price, amount = (row.get(slot) for slot in ("quantity", "price", "amount"))
    if isinstance(quantity, float) and quantity > 0 and isinstance(amount, float) and price is None:
        return row | {"price": round(amount / quantity, 4)}
    if isinstance(quantity, float) and isinstance(price, float) and amount is None:
        return row | {"amount": round(quantity * price, 4)}
    return row
