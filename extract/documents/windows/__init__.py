"""Long texts: cut into overlapping windows, extracted one by one, and their answers merged into one.

`cutting` finds the boundaries, which `graphemes` keeps out of single characters; `equality` decides which items of two
windows are the same, `lists` joins lists by that, `merging` merges whole answers.
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
