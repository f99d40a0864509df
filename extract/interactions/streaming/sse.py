"""Server-sent events: an incremental parser that works however the bytes were cut up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from extract.errors import AnswerError

__all__ = ["Frame", "SseParser"]

_BOM = b"\xef\xbb\xbf"
_FIELDS = (b"data:", b"event:", b"id:", b"retry:", b":")
_MAX_STRAY = 1_000_000  # of bytes that are no event: an error's body is far smaller
_MAX_EVENT = 64 * 2**20  # bytes: one event may hold a whole image


@dataclass(frozen=True, slots=True)
class Frame:
    """One event of the protocol. `name` and `id` mostly stand in the JSON of `data` as well."""

    data: bytes
    name: str = ""
    id: str = ""


class SseParser:
    """Takes bytes as they come and yields frames as they complete; `close` yields one without a blank line after it.

    Lines end in LF, CR or CRLF, also mixed. A BOM, comments, `retry` and unknown fields are skipped, and several `data`
    lines are joined by LF. An event of more than `max_event` bytes is an AnswerError. JSON where a field is expected is
    collected in `stray`, up to the next field: a service that gives up may answer so in the middle of a stream. The
    last such body counts.
    """

    def __init__(self, max_event: int = _MAX_EVENT) -> None:
        self._max_event = max_event
        self._line = bytearray()  # the line that has not ended yet
        self._after_cr = False
        self._started = False
        self._data: list[bytes] = []
        self._data_bytes = 0
        self._name = self._id = ""
        self._stray = bytearray()  # it may come in a million lines: adding to bytes would copy them all each time
        self._straying = False

    @property
    def stray(self) -> bytes:
        return bytes(self._stray)

    def feed(self, chunk: bytes) -> Iterator[Frame]:
        """Yield the frames that these bytes complete."""
        if self._after_cr and chunk:
            self._after_cr = False
            chunk = chunk.removeprefix(b"\n")  # the other half of a CRLF
        if not self._started:
            chunk = self._without_bom(chunk)
        *ended, rest = self._lines(chunk)
        for line in ended:
            frame = self._take(line)
            if frame is not None:
                yield frame
        self._line += rest
        self._check_size()

    def close(self) -> Iterator[Frame]:
        """Yield the frame that the end of the stream completes: an event may lack its last blank line."""
        for line in (bytes(self._line), b""):
            frame = self._take(line)
            if frame is not None:
                yield frame
        self._line.clear()

    def _without_bom(self, chunk: bytes) -> bytes:
        """Return the bytes without a BOM; the first ones are held back until it is clear whether they are one."""
        held = bytes(self._line) + chunk
        if len(held) < len(_BOM) and _BOM.startswith(held):
            self._line = bytearray(held)
            return b""
        self._started = True
        self._line.clear()
        return held.removeprefix(_BOM)

    def _lines(self, chunk: bytes) -> list[bytes]:
        """Return the lines that end in these bytes, and last the one that has not ended yet."""
        if not self._started:
            return [b""]
        if b"\n" not in chunk and b"\r" not in chunk:
            return [chunk]
        self._after_cr = chunk.endswith(b"\r")
        lines = (bytes(self._line) + chunk).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        self._line.clear()
        return lines

    def _check_size(self) -> None:
        if len(self._line) + self._data_bytes > self._max_event:
            raise AnswerError(f"an event of the stream is larger than {self._max_event:,} bytes")

    def _take(self, line: bytes) -> Frame | None:
        if not line:
            return self._dispatch()
        if line.startswith(_FIELDS):  # no line of JSON begins so
            self._straying = False
        elif not self._straying and line[:1] in (b"[", b"{") and not self._data:
            self._straying, self._stray = True, bytearray()
        if self._straying:
            if len(self._stray) < _MAX_STRAY:
                self._stray += line + b"\n"
            return None
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
            self._data_bytes += len(line)
            self._check_size()
        elif name == b"event":
            self._name = value.decode("utf-8", "replace")
        elif name == b"id":
            self._id = value.decode("utf-8", "replace")
        return None

    def _dispatch(self) -> Frame | None:
        data, name = self._data, self._name
        self._data, self._data_bytes, self._name = [], 0, ""
        return Frame(b"\n".join(data), name, self._id) if data else None
