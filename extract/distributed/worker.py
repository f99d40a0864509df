"""What runs in each actor of Ray Data's pool: blocks in, blocks out, all through one gate, as on one machine."""

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
from extract.distributed.budget_claims import LeasedPurse
from extract.distributed.error_column import with_errors
from extract.distributed.quota import Lease, Report
from extract.distributed.quota_client import Exchange
from extract.distributed.remote_cache import RemoteAnswers
from extract.distributed.service import Service
from extract.distributed.shared_uploads import SharedFileTable
from extract.distributed.worker_quota import LeasedThrottle, Leaseholder
from extract.errors import ExtractError, OutputError
from extract.extractor.extractor import Extractor
from extract.extractor.plan import compile_extractor
from extract.io.sinks.frame import FrameSink
from extract.io.sources import open_source
from extract.limits.limiter import Limiter
from extract.limits.limits import Limits
from extract.runner.assembly import make_asker
from extract.runner.event_loop import new_loop
from extract.runner.options import RunOptions
from extract.runner.record import Asker
from extract.runner.scheduler import Runner

__all__ = ["Job", "Worker"]

_PATIENCE = 30.0  # seconds that it may take to say why a worker failed

T = TypeVar("T")


@dataclass(frozen=True, slots=True, weakref_slot=True, kw_only=True)
class Job:
    """All that a worker needs to know. `limits.concurrency` is its own; rates and budget are those of the run.

    `extractor` is pickled, so that it is opened by the worker and not by Ray on its way.
    """

    extractor: bytes
    service: Service
    actors: Actors
    options: RunOptions

    @property
    def limits(self) -> Limits:
        """The limits of the run: whoever makes a job has settled them."""
        return self.options.limits or Limits()


class Worker:
    """Asks the rows of blocks, several blocks at once: the slots that the end of one leaves free are the next one's."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._name = uuid.uuid4().hex
        self._loop = new_loop()
        threading.Thread(target=self._loop.run_forever, name="extract-worker", daemon=True).start()
        self._runners: set[Runner] = set()
        self._stopped: ExtractError | None = None
        self._in_loop(self._open())

    def __call__(self, block: pa.Table) -> pa.Table:
        """Return a block with the new columns, one row for each of its own."""
        frame = pl.DataFrame(pl.from_arrow(block))
        return self._in_loop(self._extracted(frame)).to_arrow()

    def _in_loop(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            return asyncio.run_coroutine_threadsafe(work, self._loop).result()
        except Exception as error:  # a bug: of what is raised here, Ray brings back no more than a traceback
            stop = error if isinstance(error, ExtractError) else OutputError(f"{type(error).__name__}: {error}")
            with suppress(RayError):
                ray.get(self._job.actors.quota.stop.remote(stop), timeout=_PATIENCE)
            raise

    async def _open(self) -> None:
        job, budget = self._job, self._job.options.budget
        extractor: Extractor = pickle.loads(job.extractor)  # noqa: S301 - from the program that started this run
        want = asyncio.Event()
        throttle = LeasedThrottle(job.limits, want.set)
        meter = None if budget is None else LeasedPurse(budget, want.set)
        limiter = Limiter(job.limits, self._loop.time, meter, rate_limit=throttle)
        self._holder = Leaseholder(self._name, limiter, throttle, meter)
        plan = compile_extractor(extractor, job.service.endpoint, service_tier=job.options.service_tier)
        keeper = job.actors.keeper
        rungs = {plan.schema_key: await keeper.rung.remote(plan.schema_key)}
        self._asker: Asker = make_asker(
            plan,
            await job.service.client(job.limits.retry).__aenter__(),
            RemoteAnswers(self._name, keeper, rungs),
            replace(job.options, limits=replace(job.limits, rpd=None)),  # it is the quota that counts the day
            limiter=limiter,
            files=SharedFileTable(keeper, await keeper.files.remote()),
        )
        self._exchange = Exchange(self._holder, self._ask, want, self._stop)

    async def _ask(self, report: Report) -> Lease:
        # One that is lost is not repeated: the next one tells all that it told.
        lease: Lease = await self._job.actors.quota.exchange.options(max_task_retries=0).remote(report)
        return lease

    def _stop(self, error: ExtractError) -> None:
        self._stopped = self._stopped or error
        for runner in self._runners:
            runner.stop(error)
        self._holder.gate.close()

    async def _extracted(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Ask all rows of a block; what ends the run is told to all workers."""
        sink = FrameSink()
        asker = replace(self._asker, plan=self._asker.plan.fitted(frame.columns))
        runner = Runner(open_source(frame), asker, sink, self._job.options.shape)
        schema = runner.check()
        sink.open(schema, {})
        self._runners.add(runner)
        if self._stopped is not None:
            runner.stop(self._stopped)
        try:
            if frame.height:
                await runner.run()
        finally:
            self._runners.discard(runner)
        if runner.stopped is not None:
            self._holder.stop = self._holder.stop or runner.stopped
        if runner.totals.valid:
            self._asker.sender.limits = replace(self._asker.sender.limits, stop_after_failures=0)
        await self._exchange.reported()
        return with_errors(sink.frame, runner.error_rows())
