"""Single values: what the record says of one field, by its label, its written form, or its place on the page."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from datetime import date
from typing import Any

from extract.emulator.reader.field_spec import FieldSpec, match
from extract.emulator.reader.labels import polarity
from extract.emulator.reader.letterhead import find_address, find_firm, lines_of_address
from extract.emulator.reader.lexicon import ANY_DATE, ASIDE, MONEY, NO, RIVALS, YES
from extract.emulator.reader.record import Entry, Record
from extract.emulator.reader.values import (
    CENTS,
    CODE,
    DATE,
    bics,
    currency,
    dates,
    emails,
    ibans,
    means,
    phones,
    time_of_day,
    urls,
)
from extract.emulator.reader.words import cues, fold, stem, tokens

__all__ = [
    "FINDERS",
    "NOTHING",
    "ScoredValue",
    "asks_for_decimal",
    "labelled",
    "local_form",
    "read_moment",
    "read_number",
    "read_text",
    "snippet",
    "stated_boolean",
    "worded_boolean",
]

ScoredValue = tuple[Any, float]  # a value, and how sure it is: 0 for a guess, 1 under its own label
NOTHING: ScoredValue = (None, 0.0)

MIN_MATCH = 0.45  # the least match of a label that names a field
MATCH_TOLERANCE = 0.08  # labels this close to the best name the same total
GUESSED = 0.05  # score of a value that always exists, such as a snippet
NUMBERED = re.compile(r"[A-Z]{2,9}\d{7,}\w{0,9}")  # a registered number, such as "NL003335996B01"
PIECE = re.compile(r"\d[\d.,]{0,15}\d|\d|[^\W\d_]+")
AFTER_WORD = r"\w{0,4}\s(?:is|are|was|ist|lautet|est|es|è|é|heet|:)\s{1,3}([^\n.,;!?]{1,80})"
OTHER_DATES = frozenset(("due", "birth", "expiri", "shipping"))
NAMED = ("iban", "bic", "payment")  # a value under their labels may have another form, too
SUMS = frozenset(("subtotal", "net"))
MOMENTS = frozenset(("dat", "tim", "at", "on"))

Accepts = Callable[[float], bool]


def labelled(record: Record, spec: FieldSpec) -> list[tuple[float, Entry]]:
    """Return the entries whose labels match the field, with how well they do, best first."""
    scored = ((match(spec.words, entry.label), entry) for entry in record.entries if entry.label)
    return sorted((pair for pair in scored if pair[0] >= MIN_MATCH), key=lambda pair: -pair[0])


# Numbers --------------------------------------------------------------------------------------------------------------


def read_number(record: Record, spec: FieldSpec, accepts: Accepts) -> ScoredValue:
    """Return the accepted number under the best label, else the nearest one in running text."""
    if not MONEY.isdisjoint(spec.words):
        return read_money(record, spec, accepts)
    for score, entry in labelled(record, spec):
        for _, value in amounts(record, entry, accepts):
            return value, min(score, 1.0)
    return near_words(record, spec, accepts)


def read_money(record: Record, spec: FieldSpec, accepts: Accepts) -> ScoredValue:
    """Return the amount under the best label, one with cents if there is any.

    Of several totals or subtotals the largest is meant; without a label, a total is the largest amount that no rival
    label claims.
    """
    total = "total" in spec.words
    candidates = [
        (score, *amount) for score, entry in labelled(record, spec) for amount in amounts(record, entry, accepts)
    ]
    if not candidates and total:
        entries = (entry for entry in record.entries if RIVALS.isdisjoint(entry.label))
        candidates = [
            (0.3, cents, value) for entry in entries for cents, value in amounts(record, entry, accepts) if cents
        ]
    candidates = [amount for amount in candidates if amount[1]] or candidates
    if not candidates:
        return NOTHING
    best = max(score for score, _, _ in candidates)
    values = [value for score, _, value in candidates if score >= best - (MATCH_TOLERANCE if total else 0.0)]
    return (max(values) if total or not SUMS.isdisjoint(spec.words) else values[0]), min(best, 1.0)


def amounts(record: Record, entry: Entry, accepts: Accepts) -> Iterator[tuple[bool, float]]:
    """Yield whether it has cents, and the value, of each accepted number of an entry that holds no date."""
    if not (DATE.search(entry.value) or NUMBERED.fullmatch(entry.value)):
        for start, end, value in record.numbers(entry.value):
            if accepts(value):
                yield CENTS.search(entry.value[start:end]) is not None, value


def near_words(record: Record, spec: FieldSpec, accepts: Accepts) -> ScoredValue:
    """Return the number in running text nearest to a word of the field, at most three words away."""
    pieces = PIECE.findall(record.early)
    best: tuple[int, float] | None = None
    for place in (index for index, piece in enumerate(pieces) if stem(fold(piece)) in spec.stems):
        for index in range(max(0, place - 3), min(len(pieces), place + 4)):
            distance = abs(index - place)
            if pieces[index][0].isdecimal() and (best is None or distance < best[0]):
                values = [value for _, _, value in record.numbers(pieces[index]) if accepts(value)]
                best = (distance, values[0]) if values else best
    return NOTHING if best is None else (best[1], 0.6)


# Dates and times ------------------------------------------------------------------------------------------------------


def read_moment(record: Record, spec: FieldSpec, form: str) -> ScoredValue:
    """Return a date, time or both, written in `form`: "date", "time", "date-time", or "" for as in the record."""
    if "time" in (form, form or spec.role):
        times = ((clock, score) for score, text in spoken(record, spec) if (clock := time_of_day(text)))
        clock, score = next(times, ("", 0.0))
        return (clock + ("Z" if form else ""), score) if clock else NOTHING
    date_found = find_date(record, spec)
    if date_found is None:
        return NOTHING
    written, after, day, score = date_found
    if form == "date":
        return day.isoformat(), score
    if form == "date-time" or "tim" in spec.stems:
        return f"{day.isoformat()}T{time_of_day(after) or '00:00:00'}{'Z' if form else ''}", score
    return (day.isoformat() if spec.described & {"iso", "yyyi"} else written), score


def asks_for_decimal(spec: FieldSpec) -> bool:
    """True where text is only another way to write a number: a decimal may be written as either."""
    return {"decimal", "number"} <= spec.described


def local_form(spec: FieldSpec) -> str:
    """Return "date-time" or "time" where the description asks for a local one, for which JSON Schema has no format."""
    if not {"local", "time"} <= spec.described:
        return ""
    return "date-time" if "date" in spec.described else "time"


def spoken(record: Record, spec: FieldSpec) -> Iterator[tuple[float, str]]:
    """Yield the texts that may hold the field's value: under its label, in a sentence with its words, anywhere."""
    for score, entry in labelled(record, spec):
        yield min(score, 1.0), with_next_line(record, entry.value, entry.line)
    specific = frozenset(spec.stems) - MOMENTS
    for sentence in record.sentences:
        if not specific.isdisjoint(map(stem, tokens(sentence))):
            yield 0.6, sentence
    yield 0.4, record.early


def find_date(record: Record, spec: FieldSpec) -> tuple[str, str, date, float] | None:
    """Return the date as written, the text after it, its value and its score; of equal ones the first."""
    for score, text in spoken(record, spec):
        if score > 0.4 and (first := next(dates(text), None)):
            return text[first[0] : first[1]], text[first[1] :], first[2], score
    if spec.role == "date" and not ANY_DATE.issuperset(spec.words):
        return None
    other = {entry.line for entry in record.entries if not OTHER_DATES.isdisjoint(entry.label)}
    for index, line in enumerate(record.lines):
        if index not in other and (first := next(dates(line), None)):
            return line[first[0] : first[1]], with_next_line(record, line[first[1] :], index), first[2], 0.5
    return None


def with_next_line(record: Record, text: str, line: int) -> str:
    return " ".join([text, *record.lines[line + 1 : line + 2]])


# Yes and no -----------------------------------------------------------------------------------------------------------


def stated_boolean(record: Record, spec: FieldSpec) -> ScoredValue:
    """Return the yes or no under the field's label."""
    for score, entry in labelled(record, spec):
        first = set(tokens(entry.value[:40])[:1])
        if first & YES or first & NO:
            return bool(first & YES), min(score, 1.0)
    return NOTHING


def worded_boolean(record: Record, spec: FieldSpec) -> ScoredValue:
    """Return yes or no by the field's words, their cues and the negations before them."""
    own = frozenset(spec.stems) - ASIDE
    against = frozenset[str]().union(*(cues(stem("un" + word)) for word in own))
    if against:
        return (False, 0.5) if polarity(record, against) > 0 else (True, 2 * GUESSED)
    total = polarity(record, own.union(*map(cues, own)))
    return (total > 0, min(abs(total) * 0.5, 0.9)) if total else NOTHING


# Texts ----------------------------------------------------------------------------------------------------------------


def read_text(record: Record, spec: FieldSpec) -> ScoredValue:
    """Return a text value: by its form where the field names one, else under its label, else from a sentence."""
    if spec.role in FINDERS:
        result = by_form(record, spec, FINDERS[spec.role])
        return under_label(record, spec) if result is NOTHING and spec.role in NAMED else result
    return ROLES.get(spec.role, under_label)(record, spec)


def under_label(record: Record, spec: FieldSpec) -> ScoredValue:
    for score, entry in labelled(record, spec):
        if entry.stated or len(entry.label) <= len(spec.words) + 1:
            return entry.value[:400].strip(" ,;"), min(score, 1.0)
    if headed := record.headed(spec.words):
        return headed, 0.8
    for word in filter(record.stem_counts.get, spec.stems):
        if sentence := re.search(rf"(?<!\w){re.escape(word)}{AFTER_WORD}", record.early, re.IGNORECASE):
            return sentence.group(1).strip(), 0.5
    return NOTHING


def by_form(record: Record, spec: FieldSpec, find: Callable[[str], Iterator[str]]) -> ScoredValue:
    """Return a value known by its form: the labelled one first, else the first in the record."""
    for score, entry in labelled(record, spec):
        for value in find(entry.value):
            return value, min(score, 1.0)
    # Digits alone, without a label, are more often an article's number than a telephone's.
    return next(((value, 0.5) for value in find(record.text) if not value.isdigit()), NOTHING)


def read_code(record: Record, spec: FieldSpec) -> ScoredValue:
    """Return the first token with a digit under the best label, such as the number of an invoice."""
    for score, entry in labelled(record, spec):
        if code := CODE.search(entry.value):
            return code.group().rstrip("."), min(score, 1.0)
    return NOTHING


def read_company(record: Record, spec: FieldSpec) -> ScoredValue:
    """Return the labelled name, else the likeliest name among the first lines."""
    name, score = under_label(record, spec)
    if score >= 0.8 and not any(map(str.isdigit, name[:3])):
        return name, score
    firm = find_firm(record)
    return (firm, 0.4) if firm else NOTHING


def read_address(record: Record, spec: FieldSpec) -> ScoredValue:
    """Return the labelled address with the lines that continue it, else the first block that looks like one."""
    for score, entry in labelled(record, spec):
        if entry.stated:
            return ", ".join([entry.value.strip(" ,"), *lines_of_address(record, entry.line + 1)[:3]]), min(score, 1.0)
    address = find_address(record)
    return (address, 0.5) if address else NOTHING


def snippet(record: Record, spec: FieldSpec, evidence: Collection[str]) -> ScoredValue:
    """Return the labelled text, else the sentence with most of the stems in `evidence`, cut at 160 characters."""
    labelled_text = under_label(record, spec)
    if labelled_text[1] >= 0.8 or not record.sentences:
        return labelled_text
    best = max(record.sentences[:60], key=lambda sentence: sum(stem(token) in evidence for token in tokens(sentence)))
    return (best if len(best) <= 160 else best[:159].rsplit(" ", 1)[0] + "…"), GUESSED


FINDERS: dict[str, Callable[[str], Iterator[str]]] = {
    "email": emails,
    "url": urls,
    "phone": phones,
    "iban": ibans,
    "bic": bics,
    "payment": means,
    "currency": lambda text: iter(filter(None, [currency(text)])),
}
ROLES: dict[str, Callable[[Record, FieldSpec], ScoredValue]] = {
    "company": read_company,
    "address": read_address,
    "code": read_code,
    "date": lambda record, spec: read_moment(record, spec, ""),
    "time": lambda record, spec: read_moment(record, spec, ""),
}
