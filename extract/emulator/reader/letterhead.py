"""The sender of a document: the firm's name and the address among its first lines."""

from __future__ import annotations

import re
from functools import lru_cache

from extract.emulator.reader.lexicon import FIRM, HEADINGS, STREET
from extract.emulator.reader.record import Record
from extract.emulator.reader.values import DATE, URL
from extract.emulator.reader.words import terms, tokens

__all__ = ["find_address", "find_firm", "lines_of_address"]

TOP = 9  # lines among which a firm's name is looked for
BREAK = re.compile(r"\s[·•|–—-]\s|\s{3,}")
POSTCODE = re.compile(r"(?<![\d.,(-])\d{4,6}(?![\d.,]*\d|-[A-Z])|\b[A-Z]{1,2}\d[A-Z\d]?\s?\d[A-Z]{2}\b")
REGISTER = re.compile(r"\s*\([^()]*\d[^()]*\)\s*$")
NO_PLACE = re.compile(r"[:#@]|\d{3}-?\d{3}")
NOT_ADDRESS = frozenset(("invoice", "date", "phone", "tax"))


def find_firm(record: Record) -> str:
    """Return the likeliest firm's name among the first lines, or ""; a legal form makes a line likelier."""
    named = {entry.line for entry in record.entries if entry.stated}
    heads = [BREAK.split(line[:200], maxsplit=1)[0] for line in record.lines[:TOP]]
    scored = [(firm_score(line) - 0.15 * index, -index) for index, line in enumerate(heads) if index not in named]
    best, place = max(scored, default=(0.0, 0))
    if best <= 0.0:
        return ""
    line = heads[-place]
    if place and FIRM.issuperset(tokens(line)):  # a legal form on a line of its own belongs to the line before
        line = f"{heads[-place - 1]} {line}"
    return REGISTER.sub("", line).strip(" ,*#-")


def firm_score(line: str) -> float:
    """Return how well a line can be a firm's name; 0 or less where it cannot."""
    letters = sum(map(str.isalpha, line))
    if (
        len(line) > 120
        or letters < 3
        or letters < len(line) / 2
        or "@" in line
        or URL.search(line)
        or DATE.search(line)
    ):
        return -9.0
    words = frozenset(tokens(line))
    if words <= HEADINGS or HEADINGS.issuperset(terms(line)) or is_address(line):
        return -9.0
    return 1.0 + 2.0 * (not words.isdisjoint(FIRM)) - 0.2 * max(0, len(words) - 8)


@lru_cache(maxsize=1024)
def is_address(line: str) -> bool:
    """True for a line with a number beside a street's word, or with a postcode beside a name."""
    if len(line) > 120 or line[0] == "(" or ":" in line or "@" in line or not NOT_ADDRESS.isdisjoint(terms(line)):
        return False
    words = tokens(line)
    street = any(word in STREET or word.endswith(("strasse", "straat", "weg", "gasse")) for word in words)
    named = any(len(word) > 2 and word.isalpha() for word in words)
    return named and bool((street and any(map(str.isdigit, line))) or POSTCODE.search(line))


def find_address(record: Record) -> str:
    """Return the first block among the first lines that looks like an address, on one line, or ""."""
    first = next((index for index, line in enumerate(record.lines[:15]) if is_address(line)), None)
    return "" if first is None else ", ".join(lines_of_address(record, first))


def lines_of_address(record: Record, first: int) -> list[str]:
    """Return the lines of one address that begins at `first`, at most five."""
    lines: list[str] = []
    for line in record.lines[first : first + 5]:
        if not (is_address(line) or (lines and continues_address(lines, line))):
            break
        lines.append(line)
    return [part for line in lines if (part := line.strip(" ,"))]


def continues_address(lines: list[str], line: str) -> bool:
    """True where `line` can name a place that belongs to the address so far."""
    if NO_PLACE.search(line) or line.isupper() != lines[0].isupper():
        return False
    short = len(set(tokens(line))) <= 5 and HEADINGS.isdisjoint((*tokens(line), *terms(line)))
    return short and (lines[-1].endswith(",") or not POSTCODE.search(" ".join(lines)))
