"""A coroutine as an ordinary call: in a loop and thread of its own, with Ctrl-C brought to the run under way."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from extract.results.notebook import in_kernel
from extract.results.run import Run
from extract.runner.event_loop import new_loop
from extract.runner.scheduler import Runner

__all__ = ["STARTED", "blocking", "in_own_thread", "on_signals"]

_PATIENCE = 1.0  # seconds that a notebook waits for what is in flight, once it is stopped

T = TypeVar("T")
P = ParamSpec("P")
# Who wants to hold a run that has begun, to end it early: the blocking form for signals, a lazy one for its reader.
STARTED: ContextVar[Callable[[Runner], None]] = ContextVar("STARTED", default=lambda _: None)


def in_own_thread(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine in a loop and thread of its own, so that a loop that already runs here is left in peace.

    Ctrl-C and SIGTERM reach the run that is under way, if one is.
    """
    result: list[T] = []
    failure: list[BaseException] = []
    runners: list[tuple[asyncio.AbstractEventLoop, Runner]] = []
    given_up = threading.Event()

    def started(runner: Runner) -> None:
        if given_up.is_set():
            raise KeyboardInterrupt
        runners.append((asyncio.get_running_loop(), runner))

    async def main() -> T:
        STARTED.set(started)
        return await work()

    def target() -> None:
        try:
            with asyncio.Runner(loop_factory=new_loop) as runner:
                result.append(runner.run(main()))
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


def _interrupt(runner: Runner) -> None:
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


def blocking(function: Callable[P, Coroutine[Any, Any, Run]]) -> Callable[P, Run]:
    """Return the function that waits for another's result in a thread, with the same arguments."""

    @wraps(function)
    def call(*args: P.args, **options: P.kwargs) -> Run:
        return in_own_thread(lambda: function(*args, **options))

    call.__name__ = call.__qualname__ = "run"
    call.__doc__ = (function.__doc__ or "").replace(": `run` for an event loop of your own.", _RUN_OPENING, 1)
    return call


_RUN_OPENING = """, from a script, a thread or a notebook.

    The first Ctrl-C stops sending and waits for what is in flight, the second gives up on that too; either way the
    partial Run comes back. In a notebook the second comes by itself, one second after the first. In another thread than
    the main one there is no such handler: the run drains once the main thread has ended, and the program waits for it;
    with `output=` it may then leave no partial file."""
