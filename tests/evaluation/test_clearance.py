"""Rows cleared of a label, such that at most a known share of those that have it is missed."""

from __future__ import annotations

from random import Random

import polars as pl
import pytest

from extract import ConfigError, clear_of


def table(rows: int, seed: int = 1, part: float = 0.3) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return an output that finds 90 % of the bad rows, and scores those that it misses lower than the good ones."""
    random = Random(seed)
    bad = [random.random() < part for _ in range(rows)]
    answers = [one and random.random() < 0.9 for one in bad]
    sure = [round(random.betavariate(2, 3) if one else random.betavariate(6, 1), 3) for one in bad]
    return pl.DataFrame({"id": range(rows), "bad": answers, "sure": sure}), pl.DataFrame(
        {"id": range(rows), "bad": bad}
    )


OUTPUT, RIGHT = table(4_000)


def missed(cleared: pl.DataFrame, right: pl.DataFrame) -> float:
    bad = right.filter("bad")
    return cleared.filter(pl.col("id").is_in(bad["id"].implode())).height / bad.height


def test_cleared_rows_miss_at_most_what_was_promised_and_flagged_rows_are_all_others() -> None:
    result = clear_of(OUTPUT, RIGHT.sample(1_000, seed=1), on="id", label={"bad": True}, score="sure", recall=0.95)
    assert result.threshold is not None
    assert result.cleared.height > 1_500
    assert result.cleared.height + result.flagged.height == OUTPUT.height
    assert not result.cleared["bad"].any()
    assert missed(result.cleared, RIGHT) <= 0.05
    assert "at least 95.00% of the label's rows are found, with 95% confidence" in str(result)


def test_the_promise_is_broken_in_at_most_one_draw_of_twenty() -> None:
    output, right = table(1_000, seed=2)
    draws = [right.sample(400, seed=seed) for seed in range(60)]
    results = [clear_of(output, gold, on="id", label={"bad": True}, score="sure", recall=0.95) for gold in draws]
    assert sum(one.threshold is not None for one in results) > 30
    assert sum(missed(one.cleared, right) > 0.05 for one in results) <= 6


def test_a_rare_label_clears_nothing_and_says_how_much_gold_it_takes() -> None:
    output, right = table(2_000, seed=3, part=0.02)
    result = clear_of(output, right.sample(500, seed=1), on="id", label={"bad": True}, score="sure")
    assert result.threshold is None
    assert result.cleared.is_empty()
    assert result.gold_rows is not None
    assert result.gold_rows > 2_000
    assert f"it takes 149 gold rows with the label, all found, about {result.gold_rows:,} gold rows" in str(result)


def test_without_any_gold_row_of_the_label_nothing_is_known() -> None:
    gold = RIGHT.filter(~pl.col("bad")).head(100)
    result = clear_of(OUTPUT, gold, on="id", label={"bad": True}, score="sure")
    assert (result.positives, result.gold_rows, result.threshold) == (0, None, None)


@pytest.mark.parametrize("label", [{}, {"bad": True, "worse": True}])
def test_a_label_is_one_field_and_its_value(label: dict[str, bool]) -> None:
    with pytest.raises(ConfigError, match="label is one field and its value"):
        clear_of(OUTPUT, RIGHT, on="id", label=label)


def test_labels_of_gold_in_another_notation_are_the_same() -> None:
    gold = RIGHT.sample(1_000, seed=1)
    named = gold.with_columns(pl.when("bad").then(pl.lit("Yes")).otherwise(pl.lit("no")).alias("bad"))
    results = [clear_of(OUTPUT, one, on="id", label={"bad": True}, score="sure", recall=0.95) for one in (gold, named)]
    assert results[0].positives == results[1].positives > 0
