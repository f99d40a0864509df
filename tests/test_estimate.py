"""An estimate from a sample, and how far it can be trusted."""

from __future__ import annotations

import random

import polars as pl

from extract import Extractor
from extract.estimate import estimate
from extract.sources import open_source

LABELS = Extractor(["a", "b"], "{text}")


def rows(count: int, seed: int) -> pl.DataFrame:
    draws = random.Random(seed)
    # Sorted: the first rows are the shortest, so whoever looks only there is wrong.
    return pl.DataFrame({"text": ["x" * length for length in sorted(draws.randint(4, 4_000) for _ in range(count))]})


def test_the_interval_holds_what_all_prompts_really_take() -> None:
    held = 0
    for seed in range(20):
        table = rows(4_000, seed)
        found = estimate(open_source(table), LABELS)
        constant = estimate(open_source(pl.DataFrame({"text": [""]})), LABELS).input_tokens
        real = sum(-(-len(text) // 4) for text in table["text"]) + 4_000 * constant
        low, high = found.input_interval
        assert low < found.input_tokens < high
        assert high - low < 0.1 * real
        held += low <= real <= high
    assert held >= 16


def test_a_small_table_is_read_whole_and_leaves_no_doubt() -> None:
    found = estimate(open_source(rows(50, 1)), LABELS)
    assert found.sampled == 50
    assert found.input_interval == (found.input_tokens, found.input_tokens)


def test_the_same_table_gives_the_same_estimate() -> None:
    table = open_source(rows(5_000, 2))
    assert estimate(table, LABELS) == estimate(table, LABELS)
