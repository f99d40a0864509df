"""The figures of an evaluation against scikit-learn's and scipy's, and whether the intervals hold what they promise."""

from __future__ import annotations

import json
import random
from decimal import Decimal
from itertools import combinations
from typing import Any

import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from extract import ConfigError, compare, evaluate
from extract.evaluation import Average, Evaluation, FieldScore
from extract.evaluation.compare import mcnemar

UNANSWERED = "(no prediction)"
NULL = "(null)"

LABELS = st.sampled_from(["a", "b", "c", "d", "é", None])
# None stands for a null; `missing` for a row that has no prediction at all.
CASES = st.lists(st.tuples(LABELS, LABELS | st.just("missing")), min_size=1, max_size=40)


def judged(case: list[tuple[Any, Any]], **options: Any) -> FieldScore:
    """The score of (gold, predicted) labels, some of which have no prediction."""
    gold = pl.DataFrame(
        {
            "id": range(len(case)),
            "x": pl.Series([theirs for theirs, _ in case], dtype=pl.Enum(["a", "b", "c", "d", "é"])),
        }
    )
    rows = [(key, ours) for key, (_, ours) in enumerate(case) if ours != "missing"]
    schema = {"id": pl.Int64, "x": pl.Enum(["a", "b", "c", "d", "é"])}
    return evaluate(pl.DataFrame(rows, schema=schema, orient="row"), gold, on="id", resamples=0, **options)["x"]


def as_texts(case: list[tuple[Any, Any]]) -> tuple[list[str], list[str]]:
    """Gold and prediction as scikit-learn takes them: null and no prediction are classes of their own."""
    gold = [NULL if theirs is None else theirs for theirs, _ in case]
    return gold, [UNANSWERED if ours == "missing" else NULL if ours is None else ours for _, ours in case]


@settings(max_examples=60, deadline=None)
@given(CASES)
def test_label_figures_are_those_of_scikit_learn(case: list[tuple[Any, Any]]) -> None:
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is for development only")
    gold, predicted = as_texts(case)
    score = judged(case)
    assert score.accuracy == pytest.approx(metrics.accuracy_score(gold, predicted), abs=1e-9)
    labels = [NULL if one.label is None else one.label for one in score.labels]
    assert set(labels) == (set(gold) | set(predicted)) - {UNANSWERED} - ({NULL} - set(gold))
    each = metrics.precision_recall_fscore_support(gold, predicted, labels=labels, zero_division=0)
    for one, precision, recall, f1, support in zip(score.labels, *each, strict=True):
        assert (one.precision or 0, one.recall or 0, one.f1) == pytest.approx((precision, recall, f1), abs=1e-9)
        assert one.support == support
        assert (one.precision is None) == (predicted.count(one.label or NULL) == 0)
        assert (one.recall is None) == (support == 0)
    for name, average in (("micro", score.micro), ("macro", score.macro), ("weighted", score.weighted)):
        theirs = metrics.precision_recall_fscore_support(gold, predicted, labels=labels, average=name, zero_division=0)
        assert average is not None
        assert (average.precision, average.recall, average.f1) == pytest.approx(theirs[:3], abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(CASES)
def test_confusion_kappa_and_matthews_are_those_of_scikit_learn(case: list[tuple[Any, Any]]) -> None:
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is for development only")
    gold, predicted = as_texts(case)
    score = judged(case)
    confusion = score.confusion
    assert confusion is not None
    labels = [NULL if label is None else label for label in confusion.labels]
    matrix = metrics.confusion_matrix(gold, predicted, labels=[*labels, UNANSWERED])
    assert [list(row) for row in confusion.counts] == matrix[:-1, :-1].tolist()
    assert list(confusion.unanswered) == matrix[:-1, -1].tolist()
    if len({*gold, *predicted}) > 1:
        assert score.kappa == pytest.approx(metrics.cohen_kappa_score(gold, predicted), abs=1e-9)
        # Where one side has one label only, scikit-learn says 0.
        assert (score.matthews or 0) == pytest.approx(metrics.matthews_corrcoef(gold, predicted), abs=1e-9)
    else:
        assert (score.kappa, score.matthews) == (None, None)  # there scikit-learn warns


MEMBERS = st.lists(st.sampled_from(["milk", "tea", "bun", "egg"]), unique=True, max_size=4)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(MEMBERS, MEMBERS), min_size=1, max_size=8))
def test_member_figures_are_those_of_scikit_learn(case: list[tuple[list[str], list[str]]]) -> None:
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is for development only")
    names = ["milk", "tea", "bun", "egg"]
    gold, predicted = ([[int(name in row[side]) for name in names] for row in case] for side in (0, 1))
    texts = pl.List(pl.String)
    frames = [
        pl.DataFrame({"id": range(len(case)), "x": pl.Series([row[side] for row in case], dtype=texts)})
        for side in (0, 1)
    ]
    members = evaluate(frames[1], frames[0], on="id", resamples=0)["x"].members
    assert members is not None
    theirs = metrics.precision_recall_fscore_support(gold, predicted, average="micro", zero_division=0)
    ours = (members.precision or 0, members.recall or 0, members.f1 or 0)
    assert ours == pytest.approx(theirs[:3], abs=1e-9)
    assert members.equal == members.matched


# Members by key

MENU = pl.List(pl.Struct({"name": pl.String, "price": pl.Float64}))


def menu(*rows: list[tuple[str | None, float | None]] | None) -> pl.DataFrame:
    items = [None if row is None else [{"name": name, "price": price} for name, price in row] for row in rows]
    return pl.DataFrame({"id": range(len(rows)), "items": pl.Series(items, dtype=MENU)})


def test_members_are_matched_by_their_key_whatever_their_order() -> None:
    predicted = menu([("Tea", 2.5), ("BUN", 9.0), ("Egg", 1.0)], [])
    gold = menu([("bun", 1.5), ("tea", 2.5)], [("milk", 1.0)])
    members = evaluate(predicted, gold, on="id", keys={"items": "name"})["items"].members
    assert members is not None
    assert (members.predicted, members.gold, members.matched, members.equal) == (3, 3, 2, 1)
    assert (members.precision, members.recall, members.f1) == (2 / 3, 2 / 3, 2 / 3)
    whole = evaluate(predicted, gold, on="id")["items"].members
    assert whole is not None
    assert (whole.matched, whole.equal) == (1, 1)


def test_equal_members_count_as_often_as_both_sides_have_them() -> None:
    members = evaluate(menu([("tea", 1.0)] * 3), menu([("tea", 1.0)] * 2), on="id")["items"].members
    assert members is not None
    assert (members.predicted, members.matched, members.gold) == (3, 2, 2)


def test_the_same_member_is_preferred_to_one_with_the_same_key_only() -> None:
    predicted, gold = menu([("tea", 9.0), ("tea", 1.0)]), menu([("tea", 1.0), ("tea", 2.0)])
    members = evaluate(predicted, gold, on="id", keys={"items": ("name",)})["items"].members
    assert members is not None
    assert (members.matched, members.equal) == (2, 1)


def test_members_without_a_key_are_not_matched_by_it() -> None:
    predicted, gold = menu([(None, 9.0)], None), menu([(None, 1.0)], [("a", 1.0)])
    members = evaluate(predicted, gold, on="id", keys={"items": "name"})["items"].members
    assert members is not None
    assert (members.predicted, members.gold, members.matched, members.precision) == (1, 2, 0, 0)


def test_lists_in_json_text_have_members_too() -> None:
    gold = pl.DataFrame({"id": [0, 1], "items": ['[{"name": "tea", "price": 1}]', "not json"]})
    score = evaluate(menu([("tea", 1.0)], []), gold, on="id", keys={"items": "name"})["items"]
    assert score.members is not None
    assert (score.kind, score.members.gold, score.members.equal) == ("list", 2, 1)


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"item": "name"}, "'item' is not judged"),
        ({"items": "sku"}, r"no field 'sku'; they have \['name', 'price'\]"),
        ({"id2": "name"}, "no list of structs but Int64"),
    ],
)
def test_keys_that_cannot_be_are_refused(keys: dict[str, str], says: str) -> None:
    frame = menu([("tea", 1.0)]).with_columns(id2=pl.lit(1, pl.Int64))
    with pytest.raises(ConfigError, match=says):
        evaluate(frame, frame, on="id", keys=keys)


# Intervals


def test_a_share_of_all_rows_does_not_claim_to_be_certain() -> None:
    frame = pl.DataFrame({"id": range(20), "x": ["a", "b"] * 10})
    intervals = evaluate(frame, frame, on="id")["x"].intervals
    interval = intervals["exact"]
    assert (round(interval.low, 3), interval.high) == (0.839, 1.0)  # Wilson's, by hand: 20 / (20 + 1.96 ** 2)
    assert {"macro_f1", "kappa"}.isdisjoint(intervals)  # where all resamples are alike, a bootstrap knows nothing


def test_intervals_depend_on_the_seed_and_not_on_the_order_of_rows() -> None:
    predicted, gold = sample(random.Random(3), 200)
    first = evaluate(predicted, gold, on="id")["x"].intervals
    assert first == evaluate(predicted[::-1], gold[::-1], on="id")["x"].intervals
    other = evaluate(predicted, gold, on="id", seed=1)["x"].intervals
    assert other["exact"] == first["exact"]
    assert other["macro_f1"] != first["macro_f1"]
    assert abs(other["macro_f1"].low - first["macro_f1"].low) < 0.02
    assert set(evaluate(predicted, gold, on="id", resamples=0)["x"].intervals) == {"exact", "normalised", "accuracy"}


CELLS = [("a", "a", 50), ("a", "b", 6), ("b", "b", 22), ("b", "a", 7), ("c", "c", 10), ("c", "a", 5)]


def sample(draws: random.Random, n: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Predictions and gold labels of n rows, from a population in which CELLS tells how often each pair comes."""
    pairs = draws.choices(CELLS, [share for *_, share in CELLS], k=n)
    kinds = pl.Enum(["a", "b", "c"])
    gold, predicted = (pl.Series([pair[side] for pair in pairs], dtype=kinds) for side in (0, 1))
    return pl.DataFrame({"id": range(n), "x": predicted}), pl.DataFrame({"id": range(n), "x": gold})


def test_intervals_hold_the_true_figure_as_often_as_they_say() -> None:
    population = [pair for *pair, share in CELLS for _ in range(share)]
    whole = judged([(gold, predicted) for gold, predicted in population])
    true = {"accuracy": whole.accuracy, "macro_f1": whole.macro_f1, "kappa": whole.kappa}
    held = dict.fromkeys(true, 0)
    draws = random.Random(8)
    rounds = 150
    for _ in range(rounds):
        predicted, gold = sample(draws, 150)
        intervals = evaluate(predicted, gold, on="id", resamples=400)["x"].intervals
        for name, figure in true.items():
            held[name] += intervals[name].low <= (figure or 0) <= intervals[name].high
    # Of 150 intervals at 95 %, 135 to 148 hold in 99 of 100 simulations; benchmarks/coverage.py draws many more.
    assert all(135 <= count <= 149 for count in held.values()), held


# Cost


def provenance(costs: list[float | None], cached: list[bool]) -> pl.Series:
    return pl.Series([{"cost_usd": cost, "cached": was} for cost, was in zip(costs, cached, strict=True)])


def test_the_cost_of_a_right_row_leaves_out_what_an_earlier_run_has_paid() -> None:
    predicted = pl.DataFrame({"id": [1, 2, 3, 4], "x": ["a", "b", "b", "a"]})
    predicted = predicted.with_columns(_extract=provenance([0.25, 0.5, 0.0, None], [False, False, True, False]))
    gold = pl.DataFrame({"id": [1, 2, 3, 4, 5], "x": ["a", "a", "b", "a", "b"]})
    result = evaluate(predicted, gold, on="id", fields=["x"], resamples=0)
    assert result.cost is not None
    assert (result.cost.rows, result.cost.correct, result.cost.unknown) == (2, 1, 3)
    assert (result.cost.dollars, result.cost.per_correct) == (0.75, 0.75)
    assert (result.cost.missing, result.cost.at_least) == (1, True)
    assert "at least $0.750000 per correct row; what 1 rows without an answer cost is not known" in str(result)
    assert "; 2 rows of unknown cost left out" in str(result)
    assert evaluate(predicted.drop("_extract"), gold, on="id").cost is None


def test_the_cost_of_a_right_row_has_an_interval_that_holds_it() -> None:
    draws = random.Random(5)
    predicted, gold = sample(draws, 400)
    costs: list[float | None] = [draws.uniform(0.001, 0.003) for _ in range(400)]
    result = evaluate(predicted.with_columns(_extract=provenance(costs, [False] * 400)), gold, on="id")
    assert result.cost is not None
    assert result.cost.interval is not None
    assert result.cost.interval.low < 0.002 / 0.82 < result.cost.interval.high
    assert result.cost.interval.high - result.cost.interval.low < 0.0005


# Shape


def hostile() -> Evaluation:
    frame = pl.DataFrame({"id": range(4), "<script>alert(1)</script>": ['"><img onerror=x>', "b"] * 2})
    return evaluate(frame, frame, on="id")


def test_the_notebook_table_is_escaped() -> None:
    shown = hostile()._repr_html_()
    assert "<script" not in shown
    assert "&lt;script&gt;" in shown
    assert shown.startswith("<table>")


def test_everything_can_be_written_as_json() -> None:
    predicted, gold = sample(random.Random(1), 60)
    gold = gold.with_columns(items=pl.Series([["a"]] * 60), total=pl.lit(Decimal("1.5")))
    evaluation = json.loads(json.dumps(evaluate(predicted.join(gold.drop("x"), on="id"), gold, on="id").to_dict()))
    fields = {field["field"]: field for field in evaluation["fields"]}
    assert fields["x"]["macro"]["f1"] == pytest.approx(sum(one["f1"] for one in fields["x"]["labels"]) / 3)
    assert fields["x"]["confusion"]["labels"] == ["a", "b", "c"]
    assert fields["items"]["members"]["f1"] == 1
    assert len(fields["x"]["intervals"]["kappa"]) == 2
    assert evaluation["cost"] is None


def test_averages_of_one_perfect_label_are_one() -> None:
    score = judged([("a", "a")])
    assert score.micro == score.macro == score.weighted == Average(1, 1, 1)
    assert (score.kappa, score.matthews) == (None, None)


# Two runs


def runs() -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    a = pl.DataFrame({"id": [1, 2, 3, 4, 5, 8], "x": ["a", "b", "a", None, "a", "z"], "n": [1, 2, 3, 4, 5, 8]})
    b = pl.DataFrame({"id": [2, 1, 3, 4, 6], "x": ["a", "a", "b", "b", "a"], "n": [2, 1, 3, 4, 6]})
    gold = pl.DataFrame({"id": [1, 2, 3, 4, 5, 6, 7], "x": ["A", "b", "b", "b", "a", "a", "a"]})
    return a, b, gold


def test_two_runs_are_compared_row_by_row() -> None:
    a, b, _ = runs()
    comparison = compare(a, b, on="id")
    assert (comparison.rows, comparison.only_in_a, comparison.only_in_b, comparison.gold) == (4, 2, 1, None)
    assert (comparison["x"].changed, comparison["n"].changed, comparison["x"].p_value) == (3, 0, None)
    assert comparison.changes.rows() == [(2, "x", "b", "a"), (3, "x", "a", "b"), (4, "x", None, "b")]
    assert str(comparison).splitlines() == [
        "4 rows in both, 2 only in a, 1 only in b",
        "field  rows  changed",
        "x         4        3",
        "n         4        0",
    ]


def test_gold_tells_which_run_is_right_and_a_missing_row_is_wrong() -> None:
    comparison = compare(*runs(), on="id")
    split = comparison["x"]
    # 1 is right in both; 2 and 5 only in a; 3, 4 and 6 only in b; 7 is in neither.
    assert (split.both, split.only_a, split.only_b, split.neither) == (1, 2, 3, 1)
    assert split.p_value == mcnemar(2, 3) == 1.0
    assert (comparison["n"].both, comparison["n"].p_value) == (None, None)
    assert (comparison.gold, comparison.unjudged) == (7, 1)
    assert comparison.changes.columns == ["id", "field", "a", "b", "gold"]
    assert comparison.changes.row(0) == (2, "x", "b", "a", "b")
    assert json.loads(json.dumps(comparison.to_dict()))["fields"][0]["only_b"] == 3
    assert "1 rows without gold" in str(comparison)
    assert "<table>" in comparison._repr_html_()


def test_what_a_run_tells_about_its_answers_is_not_compared_unless_it_is_named() -> None:
    a, b, _ = runs()
    costs = provenance([0.1, 0.2, 0.3, 0.4, 0.5], [False] * 5)
    a, b = a.head(5).with_columns(_extract=costs), b.with_columns(_extract=costs)
    assert [one.name for one in compare(a, b, on="id").fields] == ["x", "n"]
    assert [one.name for one in evaluate(a, b, on="id", resamples=0).fields] == ["x", "n"]
    assert compare(a, b, on="id", fields=["_extract.cost_usd"])["_extract.cost_usd"].changed == 2


ANSWERS = st.lists(st.tuples(st.integers(0, 6), st.sampled_from(["a", "A", "b", None])), unique_by=lambda row: row[0])


@settings(max_examples=60, deadline=None)
@given(ANSWERS, ANSWERS, ANSWERS)
def test_a_comparison_counts_each_gold_row_once_as_the_evaluation_of_each_run_does(
    ours: list[tuple[int, Any]], others: list[tuple[int, Any]], true: list[tuple[int, Any]]
) -> None:
    keys = [{key for key, _ in rows} for rows in (ours, others, true)]
    assume(all(not one or not other or one & other for one, other in combinations(keys, 2)))  # else it is an error
    schema = {"id": pl.Int64, "x": pl.String}
    a, b, gold = (pl.DataFrame(one, schema=schema, orient="row") for one in (ours, others, true))
    comparison = compare(a, b, gold, on="id")
    split = comparison["x"]
    counts = (split.both or 0, split.only_a or 0, split.only_b or 0, split.neither or 0)
    assert sum(counts) == gold.height
    assert counts[0] + counts[1] == evaluate(a, gold, on="id", resamples=0).correct
    assert counts[0] + counts[2] == evaluate(b, gold, on="id", resamples=0).correct
    assert (comparison.rows + comparison.only_in_a, comparison.rows + comparison.only_in_b) == (a.height, b.height)
    assert split.changed == comparison.changes.height == compare(b, a, on="id")["x"].changed
    assert compare(a, a, on="id")["x"].changed == 0


@pytest.mark.parametrize("side", ["a", "b", "gold"])
def test_repeated_keys_of_a_comparison_are_refused_by_name(side: str) -> None:
    frames = dict(zip(("a", "b", "gold"), runs(), strict=True))
    frames[side] = pl.concat([frames[side], frames[side].head(1)])
    with pytest.raises(ConfigError, match=f"'id' of the {side} frame repeats"):
        compare(frames["a"], frames["b"], frames["gold"], on="id")


@pytest.mark.parametrize(
    ("only_a", "only_b"), [(0, 0), (0, 1), (3, 9), (10, 10), (40, 80), (500, 380), (12_000, 12_400), (0, 2_000)]
)
def test_mcnemar_is_the_exact_test_of_scipy(only_a: int, only_b: int) -> None:
    stats = pytest.importorskip("scipy.stats", reason="scipy is for development only")
    theirs = stats.binomtest(only_a, only_a + only_b).pvalue if only_a + only_b else 1.0
    assert mcnemar(only_a, only_b) == pytest.approx(theirs, rel=1e-9, abs=1e-300)
