"""Rows that may be accepted with a promise, from an existing output and its gold."""

from __future__ import annotations

import json
import re
from itertools import cycle
from random import Random
from typing import Any

import polars as pl
import pytest
from pydantic import BaseModel, Field

from extract import Client, ConfigError, Emulator, Extractor, accept, check_labels, run
from extract.evaluation.calibration import calibration, roc_area
from extract.evaluation.risk_coverage import risk_coverage
from extract.evaluation.shift import ShiftSample, same_distribution, shifts


def table(rows: int = 2_000, seed: int = 1) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return an output whose answers are right as often as their score says, and the right answers."""
    random = Random(seed)
    scores = [random.betavariate(5, 1) for _ in range(rows)]
    output = pl.DataFrame({"id": range(rows), "body": ["text"] * rows, "city": ["Bonn"] * rows, "sure": scores})
    gold = ["Bonn" if random.random() < 1 - (1 - score) ** 1.7 else "Cologne" for score in scores]
    return output, pl.DataFrame({"id": range(rows), "city": gold})


OUTPUT, RIGHT = table()
GOLD = RIGHT.sample(400, seed=1)


def test_accepted_rows_and_the_rest_are_the_output_and_say_how_they_were_routed() -> None:
    result = accept(OUTPUT, GOLD, on="id", score="sure")
    assert result.threshold is not None
    assert result.accepted.height + result.rest.height == OUTPUT.height
    assert pl.concat([result.accepted, result.rest]).sort("id").drop("_route").equals(OUTPUT)
    route = result.accepted["_route"].struct.unnest()
    assert route.columns == ["step", "score", "accepted", "threshold"]
    assert (route["score"] >= result.threshold).all()
    assert route["step"].unique().to_list() == [1]
    assert result.rest["_route"].struct.field("step").null_count() == result.rest.height


def test_the_promise_is_kept_on_the_accepted_rows() -> None:
    result = accept(OUTPUT, GOLD, on="id", score="sure")
    right = result.accepted.join(RIGHT, on="id").select(pl.col("city") == pl.col("city_right")).to_series()
    assert right.mean() >= 0.95  # type: ignore[operator]
    assert result.bound == 0.95
    assert repr(result).startswith(f"Acceptance({result.accepted.height:,} of 2,000 rows accepted at score >= 0.")
    assert "at least 95% are right, with 95% confidence" in repr(result)


def test_the_result_says_what_more_gold_would_buy() -> None:
    result = accept(OUTPUT, GOLD, on="id", score="sure")
    more = result.more()
    assert more is not None
    assert more[0] > 0
    assert more[1] > result.share
    assert f"{more[0]:,} more gold rows would accept about" in str(result)


def test_too_little_gold_accepts_nothing_and_says_how_much_it_takes() -> None:
    result = accept(OUTPUT, GOLD.head(40), on="id", score="sure")
    assert result.threshold is None
    assert result.accepted.is_empty()
    assert result.reason() == "it takes 59 accepted gold rows without an error, and 40 have a score"
    assert result.bound is None


def test_a_score_that_tells_nothing_accepts_nothing_and_says_why() -> None:
    result = accept(OUTPUT.with_columns(sure=pl.lit(0.9)), GOLD, on="id", right=0.99, score="sure")
    assert "accepted gold rows are wrong, and 0 may be" in str(result) or "may be" in str(result.reason())
    assert result.to_dict()["accepted"] == 0


def test_the_queue_has_the_others_most_doubtful_first_and_no_gold_row_that_proves() -> None:
    result = accept(OUTPUT, GOLD, on="id", score="sure")
    queue = result.queue()
    assert queue.columns == ["id", "score", "reason", "answer"]
    assert queue["score"].is_sorted()
    assert not set(queue["id"]) & set(GOLD["id"])
    assert queue.height + len(set(result.rest["id"]) & set(GOLD["id"])) == result.rest.height
    assert queue["reason"][0].startswith("score 0.")
    assert " is below 0." in queue["reason"][0]
    assert queue["answer"].struct.fields == ["city"]


def test_gold_that_says_what_it_is_for_proves_with_its_proof_rows_only() -> None:
    parts = [("examples", "tuning", "proof")[place % 3] for place in range(GOLD.height)]
    result = accept(OUTPUT, GOLD.with_columns(_split=pl.Series(parts)), on="id", score="sure")
    assert len(result.gold) == parts.count("proof")
    assert not result.notes
    assert any("no column _split" in one for one in accept(OUTPUT, GOLD, on="id", score="sure").notes)


def test_gold_that_may_not_prove_is_refused_unless_it_is_said_to_be_used() -> None:
    seen = GOLD.with_columns(_split=pl.lit("tuning"))
    with pytest.raises(ConfigError, match="no gold row may prove anything: none of 400 has `proof` in _split"):
        accept(OUTPUT, seen, on="id", score="sure")
    result = accept(OUTPUT, seen, on="id", score="sure", used_gold=True)
    assert len(result.gold) == 400
    assert "what was chosen by it is not proved by it" in str(result)


def test_a_proof_row_that_nobody_settled_is_wrong() -> None:
    settled = GOLD.with_columns(_settled=pl.int_range(pl.len()) >= 30)
    before, after = (accept(OUTPUT, gold, on="id", score="sure") for gold in (GOLD, settled))
    wrong = [sum(not row.right for row in one.gold) for one in (before, after)]
    assert wrong[1] > wrong[0]


def test_rows_without_an_answer_or_a_score_are_never_accepted_and_say_so() -> None:
    output = OUTPUT.with_columns(sure=pl.when(pl.col("id") % 10 > 0).then("sure"))
    result = accept(output, GOLD, on="id", score="sure")
    reasons = result.queue()["reason"].value_counts().rows()
    assert dict(reasons)["no score"] > 100
    assert result.accepted["sure"].null_count() == 0
    assert any("gold rows have no score" in one for one in result.notes)


@pytest.mark.parametrize("score", [float("nan"), float("inf"), float("-inf")])
def test_a_score_that_is_no_finite_number_is_none(score: float) -> None:
    output = OUTPUT.with_columns(sure=pl.when(pl.col("id") % 2 == 0).then(pl.lit(score)).otherwise("sure"))
    result = accept(output, GOLD, on="id", score="sure")
    assert result.accepted["sure"].is_finite().all()
    assert result.accepted.height + result.rest.height == OUTPUT.height
    json.dumps(result.to_dict(), allow_nan=False)


def test_an_output_without_a_score_says_how_to_get_one() -> None:
    with pytest.raises(ConfigError, match=r"no score for \['city'\]: run it with samples .*--score"):
        accept(OUTPUT.drop("sure"), GOLD, on="id")


@pytest.mark.parametrize("score", ["nowhere", "sure +", "length(", "body"])
def test_a_score_that_cannot_be_computed_is_refused_in_a_line(score: str) -> None:
    with pytest.raises(ConfigError, match="score") as caught:
        accept(OUTPUT, GOLD, on="id", score=score)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("score", ["sure * 0.5", pl.col("sure") / 2, "least(sure, 1) / 2"])
def test_any_expression_can_be_the_score(score: Any) -> None:
    plain, half = (accept(OUTPUT, GOLD, on="id", score=one) for one in ("sure", score))
    assert half.accepted["id"].equals(plain.accepted["id"])


class Ticket(BaseModel):
    topic: str
    total: str
    confidence: float = Field(ge=0, le=1)


def run_of(answers: list[dict[str, Any]], rows: int, **options: Any) -> Any:
    given = cycle(answers)
    service = Emulator(answers=lambda _body: json.dumps(next(given)))
    client = Client("key", transport=service.transport)
    frame = pl.DataFrame({"id": range(rows), "text": [f"total is {place}" for place in range(rows)]})
    extractor = Extractor(Ticket, "{text}", grounding=options.pop("grounding", ()))
    return run(frame, extractor, client=client, row_id="id", **options)


def test_a_declared_confidence_is_the_score_of_a_run() -> None:
    result = run_of([{"topic": "a", "total": "x", "confidence": 0.8}], 4)
    gold = pl.DataFrame({"id": range(4), "topic": ["a"] * 4})
    accepted = accept(result, gold, on="id", right=0.5, confidence=0.5)
    assert dict(accepted.sources) == {"topic": "declared confidence"}
    assert accepted.accepted.height == 4


def test_the_agreement_of_samples_comes_before_a_declared_confidence_and_a_row_has_its_least_field() -> None:
    answers = [{"topic": topic, "total": "x", "confidence": 0.8} for topic in ("a", "a", "b")]
    result = run_of(answers, 1, samples=3)
    gold = pl.DataFrame({"id": [0], "topic": ["a"], "total": ["x"]})
    accepted = accept(result, gold, on="id", right=0.5, confidence=0.5)
    assert set(accepted.sources.values()) == {"agreement of samples"}
    assert accepted.gold[0].score == pytest.approx(2 / 3)


def test_a_value_that_stands_nowhere_scores_0() -> None:
    answers = [{"topic": "total", "total": "0", "confidence": 0.8}, {"topic": "zebra", "total": "1", "confidence": 0.9}]
    result = run_of(answers, 2, grounding=("text",), limits=None)
    gold = pl.DataFrame({"id": [0, 1], "topic": ["total", "zebra"]})
    accepted = accept(result, gold, on="id", right=0.5, confidence=0.5)
    assert dict(accepted.sources) == {"topic": "declared confidence, 0 where not found in the source"}
    by_topic = dict(zip(result.frame["topic"], (row.score for row in accepted.gold), strict=True))
    assert by_topic["zebra"] == 0.0
    assert by_topic["total"] > 0.5


def test_probabilities_of_the_decisions_api_come_first() -> None:
    answers = {"value": ["good", "bad"] * 10, "confidence": [0.5] * 20}
    frame = pl.DataFrame({"id": range(20), "text": ["refund"] * 20, **answers})
    extractor = Extractor(["good", "bad"], "{text}")
    answer = {"type": "choice", "choice": "good", "probabilities": {"good": 0.9, "bad": 0.1}, "confidence": 0.9}
    service = Emulator(decisions=lambda _body: {"answers": {"value": answer}})
    with Client("key", transport=service.transport) as client:
        check = check_labels(frame, extractor, client=client)
    gold = pl.DataFrame({"id": range(20), "value": ["good"] * 20})
    result = accept(frame, gold, on="id", right=0.8, confidence=0.5, decided=check.frame)
    assert [row.score for row in result.gold] == [0.9, 0.1] * 10
    assert result.accepted["value"].to_list() == ["good"] * 10


def test_rows_that_were_accepted_before_are_not_proved_by_the_same_gold_without_a_word() -> None:
    before = accept(OUTPUT, GOLD, on="id", score="sure")
    again = accept(before.accepted, GOLD, on="id", score="sure")
    assert any("gold that chose them does not prove them again" in one for one in again.notes)
    assert again.accepted.columns.count("_route") == 1


def test_decided_is_the_frame_of_check_labels_and_nothing_else() -> None:
    with pytest.raises(ConfigError, match="decided is the frame of check_labels"):
        accept(OUTPUT, GOLD, on="id", decided=pl.DataFrame({"id": [1]}))


def test_rejected_rows_stay_in_the_rest_without_an_answer() -> None:
    frame = pl.DataFrame(
        {
            "id": range(4),
            "city": ["Bonn", None, "Bonn", "Bonn"],
            "_extract": [{"code": None}, {"code": "blocked"}, {"code": None}, {"code": None}],
            "sure": [0.9] * 4,
        },
        schema_overrides={"_extract": pl.Struct({"code": pl.String})},
    )
    gold = pl.DataFrame({"id": [0, 1], "city": ["Bonn", "Bonn"]})
    result = accept(frame, gold, on="id", right=0.5, confidence=0.5, score="sure")
    assert result.accepted["id"].to_list() == [0, 2, 3]
    assert result.notes[-1] == "1 gold rows have no answer in this output, and are not accepted"


def test_rows_unlike_the_gold_are_named_with_the_fresh_labels_that_would_settle_it() -> None:
    top = OUTPUT.sort("sure").tail(400)["id"]
    chosen = RIGHT.filter(pl.col("id").is_in(top.implode()))  # not a random draw
    result = accept(OUTPUT, chosen, on="id", score="sure")
    assert [one.what for one in result.shifts] == ["scores"]
    assert "the proof may not carry over" in str(result)
    assert "fresh gold rows, drawn from these, would settle it" in str(result)
    assert accept(OUTPUT, GOLD, on="id", score="sure").shifts == ()


def test_new_labels_and_longer_texts_are_a_shift() -> None:
    gold = ShiftSample(lengths=[20.0] * 300, labels={"topic": pl.Series(["a"] * 300)})
    rows = ShiftSample(lengths=[200.0] * 300, labels={"topic": pl.Series(["a"] * 250 + ["new"] * 50)})
    assert {one.what for one in shifts(gold, rows)} == {"lengths", "labels"}
    assert shifts(gold, gold) == ()


def test_the_two_sample_test_is_scipys_to_two_digits() -> None:
    stats = pytest.importorskip("scipy.stats", reason="scipy is for development only")
    random = Random(3)
    for shift in (0.0, 0.1, 0.2, 0.4):
        one = [random.gauss(0, 1) for _ in range(300)]
        other = [random.gauss(shift, 1) for _ in range(500)]
        expected = stats.ks_2samp(one, other, method="asymp").pvalue
        assert same_distribution(one, other) == pytest.approx(expected, rel=0.25, abs=0.02)


def test_the_area_and_the_reliability_are_scikit_learns() -> None:
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is for development only")
    curves = pytest.importorskip("sklearn.calibration", reason="scikit-learn is for development only")
    random = Random(4)
    pairs = [(round(random.random(), 2), random.random() < 0.6) for _ in range(500)]
    scores, labels = zip(*pairs, strict=True)
    result = calibration(pairs)
    assert result.area == pytest.approx(metrics.roc_auc_score(labels, scores))
    right, mean = curves.calibration_curve(labels, scores, n_bins=10)
    inside = [one for one in result.bins if one.low < 0.9]  # a score of exactly 1.0 is in our last bin, too
    assert [one.share for one in inside] == pytest.approx(right[: len(inside)], abs=0.05)
    assert [one.score for one in inside] == pytest.approx(mean[: len(inside)], abs=0.05)
    gaps = sum(one.rows * abs(one.share - one.score) for one in result.bins) / 500
    assert result.error == pytest.approx(gaps)


def test_one_kind_of_rows_has_no_area() -> None:
    assert roc_area([(0.5, True), (0.6, True)]) is None
    assert calibration([(2.0, True), (0.1, False)]).error is None


def test_the_curve_counts_whole_ties() -> None:
    points = risk_coverage([(0.9, True), (0.9, False), (0.1, True)], [0.9, 0.9, 0.9, 0.1], 5)
    assert [(point.threshold, point.coverage, point.count.gold, point.count.wrong) for point in points] == [
        (0.9, 0.6, 2, 1),
        (0.1, 0.8, 3, 1),
    ]


def test_the_reason_names_more_wrong_rows_than_there_may_be() -> None:
    pattern = re.compile(r"(\d+) of \d+ accepted gold rows are wrong, and (\d+) may be")
    counts = []
    for seed in range(30):
        random = Random(seed)
        sure = [random.random() for _ in range(118)]
        truth = ["Bonn" if random.random() < 0.88 else "Cologne" for _ in range(118)]
        rows = pl.DataFrame({"id": range(118 * 40), "city": ["Bonn"] * (118 * 40), "sure": sure * 40})
        gold = pl.DataFrame({"id": range(118), "city": truth})
        result = accept(rows, gold, on="id", right=0.8, fields=["city"], score="sure")
        if found := pattern.search(result.reason() or ""):
            counts.append((int(found[1]), int(found[2])))
    assert len(counts) >= 10
    assert all(wrong > allowed for wrong, allowed in counts)
