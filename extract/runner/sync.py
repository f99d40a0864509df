"""A coroutine as an ordinary call: in a loop and thread of its own, with Ctrl-C brought to the run under way."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeAlias, TypeVar

from extract.results.notebook import in_kernel
from extract.runner.event_loop import new_loop
from extract.runner.scheduler import Scheduler

__all__ = ["OnStart", "in_own_thread", "on_signals"]

_PATIENCE = 1.0  # seconds that a notebook waits for what is in flight, once it is stopped

T = TypeVar("T")
#: Is given a run that begins, by who may have to end it early.
OnStart: TypeAlias = Callable[[Scheduler], None]


def in_own_thread(work: Callable[[OnStart], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine in a loop and thread of its own, so that a loop that already runs here is left in peace.

    `work` is given the function that it calls with the run that it begins: Ctrl-C and SIGTERM reach that run.
    """
    result: list[T] = []
    failure: list[BaseException] = []
    runners: list[tuple[asyncio.AbstractEventLoop, Scheduler]] = []
    given_up = threading.Event()

    def started(runner: Scheduler) -> None:
        if given_up.is_set():
            raise KeyboardInterrupt
        runners.append((asyncio.get_running_loop(), runner))

    def target() -> None:
        try:
            with asyncio.Runner(loop_factory=new_loop) as runner:
                result.append(runner.run(work(started)))
        except BaseException as error:
            failure.append(error)

    def interrupt() -> None:
        if not runners:  # nothing was sent yet, and nothing will be
            given_up.set()
            raise KeyboardInterrupt
        for loop, runner in runners:
            with suppress(RuntimeError):  # the loop has just come to its end
                loop.call_soon_threadsafe(_interrupt, runner)

    # Beside the main thread it is one that the interpreter waits for: the runner drains once the main thread has ended.
    in_main = threading.current_thread() is threading.main_thread()
    thread = threading.Thread(target=target, name="extract-run", daemon=in_main)
    with on_signals(interrupt):
        thread.start()
        thread.join()
    if failure:
        raise failure[0]
    return result[0]


def _interrupt(runner: Scheduler) -> None:
    """Drain; a notebook's stop button is pressed by somebody who waits for the cell: there, for a second at most."""
    first = not runner.interrupted
    runner.interrupt()
    if first and in_kernel():
        asyncio.get_running_loop().call_later(_PATIENCE, runner.interrupt)


@contextmanager
def on_signals(interrupt: Callable[[], None]) -> Iterator[None]:
    """Take SIGINT and SIGTERM over while a run lasts; only the main thread may, elsewhere they stay as they are."""
    if threading.current_thread() is not threading.main_thread():
        if sys.platform != "win32":
            # Polars lets system calls go on after a SIGINT: a main thread that waits for this one would not hear of it.
            signal.siginterrupt(signal.SIGINT, True)
        yield
        return
    taken = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda *_: interrupt()) for number in taken}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
