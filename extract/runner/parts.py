"""The parts of a run, made for one event loop and put together."""

from __future__ import annotations

import time
from dataclasses import dataclass

from extract.extractor.plan import CompiledExtractor
from extract.interactions.client import AsyncClient
from extract.interactions.dialects import encode
from extract.interactions.interaction import Interaction
from extract.io.cache.answer_store import AnswerStore
from extract.io.cache.response_cache import ResponseCache
from extract.io.cache.uploaded_files import FileTable
from extract.limits.billing import Billing
from extract.limits.budget import Forecast
from extract.limits.daily_quota import Day, day_began
from extract.limits.limiter import Limiter
from extract.limits.limits import Limits
from extract.limits.outage import OutageWatch
from extract.runner.answers import Answers
from extract.runner.fallbacks import SchemaLadder, with_files, with_schema_ladder, with_tier
from extract.runner.options import RunOptions
from extract.runner.outages import Outages
from extract.runner.packing import Packer
from extract.runner.record import RecordExtractor
from extract.runner.request import RequestSender, Send
from extract.runner.service import OFFLINE
from extract.runner.state import RunState
from extract.runner.streak import FailureStreak
from extract.runner.uploads import Uploads
from extract.schema.answer_size import answer_tokens

__all__ = ["RunParts", "assemble"]


@dataclass(frozen=True, slots=True)
class RunParts:
    """What extracts records, and what its run looks at once it is over."""

    extractor: RecordExtractor
    uploads: Uploads
    ladder: SchemaLadder
    limiter: Limiter
    outages: Outages


def assemble(
    plan: CompiledExtractor,
    client: AsyncClient,
    store: AnswerStore | None,
    options: RunOptions,
    *,
    limits: Limits,
    limiter: Limiter,
    files: FileTable | None = None,
    beside: RunParts | None = None,
) -> RunParts:
    """Return the parts of a run. `files` is the table of uploaded files, by default that of the store.

    `limits` are those of this process, which may have less than the options say. `beside` are the parts of another
    extractor of the same run: what ends it, and outages, are known to both.
    """
    table = files or _files_of(store)
    state = _state(limiter, limits) if beside is None else beside.extractor.state
    outages = Outages(state, client, plan.extractor.model, limits) if beside is None else beside.outages
    uploads = Uploads(
        client.files,
        client.endpoint.service,
        table,
        options.uploads,
        limiter.is_closed,
        retry=limits.retry,
        through=outages.through,
    )
    ladder = SchemaLadder(plan.schema_key, plan.schema.rungs, store)
    sender = RequestSender(plan, client, limiter, _billing(plan, client), limits, outages, store, _day(store, limits))
    send = _with_fallbacks(sender.send, plan, limits, uploads, ladder)
    packer = _packer(send, sender, limits, store, ladder)
    release = packer.release if packer else sender.release
    answers = Answers(packer or send, plan.service, release, ladder, state, store)
    extractor = RecordExtractor(plan, answers, options.rules, limits, state, packer)
    return RunParts(extractor, uploads, ladder, limiter, outages)


def _state(limiter: Limiter, limits: Limits) -> RunState:
    watch = OutageWatch(limits.retry, stops_early=limits.stop_after_failures > 0)
    return RunState(limiter, FailureStreak(limits.stop_after_failures), watch=watch)


def _packer(
    send: Send, sender: RequestSender, limits: Limits, store: AnswerStore | None, ladder: SchemaLadder
) -> Packer | None:
    """Return what sends several rows in one request, None where each row has its own."""
    pack = sender.plan.pack
    if pack is None or pack.rows == "auto":
        return None

    async def keep(key: bytes, interaction: Interaction) -> None:
        if store is not None:
            await store.keep(key, encode(interaction), rung=ladder.rung, service=sender.plan.service)

    ahead = limits.concurrency + -(-limits.concurrency // 4)
    slots = limits.concurrency
    return Packer(send, sender.release, sender.plan, sender.billing, pack.rows, slots, ahead, keep)


def _with_fallbacks(
    send: Send, plan: CompiledExtractor, limits: Limits, uploads: Uploads, ladder: SchemaLadder
) -> Send:
    """Put around a send what this run may need; a fallback that it cannot need costs its records nothing.

    From the inside out: the files of a request are placed for each try of a tier, and tiers are tried on each rung.
    """
    if plan.extractor.media:
        send = with_files(send, uploads)
    if plan.request.service_tier == "flex" and limits.deadline is not None:
        send = with_tier(send, limits)
    return with_schema_ladder(send, ladder)


def _billing(plan: CompiledExtractor, client: AsyncClient) -> Billing:
    forecast = Forecast(answer_tokens(plan.schema.dtypes), plan.request.generation.max_output_tokens)
    return Billing(plan.extractor.model, forecast, free=client.endpoint.service == OFFLINE)


def _files_of(store: AnswerStore | None) -> FileTable:
    return store.files if isinstance(store, ResponseCache) else FileTable()


def _day(store: AnswerStore | None, limits: Limits) -> Day | None:
    """Return the day of the daily quota with what earlier runs have sent in it, None where there is no such quota."""
    if limits.rpd is None:
        return None
    now = time.time()
    return Day.of(now, store.attempts_since(day_began(now)) if isinstance(store, ResponseCache) else 0)
