"""Members of lists are matched with as many of gold as can be, in lists of any length."""

from __future__ import annotations

import json
import time
from itertools import permutations
from typing import Any

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from extract.evaluation import MemberScore, evaluate
from extract.evaluation.agreement import same_when_normalised


def members(predicted: list[Any], gold: list[Any], **options: Any) -> MemberScore:
    """The score of one list beside another, both as JSON text, which may hold anything."""
    sides = [pl.DataFrame({"id": [1], "x": [json.dumps(one)]}) for one in (predicted, gold)]
    member_score = evaluate(*sides, on="id", resamples=0, **{"keys": {"x": "none"}, **options})["x"].members
    assert member_score is not None
    return member_score


MEMBER = st.sampled_from(
    ["a", "A ", "b", 1, "1", 2.0, None, {"a": 1}, {"a": 1, "b": 2}, {"a": 1, "b": 3}, {"b": "x"}, {"b": "X", "a": 1}]
)


@given(st.lists(MEMBER, max_size=5), st.lists(MEMBER, max_size=5))
@example([{"a": 1, "b": 2}], ["a", "a", {"a": 1}])
def test_as_many_members_are_matched_as_can_be(predicted: list[Any], gold: list[Any]) -> None:
    few, many = sorted((predicted, gold), key=len)

    def fit(one: Any, other: Any) -> bool:
        ours, theirs = (one, other) if few is predicted else (other, one)
        return same_when_normalised(ours, theirs, day_first=True)

    best = max(
        sum(fit(one, other) for one, other in zip(few, chosen, strict=True)) for chosen in permutations(many, len(few))
    )
    assert members(predicted, gold).equal == best


def test_a_member_gives_way_to_one_that_has_no_other() -> None:
    gold = [{"a": 1}, {"a": 1, "b": 2}]
    member_score = members([{"a": 1, "b": 2}, {"a": 1, "b": 3}], gold)
    assert (member_score.matched, member_score.predicted, member_score.gold) == (2, 2, 2)


def items(count: int, **other: Any) -> list[dict[str, Any]]:
    return [
        {"sku": f"a{number}", "name": f"product {number}", "price": float(number)} | other for number in range(count)
    ]


@pytest.mark.parametrize(
    ("predicted", "gold", "options", "matched", "equal"),
    [
        (items(2_000, price=1.5), items(2_000), {"keys": {"x": "sku"}}, 2_000, 0),
        (items(2_000)[::-1], items(2_000), {}, 2_000, 2_000),
        ([f"one {number}" for number in range(2_000)], [f"other {number}" for number in range(2_000)], {}, 0, 0),
        ([f"One  {number}" for number in range(2_000)], [f"one {number}" for number in range(2_000)], {}, 2_000, 2_000),
        ([{"n": number + 0.5} for number in range(2_000)], [{"n": number} for number in range(2_000)], {}, 0, 0),
    ],
)
def test_the_time_for_long_lists_does_not_grow_with_their_square(
    predicted: list[Any], gold: list[Any], options: dict[str, Any], matched: int, equal: int
) -> None:
    sides = [pl.DataFrame({"id": [1], "x": [one]}, strict=False) for one in (predicted, gold)]
    started = time.process_time()
    member_score = evaluate(*sides, on="id", resamples=0, **options)["x"].members
    # Processor time, which other programs on the machine do not change: below half a second; each with each takes 30.
    assert time.process_time() - started < 5
    assert member_score is not None
    assert (member_score.matched, member_score.equal) == (matched, equal)
