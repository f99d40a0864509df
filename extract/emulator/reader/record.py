"""The record without its prompt: its lines, sentences, and labels with their values."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby, pairwise, takewhile

from extract.emulator.reader.lexicon import ORDERS, SYNONYMS
from extract.emulator.reader.values import CENTS, CODE, CURRENCY, DATE, NUMBER, currency, numbers
from extract.emulator.reader.words import fold, folded_tokens, is_negation, stem, terms, tokens

__all__ = ["Entry", "Record", "beside_files", "is_prompt", "shared_frame", "without_instruction"]

FENCE = re.compile(r"^[ \t]{0,9}(?:```\w{0,20}|\"{3}|'{3}|</?[\w-]{1,30}>|-{3,}|={3,})[ \t]{0,9}$", re.MULTILINE)
LABELLED = re.compile(r"\W{0,4}([^\W\d][^:=\n]{0,47}?)\s{0,3}(?:[:：=]|\.{3,})(?!//)\s{0,40}(.*)", re.DOTALL)
NEXT_LABEL = re.compile(r"\s{1,9}[^\W\d_a-z][\w.]{1,19}\s?:\s")
CELLS = re.compile(r"\t+|\s?\|\s?| {3,}")
LETTERS = re.compile(r"[^\W\d_]{2}")
BARE_SIGN = re.compile(rf"\W{{0,3}}(?:{CURRENCY.pattern})?\W{{0,3}}")
CLAUSE = re.compile(r"[.!?;,:\n]+")
SENTENCE = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])|\n+")
EARLY = 4000  # characters of a long record that are read as running text
BUSINESS = frozenset(SYNONYMS)
CODED = 3  # digits in a cell of one word that is a value, such as "VF10051"
NEAR = 3  # words between a negation and what it negates


@dataclass(frozen=True, slots=True)
class Entry:
    """A value and its label: the label's terms, the text of the value, its line; `stated` if a colon joins them."""

    label: tuple[str, ...]
    value: str
    line: int
    stated: bool = False

    @property
    def kind(self) -> str:
        """What the cell holds: "both", "label" or "value"."""
        return "both" if self.label and self.value else "label" if self.label else "value"


def shared_frame(texts: Sequence[str]) -> tuple[str, str]:
    """Return the beginning and the end that all `texts` share, shortened to whole lines or to a colon."""
    opening = common_opening(texts)
    opening = opening[: max(opening.rfind("\n") + 1, opening.rfind(": ") + 2 if ": " in opening else 0)]
    ending = common_opening([text[len(opening) :][::-1] for text in texts])[::-1]
    return opening, ending[ending.find("\n") :] if "\n" in ending else ""


def common_opening(texts: Sequence[str]) -> str:
    first, last = min(texts), max(texts)
    return first[: sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False)))]


def without_instruction(text: str) -> str:
    """Return `text` without an instruction before the record, and without fences and quotes around it."""
    if not ORDERS.isdisjoint(tokens(text[:200])[:4]):
        for mark, reach in (("\n\n", 2000), (":", 300), ("\n", 300)):
            head, separator, rest = text.partition(mark)
            if separator and rest.strip() and len(head) <= reach and head.count(" ") >= 2:
                text = rest
                break
    text = FENCE.sub("", text).strip()
    return text[1:-1] if len(text) > 2 and text[0] in "'\"“«" and text[-1] in "'\"”»" else text


def is_prompt(text: str) -> bool:
    """True for a text that is only an instruction: one paragraph, without a label."""
    return "\n" not in text.strip() and LABELLED.match(text) is None


def beside_files(prompt: str) -> str:
    """Return what a prompt beside the text of a file tells of the record: all but an instruction, up to a blank line.

    The words of an instruction ("Vendor: the name of the seller") are no values.
    """
    is_order = not ORDERS.isdisjoint(tokens(prompt[:200])[:4])
    return prompt.partition("\n\n")[2] if is_order else prompt


class Record:
    """One record's text; everything read from it is computed once."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.early: str = text[:EARLY]
        self.lines: list[str] = [line.strip() for line in text.splitlines() if line.strip()]

    @cached_property
    def columns(self) -> list[list[str]]:
        """The cells of each line."""
        return [cells_of(line) for line in self.lines]

    @cached_property
    def decimal_comma(self) -> bool:
        """True where amounts are written 12,50 more often than 12.50."""
        return len(re.findall(r"\d,\d\d(?!\d)", self.text)) > len(re.findall(r"\d\.\d\d(?!\d)", self.text))

    def numbers(self, text: str) -> Iterator[tuple[int, int, float]]:
        """Yield start, end and value of the numbers in a part of this record."""
        return numbers(text, decimal_comma=self.decimal_comma)

    @cached_property
    def sentences(self) -> list[str]:
        return [part.strip() for part in SENTENCE.split(self.early) if LETTERS.search(part)]

    @cached_property
    def stem_counts(self) -> dict[str, float]:
        """How often each stem occurs in the early text; shortly after a negation an occurrence counts as minus one."""
        counts: dict[str, float] = {}
        for clause in CLAUSE.split(fold(self.early)):
            since = NEAR + 1  # words since the last negation, which ends with its clause
            for word in map(stem, folded_tokens(clause)):
                counts[word] = counts.get(word, 0.0) + (1.0 if since > NEAR else -1.0)
                since = 1 if is_negation(word) else since + 1
        return counts

    @cached_property
    def entries(self) -> list[Entry]:
        """Labels with values: on one line, on two lines, or as a run of labels before a run of as many values."""
        entries: list[Entry] = []
        waiting: list[Entry] = []
        for kind, group in groupby(self._cells(), key=lambda cell: cell.kind):
            run = list(group)
            if kind == "value":
                labels = answered(waiting, run)
                entries += [replace(cell, label=label.label) for label, cell in zip(labels, run, strict=False)]
                entries += run[len(labels) :]
            elif kind == "both":
                entries += run
            waiting = run if kind == "label" else []
        return entries

    def headed(self, words: Sequence[str]) -> str:
        """Return the text beside or below a cell whose terms are exactly `words`, or ""."""
        for heads, cells in pairwise([*self.columns, []]):
            beside = heads[1:] if len(heads) == 2 and is_head(heads[0], words) else []
            pairs = zip(heads, cells, strict=True) if 1 < len(heads) == len(cells) else ()
            below = [cell for head, cell in pairs if is_head(head, words)]
            if text := next(filter(is_text, [*beside, *below]), ""):
                return text
        return ""

    def _cells(self) -> Iterator[Entry]:
        """Yield each cell of each line with its label, value, or both. A text below "Label:" is its value."""
        open_label = False
        for number, cells in enumerate(self.columns):
            for place, cell in enumerate(cells):
                entry = read_cell(cell, number)
                if "%" in cell and len(cells) == place + 2 and entry.kind == "both" and is_amount(cells[-1]):
                    entry = replace(entry, value="")  # "Tax 15 % on 112.90", whose amount is in the last column
                if open_label and not entry.stated and not entry.value:
                    entry = Entry((), cell, number)
                if (entry.label or entry.value) and not BARE_SIGN.fullmatch(cell):
                    yield entry
                open_label = entry.stated and not entry.value


def cells_of(line: str) -> list[str]:
    """Return the columns of a line."""
    return list(filter(None, map(str.strip, CELLS.split(line))))


def is_head(cell: str, words: Sequence[str]) -> bool:
    return label_terms(cell[:80].rstrip(" :")) == tuple(words)


def is_text(cell: str) -> bool:
    """True for a cell that is neither a label with its value nor a heading."""
    return LABELLED.match(cell) is None and not BUSINESS.issuperset(terms(cell[:80]))


def is_amount(cell: str) -> bool:
    """True for a cell that holds one number with cents, and a currency at most."""
    return CENTS.search(cell) is not None and not read_cell(cell, 0).label


def answered(labels: list[Entry], values: list[Entry]) -> list[Entry]:
    """Return the labels of a run of values: all of them, one for each value, else the last."""
    if len(labels) == len(values):
        return labels
    above = [label for label in labels if label.line == labels[-1].line]
    if len(above) < 2 or above[0].line == values[0].line:
        return labels[-1:]
    # The last of several labels on one line is the end of a table's heading, not the label of the line below.
    return above if len(above) == sum(value.line == values[0].line for value in values) else []


def read_cell(cell: str, line: int) -> Entry:
    """Split one cell into label and value; either may be empty."""
    if cell[0] in ":：" and cell[1:].strip():
        return Entry((), cell[1:].strip(), line)
    if (match := LABELLED.match(cell)) and (label := label_terms(match.group(1))):
        value = NEXT_LABEL.split(match.group(2).strip(), maxsplit=1)[0]
        return Entry(label, "" if BARE_SIGN.fullmatch(value) else value, line, stated=True)
    if (span := first_value(cell[:200])) is None:
        return Entry(label_terms(cell[:80]), "", line)
    start, end, dated = span
    if LETTERS.search(cell[:start]):
        return Entry(label_terms(cell[:start]) if start <= 48 else (), cell[start:], line)
    letters = sum(map(str.isalpha, cell[end:]))
    return Entry((), cell, line) if dated or letters <= 3 else Entry(label_terms(cell[:80]), "", line)


def first_value(cell: str) -> tuple[int, int, bool] | None:
    """Return start and end of the first date (True) or, without one, of the first number that is no percentage."""
    if sum(map(str.isdigit, cell)) >= CODED and CODE.fullmatch(cell):
        return 0, len(cell), False
    if dated := DATE.search(cell):
        return dated.start(), dated.end(), True
    for match in NUMBER.finditer(cell):
        if "%" not in (match["after"] or ""):
            unit = match["unit"] or ""
            start = match.start() if not unit or currency(unit) else match.start("digits")
            return cell.rfind(" ", 0, start) + 1, match.end(), False
    return None


def label_terms(text: str) -> tuple[str, ...]:
    """Return a label's terms: at most six, since a longer text is no label."""
    words = tuple(term for term in terms(text) if len(term) > 1 and not term.isdigit())
    return words if len(words) <= 6 else ()
