"""`extract estimate`: tokens and money before a run."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from extract.cli.pipelines import load_pipeline
from extract.cli.terminal import say_warnings
from extract.errors import ConfigError
from extract.extractor.extractor import Extractor
from extract.interactions.client import Client
from extract.interactions.endpoint import GOOGLE_URL, Endpoint
from extract.io.cache.response_cache import ResponseCache
from extract.io.sources import Source, open_source, take_rows
from extract.json_types import JsonObject
from extract.limits.pricing import money
from extract.runner.estimate import Estimate, PaidSample, estimate, pay_sample
from extract.schema import OutputSchema, compile_schema

__all__ = ["Quota", "estimate_command"]

_MOST_LOSSES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """What the project may send, as far as it was typed: requests and input tokens a minute, requests a day."""

    rpm: float | None
    tpm: float | None
    rpd: float | None

    def minutes(self, found: Estimate) -> float | None:
        return found.minutes(rpm=self.rpm, tpm=self.tpm, rpd=self.rpd)


def estimate_command(
    pipeline: str,
    data: str,
    *,
    model: str | None,
    limit: int | None,
    cache: Path | None,
    paid_sample: int | None,
    base_url: str | None,
    samples: int,
    quota: Quota,
    as_json: bool,
) -> None:
    """Print the estimate, as text for people or as one JSON object."""
    extractor = load_pipeline(pipeline)
    if model:
        extractor = replace(extractor, model=model)
    source = open_source(data)
    if limit is not None:
        source = take_rows(source, limit)
    paid = None if paid_sample is None else _pay(source, extractor, paid_sample, cache, base_url)
    with ResponseCache(cache, read_only=True) if cache is not None and cache.exists() else nullcontext() as answers:
        found = estimate(source, extractor, endpoint=_endpoint(base_url), cache=answers, paid=paid, samples=samples)
    schema = compile_schema(extractor.schema)
    if as_json:
        told = found.as_json() | {"minutes_at_quota": quota.minutes(found)} | _schema_json(schema)
        sys.stdout.write(json.dumps(told, default=str) + "\n")
        return
    say_warnings(schema)
    sys.stdout.write("\n".join([*_lines(found), *_time_lines(found, quota), *_loss_lines(schema)]) + "\n")


def _endpoint(base_url: str | None) -> Endpoint:
    """Return who would be asked, without a key: only the content keys of the cache depend on it."""
    url = base_url or os.environ.get("GOOGLE_GEMINI_BASE_URL") or GOOGLE_URL
    return Endpoint(api_key="estimate", base_url=url)


def _pay(source: Source, extractor: Extractor, rows: int, cache: Path | None, base_url: str | None) -> PaidSample:
    if cache is None:
        raise ConfigError(
            "--paid-sample needs --cache, so that its answers are not paid for again: name the cache of the run, "
            "which is OUTPUT.cache by default"
        )
    with Client.from_env(base_url=base_url) as client, ResponseCache(cache) as answers:
        return pay_sample(source, extractor, rows, client=client, cache=answers)


def _lines(found: Estimate) -> Iterator[str]:
    yield from _request_lines(found)
    low, high = found.input_interval
    sampled = f"{low:,} to {high:,} at 95 %, from {found.sampled:,} prompts"
    doubt = "all prompts counted" if found.requests_exact else sampled
    yield f"about {found.input_tokens:,} tokens in ({doubt})"
    if found.paid is None or found.output_interval is None:
        yield f"about {found.output_tokens:,} tokens out (a guess from the schema; thoughts, retries, repairs on top)"
    else:
        low, high = found.output_interval
        yield f"about {found.output_tokens:,} tokens out, thoughts included ({low:,} to {high:,} at 95 %)"
    for tier, cost in found.costs.items():
        interval = found.cost_intervals[tier]
        doubt = "" if interval is None else f" ({money(interval[0])} to {money(interval[1])} at 95 %)"
        yield f"{tier}: " + (
            "price unknown" if cost is None else f"about {money(cost)}{doubt}, at {_rates(found, tier)}"
        )
    yield f"prices of {found.priced_on.isoformat()}, by {found.price_source}"
    if found.paid is not None:
        yield _paid_line(found.paid)


def _rates(found: Estimate, tier: str) -> str:
    price = found.prices[tier]
    if price is None or price.per_million is None:
        return "rates that go by the size of the prompt"
    given, _, taken = price.per_million
    return f"${given:,.2f} in and ${taken:,.2f} out per million tokens"


def _time_lines(found: Estimate, quota: Quota) -> Iterator[str]:
    minutes = quota.minutes(found)
    if minutes is None:
        yield "time: name the limits of your project with --rpm, --tpm or --rpd to see how long it takes at least"
    else:
        yield f"time: at least {_duration(minutes)} at this quota"


def _duration(minutes: float) -> str:
    if minutes < 1:
        return f"{minutes * 60:,.0f} s"
    return f"{minutes:,.0f} min" if minutes < 120 else f"{minutes / 60:,.1f} h"


def _loss_lines(schema: OutputSchema) -> Iterator[str]:
    """Yield what the service will not enforce: where it is not met, the answer is asked again, and paid again."""
    losses = schema.losses
    if not losses:
        yield "the service enforces the whole schema"
        return
    rules = "1 rule of the schema is" if len(losses) == 1 else f"{len(losses):,} rules of the schema are"
    yield f"{rules} checked here only; an answer that breaks one is asked again:"
    for loss in losses[:_MOST_LOSSES]:
        yield f"  {loss.path}: {loss.keyword} {_brief(loss.value)}"
    if len(losses) > _MOST_LOSSES:
        yield f"  and {len(losses) - _MOST_LOSSES:,} more: extract schema shows all"


def _schema_json(schema: OutputSchema) -> JsonObject:
    losses = [{"path": loss.path, "keyword": loss.keyword, "value": loss.value} for loss in schema.losses]
    return {"losses": losses, "warnings": list(schema.complexity.warnings)}


def _brief(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "..."


def _request_lines(found: Estimate) -> Iterator[str]:
    if found.requests_exact:
        each = "one request each" if found.samples == 1 else f"{found.samples:,} samples each"
        plain = found.requests == found.rows * found.samples and not found.bad
        requests = each if plain else f"{found.requests:,} different requests"
    else:
        requests = f"at most about {found.requests:,} different requests, going by {found.sampled:,} of the rows"
    yield f"{found.rows:,} rows, {requests}, for {found.model}"
    if found.requests < found.rows * found.samples - found.bad:
        yield "equal rows are asked once, as in a run with a cache; with --no-cache they are not"
    if found.cached:
        yield f"{found.cached:,} rows are in the cache and cost nothing; the rest is for the others"
    if found.bad:
        yield f"{found.bad:,} of {found.sampled:,} rows cannot be sent; the first: {found.reason}"


def _paid_line(paid: PaidSample) -> str:
    usage = paid.usage
    cost = "at an unknown price" if paid.cost is None else f"for {money(paid.cost)}, which is spent"
    return (
        f"the sample: {len(paid.usages):,} of {paid.rows:,} rows answered, {usage.input_tokens:,} tokens in, "
        f"{usage.output_tokens:,} out and {usage.thought_tokens:,} of thought, {cost}"
    )
