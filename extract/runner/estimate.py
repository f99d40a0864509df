"""What a run would send and cost: from its prompts alone, or from a paid sample of its rows."""

from __future__ import annotations

import math
import os
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, Unpack

import polars as pl
from polars.selectors import by_name

from extract.documents.roots import Roots
from extract.errors import BadRecord, ConfigError, ExtractError
from extract.extractor.extractor import Extractor
from extract.extractor.plan import CompiledExtractor, compile_extractor
from extract.extractor.question import Question
from extract.interactions.client import Client
from extract.interactions.dialects import decode
from extract.interactions.endpoint import GOOGLE_URL, Endpoint
from extract.interactions.usage import Usage
from extract.io.cache.response_cache import ResponseCache
from extract.io.read_options import ReadKeywords
from extract.io.source import records_of
from extract.io.sources import Source, open_source
from extract.limits.pricing import PRICE_SOURCE, find_price
from extract.results.estimate import Estimate, PaidSample
from extract.results.run import Run
from extract.runner.cache_service import key_service, others_of
from extract.runner.long_documents import long_text
from extract.runner.options import AnswerRules, Root, RunKeywords
from extract.runner.pack_estimate import TIERS, guessed_costs, pack_estimates, together
from extract.runner.run import run
from extract.schema.answer_size import answer_tokens

__all__ = ["estimate", "pay_sample", "stored_usage"]

_SAMPLE_ROWS = 2_000  # different rows whose prompts are counted where there are more
_COUNTED_ROWS = 100_000  # up to that many different rows, every prompt is written and counted
_BATCH_ROWS = 65_536
_SEED = 0  # fixed, so that a second paid sample asks the same rows and finds them in the cache
_Z = 1.96  # the normal distribution's 97.5 % quantile: two-sided intervals of 95 %
# Student's 97.5 % quantiles for 1 to 10 degrees of freedom, where the expansion of `_quantile` is too rough.
_FIRST_QUANTILES = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)


@dataclass(frozen=True, slots=True)
class _Rows:
    """The different rows of a source: rows are equal where the columns that a prompt reads are.

    `firsts` are the positions of the first row of each kind, in order, and `times` says how many rows are equal to it.
    """

    height: int
    firsts: Sequence[int]
    times: Sequence[int]


@dataclass(slots=True)
class _Survey:
    """What the prompts of some different rows need, and how many of them are in the cache.

    `whole` says that all `different` rows were counted. `rows`, `cached` and `bad` count each row as often as it is in
    the source. `left` counts different rows times samples for which something must be sent; `sizes` are the input
    tokens of those requests. `first_rows` maps the content key of each request to the first row that needs it.
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
    source: Any,
    extractor: Extractor,
    *,
    endpoint: Endpoint | None = None,
    cache: ResponseCache | str | os.PathLike[str] | None = None,
    paid: PaidSample | None = None,
    samples: int = 1,
    root: Root = None,
    cache_service: str | None = None,
    **reading: Unpack[ReadKeywords],
) -> Estimate:
    """Return what a run of `extractor` over `source` would send and cost. Sends nothing; raises the errors of a run.

    `source` is what `run` takes as `data`. `endpoint` is the service (by default Google), `cache` holds earlier
    answers: a path, which need not be there yet, or a ResponseCache. `paid` is a sample that shows what answers really
    use. `samples` is how often each row is asked. `root`, `cache_service`, `csv_separator`, `csv_quote`, `csv_encoding`
    and `sheet` are as in `run`.

    >>> from extract import Extractor, estimate
    >>> estimate(["I love it", "It broke"], Extractor(["praise", "complaint"], "{text}")).requests
    2
    """
    AnswerRules(samples=samples).check(extractor.generation)
    source = open_source(source, **reading)
    endpoint = endpoint or Endpoint(api_key="estimate", base_url=GOOGLE_URL)
    plan = _plan(source, extractor, endpoint, Roots.of(root), cache_service)
    rows = _different(source, plan)
    with _opened(cache) as answers:
        survey = _survey(source, plan, rows, answers, samples)
        stored = None if answers is None else answers.statistics.services()
    requests, left, left_rows = _requests(survey, rows)
    still_to_ask = left
    packs = pack_estimates(extractor, endpoint, survey.sizes, left)
    constant = plan.envelope().tokens
    # Where every prompt was counted, `left` equals the number of sizes: nothing is unseen, and the margin is 0.
    expected, margin = _total([constant + size for size in survey.sizes], left, left - len(survey.sizes))
    guess = left * answer_tokens(plan.schema.dtypes)
    result = Estimate(
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
        costs=guessed_costs(extractor.model, Usage(input_tokens=round(expected), output_tokens=guess)),
        cost_intervals=dict.fromkeys(TIERS),
        left=left,
        prices={tier: find_price(extractor.model, tier) for tier in TIERS},
        priced_on=datetime.now(UTC).date(),
        price_source=PRICE_SOURCE,
        samples=samples,
        packs=packs,
        other_services={} if stored is None else others_of(stored, plan.service),
        unknown_service=0 if stored is None else stored.unknown,
    )
    if plan.pack is not None and plan.pack.rows != "auto":
        result = together(result, extractor, endpoint, survey.sizes, still_to_ask, plan.pack.rows)
    if paid is None:
        return result
    output = sum(usage.output_tokens + usage.thought_tokens for usage in paid.usages) / max(1, len(paid.usages))
    packs = pack_estimates(extractor, endpoint, survey.sizes, left, answer=output)
    return replace(_with_paid(result, paid, left_rows), packs=packs)


def _opened(
    cache: ResponseCache | str | os.PathLike[str] | None,
) -> AbstractContextManager[ResponseCache | None]:
    """Return the cache for reading; None where it is not there yet."""
    if cache is None or isinstance(cache, ResponseCache):
        return nullcontext(cache)
    return ResponseCache(cache, read_only=True) if Path(cache).exists() else nullcontext()


def pay_sample(
    source: Source,
    extractor: Extractor,
    rows: int,
    *,
    client: Client,
    cache: ResponseCache,
    root: Root = None,
    cache_service: str | None = None,
) -> PaidSample:
    """Ask `rows` rows drawn from the whole source, the same ones each time, and return what they used.

    Their answers are stored in `cache`, so neither a later sample nor the run pays for them again. `root` and
    `cache_service` are as in `run`. Raises what stopped the sample, and ConfigError where not one row was answered.
    """
    plan = _plan(source, extractor, client.endpoint, Roots.of(root), cache_service)
    chosen = _chosen_rows(source, plan, rows)
    if len(chosen) < 2:
        raise ConfigError(f"a sample needs at least 2 rows that can be sent; there are {len(chosen)}")
    frame = pl.concat(_picked(source, plan, chosen))
    options: RunKeywords = {"errors": "null", "prefix": "answer.", "provenance": True, "root": plan.roots}
    options["client"], options["cache"], options["cache_service"] = client, cache, cache_service
    result = run(frame, extractor, **options)
    usages = tuple(_usages(result, frame, plan, cache))
    if result.stopped is not None:
        raise result.stopped
    if not usages:
        reasons = result.errors["message"].to_list()[:1] or ["no answer reported its usage"]
        raise ConfigError(f"none of the {frame.height} rows of the sample was answered; the first error: {reasons[0]}")
    return PaidSample(rows=frame.height, usages=usages, cost=result.cost)


def _plan(
    source: Source, extractor: Extractor, endpoint: Endpoint | None, root: Roots | None, cache_service: str | None
) -> CompiledExtractor:
    endpoint = endpoint or Endpoint(api_key="estimate", base_url=GOOGLE_URL)
    plan = compile_extractor(extractor, endpoint, service=key_service(endpoint, cache_service))
    with source.explained():
        return plan.fitted(list(source.schema), Roots.joined(root, source.folder))


def _different(source: Source, plan: CompiledExtractor) -> _Rows:
    """Return which rows differ in the columns that a prompt reads: a run with a cache asks equal ones once."""
    # Eight bytes a row in place of its texts, so that sources larger than memory can be counted.
    hashes = [_read(frame, plan).hash_rows() for frame in source.batches(_BATCH_ROWS)]
    every = pl.concat(hashes) if hashes else pl.Series(dtype=pl.UInt64)
    rows = every.alias("hash").to_frame().with_row_index("row")
    different = rows.group_by("hash").agg(pl.col("row").min(), pl.len().alias("times")).sort("row")
    return _Rows(rows.height, different["row"].to_list(), different["times"].to_list())


def _read(frame: pl.DataFrame, plan: CompiledExtractor) -> pl.DataFrame:
    return frame.select(by_name(*plan.columns)) if plan.columns else frame


def _is_counted(plan: CompiledExtractor, rows: _Rows) -> bool:
    """Return whether every prompt is counted: that is cheap, unless there are too many or they contain files."""
    return len(rows.firsts) <= _COUNTED_ROWS and not plan.extractor.media


def _survey(
    source: Source, plan: CompiledExtractor, rows: _Rows, cache: ResponseCache | None, samples: int = 1
) -> _Survey:
    """Return what all prompts need where counting them is cheap, else what those of a sample do."""
    every = range(len(rows.firsts))
    drawn = every if _is_counted(plan, rows) else _drawn(every, _SAMPLE_ROWS)
    chosen = [rows.firsts[place] for place in drawn]
    survey = _Survey(whole=len(drawn) == len(every), different=len(drawn))
    records = (record for frame in _picked(source, plan, chosen) for record in records_of(frame))
    for place, row, record in zip(drawn, chosen, records, strict=True):
        survey.rows += (times := rows.times[place])
        try:
            # Each sample of a question has a content key of its own, so that all are asked.
            questions = list(_questions(plan, record, cache))
            by_sample = [[_request(plan, one.sampled(number)) for one in questions] for number in range(samples)]
        except BadRecord as error:
            survey.bad += times if survey.whole else 1  # of a sample, `sampled` counts different rows
            survey.reason = survey.reason or f"row {row}: {error}"
            continue
        requests = [request for sample in by_sample for request in sample]
        cached_keys = {key for key, _ in requests if cache is not None and cache.get(key) is not None}
        survey.cached += times * all(key in cached_keys for key, _ in requests)
        for sample in by_sample:
            # Windows of different rows may be equal, too: only the first of them is sent.
            new = {key: size for key, size in sample if key not in survey.first_rows and key not in cached_keys}
            survey.left += bool(new)
            survey.sizes += new.values()
        for key, _ in requests:
            survey.first_rows.setdefault(key, row)
    return survey


def _request(plan: CompiledExtractor, question: Question) -> tuple[bytes, int]:
    """Return a request's content key, and the input tokens that it adds to the constant part."""
    return plan.answer_key(question, 0), plan.input_tokens(question.turns)


def _questions(
    plan: CompiledExtractor, record: Mapping[str, Any], cache: ResponseCache | None = None
) -> Iterator[Question]:
    """Yield the questions for a record, before repairs and retries: one, or one for each window or level of labels.

    What the answers in the cache do not say is foreseen as the way with most questions.
    """
    text = None if plan.extractor.windows is None else long_text(plan, record)
    if text is not None:
        yield from map(text.question, text.windows)
        return
    question: Question | None = plan.question(record)
    while question is not None:
        yield question
        if plan.candidates is None:
            return
        if cache is None or (stored := cache.get(plan.answer_key(question, 0))) is None:
            yield from plan.longest(question)
            return
        question = plan.next_labels(question, decode(stored).text)


def _requests(survey: _Survey, rows: _Rows) -> tuple[int, int, int]:
    """Return how many different requests there are, how many of them must still be sent, and for how many rows.

    Counts of a sample are scaled up by its share. That is an upper bound: equal requests of rows inside and outside of
    the sample are counted twice.
    """
    share = len(rows.firsts) / max(1, survey.different)
    return round(len(survey.first_rows) * share), round(len(survey.sizes) * share), round(survey.left * share)


def _chosen_rows(source: Source, plan: CompiledExtractor, rows: int) -> Sequence[int]:
    """Return the rows of a paid sample, drawn from those with different requests."""
    every = _different(source, plan)
    if not _is_counted(plan, every):
        return _drawn(every.firsts, rows)
    return _drawn(sorted(set(_survey(source, plan, every, None).first_rows.values())), rows)


def _drawn(rows: Sequence[int], count: int) -> Sequence[int]:
    return sorted(random.Random(_SEED).sample(rows, min(len(rows), count)))  # noqa: S311


def _picked(source: Source, plan: CompiledExtractor, chosen: Sequence[int]) -> Iterator[pl.DataFrame]:
    """Yield the chosen rows, which must be in order, with the columns that a prompt reads."""
    positions = pl.Series(chosen, dtype=pl.Int64)
    first = 0
    for frame in source.batches(_BATCH_ROWS):
        here = positions.filter((positions >= first) & (positions < first + frame.height)) - first
        yield _read(frame, plan)[here]
        first += frame.height


def _usages(result: Run, frame: pl.DataFrame, plan: CompiledExtractor, cache: ResponseCache) -> Iterator[Usage]:
    """Yield the usage of each row, with its repairs; for a row from the cache, that of its first answers."""
    records = records_of(frame)
    for record, provenance in zip(records, result.frame["_extract"].to_list(), strict=True):
        if provenance["input_tokens"]:
            counts = ("input_tokens", "output_tokens", "thought_tokens", "cached_tokens")
            yield Usage(*(provenance[name] for name in counts))
        elif provenance["cached"] and (usage := stored_usage(record, plan, cache)) is not None:
            yield usage


def stored_usage(
    record: Mapping[str, Any], plan: CompiledExtractor, cache: ResponseCache, samples: int = 1
) -> Usage | None:
    """Return the usage of the first answers to a record, None where one is not in the cache or has no usage."""
    try:
        questions = [one.sampled(number) for one in _questions(plan, record, cache) for number in range(samples)]
        answers = [cache.get(plan.answer_key(question, 0)) for question in questions]
        usages = [None if one is None else decode(one).usage for one in answers]
    except ExtractError:
        return None
    reported = [usage for usage in usages if usage is not None]
    return sum(reported, Usage()) if len(reported) == len(usages) else None


def _with_paid(guess: Estimate, paid: PaidSample, left: int) -> Estimate:
    """Return the estimate with output tokens and costs as in the paid sample, for the `left` rows still to be asked."""
    output, margin = _total([usage.output_tokens + usage.thought_tokens for usage in paid.usages], left, left)
    costs: dict[str, Decimal | None] = dict.fromkeys(TIERS)
    intervals: dict[str, tuple[Decimal, Decimal] | None] = dict.fromkeys(TIERS)
    for tier in TIERS:
        if (price := find_price(guess.model, tier)) is not None:
            # Cost by cost: prices may depend on the size of each prompt, so the mean usage would not do.
            dollars, margin_of_cost = _total([float(price.cost(usage)) for usage in paid.usages], left, left)
            costs[tier] = Decimal(str(dollars))
            intervals[tier] = (Decimal(str(max(0.0, dollars - margin_of_cost))), Decimal(str(dollars + margin_of_cost)))
    return replace(
        guess,
        output_tokens=round(output),
        output_interval=_whole(output, margin),
        costs=costs,
        cost_intervals=intervals,
        paid=paid,
    )


def _total(sample: Sequence[float], count: int, unseen: int) -> tuple[float, float]:
    """Return the expected sum of `count` numbers like those of a sample, and the half width of its 95 % interval.

    `unseen` of the numbers are not in the sample. With a sample of n and its deviation s, their sum varies by itself
    (variance unseen * s^2), and so does the estimate of their mean (variance unseen^2 * s^2 / n).
    """
    if len(sample) < 2:
        return sum(sample) * count, 0.0
    unseen = max(0, unseen)
    factor = math.sqrt(unseen * (unseen + len(sample)) / len(sample))
    return fmean(sample) * count, _quantile(len(sample) - 1) * stdev(sample) * factor


def _quantile(freedom: int) -> float:
    """Return Student's 97.5 % quantile: from a table, then by its Cornish-Fisher expansion around the normal one."""
    if freedom <= len(_FIRST_QUANTILES):
        return _FIRST_QUANTILES[freedom - 1]
    return _Z + (_Z**3 + _Z) / (4 * freedom) + (5 * _Z**5 + 16 * _Z**3 + 3 * _Z) / (96 * freedom**2)


def _whole(expected: float, margin: float) -> tuple[int, int]:
    return max(0, round(expected - margin)), round(expected + margin)
