"""What runs in each actor of Ray Data's pool: blocks in, blocks out, all through one gate, as on one machine."""

from __future__ import annotations

import asyncio
import pickle
import threading
import uuid
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import polars as pl
import pyarrow as pa
from ray.exceptions import RayError, RayTaskError

from extract.asker import Asker
from extract.budget import Budget
from extract.claims import LeasedPurse
from extract.distributed.actors import Actors, raised
from extract.distributed.answers import RemoteAnswers
from extract.distributed.columns import with_errors
from extract.emulator import Emulator
from extract.errors import ExtractError, OutputError
from extract.extractor import Extractor
from extract.gate import Gate
from extract.interactions.client import AsyncClient
from extract.interactions.endpoint import Endpoint
from extract.leased import LeasedThrottle, Leaseholder
from extract.limits import Limits
from extract.loops import new_loop
from extract.runner import Runner, Shape
from extract.runs import make_asker
from extract.sinks import FrameSink
from extract.sources import open_source
from extract.types import ServiceTier
from extract.uploads import INLINE_BYTES

__all__ = ["Job", "Worker"]

_LONGEST_WAIT = 0.1  # seconds between two reports while requests are on their way
_SHORTEST_WAIT = 0.01
_SILENCE = 2.0  # seconds without a lease until a worker goes on alone
_PATIENCE = 120.0  # seconds that it does so

T = TypeVar("T")


@dataclass(frozen=True, slots=True, weakref_slot=True, kw_only=True)
class Job:
    """All that a worker needs to know. `limits.concurrency` is its own; rates and budget are those of the run.

    `extractor` is pickled, so that it is opened by the worker and not by Ray on its way.
    """

    extractor: bytes
    endpoint: Endpoint
    actors: Actors
    offline: bool = False
    limits: Limits = Limits()
    budget: Budget | None = None
    prefix: str = ""
    provenance: bool = False
    service_tier: ServiceTier | None = None
    retry_rejected: bool = False
    require_grounding: bool = False
    inline_limit: int = INLINE_BYTES
    keep_files: bool = False
    samples: int = 1


class Worker:
    """Asks the rows of blocks, several blocks at once: the slots that the end of one leaves free are the next one's."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._name = uuid.uuid4().hex
        self._loop = new_loop()
        threading.Thread(target=self._loop.run_forever, name="extract-worker", daemon=True).start()
        self._runners: set[Runner] = set()
        self._stopped: ExtractError | None = None
        self._heard_at = self._loop.time()
        self._listeners: list[asyncio.Future[None]] = []
        self._in_loop(self._open())

    def __call__(self, block: pa.Table) -> pa.Table:
        """Return a block with the new columns, one row for each of its own."""
        frame = pl.DataFrame(pl.from_arrow(block))
        return self._in_loop(self._extracted(frame)).to_arrow()

    def _in_loop(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _open(self) -> None:
        job = self._job
        extractor: Extractor = pickle.loads(job.extractor)  # noqa: S301 - from the program that started this run
        self._told = asyncio.Event()
        transport = Emulator(dialect=job.endpoint.dialect, keep_requests=False).transport if job.offline else None
        client = AsyncClient(endpoint=job.endpoint, retry=job.limits.retry, transport=transport)
        throttle = LeasedThrottle(job.limits, self._told.set)
        purse = None if job.budget is None else LeasedPurse(job.budget, self._told.set)
        gate = Gate(job.limits, self._loop.time, purse, throttle=throttle)
        self._holder = Leaseholder(self._name, gate, throttle, purse)
        self._asker: Asker = make_asker(
            extractor.compile(job.endpoint, service_tier=job.service_tier),
            await client.__aenter__(),
            RemoteAnswers(self._name, job.actors.keeper),
            replace(job.limits, rpd=None),  # it is the quota that counts the day
            gate=gate,
            inline_limit=job.inline_limit,
            keep_files=job.keep_files,
            budget=job.budget,
            retry_rejected=job.retry_rejected,
            require_grounding=job.require_grounding,
            samples=job.samples,
        )
        self._exchanging = asyncio.create_task(self._exchange())

    async def _exchange(self) -> None:
        """Tell and ask, for as long as the worker lives: at once where something waits, else now and then."""
        while True:
            listeners, self._listeners = self._listeners, []
            report = self._holder.report(self._loop.time())
            wait = _SHORTEST_WAIT
            try:
                lease = await asyncio.wait_for(self._leased(report), _SILENCE)
            except RayTaskError as error:  # the quota works, but cannot do its work: a full disk
                self._stop(raised(error))
            except (RayError, TimeoutError):
                self._go_alone()
                wait = _LONGEST_WAIT
            else:
                self._heard_at = self._loop.time()
                self._holder.accept(lease, report, self._loop.time())
                wait = max(wait, min(lease.wait, _LONGEST_WAIT))
                if lease.stop is not None:
                    self._stop(lease.stop)
            for listener in listeners:
                listener.set_result(None)
            self._told.clear()
            await asyncio.sleep(0 if self._listeners else wait)
            try:
                await asyncio.wait_for(self._told.wait(), _LONGEST_WAIT)
            except TimeoutError:
                continue

    async def _reported(self) -> None:
        """Wait until all that has happened so far was told, or nobody is there to hear it."""
        listener: asyncio.Future[None] = self._loop.create_future()
        self._listeners.append(listener)
        self._told.set()
        await listener

    async def _leased(self, report: Any) -> Any:
        # One that is lost is not repeated: the next one tells all that it told.
        return await self._job.actors.quota.exchange.options(max_task_retries=0).remote(report)

    def _go_alone(self) -> None:
        """Bridge the time until the quota is back; where it does not come back, end the run."""
        self._holder.lost(self._loop.time())
        if self._loop.time() - self._heard_at > _PATIENCE:
            self._stop(OutputError(f"the quota of the run has not answered for {_PATIENCE:.0f} s; run again to go on"))

    def _stop(self, error: ExtractError) -> None:
        self._stopped = self._stopped or error
        for runner in self._runners:
            runner.stop(error)
        self._holder.gate.close()

    async def _extracted(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Ask all rows of a block; what ends the run is told to all workers."""
        sink = FrameSink()
        asker = replace(self._asker, plan=self._asker.plan.fitted(frame.columns))
        shape = Shape(prefix=self._job.prefix, split_errors=False, provenance=self._job.provenance)
        runner = Runner(open_source(frame), asker, sink, shape)
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
        await self._reported()
        if not self._runners:
            await asker.sender.uploads.close()
        return with_errors(sink.frame, runner.error_rows())
