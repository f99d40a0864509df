"""One HTTP call and its reply as values, and the two drivers that carry a protocol's orders out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, TypeVar

__all__ = [
    "Call",
    "PollingProtocol",
    "Protocol",
    "Reply",
    "Sleep",
    "drive",
    "drive_async",
    "drive_polling",
    "drive_polling_async",
]


@dataclass(frozen=True, slots=True)
class Call:
    """One request below the API's version, such as `POST /interactions`; `body` is mostly JSON text in UTF-8.

    `headers` go with those of every call. A `url` stands for the whole address, for what does not lie below the
    version; it must be one of the same service, since the key goes with it.
    """

    method: Literal["GET", "POST", "DELETE"]
    path: str
    body: bytes = field(default=b"", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back, whole. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Sleep:
    """An order to wait before the next call."""

    seconds: float


R = TypeVar("R")
T = TypeVar("T")
Protocol: TypeAlias = Generator[Call, R, T]
PollingProtocol: TypeAlias = Generator[Call | Sleep, R | None, T]


def drive(protocol: Protocol[R, T], send: Callable[[Call], R]) -> T:
    """Run a protocol to its end: each call it yields is sent, and what `send` makes of it handed back."""
    try:
        call = next(protocol)
        while True:
            call = protocol.send(send(call))
    except StopIteration as end:
        result: T = end.value
        return result


async def drive_async(protocol: Protocol[R, T], send: Callable[[Call], Awaitable[R]]) -> T:
    """`drive` for a `send` that is awaited."""
    try:
        call = next(protocol)
        while True:
            call = protocol.send(await send(call))
    except StopIteration as end:
        result: T = end.value
        return result


def drive_polling(protocol: PollingProtocol[R, T], send: Callable[[Call], R], sleep: Callable[[float], None]) -> T:
    """`drive` for a protocol that also orders to wait."""
    reply: R | None = None
    try:
        while True:
            order = protocol.send(reply)
            if isinstance(order, Sleep):
                sleep(order.seconds)
                reply = None
            else:
                reply = send(order)
    except StopIteration as end:
        result: T = end.value
        return result


async def drive_polling_async(
    protocol: PollingProtocol[R, T],
    send: Callable[[Call], Awaitable[R]],
    sleep: Callable[[float], Awaitable[None]],
) -> T:
    """`drive_polling` for a `send` and a `sleep` that are awaited."""
    reply: R | None = None
    try:
        while True:
            order = protocol.send(reply)
            if isinstance(order, Sleep):
                await sleep(order.seconds)
                reply = None
            else:
                reply = await send(order)
    except StopIteration as end:
        result: T = end.value
        return result
