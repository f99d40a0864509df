"""Looks for a value in the other orders in which a source can be read: the cells of a table whose text wraps.

Laid out line by line, the words of such a cell have those of its neighbours between them. The other orders are put
together as one text, in which values are searched like in any other, and its places lead back to those of the source.
"""

from __future__ import annotations

from array import array
from typing import Final

from extract.documents.grounding.places import Place
from extract.documents.grounding.source import SourceText

__all__ = ["Readings", "readings_of"]

# Between two orders. Of all kinds of characters that no value begins or ends with, folding keeps only pictures.
_WALL: Final = "\n\u2588\n"
_NOWHERE: Final = -1


class Readings:
    """The other orders of a source as one text."""

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

    def place_in_source(self, place: Place) -> Place | None:
        """Return the span of the source from the first to the last letter of a place; None for one in no order."""
        origins = self._origins[place.start : place.end]
        first = min(origins, default=_NOWHERE)
        return None if first == _NOWHERE else Place(first, max(origins) + 1, place.rank)


def readings_of(source: SourceText) -> Readings | None:
    """Return the other orders of a source, put together once; None where it has none."""
    if not source.readings:
        return None
    if Readings not in source.known:
        source.known[Readings] = Readings(source)
    readings: Readings = source.known[Readings]
    return readings
