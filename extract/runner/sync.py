"""Runs a coroutine as an ordinary call, in an event loop and thread of its own; Ctrl-C reaches the run under way."""

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

_NOTEBOOK_DRAIN = 1.0  # seconds for which a notebook that was stopped waits for requests in flight

T = TypeVar("T")
#: Called with the runner of a run that begins, so that the caller can end it early.
OnStart: TypeAlias = Callable[[Scheduler], None]


def in_own_thread(work: Callable[[OnStart], Coroutine[Any, Any, T]]) -> T:
    """Return the result of a coroutine that runs in a new event loop and thread: a loop may already run in this one.

    `work` gets the function that it must call with its runner: Ctrl-C and SIGTERM then reach that run.
    """
    result: list[T] = []
    failure: list[BaseException] = []
    runners: list[tuple[asyncio.AbstractEventLoop, Scheduler]] = []
    is_abandoned = threading.Event()

    def started(runner: Scheduler) -> None:
        # The signal may come before there is a runner: then the run must end before its first request.
        if is_abandoned.is_set():
            raise KeyboardInterrupt
        runners.append((asyncio.get_running_loop(), runner))

    def target() -> None:
        try:
            with asyncio.Runner(loop_factory=new_loop) as runner:
                result.append(runner.run(work(started)))
        except BaseException as error:
            failure.append(error)

    def interrupt() -> None:
        if not runners:  # nothing was sent, and nothing will be
            is_abandoned.set()
            raise KeyboardInterrupt
        for loop, runner in runners:
            with suppress(RuntimeError):  # the loop has just ended
                loop.call_soon_threadsafe(_interrupt, runner)

    # A daemon dies with the program. Called from another thread than the main one, the interpreter must wait for it
    # instead: the runner drains once the main thread has ended.
    in_main = threading.current_thread() is threading.main_thread()
    thread = threading.Thread(target=target, name="extract-run", daemon=in_main)
    with on_signals(interrupt):
        thread.start()
        thread.join()
    if failure:
        raise failure[0]
    return result[0]


def _interrupt(runner: Scheduler) -> None:
    """Drain the run; in a notebook, where somebody waits for the cell to stop, for a second at most."""
    first = not runner.interrupted
    runner.interrupt()
    if first and in_kernel():
        asyncio.get_running_loop().call_later(_NOTEBOOK_DRAIN, runner.interrupt)


@contextmanager
def on_signals(interrupt: Callable[[], None]) -> Iterator[None]:
    """Call `interrupt` on SIGINT and SIGTERM while the context lasts. Only the main thread can set signal handlers."""
    if threading.current_thread() is not threading.main_thread():
        if sys.platform != "win32":
            # Polars makes a SIGINT restart system calls: a main thread that waits for this one would never see it.
            signal.siginterrupt(signal.SIGINT, True)
        yield
        return
    handled = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda *_: interrupt()) for number in handled}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
