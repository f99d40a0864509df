"""What runs in each actor of Ray Data's pool: blocks in, blocks out, all through one limiter, as on one machine."""

from __future__ import annotations

import asyncio
import pickle
import threading
import uuid
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import polars as pl
import pyarrow as pa
import ray
from ray.exceptions import RayError

from extract.distributed.actors import Actors
from extract.distributed.budget_claims import ClaimedBudgetMeter
from extract.distributed.error_column import with_errors
from extract.distributed.quota import Grant, WorkerReport
from extract.distributed.quota_client import QuotaClient
from extract.distributed.remote_cache import RemoteAnswerStore
from extract.distributed.service import Service
from extract.distributed.shared_uploads import SharedFileTable
from extract.distributed.worker_quota import GrantedRateLimit, WorkerQuota
from extract.errors import ExtractError, OutputError
from extract.extractor.extractor import Extractor
from extract.extractor.plan import compile_extractor
from extract.io.sinks.frame import FrameSink
from extract.io.sources import open_source
from extract.limits.limiter import Limiter
from extract.limits.limits import Limits
from extract.runner.assembly import make_parts
from extract.runner.cache_service import key_service
from extract.runner.event_loop import new_loop
from extract.runner.options import RunOptions
from extract.runner.parts import RunParts
from extract.runner.scheduler import Scheduler

__all__ = ["Job", "Worker"]

_STOP_TIMEOUT = 30.0  # seconds in which a worker that fails must have reported why

T = TypeVar("T")


@dataclass(frozen=True, slots=True, weakref_slot=True, kw_only=True)
class Job:
    """All that a worker needs to know. `limits.concurrency` is for each worker; rates and budget are for the run.

    `extractor` is pickled bytes, so that the worker unpickles it, and not Ray in some other process.
    """

    extractor: bytes
    service: Service
    actors: Actors
    options: RunOptions

    @property
    def limits(self) -> Limits:
        """The limits of the run; `make_job` has set them."""
        return self.options.limits or Limits()


class Worker:
    """Extracts the rows of blocks. Several blocks run at once, so that the last rows of one leave no slot idle.

    Ray calls it from several threads; all requests are sent from one event loop, in a thread of its own.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._name = uuid.uuid4().hex
        self._loop = new_loop()
        threading.Thread(target=self._loop.run_forever, name="extract-worker", daemon=True).start()
        self._in_loop(self._open())

    def __call__(self, block: pa.Table) -> pa.Table:
        """Return a block with the new columns and all of its rows."""
        frame = pl.DataFrame(pl.from_arrow(block))
        return self._in_loop(self._extracted(frame)).to_arrow()

    def _in_loop(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            return asyncio.run_coroutine_threadsafe(work, self._loop).result()
        except Exception as error:  # a bug: Ray would hand the caller only a traceback, so the quota gets the reason
            stop = error if isinstance(error, ExtractError) else OutputError(f"{type(error).__name__}: {error}")
            with suppress(RayError):
                ray.get(self._job.actors.quota.stop.remote(stop), timeout=_STOP_TIMEOUT)
            raise

    async def _open(self) -> None:
        job, budget = self._job, self._job.options.budget
        extractor: Extractor = pickle.loads(job.extractor)  # noqa: S301 - from the program that started this run
        report_due = asyncio.Event()
        rate_limit = GrantedRateLimit(job.limits, report_due.set)
        meter = None if budget is None else ClaimedBudgetMeter(budget, report_due.set)
        limiter = Limiter(job.limits, self._loop.time, meter, rate_limit=rate_limit)
        self._quota = WorkerQuota(self._name, limiter, rate_limit, meter)
        name = key_service(job.service.endpoint, job.options.cache_service)
        plan = compile_extractor(extractor, job.service.endpoint, service=name, service_tier=job.options.service_tier)
        plan = replace(plan, roots=job.options.root)
        cache = job.actors.cache
        rungs = {plan.schema_key: await cache.rung.remote(plan.schema_key)}
        self._parts: RunParts = make_parts(
            plan,
            await job.service.client(job.limits.retry).__aenter__(),
            RemoteAnswerStore(self._name, cache, rungs),
            replace(job.options, limits=replace(job.limits, rpd=None)),  # the quota counts the day
            limiter=limiter,
            files=SharedFileTable(cache, await cache.files.remote()),
        )
        self._quota_client = QuotaClient(self._quota, self._send, report_due, self._stop)

    async def _send(self, report: WorkerReport) -> Grant:
        # A report that is lost is not repeated: the next one has the same totals or newer ones.
        grant: Grant = await self._job.actors.quota.exchange.options(max_task_retries=0).remote(report)
        return grant

    def _stop(self, error: ExtractError) -> None:
        self._parts.extractor.state.stop(error)  # all blocks share it

    async def _extracted(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return a block with its answers; what ends the run here is reported, and ends it for all workers."""
        sink = FrameSink()
        extractor = replace(self._parts.extractor, plan=self._parts.extractor.plan.fitted(frame.columns))
        runner = Scheduler(open_source(frame), extractor, sink, self._job.options.shape)
        schema = runner.check()
        sink.open(schema, {})
        if frame.height:
            await runner.run()
        if runner.stopped is not None:
            self._quota.stop = self._quota.stop or runner.stopped
        await self._quota_client.flush()
        return with_errors(sink.frame, runner.error_rows())
