"""Time for tests: a clock that stands still, an event loop in virtual time, and bounds that a busy machine keeps."""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec

__all__ = ["Clock", "cpu_bound", "virtual_time", "wait_for"]

P = ParamSpec("P")


class Clock:
    """Seconds since some moment, which pass only when somebody sleeps by it; `now` may be set."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    async def sleep_async(self, seconds: float) -> None:
        self.now += seconds


class _Jump(selectors.DefaultSelector):
    """Does not wait for the next timer but moves the clock to it."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout is None:
            return super().select()  # nothing but another thread can go on
        if not ready and timeout:
            self._clock.now += timeout
        return ready


class _VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._virtual = Clock()
        super().__init__(_Jump(self._virtual))

    def time(self) -> float:
        return self._virtual.now


def virtual_time(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run an async test in a loop whose timers take no time: `loop.time()` is exact, whatever the machine does."""

    @wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with asyncio.Runner(loop_factory=_VirtualLoop) as runner:
            runner.run(test(*args, **kwargs))

    return run


@contextmanager
def cpu_bound(seconds: float) -> Iterator[None]:
    """Fail where the block takes more of this process's CPU time: other processes do not count, as on a clock."""
    started = time.process_time()
    yield
    took = time.process_time() - started
    assert took <= seconds, f"{took:.1f} s of CPU time, at most {seconds:g} s are allowed"


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until `condition` holds; fail after a minute, which no test takes on the slowest machine."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "waited for a minute"
        time.sleep(0.01)
