"""Finds dates and times of day in a text, in the forms in which people write them, and what each may mean."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, time
from typing import Final, NamedTuple
from unicodedata import normalize

from extract.documents.grounding.date_words import DAY_LINKS, ORDINAL_DAYS, YEAR_LINKS, ordinal_day
from extract.documents.grounding.folding import Folded
from extract.documents.grounding.months import month_of
from extract.documents.grounding.places import DOUBTFUL, Place, in_order

__all__ = ["Clock", "Dates", "index_dates", "read_clocks"]

_WORD: Final = r"(?P<month>[^\W\d_][^\s\d,;:/()'\"-]{1,14}?)"
_ORDINALS: Final = (
    "st|nd|rd|th|er|eme|ème|ere|ère|ste|de|te|ten|o|a|-?го|-?ого|-?й|-?я|-?е|-?e|:e|-a|-?η|'?inci|'?ıncı|'?uncu|'?üncü"
    "|ই|লা|রা|ঠা|শে|वीं|वें|वा|ஆம்|ம்"
)
_ORDINAL: Final = rf"(?: ?(?:(?:{_ORDINALS})(?![^\W\d_])|\.))?\"?"
_YEAR: Final = r"(?P<year>\d{4}|'?\d{2})"
_DAY: Final = r"(?P<day>\d{1,2})"
_NO_DIGIT: Final = r"(?![\d]|[.,/-]\d)"
_FIRST: Final = r"(?<!\d)(?<!\d[./-])"
_TO_MONTH: Final = rf"[ .,/-]{{0,3}}(?:(?:{DAY_LINKS})[ .,]{{1,2}}){{0,5}}"
_TO_YEAR: Final = rf"[ .,/-]{{0,3}}(?:(?:{YEAR_LINKS})[ .,]{{1,2}}){{0,4}}"
_NO_MARK: Final = r"(?!\d|[.,:/-]\d)"
_QUOTED: Final = r"(?=[\"\d])(?:\"(?=\d{1,2} ?\"))?"
# In this order: East Asian with year, month and day signs; year first; eight digits; numeric with the year last; day,
# month name, year; the same with the day in words; month name, day, year; year, month name, day; year, day, month name.
# A form is searched only in a text that has one of its words, where it has any: most texts have none.
_FORMS: Final = tuple(
    # A light text is decomposed, Korean syllables too.
    (tuple(normalize("NFKD", words).split()), re.compile(normalize("NFKD", form)))
    for words, form in (
        (
            "年 년",
            (
                r"(?<!\d)(?P<era>令和|平成|昭和|民國|民国)?"
                r"(?P<year>\d{1,4}) ?(?:年|년) ?(?P<number>\d{1,2}) ?(?:月|월) ?(?P<day>\d{1,2})(?: ?(?:日|号|號|일))?"
            ),
        ),
        (
            "",
            rf"{_FIRST}(?P<year>\d{{4}}) ?(?P<mark>[-/.]) ?(?P<number>\d{{1,2}}) ?(?P=mark) ?(?P<day>\d{{1,2}})(?!\d)",
        ),
        ("", r"(?<![\d.,])(?P<year>(?:19|20)\d\d)(?P<number>[01]\d)(?P<day>[0-3]\d)(?!\d|[.,]\d)"),
        ("", rf"{_FIRST}(?P<one>\d{{1,2}}) ?(?P<mark>[-/. ]) ?(?P<two>\d{{1,2}}) ?(?P=mark) ?{_YEAR}(?!\d)"),
        (
            "",
            rf"(?<![\d.,]){_QUOTED}{_DAY}{_NO_MARK}{_ORDINAL}{_TO_MONTH}(?=[^\W\d_]){_WORD}{_TO_YEAR}{_YEAR}{_NO_DIGIT}",
        ),
        (
            "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth teenth tieth prim prem",
            rf"(?<![^\W_])(?P<ordinal>{ORDINAL_DAYS}){_TO_MONTH}{_WORD}{_TO_YEAR}{_YEAR}{_NO_DIGIT}",
        ),
        (
            "",
            (
                rf"(?<![^\W\d_]){_WORD}[ .-]{{0,2}}(?:the )?{_DAY}{_NO_MARK}{_ORDINAL}"
                rf"(?:[ .,-]{{1,3}}|{_TO_YEAR}){_YEAR}{_NO_DIGIT}"
            ),
        ),
        (
            "",
            (
                rf"(?<!\d)(?P<year>\d{{4}})[ .-]{{1,3}}(?:(?:m\.|{YEAR_LINKS}) ){{0,2}}{_WORD}[ .-]{{1,2}}"
                rf"(?:(?:{DAY_LINKS}) )?{_DAY}(?!\d)"
            ),
        ),
        ("সাল", rf"(?<!\d)(?P<year>\d{{4}}) (?:{YEAR_LINKS}) {_DAY}{_ORDINAL} {_WORD}(?=[\s,.;)]|$)"),
    )
)
_ERAS: Final = {"令和": 2018, "平成": 1988, "昭和": 1925, "民國": 1911, "民国": 1911, "": 0}
_BUDDHIST: Final = 543
_CLOCK: Final = re.compile(
    normalize(
        "NFKD",
        r"(?<![\d:.,])(?P<hour>\d{1,2})"
        r"(?: ?(?:[:h時时]|시) ?(?P<minute>\d{2})|\.(?P<dotted>\d{2})(?= ?(?:uhr|h|[ap]\.?m)\b))(?: ?(?:分|분))?"
        r"(?:[:.]? ?(?P<second>(?<=[:.분分 ])\d{2})(?:\.\d{1,6}| ?(?:秒|초))?)?(?![\d:])"
        r"(?: ?(?P<half>[ap])\.? ?m\b\.?)?",
    )
)


class Clock(NamedTuple):
    """A time of day and its span; `whole` where the seconds are written too."""

    start: int
    end: int
    time: time
    whole: bool


@dataclass(frozen=True, slots=True)
class Dates:
    """The dates of a text: all `places` in order, and places by each day that they may mean in `days`."""

    places: list[Place]
    days: dict[date, list[Place]]


def index_dates(light: Folded) -> Dates:
    """Return the dates of a light text.

    Where day and month can be read in either order, the order of the text's unambiguous dates ranks first.
    """
    forms = (form for words, form in _FORMS if not words or any(word in light.text for word in words))
    matches = [(match, light.span(*match.span())) for form in forms for match in form.finditer(light.text)]
    readings = [(match, span, _readings(match)) for match, span in matches if span is not None]
    day_first = _day_first([match for match, _, days in readings if len(days) == 1])
    places_by_day: defaultdict[date, list[Place]] = defaultdict(list)
    for _, span, days in readings:
        for rank, day in enumerate(days if day_first else _month_first(days)):
            places_by_day[day].append(Place(*span, min(rank, DOUBTFUL)))
    places = in_order(Place(*span) for _, span, days in readings if days)
    return Dates(places, {day: in_order(day_places) for day, day_places in places_by_day.items()})


def _readings(match: re.Match[str]) -> list[date]:
    """Return the dates that a match may mean, day first before month first before year first."""
    parts = match.groupdict()
    if "one" in parts:
        return _numeric(parts)
    day = ordinal_day(parts["ordinal"]) if "ordinal" in parts else int(parts["day"])
    month = month_of(parts["month"]) if "month" in parts else int(parts["number"])
    year = _year(parts["year"], _ERAS[parts.get("era") or ""])
    return list(_possible((year, month, day))) if month else []


def _numeric(parts: dict[str, str]) -> list[date]:
    one, two, last = int(parts["one"]), int(parts["two"]), parts["year"]
    if parts["mark"] == " " and len(last) < 4:
        return []  # "1 12 18" is a row of numbers
    # Day first, month first, and, where the first number may be a year (18-03-26), year first.
    orders = [(_year(last), two, one), (_year(last), one, two)]
    if len(last) == 2 and len(parts["one"]) == 2:
        orders.append((_year(parts["one"]), two, int(last)))
    return list(dict.fromkeys(day for order in orders for day in _possible(order)))


def _possible(order: tuple[int, int, int]) -> Iterator[date]:
    year, month, day = order
    if 2400 <= year <= 2700:  # Thai documents count years from the Buddha's death
        year -= _BUDDHIST
    if 1 <= year <= 9999 and 1 <= month <= 12 and 1 <= day <= 31:
        try:
            yield date(year, month, day)
        except ValueError:
            return


def _year(digits: str, before: int = 0) -> int:
    # Two digits stand for 1969 to 2068, as in POSIX; a year of an era counts from the year before its first.
    digits = digits.lstrip("'")
    year = int(digits) + before
    return year if before or len(digits) > 2 else year + (2000 if year < 69 else 1900)


def _day_first(certain: list[re.Match[str]]) -> bool:
    """Return whether at least half of the unambiguous numeric dates have their day first; True without any."""
    numeric = [match for match in certain if "one" in match.groupdict()]
    month_first = sum(int(match["two"]) > 12 for match in numeric)
    return 2 * month_first <= len(numeric)


def _month_first(days: list[date]) -> list[date]:
    return [days[1], days[0], *days[2:]] if len(days) > 1 else days


def read_clocks(light: Folded) -> Iterator[Clock]:
    """Yield the times of day of a light text, in order."""
    for match in _CLOCK.finditer(light.text):
        clock, span = _time(match), light.span(*match.span())
        if clock is not None and span is not None:
            yield Clock(*span, clock, match["second"] is not None)


def _time(match: re.Match[str]) -> time | None:
    hour, minute, second = int(match["hour"]), int(match["minute"] or match["dotted"]), int(match["second"] or 0)
    if match["half"]:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if match["half"] == "p" else 0)
    return time(hour, minute, second) if hour < 24 and minute < 60 and second < 60 else None
