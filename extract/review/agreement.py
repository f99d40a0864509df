"""How far people agree beyond chance: Cohen's kappa for two of them, Fleiss' for more."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

__all__ = ["Agreement", "agreement_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Agreement over the rows that at least two people have decided.

    `same` counts the rows on which all of them say the same. `kappa` is Cohen's for two people, Fleiss' for more; None
    where chance leaves no room for it, as where all say one thing in every row.
    """

    people: int
    rows: int
    same: int
    kappa: float | None


def agreement_of(ratings: Iterable[Mapping[str, Hashable]]) -> Agreement:
    """Return the agreement of people over rows, each a mapping from person to what that person says.

    Rows that fewer than two people have rated count for nothing. Fleiss' kappa takes rows with different numbers of
    people: each row's agreement is the share of its pairs of people that agree.

        >>> agreement_of([{"ann": "bug", "ben": "bug"}, {"ann": "bug", "ben": "other"}]).same
        1
    """
    rated = [row for row in ratings if len(row) > 1]
    people = sorted({person for row in rated for person in row})
    same = sum(len(set(row.values())) == 1 for row in rated)
    kappa = _cohen(rated, people) if len(people) == 2 else _fleiss(rated)
    return Agreement(people=len(people), rows=len(rated), same=same, kappa=kappa)


def _cohen(rated: Sequence[Mapping[str, Hashable]], people: Sequence[str]) -> float | None:
    used: dict[str, Counter[Hashable]] = defaultdict(Counter)
    for row in rated:
        for person, label in row.items():
            used[person][label] += 1
    first, second = (used[person] for person in people)
    n, hits = len(rated), sum(len(set(row.values())) == 1 for row in rated)
    return _beyond_chance(hits / n, sum(first[label] * second[label] for label in first) / n**2)


def _fleiss(rated: Sequence[Mapping[str, Hashable]]) -> float | None:
    if not rated:
        return None
    counts = [Counter(row.values()) for row in rated]
    pairs = [sum(times * (times - 1) for times in row.values()) / (row.total() * (row.total() - 1)) for row in counts]
    whole = sum(counts, Counter[Hashable]())
    chance = sum(times**2 for times in whole.values()) / whole.total() ** 2
    return _beyond_chance(sum(pairs) / len(pairs), chance)


def _beyond_chance(observed: float, chance: float) -> float | None:
    return (observed - chance) / (1 - chance) if chance < 1 else None
