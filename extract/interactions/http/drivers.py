"""The drivers that carry the orders of a protocol out, with and without an event loop."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from extract.errors import ExtractError
from extract.interactions.http.calls import Call, PollingProtocol, Protocol, R, Sleep, T

__all__ = ["drive", "drive_async", "drive_polling", "drive_polling_async"]


def drive(protocol: Protocol[R, T], send: Callable[[Call], R]) -> T:
    """Run a protocol to its end: each call it yields is sent, and what `send` makes of it handed back."""
    try:
        call = next(protocol)
        while True:
            try:
                reply = send(call)
            except ExtractError as error:
                call = protocol.throw(error)
            else:
                call = protocol.send(reply)
    except StopIteration as end:
        result: T = end.value
        return result


async def drive_async(protocol: Protocol[R, T], send: Callable[[Call], Awaitable[R]]) -> T:
    """`drive` for a `send` that is awaited."""
    try:
        call = next(protocol)
        while True:
            try:
                reply = await send(call)
            except ExtractError as error:
                call = protocol.throw(error)
            else:
                call = protocol.send(reply)
    except StopIteration as end:
        result: T = end.value
        return result


def drive_polling(protocol: PollingProtocol[R, T], send: Callable[[Call], R], sleep: Callable[[float], None]) -> T:
    """`drive` for a protocol that also orders to wait."""
    try:
        order = next(protocol)
        while True:
            reply: R | None = None
            try:
                if isinstance(order, Sleep):
                    sleep(order.seconds)
                else:
                    reply = send(order)
            except ExtractError as error:
                order = protocol.throw(error)
            else:
                order = protocol.send(reply)
    except StopIteration as end:
        result: T = end.value
        return result


async def drive_polling_async(
    protocol: PollingProtocol[R, T],
    send: Callable[[Call], Awaitable[R]],
    sleep: Callable[[float], Awaitable[None]],
) -> T:
    """`drive_polling` for a `send` and a `sleep` that are awaited."""
    try:
        order = next(protocol)
        while True:
            reply: R | None = None
            try:
                if isinstance(order, Sleep):
                    await sleep(order.seconds)
                else:
                    reply = await send(order)
            except ExtractError as error:
                order = protocol.throw(error)
            else:
                order = protocol.send(reply)
    except StopIteration as end:
        result: T = end.value
        return result
