"""The figures of a review against other programs and published examples; and types by themselves."""

from __future__ import annotations

import random
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from extract import ConfigError, evaluate
from extract.review.agreement import agreement_of
from extract.review.dtypes import dtype_texts, dtypes_of

#: Fleiss' kappa by example: 10 subjects, 14 raters, 5 categories (Wikipedia, "Fleiss' kappa"): 0.210.
FLEISS = [
    [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
]  # fmt: skip


def test_fleiss_kappa_is_that_of_the_published_example() -> None:
    rows = []
    for counts in FLEISS:
        labels = [label for label, count in enumerate(counts) for _ in range(count)]
        rows.append({f"person {place}": label for place, label in enumerate(labels)})
    agreement = agreement_of(rows)
    assert agreement.kappa == pytest.approx(0.210, abs=0.0005)
    assert (agreement.people, agreement.rows, agreement.same) == (14, 10, 1)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=1, max_size=60))
def test_kappa_of_two_people_is_that_of_scikit_learn(pairs: list[tuple[str, str]]) -> None:
    agreement = agreement_of([{"ann": first, "ben": second} for first, second in pairs] + [{"ann": "a"}])
    first, second = zip(*pairs, strict=True)
    assert agreement.rows == len(pairs)
    if len({*first, *second}) == 1:
        assert agreement.kappa is None
    else:
        assert agreement.kappa == pytest.approx(cohen_kappa_score(first, second), abs=1e-12)


def test_nobody_agrees_with_nobody() -> None:
    alone = agreement_of([{"ann": "a"}, {}])
    assert (alone.rows, alone.kappa) == (0, None)


DTYPES: list[Any] = [
    pl.String(), pl.Int64(), pl.Float32(), pl.Boolean(), pl.Binary(), pl.Date(), pl.Time(), pl.Null(),
    pl.Decimal(38, 9), pl.Datetime("us", "UTC"), pl.Datetime("us"), pl.Duration("us"), pl.Enum(["a", 'b "c"', ""]),
    pl.List(pl.Struct({"key": pl.String, "value": pl.List(pl.Enum(["x"]))})), pl.Array(pl.Int8, 3), pl.Struct({}),
]  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_type_comes_back_from_its_text(dtype: Any) -> None:
    assert dtypes_of(dtype_texts({"a": dtype})) == {"a": dtype}


@pytest.mark.parametrize("text", ["", "{}", '"Object"', '["Enum"]', '["Decimal","a",1]', '["List"]', "[[]]"])
def test_what_is_no_type_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        dtypes_of({"a": text})


def test_evaluate_counts_proof_rows_and_lists_none_of_their_mistakes() -> None:
    chance = random.Random(1)
    gold = pl.DataFrame(
        {
            "id": range(100),
            "value": [chance.choice("ab") for _ in range(100)],
            "_split": [chance.choice(["proof", "tuning", "examples"]) for _ in range(100)],
        }
    )
    predicted = pl.DataFrame({"id": range(90), "value": ["a"] * 90})
    plain = evaluate(predicted, gold.drop("_split"), on="id")
    split = evaluate(predicted, gold, on="id")
    assert (split.rows, split.missing, split.correct) == (plain.rows, plain.missing, plain.correct)
    proof = gold.filter(_split="proof")["id"]
    assert split.proof == len(proof) > 0
    assert split.mistakes().equals(plain.mistakes().filter(~pl.col("id").is_in(proof.implode())))
    assert f"{len(proof)} proof rows count in every figure" in str(split)
    assert "proof" not in str(plain)
