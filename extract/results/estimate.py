"""What an estimate says, as frozen values: requests, tokens, money by service tier, and time at a quota."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from extract.interactions.usage import Usage
from extract.json_types import JsonObject
from extract.limits.pricing import Price

__all__ = ["Estimate", "PackEstimate", "PaidSample"]


_MINUTES_A_DAY = 24 * 60


@dataclass(frozen=True, slots=True, kw_only=True)
class PaidSample:
    """Rows that were asked to measure what they use. `usages` has one entry for each row that was answered.

    `cost` is what the sample itself has cost, in US dollars, None where the price is unknown: answers that were in the
    cache before cost nothing.
    """

    rows: int
    usages: tuple[Usage, ...]
    cost: Decimal | None

    @property
    def usage(self) -> Usage:
        return sum(self.usages, Usage())


@dataclass(frozen=True, slots=True, kw_only=True)
class PackEstimate:
    """What the requests that are left would take with `rows` rows in each.

    Costs are in US dollars, on the standard tier. Whether the service bills the schema as input, only an answer tells:
    figures `without_schema` are for the case that it does not. `constant_tokens` begin every request; `constant_share`
    is their part of it, in 0..1.
    """

    rows: int
    requests: int
    input_tokens: int
    input_tokens_without_schema: int
    output_tokens: int
    cost: Decimal | None
    cost_without_schema: Decimal | None
    constant_tokens: int
    constant_share: float

    def minutes(self, *, rpm: float | None = None, tpm: float | None = None, rpd: float | None = None) -> float | None:
        """Return the minimum minutes at quotas per minute or day; None without any."""
        return minutes_at(self.requests, self.input_tokens, rpm=rpm, tpm=tpm, rpd=rpd)

    def as_json(self) -> JsonObject:
        return {
            "rows": self.rows,
            "requests": self.requests,
            "input_tokens": self.input_tokens,
            "input_tokens_without_schema": self.input_tokens_without_schema,
            "output_tokens": self.output_tokens,
            "cost_usd": _dollars(self.cost),
            "cost_usd_without_schema": _dollars(self.cost_without_schema),
            "constant_tokens": self.constant_tokens,
            "constant_share": round(self.constant_share, 4),
        }


def minutes_at(
    requests: int, tokens: int, *, rpm: float | None = None, tpm: float | None = None, rpd: float | None = None
) -> float | None:
    """Return the minimum minutes for requests and input tokens at quotas per minute or day; None without any.

    A daily limit runs from midnight to midnight Pacific time: each day but the last is counted whole.
    """
    bounds = [number / limit for number, limit in ((requests, rpm), (tokens, tpm)) if limit]
    if rpd:
        bounds.append(max(0, math.ceil(requests / rpd) - 1) * _MINUTES_A_DAY)
    return max(bounds, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a run would send, before repairs and retries. Costs in US dollars; None where unknown.

    Equal rows are asked once, as by a run with a cache: `requests` counts the different ones, at most and from a sample
    where not `requests_exact`. Tokens and costs are those of the requests that are not in the cache yet; `cached`
    counts the rows that are, None without a cache, and `left` the requests for the others. `bad` of the `sampled` rows
    cannot be sent, and `reason` says why the first cannot. Each row is asked `samples` times, which are all counted.
    `packs` are the same with more and fewer rows in one request, where rows may share one. `other_services` are the
    answers in the cache that this run does not use, as another address gave them, by service; of `unknown_service` more
    an earlier release did not store whose they are. `prices` by service tier are those of `priced_on`, read from
    `price_source`.

    Intervals are at 95 % confidence, for the error of sampling only. Without a paid sample `output_tokens` is a guess
    from the schema, without thought tokens, which are billed, too; with one it includes them.
    """

    rows: int
    model: str
    requests: int
    requests_exact: bool
    cached: int | None
    bad: int
    reason: str | None
    input_tokens: int
    input_interval: tuple[int, int]
    output_tokens: int
    output_interval: tuple[int, int] | None
    sampled: int
    costs: Mapping[str, Decimal | None]
    cost_intervals: Mapping[str, tuple[Decimal, Decimal] | None]
    left: int
    prices: Mapping[str, Price | None]
    priced_on: date
    price_source: str
    samples: int = 1
    paid: PaidSample | None = None
    packs: tuple[PackEstimate, ...] = ()
    other_services: Mapping[str, int] = field(default_factory=dict)
    unknown_service: int = 0

    def minutes(self, *, rpm: float | None = None, tpm: float | None = None, rpd: float | None = None) -> float | None:
        """Return the minimum minutes for the requests that are left, at quotas per minute or day; None without any.

        A daily limit runs from midnight to midnight Pacific time: each day but the last is counted whole.
        """
        return minutes_at(self.left, self.input_tokens, rpm=rpm, tpm=tpm, rpd=rpd)

    def as_json(self) -> JsonObject:
        return {
            "rows": self.rows,
            "requests": self.requests,
            "requests_exact": self.requests_exact,
            "cached_rows": self.cached,
            "cached_of_other_services": dict(self.other_services),
            "cached_of_unknown_service": self.unknown_service,
            "bad_rows": self.bad,
            "bad_row": self.reason,
            "requests_left": self.left,
            "samples": self.samples,
            "model": self.model,
            "input_tokens": self.input_tokens,
            "input_tokens_interval": list(self.input_interval),
            "output_tokens": self.output_tokens,
            "output_tokens_interval": self.output_interval and list(self.output_interval),
            "sampled_rows": self.sampled,
            "cost_usd": {tier: _dollars(cost) for tier, cost in self.costs.items()},
            "cost_usd_interval": {
                tier: interval and [_dollars(end) for end in interval] for tier, interval in self.cost_intervals.items()
            },
            "prices": {
                "date": self.priced_on.isoformat(),
                "source": self.price_source,
                "usd_per_million_tokens": {tier: _rates(price) for tier, price in self.prices.items()},
            },
            "paid_sample": self.paid and _paid_json(self.paid),
            "packs": [one.as_json() for one in self.packs],
        }


def _rates(price: Price | None) -> JsonObject | None:
    """Return dollars per million tokens, null where they depend on the size of the prompt."""
    if price is None:
        return None
    names = ("input", "cached", "output")
    return dict(zip(names, price.per_million or (None, None, None), strict=True))


def _dollars(cost: Decimal | None) -> float | None:
    return None if cost is None else round(float(cost), 6)


def _paid_json(paid: PaidSample) -> JsonObject:
    usage = paid.usage
    return {
        "rows": paid.rows,
        "answered": len(paid.usages),
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "thought_tokens": usage.thought_tokens,
        "cost_usd": _dollars(paid.cost),
    }
