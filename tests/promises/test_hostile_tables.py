"""Whatever stands in a cell is judged, and whatever cannot be judged is refused in a sentence."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extract.errors import ConfigError
from extract.evaluation import compare, evaluate
from extract.io.retyping import retyped


def judged(predicted: pl.Series, gold: pl.Series) -> float | None:
    keys = pl.Series("id", range(len(gold)))
    ours, theirs = (pl.DataFrame([keys, one.alias("x")]) for one in (predicted, gold))
    return evaluate(ours, theirs, on="id")["x"].normalised


@pytest.mark.parametrize("text", ["5 March, ref 47110001234", "5 March " + "1" * 5_000, "1" * 5_000, "99999999999-1-1"])
def test_digits_that_are_no_date_are_a_wrong_one(text: str) -> None:
    assert judged(pl.Series([date(2026, 3, 5)]), pl.Series([text])) == 0


@pytest.mark.parametrize("digits", [400, 5_000])
def test_an_integer_that_no_float_holds_is_a_wrong_number(digits: int) -> None:
    assert judged(pl.Series([[1.5, 2.0]]), pl.Series([f"[1.5, {'9' * digits}]"])) == 0


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "[1, 2"])
@pytest.mark.parametrize("value", [[1, 2], {"a": 1}])
def test_json_that_cannot_be_read_is_a_wrong_value(text: str, value: Any) -> None:
    assert judged(pl.Series([value]), pl.Series([text])) == 0
    assert judged(pl.Series([text]), pl.Series([value])) == 0


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | st.sampled_from(["a", " ", "-5"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["key", "value", "a"]), inner),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None)
@given(JSON, JSON)
def test_any_json_is_judged_as_text_and_as_what_a_schema_makes_of_it(ours: Any, theirs: Any) -> None:
    predicted, gold = (pl.DataFrame({"id": [1], "x": [json.dumps(value)]}) for value in (ours, theirs))
    for dtype in (pl.List(pl.Struct({"key": pl.String, "value": pl.Int64})), pl.Struct({"a": pl.Float64}), pl.Date()):
        result = evaluate(retyped(predicted, {"x": dtype}), gold, on="id", resamples=0)["x"]
        assert result.exact is not None
        assert result.normalised is not None
        assert result.exact <= result.normalised


@pytest.mark.parametrize(
    "text", ["9" * 300, "1E+300", "1e-300", "NaN", "P9999999999999Y", "-P1", "99999-01-01", "\ud7ff"]
)
@pytest.mark.parametrize(
    "dtype", [pl.Decimal(38, 9), pl.Int64(), pl.Float64(), pl.Date(), pl.Datetime("us", "UTC"), pl.Duration("us")]
)
def test_a_cell_that_no_column_holds_stays_a_text(text: str, dtype: Any) -> None:
    result = retyped(pl.DataFrame({"x": [text]}), {"x": dtype})
    is_number = result.schema["x"] == dtype == pl.Float64
    assert is_number or result["x"].to_list() == [text]


@pytest.mark.parametrize("name", ["a", "b", "field", "gold", "rows", "key", "predicted 0", "draw"])
def test_a_key_column_may_bear_any_name(name: str) -> None:
    first = pl.DataFrame({name: [1, 2], "x": ["p", "q"]})
    second = first.with_columns(x=pl.lit("p"))
    result = compare(first, second, first, on=name)
    assert result.changes.rows() == [(2, "x", "q", "p", "q")]
    assert evaluate(first, second, on=name)["x"].exact == 0.5


def test_keys_that_cannot_be_compared_are_refused() -> None:
    bare = pl.DataFrame({"id": [b"\xff\xfe"], "x": [1]})
    with pytest.raises(ConfigError, match="predicted Binary, gold String; cast them"):
        evaluate(bare, pl.DataFrame({"id": ["a"], "x": [1]}), on="id")


def test_keys_that_never_meet_are_refused_with_some_of_both_sides() -> None:
    predicted = pl.DataFrame({"id": ["inv-1", "inv-2"], "x": [1, 2]})
    gold = pl.DataFrame({"id": ["INV-1", "INV-2"], "x": [1, 2]})
    with pytest.raises(ConfigError, match=r"predicted has \['inv-1', 'inv-2'\], gold has \['INV-1', 'INV-2'\]"):
        evaluate(predicted, gold, on="id")
    with pytest.raises(ConfigError, match=r"a has \['inv-1', 'inv-2'\], b has"):
        compare(predicted, gold, on="id")
    assert evaluate(predicted.clear(), gold, on="id").missing == 2


def test_fewer_than_no_resamples_are_refused() -> None:
    frame = pl.DataFrame({"id": [1], "x": ["a"]})
    with pytest.raises(ConfigError, match="resamples is how often"):
        evaluate(frame, frame, on="id", resamples=-5)
