"""Tokens to dollars. Prices come from genai-prices by date; for tiers it does not know there is one dated table."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from importlib.metadata import version

from genai_prices import Usage as PricedUsage
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import ModelPrice, TieredPrices

from extract.interactions.usage import Usage

__all__ = ["PRICE_SOURCE", "Price", "find_price", "money"]

PRICE_SOURCE = f"genai-prices {version('genai-prices')}"


def money(dollars: Decimal | float) -> str:
    """Return US dollars with a useful number of digits: an amount above 0 never reads $0."""
    if not dollars:
        return "$0"
    if dollars >= 1:
        return f"${dollars:,.2f}"
    return f"${dollars:.4f}" if dollars >= 0.01 else f"${dollars:.{1 - math.floor(math.log10(dollars))}f}"


@dataclass(frozen=True, slots=True)
class _Tier:
    """A service tier's share of the standard price, for models whose names begin with one of `models`."""

    factor: Decimal
    since: date
    models: tuple[str, ...]


# Google's page on flex inference (2026-09-24): half price for these families. Flex prices of Gemini 4 and prices of
# the priority tier were not published as one rule, so they stay unknown.
_TIERS = {"flex": _Tier(Decimal("0.5"), date(2026, 4, 1), ("gemini-2.5-", "gemini-3-", "gemini-3."))}


@dataclass(frozen=True, slots=True)
class Price:
    """What one model costs on one tier at one date, in US dollars.

    The three rates are per token and hold for every answer, unless `tiered` is set: then the price depends on the size
    of the prompt and genai-prices computes it each time.
    """

    input: Decimal
    cached: Decimal
    output: Decimal
    factor: Decimal = Decimal(1)
    tiered: ModelPrice | None = None

    @property
    def per_million(self) -> tuple[float, float, float] | None:
        """Dollars per million tokens of input, cached input and output; None where the prompt's size decides."""
        if self.tiered is not None:
            return None
        million = self.factor * 1_000_000
        return float(self.input * million), float(self.cached * million), float(self.output * million)

    def cost(self, usage: Usage) -> Decimal:
        """Dollars for one answer; thoughts are billed as output, cached input at its own rate."""
        if self.tiered is not None:
            return _priced(self.tiered, usage) * self.factor
        cached = min(usage.cached_tokens, usage.input_tokens)
        return self.factor * (
            (usage.input_tokens - cached) * self.input
            + cached * self.cached
            + (usage.output_tokens + usage.thought_tokens) * self.output
        )


def find_price(model: str, tier: str | None = None, *, at: datetime | None = None) -> Price | None:
    """Return the price of `model` on a service tier at a time (default now), or None: unknown is not free."""
    when = at or datetime.now(UTC)
    factor = _tier_factor(model, tier or "standard", when.date())
    if factor is None:
        return None
    try:
        _, listed = get_snapshot().find_provider_model(model, None, "google", None)
    except LookupError:
        return None
    price = listed.get_prices(when)
    if price.input_mtok is None or price.output_mtok is None:
        return None
    tiered = any(
        isinstance(rate, TieredPrices) for rate in (price.input_mtok, price.output_mtok, price.cache_read_mtok)
    )
    million = Decimal(1_000_000)
    return Price(
        input=_priced(price, Usage(input_tokens=1_000)) / 1_000,
        cached=_priced(price, Usage(input_tokens=1_000, cached_tokens=1_000)) / 1_000,
        output=_priced(price, Usage(output_tokens=1_000_000)) / million,
        factor=factor,
        tiered=price if tiered else None,
    )


def _tier_factor(model: str, tier: str, day: date) -> Decimal | None:
    if tier == "standard":
        return Decimal(1)
    known = _TIERS.get(tier)
    return known.factor if known and day >= known.since and model.startswith(known.models) else None


def _priced(price: ModelPrice, usage: Usage) -> Decimal:
    billed = PricedUsage(
        input_tokens=usage.input_tokens,
        cache_read_tokens=min(usage.cached_tokens, usage.input_tokens),
        output_tokens=usage.output_tokens + usage.thought_tokens,
    )
    return price.calc_price(billed)["total_price"]
