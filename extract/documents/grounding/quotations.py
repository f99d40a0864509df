"""Texts found as they stand, and in another dress: case, width, blanks, hyphens, punctuation, vowel points."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from itertools import islice
from typing import Final

from extract.documents.grounding.borders import stands_alone, with_silent_marks
from extract.documents.grounding.folding import BARE, LIGHT, fold
from extract.documents.grounding.places import CLEAR, DOUBTFUL, UNLIKELY, Place
from extract.documents.grounding.source import SourceText, occurrences

__all__ = ["exact_places", "folded_places"]

_MOST: Final = 10_000  # places of one value; the rest are no better
_DIGITS: Final = re.compile(r"\d+")
_POINT: Final = re.compile(r"[.,]")
_GROUPING: Final = re.compile(r"[ .,']{1,2}")
# A number this long is a telephone number or an identifier, which people cut where they like.
_LONG_NUMBER: Final = 7


def exact_places(source: SourceText, words: str) -> list[Place]:
    """Return where the words stand as they are, in order."""
    spans = ((start, start + len(words)) for start in occurrences(source.text, words))
    found = [Place(*span) for span in islice((span for span in spans if stands_alone(source.text, *span)), _MOST)]
    return _judged(source, found, words)


def folded_places(source: SourceText, words: str) -> list[Place]:
    """Return where the words stand but for their dress, in order; places of the same shape are the better ones."""
    needle, light = fold(words, BARE).text, _shape(words)
    spans = islice(_folded_spans(source, needle, light), _MOST) if needle else ()
    found = [_ranked(source, light, *span) for span in spans]
    return _judged(source, found, words)


def _folded_spans(source: SourceText, needle: str, light: str) -> Iterator[tuple[int, int]]:
    for start, end in source.bare_spans(needle):
        start, end = _with_edges(source.text, light, start, with_silent_marks(source.text, end))
        if stands_alone(source.text, start, end) and digits_agree(light, _shape(source.text[start:end])):
            yield start, end


def _shape(words: str) -> str:
    return " ".join(fold(words, LIGHT).text.split())


def _ranked(source: SourceText, light: str, start: int, end: int) -> Place:
    return Place(start, end, CLEAR if _shape(source.text[start:end]) == light else DOUBTFUL)


def _judged(source: SourceText, places: list[Place], words: str) -> list[Place]:
    """Return the places of words; of several places of mere digits, those that are a piece of a date are unlikely."""
    if len(places) < 2 or any(map(str.isalpha, words)):
        return places
    return [_demoted(place, source.dates.places) for place in places]


def _demoted(place: Place, dates: list[Place]) -> Place:
    nearest = bisect_right(dates, (place.start, float("inf"))) - 1
    if nearest < 0 or place.end > dates[nearest].end or place[:2] == dates[nearest][:2]:
        return place
    return place._replace(rank=UNLIKELY)


def _with_edges(text: str, light: str, start: int, end: int) -> tuple[int, int]:
    """Return a span together with the signs around it that the words begin or end with too, such as brackets."""
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


def digits_agree(wanted: str, found: str) -> bool:
    """Return whether two texts that differ in blanks and punctuation only write the same numbers: 9.00 is not 900."""
    cuts, other = _cuts(wanted), _cuts(found)
    if cuts.keys() == other.keys():
        worded = any(map(str.isalpha, wanted))
        return worded or all(bool(_POINT.search(cuts[at])) == bool(_POINT.search(other[at])) for at in cuts)
    long = sum(map(str.isdigit, wanted)) >= _LONG_NUMBER
    return all(
        _is_grouping(side, at) or (long and not _POINT.search(side[at]))
        for side in (cuts, other)
        for at in side.keys() - (cuts.keys() & other.keys())
    )


def _cuts(text: str) -> dict[int, str]:
    """Return what stands between the digits of a text, by the number of digits before; its end is a cut too."""
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
