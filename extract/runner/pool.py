"""The workers of a run: how many there are, who may leave, and when the last has."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

from extract.runner.state import RunState

__all__ = ["WorkerPool"]

_AHEAD = 4  # for each four slots, one more record is made ready while all slots are taken
_SPARE_WORKERS = 64  # besides four for every slot: how many records may sleep while others use their slots

Task: TypeAlias = "asyncio.Task[None]"


class WorkerPool:
    """Keeps as many workers awake as there are slots, and some more, so that the next record follows without a gap.

    A record that waits for its next try needs no slot: while it sleeps, another worker is hired, which leaves when the
    sleeper is back. `work` is what a worker does; it returns where there is no more to do, or `may_leave` says so.
    """

    def __init__(self, work: Callable[[], Coroutine[Any, Any, None]], state: RunState, concurrency: int) -> None:
        self.failure: BaseException | None = None
        self._work, self._state, self._limiter = work, state, state.limiter
        self._wanted = concurrency + -(-concurrency // _AHEAD)
        self._max_workers = 4 * concurrency + _SPARE_WORKERS
        self._workers: set[Task] = set()
        self._has_work = True
        self._over = asyncio.Event()

    def start(self, rows: int | None) -> None:
        """Hire the first workers: no more than there are rows, if their number is known."""
        for _ in range(max(1, min(self._wanted, rows or self._wanted))):
            self._hire()

    async def wait(self) -> None:
        """Return once the last worker has ended, or one task has failed; `failure` is its error."""
        await self._over.wait()

    def watch(self, task: Task) -> None:
        """Let `wait` return where a task fails that is no worker: workers might wait for it for ever."""
        task.add_done_callback(self._note_end)

    def cancel(self) -> None:
        """Cancel all workers."""
        for task in self._workers:
            task.cancel()

    def may_leave(self, worker: Task) -> bool:
        """True where more workers are awake than wanted, since those who slept are back; this one must leave then."""
        if len(self._workers) - self._limiter.asleep <= self._wanted:
            return False
        self._workers.discard(worker)  # now, so that no other leaves for the same reason
        return True

    async def lend_slots(self) -> None:
        """Hire others for the slots of those that wait for their next try, as long as there is work."""
        while True:
            await self._limiter.slept.wait()
            self._limiter.slept.clear()
            while self._has_room():
                self._hire()

    def _has_room(self) -> bool:
        if self._state.stopping or not self._has_work:
            return False
        awake = len(self._workers) - self._limiter.asleep
        return awake < self._wanted and len(self._workers) < self._max_workers

    def _hire(self) -> None:
        task = asyncio.create_task(self._work())
        self._workers.add(task)
        task.add_done_callback(self._note_end)

    def _note_end(self, task: Task) -> None:
        # A worker that is still counted has not left for a sleeper's sake: it has found nothing more to do.
        self._has_work &= task not in self._workers
        self._workers.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.failure = self.failure or error
            self._over.set()
        elif not self._workers:
            self._over.set()
