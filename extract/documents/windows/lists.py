"""The lists of several windows as one: every item once, none lost, in the order of the text."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

from extract.documents.windows.cutting import Union, Window
from extract.documents.windows.equality import Overlap, identity, is_empty

__all__ = ["Entry", "Said", "united"]


@dataclass(frozen=True, slots=True, eq=False)
class Said:
    """What one window says of a place."""

    window: Window
    value: Any


@dataclass(slots=True, eq=False)
class Entry:
    """One item of a joined list: what each window says of it, in their order."""

    said: list[Said]


def united(lists: Sequence[Said], rule: Union, *, unique: bool) -> list[Entry]:
    """Return the items of several windows' lists, in the order of the text as far as the lists tell it.

    `unique` says that the schema wants no equal items. The windows come in the order of their ends.
    """
    union = _Union(rule, unique)
    for said in lists:
        union.add(said)
    return union.entries


@dataclass(slots=True)
class _Union:
    """The joined list as it grows; equal items are found by their keys, in all of it or in what one window told."""

    rule: Union
    unique: bool
    entries: list[Entry] = field(default_factory=list)
    _windows: list[Window] = field(default_factory=list)
    _equal: dict[Hashable, list[Entry]] = field(default_factory=dict)
    _told: dict[tuple[int, Hashable], list[Entry]] = field(default_factory=dict)
    _overlaps: dict[tuple[int, int], Overlap] = field(default_factory=dict)
    _rooms: dict[Hashable, int | None] = field(default_factory=dict)

    def add(self, said: Said) -> None:
        """Take up the items of one window: each with the entry that it is the same as, or as a new one."""
        window, items = said.window, said.value
        since = takewhile(lambda other: other.end > window.start, reversed(self._windows))
        near = [other for other in since if other.start < window.end]
        same: dict[int, Entry] = {}
        for exact in (True, False):  # exact twins first: none of them is taken by what is only nearly equal
            for number, item in enumerate(items):
                if number not in same and (entry := self._twin(item, window, near, exact=exact)):
                    entry.said.append(Said(window, item))
                    same[number] = entry
        self._insert(window, items, same)
        self._windows.append(window)

    def _twin(self, item: Any, window: Window, near: Sequence[Window], *, exact: bool) -> Entry | None:
        """Return the first entry that an item of a window can be, None where it is one more of its kind."""
        key = self._key(item, exact=exact)
        reach = self._in_reach(key, item, window, near) if self._stays(item) else self._equal.get(key, [])
        return next((entry for entry in reach if entry.said[-1].window is not window), None)

    def _key(self, item: Any, *, exact: bool) -> Hashable:
        """Return what makes an item the same as another: its key fields, or all of it where these say nothing."""
        keys = self._keys(item)
        return exact, bool(keys), identity(keys or item, exact=exact)

    def _keys(self, item: Any) -> list[Any]:
        keys = [item.get(name) for name in self.rule.by] if isinstance(item, dict) else []
        return [] if all(map(is_empty, keys)) else keys

    def _stays(self, item: Any) -> bool:
        """Whether an item is kept beside equal ones from other places."""
        if self.rule.repeats is not None:
            return self.rule.repeats
        return not self.unique and isinstance(item, dict | list) and not self._keys(item)

    def _in_reach(self, key: Hashable, item: Any, window: Window, near: Sequence[Window]) -> list[Entry]:
        """Return those of equal entries that may stand in text which the window shares with another.

        Of what another window told, these are the last ones, as many as the shared text has room for.
        """
        reach: list[Entry] = []
        for other in near:
            if known := self._told.get((other.number, key)):
                room = self._room(item, other, window)
                reach += known if room is None else known[max(0, len(known) - room) :]
        return reach

    def _room(self, item: Any, one: Window, other: Window) -> int | None:
        pair = one.number, other.number
        key = *pair, identity(item)
        if key not in self._rooms:
            if pair not in self._overlaps:
                self._overlaps[pair] = Overlap.of(one, other)
            self._rooms[key] = self._overlaps[pair].room(item)
        return self._rooms[key]

    def _insert(self, window: Window, items: Sequence[Any], same: Mapping[int, Entry]) -> None:
        """Put new items before the next one that was known, else at the end."""
        new: list[Entry] = []
        for number, item in enumerate(items):
            entry = same.get(number) or Entry([Said(window, item)])
            self._keep(entry, item, window, is_new=number not in same)
            if number not in same:
                new.append(entry)
            elif new:
                at = self.entries.index(entry)
                self.entries[at:at] = new
                new = []
        self.entries += new

    def _keep(self, entry: Entry, item: Any, window: Window, *, is_new: bool) -> None:
        for exact in (True, False):
            key = self._key(item, exact=exact)
            self._told.setdefault((window.number, key), []).append(entry)
            if is_new:
                self._equal.setdefault(key, []).append(entry)
