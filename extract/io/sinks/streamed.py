"""Sinks of files that Polars streams: rows go through a short queue to a thread of their own, and never pile up."""

from __future__ import annotations

import queue
import threading
from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path

import polars as pl
from polars.io.plugins import register_io_source

from extract.io.sinks.base import Destination, FileSink, check_types, unwritable
from extract.json_types import JsonObject

__all__ = ["StreamedSink"]

_QUEUED_FRAMES = 4


class StreamedSink(FileSink):
    """One file that Polars writes as it gets the rows; a format only says how, in `write_all`.

    Polars writes in a thread of its own, because it drops a sink whose main thread gets a SIGINT. `manifest` is what is
    known of the run: that of `open` until `close` replaces it, so what a format writes last may use the whole of it.
    """

    def __init__(self, path: Path) -> None:
        self.manifest: JsonObject = {}
        self._destination = Destination(path)
        self._written = path
        self._frames: queue.Queue[pl.DataFrame | None] = queue.Queue(maxsize=_QUEUED_FRAMES)
        self._failure: BaseException | None = None
        self._thread: threading.Thread | None = None

    @abstractmethod
    def write_all(self, rows: pl.LazyFrame, path: Path) -> None:
        """Write `rows` to `path`; return once the file is complete. Called in the sink's thread."""

    def open(self, schema: pl.Schema, manifest: JsonObject) -> None:
        check_types(self._destination.path, schema, binary_inside=True)
        self.manifest = manifest
        self._destination.claim()
        self._thread = threading.Thread(target=self._sink, args=(schema,), name="extract-sink")
        self._thread.start()

    def write(self, frame: pl.DataFrame) -> None:
        while self._failure is None:
            try:
                return self._frames.put(frame, timeout=0.2)
            except queue.Full:
                continue  # the thread may have failed meanwhile: then nobody empties the queue
        raise unwritable(self._destination.path, self._failure)

    def close(self, *, whole: bool, manifest: JsonObject) -> Path:
        self.manifest = manifest
        self._end()
        if self._failure is not None:
            self._destination.drop()
            raise unwritable(self._destination.path, self._failure)
        self._written = self._destination.finish(whole=whole)
        return self._written

    def keep_beside(self) -> None:
        self._destination.keep_beside()

    def abandon(self) -> None:
        self._end()
        self._destination.drop()

    def on_interrupt(self) -> bool:
        """A Ctrl-C that Polars reports has ended all its queries, this file with them."""
        self.abandon()
        return True

    def scan(self, schema: pl.Schema) -> pl.LazyFrame:
        return self.read(self._written, schema)

    def _end(self) -> None:
        """Let the thread come to its end, also where it has failed and empties the queue no more."""
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
            self.write_all(register_io_source(lambda *_: self._arriving(), schema=schema), self._destination.temporary)
        except BaseException as error:
            self._failure = error

    def _arriving(self) -> Iterator[pl.DataFrame]:
        while (frame := self._frames.get()) is not None:
            yield frame
