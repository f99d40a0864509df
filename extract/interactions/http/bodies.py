"""The bytes of answers, unpacked as they come: one never more than its bounds allow, all together no more than there is
room for.
"""

from __future__ import annotations

import asyncio
import math
import zlib
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from extract.errors import AnswerError, AnswerTimeout
from extract.interactions.http.calls import Reply

__all__ = [
    "HELD_BYTES",
    "Allowance",
    "Body",
    "in_time",
    "ran_out",
    "read",
    "read_async",
    "too_large",
    "unpacked",
    "unpacked_async",
]

T = TypeVar("T")

HELD_BYTES = 128 * 2**20
_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32
_PIECE = 256 * 1024
_SMALL = 64 * 1024  # bytes of an answer that no allowance is asked for: most answers are smaller
_CRUMB = 1024
_MAX_MEMBERS = 100  # each one copies the rest of what came: a service that packs its answer uses one
_CODINGS = ("gzip", "x-gzip", "deflate")


def too_large(max_bytes: int) -> AnswerError:
    """Return the error for an answer above its bound. It came, so it is paid for, and a repeat would be as large."""
    return AnswerError(
        f"the answer is larger than {max_bytes:,} bytes and was not read to its end; "
        "Endpoint(max_answer_bytes=) or --max-answer-bytes allows more"
    )


def ran_out(seconds: float) -> AnswerTimeout:
    """Return the error for an answer that was not whole in time; it may have been paid for."""
    return AnswerTimeout(
        f"the answer was not whole {seconds:g} s after its request was sent; Endpoint(request_timeout=) or "
        "--request-timeout allows more"
    )


async def in_time(seconds: float, exchange: Callable[[asyncio.Timeout], Coroutine[Any, Any, T]]) -> T:
    """Return what an exchange returns. Raises AnswerTimeout where it is not over after `seconds`.

    The exchange gets the timer, to stop it while it waits for the room that others take.
    """
    timer = asyncio.timeout(seconds if math.isfinite(seconds) else None)
    try:
        async with timer:
            return await exchange(timer)
    except TimeoutError:
        if timer.expired():
            raise ran_out(seconds) from None
        raise


class _Unpacker:
    """Unpacks a compressed body in small pieces: a kilobyte of it may hold a megabyte."""

    def __init__(self) -> None:
        self._packed = b""
        self._member: zlib._Decompress | None = None
        self._members = 0
        self._full = False  # the last piece may not be all that the bytes so far unpack to

    @property
    def pending(self) -> bool:
        return bool(self._packed) or self._full

    def push(self, data: bytes) -> None:
        self._packed += data

    def pop(self) -> bytes:
        """Return the next piece, b"" where more must come first. ValueError or zlib.error for what is damaged."""
        while self.pending:
            member = self._member or self._next_member()
            piece = member.decompress(self._packed, _PIECE)
            self._packed = member.unused_data if member.eof else member.unconsumed_tail
            self._full = len(piece) == _PIECE and not member.eof
            if member.eof:
                self._member = None
            if piece:
                return piece
        return b""

    def _next_member(self) -> zlib._Decompress:
        self._members += 1
        if self._members > _MAX_MEMBERS:
            raise AnswerError(f"the answer is compressed in more than {_MAX_MEMBERS} parts; it was not read further")
        self._member = zlib.decompressobj(_GZIP_OR_ZLIB)
        return self._member

    def close(self) -> None:
        """Raise ValueError where the body ended too early."""
        if self._member is not None:
            raise ValueError("a compressed answer that is cut")


def _unpacker_for(headers: Mapping[str, str]) -> _Unpacker | None:
    """Return what unpacks a body, None where it is not packed: a service may do so although it was not asked to."""
    coding = headers.get("content-encoding")
    if coding is None or (coding := coding.strip().lower()) in ("identity", ""):
        return None
    if coding not in _CODINGS:
        # Not which: a service may echo the key there, and lower-case or cut it would not be recognised.
        raise ValueError("an answer compressed in a way that was not requested")
    return _Unpacker()


def _announced(headers: Mapping[str, str]) -> int:
    """Return the size of a body as its head tells it, 0 where it does not."""
    length = headers.get("content-length", "")
    return int(length) if length.isdecimal() and len(length) < 20 else 0


class Allowance:
    """Bounds what all answers in flight hold together: above `max_bytes` only the oldest of them is read on.

    So one of them is always read, and each becomes the oldest in the end. Small answers are not counted.
    """

    def __init__(self, max_bytes: int = HELD_BYTES) -> None:
        self._max_bytes = max_bytes
        self._total = 0
        self._held: dict[Body, int] = {}  # in the order in which they became large

    def take(self, body: Body, count: int) -> None:
        """Count bytes that an answer holds, and pause it where that is too much."""
        self._held[body] = self._held.get(body, 0) + count
        self._total += count
        if self._total > self._max_bytes and body is not next(iter(self._held)):
            body.pause()

    def give_back(self, body: Body) -> None:
        """Forget an answer that was handed over or has failed, and go on with those for which there is room."""
        if body not in self._held:
            return
        self._total -= self._held.pop(body)
        for other in tuple(self._held):
            other.resume()  # it may finish at once, or take so much that the next ones must wait again
            if self._total > self._max_bytes:
                return


class Body:
    """The bytes of one reply after the other, as they come from the wire.

    `too_large` says that the one in hand has passed its bound. A paused one waits for its share of the `allowance`;
    `on_pause` and `on_resume` are called then.
    """

    paused: bool
    too_large: bool

    def __init__(
        self,
        allowance: Allowance,
        on_pause: Callable[[], None] = lambda: None,
        on_resume: Callable[[], None] = lambda: None,
    ) -> None:
        self._allowance, self._on_pause, self._on_resume = allowance, on_pause, on_resume
        self.paused = self.too_large = False
        self._size = self._max_bytes = 0
        self._pieces: list[bytes | bytearray] = []
        self._crumbs = bytearray()  # pieces too small to be objects of their own, which would take 28 times their bytes
        self._unpacker: _Unpacker | None = None

    def begin(self, headers: Mapping[str, str], max_bytes: int) -> None:
        """Begin with the body after this head. ValueError where nobody can unpack it."""
        self._size, self._max_bytes = 0, max_bytes
        self.too_large = _announced(headers) > max_bytes
        self._unpacker = _unpacker_for(headers) if "content-encoding" in headers else None

    def feed(self, data: bytes) -> None:
        """Take bytes from the wire, and unpack as much of them as there is room for."""
        if self._unpacker is None:
            if not self._size and len(data) <= min(_SMALL, self._max_bytes):  # most answers come in one piece
                self._size = len(data)
                self._pieces.append(data)
                return
            self._keep(data)
        else:
            self._unpacker.push(data)
            self.unpack()

    def unpack(self) -> None:
        """Go on after a pause. ValueError or zlib.error for what is damaged."""
        while self._unpacker is not None and not (self.paused or self.too_large) and (piece := self._unpacker.pop()):
            self._keep(piece)

    @property
    def is_plain(self) -> bool:
        """True for a body that is not compressed: taking it in cannot fail."""
        return self._unpacker is None

    @property
    def pending(self) -> bool:
        """True where bytes that came are still to be unpacked."""
        return self._unpacker is not None and self._unpacker.pending and not self.too_large

    def _keep(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > self._max_bytes:
            self.too_large = True
            return
        if len(piece) < _CRUMB and self._pieces:
            self._crumbs += piece
        else:
            self._sweep()
            self._pieces.append(piece)
        if self._size > _SMALL:
            self._allowance.take(self, len(piece))

    def _sweep(self) -> None:
        if self._crumbs:
            self._pieces.append(self._crumbs)
            self._crumbs = bytearray()

    def whole(self) -> bytes:
        """Return all bytes. ValueError where a compressed body is cut."""
        if self._unpacker is not None:
            self._unpacker.close()
        self._sweep()
        return bytes(self._pieces[0]) if len(self._pieces) == 1 else b"".join(self._pieces)  # bytes are not copied

    def end(self) -> None:
        """Hold nothing any more."""
        self._pieces = []
        if self._crumbs:
            self._crumbs = bytearray()
        self._unpacker = None
        if self._size > _SMALL:  # smaller ones took nothing
            self.paused = False
            self._allowance.give_back(self)

    def pause(self) -> None:
        if not self.paused:
            self.paused = True
            self._on_pause()

    def resume(self) -> None:
        if self.paused:
            self.paused = False
            self._on_resume()


async def read_async(
    status: int,
    headers: Mapping[str, str],
    chunks: AsyncIterator[bytes],
    max_bytes: int,
    allowance: Allowance,
    timer: asyncio.Timeout | None = None,
) -> Reply:
    """Return the reply whose bytes come from `chunks`, as they are on the wire. AnswerError for one too large.

    The `timer` stands still while other answers take all the room: the service is not slow then.
    """
    room = asyncio.Event()
    body, wire = Body(allowance, room.clear, room.set), 0
    try:
        body.begin(headers, max_bytes)
        while not body.too_large and (chunk := await anext(chunks, None)) is not None:
            wire += len(chunk)
            body.too_large = wire > max_bytes
            body.feed(chunk)
            while body.paused:
                await _outside(timer, room)
                body.unpack()
        return _reply(status, headers, body, max_bytes)
    finally:
        body.end()


async def _outside(timer: asyncio.Timeout | None, room: asyncio.Event) -> None:
    """Wait for `room` while the timer stands still."""
    end = None if timer is None else timer.when()
    if timer is None or end is None:
        await room.wait()
        return
    loop = asyncio.get_running_loop()
    left = end - loop.time()
    timer.reschedule(None)
    await room.wait()
    timer.reschedule(loop.time() + left)


def read(
    status: int,
    headers: Mapping[str, str],
    chunks: Iterator[bytes],
    max_bytes: int,
    check_time: Callable[[], None] = lambda: None,
) -> Reply:
    """`read_async` without a loop; `check_time` is called with each chunk, and raises where the time is over."""
    body, wire = Body(Allowance(max_bytes)), 0
    body.begin(headers, max_bytes)
    while not body.too_large and (chunk := next(chunks, None)) is not None:
        check_time()
        wire += len(chunk)
        body.too_large = wire > max_bytes
        body.feed(chunk)
    return _reply(status, headers, body, max_bytes)


def _reply(status: int, headers: Mapping[str, str], body: Body, max_bytes: int) -> Reply:
    """Return what was read. Of a refusal the status is enough, however long its body."""
    if not body.too_large:
        return Reply(status, headers, body.whole())
    if status == 200:
        raise too_large(max_bytes)
    return Reply(status, headers, b"")


async def unpacked_async(chunks: AsyncIterator[bytes], headers: Mapping[str, str]) -> AsyncIterator[bytes]:
    """Yield what `chunks` hold, for a stream that is read as it comes and never held whole."""
    unpacker = _unpacker_for(headers)
    async for chunk in chunks:
        for piece in _pieces(unpacker, chunk):
            yield piece


def unpacked(chunks: Iterable[bytes], headers: Mapping[str, str]) -> Iterator[bytes]:
    """`unpacked_async` without a loop."""
    unpacker = _unpacker_for(headers)
    for chunk in chunks:
        yield from _pieces(unpacker, chunk)


def _pieces(unpacker: _Unpacker | None, chunk: bytes) -> Iterator[bytes]:
    if unpacker is None:
        yield chunk
        return
    unpacker.push(chunk)
    while piece := unpacker.pop():
        yield piece
