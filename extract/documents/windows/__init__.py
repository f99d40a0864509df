"""Long texts: cut into overlapping windows, each asked about by itself, and their answers merged into one.

`cutting` finds the borders, which `graphemes` keeps out of characters; `sameness` tells which items of two windows are
one, `uniting` joins lists by it, and `merging` does so for whole answers.
"""

from extract.documents.windows.cutting import Rule, Union, Window, Windows, count, cut, load_splitter
from extract.documents.windows.merging import Merged, check_rules, merge

__all__ = [
    "Merged",
    "Rule",
    "Union",
    "Window",
    "Windows",
    "check_rules",
    "count",
    "cut",
    "load_splitter",
    "merge",
]
