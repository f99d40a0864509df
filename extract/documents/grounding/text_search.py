"""Finds a text in a source: exactly, or but for case, width, blanks, hyphens, punctuation and vowel points."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from functools import lru_cache, partial
from itertools import islice, pairwise
from typing import Final

from extract.documents.grounding.boundaries import begins_word, stands_alone, with_silent_marks
from extract.documents.grounding.folding import BARE, LIGHT, fold
from extract.documents.grounding.places import CLEAR, DOUBTFUL, UNLIKELY, Place
from extract.documents.grounding.signs import edges_of, is_signed, stands_signed
from extract.documents.grounding.source import LONG, SourceText, occurrences

__all__ = ["digits_agree", "exact_places", "folded_places"]

_MAX_PLACES: Final = 10_000  # of one value; more would not improve the choice
_DIGITS: Final = re.compile(r"\d+")
_POINT: Final = re.compile(r"[.,]")
_GROUPING: Final = re.compile(r"[ .,']{1,2}")
# Digits; a number this long is a telephone number or an identifier, which people group as they like.
_IDENTIFIER_LENGTH: Final = 7
_GROUP_LENGTH: Final = 3
_MAX_WORK: Final = 50_000  # code points compared in search of one long value


def exact_places(source: SourceText, text: str, *, amount: bool = False) -> list[Place]:
    """Return where the text stands exactly as it is, in order.

    Before an `amount` a sign may stand that the text has not: "5.59" is that of "Discount -5.59".
    """
    size = len(text)
    starts = islice(occurrences(source.text, text, partial(begins_word, source.text)), _max_tried(text))
    spans = ((start, start + size) for start in starts if stands_alone(source.text, start, start + size))
    # Most texts have no sign at their edges, and most source texts none before a text.
    if text[0].isalnum() and text[-1].isalnum():
        signed = partial(is_signed, source.text, digits=size if text.isdecimal() else 0)
        places = (span for span in spans if amount or not text[0].isdecimal() or not signed(span[0]))
    else:
        edges = edges_of(fold(text, LIGHT).text)
        first, last = _spoken_span(text)
        signs = partial(stands_signed, source.text, edges=edges, amount=amount)
        places = (span for span in spans if signs(span[0] + first, span[0] + last))
    return _with_dates_demoted(source, [Place(*span) for span in islice(places, _MAX_PLACES)], text)


def folded_places(source: SourceText, text: str, *, amount: bool = False) -> list[Place]:
    """Return where the folded text stands, in order; places with the same blanks and punctuation rank first."""
    needle, light = fold(text, BARE).text, _shape(text)
    spans = islice(_folded_spans(source, needle, light, amount=amount), _MAX_PLACES) if needle else ()
    places = [_ranked(source, light, *span) for span in spans]
    return _with_dates_demoted(source, places, text)


def _max_tried(text: str) -> int | None:
    """Return at how many places a text is compared: a long one that repeats itself may begin at each of its words."""
    return 1 + _MAX_WORK // len(text) if len(text) > LONG else None


def _spoken_span(text: str) -> tuple[int, int]:
    """Return where a text has its first letter or digit, and the end of its last; all of it without any."""
    spoken = [index for index, char in enumerate(text) if BARE[ord(char)]]
    return (spoken[0], spoken[-1] + 1) if spoken else (0, len(text))


def _folded_spans(source: SourceText, needle: str, light: str, *, amount: bool) -> Iterator[tuple[int, int]]:
    # The bare text has lost all punctuation, so "9.00" also finds "900": digits and signs are compared again.
    edges = edges_of(light)
    for start, end in islice(source.bare_spans(needle), _max_tried(needle)):
        end = with_silent_marks(source.text, end)
        low, high = _with_edges(source.text, light, start, end)
        if (
            stands_alone(source.text, low, high)
            and stands_signed(source.text, start, end, edges, amount=amount)
            and digits_agree(light, _shape(source.text[low:high]))
        ):
            yield low, high


@lru_cache(maxsize=64)
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
    return _may_be_cut(cuts, other, long=long) and _may_be_cut(other, cuts, long=long)


def _may_be_cut(cuts: dict[int, str], other: dict[int, str], *, long: bool) -> bool:
    """Return whether each cut that the other side lacks groups thousands, or cuts a long identifier."""
    following = dict(pairwise(cuts))
    return all(
        (long and not _POINT.search(cut))
        or (following.get(at, at) - at == _GROUP_LENGTH and _GROUPING.fullmatch(cut) is not None)
        for at, cut in cuts.items()
        if at not in other
    )


def _cuts(text: str) -> dict[int, str]:
    """Return the separators between the digits of a text, by the number of digits before; the end counts as one.

    In order: each cut is followed by the next.
    """
    cuts: dict[int, str] = {}
    count, before = 0, 0
    for match in _DIGITS.finditer(text):
        if count:
            cuts[count] = text[before : match.start()]
        count, before = count + len(match[0]), match.end()
    cuts[count] = ""
    return cuts
