"""Answers a request in a thread, so that the event loop and Ctrl-C go on while a long document is read."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager, suppress

from extract.emulator.messages import WireResponse

__all__ = ["entered_in_thread"]


@asynccontextmanager
async def entered_in_thread(exchange: AbstractContextManager[WireResponse]) -> AsyncIterator[WireResponse]:
    """Yield the response of an exchange that is entered in a thread and left here.

    Where the wait for it is cancelled, the exchange is left as soon as it has been entered.
    """
    entering = asyncio.get_running_loop().run_in_executor(None, exchange.__enter__)
    try:
        response = await asyncio.shield(entering)
    except asyncio.CancelledError:
        entering.add_done_callback(lambda done: _leave(exchange, done))
        raise
    try:
        yield response
    except BaseException:
        if not exchange.__exit__(*sys.exc_info()):
            raise
    else:
        exchange.__exit__(None, None, None)


def _leave(exchange: AbstractContextManager[WireResponse], entered: asyncio.Future[WireResponse]) -> None:
    if not entered.cancelled() and entered.exception() is None:
        left = asyncio.CancelledError()
        with suppress(asyncio.CancelledError):
            exchange.__exit__(type(left), left, None)
