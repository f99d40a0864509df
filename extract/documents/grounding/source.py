"""A source text with what is computed once for it: folded forms, numbers, dates, and earlier search results."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from itertools import islice
from typing import Any, Final

from extract.documents.grounding.boundaries import begins_word
from extract.documents.grounding.folding import BARE, LIGHT, Folded, fold
from extract.documents.grounding.moments import Clock, Dates, index_dates, read_clocks
from extract.documents.grounding.numbers import NumberIndex, index_numbers
from extract.documents.grounding.span import Box

__all__ = ["LONG", "SourceText", "occurrences"]

LONG: Final = 64  # code points; below, a search that begins one further on costs next to nothing


class SourceText:
    """A text in which values are searched; what is computed for one value is cached for the next.

    `page_starts` are the offsets, in code points, at which the pages of a document begin, 0 included; () for a text
    without pages. `readings` are other orders in which parts of the text can be read, each as a row of its spans: down
    the columns of a table, say. `boxes` returns where on its pages a span of the text stands.
    """

    def __init__(
        self,
        text: str,
        *,
        page_starts: Sequence[int] = (),
        readings: Sequence[Sequence[tuple[int, int]]] = (),
        boxes: Callable[[int, int], tuple[Box, ...]] | None = None,
    ) -> None:
        self.text = text
        self.boxes: Callable[[int, int], tuple[Box, ...]] = boxes or (lambda _start, _end: ())
        self.page_starts: tuple[int, ...] = tuple(page_starts)
        self.readings: Sequence[Sequence[tuple[int, int]]] = readings
        # Findings and seed places: answers repeat values, and the windows and samples of a record share their source.
        self.known: dict[Any, Any] = {}
        self._names: dict[str, list[int]] = {}

    @cached_property
    def light(self) -> Folded:
        """The text in light form, which keeps its shape."""
        return fold(self.text, LIGHT)

    @cached_property
    def bare(self) -> Folded:
        """The text in bare form: letters, digits and symbols only."""
        return fold(self.text, BARE)

    @cached_property
    def dates(self) -> Dates:
        """All dates of the text."""
        return index_dates(self.light)

    @cached_property
    def clocks(self) -> list[Clock]:
        """All times of day of the text, in order."""
        return list(read_clocks(self.light))

    @cached_property
    def numbers(self) -> NumberIndex:
        """The places of each number of the text."""
        return index_numbers(self.light, self.dates.places)

    def page_of(self, place: int) -> int | None:
        """Return the page of an offset, from 1; None where the source has no pages."""
        return bisect_right(self.page_starts, place) if self.page_starts else None

    def bare_spans(self, needle: str) -> Iterator[tuple[int, int]]:
        """Yield the spans of the original at which a bare text stands, of whole code points only."""
        origins = self.bare.origins
        for start in occurrences(self.bare.text, needle, lambda place: begins_word(self.text, origins[place])):
            span = self.bare.span(start, start + len(needle))
            if span is not None:
                yield span

    def bare_places(self, seed: str, limit: int) -> list[int]:
        """Return where a seed stands in the bare text; [] where that is more often than `limit`."""
        key = ("seed", seed)
        if key not in self.known:
            places = list(islice(occurrences(self.bare.text, seed), limit + 1))
            self.known[key] = places if len(places) <= limit else []
        stored: list[int] = self.known[key]
        return stored

    def ends_of_name(self, name: str) -> list[int]:
        """Return where a field's name ends in the text: the whole name, else its words of three letters or more."""
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


def occurrences(text: str, needle: str, begins: Callable[[int], bool] | None = None) -> Iterator[int]:
    """Yield where a text begins in another, overlapping occurrences included.

    Of a long needle only the places at which a word `begins`: a row of equal digits would begin at each of them.
    """
    start = text.find(needle)
    while start >= 0:
        yield start
        start += 1
        if begins is not None and len(needle) > LONG:
            start = next((place for place in range(start, len(text)) if begins(place)), len(text))
        start = text.find(needle, start)
