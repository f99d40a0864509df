"""What a run would send with more and fewer rows in one request, and how much of it is the same each time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from pydantic_core import to_json

from extract.extractor.extractor import Extractor, asked_alone
from extract.extractor.pack import Pack
from extract.extractor.plan import compile_extractor
from extract.interactions.endpoint import Endpoint
from extract.interactions.usage import Usage
from extract.limits.pricing import find_price
from extract.results.estimate import Estimate, PackEstimate
from extract.schema.answer_size import answer_tokens

__all__ = ["SIZES", "TIERS", "Constant", "constant_of", "guessed_costs", "pack_estimates", "together"]

SIZES = (1, 4, 8, 16, 32)
TIERS = ("standard", "flex")
_FRAME_TOKENS = 14  # of the two lines around a row in a request, and of its number and tag in the answer
_ITEM_TOKENS = 12
_BYTES_PER_TOKEN = 4


@dataclass(frozen=True, slots=True)
class Constant:
    """The tokens that every request begins with, and those of the schema, which a service may or may not bill."""

    tokens: int
    schema: int


def constant_of(extractor: Extractor, endpoint: Endpoint, rows: int) -> Constant:
    """Return what is the same in all requests that ask about a number of rows."""
    plan = compile_extractor(replace(extractor, pack=Pack.of(rows)), endpoint)
    wire = plan.schema.wire if rows == 1 else plan.form.schema(plan.schema.wire)
    said_once = 0 if rows == 1 else len(plan.form.constant.encode()) // _BYTES_PER_TOKEN
    return Constant(plan.envelope(packed=rows > 1).tokens + said_once, len(to_json(wire)) // _BYTES_PER_TOKEN)


def pack_estimates(
    extractor: Extractor,
    endpoint: Endpoint,
    sizes: Sequence[float],
    rows: int,
    *,
    answer: float | None = None,
    counts: Sequence[int] = SIZES,
) -> tuple[PackEstimate, ...]:
    """Return the estimate for some numbers of rows in a request; () where each row needs a request of its own.

    `sizes` are the input tokens of some rows without what is constant, `rows` is how many are left to be asked, and
    `answer` the output tokens of one, where a paid sample has told.
    """
    if asked_alone(extractor) or not sizes or not rows:
        return ()
    mean = sum(sizes) / len(sizes)
    plan = compile_extractor(replace(extractor, pack=None), endpoint)
    answer = answer_tokens(plan.schema.dtypes) if answer is None else answer
    return tuple(_estimate(extractor, endpoint, size, mean, rows, answer) for size in counts)


def _estimate(
    extractor: Extractor, endpoint: Endpoint, size: int, mean: float, rows: int, answer: float
) -> PackEstimate:
    constant = constant_of(extractor, endpoint, size)
    requests = -(-rows // size)
    packed = size > 1
    inputs = round(requests * constant.tokens + rows * (mean + _FRAME_TOKENS * packed))
    outputs = round(rows * (answer + _ITEM_TOKENS * packed))
    unbilled = inputs - requests * constant.schema
    price = find_price(extractor.model, "standard")
    cost, lower = (
        None if price is None else price.cost(Usage(input_tokens=tokens, output_tokens=outputs))
        for tokens in (inputs, unbilled)
    )
    return PackEstimate(
        rows=size,
        requests=requests,
        input_tokens=inputs,
        input_tokens_without_schema=unbilled,
        output_tokens=outputs,
        cost=cost,
        cost_without_schema=lower,
        constant_tokens=constant.tokens,
        constant_share=constant.tokens / max(1.0, constant.tokens + size * mean),
    )


def together(
    single: Estimate, extractor: Extractor, endpoint: Endpoint, sizes: Sequence[int], left: int, rows: int
) -> Estimate:
    """Return the estimate for requests with several rows in each."""
    packed = pack_estimates(extractor, endpoint, sizes, left, counts=(rows,))
    if not packed:
        return single
    one = packed[0]
    usage = Usage(input_tokens=one.input_tokens, output_tokens=one.output_tokens)
    return replace(
        single,
        requests=-(-single.requests // rows),
        left=one.requests,
        input_tokens=one.input_tokens,
        input_interval=(one.input_tokens, one.input_tokens),
        output_tokens=one.output_tokens,
        costs=guessed_costs(extractor.model, usage),
    )


def guessed_costs(model: str, usage: Usage) -> dict[str, Decimal | None]:
    """Return what tokens would cost on each service tier in US dollars, None where a price is unknown."""
    prices = {tier: find_price(model, tier) for tier in TIERS}
    return {tier: None if price is None else price.cost(usage) for tier, price in prices.items()}
