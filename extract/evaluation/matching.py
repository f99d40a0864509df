"""Members of two lists matched one to one, as many as possible, without comparing each with each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any, Final, TypeAlias

from extract.evaluation.agreement import comparable
from extract.schema.notation import collapsed

__all__ = ["match"]

_MAX_COMPARISONS: Final = 50_000
"""In long lists that no text tells apart, each member is compared with those around its place, about that often."""

Same: TypeAlias = Callable[[Any, Any], bool]


def match(predicted: Sequence[Any], gold: Sequence[Any], same: Same) -> tuple[int, list[Any], list[Any]]:
    """Return how many members of two lists are matched, and the members of either list that are not.

    `same` takes a predicted and a gold member. It holds for equal ones, for two texts exactly where they collapse to
    the same words, and for two dicts where it holds for everything that the gold one has.
    """
    count = 0
    # Members with equal keys are the same without a comparison, and these are most. Exact keys come first, so that
    # "A" is not matched with "a" while another "A" is left over.
    for key in (_exact_key, _loose_key):
        matched, predicted, gold = _match_by_key(predicted, gold, key)
        count += matched
    unmatched: tuple[list[Any], list[Any]] = ([], [])
    for some_predicted, some_gold in _groups(predicted, gold):
        matches = _largest_matching(some_predicted, some_gold, same)
        matched_gold = set(matches.values())
        count += len(matches)
        unmatched[0].extend(one for place, one in enumerate(some_predicted) if place not in matches)
        unmatched[1].extend(one for place, one in enumerate(some_gold) if place not in matched_gold)
    return count, *unmatched


def _match_by_key(
    predicted: Sequence[Any], gold: Sequence[Any], key: Callable[[Any], Hashable]
) -> tuple[int, list[Any], list[Any]]:
    """Match members with equal keys; return their number and the others."""
    free = _by_key(predicted, key)
    unmatched: list[Any] = []
    for one in gold:
        if candidates := free.get(key(one)):
            candidates.pop()
        else:
            unmatched.append(one)
    return len(gold) - len(unmatched), [one for group in free.values() for one in group], unmatched


def _by_key(members: Sequence[Any], key: Callable[[Any], Hashable]) -> dict[Hashable, list[Any]]:
    groups: dict[Hashable, list[Any]] = defaultdict(list)
    for one in members:
        groups[key(one)].append(one)
    return groups


def _exact_key(value: Any) -> Hashable:
    return _hashable(value, str)


def _loose_key(value: Any) -> Hashable:
    return _hashable(value, collapsed)


def _hashable(value: Any, text_key: Callable[[str], str]) -> Hashable:
    """Return a key that equal values share; texts count as equal where `text_key` gives the same."""
    if isinstance(value, dict):
        return dict, frozenset((name, _hashable(item, text_key)) for name, item in value.items())
    if isinstance(value, list):
        return list, tuple(_hashable(item, text_key) for item in value)
    return (str, text_key(value)) if isinstance(value, str) else (None, comparable(value))


def _groups(predicted: Sequence[Any], gold: Sequence[Any]) -> Iterator[tuple[Sequence[Any], Sequence[Any]]]:
    """Yield groups within which members may match, by the words of those fields that are texts in all dicts."""
    if not all(isinstance(one, dict) for one in (*predicted, *gold)):
        yield predicted, gold
        return
    # Two dicts can only be the same where all their texts collapse to the same words: so no match is lost here.
    names = [name for name in (gold[0] if gold else ()) if _is_text_in(name, predicted) and _is_text_in(name, gold)]

    def words(one: dict[str, Any]) -> Hashable:
        return tuple(collapsed(one[name]) for name in names)

    some_predicted, some_gold = _by_key(predicted, words), _by_key(gold, words)
    for key in dict.fromkeys((*some_predicted, *some_gold)):
        yield some_predicted.get(key, []), some_gold.get(key, [])


def _is_text_in(name: str, members: Sequence[dict[str, Any]]) -> bool:
    return all(isinstance(one.get(name), str) for one in members)


def _largest_matching(predicted: Sequence[Any], gold: Sequence[Any], same: Same) -> dict[int, int]:
    """Return a largest matching: places of `predicted` -> places of `gold`."""
    is_small = len(predicted) * len(gold) <= _MAX_COMPARISONS
    reach = max(len(predicted), len(gold)) if is_small else max(1, _MAX_COMPARISONS // (2 * len(gold)))
    candidates = [
        [
            at
            for at in range(max(0, place - reach), min(len(predicted), place + reach))
            if _fits(predicted[at], one, same)
        ]
        for place, one in enumerate(gold)
    ]
    # Kuhn's algorithm: a matching is largest once no augmenting path starts at an unmatched member. Each gold member is
    # tried once: one that has no such path now never gets one later.
    gold_of: dict[int, int] = {}
    predicted_of: dict[int, int] = {}
    for place in range(len(gold)):
        _augment(place, candidates, gold_of, predicted_of)
    return gold_of


def _fits(predicted: Any, gold: Any, same: Same) -> bool:
    # Two texts that are the same were matched by their loose keys before.
    return not (isinstance(predicted, str) and isinstance(gold, str)) and same(predicted, gold)


def _augment(
    start: int, candidates: Sequence[Sequence[int]], gold_of: dict[int, int], predicted_of: dict[int, int]
) -> None:
    """Match the gold member `start` if an augmenting path exists: breadth first, so the path is a shortest one.

    On the path, each gold member that loses its partner gets another candidate instead.
    """
    reached_from: dict[int, int] = {}  # place in `predicted` -> the gold member that the search came from
    queue = [start]
    for place in queue:
        for candidate in candidates[place]:
            if candidate in reached_from:
                continue
            reached_from[candidate] = place
            if candidate in gold_of:
                queue.append(gold_of[candidate])
                continue
            _flip(candidate, reached_from, gold_of, predicted_of)
            return


def _flip(
    free: int | None, reached_from: dict[int, int], gold_of: dict[int, int], predicted_of: dict[int, int]
) -> None:
    """Go back along the path from its free end, giving each gold member the candidate it was searched for."""
    while free is not None:
        place = reached_from[free]
        before = predicted_of.get(place)  # None for the member the search started at: there the path ends
        gold_of[free], predicted_of[place] = place, free
        free = before
