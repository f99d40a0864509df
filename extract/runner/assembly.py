"""Puts the parts of a run together: the sink of its rows, the asker of its records, and its ending."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, nullcontext
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl

from extract.errors import ConfigError
from extract.extractor.extractor import Extractor
from extract.extractor.plan import CompiledExtractor
from extract.interactions.client import AsyncClient
from extract.io.cache.answer_store import AnswerStore
from extract.io.cache.response_cache import ResponseCache
from extract.io.cache.uploaded_files import FileTable
from extract.io.exclusive import Exclusive
from extract.io.sinks.base import Sink
from extract.io.sinks.frame import FrameSink
from extract.io.sinks.open import check_output, open_sink
from extract.io.sinks.replaced import Replaced, replaced_by
from extract.json_types import JsonObject
from extract.limits.budget import Budget, BudgetMeter
from extract.limits.limiter import Limiter
from extract.limits.limits import Limits
from extract.limits.pricing import find_price, money
from extract.limits.total_budget import Funds, TotalBudgetMeter
from extract.results.ending import Ending
from extract.results.exploded import check_exploded
from extract.runner.options import OutputTarget, RunOptions
from extract.runner.parts import RunParts, assemble
from extract.runner.scheduler import Scheduler
from extract.runner.service import OFFLINE

__all__ = [
    "check_extractor",
    "check_members",
    "check_pack",
    "check_terms",
    "ending_of",
    "held_output",
    "held_output_here",
    "make_parts",
    "open_target",
]


_log = logging.getLogger("extract.runner")


def check_extractor(extractor: Any) -> None:
    """Raise ConfigError where the second argument of `run` is not an Extractor."""
    if not isinstance(extractor, Extractor):
        raise ConfigError(f"run(data, extractor): the second is an Extractor, not {type(extractor).__name__}")


def check_pack(extractor: Extractor, where: str) -> None:
    """Raise ConfigError for a number of rows in a request that only a trial before the run can find."""
    if extractor.pack is not None and extractor.pack.rows == "auto":
        raise ConfigError(f"pack='auto' tries some rows first, which {where} cannot: name a number of rows")


@asynccontextmanager
async def held_output(target: OutputTarget) -> AsyncIterator[None]:
    """Hold the name of the output, which no other run may then write to. OutputError where one does already."""
    with _output_name(target) as name:
        if name is not None:
            await name.wait() if target.wait else name.take()
        yield


@contextmanager
def held_output_here(target: OutputTarget) -> Iterator[None]:
    """Do the same where there is no event loop."""
    with _output_name(target) as name:
        if name is not None:
            name.wait_here() if target.wait else name.take()
        yield


def _output_name(target: OutputTarget) -> AbstractContextManager[Exclusive | None]:
    if target.path is None:
        return nullcontext()
    open_sink(target.path, csv_safe=target.csv_safe)  # what cannot be an output is refused in words of its own
    hint = "; --wait (wait=True) begins once that has ended"
    return Exclusive(target.path, "the output", hint=hint)


def open_target(
    target: OutputTarget, pipeline: str, data: Any, options: RunOptions, height: int | None
) -> tuple[Sink, Replaced | None]:
    """Return the sink of the rows, and the output that it may replace only if `height`, unknown as yet, is no less.

    ConfigError for a path that must not be written to, also because it would then hold fewer rows.
    """
    if target.sink is not None:
        return target.sink, None
    path, cache = target.path, target.cache_path
    if path is None:
        return FrameSink(), None
    if cache is not None and cache.resolve() == path.resolve():
        raise ConfigError(f"{path} cannot be both the output and the cache")
    if isinstance(data, str | os.PathLike) and "://" not in os.fspath(data):
        source = Path(data).resolve()
        if source == path.resolve() or (source.is_dir() and source in path.resolve().parents):
            raise ConfigError(f"{path} would become part of the input {source.name!r}; write it somewhere else")
    sink = open_sink(path, csv_safe=target.csv_safe)
    if sink.max_rows is not None and (height or 0) > sink.max_rows:
        raise ConfigError(f"{path} holds at most {sink.max_rows:,} rows, and the input has {height:,}; write .parquet")
    check_output(path, pipeline=pipeline, cache=cache, overwrite=target.overwrite)
    if target.overwrite:
        return sink, None
    split = options.shape.split_errors
    return sink, replaced_by(sink, path, height=height, limit=options.limit, split_errors=split)


def check_members(target: OutputTarget, schema: pl.Schema) -> None:
    """Raise ConfigError where a column to explode holds no lists, or its table would replace somebody's file."""
    if target.path is not None:
        check_exploded(target.path, target.explode, schema, overwrite=target.overwrite)


def check_terms(plan: CompiledExtractor, budget: Budget | None, *, free: bool, require_grounding: bool) -> None:
    """Raise ConfigError for a budget in dollars at an unknown price, and for grounding without columns."""
    tier = plan.request.service_tier
    if (
        not free
        and budget is not None
        and (budget.dollars is not None or budget.total is not None)
        and find_price(plan.extractor.model, tier) is None
    ):
        raise ConfigError(
            f"the price of {plan.extractor.model!r} on the {tier or 'standard'} tier is unknown, so a budget in "
            "dollars cannot be kept; give one in tokens (--budget-tokens)"
        )
    if require_grounding and not plan.extractor.grounding:
        raise ConfigError("the extractor does not say what to ground in: name the columns with Extractor(grounding=)")


def make_parts(
    plan: CompiledExtractor,
    client: AsyncClient,
    cache: AnswerStore | None,
    options: RunOptions,
    *,
    limiter: Limiter | None = None,
    files: FileTable | None = None,
    beside: RunParts | None = None,
) -> RunParts:
    """Return the parts of a run, bound to the running event loop. ConfigError for options that cannot be met.

    `beside` are the parts of another extractor of the same run, which has the same limiter.
    """
    limits = options.limits or Limits(retry=client.retry)
    budget, free = options.budget, client.endpoint.service == OFFLINE
    check_terms(plan, budget, free=free, require_grounding=options.rules.require_grounding)
    limiter = beside.limiter if beside else limiter
    limiter = limiter or Limiter(limits, asyncio.get_running_loop().time, _meter(budget, cache))
    return assemble(plan, client, cache, options, limits=limits, limiter=limiter, files=files, beside=beside)


def _meter(budget: Budget | None, cache: AnswerStore | None) -> BudgetMeter | None:
    """Return the meter of a budget. A total is kept in the cache, whose ledger knows what was spent before."""
    if budget is None:
        return None
    if budget.total is None:
        return BudgetMeter(budget)
    if not isinstance(cache, ResponseCache):
        raise ConfigError("a total budget is that of all runs with one cache: name it with cache= (--cache)")
    funds = cache.funds()
    _log.warning("%s", _what_is_left(budget.total, funds.left(budget.total), funds))
    return TotalBudgetMeter(budget, budget.total, funds)


def _what_is_left(total: Decimal, left: Decimal, funds: Funds) -> str:
    others = f", {money(funds.others)} is set aside by runs that are at work or were killed" if funds.others else ""
    spent = f"all runs with this cache have spent {money(funds.spent)}{others}"
    return f"{money(max(left, Decimal(0)))} is left of the total budget of {money(total)}: {spent}"


def ending_of(runner: Scheduler, steps: Sequence[RunParts], acceptance: JsonObject | None = None) -> Ending:
    """Return how a run on this machine went, once no request is in flight.

    `steps` are the parts of its extractors, `acceptance` is what is said of the accepted rows.
    """
    meter = steps[0].limiter.meter
    return Ending(
        totals=runner.totals,
        timeline=runner.timeline,
        seconds=runner.seconds,
        stopped=runner.stopped,
        interrupted=runner.interrupted,
        errors=runner.error_rows(),
        failed_places=runner.failed_rows(),
        sink_failed=runner.writer.failed,
        sink_lost=runner.sink_lost,
        rung=max(one.ladder.rung for one in steps),
        files_left=sum(one.uploads.left for one in steps),
        outages=steps[0].outages.reported(),
        row_ids=runner.row_ids,
        acceptance=acceptance,
        meter=meter.used() if isinstance(meter, TotalBudgetMeter) else meter,
    )
