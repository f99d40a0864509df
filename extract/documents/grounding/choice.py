"""Which of several places is meant: the one under the field's name, beside its object's other values, not yet taken."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import Final

from extract.documents.grounding.findings import Finding
from extract.documents.grounding.leaves import Group, Leaf
from extract.documents.grounding.places import Place
from extract.documents.grounding.source import SourceText

__all__ = ["choose"]

_LABEL_REACH: Final = 60  # code points between a field's name and its value
_LINE: Final = 20  # code points that a line break is worth
_COUNTED: Final = 400  # code points in which line breaks are counted
_BEFORE: Final = 5  # a place before its neighbour is that much further than one behind it
_UNLABELLED: Final = 30
_TAKEN: Final = 40
_FOREIGN: Final = 60  # a place beyond the next element of a list
_MANY: Final = 64  # so many places are all looked at
_FEW: Final = 16  # of more places, these are looked at on each side
_SMALLEST_ANCHOR: Final = 3

Chosen = dict[int, Place]


def choose(source: SourceText, groups: list[Group], findings: dict[int, Finding]) -> Chosen:
    """Return the place of each leaf that stands somewhere, by the leaf's order."""
    return _Choice(source, groups, findings).made()


class _Choice:
    def __init__(self, source: SourceText, groups: list[Group], findings: dict[int, Finding]) -> None:
        self.source = source
        self.groups = groups
        # Equal values have one finding: its places are gone through once.
        best = {id(finding): _best_ranked(finding.places) for finding in findings.values()}
        self.places = {order: best[id(finding)] for order, finding in findings.items()}
        self.chosen: Chosen = {}
        self.taken: set[tuple[int, int]] = set()
        self.anchors: dict[Group, Place] = {}
        self.next: dict[Group, Group] = {group.previous: group for group in groups if group.previous}

    def made(self) -> Chosen:
        for group in self.groups:
            self.anchor(group)
        for group in self.groups:
            # What can stand in few places only shows where the rest is.
            for leaf in sorted(group.leaves, key=lambda leaf: (len(self.places[leaf.order]), leaf.order)):
                if places := self.places[leaf.order]:
                    self.take(group, leaf, self.best(group, leaf, places))
        return self.chosen

    def anchor(self, group: Group) -> None:
        """Let the longest value with a single place say where the object is."""
        single = [self.places[leaf.order][0] for leaf in group.leaves if len(self.places[leaf.order]) == 1]
        longest = max(single, key=lambda place: (place.end - place.start, -place.start), default=None)
        if longest is not None and longest.end - longest.start >= _SMALLEST_ANCHOR:
            self.anchors[group] = longest

    def take(self, group: Group, leaf: Leaf, place: Place) -> None:
        self.chosen[leaf.order] = place
        self.taken.add(place[:2])
        if group.listed:
            self.anchors.setdefault(group, place)

    def best(self, group: Group, leaf: Leaf, places: list[Place]) -> Place:
        if len(places) == 1:
            return places[0]
        near = self.near(group)
        names = self.source.ends_of_name(leaf.name) if leaf.name else []
        looked_at = places if len(places) <= _MANY else sorted(set(_shortlist(places, near, names)))
        judge = self.listed_cost if group.listed else self.cost
        return min(looked_at, key=lambda place: (*judge(group, place, near, names), place.start, place.end))

    def near(self, group: Group) -> Place | None:
        """Return where an object's values are to be expected: at its anchor, else behind the element before it."""
        looked: Group | None = group
        while looked is not None:
            for known in (looked, looked.previous):
                if known is not None and known in self.anchors:
                    return self.anchors[known]
            looked = looked.parent
        return None

    def cost(self, _group: Group, place: Place, near: Place | None, names: list[int]) -> tuple[int, ...]:
        return _label_gap(place, names), place[:2] in self.taken, self.distance(place, near)

    def listed_cost(self, group: Group, place: Place, near: Place | None, names: list[int]) -> tuple[int, ...]:
        """Return how far a place is from its element: a name above a column stands beside the first row only."""
        labelled = _label_gap(place, names) <= _LABEL_REACH
        cost = self.distance(place, near)
        cost += (
            (not labelled) * _UNLABELLED + (place[:2] in self.taken) * _TAKEN + self.is_foreign(group, place) * _FOREIGN
        )
        return (cost,)

    def is_foreign(self, group: Group, place: Place) -> bool:
        """Return whether a place lies beyond a neighbour of its element, where the text has them in the same order."""
        own = self.anchors.get(group)
        before = self.anchors.get(group.previous) if group.previous else None
        after = self.anchors.get(self.next[group]) if group in self.next else None
        beyond_before = before and place.start < before.start and not (own and own.start < before.start)
        beyond_after = after and place.start >= after.start and not (own and own.start >= after.start)
        return bool(beyond_before or beyond_after)

    def distance(self, place: Place, near: Place | None) -> int:
        if near is None:
            return place.start
        if place.start >= near.end:
            return self.gap(near.end, place.start)
        return self.gap(place.end, near.start) + _BEFORE

    def gap(self, start: int, end: int) -> int:
        size = max(0, end - start)
        return size + _LINE * (self.source.text.count("\n", start, end) if size <= _COUNTED else size // _LINE)


def _best_ranked(places: list[Place]) -> list[Place]:
    best = min((place.rank for place in places), default=0)
    return [place for place in places if place.rank == best]


def _label_gap(place: Place, names: list[int]) -> int:
    """Return how far before a place the field's name ends; beyond reach, all is equally far."""
    index = bisect_right(names, place.start) - 1
    gap = place.start - names[index] if index >= 0 else _LABEL_REACH + 1
    return min(gap, _LABEL_REACH + 1)


def _shortlist(places: list[Place], near: Place | None, names: list[int]) -> Iterator[Place]:
    yield from places[:_FEW]
    if near is not None:
        middle = bisect_left(places, (near.end,))
        yield from places[max(0, middle - _FEW) : middle + _FEW]
    for end in names[:_MANY]:
        at = bisect_left(places, (end,))
        yield from places[at : at + 1]
