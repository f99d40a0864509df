"""Cuts long texts into overlapping windows at paragraphs, sentences or pages, with exact offsets.

A boundary is the end of a window; the next window starts one overlap before it. Invariants: the windows of a pass cover
the whole text, each boundary is greater than the one before, and no boundary cuts a grapheme cluster.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from extract.documents.windows.graphemes import boundary_at_or_after, boundary_at_or_before
from extract.errors import BadRecord, ConfigError

if TYPE_CHECKING:
    from semantic_text_splitter import TextSplitter

__all__ = ["Choice", "Rule", "Union", "Window", "Windows", "count", "cut", "load_splitter"]

_SLACK = 200  # characters: a sentence or two
_LOOKAHEAD = 64  # characters after a limit, which show the splitter whether a word or sentence continues

Choice: TypeAlias = Literal["first", "last", "longest", "vote"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Union:
    """A merge rule that joins the lists of several windows, in the order of the text, without duplicates.

    Items whose fields `by` are equal are one item, whose other fields are merged in turn; without `by`, items that are
    equal as a whole are one (case, blanks and empty fields aside). `repeats` says whether equal items from different
    places of the text are all kept; only items that can stand in text that two windows share are then merged. The
    default None means True for objects without `by`, as an invoice may have the same line twice, and False for plain
    values, such as tags. Items of one answer are never merged. Fields are named as in the schema that is sent.

    >>> windows = Windows(merge={"parties": Union(by=("name",)), "tags": Union(repeats=False)})
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """How a text that is too long for one request is cut into windows, and how their answers are merged.

    `column` names the column with the long text, as text or as a file; None is for an extractor that reads one column
    only, or optional ones only.

    A window holds at most `characters` code points, about four to a token of English, except where a single grapheme
    cluster is longer. It ends at a paragraph, a line or a sentence, if its second half has such an end, and starts at
    least `overlap` before the end of the window before: whatever is no longer than that is whole in some window.

    `passes` above 1 read the text again with shifted boundaries, so that what is cut or missed in one pass is whole in
    another. With `pages`, windows hold as many whole pages as fit after the overlap; a page that does not fit is cut
    like any text.

    `merge` maps a field, or a path such as `vendor.name` or `items[].price`, to a rule: `first`, `last`, `longest` and
    `vote` choose among the answers that are not empty, `union` or `Union(...)` joins lists. Without a rule, objects
    are merged by field, lists are joined, and of any other values the first is chosen.

    >>> windows = Windows(characters=8_000, overlap=500, merge={"total": "last", "items": Union(by=("number",))})
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
    """A part of a text, `text == source[start:end]`; `number` counts the windows of a text from 1.

    `pages` are the first and last page, from 1, whose text it holds; None where the text has no pages.
    """

    number: int
    start: int
    end: int
    text: str = field(repr=False)
    pages: tuple[int, int] | None = None
    pass_number: int = 1


def cut(text: str, windows: Windows, page_starts: Sequence[int] | None = None) -> list[Window]:
    """Return the windows of a text, pass by pass; a single one where the whole text fits, whatever the passes.

    The windows of a pass cover the text; windows equal to one of an earlier pass are left out, as their requests would
    be the same. Pages begin at `page_starts`, or after each form feed. Raises ConfigError if the splitter is needed but
    not installed, BadRecord for text that holds half a character.
    """
    pages = _pages(text, page_starts)
    spans = _window_spans(text, windows, pages)
    return [
        Window(number, start, end, text[start:end], _pages_within(start, end, pages), pass_number)
        for number, (start, end, pass_number) in enumerate(spans, start=1)
    ]


def count(text: str, windows: Windows, page_starts: Sequence[int] | None = None) -> int:
    """Return the number of windows that `cut` makes of a text: its requests, repairs and retries aside."""
    return len(_window_spans(text, windows, _pages(text, page_starts)))


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


def _window_spans(text: str, windows: Windows, pages: Sequence[int]) -> list[tuple[int, int, int]]:
    """Return start, end and pass of each window."""
    if len(text) <= windows.characters:
        return [(0, len(text), 1)]
    cutter = _Cutter(text, windows, tuple(boundary_at_or_before(text, page) for page in pages) if windows.pages else ())
    spans: dict[tuple[int, int], int] = {}
    for pass_number, boundaries in enumerate(cutter.passes(), start=1):
        for boundary, end in pairwise(boundaries):
            spans.setdefault((cutter.start(boundary), end), pass_number)
    return [(*span, pass_number) for span, pass_number in spans.items()]


@dataclass(frozen=True, slots=True)
class _Cutter:
    """Finds the boundaries of a text, which are the ends of its windows; a window starts before the last one ends."""

    text: str
    windows: Windows
    pages: tuple[int, ...]

    @property
    def slack(self) -> int:
        """The distance by which a start may move back to the start of a sentence."""
        return min(_SLACK, self.windows.characters // 10)

    def passes(self) -> Iterator[list[int]]:
        """Yield the boundaries of each pass, from 0 to the end of the text."""
        first = self.first_pass()
        yield first
        for number in range(1, self.windows.passes):
            yield self.shifted(first, number / self.windows.passes)

    def first_pass(self) -> list[int]:
        boundaries = [0]
        while boundaries[-1] < len(self.text):
            boundaries.append(self.end(boundaries[-1]))
        return boundaries

    def shifted(self, first: list[int], share: float) -> list[int]:
        """Return boundaries inside the windows of the first pass, a share of the way into each.

        If they were found like those of the first pass, both would soon meet at the same chapter. Where two of them
        are too far apart for one window, the boundary of the first pass between them stays.
        """
        boundaries = [0]
        inside = [self.shifted_boundary(low, high, share) for low, high in pairwise(first)]
        for point in [*(point for point in inside if point is not None), len(self.text)]:
            if point - self.start(boundaries[-1]) > self.windows.characters:
                boundaries += first[bisect_right(first, boundaries[-1]) : bisect_left(first, point)]
            boundaries.append(point)
        return boundaries

    def shifted_boundary(self, low: int, high: int, share: float) -> int | None:
        """Return the boundary nearest to a share of the way between two others, None where there is none."""
        target = low + round((high - low) * share)
        pages = self.pages[bisect_right(self.pages, low) : bisect_left(self.pages, high)]
        if pages:
            return min(pages, key=lambda page: abs(page - target))
        if low in self.pages and (high in self.pages or high == len(self.text)):
            return None  # a single page, which stays whole
        point = boundary_at_or_before(self.text, self.best_break(max(low, target - self.slack), target))
        return point if low < point < high else None

    def start(self, boundary: int) -> int:
        """Return the start of the window after a boundary: one overlap before it, or up to the slack earlier."""
        target = boundary - self.windows.overlap
        if target == boundary or target <= 0:
            return max(target, 0)
        return boundary_at_or_before(self.text, self.best_break(max(0, target - self.slack), target))

    def end(self, boundary: int) -> int:
        """Return the end of the window after a boundary, in the first pass."""
        # Boundaries of further passes may move by the slack at both ends: the first pass leaves room for that.
        moved = self.windows.passes > 1 and not self.pages
        capacity = self.windows.characters - (2 * self.slack if moved else 0)
        # A grapheme longer than half a window may push the start back so far that hardly anything fits: then the window
        # may exceed its limit, as each boundary must be greater than the one before.
        limit = max(self.start(boundary) + capacity, boundary + (capacity - self.windows.overlap) // 2)
        if limit >= len(self.text):
            return len(self.text)
        page = self.pages[bisect_right(self.pages, limit) - 1] if self.pages else 0
        if page > boundary:
            return page
        end = boundary_at_or_before(self.text, self.best_break(boundary, limit))
        return end if end > boundary else boundary_at_or_after(self.text, max(limit, boundary + 1))

    def best_break(self, low: int, high: int) -> int:
        """Return a break between two positions: of the highest level in the second half, the last of that level."""
        break_at = low
        # The splitter stops before a long paragraph, however short its chunk is; the next round then splits that one.
        while 2 * (break_at - low) < high - low:
            break_at += _first_chunk_length(self.text[break_at : high + _LOOKAHEAD], high - break_at)
        return break_at


def _first_chunk_length(text: str, capacity: int) -> int:
    """Return the length of the splitter's first chunk of at most `capacity` characters."""
    try:
        return len(load_splitter()(capacity, trim=False).chunks(text)[0])
    except UnicodeError as error:
        raise BadRecord(f"the record holds text that is no Unicode: {error}") from None


def load_splitter() -> type[TextSplitter]:
    """Return the splitter class. Raises ConfigError if the extra is not installed."""
    try:
        from semantic_text_splitter import TextSplitter  # noqa: PLC0415 - an extra
    except ImportError:
        message = "cutting long texts needs semantic-text-splitter: pip install 'extract-interactions[documents]'"
        raise ConfigError(message) from None
    return TextSplitter
