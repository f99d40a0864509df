"""The figures of a review against other programs and published examples; hashes, splits and types by themselves."""

from __future__ import annotations

import random
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom
from sklearn.metrics import cohen_kappa_score

from extract import ConfigError, evaluate
from extract.review.agreement import agreement_of
from extract.review.dtypes import dtype_texts, dtypes_of
from extract.review.hashes import hash_of
from extract.review.promise import rows_to_prove, wrong_allowed
from extract.review.split import parse_shares, split_of

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


@given(st.floats(0.5, 0.995), st.floats(0.5, 0.995), st.integers(0, 6))
def test_the_number_of_rows_that_prove_something_is_the_least_by_exact_tails(
    right: float, confidence: float, wrong: int
) -> None:
    rows = rows_to_prove(right, confidence, wrong=wrong)
    assert binom.cdf(wrong, rows, 1 - right) <= (1 - confidence) * (1 + 1e-9)
    assert rows == wrong + 1 or binom.cdf(wrong, rows - 1, 1 - right) > (1 - confidence) * (1 - 1e-9)
    allowed = wrong_allowed(rows, right, confidence)
    assert allowed is not None
    assert allowed >= wrong


@pytest.mark.parametrize("share", [0, 1, 1.5, -1])
def test_what_no_number_of_rows_proves_is_refused(share: float) -> None:
    with pytest.raises(ConfigError):
        rows_to_prove(share)


def test_a_cell_and_its_plain_text_have_one_hash_and_other_cells_another() -> None:
    typed = {"a": 7, "b": Decimal("1.50"), "c": date(2024, 5, 1), "d": True, "e": 1.0, "f": None, "g": ""}
    texts = {"g": "", "f": None, "e": "1", "d": "true", "c": "2024-05-01", "b": "1.5", "a": "7"}
    assert hash_of(typed) == hash_of(texts)
    for name in texts:
        assert hash_of({**texts, name: "other"}) != hash_of(texts)
    assert hash_of({"f": None}) != hash_of({"f": ""})
    assert hash_of({"x": ["a", "b"]}) != hash_of({"x": ["a b"]}) != hash_of({"x": '["a","b"]'})
    assert hash_of({"x": "\ud800"}) != hash_of({"x": "\ud801"})


def test_parts_of_gold_are_told_by_the_hash_alone_in_the_shares_asked_for() -> None:
    hashes = [hash_of({"text": f"row {number}"}) for number in range(5_000)]
    shares = parse_shares("10/30/60")
    parts = [split_of(one, shares) for one in hashes]
    measured = [parts.count(name) / 5_000 for name in ("examples", "tuning", "proof")]
    assert measured == pytest.approx([0.1, 0.3, 0.6], abs=0.02)
    assert parts == [split_of(one, shares) for one in hashes]
    seen = [split_of(one, shares, proof=False) for one in hashes]
    assert "proof" not in seen
    assert seen.count("examples") / 5_000 == pytest.approx(0.25, abs=0.02)


@pytest.mark.parametrize("text", ["", "1/2", "a/b/c", "0/0/0", "-1/1/1", "1/2/3/4", "inf/1/1", "nan/1/1"])
def test_shares_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="names no shares"):
        parse_shares(text)


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


def test_a_hash_holds_whatever_the_type_of_a_cell() -> None:
    cells = {
        "a": b"\0",
        "b": timedelta(days=1),
        "c": datetime(2024, 1, 1),
        "d": time(1),
        "e": [{"x": None}],
        "f": 1e400,
    }
    assert len(hash_of(cells)) == 32


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
