"""A worker's connection to the quota, for as long as the worker lives: reports go there, grants come back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from ray.exceptions import RayError, RayTaskError

from extract.distributed.actors import as_extract_error
from extract.distributed.quota import Grant, WorkerReport
from extract.distributed.worker_quota import WorkerQuota
from extract.errors import ExtractError, OutputError

__all__ = ["QuotaClient"]

_MAX_WAIT = 0.1  # seconds between two reports while requests are on their way
_MIN_WAIT = 0.01
_SILENCE = 2.0  # seconds without a grant after which a worker uses its fallback share
_PATIENCE = 120.0  # seconds for which it does so


class QuotaClient:
    """Sends reports: at once where something waits, else now and then. To be made in the worker's event loop.

    `send` brings a report to the quota and its grant back, `report_due` is set where there is something to report at
    once, `on_stop` is called with what ends the run.
    """

    def __init__(
        self,
        quota: WorkerQuota,
        send: Callable[[WorkerReport], Awaitable[Grant]],
        report_due: asyncio.Event,
        on_stop: Callable[[ExtractError], None],
    ) -> None:
        self._quota, self._send, self._report_due, self._on_stop = quota, send, report_due, on_stop
        self._loop = asyncio.get_running_loop()
        self._answered_at = self._loop.time()
        self._flushes: list[asyncio.Future[None]] = []
        self._task = self._loop.create_task(self._run())
        self._task.add_done_callback(self._on_end)

    async def flush(self) -> None:
        """Wait until all that has happened so far is reported, or the run has ended since the quota is silent.

        OutputError where nothing can be reported any more.
        """
        flushed: asyncio.Future[None] = self._loop.create_future()
        self._flushes.append(flushed)
        self._report_due.set()
        await asyncio.wait((flushed, self._task), return_when=asyncio.FIRST_COMPLETED)
        if not flushed.done():
            raise _failure(self._task)

    async def _run(self) -> None:
        while True:
            wait = await self._exchange()
            self._report_due.clear()
            await asyncio.sleep(0 if self._flushes else wait)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._report_due.wait(), _MAX_WAIT)

    async def _exchange(self) -> float:
        """Send one report and apply its grant; return the seconds after which the next one is useful."""
        # Who calls `flush` while this report is under way waits for the next one: this one may not hold all.
        flushes, self._flushes = self._flushes, []
        report = self._quota.report(self._loop.time())
        try:
            grant = await asyncio.wait_for(self._send(report), _SILENCE)
        except RayTaskError as error:  # the quota works, but cannot do its work: a full disk
            self._on_stop(as_extract_error(error))
            wait = _MAX_WAIT
        except (RayError, TimeoutError):
            self._quota.use_fallback_share(self._loop.time())
            if self._loop.time() - self._answered_at <= _PATIENCE:
                self._flushes = flushes + self._flushes  # until a successor has received a report
                return _MAX_WAIT
            self._on_stop(OutputError(f"the quota of the run was silent for {_PATIENCE:.0f} s; run again to go on"))
            wait = _MAX_WAIT
        else:
            self._answered_at = self._loop.time()
            self._quota.accept(grant, report, self._answered_at)
            wait = max(_MIN_WAIT, min(grant.wait, _MAX_WAIT))
            if grant.stop is not None:
                self._on_stop(grant.stop)
        for flushed in flushes:
            flushed.set_result(None)
        return wait

    def _on_end(self, task: asyncio.Task[None]) -> None:
        """End the run: without reports no request would get a permit, and no block would be finished."""
        if not task.cancelled():
            self._on_stop(_failure(task))


def _failure(task: asyncio.Task[None]) -> OutputError:
    error = None if task.cancelled() else task.exception()
    return OutputError(f"the exchange with the quota failed: {type(error).__name__}: {error}")
