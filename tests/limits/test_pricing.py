from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from extract import Usage
from extract.limits.pricing import find_price

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def test_thoughts_are_billed_as_output_and_cached_input_at_its_own_rate() -> None:
    price = find_price("gemini-3.5-flash-lite", at=NOW)
    assert price is not None
    # 900 at 0.30, 100 at 0.03, 70 at 2.50 dollars a million
    spent = Usage(input_tokens=1000, cached_tokens=100, output_tokens=50, thought_tokens=20)
    assert price.cost(spent) == Decimal("0.000448")


def test_an_unknown_model_has_an_unknown_price() -> None:
    assert find_price("no-such-model", at=NOW) is None


def test_flex_costs_half_and_priority_is_unknown() -> None:
    standard, flex = (find_price("gemini-3.5-flash-lite", tier, at=NOW) for tier in ("standard", "flex"))
    assert standard is not None
    assert flex is not None
    usage = Usage(input_tokens=1_000_000, output_tokens=1_000_000)
    assert flex.cost(usage) * 2 == standard.cost(usage)
    assert find_price("gemini-3.5-flash-lite", "priority", at=NOW) is None
    assert find_price("gemini-4-argon", "flex", at=NOW) is None


def test_a_price_follows_the_date() -> None:
    before, after = (find_price("gemini-3.8-flash", at=datetime(year, 12, 1, tzinfo=UTC)) for year in (2026, 2027))
    assert before is not None
    assert after is not None
    assert after.input == 2 * before.input


@pytest.mark.parametrize(("tokens", "dollars"), [(1_000, "0.002"), (300_000, "1.2")])
def test_a_price_that_depends_on_the_prompt_is_asked_for_each_answer(tokens: int, dollars: str) -> None:
    price = find_price("gemini-3.1-pro-preview", at=NOW)
    assert price is not None
    assert price.cost(Usage(input_tokens=tokens)) == Decimal(dollars)


def test_usage_adds_up_field_by_field() -> None:
    assert Usage(1, 2, 3, 4, 5) + Usage(10, 20, 30, 40, 50) == Usage(11, 22, 33, 44, 55)
