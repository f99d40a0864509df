"""`run` and its kin: from what a user has in hand to a finished Run. Works in scripts, threads and notebooks alike."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from functools import wraps
from inspect import signature
from pathlib import Path
from typing import Any, Literal, ParamSpec

import httpx
import polars as pl

from extract.emulator import Emulator
from extract.errors import ConfigError, OutputError
from extract.extractor.extractor import Extractor
from extract.extractor.plan import Plan, compile_extractor
from extract.interactions.client import AsyncClient, Client
from extract.interactions.dialects import DialectName
from extract.interactions.endpoint import Endpoint
from extract.interactions.http.transport import read_timeout
from extract.interactions.requests import ServiceTier
from extract.io.cache.response_cache import Answers, ResponseCache
from extract.io.cache.uploaded_files import FileTable
from extract.io.sinks.base import Sink, footer
from extract.io.sinks.frame import FrameSink
from extract.io.sinks.open import check_output, open_sink, write_errors
from extract.io.sinks.parquet import ParquetSink
from extract.io.sources import open_source, take_rows
from extract.json_types import JsonObject
from extract.limits.budget import Budget, BudgetMeter
from extract.limits.daily_quota import Day
from extract.limits.limiter import Limiter
from extract.limits.limits import Limits
from extract.limits.pricing import find_price
from extract.results.columns import OutputShape
from extract.results.manifest import course_of, manifest_of
from extract.results.outcome import Outcome
from extract.results.progress import Progress
from extract.results.progress_bar import shown
from extract.results.rerun import Rerun
from extract.results.run import Run, RunDetails
from extract.runner.gc_pause import unswept
from extract.runner.options import INLINE_BYTES, AnswerRules
from extract.runner.record import Asker
from extract.runner.request import Sender
from extract.runner.scheduler import Runner
from extract.runner.sync import STARTED, blocking, in_own_thread
from extract.runner.uploads import Uploads

__all__ = [
    "check_kinds",
    "check_terms",
    "extract_one",
    "make_asker",
    "make_budget",
    "make_sink",
    "offline_client",
    "run",
    "run_async",
]

_OFFLINE = "offline"

P = ParamSpec("P")


def offline_client(*, dialect: DialectName = "steps") -> Client:
    """Return a client whose service is the built-in emulator: no key, no network, no cost, and no language model."""
    endpoint = Endpoint(api_key="offline", dialect=dialect, name=_OFFLINE)
    return Client(endpoint=endpoint, transport=Emulator(dialect=dialect, keep_requests=False).transport)


@asynccontextmanager
async def _chosen(
    client: Client | AsyncClient | None, *, offline: bool, service_tier: ServiceTier | None
) -> AsyncIterator[AsyncClient]:
    """Give the client of a run: with a user's own transport, or with a default one made anew for the run's loop."""
    if offline and client is not None:
        raise ConfigError("offline=True brings its own service; leave out client=")
    given = offline_client() if offline else client
    endpoint = given.endpoint if given is not None else Endpoint.from_env()
    if endpoint.read_timeout is None:
        endpoint = replace(endpoint, read_timeout=read_timeout(service_tier))
    brought: dict[str, Any] = {}
    for name, kind in (("transport", httpx.AsyncBaseTransport), ("http_client", httpx.AsyncClient)):
        brought[name] = getattr(given, name, None)
        if not isinstance(brought[name], kind | None):
            raise ConfigError(f"a run needs an asynchronous {name}; {type(brought[name]).__name__} is not one")
    # Closed with the run in any case: connections belong to the loop they were opened in, and this one ends.
    async with AsyncClient(endpoint=endpoint, retry=given.retry if given else None, **brought) as chosen:
        yield chosen


def _repeatable(function: Callable[P, Coroutine[Any, Any, Run]]) -> Callable[P, Coroutine[Any, Any, Run]]:
    """Return the function whose Run knows how it was made."""
    arguments = signature(function)

    @wraps(function)
    async def call(*args: P.args, **options: P.kwargs) -> Run:
        result = await function(*args, **options)
        given = arguments.bind(*args, **options).arguments
        data, extractor = given.pop("data"), given.pop("extractor")
        result.details.rerun = Rerun(data if result.output or given.get("cache") else None, extractor, given, run)
        return result

    return call


@_repeatable
async def run_async(
    data: Any,
    extractor: Extractor,
    *,
    client: Client | AsyncClient | None = None,
    offline: bool = False,
    row_id: str | None = None,
    cache: ResponseCache | str | os.PathLike[str] | None = None,
    output: str | os.PathLike[str] | None = None,
    sink: Sink | None = None,
    overwrite: bool = False,
    errors: Literal["split", "null"] | None = None,
    prefix: str = "",
    provenance: bool = False,
    limit: int | None = None,
    limits: Limits | None = None,
    budget: Budget | Decimal | float | None = None,
    service_tier: ServiceTier | None = None,
    retry_rejected: bool = False,
    require_grounding: bool = False,
    samples: int = 1,
    inline_limit: int = INLINE_BYTES,
    keep_files: bool = False,
    pipeline: str | None = None,
    progress: bool | None = None,
    on_event: Callable[[Progress], None] | None = None,
) -> Run:
    """Ask `extractor` of every row of `data` and return the Run: `run` for an event loop of your own.

    - `data`: a frame or series (Polars, pandas, whatever offers an Arrow stream), a list of dicts or of texts, an
      iterator of these or of Polars frames, or a path: csv, jsonl, parquet, xlsx, a glob, a folder of documents.
    - `client`: a Client or AsyncClient; by default one from the environment. `offline=True` asks the built-in emulator.
    - `cache`: a path or ResponseCache; answers found there are not asked again.
    - `output`: a .parquet, .csv or .jsonl path to stream to; without it the rows come back in `Run.frame`.
      `overwrite=True` lets it replace a file that this pipeline did not write; `pipeline` is the name in its footer.
    - `sink`: takes the frames in place of memory or a file; `write` is called in a thread, one at a time.
    - `errors`: "null" keeps rejected rows with nulls (default for frames), "split" leaves them out (default for files).
    - `row_id`: the column that names rows in `Run.errors`; `prefix`: put before the new columns' names;
      `provenance=True`: adds the struct column `_extract`; `limit`: only the first so many rows.
    - `limits`: concurrency, rates, deadline, retries (by default those of the client); `service_tier`: the price
      class ("flex" with a deadline: a row that it has shed for half of that falls back to standard);
      `retry_rejected=True`: ask rejected rows of an earlier run anew.
    - `require_grounding`: reject rows with a value that stands nowhere in the columns of `Extractor(grounding=)`.
    - `samples`: ask each row so often, take for each field the value that most samples give (the first of equally
      many), and add the struct column `_agreement` with the share of the samples that do, in 0..1. A sample that fails
      agrees with none; a row is rejected where all fail. Costs so many times as much.
    - `inline_limit`: larger files are uploaded, each distinct one once. The service stores an upload, whatever
      `store` says, until the run deletes it at its end, for 48 hours at most. `keep_files=True` leaves them there for
      the next run with the same cache.
    - `budget`: the most this run may spend, in US dollars or as a Budget; room for the worst case is reserved before
      each request, and the run stops where no more fits.
    - `progress`: draws rate, time left and cost while the run lasts; by default in notebooks only.
    - `on_event`: called with a `Progress` about ten times a second, in the run's thread.

    A run that is stopped (quota, credit, full disk) or interrupted returns what it has: see `Run.stopped`. Raises
    ConfigError and SchemaError before the first request, and what stopped the run where not one row was answered.
    """
    check_kinds(extractor, limits)
    AnswerRules(samples=samples).check(extractor.generation)
    path = None if output is None else Path(output)
    if errors not in (None, "split", "null"):
        raise ConfigError(f"errors is 'split' or 'null', not {errors!r}")
    shape = OutputShape(
        row_id=row_id,
        prefix=prefix,
        split_errors=(errors or ("null" if path is None else "split")) == "split",
        provenance=provenance,
    )
    async with AsyncExitStack() as stack:
        asking = await stack.enter_async_context(_chosen(client, offline=offline, service_tier=service_tier))
        plan = compile_extractor(extractor, asking.endpoint, service_tier=service_tier)
        source = open_source(data) if limit is None else take_rows(open_source(data), limit)
        plan = plan.fitted(list(source.schema))
        named = pipeline or plan.schema.name
        sink = sink or make_sink(path, named, cache, data, overwrite=overwrite)
        answers = stack.enter_context(ResponseCache(cache)) if isinstance(cache, str | os.PathLike) else cache
        asker = make_asker(
            plan,
            asking,
            answers,
            limits or Limits(retry=asking.retry),
            inline_limit=inline_limit,
            keep_files=keep_files,
            budget=make_budget(budget),
            retry_rejected=retry_rejected,
            require_grounding=require_grounding,
            samples=samples,
        )
        listener = stack.enter_context(shown(progress, on_event))
        runner = Runner(source, asker, sink, shape, on_event=listener)
        schema = runner.check()
        manifest = manifest_of(named, plan, asking.endpoint, shape, data, samples=samples)
        sink.open(schema, footer(manifest))
        STARTED.get()(runner)
        try:
            try:
                with unswept():
                    await runner.run()
            finally:
                await asker.sender.uploads.close()
            return _finish(runner, sink, path, schema, manifest)
        except BaseException:
            sink.abandon()
            raise


def check_kinds(extractor: Any, limits: Any) -> None:
    """Say in one line what a mistaken argument should have been."""
    if not isinstance(extractor, Extractor):
        raise ConfigError(f"run(data, extractor): the second is an Extractor, not {type(extractor).__name__}")
    if limits is not None and not isinstance(limits, Limits):
        raise ConfigError(f"limits is a Limits, such as Limits(concurrency=8), not a {type(limits).__name__}")


def make_sink(
    path: Path | None,
    pipeline: str,
    cache: ResponseCache | str | os.PathLike[str] | None,
    data: Any,
    *,
    overwrite: bool,
) -> Sink:
    """Return where rows go. ConfigError for a path that must not be written to."""
    if path is None:
        return FrameSink()
    kept = cache.path if isinstance(cache, ResponseCache) else None if cache is None else Path(cache)
    if kept is not None and kept.resolve() == path.resolve():
        raise ConfigError(f"{path} cannot be both the output and the cache")
    if isinstance(data, str | os.PathLike) and "://" not in os.fspath(data):
        source = Path(data).resolve()
        if source == path.resolve() or (source.is_dir() and source in path.resolve().parents):
            raise ConfigError(f"{path} would become part of the input {source.name!r}; write it somewhere else")
    check_output(path, pipeline=pipeline, cache=kept, overwrite=overwrite)
    return open_sink(path)


def make_budget(budget: Budget | Decimal | float | None) -> Budget | None:
    """Return a budget for what a user may call one. ConfigError for anything else."""
    if budget is None or isinstance(budget, Budget):
        return budget
    if isinstance(budget, bool) or not isinstance(budget, Decimal | float | int):
        raise ConfigError(f"budget is a number of US dollars or a Budget, not a {type(budget).__name__}")
    return Budget(dollars=Decimal(str(budget)))


def check_terms(plan: Plan, budget: Budget | None, *, free: bool, require_grounding: bool) -> None:
    """Refuse what a run could not keep: a budget in dollars at an unknown price, grounding in nothing."""
    tier = plan.request.service_tier
    if (
        not free
        and budget is not None
        and budget.dollars is not None
        and find_price(plan.extractor.model, tier) is None
    ):
        raise ConfigError(
            f"the price of {plan.extractor.model!r} on the {tier or 'standard'} tier is unknown, so a budget in "
            "dollars cannot be kept; give one in tokens (--budget-tokens)"
        )
    if require_grounding and not plan.extractor.grounding:
        raise ConfigError("the extractor does not say what to ground in: name the columns with Extractor(grounding=)")


def make_asker(
    plan: Plan,
    client: AsyncClient,
    cache: Answers | None,
    limits: Limits,
    *,
    gate: Limiter | None = None,
    files: FileTable | None = None,
    inline_limit: int = INLINE_BYTES,
    keep_files: bool = False,
    budget: Budget | None = None,
    retry_rejected: bool = False,
    require_grounding: bool = False,
    samples: int = 1,
) -> Asker:
    """Return what asks the records of a run, made for the running loop. ConfigError for options that cannot be kept."""
    gate = gate or Limiter(limits, asyncio.get_running_loop().time, None if budget is None else BudgetMeter(budget))
    free = client.endpoint.service == _OFFLINE
    uploads = Uploads(
        client.files,
        client.endpoint.service,
        files or (cache.files if isinstance(cache, ResponseCache) else FileTable.in_memory()),
        inline_limit=inline_limit,
        keep=keep_files,
        is_closed=gate.is_closed,
    )
    check_terms(plan, budget, free=free, require_grounding=require_grounding)
    sender = Sender(plan, client, gate, uploads, cache=cache, limits=limits, free=free)
    if limits.rpd is not None:
        sender.day = Day.of(time.time(), *([cache.attempts_since] if isinstance(cache, ResponseCache) else []))
    return Asker(
        plan,
        sender,
        cache=cache,
        retry_rejected=retry_rejected,
        require_grounding=require_grounding,
        samples=samples,
    )


def _finish(runner: Runner, sink: Sink, path: Path | None, schema: pl.Schema, manifest: JsonObject) -> Run:
    """Close the sink and gather the result. A stop before any row was judged is raised: there is nothing to return."""
    totals = runner.totals
    if runner.stopped is not None and totals.valid == totals.rejected == 0:
        sink.abandon()
        raise runner.stopped
    written: Path | None = None
    errors_file: Path | None = None
    errors = runner.error_rows()
    manifest = manifest | {"run": course_of(runner)}
    try:
        lost = runner.writer.lost and runner.interrupted
        if path is not None and (lost or (totals.valid == 0 and not runner.whole)):
            sink.abandon()
        else:
            if isinstance(sink, ParquetSink):
                sink.metadata = footer(manifest)
            written = sink.close(whole=runner.whole)
        if path is not None:
            errors_file = write_errors(errors, path, whole=runner.whole)
    except OutputError as error:
        runner.stopped = runner.stopped or error
    return Run(
        totals=totals,
        errors=errors,
        losses=runner.asker.plan.schema.losses,
        seconds=runner.seconds,
        stopped=runner.stopped,
        interrupted=runner.interrupted,
        rung=runner.asker.sender.rung,
        files_left=runner.asker.sender.uploads.left,
        budget=runner.asker.gate.meter,
        output=written,
        errors_file=errors_file,
        details=RunDetails(
            schema=schema,
            frame=sink.frame if isinstance(sink, FrameSink) else None,
            input_columns=len(runner.source.schema),
            failed_places=runner.failed_rows(),
            manifest=manifest,
        ),
    )


run = blocking(run_async)


def extract_one(
    record: Mapping[str, Any],
    extractor: Extractor,
    *,
    client: Client | AsyncClient | None = None,
    offline: bool = False,
) -> Outcome:
    """Return the outcome of one record, asked at once and without a cache. Raises only what would end a run."""

    async def ask() -> Outcome:
        async with _chosen(client, offline=offline, service_tier=None) as asking:
            plan = compile_extractor(extractor, asking.endpoint)
            plan = plan.fitted(list(record))
            asker = make_asker(plan, asking, None, Limits())
            (prepared,) = asker.prepare([record])
            try:
                return await asker.ask(prepared, 0)
            finally:
                await asker.sender.uploads.close()

    return in_own_thread(ask)
