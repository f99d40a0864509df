"""Decides whether values from two windows are the same thing: equality, and the text that both windows contain."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from extract.documents.windows.cutting import Window

__all__ = ["Overlap", "identity", "is_empty"]

_LETTERS = re.compile("[0-9a-z]{2}")  # no word ends between two of these; other scripts may put no space between words
_TOLERANCE = 8  # characters by which the words of equal items may differ in distance


def is_empty(value: Any) -> bool:
    """Whether a value is empty: null, a blank text, an empty list or object."""
    return value is None or (isinstance(value, str) and not value.strip()) or value in ([], {})


def folded(text: str) -> str:
    """Return a text with case folded and runs of blanks collapsed."""
    return " ".join(text.casefold().split())


def identity(value: Any, *, exact: bool = False) -> Hashable:
    """Return a hashable that equal values share: of folded texts and non-empty members, or with `exact` of all."""
    if isinstance(value, dict):
        members = (name for name in sorted(value) if exact or not is_empty(value[name]))
        return "object", tuple((name, identity(value[name], exact=exact)) for name in members)
    if isinstance(value, list):
        return "list", tuple(identity(item, exact=exact) for item in value)
    if isinstance(value, str):
        return "text", value if exact else folded(value)
    return type(value) is bool, value  # to Python, True is 1, and to JSON it is not


@dataclass(frozen=True, slots=True)
class Overlap:
    """The joint folded text of two overlapping windows; the span in it that each has seen, and that both share."""

    text: str
    seen: tuple[tuple[int, int], tuple[int, int]]
    shared: tuple[int, int]
    _word_places: dict[str, list[tuple[int, int]]] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, one: Window, other: Window) -> Overlap:
        start, end = max(one.start, other.start), min(one.end, other.end)
        first, last = min(one, other, key=lambda window: window.start), max(one, other, key=lambda window: window.end)
        before = folded(first.text[: start - first.start]) + " "
        both = before + folded(first.text[start - first.start : end - first.start])
        text = both + " " + folded(last.text[end - last.start :])
        shared = len(before), len(both)
        seen = ((0, len(text)), shared) if first is last else ((0, shared[1]), (shared[0], len(text)))
        return cls(text, seen, shared)

    def max_occurrences(self, item: Any) -> int | None:
        """Return how often an item may stand in the shared text; None where that cannot be known.

        An item is counted where its rarest word stands and its other words are about as near as they ever are. Only
        words that both windows contain count: not a label, a date in another form, or a word from a heading.
        """
        word_places = [
            spans for pattern in set(_patterns(item)) if self._is_seen_by_both(spans := self._spans(pattern))
        ]
        if not word_places:
            return None
        word_places.sort(key=lambda spans: (len(spans), spans[0][0] - spans[0][1], spans))
        rarest, *others = word_places
        # The reach of a place is how far one must read from it to meet all other words of the item.
        reaches = [max((_gap(span, spans) for spans in others), default=0) for span in rarest]
        max_reach = 2 * min(reaches) + _TOLERANCE
        return sum(
            reach <= max_reach and _is_within(span, self.shared) for reach, span in zip(reaches, rarest, strict=True)
        )

    def _is_seen_by_both(self, spans: Sequence[tuple[int, int]]) -> bool:
        return all(any(_is_within(span, seen) for span in spans) for seen in self.seen)

    def _spans(self, pattern: str) -> list[tuple[int, int]]:
        """Return the spans at which a pattern matches a whole word; cached by pattern."""
        if (spans := self._word_places.get(pattern)) is None:
            matches = (match.span() for match in re.finditer(pattern, self.text))
            spans = self._word_places[pattern] = [
                span
                for span in matches
                if not any(_LETTERS.fullmatch(self.text, place - 1, place + 1) for place in span)
            ]
        return spans


def _is_within(span: tuple[int, int], outer: tuple[int, int]) -> bool:
    return outer[0] <= span[0] and span[1] <= outer[1]


def _gap(span: tuple[int, int], others: Sequence[tuple[int, int]]) -> int:
    """Return the distance of a word from the nearest of others, which are in order."""
    after = bisect_left(others, span)
    nearest = others[max(0, after - 1) : after + 1]
    return min(max(start - span[1], span[0] - end, 0) for start, end in nearest)


def _patterns(item: Any) -> Iterator[str]:
    """Yield patterns for the texts and numbers of an item, in the forms that a folded text may have them in."""
    if isinstance(item, dict | list):
        for value in item.values() if isinstance(item, dict) else item:
            yield from _patterns(value)
    elif isinstance(item, str) and not is_empty(item):
        yield re.escape(folded(item))
    elif isinstance(item, int | float) and not isinstance(item, bool):
        whole, _, part = (f"{item:,}" if isinstance(item, int) else f"{item:,f}").partition(".")
        part = part.rstrip("0")
        yield whole.replace(",", "[,.' ]?") + (f"[.,]{part}0*" if part else "(?:[.,]0+)?")
