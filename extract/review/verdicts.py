"""Whether an answer is right by what a person decided: field by field, as `evaluate` judges it against gold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from extract.evaluation.agreement import same_exactly, same_when_normalised

__all__ = ["same_cell", "verdicts_of"]


def verdicts_of(
    answer: Mapping[str, Any] | None, decided: Mapping[str, Any], fields: Iterable[str], *, day_first: bool = True
) -> dict[str, bool]:
    """Return for each field whether the answer's cell is right, where `decided` has the cells that a person decided.

    Both are rows of a frame, by field. A row without an answer is wrong in every field, as it is for `evaluate`.

        >>> verdicts_of({"city": "köln"}, {"city": "Köln"}, ["city"])
        {'city': True}
    """
    if answer is None:
        return dict.fromkeys(fields, False)
    return {name: _same(answer.get(name), decided.get(name), day_first) for name in fields}


def _same(answer: Any, decided: Any, day_first: bool) -> bool:
    return same_exactly(answer, decided) or same_when_normalised(answer, decided, day_first=day_first)


def same_cell(one: Any, other: Any) -> bool:
    """Return whether two cells of one column are the very same: nothing would change; NaN is the same as NaN.

    Not by `==` alone, for which True is 1: the types of a cell that holds JSON text would be lost.
    """
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same_cell(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same_cell, one, other))
    return type(one) is type(other) and bool(one == other or (one != one and other != other))
