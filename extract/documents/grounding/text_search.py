"""Finds a text in a source: exactly, or but for case, width, blanks, hyphens, punctuation and vowel points."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from itertools import islice
from typing import Final

from extract.documents.grounding.boundaries import stands_alone, with_silent_marks
from extract.documents.grounding.folding import BARE, LIGHT, fold
from extract.documents.grounding.places import CLEAR, DOUBTFUL, UNLIKELY, Place
from extract.documents.grounding.source import SourceText, occurrences

__all__ = ["exact_places", "folded_places"]

_MAX_PLACES: Final = 10_000  # of one value; more would not improve the choice
_DIGITS: Final = re.compile(r"\d+")
_POINT: Final = re.compile(r"[.,]")
_GROUPING: Final = re.compile(r"[ .,']{1,2}")
# Digits; a number this long is a telephone number or an identifier, which people group as they like.
_IDENTIFIER_LENGTH: Final = 7


def exact_places(source: SourceText, text: str) -> list[Place]:
    """Return where the text stands exactly as it is, in order."""
    spans = ((start, start + len(text)) for start in occurrences(source.text, text))
    places = [
        Place(*span) for span in islice((span for span in spans if stands_alone(source.text, *span)), _MAX_PLACES)
    ]
    return _with_dates_demoted(source, places, text)


def folded_places(source: SourceText, text: str) -> list[Place]:
    """Return where the folded text stands, in order; places with the same blanks and punctuation rank first."""
    needle, light = fold(text, BARE).text, _shape(text)
    spans = islice(_folded_spans(source, needle, light), _MAX_PLACES) if needle else ()
    places = [_ranked(source, light, *span) for span in spans]
    return _with_dates_demoted(source, places, text)


def _folded_spans(source: SourceText, needle: str, light: str) -> Iterator[tuple[int, int]]:
    # The bare text has lost all punctuation, so "9.00" also finds "900": the digits are compared in light form again.
    for start, end in source.bare_spans(needle):
        start, end = _with_edges(source.text, light, start, with_silent_marks(source.text, end))
        if stands_alone(source.text, start, end) and digits_agree(light, _shape(source.text[start:end])):
            yield start, end


def _shape(text: str) -> str:
    return " ".join(fold(text, LIGHT).text.split())


def _ranked(source: SourceText, light: str, start: int, end: int) -> Place:
    return Place(start, end, CLEAR if _shape(source.text[start:end]) == light else DOUBTFUL)


def _with_dates_demoted(source: SourceText, places: list[Place], text: str) -> list[Place]:
    """Return the places of a text; if it is mere digits and has several, those inside dates become unlikely."""
    if len(places) < 2 or any(map(str.isalpha, text)):
        return places
    return [_demoted(place, source.dates.places) for place in places]


def _demoted(place: Place, dates: list[Place]) -> Place:
    nearest = bisect_right(dates, (place.start, float("inf"))) - 1
    if nearest < 0 or place.end > dates[nearest].end or place[:2] == dates[nearest][:2]:
        return place
    return place._replace(rank=UNLIKELY)


def _with_edges(text: str, light: str, start: int, end: int) -> tuple[int, int]:
    """Return a span extended by the punctuation, such as brackets, that the text also begins or ends with."""
    first = next((index for index, letter in enumerate(light) if BARE[ord(letter)]), 0)
    for sign in reversed(light[:first]):
        if start == 0 or LIGHT[ord(text[start - 1])] != sign:
            break
        start -= 1
    last = next((index for index, letter in enumerate(reversed(light)) if BARE[ord(letter)]), 0)
    for sign in light[len(light) - last :]:
        if end == len(text) or LIGHT[ord(text[end])] != sign:
            break
        end += 1
    return start, end


def digits_agree(expected: str, actual: str) -> bool:
    """Return whether two texts that differ in blanks and punctuation only write the same numbers: 9.00 is not 900."""
    cuts, other = _cuts(expected), _cuts(actual)
    # Cut at the same digits: in a text with letters any separator will do, in a mere number points must match points.
    if cuts.keys() == other.keys():
        worded = any(map(str.isalpha, expected))
        return worded or all(bool(_POINT.search(cuts[at])) == bool(_POINT.search(other[at])) for at in cuts)
    # A cut that only one of them has must group thousands, or the number is an identifier without a decimal point.
    long = sum(map(str.isdigit, expected)) >= _IDENTIFIER_LENGTH
    return all(
        _is_grouping(side, at) or (long and not _POINT.search(side[at]))
        for side in (cuts, other)
        for at in side.keys() - (cuts.keys() & other.keys())
    )


def _cuts(text: str) -> dict[int, str]:
    """Return the separators between the digits of a text, by the number of digits before; the end counts as one."""
    cuts: dict[int, str] = {}
    count, before = 0, 0
    for match in _DIGITS.finditer(text):
        if count:
            cuts[count] = text[before : match.start()]
        count, before = count + len(match[0]), match.end()
    cuts[count] = ""
    return cuts


def _is_grouping(cuts: dict[int, str], at: int) -> bool:
    following = min((place for place in cuts if place > at), default=at)
    return following - at == 3 and _GROUPING.fullmatch(cuts[at]) is not None
