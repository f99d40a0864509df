from __future__ import annotations

import math
import time
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from extract.errors import ConfigError
from extract.evaluation import Evaluation, FieldScore, evaluate


def score(predicted: Any, gold: Any, **options: Any) -> FieldScore:
    """The score of one field, from its predicted and its gold values in row order."""
    ours, theirs = pl.Series("field", predicted), pl.Series("field", gold)
    keys = pl.Series("id", range(len(theirs)))
    return evaluate(pl.DataFrame([keys, ours]), pl.DataFrame([keys, theirs]), on="id", **options)["field"]


def agrees(predicted: Any, gold: str, dtype: Any, **options: Any) -> tuple[bool, bool]:
    """Whether one typed value agrees with one gold text: exactly, and when normalised."""
    result = score(pl.Series([predicted], dtype=dtype), [gold], **options)
    return result.exact == 1, result.normalised == 1


# Rows and keys


def test_rows_meet_by_key_whatever_their_order() -> None:
    predicted = pl.DataFrame({"id": ["c", "a", "b"], "x": [3, 1, 2]})
    gold = pl.DataFrame({"id": ["a", "b", "c"], "x": [1, 2, 4]})
    assert evaluate(predicted, gold, on="id")["x"].exact == pytest.approx(2 / 3)


def test_a_missing_prediction_is_wrong_and_an_extra_one_is_not_judged() -> None:
    predicted = pl.DataFrame({"id": [1, 2, 9, 10], "x": ["a", "b", "z", "z"]})
    gold = pl.DataFrame({"id": [1, 2, 3, 4], "x": ["a", "b", None, "d"]})
    result = evaluate(predicted, gold, on="id")
    assert (result.rows, result.missing, result.extra) == (4, 2, 2)
    assert (result["x"].n, result["x"].exact, result["x"].normalised) == (4, 0.5, 0.5)


@pytest.mark.parametrize("keys", [["1", "2"], [1.0, 2.0], pl.Series([1, 2], dtype=pl.Int16)])
def test_keys_of_another_dtype_still_meet(keys: Any) -> None:
    result = evaluate(pl.DataFrame({"id": [2, 1], "x": [5, 4]}), pl.DataFrame({"id": keys, "x": [4, 5]}), on="id")
    assert (result.missing, result.extra, result["x"].exact) == (0, 0, 1)


@pytest.mark.parametrize("side", ["predicted", "gold"])
def test_repeated_keys_are_refused_by_name(side: str) -> None:
    frames = {name: pl.DataFrame({"id": ["a", "b"], "x": [1, 2]}) for name in ("predicted", "gold")}
    frames[side] = pl.DataFrame({"id": ["a", "b", "b"], "x": [1, 2, 2]})
    with pytest.raises(ConfigError, match=rf"'id' of the {side} frame repeats \['b'\]"):
        evaluate(frames["predicted"], frames["gold"], on="id")


def test_null_keys_are_refused() -> None:
    frame = pl.DataFrame({"id": ["a", None], "x": [1, 2]})
    with pytest.raises(ConfigError, match="1 gold rows have no value in the key column 'id'"):
        evaluate(frame.head(1), frame, on="id")


def test_a_missing_key_column_is_refused_with_what_exists() -> None:
    with pytest.raises(ConfigError, match=r"predicted frame has no column 'id' to join on; it has \['x'\]"):
        evaluate(pl.DataFrame({"x": [1]}), pl.DataFrame({"id": [1], "x": [1]}), on="id")


def test_unknown_fields_are_refused_with_what_exists() -> None:
    frame = pl.DataFrame({"id": [1], "x": [1], "y": [1]})
    with pytest.raises(ConfigError, match=r"cannot judge \['z'\]; fields that both frames have: \['x', 'y'\]"):
        evaluate(frame, frame, on="id", fields=["x", "z"])


def test_frames_without_a_common_field_are_refused() -> None:
    with pytest.raises(ConfigError, match="no field in common"):
        evaluate(pl.DataFrame({"id": [1], "x": [1]}), pl.DataFrame({"id": [1], "y": [1]}), on="id")


def test_only_the_chosen_fields_are_judged_in_their_order() -> None:
    frame = pl.DataFrame({"id": [1], "x": [1], "y": [1], "z": [1]})
    assert [item.name for item in evaluate(frame, frame, on="id", fields=["z", "x", "z"]).fields] == ["z", "x"]


def test_no_gold_rows_give_no_shares_rather_than_zeros() -> None:
    frame = pl.DataFrame(schema={"id": pl.Int64, "x": pl.Enum(["a"])})
    result = evaluate(frame, frame, on="id")
    assert result["x"] == FieldScore(name="x", kind="label", n=0, exact=None, normalised=None)
    assert "-" in str(result)


# Agreement of values


def test_null_equals_null_only() -> None:
    assert score(["a", None, None, "d"], ["a", None, "c", None]).exact == 0.5


@pytest.mark.parametrize(
    ("predicted", "gold", "dtype"),
    [
        (date(2018, 12, 25), "2018-12-25", pl.Date),
        (Decimal("9.00"), "9", pl.Decimal(10, 2)),
        (12.5, "12.50", pl.Float64),
        (7, " 7 ", pl.Int64),
        (True, "True", pl.Boolean),
        (datetime(2026, 3, 1, 9, 30, tzinfo=UTC), "2026-03-01T10:30:00+01:00", pl.Datetime("us", "UTC")),
        ("spam", "spam", pl.Enum(["spam", "ham"])),
    ],
)
def test_a_gold_text_in_plain_notation_is_exact(predicted: Any, gold: str, dtype: Any) -> None:
    assert agrees(predicted, gold, dtype) == (True, True)


@pytest.mark.parametrize(
    ("predicted", "gold", "dtype"),
    [
        (date(2018, 12, 25), "2018-12-24", pl.Date),
        (date(2018, 12, 25), "soon", pl.Date),
        (date(2018, 2, 28), "30/02/2018", pl.Date),
        (Decimal("9.00"), "9.01", pl.Decimal(10, 2)),
        (Decimal("9.00"), "9.00 or 10.00", pl.Decimal(10, 2)),
        (Decimal("9.00"), "-9.00", pl.Decimal(10, 2)),
        (1.0, "nan", pl.Float64),
        (1.0, "sNaN", pl.Float64),
        (1234567.0, "1234.567 kg", pl.Float64),
        (123.0, "0.123 kg", pl.Float64),
        (0.0, "", pl.Float64),
        (True, "no", pl.Boolean),
        (None, "None", pl.Date),
        (None, "x", pl.String),
    ],
)
def test_another_value_is_wrong_either_way(predicted: Any, gold: str, dtype: Any) -> None:
    assert agrees(predicted, gold, dtype) == (False, False)


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("RM9.00", "9.00"),
        ("RM 9.00", "9.00"),
        ("$1,234.50", "1234.50"),
        ("1.234,50", "1234.50"),
        ("1 234,50 €", "1234.50"),
        ("1'234.50 CHF", "1234.50"),
        ("1,234,567", "1234567.00"),
        ("12,5", "12.50"),
        ("1.234", "1234.00"),
        ("Rs.50", "50.00"),
        ("-$5.00", "-5.00"),
        ("5.00-", "-5.00"),
        ("(12.00)", "-12.00"),
        ("¥429,000-", "-429000.00"),
        ("RM-9.00", "-9.00"),
        ("USD \u2212 9.00", "-9.00"),
        ("($9.00)", "-9.00"),
        ("Refund of -9.00", "-9.00"),
        ("Refund: RM9.00-", "-9.00"),
        ("Sub-total 9.00", "9.00"),
        ("Pre-tax 9.00", "9.00"),
        ("total - paid: 9.00", "9.00"),
        ("e-mail 9", "9.00"),
        ("١٬٢٣٤٫٥٠", "1234.50"),
    ],
)
def test_amounts_in_written_forms_are_normalised(text: str, amount: str) -> None:
    assert agrees(Decimal(amount), text, pl.Decimal(12, 2)) == (False, True)


@pytest.mark.parametrize("value", ["1.234", "1234"])
def test_an_ambiguous_separator_may_be_read_either_way(value: str) -> None:
    assert agrees(Decimal(value), "1.234 kg", pl.Decimal(12, 3)) == (False, True)


@pytest.mark.parametrize(
    "text",
    [
        "10/03/2018",
        "10-03-18",
        "10.3.2018",
        "10 MAR 2018",
        "10-Mar-18",
        "March 10, 2018",
        "10. März 2018",
        "samedi 10 mars 2018",
        "10 de marzo de 2018",
        "2018/03/10",
        "2018 Mar 10",
        "2018年3月10日",
        "10/03/2018 8:13:39 PM",
    ],
)
def test_dates_in_written_forms_are_normalised(text: str) -> None:
    assert agrees(date(2018, 3, 10), text, pl.Date) == (False, True)


def test_the_order_of_day_and_month_is_the_callers() -> None:
    assert agrees(date(2018, 4, 3), "03/04/2018", pl.Date) == (False, True)
    assert agrees(date(2018, 3, 4), "03/04/2018", pl.Date) == (False, False)
    assert agrees(date(2018, 3, 4), "03/04/2018", pl.Date, day_first=False) == (False, True)
    assert agrees(date(2018, 3, 24), "24/03/2018", pl.Date, day_first=False) == (False, True)
    assert agrees(date(2018, 3, 24), "03/24/2018", pl.Date) == (False, True)


def test_a_weekday_is_not_taken_for_the_month() -> None:
    assert agrees(date(2018, 4, 10), "mardi 10 avril 2018", pl.Date) == (False, True)


@pytest.mark.parametrize(("text", "hour"), [("12:05 AM", 0), ("12:05 p.m.", 12), ("11:05 am", 11), ("1:05PM", 13)])
def test_twelve_hour_clocks_are_read(text: str, hour: int) -> None:
    assert agrees(datetime(2018, 3, 10, hour, 5), f"10/03/2018 {text}", pl.Datetime) == (False, True)


def test_a_written_time_without_a_zone_meets_the_same_time_with_one() -> None:
    moment = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
    assert agrees(moment, "2026-03-01 09:30", pl.Datetime("us", "UTC")) == (False, True)
    assert agrees(moment, "2026-03-01 09:31", pl.Datetime("us", "UTC")) == (False, False)


def test_a_written_time_counts_and_an_unwritten_one_does_not() -> None:
    moment = datetime(2018, 3, 10, 20, 13)
    assert agrees(moment, "10/03/2018 8:13 PM", pl.Datetime) == (False, True)
    assert agrees(moment, "10/03/2018 20:13", pl.Datetime) == (False, True)
    assert agrees(moment, "10/03/2018", pl.Datetime) == (False, True)
    assert agrees(moment, "10/03/2018 8:13 AM", pl.Datetime) == (False, False)


@pytest.mark.parametrize(
    ("predicted", "gold"),
    [
        ("BOOK TA .K(TAMAN DAYA)", "book ta .k (taman daya)"),
        ("Straße 5", "STRASSE  5"),
        ("ＡＢＣ", "abc"),
        ("a\n b", "a b"),
        ("10-12 items", "10 - 12 items"),
        ("pages 10-12", "pages 10 -12"),
        ("(2 rooms)", "2 rooms"),
        ("-$12.50", "$-12.50"),
        ("(12.50)", "\u221212.50"),
        (None, " "),
    ],
)
def test_texts_are_normalised_by_case_width_blanks_and_punctuation(predicted: str | None, gold: str) -> None:
    assert agrees(predicted, gold, pl.String) == (False, True)


@pytest.mark.parametrize(
    ("predicted", "gold"),
    [
        ("12 3", "1 23"),
        ("!", "?"),
        ("की", "का"),
        ("9.00", "900"),
        ("-12.50", "12.50"),
        ("(12.50)", "12.50"),
        ("12.50-", "12.50"),
        ("down \u22125 degrees", "down 5 degrees"),
        ("C#", "C"),
        ("C++", "C"),
        ("F# and C", "F and C"),
    ],
)
def test_texts_that_say_something_else_stay_apart(predicted: str, gold: str) -> None:
    assert agrees(predicted, gold, pl.String) == (False, False)


def test_numbers_compare_by_value_whatever_their_dtype() -> None:
    decimals = pl.Series([Decimal("12.10"), Decimal("3.00")], dtype=pl.Decimal(38, 2))
    assert score(decimals, [12.1, 3.0]).exact == 1
    assert score(decimals, [12.104, 3.0]).exact == 0.5
    assert score([0.1 + 0.2], [0.3]) == FieldScore(name="field", kind="value", n=1, exact=0, normalised=1)
    assert score([math.nan], [math.nan]).exact == 1


@pytest.mark.parametrize(
    "other", [pl.Series([60.31, 33.9]), pl.Series(["60.31", "33.90"]), pl.Series([Decimal("60.31"), Decimal("33.90")])]
)
def test_floats_of_32_bits_are_compared_with_the_digits_they_have(other: pl.Series) -> None:
    single = pl.Series([60.31, 33.9], dtype=pl.Float32)
    for result in (score(single, other), score(other, single)):
        assert (result.exact, result.normalised) == (1, 1)
    assert score(single, other.reverse()).normalised == 0
    assert score(single, [60.32, 33.9]).normalised == 0.5


def test_floats_of_32_bits_inside_of_others_are_compared_so_too() -> None:
    whole = pl.Series([{"total": 60.31, "of": [60.31, 1.5]}])
    single = whole.cast(pl.Struct({"total": pl.Float32, "of": pl.List(pl.Float32)}))
    assert (score(single, whole).exact, score(whole, single).exact) == (1, 1)


# Nested values

INNER = {"is_safe": True, "summary": "Nice."}


def test_a_struct_is_judged_whole_and_by_its_fields() -> None:
    predicted = pl.DataFrame({"id": [1, 2], "decision": [INNER, {"is_safe": False, "summary": "nice"}]})
    gold = pl.DataFrame({"id": [1, 2], "decision": [INNER, INNER]})
    result = evaluate(predicted, gold, on="id")
    assert [item.name for item in result.fields] == ["decision", "decision.is_safe", "decision.summary"]
    assert evaluate(predicted, gold, on="id", fields=["decision"]) == result
    assert [item.kind for item in result.fields] == ["nested", "label", "label"]
    assert [item.exact for item in result.fields] == [0.5, 0.5, 0.5]
    assert [item.normalised for item in result.fields] == [0.5, 0.5, 1]


def test_what_gold_does_not_hold_is_not_judged() -> None:
    predicted = pl.DataFrame({"id": [1], "decision": [{"type": "NotSpam", **INNER}]})
    result = evaluate(predicted, pl.DataFrame({"id": [1], "decision": [INNER]}), on="id")
    assert {item.name: item.exact for item in result.fields} == {
        "decision": 1,
        "decision.is_safe": 1,
        "decision.summary": 1,
    }


def test_a_flat_gold_column_meets_the_field_inside_a_struct() -> None:
    predicted = pl.DataFrame({"id": [1, 2], "decision": [INNER, None]})
    gold = pl.DataFrame({"id": [1, 2], "decision.is_safe": [True, False]})
    assert evaluate(predicted, gold, on="id", fields=["decision.is_safe"])["decision.is_safe"].exact == 0.5


def test_a_column_with_a_dotted_name_wins_over_the_field_inside_a_struct() -> None:
    frame = pl.DataFrame({"id": [1], "a.b": ["column"], "a": [{"b": "inside"}]})
    gold = pl.DataFrame({"id": [1], "a.b": ["column"]})
    assert evaluate(frame, gold, on="id")["a.b"].exact == 1


def test_lists_agree_item_by_item_in_order() -> None:
    bun = {"name": "Bun", "price": None, "on": None}
    items = [{"name": "Tea", "price": Decimal("2.50"), "on": date(2026, 1, 2)}, bun]
    plain = [{"name": "Tea", "price": 2.5, "on": "2026-01-02"}, bun]
    assert score([items], [plain]).exact == 1
    assert score([items], [plain[::-1]]).exact == 0
    assert score([items], [plain[:1]]).exact == 0
    loud = [{"name": "TEA", "price": 2.5, "on": "2026-01-02"}, bun]
    assert (score([items], [loud]).exact, score([items], [loud]).normalised) == (0, 1)


def test_json_text_meets_a_nested_value() -> None:
    assert score(['{"a": [1, 2]}', "oops"], [{"a": [1, 2]}, {"a": [3]}]).exact == 0.5
    assert score([{"a": [1, 2]}], ['{"a": [1, 2]}']).exact == 1


DICT = pl.List(pl.Struct({"key": pl.String, "value": pl.Int64}))


def dicts(*rows: dict[str, int] | None) -> pl.Series:
    pairs = [None if row is None else [{"key": key, "value": value} for key, value in row.items()] for row in rows]
    return pl.Series(pairs, dtype=DICT)


@pytest.mark.parametrize(
    "gold",
    [
        dicts({"b": 2, "a": 1}, {}),
        ['{"b": 2, "a": 1}', "{}"],
        ['[{"key": "b", "value": 2}, {"key": "a", "value": 1}]', "[]"],
        pl.Series([{"a": 1, "b": 2}, {"a": None, "b": None}]),
    ],
)
def test_a_dict_is_the_same_whatever_the_order_of_its_keys_and_its_notation(gold: Any) -> None:
    field_score = score(dicts({"a": 1, "b": 2}, {}), gold)
    assert (field_score.exact, field_score.normalised, field_score.f1) == (1, 1, 1)
    for wrong in (
        dicts({"a": 1}, {"b": 2}),
        dicts({"a": 1, "b": 3}, {"c": 1}),
        dicts({"a": 1, "b": 2, "c": 3}, {"c": 0}),
    ):
        assert score(wrong, gold).normalised == 0


def test_the_members_of_a_dict_are_its_keys_with_their_values() -> None:
    field_score = score(dicts({"a": 1, "b": 2, "c": 3}), ['{"c": 3, "a": 1, "b": 0, "d": 4}'])
    assert field_score.members is not None
    assert (field_score.members.matched, field_score.members.predicted, field_score.members.gold) == (2, 3, 4)
    by_key = score(dicts({"a": 1, "b": 2, "c": 3}), ['{"c": 3, "a": 1, "b": 0}'], keys={"field": "key"}).members
    assert by_key is not None
    assert (by_key.matched, by_key.equal) == (3, 2)


def test_null_and_an_empty_list_both_say_nothing() -> None:
    field_score = score(
        pl.Series([None, []], dtype=pl.List(pl.String)), pl.Series([[], None], dtype=pl.List(pl.String))
    )
    assert (field_score.exact, field_score.normalised) == (0, 1)
    assert score(pl.Series([None], dtype=pl.List(pl.Int64)), [[1]]).normalised == 0


# Labels


def test_macro_f1_matches_the_hand_result() -> None:
    # f1 = 2 hits / (predicted + gold): a = 2 * 2 / (3 + 3), b = 2 * 1 / (2 + 1), c = 0 / (0 + 1)
    gold = ["a", "a", "a", "b", "c"]
    result = score(pl.Series(["a", "a", "b", "b", "a"], dtype=pl.Enum(["a", "b", "c", "d"])), gold)
    assert (result.kind, result.accuracy) == ("label", 0.6)
    assert result.macro_f1 == pytest.approx((2 / 3 + 2 / 3 + 0) / 3)
    by_label = {label.label: label for label in result.labels}
    assert (by_label["a"].precision, by_label["a"].recall, by_label["a"].support) == (2 / 3, 2 / 3, 3)
    assert (by_label["b"].precision, by_label["b"].recall, by_label["b"].support) == (0.5, 1, 1)
    assert (by_label["c"].precision, by_label["c"].recall, by_label["c"].f1) == (None, 0, 0)
    assert "d" not in by_label


def test_a_label_that_gold_never_has_lowers_macro_f1() -> None:
    result = score(pl.Series(["a", "x"], dtype=pl.Enum(["a", "x"])), ["a", "a"])
    assert [(label.label, label.recall, label.f1) for label in result.labels] == [("a", 0.5, 2 / 3), ("x", None, 0)]


def test_booleans_are_labels_and_read_their_gold_text() -> None:
    result = score([True, True, False, False], ["yes", "no", "no", "no"])
    # true: 1 hit, 2 predicted, 1 gold -> 2/3; false: 2 hits, 2 predicted, 3 gold -> 4/5
    assert result.macro_f1 == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert (result.accuracy, result.exact, result.normalised) == (0.75, 0, 0.75)


@pytest.mark.parametrize(
    ("predicted", "gold"),
    [
        (pl.Series(["true", "false"], dtype=pl.Enum(["true", "false", "unclear"])), [True, False]),
        (pl.Series(["1", "3"], dtype=pl.Enum(["1", "2", "3"])), [1.0, 3.0]),
        (pl.Series(["1", "3"], dtype=pl.Enum(["1", "2", "3"])), [1, 3]),
        (pl.Series([1, 3]), [" 1", "3.0"]),
        (pl.Series([True, False]), [1, 0]),
        (pl.Series([1.5, 100.0]), [Decimal("1.50"), Decimal("100.00")]),
    ],
)
def test_what_is_exactly_right_is_so_as_a_label_too(predicted: Any, gold: list[Any]) -> None:
    result = score(predicted, gold, labels=["field"])
    assert (result.exact, result.accuracy, result.macro_f1, result.kappa) == (1, 1, 1, 1)
    turned = score(gold, predicted, labels=["field"])
    assert (turned.exact, turned.macro_f1) == (1, 1)


LABEL_SETS = st.sampled_from(
    [["TRUE", "FALSE", "x"], ["true", "false"], ["1", "2", "01"], ["1.0", "2.50"], ["-5", "5", "(5)"], ["m", "M", "k"]]
)
GOLD = st.one_of(
    st.lists(st.booleans(), min_size=3, max_size=3),
    st.lists(st.sampled_from([1, 2, 5, -5, None]), min_size=3, max_size=3),
    st.lists(st.sampled_from([1.0, 2.5, -5.0]), min_size=3, max_size=3),
    st.lists(st.sampled_from(["TRUE", "true ", "1", "01", "-5", "5", "m", "M", "k", "K"]), min_size=3, max_size=3),
)


@given(LABEL_SETS, GOLD, st.randoms(use_true_random=False), st.booleans())
def test_accuracy_of_labels_lies_between_exact_and_normalised(
    labels: list[str], gold: list[Any], random: Any, is_enum: bool
) -> None:
    dtype = pl.Enum(labels) if is_enum else pl.String()
    predicted = pl.Series(random.choices([*labels, None], k=3), dtype=dtype)
    for result in (
        score(predicted, gold, labels=["field"], resamples=0),
        score(gold, predicted, labels=["field"], resamples=0),
    ):
        assert result.exact is not None
        assert result.accuracy is not None
        assert result.normalised is not None
        assert result.exact <= result.accuracy <= result.normalised


def test_gold_labels_are_normalised_where_the_schema_knows_the_label() -> None:
    known = pl.Enum(["Café", "m", "M", "tea"])
    result = score(pl.Series(["Café", "tea", "m"], dtype=known), ["cafe\u0301", " TEA", "m"])
    assert (result.normalised, result.macro_f1) == (1, 1)
    assert [one.label for one in result.labels] == ["Café", "m", "tea"]
    # Labels that only case tells apart stay apart.
    assert score(pl.Series(["m", "M"], dtype=known), ["M", "M"]).accuracy == 0.5
    assert score(pl.Series(["tea"], dtype=known), ["coffee"]).macro_f1 == 0


def test_many_different_predictions_make_no_labels() -> None:
    gold = [f"shop {number % 50}" for number in range(400)]
    assert score([f"shop {number}" for number in range(400)], gold).kind == "text"
    assert score([f"shop {number % 60}" for number in range(400)], gold).kind == "label"


def test_many_labels_take_no_more_than_their_rows() -> None:
    gold = [f"label {number % 10_000}" for number in range(40_000)]
    predicted = [f"label {number % 9_999}" for number in range(40_000)]
    started = time.process_time()
    result = score(predicted, gold, labels=["field"], resamples=0)
    assert len(result.labels) == 10_000
    # Processor time, which other programs on the machine do not change: under a second; the square of labels takes 30.
    assert time.process_time() - started < 8


def test_a_missing_prediction_costs_recall_and_no_precision() -> None:
    predicted = pl.DataFrame({"id": [1, 2], "x": pl.Series(["a", "b"], dtype=pl.Enum(["a", "b"]))})
    gold = pl.DataFrame({"id": [1, 2, 3], "x": ["a", "b", "b"]})
    labels = {label.label: label for label in evaluate(predicted, gold, on="id")["x"].labels}
    assert (labels["b"].precision, labels["b"].recall, labels["b"].support) == (1, 0.5, 2)


def test_null_is_a_label_of_its_own_where_gold_has_nulls() -> None:
    kinds = pl.Enum(["phishing", "scam"])
    with_null = score(pl.Series(["scam", None, None], dtype=kinds), ["scam", None, "scam"])
    assert [(label.label, label.support) for label in with_null.labels] == [("scam", 2), (None, 1)]
    without = score(pl.Series(["scam", None], dtype=kinds), ["scam", "scam"])
    assert [(label.label, label.recall) for label in without.labels] == [("scam", 0.5)]


def test_texts_are_labels_when_few_and_repeated() -> None:
    assert score(["a", "b", "a", "a"], ["a", "b", "a", "b"]).kind == "label"
    assert score(["a", "b", "c", "d"], ["a", "b", "c", "d"]).kind == "text"
    assert score(["a", "b", None, None], ["a", "b", None, None]).kind == "text"
    assert score(["a", "b"], pl.Series([None, None], dtype=pl.String)).kind == "text"


# Shape of the result


def example(**options: Any) -> Evaluation:
    predicted = pl.DataFrame({"id": [1, 2], "topic": ["a", "a"], "total": [Decimal("1.50"), Decimal("2.00")]})
    gold = pl.DataFrame({"id": [1, 2, 3], "topic": ["a", "a", "a"], "total": ["$1.50", "2.00", "4"]})
    return evaluate(predicted, gold, on="id", **options)


def test_the_frame_has_one_row_per_field() -> None:
    frame = example().frame()
    assert frame.columns[:6] == ["field", "kind", "n", "exact", "exact_low", "exact_high"]
    assert frame.select("field", "kind", "n", "macro_f1", "labels").rows() == [
        ("topic", "label", 3, 0.8, 1),
        ("total", "value", 3, None, 0),
    ]


def test_the_text_is_an_aligned_table() -> None:
    assert str(example(resamples=0)).splitlines() == [
        "3 rows, 1 missing, 0 extra; right in every field: 66.7% (20.8-93.9)",
        "field  kind   n              exact         normalised     F1  kappa",
        "topic  label  3  66.7% (20.8-93.9)  66.7% (20.8-93.9)  0.800  0.000",
        "total  value  3   33.3% (6.1-79.2)  66.7% (20.8-93.9)      -      -",
    ]


def test_a_field_that_was_not_judged_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        example()["nothing"]


# Properties

ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "label": st.sampled_from(["a", "b", "c", None]),
            "flag": st.none() | st.booleans(),
            "text": st.none() | st.text(max_size=6),
            "number": st.none() | st.floats(),
            "day": st.none() | st.dates(),
            "struct": st.none()
            | st.fixed_dictionaries({"x": st.none() | st.integers(-9, 9), "y": st.text(max_size=3)}),
            "items": st.lists(st.decimals(-99, 99, places=2), max_size=3),
        }
    ),
    min_size=1,
    max_size=12,
)
SCHEMA = {
    "label": pl.Enum(["a", "b", "c"]),
    "flag": pl.Boolean,
    "text": pl.String,
    "number": pl.Float64,
    "day": pl.Date,
    "struct": pl.Struct({"x": pl.Int64, "y": pl.String}),
    "items": pl.List(pl.Decimal(10, 2)),
}


def frame_of(rows: list[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=SCHEMA).with_row_index("id")


@given(ROWS)
def test_a_perfect_prediction_scores_one_everywhere(rows: list[dict[str, Any]]) -> None:
    result = evaluate(frame_of(rows), frame_of(rows), on="id", resamples=0)
    assert {(item.exact, item.normalised, item.accuracy or 1, item.macro_f1 or 1) for item in result.fields} == {
        (1, 1, 1, 1)
    }


@given(ROWS, ROWS, st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(ours: list[Any], theirs: list[Any], random: Any) -> None:
    predicted, gold = frame_of(ours), frame_of(theirs)
    shuffled = [frame[random.sample(range(len(frame)), len(frame))] for frame in (predicted, gold)]
    assert evaluate(*shuffled, on="id", resamples=0) == evaluate(predicted, gold, on="id", resamples=0)


@given(ROWS, ROWS)
def test_shares_lie_in_order_between_nought_and_one(ours: list[Any], theirs: list[Any]) -> None:
    result = evaluate(frame_of(ours), frame_of(theirs), on="id", resamples=0)
    assert result.missing == max(0, len(theirs) - len(ours))
    assert result.extra == max(0, len(ours) - len(theirs))
    for item in result.fields:
        assert item.exact is not None
        assert item.normalised is not None
        assert 0 <= item.exact <= item.normalised <= 1
        assert 0 <= (item.macro_f1 or 0) <= 1
        assert sum(label.support for label in item.labels) == (item.n if item.kind == "label" else 0)


@given(st.text(), st.text())
def test_any_text_is_judged_without_an_error(ours: str, theirs: str) -> None:
    for dtype in (pl.String, pl.Date, pl.Float64, pl.Boolean, pl.Datetime, pl.Decimal(10, 2)):
        values = {pl.String: ours, pl.Date: date(2026, 1, 2), pl.Boolean: True, pl.Datetime: datetime(2026, 1, 2)}
        agrees(values.get(dtype, 1), theirs, dtype, resamples=0)


@given(st.decimals(0, 9_999_999, places=2), st.sampled_from(["{:,.2f}", "${:,.2f}", "{:,.2f} USD", "RM{:.2f}"]))
def test_every_written_amount_is_read_back(amount: Decimal, form: str) -> None:
    assert agrees(amount, form.format(amount), pl.Decimal(12, 2), resamples=0)[1]


@given(st.dates(date(1970, 1, 1), date(2060, 1, 1)), st.sampled_from(["%d/%m/%Y", "%d-%m-%y", "%d %b %Y", "%B %d, %Y"]))
def test_every_written_date_is_read_back(day: date, form: str) -> None:
    assert agrees(day, day.strftime(form), pl.Date)[1]


def test_whole_numbers_that_fall_together_as_floats_are_refused_as_keys() -> None:
    gold = pl.DataFrame({"id": [2**53, 2**53 + 1], "label": ["a", "b"]})
    predicted = pl.DataFrame({"id": [float(2**53), 1.5], "label": ["a", "b"]})
    with pytest.raises(ConfigError, match="'id' of the gold frame repeats"):
        evaluate(predicted, gold, on="id")
