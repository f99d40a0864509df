"""The hash of a row, and the part of gold that it belongs to by it."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal

import pytest

from extract import ConfigError
from extract.evaluation.split import parse_shares, row_hash, split_of


def test_a_cell_and_its_plain_text_have_one_hash_and_other_cells_another() -> None:
    typed = {"a": 7, "b": Decimal("1.50"), "c": date(2024, 5, 1), "d": True, "e": 1.0, "f": None, "g": ""}
    texts = {"g": "", "f": None, "e": "1", "d": "true", "c": "2024-05-01", "b": "1.5", "a": "7"}
    assert row_hash(typed) == row_hash(texts)
    for name in texts:
        assert row_hash({**texts, name: "other"}) != row_hash(texts)
    assert row_hash({"f": None}) != row_hash({"f": ""})
    assert row_hash({"x": ["a", "b"]}) != row_hash({"x": ["a b"]}) != row_hash({"x": '["a","b"]'})
    assert row_hash({"x": "\ud800"}) != row_hash({"x": "\ud801"})


def test_parts_of_gold_are_told_by_the_hash_alone_in_the_shares_asked_for() -> None:
    hashes = [row_hash({"text": f"row {number}"}) for number in range(5_000)]
    shares = parse_shares("10/30/60")
    parts = [split_of(one, shares) for one in hashes]
    measured = [parts.count(name) / 5_000 for name in ("examples", "tuning", "proof")]
    assert measured == pytest.approx([0.1, 0.3, 0.6], abs=0.02)
    assert parts == [split_of(one, shares) for one in hashes]
    seen = [split_of(one, shares, proof=False) for one in hashes]
    assert "proof" not in seen
    assert seen.count("examples") / 5_000 == pytest.approx(0.25, abs=0.02)


@pytest.mark.parametrize("text", ["", "20/80", "a/b/c", "0/0/0", "-1/1/1", "1/2/3/4", "inf/1/1", "nan/1/1"])
def test_shares_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="names no shares"):
        parse_shares(text)


def test_a_hash_holds_whatever_the_type_of_a_cell() -> None:
    cells = {
        "a": b"\0",
        "b": timedelta(days=1),
        "c": datetime(2024, 1, 1),
        "d": time(1),
        "e": [{"x": None}],
        "f": 1e400,
    }
    assert len(row_hash(cells)) == 32
