"""Grounding: where in a source text each extracted value stands.

`folding` makes texts alike and keeps the way back, `borders` says what may be cut out of a text; `numbers`, `months`
and `moments` read written forms; `source` holds what is made once for a text. Of a value, `leaves` (and `labels`) says
what can be looked for, `quotations` and `alignment` find texts, `findings` finds all kinds, `choice` picks one of
several places, and `spans` puts it together.
"""

from extract.documents.grounding.alignment import load_rapidfuzz
from extract.documents.grounding.ground import ground
from extract.documents.grounding.labels import Labels
from extract.documents.grounding.source import SourceText

__all__ = ["Labels", "SourceText", "ground", "load_rapidfuzz"]
