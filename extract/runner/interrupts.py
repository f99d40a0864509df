"""Ctrl-C and the end of the program, as a run meets them: in its loop, in Polars, or by the main thread's death."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from extract.io.sinks.base import Sink
from extract.runner.state import RunState

__all__ = ["Interrupts"]

_LOOK_EVERY = 0.2  # seconds between two looks at the main thread
_POLARS_TRIES, _POLARS_WAIT_SECONDS = 500, 0.01

T = TypeVar("T")


class Interrupts:
    """Ends a run for the user: the first interrupt lets what is in flight finish, the second gives up on it.

    `cancellable` are the tasks that are asking now; only these may a second interrupt cancel, elsewhere rows would be
    lost. `sink_lost` is True once an interrupt has taken from the sink what it was writing.
    """

    def __init__(self, state: RunState, sink: Sink, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self.cancellable: set[asyncio.Task[None]] = set()
        self.sink_lost: bool = False
        self._state, self._sink, self._sleep = state, sink, sleep
        self._main = threading.main_thread()

    def interrupt(self) -> None:
        """Drain at the first call; at the second give up what is in flight as well."""
        if self._state.interrupted:
            self._state.abandoned = True
            for task in self.cancellable:
                task.cancel()
        self._state.interrupt()

    def drain(self) -> None:
        """Do what a first interrupt does, however often."""
        if not self._state.interrupted:
            self.interrupt()

    def main_thread_ended(self) -> bool:
        """Drain where the main thread has ended: the interpreter closes, and gives out no more threads."""
        if self._main.is_alive():
            return False
        self.drain()
        return True

    async def watch_main_thread(self) -> None:
        """Drain once the main thread has ended, where this is another one: Ctrl-C ends only the main thread."""
        if threading.current_thread() is self._main:
            return
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            if self.main_thread_ended():
                return

    def with_polars_retries(self, work: Callable[[], T]) -> T:
        """Return what `work` does with Polars, which answers a Ctrl-C in whichever thread calls it next.

        It does so until all queries that run have ended. A file that is being written may be one of them: the sink
        says whether it has lost what it was writing.
        """
        for _ in range(_POLARS_TRIES):
            try:
                return work()
            except KeyboardInterrupt:
                if threading.current_thread() is self._main:
                    raise
                self.drain()
                self.sink_lost |= self._sink.on_interrupt()
                self._sleep(_POLARS_WAIT_SECONDS)
        return work()
