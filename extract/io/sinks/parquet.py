"""A run as one Parquet file."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import polars as pl
from polars.io.plugins import register_io_source

from extract.io.sinks.base import ROWS_AT_ONCE, Destination, check_types, unwritable

__all__ = ["ParquetSink"]


class ParquetSink:
    """One Parquet file, streamed: memory stays flat whatever the number of rows.

    Polars writes in a thread of its own, fed by a short queue, because it drops a sink whose main thread gets a SIGINT.
    `metadata` goes into the footer, which is written last: until `close` it may be replaced.
    """

    rows_at_once = ROWS_AT_ONCE

    def __init__(self, path: Path) -> None:
        self.metadata: Mapping[str, str] = {}
        self._destination = Destination(path)
        self._frames: queue.Queue[pl.DataFrame | None] = queue.Queue(maxsize=4)
        self._failure: BaseException | None = None
        self._thread: threading.Thread | None = None

    def open(self, schema: pl.Schema, metadata: Mapping[str, str]) -> None:
        check_types(self._destination.path, schema, binary_inside=True)
        self.metadata = metadata
        self._thread = threading.Thread(target=self._sink, args=(schema,), name="extract-parquet")
        self._thread.start()

    def write(self, frame: pl.DataFrame) -> None:
        while self._failure is None:
            try:
                return self._frames.put(frame, timeout=0.2)
            except queue.Full:
                continue  # the writer may have failed meanwhile: then nobody empties the queue
        raise unwritable(self._destination.path, self._failure)

    def close(self, *, whole: bool) -> Path:
        self._end()
        if self._failure is not None:
            self._destination.drop()
            raise unwritable(self._destination.path, self._failure)
        return self._destination.finish(whole=whole)

    def abandon(self) -> None:
        self._end()
        self._destination.drop()

    def _end(self) -> None:
        """Let the writer come to its end, also where it has failed and empties the queue no more."""
        while self._thread is not None and self._thread.is_alive() and self._failure is None:
            try:
                self._frames.put(None, timeout=0.2)
                break
            except queue.Full:
                continue
        if self._thread is not None:
            self._thread.join()

    def _sink(self, schema: pl.Schema) -> None:
        try:
            source = register_io_source(lambda *_: self._arriving(), schema=schema)
            source.sink_parquet(self._destination.temporary, metadata=self._footer, maintain_order=True)
        except BaseException as error:
            self._failure = error

    def _footer(self, _: object) -> dict[str, str]:
        """Return the metadata as it is when Polars asks for it: once all rows are written."""
        return dict(self.metadata)

    def _arriving(self) -> Iterator[pl.DataFrame]:
        while (frame := self._frames.get()) is not None:
            yield frame
