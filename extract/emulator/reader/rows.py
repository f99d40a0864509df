"""Rows of a bill: a text with a quantity, a price and an amount in one line, with or without a header."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

from extract.emulator.reader.lexicon import CLOSING
from extract.emulator.reader.meaning import Wanted
from extract.emulator.reader.record import LETTERS, Record
from extract.emulator.reader.values import CENTS, DATE
from extract.emulator.reader.words import terms

__all__ = ["Row", "read_rows", "slots"]

Row = dict[str, str | float]  # slot -> value
SLOTS = {"quantity": "quantity", "price": "price", "total": "amount", "amount": "amount", "due": "amount"}
SLOTS |= {"description": "text", "name": "text"}
COUNT = re.compile(r"\W{0,3}(\d{1,4})\s?(?:[x×*]\s?|\s)(?=[^\W\d_])", re.IGNORECASE)
COUNT_AFTER = re.compile(r"\s[x×](\d{1,4})(?!\d|[.,]\d)", re.IGNORECASE)
OPENING = re.compile(rf"\s*(?:\d{{1,3}}[.)]\s+|(?:{DATE.pattern})\s)", re.IGNORECASE)
GAP = re.compile(r"\s{2,}|\s?\|\s?|\t")
SENTENCE_AFTER = re.compile(r"[^\W\d_]{4}")


def slots(fields: Mapping[str, Wanted]) -> dict[str, str]:
    """Return slot -> field name for the fields that a row of a bill can fill."""
    found: dict[str, str] = {}
    for name, wanted in fields.items():
        words = [word for word in ("quantity", "price", *wanted.words) if word in wanted.words and word in SLOTS]
        if words:
            found.setdefault(SLOTS[words[0]], name)
    return found


def read_rows(record: Record) -> Iterator[Row]:
    """Yield the rows of the record's table, from its header, if there is one, to its totals."""
    header: list[str] = []
    seen: list[float] = []
    held = ""  # a text without numbers, whose numbers may stand on the next line
    for line in record.lines:
        numberless = not any(map(str.isdigit, line))
        said = [SLOTS[term] for term in terms(line[:200]) if term in SLOTS]
        if numberless and len(set(said)) >= 2:
            header, held = [slot for slot in dict.fromkeys(said) if slot != "text"], ""
            continue
        row = read_row(record, line if LETTERS.search(line) else f"{held}  {line}", header)
        held = line if numberless and len(line) < 80 else ""
        closing = not CLOSING.isdisjoint(terms(line[:80])[:3])
        if row and not closing and not (len(seen) > 1 and row.get("amount") == round(sum(seen), 2)):
            seen.append(float(row.get("amount", 0.0)))
            yield row
        elif seen and (row or closing):
            return


def read_row(record: Record, line: str, header: Sequence[str]) -> Row | None:
    """Return the row that `line` holds, or None where it is something else."""
    opening = OPENING.match(line)
    lead, line = leading_count(line[opening.end() if opening else 0 : 400])
    found = list(record.numbers(line))
    start = LETTERS.search(line)
    if start is None or not found or DATE.search(line) or SENTENCE_AFTER.search(line, found[-1][1]):
        return None
    first = start.start()
    lead += [value for _, end, value in found if end <= first]
    text, values = divide(line[first:], [(at - first, value) for at, _, value in found if at > first], lead)
    if not values or ": " in text or not (header or any(CENTS.search(line[at:end]) for at, end, _ in found)):
        return None
    return {"text": text.strip(" -–•*.:@x×=\t")} | assign(lead + values, header, counted=bool(lead))


def leading_count(line: str) -> tuple[list[float], str]:
    """Return the quantity written as "2 x tea", "2 tea" or "tea x2", if there is one, and the line without it."""
    if match := COUNT.match(line):
        return [float(match.group(1))], line[match.end() :]
    if match := COUNT_AFTER.search(line):
        return [float(match.group(1))], f"{line[: match.start()]}  {line[match.end() :]}"
    return [], line


def divide(rest: str, found: Sequence[tuple[int, float]], lead: Sequence[float]) -> tuple[str, list[float]]:
    """Return a row's text and the numbers after it; one inside the text counts only where the sums ask for it."""
    values = [value for _, value in found]
    gap = GAP.search(rest)
    late = [value for at, value in found if gap and at >= gap.end()]
    if gap is None or not late or (product([*lead, *values]) and not product([*lead, *late])):
        return (rest[: found[0][0]] if found else rest), values
    return rest[: gap.start()], late


def product(values: Sequence[float]) -> tuple[float, float, float] | None:
    """Return the first three of `values`, in order, whose last is the product of the others."""
    for first, second, third in combinations(values[:8], 3):
        if third and abs(first * second - third) < 0.0051:
            return first, second, third
    return None


def assign(values: Sequence[float], header: Sequence[str], *, counted: bool) -> Row:
    """Give each number its slot: by arithmetic, else by the header, else by custom."""
    if trio := product(values):
        return dict(zip(("quantity", "price", "amount"), trio, strict=True))
    if len(header) == len(values):
        return dict(zip(header, values, strict=True))
    if len(values) == 1:
        return {"amount": values[0]}
    if counted or values[0].is_integer():
        return {"quantity": values[0], "amount": values[-1]}
    return {"price": values[0], "amount": values[-1]}
