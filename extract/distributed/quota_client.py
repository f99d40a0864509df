"""A worker's talk with the quota, for as long as the worker lives: reports there, leases back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from ray.exceptions import RayError, RayTaskError

from extract.distributed.actors import raised
from extract.distributed.quota import Lease, Report
from extract.distributed.worker_quota import Leaseholder
from extract.errors import ExtractError, OutputError

__all__ = ["Exchange"]

_LONGEST_WAIT = 0.1  # seconds between two reports while requests are on their way
_SHORTEST_WAIT = 0.01
_SILENCE = 2.0  # seconds without a lease until a worker goes on alone
_PATIENCE = 120.0  # seconds that it does so


class Exchange:
    """Tells and asks: at once where something waits, else now and then. To be made in the worker's loop.

    `ask` brings a report to the quota and its lease back, `want` is set where there is something to tell, `on_stop`
    hears of what ends the run.
    """

    def __init__(
        self,
        holder: Leaseholder,
        ask: Callable[[Report], Awaitable[Lease]],
        want: asyncio.Event,
        on_stop: Callable[[ExtractError], None],
    ) -> None:
        self._holder, self._ask, self._want, self._on_stop = holder, ask, want, on_stop
        self._loop = asyncio.get_running_loop()
        self._heard_at = self._loop.time()
        self._listeners: list[asyncio.Future[None]] = []
        self._task = self._loop.create_task(self._go_on())
        self._task.add_done_callback(self._note_end)

    async def reported(self) -> None:
        """Wait until all that has happened so far was told, or the run has ended since nobody hears it.

        OutputError where nothing can be told any more.
        """
        listener: asyncio.Future[None] = self._loop.create_future()
        self._listeners.append(listener)
        self._want.set()
        await asyncio.wait((listener, self._task), return_when=asyncio.FIRST_COMPLETED)
        if not listener.done():
            raise _failure(self._task)

    async def _go_on(self) -> None:
        while True:
            wait = await self._exchanged()
            self._want.clear()
            await asyncio.sleep(0 if self._listeners else wait)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._want.wait(), _LONGEST_WAIT)

    async def _exchanged(self) -> float:
        """Tell and ask once; return the seconds after which the next time is of use."""
        listeners, self._listeners = self._listeners, []
        report = self._holder.report(self._loop.time())
        try:
            lease = await asyncio.wait_for(self._ask(report), _SILENCE)
        except RayTaskError as error:  # the quota works, but cannot do its work: a full disk
            self._on_stop(raised(error))
            wait = _LONGEST_WAIT
        except (RayError, TimeoutError):
            self._holder.lost(self._loop.time())
            if self._loop.time() - self._heard_at <= _PATIENCE:
                self._listeners = listeners + self._listeners  # until its successor has heard it
                return _LONGEST_WAIT
            self._on_stop(OutputError(f"the quota of the run was silent for {_PATIENCE:.0f} s; run again to go on"))
            wait = _LONGEST_WAIT
        else:
            self._heard_at = self._loop.time()
            self._holder.accept(lease, report, self._heard_at)
            wait = max(_SHORTEST_WAIT, min(lease.wait, _LONGEST_WAIT))
            if lease.stop is not None:
                self._on_stop(lease.stop)
        for listener in listeners:
            listener.set_result(None)
        return wait

    def _note_end(self, task: asyncio.Task[None]) -> None:
        """Without this talk no request would pass, and no block come to its end."""
        if not task.cancelled():
            self._on_stop(_failure(task))


def _failure(task: asyncio.Task[None]) -> OutputError:
    error = None if task.cancelled() else task.exception()
    return OutputError(f"the talk with the quota broke off: {type(error).__name__}: {error}")
