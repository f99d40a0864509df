"""Rows of a bill: a text with a quantity, a price and an amount in one line, with or without a header."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from extract.emulator.reader.columns import PREFERRED, SLOTS, SUMS_FIT, Row, heads_of, lines_with_counts, row_by_columns
from extract.emulator.reader.field_spec import FieldSpec
from extract.emulator.reader.lexicon import CLOSING
from extract.emulator.reader.record import LETTERS, Record
from extract.emulator.reader.values import CENTS, DATE
from extract.emulator.reader.words import terms

__all__ = ["Row", "read_rows", "slots"]

COUNT = re.compile(r"\W{0,3}(\d{1,4})\s?(?:[x×*]\s?|\s)(?=[^\W\d_])", re.IGNORECASE)
COUNT_AFTER = re.compile(r"\s[x×](\d{1,4})(?!\d|[.,]\d)", re.IGNORECASE)
OPENING = re.compile(rf"\s*(?:\d{{1,3}}[.)]\s+|\[[\w./-]{{1,20}}\]\s+|(?:{DATE.pattern})\s)", re.IGNORECASE)
GAP = re.compile(r"\s{2,}|\s?\|\s?|\t")
SENTENCE_AFTER = re.compile(r"[^\W\d_]{4}")


def slots(fields: Mapping[str, FieldSpec]) -> dict[str, str]:
    """Return the field's name for each slot that a row of a bill can fill."""
    slot_names: dict[str, str] = {}
    for name, spec in fields.items():
        words = [word for word in (*PREFERRED, *spec.words) if word in spec.words and word in SLOTS]
        if words:
            slot_names.setdefault(SLOTS[words[0]], name)
    return slot_names


def read_rows(record: Record) -> Iterator[Row]:
    """Yield the rows of the record's table, from its header, if there is one, to its totals.

    A table with a header may continue after the totals of a section.
    """
    bill = Bill(record)
    for line in lines_with_counts(record):
        if row := bill.read(line):
            yield row
        if bill.ended:
            return


@dataclass(slots=True)
class Bill:
    """The state of reading a table line by line."""

    record: Record
    heads: list[str] = field(default_factory=list)  # the slot of each column
    header: list[str] = field(default_factory=list)  # the slots of its numbers
    seen: list[float] = field(default_factory=list)
    held: str = ""  # a text without numbers, whose numbers may be on the next line
    closed: bool = False
    ended: bool = False

    def read(self, line: str) -> Row | None:
        """Return the row of the next line, or None where it holds none."""
        numberless = not any(map(str.isdigit, line))
        slots = [SLOTS[term] for term in terms(line[:200]) if term in SLOTS]
        # A line without digits that names two slots or more is the heading of a table.
        if numberless and len(set(slots)) >= 2:
            self.heads, self.header, self.held = heads_of(line), [*dict.fromkeys(slots)], ""
            self.header = [slot for slot in self.header if slot != "text"]
            return None
        # Numbers alone belong to the text on the line before.
        row = read_row(self.record, line if LETTERS.search(line) else f"{self.held}  {line}", self.header)
        sure = row is not None and is_product(row)
        if not sure and (by_columns := row_by_columns(self.record, line, self.heads)):
            row, sure = by_columns, True
        self.held = line if numberless and len(line) < 80 else ""
        if row and self._takes(row, line, sure=sure):
            return row
        self._pass_over(row, line)
        return None

    def _takes(self, row: Row, line: str, *, sure: bool) -> bool:
        """True where a row is no total; after the totals of a section, where its product or its columns prove it."""
        amount = row.get("amount")
        # The sum of all rows so far is a total, whatever it is called.
        is_sum = not self.closed and len(self.seen) > 1 and amount == round(sum(self.seen), 2)
        if is_closing(line) or is_sum or (self.closed and not sure):
            return False
        self.seen.append(number_in(row, "amount"))
        return True

    def _pass_over(self, row: Row | None, line: str) -> None:
        if self.seen and (row or is_closing(line)):
            self.closed, self.ended = True, len(self.header) < 2


def is_closing(line: str) -> bool:
    return not CLOSING.isdisjoint(terms(line[:80])[:3])


def read_row(record: Record, line: str, header: Sequence[str]) -> Row | None:
    """Return the row in `line`, or None where it is something else."""
    opening = OPENING.match(line)
    lead, line = leading_count(line[opening.end() if opening else 0 : 400])
    numbers = list(record.numbers(line))
    start = LETTERS.search(line)
    if start is None or not numbers or DATE.search(line) or SENTENCE_AFTER.search(line, numbers[-1][1]):
        return None
    first = start.start()
    lead += [value for at, end, value in numbers if end <= first and not line[at].isalpha()]  # "E1031" is a code
    text, values = divide(line[first:], [(at - first, value) for at, _, value in numbers if at > first], lead)
    is_row = len(header) == 1 or (header and len([*lead, *values]) > 1)  # one count alone is no row of a wider table
    if not values or ": " in text or not (is_row or any(CENTS.search(line[at:end]) for at, end, _ in numbers)):
        return None
    return {"text": text.strip(" -–•*.:@x×=\t")} | assign(lead + values, header, counted=bool(lead))


def leading_count(line: str) -> tuple[list[float], str]:
    """Return the quantity written as "2 x tea", "2 tea" or "tea x2", if there is one, and the line without it."""
    if match := COUNT.match(line):
        return [float(match.group(1))], line[match.end() :]
    if match := COUNT_AFTER.search(line):
        return [float(match.group(1))], f"{line[: match.start()]}  {line[match.end() :]}"
    return [], line


def divide(rest: str, numbers: Sequence[tuple[int, float]], lead: Sequence[float]) -> tuple[str, list[float]]:
    """Return a row's text and the numbers after it; a number in the text counts only where the product needs it."""
    values = [value for _, value in numbers]
    gap = GAP.search(rest)
    # In "Windows 11   2   99.00" the numbers before the wide gap belong to the text.
    late = [value for at, value in numbers if gap and at >= gap.end()]
    if gap is None or not late or (product([*lead, *values]) and not product([*lead, *late])):
        return (rest[: numbers[0][0]] if numbers else rest), values
    return rest[: gap.start()], late


def is_product(row: Row) -> bool:
    """True where quantity times price is the amount, and the quantity is not 0."""
    quantity, price, amount = (number_in(row, slot) for slot in ("quantity", "price", "amount"))
    return bool(quantity) and "price" in row and "amount" in row and abs(quantity * price - amount) < SUMS_FIT


def number_in(row: Row, slot: str) -> float:
    value = row.get(slot)
    return value if isinstance(value, float) else 0.0


def product(values: Sequence[float]) -> tuple[float, float, float] | None:
    """Return the first three of `values`, in order, whose last is the product of the others."""
    for first, second, third in combinations(values[:8], 3):
        if third and abs(first * second - third) < SUMS_FIT:
            return first, second, third
    return None


def assign(values: Sequence[float], header: Sequence[str], *, counted: bool) -> Row:
    """Return each number in its slot: by arithmetic, else by the header, else in the usual order."""
    by_header: Row = dict(zip(header, values, strict=True)) if len(header) == len(values) else {}
    if is_product(by_header):
        return by_header
    # Arithmetic before habit: the order of columns differs, and a product hardly ever fits by chance.
    if trio := product(values):
        return dict(zip(("quantity", "price", "amount"), trio, strict=True))
    if by_header:
        return by_header
    if len(values) == 1:
        return {"amount": values[0]}
    if counted or values[0].is_integer():
        return {"quantity": values[0], "amount": values[-1]}
    return {"price": values[0], "amount": values[-1]}
