"""Finds numbers in a text, in the forms in which people write them, and what each may mean."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Final

from extract.documents.grounding.folding import Folded
from extract.documents.grounding.places import CLEAR, DOUBTFUL, UNLIKELY, Place, in_order
from extract.schema.notation import written_numbers

__all__ = ["NumberIndex", "end_of_scale", "index_numbers"]

NumberIndex = dict[Decimal, list[Place]]

_RUN: Final = re.compile(r"\d+(?:[.,']\d+)*")
_SPACED: Final = re.compile(r"(?<![\d.,'])\d{1,3}(?: \d{3})+(?:[.,]\d+)?(?![\d.,']*\d)")
# A minus stands at the beginning of a word, before the number or its currency: "-5", "-RM 5", "- $5"; not in "A-5".
_MINUS: Final = re.compile(r"(?:^|[^\w)-])(- ?[^\w\s-]{0,2}[^\W\d]{0,3} ?)$")
_OPENING_BRACKET: Final = re.compile(r"(\([^\w\s()]{0,2}[^\W\d]{0,3} ?)$")
_TRAILING_MINUS: Final = re.compile(r"-(?![\w-])")
_CLOSING_BRACKET: Final = re.compile(r" ?[^\w\s()]{0,2}[^\W\d]{0,3}\)")
_SCALED: Final = re.compile(
    unicodedata.normalize(
        "NFKD",
        r" ?(?:(?:(?P<percent>%)|(?P<thousand>k|thousand|tsd|mil|mille|हज़ार)|(?P<lakh>lakhs?|लाख)"
        r"|(?P<million>m|mn|mio|million|millions|millionen|millones|milioni|миллион\w{0,2}|млн)"
        r"|(?P<crore>crores?|करोड़)|(?P<billion>bn|billions?|mrd|milliarden?|milliards?|миллиард\w{0,2}|млрд))(?!\w)"
        r"|(?P<myriad>万|萬|만)|(?P<myllion>億|亿|억))",
    )
)
_SCALES: Final = {
    "percent": Decimal("0.01"), "thousand": Decimal(1_000), "lakh": Decimal(100_000), "million": Decimal(1_000_000),
    "crore": Decimal(10_000_000), "billion": Decimal(1_000_000_000), "myriad": Decimal(10_000),
    "myllion": Decimal(100_000_000),
}  # fmt: skip
_SIGN_REACH: Final = 8  # code points before a number in which its minus may stand
_SCALE_REACH: Final = 14  # the longest scale word and its blank
_MAX_LENGTH: Final = 40  # code points; no column can hold a longer number


def index_numbers(light: Folded, dates: Sequence[Place]) -> NumberIndex:
    """Return where each number may stand in a light text; a place inside one of the `dates` is an unlikely one."""
    places_by_value: defaultdict[Decimal, list[Place]] = defaultdict(list)
    for start, end, rank in _tokens(light.text):
        if light.span(start, end) is not None:
            for value, low, high, reading_rank in _meanings(light.text, start, end):
                span = light.span(low, high)
                if span is not None:
                    places_by_value[value].append(Place(*span, max(rank, reading_rank)))
    return {value: in_order(_demoted(places, dates)) for value, places in places_by_value.items()}


def _tokens(text: str) -> Iterator[tuple[int, int, int]]:
    # A blank may group digits ("1 234") or separate two columns of a table: both readings are kept.
    spaced = [match.span() for match in _SPACED.finditer(text) if len(match[0]) <= _MAX_LENGTH]
    yield from ((start, end, DOUBTFUL) for start, end in spaced)
    starts = [start for start, _ in spaced]
    for match in _RUN.finditer(text):
        start, end = match.span()
        if end - start <= _MAX_LENGTH:
            within = bisect_right(starts, start) - 1
            covered = within >= 0 and end <= spaced[within][1]
            # "09" is more likely a part of a code or a time than a 9.
            code = text[start] == "0" and text[start + 1 : start + 2].isdecimal()
            yield start, end, DOUBTFUL if covered or code else CLEAR


def _meanings(text: str, start: int, end: int) -> Iterator[tuple[Decimal, int, int, int]]:
    """Yield what digits may mean with the signs and words around them: value, start, end, rank."""
    readings = _readings(text[start:end])
    low, high = _signed(text, start, end)
    negative = (low, high) != (start, end)
    for value in readings:
        rank = CLEAR if len(readings) == 1 else DOUBTFUL
        if negative:
            yield -value, low, high, rank
        yield value, start, end, DOUBTFUL if negative else rank
    scale = _SCALED.match(text, end, end + _SCALE_REACH)
    if scale is not None and scale.lastgroup is not None:
        factor = _SCALES[scale.lastgroup]
        yield from ((value * factor, start, scale.end(), DOUBTFUL) for value in readings)


def end_of_scale(text: str, end: int) -> int:
    """Return where the word of scale behind a number ends ("1.5 million"); `end`, that of the number, without any."""
    scale = _SCALED.match(text, end, end + _SCALE_REACH)
    return end if scale is None else scale.end()


@lru_cache(maxsize=4096)
def _readings(token: str) -> frozenset[Decimal]:
    return frozenset({Decimal(token)}) if token.isdecimal() else written_numbers(token)


def _signed(text: str, start: int, end: int) -> tuple[int, int]:
    """Return the span of a number with its minus, before or behind it, or brackets; its own span without any."""
    before = text[max(0, start - _SIGN_REACH) : start]
    if "-" in before and (minus := _MINUS.search(before)):
        return start - len(minus[1]), end
    if _TRAILING_MINUS.match(text, end):
        return start, end + 1
    if (
        "(" in before
        and (opening := _OPENING_BRACKET.search(before))
        and (closing := _CLOSING_BRACKET.match(text, end))
    ):
        return start - len(opening[1]), closing.end()
    return start, end


def _demoted(places: Sequence[Place], dates: Sequence[Place]) -> Iterator[Place]:
    for place in places:
        nearest = bisect_right(dates, (place.start, float("inf"))) - 1
        inside = nearest >= 0 and place.end <= dates[nearest].end
        yield place._replace(rank=UNLIKELY) if inside else place
