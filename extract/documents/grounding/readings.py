"""Looks for a value in the other orders in which a source can be read: the cells of a table whose text wraps.

Laid out line by line, the words of such a cell have those of its neighbours between them. The other orders are put
together as one text, in which values are searched like in any other, and its places lead back to those of the source.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from typing import Final

from extract.documents.grounding.places import Place
from extract.documents.grounding.source import SourceText
from extract.documents.grounding.span import Box

__all__ = ["Readings", "boxes_of", "readings_of"]

# Between two orders. Of all kinds of characters that no value begins or ends with, folding keeps only pictures.
_WALL: Final = "\n\u2588\n"
_NOWHERE: Final = -1


class Readings:
    """The other orders of a source as one text; `pieces` are, by span, the parts of it that belong to a value."""

    def __init__(self, source: SourceText) -> None:
        pieces: list[str] = []
        self._origins: array[int] = array("q")
        for order in source.readings:
            for start, end in order:
                pieces += [source.text[start:end], "\n"]
                self._origins.extend(range(start, end))
                self._origins.append(end - 1)
            pieces.append(_WALL)
            self._origins.extend([_NOWHERE] * len(_WALL))
        self.source: SourceText = SourceText("".join(pieces))
        self.pieces: dict[tuple[int, int], list[tuple[int, int]]] = {}

    def place_in_source(self, place: Place) -> Place | None:
        """Return the span of the source from the first to the last letter of a place; None for one in no order."""
        origins = self._origins[place.start : place.end]
        first = min(origins, default=_NOWHERE)
        if first == _NOWHERE:
            return None
        whole = Place(first, max(origins) + 1, place.rank)
        self.pieces[whole[:2]] = _stretches(origins)
        return whole


def readings_of(source: SourceText) -> Readings | None:
    """Return the other orders of a source, put together once; None where it has none."""
    if not source.readings:
        return None
    if Readings not in source.known:
        source.known[Readings] = Readings(source)
    readings: Readings = source.known[Readings]
    return readings


def boxes_of(source: SourceText, start: int, end: int) -> tuple[Box, ...]:
    """Return where on its pages a value stands: without the words of the neighbours that its span reaches over."""
    readings: Readings | None = source.known.get(Readings)
    pieces = readings.pieces.get((start, end)) if readings is not None else None
    return tuple(box for piece in pieces or [(start, end)] for box in source.boxes(*piece))


def _stretches(origins: Iterable[int]) -> list[tuple[int, int]]:
    """Return offsets as spans, those that follow each other in one."""
    spans: list[tuple[int, int]] = []
    for origin in origins:
        if spans and spans[-1][1] - 1 <= origin <= spans[-1][1]:
            spans[-1] = (spans[-1][0], origin + 1)
        else:
            spans.append((origin, origin + 1))
    return spans
