"""Whether an answer is right by what a person decided: field by field, as `evaluate` judges it against gold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from extract.evaluation.agreement import same_exactly, same_when_normalised

__all__ = ["verdicts_of"]


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
