"""Event loops for runs (uvloop's where it is installed, extra `fast`), and blocking work in threads beside them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import copy_context
from typing import TypeVar

from extract.errors import in_one_line

__all__ = ["in_thread", "new_loop"]

T = TypeVar("T")


def new_loop() -> asyncio.AbstractEventLoop:
    """Return a new event loop: uvloop's where it is installed, else that of asyncio."""
    return _maker()()


def _maker() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop  # noqa: PLC0415 - optional: there is none for Windows
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop


async def in_thread(work: Callable[[], T]) -> T:
    """Return the result of `work` in a thread; without one where the interpreter is closing and starts none."""
    context = copy_context()
    try:
        future = asyncio.get_running_loop().run_in_executor(None, context.run, _ended, work)
    except RuntimeError:
        return work()
    return await future


def _ended(work: Callable[[], T]) -> T:
    """Return the result of `work`; what a future cannot hold, or would take for its own end, is raised as a failure."""
    try:
        return work()
    except (StopIteration, GeneratorExit, asyncio.CancelledError) as error:
        raise RuntimeError(in_one_line(error)) from error
