"""Grounding: where in a source text each extracted value stands.

`folding` normalises texts and keeps the offsets of the original; `boundaries` says where words and numbers may be cut,
`money` what may touch a number, `signs` which signs belong to a value; `numbers`, `months`, `date_words` and `moments`
parse numbers, dates and times as people write them; `source` caches what is computed once per text, `readings` has the
other orders in which it can be read. `leaves` (with `labels` and `amount_names`) lists the values to search for;
`text_search`, `amounts` and `alignment` find texts, `findings` finds values of any kind, `choice` picks one of several
places, `ground` returns the spans.
"""

from extract.documents.grounding.alignment import load_rapidfuzz
from extract.documents.grounding.ground import ground
from extract.documents.grounding.labels import Labels
from extract.documents.grounding.source import SourceText

__all__ = ["Labels", "SourceText", "ground", "load_rapidfuzz"]
