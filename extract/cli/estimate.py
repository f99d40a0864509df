"""`extract estimate`: tokens and money before a run."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from extract.cli.pipelines import load_pipeline
from extract.cli.terminal import plain, say_warnings
from extract.errors import ConfigError
from extract.evaluation.candidate_recall import CandidateRecall, candidate_recall
from extract.extractor.extractor import Extractor
from extract.extractor.label_tree import LabelTree
from extract.extractor.pack import Pack
from extract.extractor.plan import schema_of
from extract.interactions.client import Client
from extract.interactions.endpoint import GOOGLE_URL, Endpoint
from extract.io.cache.response_cache import ResponseCache
from extract.io.read_options import ReadKeywords
from extract.io.sources import Source, open_source
from extract.json_types import JsonObject
from extract.limits.pricing import money
from extract.results.estimate import Estimate, PaidSample
from extract.runner.cache_service import option_for
from extract.runner.estimate import estimate, pay_sample
from extract.runner.options import Root
from extract.schema import OutputSchema

__all__ = ["Quota", "estimate_command"]

_MAX_LOSSES = 10
_CACHING_MINIMUM, _CACHING_MINIMUM_25 = 4_096, 2_048  # input tokens (Google's page on caching, 2026)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """What the project may send, None where not given: requests and input tokens a minute, requests a day."""

    rpm: float | None
    tpm: float | None
    rpd: float | None

    def minutes(self, result: Estimate) -> float | None:
        return result.minutes(rpm=self.rpm, tpm=self.tpm, rpd=self.rpd)


def estimate_command(
    pipeline: str,
    data: str,
    *,
    model: str | None,
    limit: int | None,
    cache: Path | None,
    paid_sample: int | None,
    base_url: str | None,
    cache_service: str | None,
    samples: int,
    pack: str | None,
    root: Root,
    reading: ReadKeywords,
    quota: Quota,
    gold: str | None,
    answer: str | None,
    as_json: bool,
) -> None:
    """Print the estimate, as text for people or as one JSON object."""
    extractor = load_pipeline(pipeline)
    if model:
        extractor = replace(extractor, model=model)
    if pack is not None:
        extractor = replace(extractor, pack=Pack.of(pack))
    source = open_source(data, limit=limit, **reading)
    paid = None if paid_sample is None else _pay(source, extractor, paid_sample, cache, base_url, root, cache_service)
    result = estimate(
        source,
        extractor,
        endpoint=_endpoint(base_url),
        cache=cache,
        paid=paid,
        samples=samples,
        root=root,
        cache_service=cache_service,
    )
    schema = schema_of(extractor)
    recall = None if gold is None else candidate_recall(extractor, gold, answer=answer)
    if as_json:
        summary = result.as_json() | {"minutes_at_quota": quota.minutes(result)} | _schema_json(schema)
        summary |= {} if recall is None else {"candidates": recall.as_json()}
        sys.stdout.write(json.dumps(summary, default=str) + "\n")
        return
    say_warnings(schema)
    lines = [
        *_lines(result),
        *_time_lines(result, quota),
        *_pack_lines(result, quota, extractor.pack),
        *_loss_lines(schema),
    ]
    lines += _candidate_lines(extractor, recall)
    sys.stdout.write(plain("\n".join(lines)) + "\n")


def _endpoint(base_url: str | None) -> Endpoint:
    """Return the endpoint of the run, without a key: only the content keys of the cache depend on it."""
    url = base_url or os.environ.get("GOOGLE_GEMINI_BASE_URL") or GOOGLE_URL
    return Endpoint(api_key="estimate", base_url=url)


def _pay(
    source: Source,
    extractor: Extractor,
    rows: int,
    cache: Path | None,
    base_url: str | None,
    root: Root,
    cache_service: str | None,
) -> PaidSample:
    if cache is None:
        raise ConfigError(
            "--paid-sample needs --cache, so that its answers are not paid for again: name the cache of the run, "
            "which is OUTPUT.cache by default"
        )
    with Client.from_env(base_url=base_url) as client, ResponseCache(cache) as answers:
        return pay_sample(source, extractor, rows, client=client, cache=answers, root=root, cache_service=cache_service)


def _lines(result: Estimate) -> Iterator[str]:
    yield from _request_lines(result)
    low, high = result.input_interval
    sampled = f"{low:,} to {high:,} at 95 %, from {result.sampled:,} prompts"
    doubt = "all prompts counted" if result.requests_exact else sampled
    yield f"about {result.input_tokens:,} tokens in ({doubt})"
    if result.paid is None or result.output_interval is None:
        yield f"about {result.output_tokens:,} tokens out (a guess from the schema, without thoughts and repairs)"
    else:
        low, high = result.output_interval
        yield f"about {result.output_tokens:,} tokens out, thoughts included ({low:,} to {high:,} at 95 %)"
    for tier, cost in result.costs.items():
        interval = result.cost_intervals[tier]
        doubt = "" if interval is None else f" ({money(interval[0])} to {money(interval[1])} at 95 %)"
        yield f"{tier}: " + (
            "price unknown" if cost is None else f"about {money(cost)}{doubt}, at {_rates(result, tier)}"
        )
    yield f"prices of {result.priced_on.isoformat()}, by {result.price_source}"
    if result.paid is not None:
        yield _paid_line(result.paid)


def _rates(result: Estimate, tier: str) -> str:
    price = result.prices[tier]
    if price is None or price.per_million is None:
        return "rates that depend on the size of the prompt"
    input_price, _, output_price = price.per_million
    return f"${input_price:,.2f} in and ${output_price:,.2f} out per million tokens"


def _time_lines(result: Estimate, quota: Quota) -> Iterator[str]:
    minutes = quota.minutes(result)
    if minutes is None:
        yield "time: give the limits of your project with --rpm, --tpm or --rpd to see the minimum"
    else:
        yield f"time: at least {_duration(minutes)} at this quota"


def _duration(minutes: float) -> str:
    if minutes < 1:
        return f"{minutes * 60:,.0f} s"
    return f"{minutes:,.0f} min" if minutes < 120 else f"{minutes / 60:,.1f} h"


def _pack_lines(result: Estimate, quota: Quota, pack: Pack | None) -> Iterator[str]:
    """Yield a table: what more rows in one request would change. Two costs: nobody knows whether schemas are billed."""
    if not result.packs:
        return
    requested = next((one for one in result.packs if pack is not None and one.rows == pack.rows), result.packs[0])
    minimum = _CACHING_MINIMUM_25 if "2.5" in result.model else _CACHING_MINIMUM
    reached = "reach" if requested.constant_tokens >= minimum else "do not reach"
    yield (
        f"{requested.constant_share:.0%} of a request is the same in all: about {requested.constant_tokens:,} tokens, "
        f"which {reached} the {minimum:,} from which the service may cache them"
    )
    yield f"{'rows a request':>14} {'requests':>10} {'tokens in':>13} {'cost':>21} {'at least':>9}"
    for one in result.packs:
        low, high = one.cost_without_schema, one.cost
        cost = "price unknown" if low is None or high is None else f"{money(low)} to {money(high)}"
        minutes = one.minutes(rpm=quota.rpm, tpm=quota.tpm, rpd=quota.rpd)
        shown = "" if minutes is None else _duration(minutes)
        yield f"{one.rows:>14} {one.requests:>10,} {one.input_tokens:>13,} {cost:>21} {shown:>9}"
    yield "the lower cost holds where the service does not bill the schema as input; more rows: --pack N"


def _loss_lines(schema: OutputSchema) -> Iterator[str]:
    """Yield the rules that the service does not enforce. An answer that breaks one is requested, and paid, again."""
    losses = [loss for loss in schema.losses if not loss.drops_unnamed]
    if not losses:
        yield "the service enforces the whole schema"
        return
    rules = "1 rule of the schema is" if len(losses) == 1 else f"{len(losses):,} rules of the schema are"
    yield f"{rules} checked here only; an answer that breaks one is asked again:"
    for loss in losses[:_MAX_LOSSES]:
        yield f"  {loss.path}: {loss.keyword} {_brief(loss.value)}"
    if len(losses) > _MAX_LOSSES:
        yield f"  and {len(losses) - _MAX_LOSSES:,} more: extract schema shows all"


def _candidate_lines(extractor: Extractor, recall: CandidateRecall | None) -> Iterator[str]:
    if (candidates := extractor.candidates) is None:
        return
    if isinstance(candidates, LabelTree):
        yield (
            f"labels in a tree, {len(candidates.labels):,} in {candidates.depth} levels: a row takes up to "
            f"{candidates.depth} requests, as counted here, and {candidates.mean_depth:.1f} on average over the labels"
        )
        return
    if candidates.rounds > 1:
        further = f"is shown the next ones, in up to {candidates.rounds:,} requests; that is not counted"
        yield f"a row that none of its {candidates.k:,} labels fits {further}"
    if recall is None:
        yield "how often the right label is among those shown: --gold FILE says it"
    else:
        yield str(recall)


def _schema_json(schema: OutputSchema) -> JsonObject:
    losses = [{"path": loss.path, "keyword": loss.keyword, "value": loss.value} for loss in schema.losses]
    return {"losses": losses, "warnings": list(schema.complexity.warnings)}


def _brief(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "..."


def _request_lines(result: Estimate) -> Iterator[str]:
    if result.requests_exact:
        each = "one request each" if result.samples == 1 else f"{result.samples:,} samples each"
        plain = result.requests == result.rows * result.samples and not result.bad
        requests = each if plain else f"{result.requests:,} different requests"
    else:
        requests = f"at most about {result.requests:,} different requests, judging by {result.sampled:,} of the rows"
    yield f"{result.rows:,} rows, {requests}, for {result.model}"
    if result.requests < result.rows * result.samples - result.bad:
        yield "equal rows are asked once, as in a run with a cache; with --no-cache they are not"
    if result.cached:
        yield f"{result.cached:,} rows are in the cache and cost nothing; the figures below are for the others"
    if result.cached is not None and result.cached < result.rows:
        yield from _lines_on_others(result)
    if result.bad:
        yield f"{result.bad:,} of {result.sampled:,} rows cannot be sent; the first: {result.reason}"


def _lines_on_others(result: Estimate) -> Iterator[str]:
    """Yield why rows may not be in the cache: it holds answers of others, or from before it said whose they are."""
    rows = f"{result.cached:,} of {result.rows:,} rows are in this cache"
    if others := dict(result.other_services):
        names = ", ".join(others)
        yield f"{rows}; it holds {sum(others.values()):,} answers of another address ({names}): {option_for(others)}"
    elif result.unknown_service and not result.cached:
        yield f"{rows}; it holds {result.unknown_service:,} answers of addresses that are not known"


def _paid_line(paid: PaidSample) -> str:
    usage = paid.usage
    cost = "at an unknown price" if paid.cost is None else f"for {money(paid.cost)}, which is spent"
    return (
        f"the sample: {len(paid.usages):,} of {paid.rows:,} rows answered, {usage.input_tokens:,} tokens in, "
        f"{usage.output_tokens:,} out and {usage.thought_tokens:,} of thought, {cost}"
    )
