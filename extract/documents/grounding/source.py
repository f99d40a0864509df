"""A source text made ready once: its folded forms, the numbers and dates in it, and what was found before."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import accumulate, islice
from typing import Any

from extract.documents.grounding.borders import begins_word
from extract.documents.grounding.folding import BARE, LIGHT, Folded, fold
from extract.documents.grounding.moments import Clock, Dates, index_dates, read_clocks
from extract.documents.grounding.numbers import NumberIndex, index_numbers

__all__ = ["SourceText"]


class SourceText:
    """A text in which values are looked for; what is worked out for one value serves the next.

    `page_starts` are the places, in code points, at which the pages of a document begin, the first (0) included; () for
    a text without pages.
    """

    def __init__(self, text: str, *, page_starts: Sequence[int] = ()) -> None:
        self.text = text
        self.page_starts = tuple(page_starts)
        self.known: dict[Any, Any] = {}
        self._names: dict[str, list[int]] = {}

    @classmethod
    def of_pages(cls, pages: Iterable[str], *, joint: str = "\n") -> SourceText:
        """Return the source whose text is that of the pages, one after the other with `joint` between them."""
        texts = list(pages)
        ends = accumulate(len(text) + len(joint) for text in texts)
        return cls(joint.join(texts), page_starts=[0, *ends][: len(texts)])

    @cached_property
    def light(self) -> Folded:
        return fold(self.text, LIGHT)

    @cached_property
    def bare(self) -> Folded:
        return fold(self.text, BARE)

    @cached_property
    def dates(self) -> Dates:
        return index_dates(self.light)

    @cached_property
    def clocks(self) -> list[Clock]:
        return list(read_clocks(self.light))

    @cached_property
    def numbers(self) -> NumberIndex:
        return index_numbers(self.light, self.dates.places)

    def page_of(self, place: int) -> int | None:
        """Return the page of a place, from 1; None where the source has no pages."""
        return bisect_right(self.page_starts, place) if self.page_starts else None

    def bare_spans(self, needle: str) -> Iterator[tuple[int, int]]:
        """Yield the spans of the original at which a bare text stands, with whole characters."""
        for start in occurrences(self.bare.text, needle):
            span = self.bare.span(start, start + len(needle))
            if span is not None:
                yield span

    def bare_places(self, seed: str, most: int) -> list[int]:
        """Return where a piece stands in the bare text; [] where that is more often than `most`."""
        key = ("seed", seed)
        if key not in self.known:
            places = list(islice(occurrences(self.bare.text, seed), most + 1))
            self.known[key] = places if len(places) <= most else []
        found: list[int] = self.known[key]
        return found

    def ends_of_name(self, name: str) -> list[int]:
        """Return where the words of a field's name end in the text: the whole name, else its longer words."""
        if name not in self._names:
            self._names[name] = self._find_name(name)
        return self._names[name]

    def _find_name(self, name: str) -> list[int]:
        words = [word for word in name.replace("_", " ").replace("-", " ").split() if len(word) > 2]
        for phrases in (["".join(name.split("_"))], words):
            needles = filter(None, (fold(phrase, BARE).text for phrase in phrases))
            spans = (span for needle in needles for span in self.bare_spans(needle))
            if ends := sorted({end for start, end in spans if begins_word(self.text, start)}):
                return ends
        return []


def occurrences(text: str, needle: str) -> Iterator[int]:
    """Yield where a text begins in another, overlapping ones included."""
    start = text.find(needle)
    while start >= 0:
        yield start
        start = text.find(needle, start + 1)
