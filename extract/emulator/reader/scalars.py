"""Single values: what the record says of one field, by its label, by its form, or by its place on the page."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from datetime import date
from functools import lru_cache
from typing import Any

from extract.emulator.reader.labels import polarity
from extract.emulator.reader.meaning import RIVALS, Wanted, match
from extract.emulator.reader.record import Entry, Record
from extract.emulator.reader.values import CENTS, CODE, EMAIL, URL, currency, dates, phones, time_of_day
from extract.emulator.reader.words import CUES_OF, fold, stem, terms, tokens

__all__ = [
    "FINDERS",
    "NOTHING",
    "Found",
    "labelled",
    "read_moment",
    "read_number",
    "read_text",
    "snippet",
    "stated_boolean",
    "worded_boolean",
]

Found = tuple[Any, float]  # a value, and how surely the record says it: 0 not at all, 1 under its own label
NOTHING: Found = (None, 0.0)

SLACK = 0.08  # labels this close to the best speak of the same total
ENOUGH = 0.45  # match of a label that answers a field
YES = frozenset(["yes", "y", "true", "ja", "oui", "si", "sim", "da", "是", "✓", "x"])
NO = frozenset(["no", "n", "false", "nein", "non", "nee", "nao", "нет", "否"])
ANY_DATE = frozenset(
    [
        "date",
        "time",
        "invoice",
        "issu",
        "document",
        "order",
        "purchase",
        "transaction",
        "creat",
        "receiv",
        "sent",
        "post",
    ]
)
ASIDE = frozenset(["is", "ha", "need", "want", "requir", "wa", "are", "contain", "ask", "mention"])
OTHER_DATE = frozenset(("due", "birth", "expiri", "shipping"))
MONEY = frozenset(
    ["total", "due", "amount", "subtotal", "tax", "net", "gross", "price", "discount", "change", "cash", "shipping"]
)
HEADINGS = frozenset(
    [
        "invoice",
        "tax",
        "simplified",
        "copy",
        "original",
        "duplicate",
        "official",
        "sale",
        "cash",
        "welcome",
        "thank",
        "you",
        "page",
        "order",
        "date",
        "number",
        "customer",
        "statement",
        "credit",
        "note",
        "guest",
        "check",
        "pro",
        "forma",
        "delivery",
    ]
)
FIRM = frozenset(
    [
        "ltd",
        "limited",
        "gmbh",
        "inc",
        "llc",
        "corp",
        "corporation",
        "company",
        "co",
        "ag",
        "kg",
        "ug",
        "ohg",
        "sa",
        "sas",
        "sarl",
        "eurl",
        "srl",
        "spa",
        "snc",
        "bv",
        "nv",
        "oy",
        "ab",
        "aps",
        "plc",
        "llp",
        "pte",
        "pty",
        "sdn",
        "bhd",
        "berhad",
        "lda",
        "ltda",
        "eirl",
        "kft",
        "doo",
        "sro",
        "enterprise",
        "enterprises",
        "trading",
        "restaurant",
        "cafe",
        "store",
        "stores",
        "shop",
        "mart",
        "market",
        "supermarket",
        "hotel",
        "pharmacy",
        "bakery",
        "studio",
        "group",
        "holdings",
        "industries",
        "bros",
        "hardware",
    ]
)
STREET = frozenset(
    [
        "street",
        "st",
        "road",
        "rd",
        "avenue",
        "ave",
        "lane",
        "ln",
        "drive",
        "dr",
        "boulevard",
        "blvd",
        "square",
        "court",
        "way",
        "highway",
        "suite",
        "floor",
        "level",
        "building",
        "block",
        "unit",
        "lot",
        "strasse",
        "str",
        "weg",
        "platz",
        "allee",
        "gasse",
        "rue",
        "place",
        "quai",
        "chemin",
        "calle",
        "avenida",
        "plaza",
        "paseo",
        "carrera",
        "via",
        "viale",
        "piazza",
        "corso",
        "rua",
        "travessa",
        "praca",
        "straat",
        "laan",
        "plein",
        "jalan",
        "jln",
        "lorong",
        "taman",
        "bandar",
        "kampung",
        "box",
        "no",
    ]
)
BREAK = re.compile(r"\s[·•|–—-]\s|\s{3,}")
NO_ADDRESS = frozenset(("invoice", "date", "phone", "tax"))
POSTCODE = re.compile(r"(?<![\d.,(-])\d{4,6}(?![\d.,]*\d|-[A-Z])|\b[A-Z]{1,2}\d[A-Z\d]?\s?\d[A-Z]{2}\b")
NUMBERED = re.compile(r"^(?:no\.?|lot|unit|\W)?\s?\w{0,3}\d", re.IGNORECASE)
FOLLOWS = r"\s(?:is|are|was|ist|lautet|est|es|è|é|heet|:)\s{1,3}([^\n.,;!?]{1,80})"


def labelled(record: Record, wanted: Wanted) -> list[tuple[float, Entry]]:
    """Return the entries whose labels answer the field, best first."""
    scored = ((match(wanted.words, entry.label), entry) for entry in record.entries if entry.label)
    return sorted((pair for pair in scored if pair[0] >= ENOUGH), key=lambda pair: -pair[0])


def read_number(record: Record, wanted: Wanted, accepts: Callable[[float], bool]) -> Found:
    """Return the number under the best label that `accepts` takes, else the nearest one in running text."""
    if not MONEY.isdisjoint(wanted.words):
        return read_money(record, wanted, accepts)
    for score, entry in labelled(record, wanted):
        for _, _, value in record.numbers(entry.value) if not is_dated(entry.value) else ():
            if accepts(value):
                return value, min(score, 1.0)
    return near_words(record, wanted, accepts)


def read_money(record: Record, wanted: Wanted, accepts: Callable[[float], bool]) -> Found:
    """Return the amount under the best label, one with cents if there is any.

    Of several totals the largest is meant; without a label, the largest amount that no rival label claims.
    """
    total = "total" in wanted.words
    found = [
        (score, *amount) for score, entry in labelled(record, wanted) for amount in amounts(record, entry, accepts)
    ]
    if not found and total:
        entries = (entry for entry in record.entries if RIVALS.isdisjoint(entry.label))
        found = [(0.3, cents, value) for entry in entries for cents, value in amounts(record, entry, accepts) if cents]
    found = [amount for amount in found if amount[1]] or found
    if not found:
        return NOTHING
    best = max(score for score, _, _ in found)
    values = [value for score, _, value in found if score >= best - (SLACK if total else 0.0)]
    return (max(values) if total else values[0]), min(best, 1.0)


def amounts(record: Record, entry: Entry, accepts: Callable[[float], bool]) -> Iterator[tuple[bool, float]]:
    """Yield each accepted number of an entry that is no date, and whether it is written with cents."""
    if not is_dated(entry.value):
        for start, end, value in record.numbers(entry.value):
            if accepts(value):
                yield CENTS.search(entry.value[start:end]) is not None, value


def is_dated(text: str) -> bool:
    return next(dates(text), None) is not None


def near_words(record: Record, wanted: Wanted, accepts: Callable[[float], bool]) -> Found:
    """Return the number in running text that stands nearest to a word of the field, at most three words away."""
    pieces = [
        (piece, match_)
        for match_ in re.finditer(r"\d[\d.,]{0,15}\d|\d|[^\W\d_]+", record.early)
        for piece in [match_.group()]
    ]
    places = [index for index, (piece, _) in enumerate(pieces) if stem(fold(piece)) in wanted.stems]
    best: tuple[int, float] | None = None
    for index in places:
        for other in range(max(0, index - 3), min(len(pieces), index + 4)):
            if pieces[other][0][0].isdigit() and (best is None or abs(other - index) < best[0]):
                value = next((value for _, _, value in record.numbers(pieces[other][0])), None)
                best = (abs(other - index), value) if value is not None and accepts(value) else best
    return NOTHING if best is None else (best[1], 0.6)


def read_moment(record: Record, wanted: Wanted, form: str) -> Found:
    """Return a date, time or both, written as `form` asks: "date", "time", "date-time", or "" for as it stands."""
    if form == "time" or (wanted.role == "time" and form == ""):
        found = next(((clock, score) for score, text in spoken(record, wanted) if (clock := time_of_day(text))), None)
        return (found[0] + ("Z" if form else ""), found[1]) if found else NOTHING
    place = find_date(record, wanted)
    if place is None:
        return NOTHING
    written, after, day, score = place
    if form == "date":
        return day.isoformat(), score
    if form == "date-time" or "time" in wanted.stems or "time" in wanted.said:
        return f"{day.isoformat()}T{time_of_day(after) or '00:00:00'}{'Z' if form else ''}", score
    return (day.isoformat() if wanted.said & {"iso", "yyyi"} else written), score


def spoken(record: Record, wanted: Wanted) -> Iterator[tuple[float, str]]:
    """Yield the texts that may hold the field's value: under its label, in a sentence with its words, anywhere."""
    for score, entry in labelled(record, wanted):
        yield min(score, 1.0), " ".join([entry.value, *record.lines[entry.line + 1 : entry.line + 2]])
    specific = frozenset(wanted.stems) - {"dat", "tim", "at", "on"}
    for sentence in record.sentences:
        if not specific.isdisjoint(map(stem, tokens(sentence))):
            yield 0.6, sentence
    yield 0.4, record.early


def find_date(record: Record, wanted: Wanted) -> tuple[str, str, date, float] | None:
    """Return the date as written, the text after it, its value and its score; the first of equals."""
    general = ANY_DATE.issuperset(wanted.words)
    for score, text in spoken(record, wanted):
        if score > 0.4 and (found := next(dates(text), None)):
            return text[found[0] : found[1]], text[found[1] :], found[2], score
    other = {entry.line for entry in record.entries if not OTHER_DATE.isdisjoint(entry.label)}
    for index, line in enumerate(record.lines if general or wanted.role != "date" else ()):
        if index not in other and (found := next(dates(line), None)):
            return (
                line[found[0] : found[1]],
                " ".join([line[found[1] :], *record.lines[index + 1 : index + 2]]),
                found[2],
                0.5,
            )
    return None


def stated_boolean(record: Record, wanted: Wanted) -> Found:
    """Return the yes or no that stands under the field's label."""
    for score, entry in labelled(record, wanted):
        first = set(tokens(entry.value[:40])[:1])
        if first & YES or first & NO:
            return bool(first & YES), min(score, 1.0)
    return NOTHING


def worded_boolean(record: Record, wanted: Wanted) -> Found:
    """Return yes or no by the field's words, their cues and the negations before them."""
    own = frozenset(wanted.stems) - ASIDE
    cues = frozenset[str]().union(*(CUES_OF.get(word, ()) for word in own))
    against = frozenset[str]().union(*(CUES_OF.get(stem("un" + word), ()) for word in own))
    if against:
        return (False, 0.5) if polarity(record, against) > 0 else (True, 0.1)
    total = polarity(record, own | cues)
    return (total > 0, min(abs(total) * 0.5, 0.9)) if total else NOTHING


def read_text(record: Record, wanted: Wanted) -> Found:
    """Return a text value: by its form where the field names one, else under its label, else by its place."""
    by_form = FORMS.get(wanted.role)
    if by_form is not None:
        return by_form(record, wanted)
    return under_label(record, wanted)


def under_label(record: Record, wanted: Wanted) -> Found:
    for score, entry in labelled(record, wanted):
        if entry.stated or len(entry.label) <= len(wanted.words) + 1:
            return entry.value[:400].strip(" ,;"), min(score, 1.0)
    for term in wanted.stems:
        if term in record.heard and (
            said := re.search(rf"(?<!\w){re.escape(term)}\w{{0,4}}{FOLLOWS}", record.early, re.IGNORECASE)
        ):
            return said.group(1).strip(), 0.5
    return NOTHING


def pattern_reader(find: Callable[[str], Iterator[str]]) -> Callable[[Record, Wanted], Found]:
    """Return a reader of values known by their form: the labelled one first, else the first in the record."""

    def read(record: Record, wanted: Wanted) -> Found:
        for score, entry in labelled(record, wanted):
            for value in find(entry.value):
                return value, min(score, 1.0)
        return next(((value, 0.5) for value in find(record.text)), NOTHING)

    return read


def read_code(record: Record, wanted: Wanted) -> Found:
    """Return the first token with a digit under the best label, such as a number of an invoice."""
    for score, entry in labelled(record, wanted):
        if code := CODE.search(entry.value):
            return code.group().rstrip("."), min(score, 1.0)
    return NOTHING


def read_company(record: Record, wanted: Wanted) -> Found:
    """Return the labelled name, else the likeliest name among the first lines: legal forms speak for one."""
    said = under_label(record, wanted)
    if said[1] >= 0.8 and not any(map(str.isdigit, said[0][:3])):
        return said
    named = {entry.line for entry in record.entries if entry.stated}
    heads = [BREAK.split(line, maxsplit=1)[0] for line in record.lines[:9]]
    scored = [(firm_score(line) - 0.15 * index, -index) for index, line in enumerate(heads) if index not in named]
    best, place = max(scored, default=(0.0, 0))
    if best <= 0.0 or wanted.role != "company":
        return NOTHING
    line = heads[-place]
    if place and FIRM.issuperset(tokens(line)):  # a legal form on a line of its own belongs to the line before
        line = f"{heads[-place - 1]} {line}"
    return re.sub(r"\s*\([^()]*\d[^()]*\)\s*$", "", line).strip(" ,*#-"), 0.4


def firm_score(line: str) -> float:
    """Return how well a line can be a firm's name; 0 or less where it cannot."""
    if len(line) > 120:
        return -9.0
    words = frozenset(tokens(line))
    letters = sum(map(str.isalpha, line))
    other = words <= HEADINGS or HEADINGS.issuperset(terms(line)) or is_address(line) or is_dated(line)
    if other or letters < 3 or letters < len(line) / 2 or "@" in line or URL.search(line):
        return -9.0
    return 1.0 + 2.0 * (not words.isdisjoint(FIRM)) - 0.2 * max(0, len(words) - 8)


@lru_cache(maxsize=1024)
def is_address(line: str) -> bool:
    """True for a line with a house number beside a street's word, or with a postcode beside a name."""
    if len(line) > 120 or line[0] == "(" or ":" in line or "@" in line or not NO_ADDRESS.isdisjoint(terms(line)):
        return False
    words = tokens(line)
    street = any(word in STREET or word.endswith(("strasse", "straat", "weg", "gasse")) for word in words)
    named = any(len(word) > 2 and word.isalpha() for word in words)
    return named and bool((street and any(map(str.isdigit, line))) or POSTCODE.search(line))


def read_address(record: Record, wanted: Wanted) -> Found:
    """Return the labelled address with the lines that go on with it, else the first block that looks like one."""
    for score, entry in labelled(record, wanted):
        if entry.stated:
            return join_lines([entry.value, *address_lines(record, entry.line + 1)[:3]]), min(score, 1.0)
    for index, line in enumerate(record.lines[:15]):
        if is_address(line):
            return join_lines(address_lines(record, index)), 0.5
    return NOTHING


def address_lines(record: Record, first: int) -> list[str]:
    """Return the lines from `first` on that belong to one address, at most five."""
    found: list[str] = []
    for line in record.lines[first : first + 5]:
        words = set(tokens(line))
        place = (
            bool(found)
            and line.isupper() == found[0].isupper()
            and len(words) <= 5
            and not (words & HEADINGS or set(terms(line)) & HEADINGS)
        )
        if not (
            is_address(line)
            or (
                place
                and not re.search(r"[:#@]|\d{3}-?\d{3}", line)
                and (found[-1].endswith(",") or not POSTCODE.search(" ".join(found)))
            )
        ):
            break
        found.append(line)
    return found


def join_lines(lines: list[str]) -> str:
    return ", ".join(part for line in lines if (part := line.strip(" ,")))


def read_currency(record: Record, wanted: Wanted) -> Found:
    for score, entry in labelled(record, wanted):
        if code := currency(entry.value):
            return code, min(score, 1.0)
    code = currency(record.text)
    return (code, 0.7) if code else NOTHING


def snippet(record: Record, wanted: Wanted, evidence: Collection[str] = ()) -> Found:
    """Return the labelled text, else the sentence that holds most of `evidence`, at most 160 characters of it."""
    said = under_label(record, wanted)
    if said[1] >= 0.8 or not record.sentences:
        return said
    best = max(record.sentences[:60], key=lambda sentence: sum(stem(token) in evidence for token in tokens(sentence)))
    return (best if len(best) <= 160 else best[:159].rsplit(" ", 1)[0] + "…"), 0.05


FINDERS: dict[str, Callable[[str], Iterator[str]]] = {
    "email": lambda text: (found.group() for found in EMAIL.finditer(text)),
    "url": lambda text: (found.group().rstrip(".,;") for found in URL.finditer(text)),
    "phone": lambda text: (written for _, written in phones(text)),
}
FORMS: dict[str, Callable[[Record, Wanted], Found]] = {role: pattern_reader(find) for role, find in FINDERS.items()} | {
    "currency": read_currency,
    "company": read_company,
    "address": read_address,
    "code": read_code,
    "date": lambda record, wanted: read_moment(record, wanted, ""),
    "time": lambda record, wanted: read_moment(record, wanted, ""),
}
