"""Values of the wire: a request, a response with its delivery, refusals, and times as the API writes them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

from pydantic_core import to_json

from extract.json_types import JsonObject

__all__ = [
    "JSON_TYPE",
    "STREAM_TYPE",
    "Refusal",
    "WireRequest",
    "WireResponse",
    "compact",
    "error_response",
    "json_response",
    "refusal",
    "rpc_response",
    "timestamp",
]

JSON_TYPE = ("content-type", "application/json; charset=UTF-8")
ENCODER = json.JSONEncoder(separators=(",", ":"))
STREAM_TYPE = ("content-type", "text/event-stream")
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
"""Times in responses are this plus the clock: the emulator has no time of day, so that its answers repeat."""


@dataclass(frozen=True, slots=True)
class WireRequest:
    """One HTTP request. Header names are in lower case; `path` has no query; `origin` is the client's base URL."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    origin: str = "http://localhost"


@dataclass(frozen=True, slots=True, kw_only=True)
class WireResponse:
    """One HTTP response and its delivery, which the transport or the server carries out.

    Wait `latency` seconds, then send the head; wait `stall` seconds, then send the body, one of `frames` after the
    other where there are any. With `reset` nothing is sent and the connection breaks; with `cut_after` it breaks after
    that many bytes of the body. `tokens` are the input, output and thought tokens that a whole delivery bills.
    """

    status: int
    headers: tuple[tuple[str, str], ...] = (JSON_TYPE,)
    body: bytes = b""
    frames: tuple[bytes, ...] = ()
    latency: float = 0.0
    stall: float = 0.0
    reset: bool = False
    cut_after: int | None = None
    tokens: tuple[int, int, int] = (0, 0, 0)

    @property
    def whole(self) -> bool:
        """Whether the client can read all of it."""
        return not self.reset and self.cut_after is None

    def pieces(self) -> Iterator[bytes]:
        """Return the parts of the body to send one after the other, up to where the connection is cut."""
        left = len(self.body) if self.cut_after is None else self.cut_after
        for frame in self.frames or (self.body,):
            if left <= 0:
                return
            yield frame[:left]
            left -= len(frame)


class Refusal(Exception):
    """The request is refused; `response` is what the client gets."""

    def __init__(self, response: WireResponse) -> None:
        super().__init__(response.body.decode("utf-8", "replace"))
        self.response = response


def compact(value: Any) -> bytes:
    """Return `value` as compact JSON. A lone surrogate, which a script may hold, leaves as an escape."""
    try:
        return to_json(value)
    except ValueError:
        return ENCODER.encode(value).encode()


def json_response(body: Any, *, status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> WireResponse:
    """Return `body` as a JSON response."""
    return WireResponse(status=status, headers=(JSON_TYPE, *headers), body=compact(body))


def error_response(status: int, code: str, message: str, headers: tuple[tuple[str, str], ...] = ()) -> WireResponse:
    """Return the error envelope that the Interactions API documents: a string code and a message."""
    return json_response({"error": {"code": code, "message": message}}, status=status, headers=headers)


def rpc_response(
    status: int,
    name: str,
    message: str,
    details: list[JsonObject],
    headers: tuple[tuple[str, str], ...] = (),
) -> WireResponse:
    """Return the older envelope, a `google.rpc.Status`, which gateways and quotas use."""
    error = {"code": status, "message": message, "status": name, "details": details}
    return json_response({"error": error}, status=status, headers=headers)


def refusal(message: str, *, status: int = HTTPStatus.BAD_REQUEST, code: str = "invalid_request") -> Refusal:
    """Return the refusal to raise for a request that is wrong in itself."""
    return Refusal(error_response(status, code, message))


def timestamp(at: float) -> str:
    """Return a time of the emulator's clock as the API writes it."""
    return (EPOCH + timedelta(seconds=int(at))).isoformat().replace("+00:00", "Z")
