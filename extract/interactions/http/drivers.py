"""The drivers of operations: one with and one without an event loop."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from extract.errors import ExtractError
from extract.interactions.http.calls import Operation, OrderT, T

__all__ = ["drive", "drive_async"]


def drive(operation: Operation[OrderT, T], perform: Callable[[OrderT], Any]) -> T:
    """Return the result of an operation, each of whose orders is carried out by `perform`.

    What `perform` returns is handed back to the operation. An ExtractError of it is raised inside the operation, which
    may have another order for that case; any other exception ends both.
    """
    try:
        order = next(operation)
        while True:
            try:
                reply = perform(order)
            except ExtractError as error:
                order = operation.throw(error)
            else:
                order = operation.send(reply)
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        operation.close()  # at once, not when it is collected: it may hold a file open


async def drive_async(operation: Operation[OrderT, T], perform: Callable[[OrderT], Awaitable[Any]]) -> T:
    """`drive` for a `perform` that is awaited."""
    try:
        order = next(operation)
        while True:
            try:
                reply = await perform(order)
            except ExtractError as error:
                order = operation.throw(error)
            else:
                order = operation.send(reply)
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        operation.close()
