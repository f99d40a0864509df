"""The event loop that runs are given: uvloop's where it is installed (extra `fast`), else asyncio's own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

__all__ = ["new_loop"]


def new_loop() -> asyncio.AbstractEventLoop:
    """Return a new event loop, the fastest there is here."""
    return _maker()()


def _maker() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop  # noqa: PLC0415 - optional: there is none for Windows
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop
