"""Picks one of several places for each value: near the field's name, near the object's other values, not used twice.

A value that stands once in the source anchors its object there; the other values of the object are then expected
near that anchor, and those of the next list element behind it. Costs are distances in code points, so that the rules
can be weighed against each other by plain addition.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import Final

from extract.documents.grounding.findings import Finding
from extract.documents.grounding.leaves import Group, Leaf
from extract.documents.grounding.places import Place
from extract.documents.grounding.source import SourceText

__all__ = ["choose"]

_LABEL_REACH: Final = 60  # code points from a field's name to its value
_LINE_BREAK_COST: Final = 20  # a line break counts as this many code points
_MAX_COUNTED_GAP: Final = 400  # gaps up to this have their line breaks counted; in longer ones they are estimated
_BACKWARD_COST: Final = 5  # extra cost of a place before its anchor
_UNLABELLED_COST: Final = 30  # extra cost of a place without the field's name before it
_USED_COST: Final = 40  # extra cost of a place that another value has
_FOREIGN_COST: Final = 60  # extra cost of a place among the values of a neighbouring list element
_MAX_COMPARED: Final = 64  # up to this many places are all compared
_SHORTLIST_SIDE: Final = 16  # of more, this many at the start and on each side of the anchor are
_MIN_ANCHOR_LENGTH: Final = 3  # shorter values stand in many texts by chance

Placement = dict[int, Place]


def choose(source: SourceText, groups: list[Group], findings: dict[int, Finding]) -> Placement:
    """Return the chosen place of each leaf that has any, by the leaf's order."""
    return _Choice(source, groups, findings).run()


class _Choice:
    def __init__(self, source: SourceText, groups: list[Group], findings: dict[int, Finding]) -> None:
        self.source = source
        self.groups = groups
        # Equal values share one finding object: its places are filtered once.
        best = {id(finding): _best_ranked(finding.places) for finding in findings.values()}
        self.places = {order: best[id(finding)] for order, finding in findings.items()}
        self.chosen: Placement = {}
        self.used: set[tuple[int, int]] = set()
        self.anchors: dict[Group, Place] = {}
        self.next: dict[Group, Group] = {group.previous: group for group in groups if group.previous}

    def run(self) -> Placement:
        for group in self.groups:
            self.set_anchor(group)
        for group in self.groups:
            # Values with few places go first: they are the most certain and narrow down where the others stand.
            for leaf in sorted(group.leaves, key=lambda leaf: (len(self.places[leaf.order]), leaf.order)):
                if places := self.places[leaf.order]:
                    self.assign(group, leaf, self.best(group, leaf, places))
        return self.chosen

    def set_anchor(self, group: Group) -> None:
        """Anchor an object at its longest value that has a single place."""
        single = [self.places[leaf.order][0] for leaf in group.leaves if len(self.places[leaf.order]) == 1]
        longest = max(single, key=lambda place: (place.end - place.start, -place.start), default=None)
        if longest is not None and longest.end - longest.start >= _MIN_ANCHOR_LENGTH:
            self.anchors[group] = longest

    def assign(self, group: Group, leaf: Leaf, place: Place) -> None:
        self.chosen[leaf.order] = place
        self.used.add(place[:2])
        # In a list, any placed value locates its element: rows follow each other closely.
        if group.listed:
            self.anchors.setdefault(group, place)

    def best(self, group: Group, leaf: Leaf, places: list[Place]) -> Place:
        if len(places) == 1:
            return places[0]
        anchor = self.anchor(group)
        name_ends = self.source.ends_of_name(leaf.name) if leaf.name else []
        # A word with thousands of places must not cost thousands of comparisons for each value that equals it.
        candidates = places if len(places) <= _MAX_COMPARED else sorted(set(_shortlist(places, anchor, name_ends)))
        cost_of = self.listed_cost if group.listed else self.cost
        return min(candidates, key=lambda place: (*cost_of(group, place, anchor, name_ends), place.start, place.end))

    def anchor(self, group: Group) -> Place | None:
        """Return where an object's values are expected: its anchor, else that of the element before or of a parent."""
        ancestor: Group | None = group
        while ancestor is not None:
            for holder in (ancestor, ancestor.previous):
                if holder is not None and holder in self.anchors:
                    return self.anchors[holder]
            ancestor = ancestor.parent
        return None

    def cost(self, _group: Group, place: Place, anchor: Place | None, name_ends: list[int]) -> tuple[int, ...]:
        """Return the cost outside of lists: the field's name decides, then whether the place is used, then distance."""
        return _label_gap(place, name_ends), place[:2] in self.used, self.distance(place, anchor)

    def listed_cost(self, group: Group, place: Place, anchor: Place | None, name_ends: list[int]) -> tuple[int, ...]:
        """Return the cost in a list, one sum: the field's name, in a table's header, stands near the first row only."""
        labelled = _label_gap(place, name_ends) <= _LABEL_REACH
        cost = self.distance(place, anchor)
        cost += (
            (not labelled) * _UNLABELLED_COST
            + (place[:2] in self.used) * _USED_COST
            + self.is_foreign(group, place) * _FOREIGN_COST
        )
        return (cost,)

    def is_foreign(self, group: Group, place: Place) -> bool:
        """Return whether a place lies beyond the anchor of the element before or after its own.

        Does not apply where the element's own anchor lies beyond that neighbour too: the text has another order then.
        """
        own = self.anchors.get(group)
        before = self.anchors.get(group.previous) if group.previous else None
        after = self.anchors.get(self.next[group]) if group in self.next else None
        beyond_before = before and place.start < before.start and not (own and own.start < before.start)
        beyond_after = after and place.start >= after.start and not (own and own.start >= after.start)
        return bool(beyond_before or beyond_after)

    def distance(self, place: Place, anchor: Place | None) -> int:
        """Return the distance of a place from an anchor; without one, from the start of the source."""
        if anchor is None:
            return place.start
        if place.start >= anchor.end:
            return self.gap(anchor.end, place.start)
        return self.gap(place.end, anchor.start) + _BACKWARD_COST

    def gap(self, start: int, end: int) -> int:
        size = max(0, end - start)
        return size + _LINE_BREAK_COST * (
            self.source.text.count("\n", start, end) if size <= _MAX_COUNTED_GAP else size // _LINE_BREAK_COST
        )


def _best_ranked(places: list[Place]) -> list[Place]:
    best = min((place.rank for place in places), default=0)
    return [place for place in places if place.rank == best]


def _label_gap(place: Place, name_ends: list[int]) -> int:
    """Return the code points from the end of the field's name to a place; all beyond reach count the same."""
    index = bisect_right(name_ends, place.start) - 1
    gap = place.start - name_ends[index] if index >= 0 else _LABEL_REACH + 1
    return min(gap, _LABEL_REACH + 1)


def _shortlist(places: list[Place], anchor: Place | None, name_ends: list[int]) -> Iterator[Place]:
    """Yield the places that can win: the first ones, those around the anchor, the next one after each field name."""
    yield from places[:_SHORTLIST_SIDE]
    if anchor is not None:
        middle = bisect_left(places, (anchor.end,))
        yield from places[max(0, middle - _SHORTLIST_SIDE) : middle + _SHORTLIST_SIDE]
    for end in name_ends[:_MAX_COMPARED]:
        at = bisect_left(places, (end,))
        yield from places[at : at + 1]
