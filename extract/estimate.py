"""What a run would send and cost, worked out from a sample of its prompts. Sends nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import chain, islice
from typing import Any

import polars as pl
from polars.selectors import by_name

from extract.errors import BadRecord
from extract.extractor import Extractor, Plan
from extract.interactions.client import GOOGLE_URL, Endpoint
from extract.prompts import check_columns
from extract.sources import Source
from extract.types import JsonObject, Usage
from extract.usage import find_price

__all__ = ["Estimate", "estimate"]

_SAMPLE_ROWS = 2_000
_BYTES_PER_TOKEN = 4  # of UTF-8, as for prompts
_TIERS = ("standard", "flex")


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Rows, requests and tokens of a run before repairs and retries. Costs in US dollars; None where unknown.

    `output_tokens` is a guess from the schema: what the model thinks, and is billed for, is not in it.
    """

    rows: int
    model: str
    input_tokens: int
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
    frames = (frame.select(by_name(*plan.columns)) if plan.columns else frame for frame in source.batches(_SAMPLE_ROWS))
    sample = list(islice(chain.from_iterable(frame.to_dicts() for frame in frames), min(rows, _SAMPLE_ROWS)))
    per_row = plan.envelope().tokens + sum(_input_tokens(plan, record) for record in sample) / max(1, len(sample))
    usage = Usage(
        input_tokens=round(per_row * rows),
        output_tokens=rows * _answer_tokens(plan.schema.dtypes),
    )
    prices = {tier: find_price(extractor.model, tier) for tier in _TIERS}
    return Estimate(
        rows=rows,
        model=extractor.model,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        sampled=len(sample),
        costs={tier: None if price is None else price.cost(usage) for tier, price in prices.items()},
    )


def _input_tokens(plan: Plan, record: Mapping[str, Any]) -> int:
    try:
        return plan.input_tokens(plan.turns(record))
    except BadRecord:
        return 0  # it would not be sent either


def _answer_tokens(dtypes: Mapping[str, pl.DataType]) -> int:
    return -(-(2 + sum(_answer_bytes(name, dtype) for name, dtype in dtypes.items())) // _BYTES_PER_TOKEN)


def _answer_bytes(name: str, dtype: pl.DataType) -> int:
    """Return the size of a field in a typical answer: a phrase for free text, three items for a list."""
    return len(name) + 4 + _value_bytes(dtype)


def _value_bytes(dtype: pl.DataType) -> int:
    if isinstance(dtype, pl.Enum):
        labels = dtype.categories.to_list()
        return 2 + sum(map(len, labels)) // max(1, len(labels))
    if isinstance(dtype, pl.Struct):
        return 2 + sum(_answer_bytes(item.name, _instance(item.dtype)) for item in dtype.fields)
    if isinstance(dtype, pl.List):
        return 2 + 3 * (_value_bytes(_instance(dtype.inner)) + 1)
    return 62 if isinstance(dtype, pl.String | pl.Binary) else 12


def _instance(dtype: Any) -> pl.DataType:
    """Polars names a type by its class or by an instance; return the instance."""
    made: pl.DataType = dtype() if isinstance(dtype, type) else dtype
    return made
