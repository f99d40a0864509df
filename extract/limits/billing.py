"""What requests may cost and what answers did cost: by model and tier, as forecasts and as entries of the ledger."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal

from extract.interactions.interaction import Interaction
from extract.interactions.usage import LOST, Attempt, AttemptKind, Usage
from extract.interactions.usage_counts import reported_counts
from extract.limits.budget import Amount, Forecast
from extract.limits.pricing import Price, find_price

__all__ = ["Billing"]


@dataclass(slots=True)
class Billing:
    """Prices the requests of one run. `free` says that answers cost nothing (the offline service)."""

    model: str
    forecast: Forecast
    free: bool = False
    _prices: dict[tuple[str, str | None], Price | None] = field(default_factory=dict)

    def worst(self, tokens: int, tier: str | None, limit: int | None, rows: int = 1) -> Amount:
        """Return the most that one request is expected to take; dollars are 0 where the price is unknown.

        `tokens` is the input's estimated size, `limit` the request's own `max_output_tokens`, `rows` how many it asks.
        """
        usage = self._forecast(tokens, limit, rows)
        return Amount(self.cost(self.model, tier, usage) or Decimal(0), usage.total, 1)

    def spent(
        self,
        attempt: Attempt,
        interaction: Interaction,
        reserved: Amount,
        *,
        tokens: int,
        tier: str | None,  # noqa: ARG002 - the attempt says which it was
        limit: int | None,
        rows: int = 1,
    ) -> Amount:
        """Return what an answer takes from the budget. What it does not tell counts as the most that is expected."""
        usage = attempt.usage or self._at_most(interaction, tokens, limit, rows)
        dollars = attempt.bound if attempt.usage is None else attempt.cost
        return Amount(reserved.dollars if dollars is None else dollars, usage.total, 1)

    def whole(
        self,
        kind: AttemptKind,
        interaction: Interaction,
        *,
        tokens: int,
        tier: str | None,
        limit: int | None,
        rows: int = 1,
    ) -> Attempt:
        """Return the entry for an answer that arrived; its tier is the one that the answer names."""
        model, tier = interaction.model or self.model, interaction.service_tier or tier
        code = None if interaction.status == "completed" else interaction.status
        usage = interaction.usage
        if usage is None:
            self._learn(tokens, rows, **reported_counts(interaction))
            cost = Decimal(0) if self.free else None
            bound = self.cost(model, tier, self._at_most(interaction, tokens, limit, rows))
            return Attempt(kind=kind, model=model, tier=tier, cost=cost, bound=bound, code="no_usage", rows=rows)
        self.forecast.note(
            estimated=tokens,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens + usage.thought_tokens,
            rows=rows,
        )
        cost = self.cost(model, tier, usage)
        return Attempt(kind=kind, model=model, tier=tier, usage=usage, cost=cost, code=code, rows=rows)

    def lost(self, kind: AttemptKind, *, tokens: int, tier: str | None, limit: int | None, rows: int = 1) -> Attempt:
        """Return the entry for a request that may have been billed although no answer arrived."""
        bound = self.cost(self.model, tier, self._forecast(tokens, limit, rows))
        return Attempt(kind=kind, model=self.model, tier=tier, bound=bound, code=LOST, rows=rows)

    def _forecast(self, tokens: int, limit: int | None, rows: int) -> Usage:
        output = self.forecast.output_tokens(limit, rows)
        return Usage(input_tokens=self.forecast.input_tokens(tokens), output_tokens=output)

    def _at_most(self, interaction: Interaction, tokens: int, limit: int | None, rows: int) -> Usage:
        """Return the usage of an answer that tells only a part of it, with the forecast in place of the rest."""
        return replace(self._forecast(tokens, limit, rows), **reported_counts(interaction))

    def _learn(self, estimated: int, rows: int, **counts: int) -> None:
        self.forecast.note(
            estimated=estimated,
            input_tokens=counts.get("input_tokens", 0),
            output_tokens=counts.get("output_tokens", 0) + counts.get("thought_tokens", 0),
            rows=rows,
        )

    def cost(self, model: str, tier: str | None, usage: Usage) -> Decimal | None:
        """Return what an answer costs in US dollars, None where the price is unknown."""
        if self.free:
            return Decimal(0)
        price = self._price(model, tier)
        return None if price is None else price.cost(usage)

    def _price(self, model: str, tier: str | None) -> Price | None:
        if (model, tier) not in self._prices:
            self._prices[model, tier] = find_price(model, tier)
        return self._prices[model, tier]
