"""Puts the parts of a run together: the sink of its rows, the asker of its records, and its ending."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

from extract.errors import ConfigError
from extract.extractor.extractor import Extractor
from extract.extractor.plan import CompiledExtractor
from extract.interactions.client import AsyncClient
from extract.io.cache.response_cache import Answers, ResponseCache
from extract.io.cache.uploaded_files import FileTable
from extract.io.sinks.base import Sink
from extract.io.sinks.frame import FrameSink
from extract.io.sinks.open import check_output, open_sink
from extract.limits.budget import Budget, BudgetMeter
from extract.limits.daily_quota import Day, day_began
from extract.limits.limiter import Limiter
from extract.limits.limits import Limits
from extract.limits.pricing import find_price
from extract.results.ending import Ending
from extract.runner.options import OutputTarget, RunOptions
from extract.runner.record import Asker
from extract.runner.request import Sender
from extract.runner.scheduler import Runner
from extract.runner.service import OFFLINE
from extract.runner.uploads import Uploads

__all__ = ["check_extractor", "check_terms", "ending_of", "make_asker", "open_target"]


def check_extractor(extractor: Any) -> None:
    """Raise ConfigError where the second argument of `run` is not an Extractor."""
    if not isinstance(extractor, Extractor):
        raise ConfigError(f"run(data, extractor): the second is an Extractor, not {type(extractor).__name__}")


def open_target(target: OutputTarget, pipeline: str, data: Any) -> Sink:
    """Return the sink of the rows. ConfigError for a path that must not be written to."""
    if target.sink is not None:
        return target.sink
    path, cache = target.path, target.cache_path
    if path is None:
        return FrameSink()
    if cache is not None and cache.resolve() == path.resolve():
        raise ConfigError(f"{path} cannot be both the output and the cache")
    if isinstance(data, str | os.PathLike) and "://" not in os.fspath(data):
        source = Path(data).resolve()
        if source == path.resolve() or (source.is_dir() and source in path.resolve().parents):
            raise ConfigError(f"{path} would become part of the input {source.name!r}; write it somewhere else")
    sink = open_sink(path)
    check_output(path, pipeline=pipeline, cache=cache, overwrite=target.overwrite)
    return sink


def check_terms(plan: CompiledExtractor, budget: Budget | None, *, free: bool, require_grounding: bool) -> None:
    """Raise ConfigError for a budget in dollars at an unknown price, and for grounding without columns."""
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
    plan: CompiledExtractor,
    client: AsyncClient,
    cache: Answers | None,
    options: RunOptions,
    *,
    limiter: Limiter | None = None,
    files: FileTable | None = None,
) -> Asker:
    """Return the asker of a run, bound to the running event loop. ConfigError for options that cannot be met."""
    limits = options.limits or Limits(retry=client.retry)
    budget = options.budget
    limiter = limiter or Limiter(
        limits, asyncio.get_running_loop().time, None if budget is None else BudgetMeter(budget)
    )
    free = client.endpoint.service == OFFLINE
    uploads = Uploads(
        client.files,
        client.endpoint.service,
        files or (cache.files if isinstance(cache, ResponseCache) else FileTable.in_memory()),
        inline_limit=options.uploads.inline_limit,
        keep=options.uploads.keep_files,
        is_closed=limiter.is_closed,
    )
    check_terms(plan, budget, free=free, require_grounding=options.rules.require_grounding)
    sender = Sender(plan, client, limiter, uploads, cache=cache, limits=limits, free=free)
    if limits.rpd is not None:
        now = time.time()
        sender.day = Day.of(now, cache.attempts_since(day_began(now)) if isinstance(cache, ResponseCache) else 0)
    return Asker(
        plan,
        sender,
        cache=cache,
        retry_rejected=options.rules.retry_rejected,
        require_grounding=options.rules.require_grounding,
        samples=options.rules.samples,
    )


def ending_of(runner: Runner) -> Ending:
    """Return how a run on this machine went, once no request is in flight."""
    sender = runner.asker.sender
    return Ending(
        totals=runner.totals,
        timeline=runner.timeline,
        seconds=runner.seconds,
        stopped=runner.stopped,
        interrupted=runner.interrupted,
        errors=runner.error_rows(),
        failed_places=runner.failed_rows(),
        sink_lost=runner.writer.lost,
        rung=sender.rung,
        files_left=sender.uploads.left,
        meter=runner.asker.gate.meter,
    )
