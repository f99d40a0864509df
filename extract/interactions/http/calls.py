"""One HTTP call and its reply as values, and the shape of the operations that order calls.

An operation is a generator: it yields orders (send this call, wait that long), is sent the result of each, and returns
its own. It decides everything and waits for nothing; `http.drivers` carries the orders out, with or without a loop.
"""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any, Literal, NamedTuple, TypeAlias, TypeVar

from pydantic_core import PydanticSerializationError, to_json

from extract.errors import ConfigError

__all__ = ["Base64", "Bounds", "Call", "Operation", "Order", "OrderT", "Reply", "Sleep", "T", "json_body", "once"]

_ENCODED_AT_ONCE = 3 * 2**17  # a multiple of three bytes, so that no padding comes in between


class Bounds(NamedTuple):
    """What one answer may take: seconds without a byte, seconds from sending to its last byte, and bytes.

    Bytes are counted as they come and as they are unpacked, whichever is more.
    """

    silence: float
    seconds: float = inf
    size: int = 16 * 2**20


@dataclass(frozen=True, slots=True)
class Call:
    """One request below the API's version, such as `POST /interactions`; `body` is mostly JSON text in UTF-8.

    `headers` go with those of every call. A `url` stands for the whole address, for what does not lie below the
    version; it must be one of the same service, since the key goes with it. `bare` leaves the key out; the address may
    then be any that is safe. `timeout` is in seconds of silence, `total` from sending to the last byte; None leaves
    them to the endpoint. `media` says that the answer may hold images, audio or video, and be large.
    """

    method: Literal["GET", "POST", "DELETE"]
    path: str
    body: bytes = field(default=b"", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)
    url: str | None = None
    timeout: float | None = None
    bare: bool = False
    total: float | None = None
    media: bool = False


class Reply(NamedTuple):
    """A whole response. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Sleep:
    """An order to wait, in seconds, before the next call."""

    seconds: float


OrderT = TypeVar("OrderT")
T = TypeVar("T")
Operation: TypeAlias = Generator[OrderT, Any, T]
"""A generator that yields orders of type OrderT and returns a T."""

Order: TypeAlias = Call | Sleep


def once(order: OrderT) -> Operation[OrderT, Any]:
    """Give one order, and return what came of it."""
    return (yield order)


class Base64:
    """Bytes that a body holds as base64. They are encoded where the body is written, and copied no more than that."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data: bytes = data

    def pieces(self) -> Iterator[bytes]:
        """Yield the text in pieces, so that other threads get their turn while a large file is encoded."""
        view = memoryview(self.data)
        for start in range(0, len(view), _ENCODED_AT_ONCE):
            yield b2a_base64(view[start : start + _ENCODED_AT_ONCE], newline=False)


def json_body(value: Any) -> bytes:
    """Return the JSON text of a body; Base64 values may stand in it.

    ConfigError for what has no JSON text, such as text with half a character in it.
    """
    try:
        try:
            return to_json(value)
        except PydanticSerializationError:  # it knows nothing of Base64
            return b"".join(_pieces(value))
    except (PydanticSerializationError, UnicodeError, ValueError, RecursionError) as error:
        raise ConfigError(f"the request cannot be written as JSON: {error}") from None


def _pieces(value: Any) -> Iterator[bytes]:
    """Yield JSON text that `to_json` would make of the same value with text in the place of bytes."""
    if isinstance(value, Base64):
        yield b'"'
        yield from value.pieces()
        yield b'"'
    elif isinstance(value, dict):
        for number, (name, member) in enumerate(value.items()):
            yield b"," if number else b"{"
            yield to_json(name) + b":"
            yield from _pieces(member)
        yield b"}" if value else b"{}"
    elif isinstance(value, list):
        for number, element in enumerate(value):
            yield b"," if number else b"["
            yield from _pieces(element)
        yield b"]" if value else b"[]"
    else:
        yield to_json(value)
