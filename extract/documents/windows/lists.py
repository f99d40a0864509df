"""Joins the lists of several windows into one: every item once, none lost, in the order of the text.

The windows arrive in the order of their ends. Each item of a window is matched with an entry of the joined list, or
becomes a new one. Invariant: two items of one window never share an entry, as a model that lists two means two.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

from extract.documents.windows.cutting import Union, Window
from extract.documents.windows.equality import Overlap, identity, is_empty

__all__ = ["Entry", "WindowValue", "join_lists"]


@dataclass(frozen=True, slots=True, eq=False)
class WindowValue:
    """The value that one window gives for a field."""

    window: Window
    value: Any


@dataclass(slots=True, eq=False)
class Entry:
    """One item of a joined list: its values by window, in the windows' order."""

    values: list[WindowValue]


def join_lists(lists: Sequence[WindowValue], rule: Union, *, unique: bool) -> list[Entry]:
    """Return the items of several windows' lists, in the order of the text as far as the lists show it.

    `unique` says that the schema forbids equal items. The windows come in the order of their ends.
    """
    joiner = _ListJoiner(rule, unique)
    for answer in lists:
        joiner.add(answer)
    return joiner.entries


@dataclass(slots=True)
class _ListJoiner:
    """The joined list as it grows, with its entries indexed by key, overall and per window."""

    rule: Union
    unique: bool
    entries: list[Entry] = field(default_factory=list)
    _windows: list[Window] = field(default_factory=list)
    _equal: dict[Hashable, list[Entry]] = field(default_factory=dict)
    _by_window: dict[tuple[int, Hashable], list[Entry]] = field(default_factory=dict)
    _overlaps: dict[tuple[int, int], Overlap] = field(default_factory=dict)
    _limits: dict[Hashable, int | None] = field(default_factory=dict)

    def add(self, answer: WindowValue) -> None:
        """Add the items of one window, each to the entry that it equals, or as a new entry."""
        window, items = answer.window, answer.value
        # In the order of their ends, the windows that end after this one starts are the last ones.
        later = takewhile(lambda other: other.end > window.start, reversed(self._windows))
        overlapping = [other for other in later if other.start < window.end]
        matched: dict[int, Entry] = {}
        # Exact matches first, so that no item that is only nearly equal gets the entry of one that is exactly equal.
        for exact in (True, False):
            for number, item in enumerate(items):
                if number not in matched and (entry := self._matching_entry(item, window, overlapping, exact=exact)):
                    entry.values.append(WindowValue(window, item))
                    matched[number] = entry
        self._insert(window, items, matched)
        self._windows.append(window)

    def _matching_entry(self, item: Any, window: Window, overlapping: Sequence[Window], *, exact: bool) -> Entry | None:
        """Return the first entry that an item can be added to, None where it needs a new one."""
        key = self._key(item, exact=exact)
        candidates = (
            self._reachable(key, item, window, overlapping) if self._may_repeat(item) else self._equal.get(key, [])
        )
        return next((entry for entry in candidates if entry.values[-1].window is not window), None)

    def _key(self, item: Any, *, exact: bool) -> Hashable:
        """Return the key by which equal items are found: the `by` fields, or the whole item where these are empty."""
        keys = self._keys(item)
        return exact, bool(keys), identity(keys or item, exact=exact)

    def _keys(self, item: Any) -> list[Any]:
        keys = [item.get(name) for name in self.rule.by] if isinstance(item, dict) else []
        return [] if all(map(is_empty, keys)) else keys

    def _may_repeat(self, item: Any) -> bool:
        """Whether an item is kept beside equal ones from other places of the text."""
        if self.rule.repeats is not None:
            return self.rule.repeats
        return not self.unique and isinstance(item, dict | list) and not self._keys(item)

    def _reachable(self, key: Hashable, item: Any, window: Window, overlapping: Sequence[Window]) -> list[Entry]:
        """Return the equal entries that may stand in text that the window shares with an earlier one.

        Shared text lies at the end of the earlier window, so these are its last equal entries, as many as can stand
        there.
        """
        candidates: list[Entry] = []
        for other in overlapping:
            if entries := self._by_window.get((other.number, key)):
                limit = self._max_occurrences(item, other, window)
                candidates += entries if limit is None else entries[max(0, len(entries) - limit) :]
        return candidates

    def _max_occurrences(self, item: Any, one: Window, other: Window) -> int | None:
        pair = one.number, other.number
        key = *pair, identity(item)
        if key not in self._limits:
            if pair not in self._overlaps:
                self._overlaps[pair] = Overlap.of(one, other)
            self._limits[key] = self._overlaps[pair].max_occurrences(item)
        return self._limits[key]

    def _insert(self, window: Window, items: Sequence[Any], matched: Mapping[int, Entry]) -> None:
        """Insert new items before the next matched one of their window, else at the end."""
        new: list[Entry] = []
        for number, item in enumerate(items):
            # A matched entry has its place already; new items that stood before it in this window go right before it.
            entry = matched.get(number) or Entry([WindowValue(window, item)])
            self._register(entry, item, window, is_new=number not in matched)
            if number not in matched:
                new.append(entry)
            elif new:
                at = self.entries.index(entry)
                self.entries[at:at] = new
                new = []
        self.entries += new

    def _register(self, entry: Entry, item: Any, window: Window, *, is_new: bool) -> None:
        # Under both keys, as a later window looks for exact matches and then for nearly equal ones.
        for exact in (True, False):
            key = self._key(item, exact=exact)
            self._by_window.setdefault((window.number, key), []).append(entry)
            if is_new:
                self._equal.setdefault(key, []).append(entry)
