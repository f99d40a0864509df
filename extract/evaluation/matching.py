"""Members of two lists matched one to one, as many as possible, without comparing each with each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any, Final, TypeAlias

from extract.evaluation.agreement import comparable
from extract.schema.notation import collapsed

__all__ = ["match"]

_MOST_COMPARED: Final = 50_000
"""Pairs that are compared at most: in long lists that no text tells apart, each member with those around its place."""

Same: TypeAlias = Callable[[Any, Any], bool]


def match(ours: Sequence[Any], theirs: Sequence[Any], same: Same) -> tuple[int, list[Any], list[Any]]:
    """Return how many members of two lists are matched with one that is the same, and those left on either side.

    `same` takes a member of each. It holds for equal ones, for two texts just where these collapse to the same words,
    and for two dicts where it holds for all that theirs has.
    """
    count = 0
    for name in (_exact_name, _loose_name):
        met, ours, theirs = _paired_off(ours, theirs, name)
        count += met
    alone: tuple[list[Any], list[Any]] = ([], [])
    for some, others in _groups(ours, theirs):
        taken = _assigned(some, others, same)
        met_others = set(taken.values())
        count += len(taken)
        alone[0].extend(one for place, one in enumerate(some) if place not in taken)
        alone[1].extend(other for place, other in enumerate(others) if place not in met_others)
    return count, *alone


def _paired_off(
    ours: Sequence[Any], theirs: Sequence[Any], name: Callable[[Any], Hashable]
) -> tuple[int, list[Any], list[Any]]:
    """Match members of the same name."""
    free = _by_name(ours, name)
    alone: list[Any] = []
    for other in theirs:
        if same := free.get(name(other)):
            same.pop()
        else:
            alone.append(other)
    return len(theirs) - len(alone), [one for some in free.values() for one in some], alone


def _by_name(members: Sequence[Any], name: Callable[[Any], Hashable]) -> dict[Hashable, list[Any]]:
    found: dict[Hashable, list[Any]] = defaultdict(list)
    for one in members:
        found[name(one)].append(one)
    return found


def _exact_name(value: Any) -> Hashable:
    return _frozen(value, str)


def _loose_name(value: Any) -> Hashable:
    return _frozen(value, collapsed)


def _frozen(value: Any, read: Callable[[str], str]) -> Hashable:
    """Return what equal values have in common, their texts as `read` gives them."""
    if isinstance(value, dict):
        return dict, frozenset((name, _frozen(item, read)) for name, item in value.items())
    if isinstance(value, list):
        return list, tuple(_frozen(item, read) for item in value)
    return (str, read(value)) if isinstance(value, str) else (None, comparable(value))


def _groups(ours: Sequence[Any], theirs: Sequence[Any]) -> Iterator[tuple[Sequence[Any], Sequence[Any]]]:
    """Yield what may match: of dicts, those that have the same words where all of them have a text."""
    if not all(isinstance(one, dict) for one in (*ours, *theirs)):
        yield ours, theirs
        return
    names = [name for name in (theirs[0] if theirs else ()) if _is_text_in(name, ours) and _is_text_in(name, theirs)]

    def words(one: dict[str, Any]) -> Hashable:
        return tuple(collapsed(one[name]) for name in names)

    some, others = _by_name(ours, words), _by_name(theirs, words)
    for key in dict.fromkeys((*some, *others)):
        yield some.get(key, []), others.get(key, [])


def _is_text_in(name: str, members: Sequence[dict[str, Any]]) -> bool:
    return all(isinstance(one.get(name), str) for one in members)


def _assigned(ours: Sequence[Any], theirs: Sequence[Any], same: Same) -> dict[int, int]:
    """Return which place of `ours` is matched with which of `theirs`: as many as possible."""
    few = len(ours) * len(theirs) <= _MOST_COMPARED
    reach = max(len(ours), len(theirs)) if few else max(1, _MOST_COMPARED // (2 * len(theirs)))
    fitting = [
        [place for place in range(max(0, at - reach), min(len(ours), at + reach)) if _fits(ours[place], other, same)]
        for at, other in enumerate(theirs)
    ]
    holders: dict[int, int] = {}
    held: dict[int, int] = {}
    for at in range(len(theirs)):
        _augment(at, fitting, holders, held)
    return holders


def _fits(one: Any, other: Any, same: Same) -> bool:
    # Two texts that are the same have met by their name.
    return not (isinstance(one, str) and isinstance(other, str)) and same(one, other)


def _augment(start: int, fitting: Sequence[Sequence[int]], holders: dict[int, int], held: dict[int, int]) -> None:
    """Match one more of theirs where that is possible, others giving way to it by taking another of ours."""
    came_from: dict[int, int] = {}
    waiting = [start]
    for at in waiting:
        for place in fitting[at]:
            if place in came_from:
                continue
            came_from[place] = at
            if place in holders:
                waiting.append(holders[place])
                continue
            _give_way(place, came_from, holders, held)
            return


def _give_way(free: int | None, came_from: dict[int, int], holders: dict[int, int], held: dict[int, int]) -> None:
    while free is not None:
        at = came_from[free]
        before = held.get(at)
        holders[free], held[at] = at, free
        free = before
