"""Finds all places at which a value may stand in a source: a text, a number, a date or a time.

A text is searched as it is, then folded, then as a currency code, then as the number, date or time that it writes, and
last by similarity. The first step that finds a place decides the status.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Final

from extract.documents.grounding.alignment import align
from extract.documents.grounding.amounts import amount_places
from extract.documents.grounding.currencies import currency_places
from extract.documents.grounding.folding import LIGHT, fold
from extract.documents.grounding.leaves import Quotable
from extract.documents.grounding.moments import Clock, index_dates
from extract.documents.grounding.places import CLEAR, DOUBTFUL, Place, in_order
from extract.documents.grounding.readings import readings_of
from extract.documents.grounding.source import SourceText
from extract.documents.grounding.span import Status
from extract.documents.grounding.text_search import exact_places, folded_places

__all__ = ["Finding", "find"]

_MAX_VALUE_LENGTH: Final = 40  # code points; a longer text is more than a date or a number
_MIN_WRAPPED_DIGITS: Final = 9  # of an identifier that may wrap in its cell
_MAX_TIME_GAP: Final = 16  # code points between a date and its time


@dataclass(frozen=True, slots=True)
class Finding:
    """The places at which a value may stand, in order, with their similarity to the value as `score`."""

    status: Status
    places: list[Place]
    score: float | None = 1.0


_MISSING: Final = Finding("missing", [], None)


def find(source: SourceText, value: Quotable, *, fuzzy: bool, amount: bool = False) -> Finding:
    """Return where a value may stand. The source caches the findings.

    `amount` is True where the field asks for one: a text of digits is a code elsewhere.
    """
    key = (type(value), value, fuzzy, amount)  # with the type, as 1, 1.0 and True are equal
    if key not in source.known:
        finding = _find(source, value, fuzzy=fuzzy, amount=amount)
        if finding.status in ("missing", "fuzzy"):
            finding = _find_in_readings(source, value, finding, fuzzy=fuzzy)
        source.known[key] = finding
    stored: Finding = source.known[key]
    return stored


def _find_in_readings(source: SourceText, value: Quotable, finding: Finding, *, fuzzy: bool) -> Finding:
    """Return where a value stands in another order of the source, if it stands better there than `finding` says.

    Numbers do not wrap: two that stand below each other are not one.
    """
    readings = readings_of(source) if _may_wrap(value) else None
    if readings is None:
        return finding
    other = find(readings.source, value, fuzzy=fuzzy and finding.status == "missing")
    places = in_order(filter(None, map(readings.place_in_source, other.places)))
    return Finding("fuzzy" if other.status == "fuzzy" else "normalised", places, other.score) if places else finding


def _may_wrap(value: Quotable) -> bool:
    if isinstance(value, str):
        return any(map(str.isalpha, value)) or sum(map(str.isdecimal, value)) >= _MIN_WRAPPED_DIGITS
    return isinstance(value, date)


def _find(source: SourceText, value: Quotable, *, fuzzy: bool, amount: bool) -> Finding:
    if isinstance(value, str):
        return _find_text(source, value.strip(), fuzzy=fuzzy, amount=amount)
    if isinstance(value, datetime):
        return _normalised(_moment_places(source, value))
    if isinstance(value, date):
        return _normalised(source.dates.days.get(value, []))
    if isinstance(value, time):
        return _normalised([_place(clock) for clock in _matching_clocks(source, value)])
    return _normalised(source.numbers.get(Decimal(repr(value)) if isinstance(value, float) else Decimal(value), []))


def _normalised(places: list[Place]) -> Finding:
    return Finding("normalised", places) if places else _MISSING


def _find_text(source: SourceText, words: str, *, fuzzy: bool, amount: bool) -> Finding:
    if places := exact_places(source, words, amount=amount):
        return Finding("exact", places)
    if places := folded_places(source, words, amount=amount):
        return Finding("normalised", places)
    if places := currency_places(source, words):
        return Finding("normalised", places)
    other_forms = _value_places(source, words, amount=amount)
    if other_forms is not None:
        return _normalised(other_forms)
    similar = align(source, words) if fuzzy else None
    if similar is None:
        return _MISSING
    return Finding("fuzzy", [Place(similar.start, similar.end)], similar.score)


def _value_places(source: SourceText, words: str, *, amount: bool) -> list[Place] | None:
    """Return where a text that is a number, a date or a time stands in another form; None for any other text.

    [] means that it is such a value and stands nowhere: similar digits would be another value, so no fuzzy search.
    """
    if len(words) > _MAX_VALUE_LENGTH or not any(map(str.isdecimal, words)):
        return None
    moment = _as_moment(words)
    if moment is not None:
        return find(source, moment, fuzzy=False).places
    # Not ISO: the text counts as a date if one covers all of it, and may mean several days (04/05/2024).
    light = fold(words, LIGHT)
    dates = index_dates(light)
    if any(place.start == 0 and place.end == len(words) for place in dates.places):
        return in_order(place for day in dates.days for place in source.dates.days.get(day, ()))
    return amount_places(source, light, requested=amount)


def _as_moment(words: str) -> date | time | None:
    for read in (date.fromisoformat, datetime.fromisoformat, time.fromisoformat):
        if "-" in words or ":" in words:
            try:
                return read(words)
            except ValueError:
                continue
    return None


def _place(clock: Clock) -> Place:
    return Place(clock.start, clock.end)


def _matching_clocks(source: SourceText, value: time) -> list[Clock]:
    """Return the places of a time of day; the source may omit seconds of 0."""
    wanted = value.replace(microsecond=0, tzinfo=None)
    clocks = source.clocks
    return [clock for clock in clocks if clock.time == wanted and (clock.whole or not wanted.second)]


def _moment_places(source: SourceText, value: datetime) -> list[Place]:
    """Return the places of a datetime: its date with the time beside it.

    Where the time stands elsewhere, or is midnight and not written, the date alone is a doubtful place.
    """
    # A value with a zone may have been converted by the model: its local and its UTC form are both searched.
    forms = {value.replace(tzinfo=None)} | ({value.astimezone(UTC).replace(tzinfo=None)} if value.tzinfo else set())
    places: list[Place] = []
    for form in sorted(forms):
        clocks = _matching_clocks(source, form.time())
        days = source.dates.days.get(form.date(), [])
        places += [joined for day in days for clock in clocks if (joined := _date_with_time(day, clock))]
        if clocks or form.time() == time():
            places += [day._replace(rank=max(day.rank, DOUBTFUL)) for day in days]
    best = min((place.rank for place in places), default=CLEAR)
    return in_order(place for place in places if place.rank == best)


def _date_with_time(day: Place, clock: Clock) -> Place | None:
    gap = max(clock.start - day.end, day.start - clock.end)
    if gap > _MAX_TIME_GAP:
        return None
    return Place(min(day.start, clock.start), max(day.end, clock.end), day.rank)
