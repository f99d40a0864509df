"""Each row's verdict: whether the prediction is right, exactly and when normalised."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from extract.evaluation.agreement import same_exactly, same_when_normalised
from extract.evaluation.pairing import Pairs

__all__ = ["Verdicts", "verdicts"]


@dataclass(frozen=True, slots=True)
class Verdicts:
    """One entry per gold row that has a prediction, in the order of the pairs."""

    exact: tuple[bool, ...]
    normalised: tuple[bool, ...]


def verdicts(pairs: Pairs, *, day_first: bool) -> Verdicts:
    """Judge a field row by row; values that can be hashed are compared once per distinct pair."""
    judged = list(_judged(pairs, day_first))
    return Verdicts(tuple(exact for exact, _ in judged), tuple(normalised for _, normalised in judged))


def _judged(pairs: Pairs, day_first: bool) -> Iterator[tuple[bool, bool]]:
    nested = pairs.predicted.dtype.is_nested() or pairs.gold.dtype.is_nested()
    known: dict[tuple[Any, Any], tuple[bool, bool]] = {}
    for pair in pairs.both():
        if nested:
            yield _judge(*pair, day_first)
            continue
        if pair not in known:
            known[pair] = _judge(*pair, day_first)
        yield known[pair]


def _judge(predicted: Any, gold: Any, day_first: bool) -> tuple[bool, bool]:
    exact = same_exactly(predicted, gold)
    return exact, exact or same_when_normalised(predicted, gold, day_first=day_first)
