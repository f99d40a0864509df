"""Whether what two windows tell is one thing: equality of values, and the text that both have seen."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from extract.documents.windows.cutting import Window

__all__ = ["Overlap", "identity", "is_empty"]

_LETTERS = re.compile("[0-9a-z]{2}")  # between two of them no word ends; other scripts put no space between words
_LEEWAY = 8  # characters by which equal items may be spread differently


def is_empty(value: Any) -> bool:
    """Whether a value says nothing: null, a blank text, an empty list or object."""
    return value is None or (isinstance(value, str) and not value.strip()) or value in ([], {})


def folded(text: str) -> str:
    """Return a text without what does not count: case, and how much blank there is."""
    return " ".join(text.casefold().split())


def identity(value: Any, *, exact: bool = False) -> Hashable:
    """Return what equal values have in common: texts folded, and members that say something. `exact`: all of it."""
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
    """The folded text of two windows that overlap, as one; what each has seen of it, and what both have."""

    text: str
    seen: tuple[tuple[int, int], tuple[int, int]]
    shared: tuple[int, int]
    _found: dict[str, list[tuple[int, int]]] = field(default_factory=dict, repr=False)

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

    def room(self, item: Any) -> int | None:
        """Return how often an item may stand in the shared text; None where nothing tells.

        An item stands where its rarest word does and the others are about as near as they ever are. Only words that
        both windows have seen tell something: not a label, a date in another form, or what stands in a heading.
        """
        found = [spans for pattern in set(_patterns(item)) if self._is_seen_by_both(spans := self._spans(pattern))]
        if not found:
            return None
        found.sort(key=lambda spans: (len(spans), spans[0][0] - spans[0][1], spans))
        rarest, *others = found
        reaches = [max((_gap(span, spans) for spans in others), default=0) for span in rarest]
        most = 2 * min(reaches) + _LEEWAY
        return sum(reach <= most and _is_within(span, self.shared) for reach, span in zip(reaches, rarest, strict=True))

    def _is_seen_by_both(self, spans: Sequence[tuple[int, int]]) -> bool:
        return all(any(_is_within(span, seen) for span in spans) for seen in self.seen)

    def _spans(self, pattern: str) -> list[tuple[int, int]]:
        """Return where a word stands in the text, as a whole word; each is looked for once."""
        if (spans := self._found.get(pattern)) is None:
            every = (found.span() for found in re.finditer(pattern, self.text))
            spans = self._found[pattern] = [
                span for span in every if not any(_LETTERS.fullmatch(self.text, place - 1, place + 1) for place in span)
            ]
        return spans


def _is_within(span: tuple[int, int], outer: tuple[int, int]) -> bool:
    return outer[0] <= span[0] and span[1] <= outer[1]


def _gap(span: tuple[int, int], others: Sequence[tuple[int, int]]) -> int:
    """Return how far a word is from the nearest of others, which come in order."""
    after = bisect_left(others, span)
    nearest = others[max(0, after - 1) : after + 1]
    return min(max(start - span[1], span[0] - end, 0) for start, end in nearest)


def _patterns(item: Any) -> Iterator[str]:
    """Yield patterns of the texts and numbers of an item, as they may stand in folded text."""
    if isinstance(item, dict | list):
        for value in item.values() if isinstance(item, dict) else item:
            yield from _patterns(value)
    elif isinstance(item, str) and not is_empty(item):
        yield re.escape(folded(item))
    elif isinstance(item, int | float) and not isinstance(item, bool):
        whole, _, part = (f"{item:,}" if isinstance(item, int) else f"{item:,f}").partition(".")
        part = part.rstrip("0")
        yield whole.replace(",", "[,.' ]?") + (f"[.,]{part}0*" if part else "(?:[.,]0+)?")
