"""Parses booleans, numbers and dates in the forms in which people write them."""

from __future__ import annotations

import re
import unicodedata
from datetime import date, datetime, time
from decimal import Decimal
from typing import Final

from extract.schema.plain_text import plain_number

__all__ = ["collapsed", "written_boolean", "written_moment", "written_numbers"]

_TRUE_WORDS: Final = frozenset({"true", "t", "yes", "y", "1"})
_FALSE_WORDS: Final = frozenset({"false", "f", "no", "n", "0"})

_DIGIT_GROUP_GAP: Final = re.compile(r"(?<=\d)[\s'\u2019\u066c](?=\d{3}(?!\d))")
_NUMBER: Final = re.compile(r"\d+(?:[.,]\d+)*")
_CURRENCY: Final = r"(?:[^\W\d_]{1,3}\.?|[$\u00a2-\u00a5\u0e3f\u20a0-\u20cf\uff04\uffe5])?"
_AMOUNT: Final = rf"{_CURRENCY}\d[\d.,'\u2019\u066b\u066c]*{_CURRENCY}"
_NEGATIVE: Final = re.compile(rf"-{_AMOUNT}|{_CURRENCY}-(?=\d){_AMOUNT}|{_AMOUNT}-|{_CURRENCY}\({_AMOUNT}\){_CURRENCY}")
# A hyphen within a word or a range is not a sign: a sign stands apart from what is before it, and next to the number.
_SIGN: Final = rf"(?<![^\W_])(?<!\d\s)-(?={_CURRENCY}\d)"
_SIGNED: Final = re.compile(rf"{_SIGN}|\d-\s*\Z")
_SIGNIFICANT_MARK: Final = re.compile(rf"{_SIGN}|(?<=[^\W_])\#(?!\w)")  # -5 is not 5, and C# is not C

_MONTH_PREFIXES: Final = (
    "jan ene gen",
    "feb fev",
    "mar maa mrt",
    "apr avr abr",
    "may mai mei mag",
    "jun juin giu",
    "jul juil lug",
    "aug aou ago",
    "sep set",
    "oct okt out ott",
    "nov",
    "dec dez dic",
)
_MONTHS: Final = {prefix: month for month, row in enumerate(_MONTH_PREFIXES, start=1) for prefix in row.split()}
_CLOCK: Final = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?\s*([ap]\.?m)?", re.IGNORECASE)
_YEAR_FIRST: Final = re.compile(r"(?<!\d)(\d{4})\s*[-/.\u5e74]\s*(\d{1,2})\s*[-/.\u6708]\s*(\d{1,2})(?!\d)")
_YEAR_LAST: Final = re.compile(r"(?<!\d)(\d{1,2})\s*[-/. ]\s*(\d{1,2})\s*[-/. ]\s*(\d{4}|\d{2})(?!\d)")


def collapsed(text: str) -> str:
    """Return a text in NFKC, case-folded, with every run of blanks and punctuation as one blank.

    The sign of a number stays, "(12.50)" becoming "-12 50", and so does the mark of "C#".
    """
    folded = _with_plain_minus(unicodedata.normalize("NFKC", text).casefold())
    if _is_negative_amount(folded):
        folded = "-" + re.sub("[-()]", "", folded).strip()
    significant = {mark.start() for mark in _SIGNIFICANT_MARK.finditer(folded)}
    # By category, as `\W` would split Devanagari and Thai words at their vowel signs.
    spaced = "".join(
        " " if unicodedata.category(letter)[0] in "PZC" and place not in significant else letter
        for place, letter in enumerate(folded)
    )
    return " ".join(spaced.split()) or folded.strip()


def _with_plain_minus(text: str) -> str:
    return text.replace("\u2212", "-")


def _is_negative_amount(text: str) -> bool:
    """Return whether a text is one negative amount and nothing else: "-$5", "(5.00)", "5.00-"."""
    return _NEGATIVE.fullmatch("".join(text.split())) is not None


def written_boolean(text: str) -> bool | None:
    """Return the boolean for yes, no, y, n, t, f, 1, 0, true or false in any case; None for any other text."""
    word = text.strip().casefold()
    return True if word in _TRUE_WORDS else False if word in _FALSE_WORDS else None


def written_numbers(text: str) -> frozenset[Decimal]:
    """Return what number a text such as "RM9.00", "1.234,50 €" or "(12.00)" may mean; empty unless it holds one only.

    A single separator before exactly three digits ("1.234") can be read in two ways: both are returned.
    """
    plain = plain_number(text)
    certain = frozenset() if plain is None else frozenset({plain})
    tokens = _NUMBER.findall(_DIGIT_GROUP_GAP.sub("", text).replace("\u066b", "."))
    if len(tokens) != 1:
        return certain
    text = _with_plain_minus(text)
    sign = -1 if _is_negative_amount(text) or _SIGNED.search(text) else 1
    return certain | {sign * Decimal(reading) for reading in _readings(tokens[0])}


def _readings(token: str) -> tuple[str, ...]:
    """Return the ways to read digits with dots and commas, in plain notation."""
    marks = [mark for mark in token if mark in ".,"]
    if not marks:
        return (token,)
    head, tail = token.rsplit(marks[-1], 1)
    whole_head = head.replace(".", "").replace(",", "")
    decimal, whole = f"{whole_head}.{tail}", whole_head + tail
    if len(set(marks)) == 2:
        return (decimal,)
    if len(marks) > 1:
        return (whole,)
    return (decimal, whole) if len(tail) == 3 and len(head) <= 3 and head != "0" else (decimal,)


def written_moment(text: str, *, day_first: bool) -> date | None:
    """Return the date in a text, as a datetime where it has a time too; None where it has no valid date.

    Accepts ISO 8601, year-month-day, day-month-year (month first if `day_first` is False or nothing else fits) and
    month names in seven languages. Two-digit years lie between 1969 and 2068.
    """
    clock = _CLOCK.search(text)
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return _loose_moment(text, clock, day_first)
    return moment if clock else moment.date()


def _loose_moment(text: str, clock: re.Match[str] | None, day_first: bool) -> date | None:
    numbers = _date_numbers(_CLOCK.sub(" ", text), day_first)
    if numbers is None:
        return None
    try:
        day = date(*numbers)
        return datetime.combine(day, _clock_time(clock)) if clock else day
    except ValueError:
        return None


def _clock_time(match: re.Match[str]) -> time:
    hour, minute, second, half = match.groups()
    shift = {"a": 0, "p": 12}.get((half or "").lower()[:1])
    return time(int(hour) if shift is None else int(hour) % 12 + shift, int(minute), int(second or 0))


def _date_numbers(text: str, day_first: bool) -> tuple[int, int, int] | None:
    """Return (year, month, day) as written; such a day need not exist."""
    if match := _YEAR_FIRST.search(text):
        return int(match[1]), int(match[2]), int(match[3])
    if match := _YEAR_LAST.search(text):
        first, second = int(match[1]), int(match[2])
        day, month = (first, second) if (day_first and second <= 12) or first > 12 else (second, first)
        return _full_year(match[3]), month, day
    return _named_month_numbers(text)


def _named_month_numbers(text: str) -> tuple[int, int, int] | None:
    """Return (year, month, day) of "10 MAR 2018", "March 10, 2018", "10. März 18" or "2018 Mar 10"."""
    letters = unicodedata.normalize("NFKD", text.casefold())
    unaccented = "".join(letter for letter in letters if not unicodedata.combining(letter))
    # The last name counts: a weekday ("mardi", "martes") looks like a month and stands before it.
    months = [_MONTHS.get(word[:4]) or _MONTHS.get(word[:3]) for word in re.findall(r"[^\W\d_]+", unaccented)]
    named = [month for month in months if month]
    numbers = re.findall(r"\d+", unaccented)
    if not named or len(numbers) != 2:
        return None
    day, year = reversed(numbers) if len(numbers[0]) == 4 else numbers
    if len(day) > 2 or len(year) > 4:  # not numbers of a date
        return None
    return _full_year(year), named[-1], int(day)


def _full_year(digits: str) -> int:
    year = int(digits)
    return year if len(digits) > 2 else year + (2000 if year < 69 else 1900)
