"""Long texts: cut into overlapping windows at paragraphs, sentences or pages, with exact offsets. Nothing is sent."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from extract.documents.windows.graphemes import last_border, next_border
from extract.errors import BadRecord, ConfigError

if TYPE_CHECKING:
    from semantic_text_splitter import TextSplitter

__all__ = ["Choice", "Rule", "Union", "Window", "Windows", "count", "cut", "load_splitter"]

_SLACK = 200  # characters: a sentence or two
_LOOKAHEAD = 64  # characters behind a limit, by which the splitter sees whether a word or sentence goes on

Choice: TypeAlias = Literal["first", "last", "longest", "vote"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Union:
    """Lists of several windows become one, in the order of the text, without what two windows tell of the same thing.

    Items whose fields `by` are equal are one item, whose fields are merged in turn; without `by`, items that are equal
    as a whole are one (but for case, blanks and empty fields). `repeats` says whether equal items are all kept where
    they stand in different places: only what can lie in text that two windows share is then one item. None: so it is
    for objects without `by`, as a line may stand twice in an invoice; plain values, such as tags, are kept once.
    Items of one answer are never merged with each other. Fields are named as in the schema that is sent.
    """

    by: tuple[str, ...] = ()
    repeats: bool | None = None

    def __post_init__(self) -> None:
        by: Any = self.by
        if isinstance(by, str):
            raise ConfigError(f"by takes a tuple of field names: by=({by!r},)")
        object.__setattr__(self, "by", tuple(by))


Rule: TypeAlias = Choice | Literal["union"] | Union
_RULES = (*get_args(Choice), "union")
_RULES_TOLD = "first, last, longest, vote, union and Union(...)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """How a text that is too long for one request is asked about in parts, and how the answers become one.

    `column` names the column that holds it, a text or a file with a text; None is for an extractor that reads only one,
    or only optional ones.

    A window holds at most `characters` code points, about four to a token of English; it is longer only where one
    grapheme cluster is. It ends at a paragraph, a line or a sentence where there is one in its second half, and begins
    at least `overlap` before the end of the one before: what is no longer than that lies whole in a window.

    `passes` above 1 read the text again with borders shifted by a part of a window, so that what is missed or cut in
    one is whole in another. `pages` makes windows hold whole pages, as many as fit, behind the overlap; a page that
    does not fit is cut like any text.

    `merge` names a rule for a field, or for a path such as `vendor.name` or `items[].price`: `first`, `last`,
    `longest` and `vote` choose among the answers that are not empty, `union` or `Union(...)` joins lists. Without
    a rule, objects are merged by field, lists are joined, and of anything else the first counts.
    """

    column: str | None = None
    characters: int = 20_000
    overlap: int = 1_000
    passes: int = 1
    pages: bool = False
    merge: Mapping[str, Rule] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        for name in ("characters", "overlap", "passes"):
            if type(number := getattr(self, name)) is not int:
                raise ConfigError(f"windows: {name} must be a whole number, not {number!r}")
        if not isinstance(self.merge, Mapping) or not all(isinstance(path, str) for path in self.merge):
            raise ConfigError(f"merge takes a mapping of fields to rules, not {self.merge!r}")
        if self.characters < 1:
            raise ConfigError(f"a window holds at least one character, not {self.characters}")
        if not 0 <= self.overlap <= self.characters // 2:
            raise ConfigError(f"overlap must be 0 to half of {self.characters} characters, not {self.overlap}")
        if self.passes < 1:
            raise ConfigError(f"passes must be 1 or more, not {self.passes}")
        object.__setattr__(self, "merge", dict(self.merge))
        for path, rule in self.merge.items():
            if not isinstance(rule, Union) and rule not in _RULES:
                raise ConfigError(
                    f"merge: {path!r} has the rule {rule!r}; there are {', '.join(_RULES)} and Union(...)"
                )


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of a text, `text == source[start:end]`; `number` counts the windows of a text from 1.

    `pages` are the first and the last page, from 1, of which it holds text; None where the text has no pages.
    """

    number: int
    start: int
    end: int
    text: str = field(repr=False)
    pages: tuple[int, int] | None = None
    pass_number: int = 1


def cut(text: str, windows: Windows, page_starts: Sequence[int] | None = None) -> list[Window]:
    """Return the windows of a text, pass after pass: one where all of it fits, however many passes.

    The windows of a pass cover the text; those that equal one of an earlier pass are left out, as they would ask the
    same again. Pages begin at `page_starts`, or behind each form feed. Raises ConfigError where the splitter is not
    installed and needed, BadRecord for text that holds half a character.
    """
    pages = _pages(text, page_starts)
    spans = _spans(text, windows, pages)
    return [
        Window(number, start, end, text[start:end], _pages_within(start, end, pages), pass_number)
        for number, (start, end, pass_number) in enumerate(spans, start=1)
    ]


def count(text: str, windows: Windows, page_starts: Sequence[int] | None = None) -> int:
    """Return how many windows `cut` makes of a text: that many questions it takes, repairs and retries aside."""
    return len(_spans(text, windows, _pages(text, page_starts)))


def _pages(text: str, page_starts: Sequence[int] | None) -> tuple[int, ...]:
    if page_starts is None:
        behind = [feed.end() for feed in re.finditer("\f", text)]
        return (0, *(start for start in behind if start < len(text))) if behind else ()
    starts = tuple(page_starts)
    if starts and (starts[0] != 0 or starts[-1] > len(text) or any(one > other for one, other in pairwise(starts))):
        raise ConfigError(f"page_starts must rise from 0 to at most {len(text)}, the length of the text")
    return starts


def _pages_within(start: int, end: int, pages: Sequence[int]) -> tuple[int, int] | None:
    if not pages:
        return None
    first = max(1, bisect_right(pages, start))
    return first, max(first, bisect_left(pages, end))


def _spans(text: str, windows: Windows, pages: Sequence[int]) -> list[tuple[int, int, int]]:
    """Return start, end and pass of each window."""
    if len(text) <= windows.characters:
        return [(0, len(text), 1)]
    cutter = _Cutter(text, windows, tuple(last_border(text, page) for page in pages) if windows.pages else ())
    spans: dict[tuple[int, int], int] = {}
    for pass_number, borders in enumerate(cutter.passes(), start=1):
        for border, end in pairwise(borders):
            spans.setdefault((cutter.start(border), end), pass_number)
    return [(*span, pass_number) for span, pass_number in spans.items()]


@dataclass(frozen=True, slots=True)
class _Cutter:
    """Finds the borders of a text: the ends of its windows. Each window begins before the border that it follows."""

    text: str
    windows: Windows
    pages: tuple[int, ...]

    @property
    def slack(self) -> int:
        """How far a border may be moved to where a sentence begins."""
        return min(_SLACK, self.windows.characters // 10)

    def passes(self) -> Iterator[list[int]]:
        """Yield the borders of each pass, from 0 to the end of the text."""
        first = self.first_pass()
        yield first
        for number in range(1, self.windows.passes):
            yield self.shifted(first, number / self.windows.passes)

    def first_pass(self) -> list[int]:
        borders = [0]
        while borders[-1] < len(self.text):
            borders.append(self.end(borders[-1]))
        return borders

    def shifted(self, first: list[int], share: float) -> list[int]:
        """Return borders that lie inside the windows of the first pass, a share of the way into each.

        Were they found as those of the first pass are, both would soon meet at the same chapter. Where two of them
        lie too far apart for one window, the border between stays.
        """
        borders = [0]
        inside = [self.inner(low, high, share) for low, high in pairwise(first)]
        for point in [*(point for point in inside if point is not None), len(self.text)]:
            if point - self.start(borders[-1]) > self.windows.characters:
                borders += first[bisect_right(first, borders[-1]) : bisect_left(first, point)]
            borders.append(point)
        return borders

    def inner(self, low: int, high: int, share: float) -> int | None:
        """Return the border nearest to a share of the way between two others, None where there is none to take."""
        target = low + round((high - low) * share)
        pages = self.pages[bisect_right(self.pages, low) : bisect_left(self.pages, high)]
        if pages:
            return min(pages, key=lambda page: abs(page - target))
        if low in self.pages and (high in self.pages or high == len(self.text)):
            return None  # one page, and whole it shall stay
        point = last_border(self.text, self.good_break(max(low, target - self.slack), target))
        return point if low < point < high else None

    def start(self, border: int) -> int:
        """Return where the window behind a border begins: the overlap before it, or up to the slack earlier."""
        target = border - self.windows.overlap
        if target == border or target <= 0:
            return max(target, 0)
        return last_border(self.text, self.good_break(max(0, target - self.slack), target))

    def end(self, border: int) -> int:
        """Return the end of the window behind a border, in the first pass."""
        # Windows of further passes need room for borders that were moved; those of the first pass leave it to them.
        moved = self.windows.passes > 1 and not self.pages
        most = self.windows.characters - (2 * self.slack if moved else 0)
        # A cluster longer than half a window may have pushed the start so far back that next to nothing would fit.
        limit = max(self.start(border) + most, border + (most - self.windows.overlap) // 2)
        if limit >= len(self.text):
            return len(self.text)
        page = self.pages[bisect_right(self.pages, limit) - 1] if self.pages else 0
        if page > border:
            return page
        end = last_border(self.text, self.good_break(border, limit))
        return end if end > border else next_border(self.text, max(limit, border + 1))

    def good_break(self, low: int, high: int) -> int:
        """Return a break between two positions: the highest kind there is in the second half, the last of its kind."""
        found = low
        # The splitter stops before a long paragraph however little it has; the next round then breaks that up.
        while 2 * (found - low) < high - low:
            found += _first_piece(self.text[found : high + _LOOKAHEAD], high - found)
        return found


def _first_piece(text: str, most: int) -> int:
    """Return the length of the first piece of a text that is too long for one."""
    try:
        return len(load_splitter()(most, trim=False).chunks(text)[0])
    except UnicodeError as error:
        raise BadRecord(f"the record holds text that is no Unicode: {error}") from None


def load_splitter() -> type[TextSplitter]:
    """Return the splitter. Raises ConfigError where the extra is not installed."""
    try:
        from semantic_text_splitter import TextSplitter  # noqa: PLC0415 - an extra
    except ImportError:
        told = "cutting long texts needs semantic-text-splitter: pip install 'extract-interactions[documents]'"
        raise ConfigError(told) from None
    return TextSplitter
