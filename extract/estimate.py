"""What a run would send and cost, worked out from a sample of its prompts. Sends nothing."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from statistics import fmean, stdev
from typing import Any

import polars as pl
from polars.selectors import by_name

from extract.errors import BadRecord
from extract.extractor import Extractor, Plan
from extract.interactions.client import GOOGLE_URL, Endpoint
from extract.prompts import check_columns
from extract.schema.size import answer_tokens
from extract.sources import Source
from extract.types import JsonObject, Usage
from extract.usage import find_price

__all__ = ["Estimate", "estimate"]

_SAMPLE_ROWS = 2_000
_TIERS = ("standard", "flex")


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Rows, requests and tokens of a run before repairs and retries. Costs in US dollars; None where unknown.

    `input_interval` holds the input tokens of all rows with 95 % confidence, as far as sampling goes.
    `output_tokens` is a guess from the schema: what the model thinks, and is billed for, is not in it.
    """

    rows: int
    model: str
    input_tokens: int
    input_interval: tuple[int, int]
    output_tokens: int
    sampled: int
    costs: Mapping[str, Decimal | None]

    def as_json(self) -> JsonObject:
        costs = {tier: None if cost is None else round(float(cost), 6) for tier, cost in self.costs.items()}
        return {
            "rows": self.rows,
            "requests": self.rows,
            "model": self.model,
            "input_tokens": self.input_tokens,
            "input_tokens_interval": list(self.input_interval),
            "output_tokens": self.output_tokens,
            "sampled_rows": self.sampled,
            "cost_usd": costs,
        }


def estimate(source: Source, extractor: Extractor) -> Estimate:
    """Return what asking `extractor` of every row would take. ConfigError and SchemaError as a run would raise them."""
    plan = extractor.compile(Endpoint(api_key="estimate", base_url=GOOGLE_URL))
    check_columns(plan.columns, list(source.schema))
    rows = source.height
    if rows is None:
        rows = sum(frame.height for frame in source.batches(65_536))
    constant = plan.envelope().tokens
    sizes = [constant + _input_tokens(plan, record) for record in _sample(source, plan.columns, rows)]
    expected, margin = _total(sizes, rows)
    usage = Usage(input_tokens=expected, output_tokens=rows * answer_tokens(plan.schema.dtypes))
    prices = {tier: find_price(extractor.model, tier) for tier in _TIERS}
    return Estimate(
        rows=rows,
        model=extractor.model,
        input_tokens=expected,
        input_interval=(max(0, expected - margin), expected + margin),
        output_tokens=usage.output_tokens,
        sampled=len(sizes),
        costs={tier: None if price is None else price.cost(usage) for tier, price in prices.items()},
    )


def _sample(source: Source, columns: Sequence[str], rows: int) -> Iterator[dict[str, Any]]:
    """Yield records from all over the source, the same ones each time."""
    chosen = pl.Series(sorted(random.Random(0).sample(range(rows), min(rows, _SAMPLE_ROWS))), dtype=pl.Int64)  # noqa: S311
    first = 0
    for frame in source.batches(65_536):
        here = chosen.filter((chosen >= first) & (chosen < first + frame.height)) - first
        yield from (frame.select(by_name(*columns)) if columns else frame)[here].to_dicts()
        first += frame.height


def _total(sizes: Sequence[int], rows: int) -> tuple[int, int]:
    """Return the sum for all rows and its margin, from a sample without replacement (95 %, normal)."""
    if len(sizes) < 2:
        return sum(sizes) * rows, 0
    unseen = 1 - len(sizes) / rows
    return round(fmean(sizes) * rows), round(1.96 * stdev(sizes) * rows * math.sqrt(unseen / len(sizes)))


def _input_tokens(plan: Plan, record: Mapping[str, Any]) -> int:
    try:
        return plan.input_tokens(plan.turns(record))
    except BadRecord:
        return 0  # it would not be sent either
