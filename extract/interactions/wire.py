"""One HTTP call and its reply as values, and the two drivers that carry a protocol's orders out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, TypeVar

__all__ = ["Call", "Protocol", "Reply", "drive", "drive_async"]


@dataclass(frozen=True, slots=True)
class Call:
    """One request below the API's version, such as `POST /interactions`. `body` is JSON text in UTF-8."""

    method: Literal["GET", "POST", "DELETE"]
    path: str
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back, whole. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


R = TypeVar("R")
T = TypeVar("T")
Protocol: TypeAlias = Generator[Call, R, T]


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
