"""`run`, `run_async` and `extract_one`: from the user's data and extractor to a Run."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, nullcontext
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, Unpack, cast

from typing_extensions import TypeVar

from extract.documents.roots import Roots
from extract.errors import ORDERS, ending_in_one_line, unforeseen
from extract.extractor.extractor import Extractor
from extract.extractor.plan import compile_extractor
from extract.interactions.client import AsyncClient, Client
from extract.interactions.requests import ServiceTier
from extract.io.cache.response_cache import ResponseCache
from extract.io.forks import note_run
from extract.io.sinks.base import Sink
from extract.io.sinks.routed import RoutedSink
from extract.io.sources import open_source
from extract.limits.budget import Budget
from extract.limits.limits import Limits
from extract.limits.pricing import money
from extract.limits.total_budget import TotalBudgetMeter
from extract.results.ending import Opened, finish
from extract.results.manifest import manifest_of
from extract.results.outcome import Outcome
from extract.results.progress import Progress
from extract.results.progress_bar import shown
from extract.results.rerun import Rerun
from extract.results.run import Run
from extract.runner.accept import Accept
from extract.runner.accepting import Accepting, check_plans, make_accepting, runner_shape, temporary_cache
from extract.runner.assembly import check_extractor, check_members, ending_of, held_output, make_parts, open_target
from extract.runner.cache_service import key_service, notes_on
from extract.runner.gc_pause import gc_paused
from extract.runner.keywords import checks_keywords
from extract.runner.options import INLINE_BYTES, ROW_OPTIONS, OutputTarget, Root, RunKeywords, RunOptions
from extract.runner.pack_trial import with_chosen_pack
from extract.runner.parts import RunParts
from extract.runner.scheduler import Scheduler
from extract.runner.service import open_client
from extract.runner.sync import in_own_thread

__all__ = ["ask_all", "extract_one", "run", "run_async"]

ModelT = TypeVar("ModelT", default=Any)

_log = logging.getLogger("extract.runner")


@checks_keywords()
def run(
    data: Any,
    extractor: Extractor[ModelT],
    *,
    client: Client | AsyncClient | None = None,
    offline: bool = False,
    row_id: str | None = None,
    cache: ResponseCache | str | os.PathLike[str] | None = None,
    output: str | os.PathLike[str] | None = None,
    sink: Sink | None = None,
    overwrite: bool = False,
    csv_safe: bool = False,
    explode: str | Iterable[str] | None = None,
    wait: bool = False,
    errors: Literal["split", "null"] | None = None,
    prefix: str = "",
    provenance: bool = False,
    limit: int | None = None,
    csv_separator: str | None = None,
    csv_quote: str | None = None,
    csv_encoding: str | None = None,
    sheet: str | int | None = None,
    limits: Limits | None = None,
    budget: Budget | Decimal | float | None = None,
    service_tier: ServiceTier | None = None,
    retry_rejected: bool = False,
    require_grounding: bool = False,
    samples: int = 1,
    inline_limit: int = INLINE_BYTES,
    keep_files: bool = False,
    root: Root = None,
    cache_service: str | None = None,
    pipeline: str | None = None,
    note: str | None = None,
    accept: Accept | None = None,
    escalate: Iterable[Extractor] | None = None,
    progress: bool | None = None,
    on_event: Callable[[Progress], None] | None = None,
) -> Run[ModelT]:
    """Ask `extractor` of every row of `data` and return the Run, from a script, a thread or a notebook.

        >>> from extract import Extractor, run
        >>> run(["I love it", "It broke"], Extractor(["praise", "complaint"], "{text}"), offline=True).frame.columns
        ['text', 'value']

    What to ask, and where:

    - `data`: a frame or series (Polars, pandas, whatever has an Arrow stream), a list of dicts or of texts, an
      iterator of these or of Polars frames, or a path: csv, jsonl, parquet, xlsx, a glob, a folder of documents.
    - `client`: a Client or AsyncClient; by default one from the environment.
    - `offline`: True asks the built-in emulator: no key, no cost, and no language model.
    - `limit`: only the first `limit` rows.
    - `csv_separator`, `csv_quote`, `csv_encoding`: how a csv file is written, where it is not found out: one
      character or "tab" between cells; one character, `\\"` (a backslash before a quote within) or "none" around them;
      a name such as "cp1251".
    - `sheet`: the name of a sheet of a workbook, or its number from 1; by default the first.
    - `root`: a folder, or several, that files named in the rows must lie under, through all links. Where `data` is a
      path, its folder and the current one are allowed too, and without `root` only these. Rows that are made in Python
      may name any file without `root`, and only files under it with.

    Where rows and answers go:

    - `output`: a .parquet, .csv, .jsonl, .ndjson or .xlsx path to stream to; without it the rows come back in
      `Run.frame`.
    - `sink`: a Sink that takes the frames in place of memory or a file.
    - `cache`: a path or ResponseCache; answers in it are not asked again.
    - `cache_service`: the name of the service in the cache, where several addresses give the same answers: "google" for
      a gateway to Google, or the origin of the address that gave them. By default each address has its own answers.
    - `overwrite`: True lets `output` replace a file that this pipeline did not write, or one that covers more rows than
      this run. Without it, where the number of rows shows at the end only, such a file stays, and the rows go beside
      it, into OUTPUT.new.parquet: see `Run.output`.
    - `csv_safe`: True puts a quote before texts and names in a .csv that a spreadsheet would run as a formula.
    - `explode`: a column of lists, or several: beside OUTPUT.xlsx, OUTPUT.items.xlsx has a row for each of its members.
    - `wait`: True waits while another run writes to `output`; without it, that is an OutputError before anything is
      asked.
    - `pipeline`: the name in the output's footer, by default that of the schema.
    - `note`: your own words for the footer and the report, such as what this run tries.

    What the output looks like:

    - `errors`: "null" keeps rejected rows with nulls (default for frames), "split" leaves them out (default for files).
    - `row_id`: the column that names rows in `Run.errors`; by default the position in the input.
    - `prefix`: put before the new columns' names.
    - `provenance`: True adds the struct column `_extract`: model, tokens, cost, attempts and more of each row.

    Which answers count:

    - `samples`: ask each row that many times, take for each field the value that most samples give (the first of
      equally frequent ones), and add the struct column `_agreement` with the share of the samples that do, in 0..1. A
      sample that fails agrees with none; a row is rejected where all fail. Costs are multiplied by `samples`.
    - `require_grounding`: reject rows with a value that is nowhere in the columns of `Extractor(grounding=)`.
    - `retry_rejected`: True asks again for rows that an earlier run rejected.

    Which rows are accepted:

    - `accept`: an Accept, a promise with gold that proves it. The gold rows are asked first; then the output has the
      rows of which at least that share is right, with the column `_route`, and OUTPUT.review.parquet is a queue of the
      others. In memory, and with a `sink`, all rows stay, and `_route` says which are accepted.
    - `escalate`: Extractors with the same columns, from cheap to strong: a row whose answer is not good enough to be
      accepted goes on to the next.

    What the run may use:

    - `limits`: concurrency, rates, deadline, retries; by default those of the client.
    - `budget`: the most this run may spend, in US dollars or as a Budget. The worst case is reserved before each
      request, and the run stops where it no longer fits. `Budget(total=)` is the most that all runs with `cache` may
      spend together.
    - `service_tier`: the price class. With "flex" and a deadline, a row that was refused for half of that time falls
      back to "standard".
    - `inline_limit`: larger files (bytes) are uploaded, each distinct one once. The service stores an upload, whatever
      `store` says, until the run deletes it at its end, for 48 hours at most.
    - `keep_files`: True leaves uploads there for the next run with the same cache.

    What is shown:

    - `progress`: draws rate, time left and cost while the run lasts; by default in notebooks only.
    - `on_event`: called with a `Progress` about ten times a second, in the thread of the run.

    The first Ctrl-C stops sending and waits for the requests in flight, the second abandons these too; either way the
    partial Run is returned. In a notebook the second follows by itself, one second after the first. In threads other
    than the main one Ctrl-C is not handled: the run drains once the main thread has ended, and the program waits for
    it; with `output=` it may then leave no partial file.

    A run that is stopped (quota, credit, full disk) or interrupted returns the rows so far: see `Run.stopped`. Raises
    ConfigError and SchemaError before the first request, and what stopped the run where not one row was answered.
    """
    keywords = locals()
    data, extractor = keywords.pop("data"), keywords.pop("extractor")
    return in_own_thread(lambda on_start: ask_all(data, extractor, cast("RunKeywords", keywords), on_start))


@checks_keywords(RunKeywords, as_in=run)
async def run_async(data: Any, extractor: Extractor[ModelT], **keywords: Unpack[RunKeywords]) -> Run[ModelT]:
    """Ask `extractor` of every row of `data` and return the Run: `run` for an event loop of your own.

        from extract import Extractor, run_async

        sentiment = Extractor(["praise", "complaint"], "{text}")
        result = await run_async(["I love it"], sentiment, offline=True)
        result.frame

    The keywords are those of `run`. Cancelling the task abandons the run; the answers so far are in its cache.
    """
    return await ask_all(data, extractor, keywords)


async def ask_all(
    data: Any,
    extractor: Extractor[ModelT],
    keywords: RunKeywords,
    on_start: Callable[[Scheduler], None] = lambda _: None,
) -> Run[ModelT]:
    """Return the Run for the keywords of `run`. `on_start` is called with the runner before the first request."""
    started = time.monotonic()
    check_extractor(extractor)
    note_run()
    options, target = RunOptions.of(**keywords), OutputTarget.of(**keywords)
    for one in (extractor, *options.escalate):
        options.rules.check(one.generation)
    async with AsyncExitStack() as stack:
        service = open_client(
            keywords.get("client"), offline=keywords.get("offline", False), service_tier=options.service_tier
        )
        client = await stack.enter_async_context(service)
        service_name = key_service(client.endpoint, options.cache_service)
        plans = [
            compile_extractor(one, client.endpoint, service=service_name, service_tier=options.service_tier)
            for one in (extractor, *options.escalate)
        ]
        source = open_source(data, limit=options.limit, **options.reading.keywords)
        for note in source.notes:
            _log.warning("%s", note)
        roots = Roots.joined(options.root, source.folder)
        with source.explained():
            plan, *others = [one.fitted(list(source.schema), roots) for one in plans]
        pipeline = target.pipeline or plan.schema.name
        await stack.enter_async_context(held_output(target))
        sink, replaced = open_target(target, pipeline, data, options, source.height)
        cache = stack.enter_context(ResponseCache(target.cache)) if isinstance(target.cache, Path) else target.cache
        if options.accept is not None:
            check_plans([plan, *others])
            cache = temporary_cache(stack) if cache is None else cache  # no gold row is paid twice
        for note in notes_on(cache, plan.service):
            _log.warning("%s", note)
        plan, trial = await with_chosen_pack(plan, source, client, cache, options, on_start)
        parts = make_parts(plan, client, cache, options, limiter=None if trial is None else trial.limiter)
        if isinstance(meter := parts.limiter.meter, TotalBudgetMeter):
            stack.callback(meter.close)
        later = [make_parts(one, client, cache, options, beside=parts) for one in others]
        accepting = None
        if options.accept is not None:
            accepting = await make_accepting(options.accept, [parts, *later], source, options.shape.prefix)
            sink, replaced = accepting.divided(sink, replaced, target, options.shape, pipeline)
        listener = stack.enter_context(shown(keywords.get("progress"), keywords.get("on_event")))
        asker = parts.extractor if accepting is None else accepting.cascade
        shape = runner_shape(options.shape, divided=isinstance(sink, RoutedSink))
        runner = Scheduler(source, asker, sink, shape, on_event=listener)
        manifest = manifest_of(pipeline, plan, client.endpoint, options.shape, data, samples=options.rules.samples)
        if trial is not None:
            runner.totals.add_spending(trial.totals)
            manifest["pack"] = trial.as_json()
            if trial.interrupted:
                runner.interrupt()
        if accepting is not None:
            manifest["acceptance"] = accepting.as_json()
        schema = runner.check()
        check_members(target, schema)
        opened = Opened(
            sink=sink,
            output=target.path,
            explode=target.explode,
            csv_safe=target.csv_safe,
            schema=schema,
            input_columns=len(source.schema),
            manifest=manifest,
            losses=plan.schema.losses,
            answers=plan.schema,
            replaced=replaced,
        )
        result = await _ask(runner, [parts, *later], opened, on_start, accepting)
    # Without an output or a cache, rejected rows are asked again from `Run.frame`: the input need not stay in memory.
    rerun_data = data if result.output or keywords.get("cache") else None
    # The rows of a file may come back as those of a frame: they are still held to the roots of the file.
    again = {**keywords, "root": roots}
    result.details.rerun = Rerun(rerun_data, extractor, again, run, ROW_OPTIONS)
    result.seconds = time.monotonic() - started
    return result


async def _ask(
    runner: Scheduler,
    steps: Sequence[RunParts],
    opened: Opened,
    on_start: Callable[[Scheduler], None],
    accepting: Accepting | None = None,
) -> Run:
    """Ask the rows, and finish the output: in full, in part, or not at all. `steps` are the parts by extractor."""
    manifest, height = opened.manifest, runner.source.height
    rows = "rows of unknown number" if height is None else f"{height:,} rows"
    names = (manifest["pipeline"], manifest["model"], manifest["service"])
    _log.info("run begins: %s, pipeline %s, %s at %s", rows, *names)
    opened.sink.open(opened.schema, opened.manifest)
    try:
        with ending_in_one_line("the run broke off"):
            try:
                async with _joined(steps[0]):
                    with gc_paused():
                        if accepting is not None:
                            await accepting.prove(on_start)
                            runner.totals.add_spending(accepting.spent)
                        on_start(runner)
                        await runner.run()
            finally:
                for parts in steps:
                    if parts.extractor.packer is not None:
                        runner.totals.add_spending(await parts.extractor.packer.close())
                    await _delete_uploads(runner, parts)
            acceptance = None if accepting is None else accepting.as_json(runner.totals)
            result = finish(opened, ending_of(runner, steps, acceptance))
        _log_end(result)
        return result
    except BaseException:
        opened.sink.abandon()
        raise


def _joined(parts: RunParts) -> AbstractAsyncContextManager[None]:
    """Return the context in which other processes may use the cache as well."""
    store = parts.extractor.answers.store
    return nullcontext() if store is None or store.sharing is None else store.sharing.joined()


async def _delete_uploads(runner: Scheduler, parts: RunParts) -> None:
    """Delete the files of the run from the service; where even that breaks, its rows are kept."""
    try:
        await parts.uploads.close()
    except ORDERS:
        raise
    except BaseException as error:
        runner.stop(unforeseen(error, "uploaded files cannot be deleted"))


def _log_end(result: Run) -> None:
    """Report counts, money and time. Of what stopped the run only the code: its message may quote a row."""
    totals, cost = result.totals, result.cost
    state = "interrupted" if result.interrupted else "whole"
    if result.stopped is not None:
        state = f"stopped, {result.stopped.code}"
    _log.info(
        "run ends: %s; %d of %d rows valid, %d rejected, %d not run; %d requests, %d retries, %s; %.1f s",
        state,
        totals.valid,
        totals.rows,
        totals.rejected,
        totals.not_run,
        totals.requests,
        totals.retries,
        "unknown cost" if cost is None else money(cost),
        result.seconds,
    )


def extract_one(
    record: Mapping[str, Any],
    extractor: Extractor,
    *,
    client: Client | AsyncClient | None = None,
    offline: bool = False,
    root: Root = None,
) -> Outcome:
    """Return the outcome of one record, without a cache. Raises only the errors that would end a run.

    With `root`, a folder or several, a file that the record names must lie under one of them.

    >>> from extract import Extractor, extract_one
    >>> extract_one({"text": "Total: 12.50 EUR"}, Extractor(["bill", "letter"], "{text}"), offline=True).ok
    True
    """
    check_extractor(extractor)
    note_run()
    roots = Roots.of(root)

    async def ask(_: Callable[[Scheduler], None]) -> Outcome:
        async with open_client(client, offline=offline, service_tier=None) as opened:
            alone = replace(extractor, pack=None)
            plan = compile_extractor(alone, opened.endpoint).fitted(list(record), roots)
            parts = make_parts(plan, opened, None, RunOptions(limits=Limits()))
            (prepared,) = parts.extractor.prepare([record])
            try:
                return await parts.extractor.extract(prepared, 0)
            finally:
                await parts.uploads.close()

    return in_own_thread(ask)
