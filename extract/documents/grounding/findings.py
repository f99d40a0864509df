"""Where a value may stand in a source, by what it is: a text, a number, a date, a time."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Final
from unicodedata import category

from extract.documents.grounding.alignment import align
from extract.documents.grounding.currencies import currency_places
from extract.documents.grounding.folding import LIGHT, Folded, fold
from extract.documents.grounding.leaves import Quotable
from extract.documents.grounding.moments import Clock, index_dates
from extract.documents.grounding.numbers import index_numbers
from extract.documents.grounding.places import CLEAR, DOUBTFUL, Place, in_order
from extract.documents.grounding.quotations import exact_places, folded_places
from extract.documents.grounding.source import SourceText
from extract.documents.grounding.span import Status

__all__ = ["Finding", "find"]

_WORD: Final = re.compile(r"[^\W\d_]+")
_POINT: Final = re.compile(r"\d[.,٫]\d")
_MONEY_BEFORE: Final = re.compile(r"(?:[$¢£¤¥֏৳฿៛₠-₿﷼]|(?<![^\W\d_])(?:rm|rs\.?|kr\.?|[a-z]{3})) ?$", re.IGNORECASE)
_LONGEST_CURRENCY: Final = 3
_LONGEST_WRITTEN: Final = 40  # a longer text is more than a date or a number
_NEAR: Final = 16  # code points between a date and its time


@dataclass(frozen=True, slots=True)
class Finding:
    """The places at which a value may stand, in order; how much like the value they are is told by `score`."""

    status: Status
    places: list[Place]
    score: float | None = 1.0


_MISSING: Final = Finding("missing", [], None)


def find(source: SourceText, value: Quotable, *, fuzzy: bool) -> Finding:
    """Return where a value may stand. What was found once is known to the source."""
    key = (type(value), value, fuzzy)
    if key not in source.known:
        source.known[key] = _find(source, value, fuzzy=fuzzy)
    found: Finding = source.known[key]
    return found


def _find(source: SourceText, value: Quotable, *, fuzzy: bool) -> Finding:
    if isinstance(value, str):
        return _find_text(source, value.strip(), fuzzy=fuzzy)
    if isinstance(value, datetime):
        return _written(_moment_places(source, value))
    if isinstance(value, date):
        return _written(source.dates.days.get(value, []))
    if isinstance(value, time):
        return _written([_place(clock) for clock in _clocks(source, value)])
    return _written(source.numbers.get(Decimal(repr(value)) if isinstance(value, float) else Decimal(value), []))


def _written(places: list[Place]) -> Finding:
    return Finding("normalised", places) if places else _MISSING


def _find_text(source: SourceText, words: str, *, fuzzy: bool) -> Finding:
    if places := exact_places(source, words):
        return Finding("exact", places)
    if places := folded_places(source, words):
        return Finding("normalised", places)
    if places := currency_places(source, words):
        return Finding("normalised", places)
    written = _written_places(source, words)
    if written is not None:
        return _written(written)
    similar = align(source, words) if fuzzy else None
    if similar is None:
        return _MISSING
    return Finding("fuzzy", [Place(similar.start, similar.end)], similar.score)


def _written_places(source: SourceText, words: str) -> list[Place] | None:
    """Return where a text that is a number, a date or a time stands in another form; None for any other text."""
    if len(words) > _LONGEST_WRITTEN or not any(map(str.isdecimal, words)):
        return None
    moment = _as_moment(words)
    if moment is not None:
        return find(source, moment, fuzzy=False).places
    light = fold(words, LIGHT)
    dates = index_dates(light)
    if any(place.start == 0 and place.end == len(words) for place in dates.places):
        return in_order(place for day in dates.days for place in source.dates.days.get(day, ()))
    return _number_places(source, light)


def _as_moment(words: str) -> date | time | None:
    for read in (date.fromisoformat, datetime.fromisoformat, time.fromisoformat):
        if "-" in words or ":" in words:
            try:
                return read(words)
            except ValueError:
                continue
    return None


def _number_places(source: SourceText, light: Folded) -> list[Place] | None:
    """Return the places of the number that a text is, alone or with a currency or unit."""
    if sum(map(len, _WORD.findall(light.text))) > _LONGEST_CURRENCY or any(
        category(sign) == "So" for sign in light.text
    ):
        return None
    numbers = index_numbers(light, ())
    spans = {place[:2] for places in numbers.values() for place in places}
    outer = [span for span in spans if not any(_within(span, other) for other in spans)]
    if len(outer) != 1:
        return None
    meant = [value for value, places in numbers.items() if outer[0] in {place[:2] for place in places}]
    found = in_order(place for value in meant for place in source.numbers.get(value, ()))
    # A text that writes out its cents is not the 9 of "9 pieces", but may be that of "$9".
    cents = any(value.as_tuple().exponent != 0 for value in meant)
    return [place for place in found if _has_cents(source.text, place)] if cents else found


def _has_cents(text: str, place: Place) -> bool:
    words = text[place.start : place.end]
    return (
        _POINT.search(words) is not None
        or _MONEY_BEFORE.search(text[max(0, place.start - 5) : place.start]) is not None
    )


def _within(span: tuple[int, int], other: tuple[int, int]) -> bool:
    return span != other and other[0] <= span[0] and span[1] <= other[1]


def _place(clock: Clock) -> Place:
    return Place(clock.start, clock.end)


def _clocks(source: SourceText, value: time) -> list[Clock]:
    """Return where a time of day stands; seconds may be left out where they are 0."""
    wanted = value.replace(microsecond=0, tzinfo=None)
    clocks = source.clocks
    return [clock for clock in clocks if clock.time == wanted and (clock.whole or not wanted.second)]


def _moment_places(source: SourceText, value: datetime) -> list[Place]:
    """Return the dates of a moment with the time beside them.

    Where the time stands elsewhere, or is midnight and written nowhere, the date alone is a doubtful place.
    """
    forms = {value.replace(tzinfo=None)} | ({value.astimezone(UTC).replace(tzinfo=None)} if value.tzinfo else set())
    found: list[Place] = []
    for form in sorted(forms):
        clocks = _clocks(source, form.time())
        days = source.dates.days.get(form.date(), [])
        found += [joined for day in days for clock in clocks if (joined := _joined(day, clock))]
        if clocks or form.time() == time():
            found += [day._replace(rank=max(day.rank, DOUBTFUL)) for day in days]
    best = min((place.rank for place in found), default=CLEAR)
    return in_order(place for place in found if place.rank == best)


def _joined(day: Place, clock: Clock) -> Place | None:
    gap = max(clock.start - day.end, day.start - clock.end)
    if gap > _NEAR:
        return None
    return Place(min(day.start, clock.start), max(day.end, clock.end), day.rank)
