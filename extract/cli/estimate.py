"""`extract estimate`: tokens and money before a run."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from extract.cache import ResponseCache
from extract.cli.pipelines import load_pipeline
from extract.cli.terminal import say_warnings
from extract.errors import ConfigError
from extract.estimate import Estimate, PaidSample, estimate, pay_sample
from extract.extractor import Extractor
from extract.interactions.client import Client
from extract.interactions.endpoint import GOOGLE_URL, Endpoint
from extract.schema import compile_schema
from extract.sources import Source, open_source, take_rows

__all__ = ["estimate_command"]


def estimate_command(
    pipeline: str,
    data: str,
    *,
    model: str | None,
    limit: int | None,
    cache: Path | None,
    paid_sample: int | None,
    base_url: str | None,
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
        found = estimate(source, extractor, endpoint=_endpoint(base_url), cache=answers, paid=paid)
    if not as_json:
        say_warnings(compile_schema(extractor.schema))
    sys.stdout.write(json.dumps(found.as_json()) + "\n" if as_json else "\n".join(_lines(found)) + "\n")


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
    yield f"about {found.input_tokens:,} tokens in ({low:,} to {high:,} at 95 %, from {found.sampled:,} prompts)"
    if found.paid is None or found.output_interval is None:
        yield f"about {found.output_tokens:,} tokens out (a guess from the schema; thoughts, retries, repairs on top)"
    else:
        low, high = found.output_interval
        yield f"about {found.output_tokens:,} tokens out, thoughts included ({low:,} to {high:,} at 95 %)"
    for tier, cost in found.costs.items():
        interval = found.cost_intervals[tier]
        doubt = "" if interval is None else f" ({_money(interval[0])} to {_money(interval[1])} at 95 %)"
        yield f"{tier}: " + ("price unknown" if cost is None else f"about {_money(cost)}{doubt}")
    if found.paid is not None:
        yield _paid_line(found.paid)


def _request_lines(found: Estimate) -> Iterator[str]:
    if found.requests_exact:
        equal = found.rows - found.bad - found.requests
        requests = "one request each" if not equal and not found.bad else f"{found.requests:,} different requests"
    else:
        requests = f"at most about {found.requests:,} different requests, going by {found.sampled:,} of the rows"
    yield f"{found.rows:,} rows, {requests}, for {found.model}"
    if found.cached:
        yield f"{found.cached:,} rows are in the cache and cost nothing; the rest is for the others"
    if found.bad:
        yield f"{found.bad:,} of {found.sampled:,} rows cannot be sent; the first: {found.reason}"


def _paid_line(paid: PaidSample) -> str:
    usage = paid.usage
    cost = "at an unknown price" if paid.cost is None else f"for {_money(paid.cost)}, which is spent"
    return (
        f"the sample: {len(paid.usages):,} of {paid.rows:,} rows answered, {usage.input_tokens:,} tokens in, "
        f"{usage.output_tokens:,} out and {usage.thought_tokens:,} of thought, {cost}"
    )


def _money(cost: Decimal) -> str:
    return f"${cost:,.4f}"
