"""Server-sent events out of bytes: an incremental parser that does not mind how the bytes were cut up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Frame", "SseParser"]

_BOM = b"\xef\xbb\xbf"
_FIELDS = (b"data:", b"event:", b"id:", b"retry:", b":")
_MAX_STRAY = 1_000_000  # of bytes that are no event: an error's body is far smaller


@dataclass(frozen=True, slots=True)
class Frame:
    """One event as it was framed. Its JSON tells the rest: `name` and `id` are seldom needed."""

    data: bytes
    name: str = ""
    id: str = ""


class SseParser:
    """Feed bytes as they come, get frames as they are whole; `close` gives the one that no blank line has ended.

    Lines end in LF, CR or CRLF, also mixed. A BOM, comments, `retry` and unknown fields are passed over, and several
    `data` lines are joined by LF. What begins like JSON where a field should stand is gathered in `stray`, up to the
    next line that is a field: a service that gives up may answer so in the middle of a stream. The last such body is
    kept.
    """

    def __init__(self) -> None:
        self._line = bytearray()  # of which no end has come yet
        self._after_cr = False
        self._started = False
        self._data: list[bytes] = []
        self._name = self._id = ""
        self.stray = b""
        self._straying = False

    def feed(self, chunk: bytes) -> Iterator[Frame]:
        """Yield the frames that these bytes make whole."""
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

    def close(self) -> Iterator[Frame]:
        """Yield what the end of the stream makes whole: an event may lack its last blank line."""
        for line in (bytes(self._line), b""):
            frame = self._take(line)
            if frame is not None:
                yield frame
        self._line.clear()

    def _without_bom(self, chunk: bytes) -> bytes:
        """Hold the first bytes back until they are known to be a BOM or none."""
        held = bytes(self._line) + chunk
        if len(held) < len(_BOM) and _BOM.startswith(held):
            self._line = bytearray(held)
            return b""
        self._started = True
        self._line.clear()
        return held.removeprefix(_BOM)

    def _lines(self, chunk: bytes) -> list[bytes]:
        """Return the lines that end in these bytes, and last what has no end yet."""
        if not self._started:
            return [b""]
        if b"\n" not in chunk and b"\r" not in chunk:
            return [chunk]
        self._after_cr = chunk.endswith(b"\r")
        lines = (bytes(self._line) + chunk).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        self._line.clear()
        return lines

    def _take(self, line: bytes) -> Frame | None:
        if not line:
            return self._dispatch()
        if line.startswith(_FIELDS):  # no line of JSON begins so
            self._straying = False
        elif not self._straying and line[:1] in (b"[", b"{") and not self._data:
            self._straying, self.stray = True, b""
        if self._straying:
            if len(self.stray) < _MAX_STRAY:
                self.stray += line + b"\n"
            return None
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
        elif name == b"event":
            self._name = value.decode("utf-8", "replace")
        elif name == b"id":
            self._id = value.decode("utf-8", "replace")
        return None

    def _dispatch(self) -> Frame | None:
        data, name = self._data, self._name
        self._data, self._name = [], ""
        return Frame(b"\n".join(data), name, self._id) if data else None
