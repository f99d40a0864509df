"""What a run would send and cost: from its prompts alone, or from a few rows that are really asked and paid for."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from statistics import fmean, stdev
from typing import Any

import polars as pl
from polars.selectors import by_name

from extract.errors import BadRecord, ConfigError, ExtractError
from extract.extractor.extractor import Extractor
from extract.extractor.plan import CompiledExtractor, compile_extractor
from extract.extractor.question import Question
from extract.interactions.client import Client
from extract.interactions.dialects import decode
from extract.interactions.endpoint import GOOGLE_URL, Endpoint
from extract.interactions.usage import Usage
from extract.io.cache.response_cache import ResponseCache
from extract.io.sources import Source
from extract.json_types import JsonObject
from extract.limits.pricing import PRICE_SOURCE, Price, find_price
from extract.results.run import Run
from extract.runner.long_documents import long_text
from extract.runner.options import AnswerRules
from extract.runner.run import run
from extract.schema.answer_size import answer_tokens

__all__ = ["Estimate", "PaidSample", "estimate", "pay_sample"]

_SAMPLE_ROWS = 2_000
_COUNTED_ROWS = 100_000  # up to so many different rows, every prompt is written and counted
_BATCH_ROWS = 65_536
_TIERS = ("standard", "flex")
_SEED = 0
_Z = 1.96
# Student's 97.5 % quantiles of 1 to 10 degrees of freedom, where the expansion does not hold yet.
_FIRST_QUANTILES = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)


@dataclass(frozen=True, slots=True)
class _Rows:
    """The rows of a source, of which those are one that do not differ in what a prompt is made of.

    `firsts` are the places of the different ones, in order, and `times` says how many rows each stands for.
    """

    height: int
    firsts: Sequence[int]
    times: Sequence[int]


@dataclass(slots=True)
class _Survey:
    """What the prompts of some different rows are, and how many of them are equal or answered already.

    `rows` and what is counted of them, `cached` and `bad`, hold each row as often as it stands in the source. `left`
    counts the different rows, in each of their samples, of which something must be sent; `sizes` are those of the
    requests that takes.
    """

    whole: bool
    different: int
    rows: int = 0
    cached: int = 0
    bad: int = 0
    reason: str | None = None
    left: int = 0
    sizes: list[int] = field(default_factory=list)
    first_rows: dict[bytes, int] = field(default_factory=dict)


def estimate(
    source: Source,
    extractor: Extractor,
    *,
    endpoint: Endpoint | None = None,
    cache: ResponseCache | None = None,
    paid: PaidSample | None = None,
    samples: int = 1,
) -> Estimate:
    """Return what asking `extractor` of every row would take. Sends nothing; errors are those that a run would raise.

    `endpoint` is who would be asked (by default Google), `cache` holds what was answered before, and `paid` tells what
    answers really take. `samples` is how often each row is asked.
    """
    AnswerRules(samples=samples).check(extractor.generation)
    plan = _plan(source, extractor, endpoint)
    rows = _different(source, plan)
    survey = _survey(source, plan, rows, cache, samples)
    requests, left, left_rows = _requests(survey, rows)
    constant = plan.envelope().tokens
    expected, margin = _total([constant + size for size in survey.sizes], left, left - len(survey.sizes))
    guess = left * answer_tokens(plan.schema.dtypes)
    found = Estimate(
        rows=rows.height,
        model=extractor.model,
        requests=requests,
        requests_exact=survey.whole,
        cached=None if cache is None else round(survey.cached * rows.height / max(1, survey.rows)),
        bad=survey.bad,
        reason=survey.reason,
        input_tokens=round(expected),
        input_interval=_whole(expected, margin),
        output_tokens=guess,
        output_interval=None,
        sampled=survey.rows if survey.whole else survey.different,
        costs=_guessed_costs(extractor.model, Usage(input_tokens=round(expected), output_tokens=guess)),
        cost_intervals=dict.fromkeys(_TIERS),
        left=left,
        prices={tier: find_price(extractor.model, tier) for tier in _TIERS},
        priced_on=datetime.now(UTC).date(),
        price_source=PRICE_SOURCE,
        samples=samples,
    )
    return found if paid is None else _with_paid(found, paid, left_rows)


def pay_sample(source: Source, extractor: Extractor, rows: int, *, client: Client, cache: ResponseCache) -> PaidSample:
    """Ask some rows from all over the source, the same ones each time, and return what they took.

    Their answers are kept in `cache`, so neither a later sample nor the run pays for them again. Raises what stopped
    the asking, and ConfigError where not one row was answered.
    """
    plan = _plan(source, extractor, client.endpoint)
    chosen = _chosen_rows(source, plan, rows)
    if len(chosen) < 2:
        raise ConfigError(f"a sample takes at least 2 rows that can be sent; there are {len(chosen)}")
    frame = pl.concat(_picked(source, plan, chosen))
    asked = run(frame, extractor, client=client, cache=cache, errors="null", prefix="answer.", provenance=True)
    usages = tuple(_usages(asked, frame, plan, cache))
    if asked.stopped is not None:
        raise asked.stopped
    if not usages:
        said = asked.errors["message"].to_list()[:1] or ["no answer told its usage"]
        raise ConfigError(f"none of the {frame.height} rows of the sample was answered; the first said: {said[0]}")
    return PaidSample(rows=frame.height, usages=usages, cost=asked.cost)


def _plan(source: Source, extractor: Extractor, endpoint: Endpoint | None) -> CompiledExtractor:
    plan = compile_extractor(extractor, endpoint or Endpoint(api_key="estimate", base_url=GOOGLE_URL))
    return plan.fitted(list(source.schema))


def _different(source: Source, plan: CompiledExtractor) -> _Rows:
    """Return which rows differ in the columns that a prompt reads: equal ones are asked once."""
    hashes = [_read(frame, plan).hash_rows() for frame in source.batches(_BATCH_ROWS)]
    every = pl.concat(hashes) if hashes else pl.Series(dtype=pl.UInt64)
    rows = every.alias("hash").to_frame().with_row_index("row")
    different = rows.group_by("hash").agg(pl.col("row").min(), pl.len().alias("times")).sort("row")
    return _Rows(rows.height, different["row"].to_list(), different["times"].to_list())


def _read(frame: pl.DataFrame, plan: CompiledExtractor) -> pl.DataFrame:
    return frame.select(by_name(*plan.columns)) if plan.columns else frame


def _is_counted(plan: CompiledExtractor, rows: _Rows) -> bool:
    """True where every prompt is looked at: it is cheap unless there are too many or they hold files."""
    return len(rows.firsts) <= _COUNTED_ROWS and not plan.extractor.media


def _survey(
    source: Source, plan: CompiledExtractor, rows: _Rows, cache: ResponseCache | None, samples: int = 1
) -> _Survey:
    """Look at all prompts where that is cheap, else at a sample; `sizes` are those of requests still to be sent."""
    every = range(len(rows.firsts))
    drawn = every if _is_counted(plan, rows) else _drawn(every, _SAMPLE_ROWS)
    chosen = [rows.firsts[place] for place in drawn]
    survey = _Survey(whole=len(drawn) == len(every), different=len(drawn))
    records = (record for frame in _picked(source, plan, chosen) for record in frame.to_dicts())
    for place, row, record in zip(drawn, chosen, records, strict=True):
        survey.rows += (times := rows.times[place])
        try:
            questions = list(_questions(plan, record))
            samples_of = [[_request(plan, one.sampled(number)) for one in questions] for number in range(samples)]
        except BadRecord as error:
            survey.bad += times if survey.whole else 1
            survey.reason = survey.reason or f"row {row}: {error}"
            continue
        requests = [request for asked in samples_of for request in asked]
        known = {key for key, _ in requests if cache is not None and cache.get(key) is not None}
        survey.cached += times * all(key in known for key, _ in requests)
        for asked in samples_of:
            new = {key: size for key, size in asked if key not in survey.first_rows and key not in known}
            survey.left += bool(new)
            survey.sizes += new.values()
        for key, _ in requests:
            survey.first_rows.setdefault(key, row)
    return survey


def _request(plan: CompiledExtractor, question: Question) -> tuple[bytes, int]:
    """Return a request's content key, and the input tokens that it adds to the constant part."""
    return plan.answer_key(question, 0), plan.input_tokens(question.turns)


def _questions(plan: CompiledExtractor, record: Mapping[str, Any]) -> Iterator[Question]:
    """Yield what is asked of a record before repairs and retries: one question, or one for each window."""
    text = None if plan.extractor.windows is None else long_text(plan, record)
    if text is None:
        yield plan.question(record)
    else:
        yield from map(text.question, text.windows)


def _requests(survey: _Survey, rows: _Rows) -> tuple[int, int, int]:
    """Return how many different requests there are, how many of them must still be sent, and for how many rows."""
    share = len(rows.firsts) / max(1, survey.different)
    return round(len(survey.first_rows) * share), round(len(survey.sizes) * share), round(survey.left * share)


def _chosen_rows(source: Source, plan: CompiledExtractor, rows: int) -> Sequence[int]:
    """Draw the rows of a paid sample, from different requests."""
    every = _different(source, plan)
    if not _is_counted(plan, every):
        return _drawn(every.firsts, rows)
    return _drawn(sorted(set(_survey(source, plan, every, None).first_rows.values())), rows)


def _drawn(rows: Sequence[int], count: int) -> Sequence[int]:
    return sorted(random.Random(_SEED).sample(rows, min(len(rows), count)))  # noqa: S311


def _picked(source: Source, plan: CompiledExtractor, chosen: Sequence[int]) -> Iterator[pl.DataFrame]:
    """Yield the chosen rows, which are in order, with the columns that a prompt needs."""
    wanted = pl.Series(chosen, dtype=pl.Int64)
    first = 0
    for frame in source.batches(_BATCH_ROWS):
        here = wanted.filter((wanted >= first) & (wanted < first + frame.height)) - first
        yield _read(frame, plan)[here]
        first += frame.height


def _usages(asked: Run, frame: pl.DataFrame, plan: CompiledExtractor, cache: ResponseCache) -> Iterator[Usage]:
    """Yield what each row took, repairs included; of a row that was in the cache before, what its first answer took."""
    records = frame.to_dicts()
    for record, took in zip(records, asked.frame["_extract"].to_list(), strict=True):
        if took["input_tokens"]:
            counts = ("input_tokens", "output_tokens", "thought_tokens", "cached_tokens")
            yield Usage(*(took[name] for name in counts))
        elif took["cached"] and (usage := _kept_usage(record, plan, cache)) is not None:
            yield usage


def _kept_usage(record: Mapping[str, Any], plan: CompiledExtractor, cache: ResponseCache) -> Usage | None:
    """Return what the first answers to a record took, None where one is not kept or tells nothing."""
    try:
        kept = [cache.get(plan.answer_key(question, 0)) for question in _questions(plan, record)]
        usages = [None if one is None else decode(one).usage for one in kept]
    except ExtractError:
        return None
    told = [usage for usage in usages if usage is not None]
    return sum(told, Usage()) if len(told) == len(usages) else None


def _with_paid(found: Estimate, paid: PaidSample, left: int) -> Estimate:
    """Replace what was guessed from the schema by what the sample tells of the rows that are left."""
    output, margin = _total([usage.output_tokens + usage.thought_tokens for usage in paid.usages], left, left)
    costs: dict[str, Decimal | None] = dict.fromkeys(_TIERS)
    intervals: dict[str, tuple[Decimal, Decimal] | None] = dict.fromkeys(_TIERS)
    for tier in _TIERS:
        if (price := find_price(found.model, tier)) is not None:
            dollars, doubt = _total([float(price.cost(usage)) for usage in paid.usages], left, left)
            costs[tier] = Decimal(str(dollars))
            intervals[tier] = (Decimal(str(max(0.0, dollars - doubt))), Decimal(str(dollars + doubt)))
    return replace(
        found,
        output_tokens=round(output),
        output_interval=_whole(output, margin),
        costs=costs,
        cost_intervals=intervals,
        paid=paid,
    )


def _guessed_costs(model: str, usage: Usage) -> dict[str, Decimal | None]:
    prices = {tier: find_price(model, tier) for tier in _TIERS}
    return {tier: None if price is None else price.cost(usage) for tier, price in prices.items()}


def _total(sample: Sequence[float], count: int, unseen: int) -> tuple[float, float]:
    """Return the sum of `count` numbers like those of a sample, and its margin where `unseen` are not in it (95 %)."""
    if len(sample) < 2:
        return sum(sample) * count, 0.0
    doubt = math.sqrt(max(0, unseen) * (max(0, unseen) + len(sample)) / len(sample))
    return fmean(sample) * count, _quantile(len(sample) - 1) * stdev(sample) * doubt


def _quantile(freedom: int) -> float:
    """Return Student's 97.5 % quantile: from a table, then by its expansion around the normal one."""
    if freedom <= len(_FIRST_QUANTILES):
        return _FIRST_QUANTILES[freedom - 1]
    return _Z + (_Z**3 + _Z) / (4 * freedom) + (5 * _Z**5 + 16 * _Z**3 + 3 * _Z) / (96 * freedom**2)


def _whole(expected: float, margin: float) -> tuple[int, int]:
    return max(0, round(expected - margin)), round(expected + margin)


_MINUTES_A_DAY = 24 * 60


@dataclass(frozen=True, slots=True, kw_only=True)
class PaidSample:
    """Rows that were asked to see what they take. `usages` hold one entry per row that was answered.

    `cost` is what asking them has cost now, in US dollars, None where the price is unknown: answers that were in the
    cache before cost nothing.
    """

    rows: int
    usages: tuple[Usage, ...]
    cost: Decimal | None

    @property
    def usage(self) -> Usage:
        return sum(self.usages, Usage())


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a run would send, before repairs and retries. Costs in US dollars; None where unknown.

    Equal rows are asked once, as by a run with a cache: `requests` counts the different ones, at most and from a sample
    where not `requests_exact`. Tokens and costs are those of the requests that are not in the cache yet; `cached`
    counts the rows that are, None without a cache, and `left` the requests for the others. `bad` of the `sampled` rows
    cannot be sent, and `reason` says why the first cannot. Each row is asked in `samples`, all of them counted.
    `prices` by service tier are those of `priced_on`, as `price_source` has them.

    Intervals hold the sums with 95 % confidence, as far as sampling goes. Without a paid sample `output_tokens` is a
    guess from the schema, without what the model thinks and is billed for; with one it includes that.
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

    def minutes(self, *, rpm: float | None = None, tpm: float | None = None, rpd: float | None = None) -> float | None:
        """Return the least time that the requests left take at a quota per minute or day; None without any.

        A daily limit runs from midnight to midnight Pacific time: each day but the last is counted whole.
        """
        least = [number / limit for number, limit in ((self.left, rpm), (self.input_tokens, tpm)) if limit]
        if rpd:
            least.append(max(0, math.ceil(self.left / rpd) - 1) * _MINUTES_A_DAY)
        return max(least, default=None)

    def as_json(self) -> JsonObject:
        return {
            "rows": self.rows,
            "requests": self.requests,
            "requests_exact": self.requests_exact,
            "cached_rows": self.cached,
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
