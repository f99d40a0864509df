"""A run as one Parquet file, whose footer says which run wrote it."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import polars as pl
from polars.io.plugins import register_io_source

from extract.io.sinks.base import Destination, FileSink, check_types, unwritable
from extract.json_types import JsonObject

__all__ = ["ParquetSink", "footer"]

_METADATA_NAME = "extract"
_QUEUED_FRAMES = 4


class ParquetSink(FileSink):
    """One Parquet file, streamed: memory stays flat whatever the number of rows.

    Polars writes in a thread of its own, fed by a short queue, because it drops a sink whose main thread gets a SIGINT.
    The manifest goes into the footer, which Polars writes last.
    """

    keeps_manifest: ClassVar[bool] = True

    def __init__(self, path: Path) -> None:
        self._manifest: JsonObject = {}
        self._destination = Destination(path)
        self._written = path
        self._frames: queue.Queue[pl.DataFrame | None] = queue.Queue(maxsize=_QUEUED_FRAMES)
        self._failure: BaseException | None = None
        self._thread: threading.Thread | None = None

    def open(self, schema: pl.Schema, manifest: JsonObject) -> None:
        check_types(self._destination.path, schema, binary_inside=True)
        self._manifest = manifest
        self._thread = threading.Thread(target=self._sink, args=(schema,), name="extract-parquet")
        self._thread.start()

    def write(self, frame: pl.DataFrame) -> None:
        while self._failure is None:
            try:
                return self._frames.put(frame, timeout=0.2)
            except queue.Full:
                continue  # the writer may have failed meanwhile: then nobody empties the queue
        raise unwritable(self._destination.path, self._failure)

    def close(self, *, whole: bool, manifest: JsonObject) -> Path:
        self._manifest = manifest
        self._end()
        if self._failure is not None:
            self._destination.drop()
            raise unwritable(self._destination.path, self._failure)
        self._written = self._destination.finish(whole=whole)
        return self._written

    def abandon(self) -> None:
        self._end()
        self._destination.drop()

    def on_interrupt(self) -> bool:
        """A Ctrl-C that Polars reports has ended all its queries, this file with them."""
        self.abandon()
        return True

    def scan(self, schema: pl.Schema) -> pl.LazyFrame:
        return self.read(self._written, schema)

    @staticmethod
    def read(path: Path, schema: Mapping[str, Any]) -> pl.LazyFrame:  # noqa: ARG004 - Parquet keeps its types
        return pl.scan_parquet(path, glob=False)

    @staticmethod
    def read_manifest(path: Path) -> JsonObject:
        try:
            described = json.loads(pl.read_parquet_metadata(path)[_METADATA_NAME])
        except (pl.exceptions.PolarsError, OSError, ValueError, KeyError, TypeError, RecursionError):
            return {}  # not a file of this library
        return described if isinstance(described, dict) else {}

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
        """Return the key-value metadata when Polars asks for it: once all rows are written."""
        return footer(self._manifest)

    def _arriving(self) -> Iterator[pl.DataFrame]:
        while (frame := self._frames.get()) is not None:
            yield frame


def footer(manifest: JsonObject) -> dict[str, str]:
    """Return the Parquet key-value metadata that says where a file came from."""
    text = json.dumps(manifest, ensure_ascii=False, default=str)
    # A file's name may hold bytes that are no Unicode; Parquet takes none.
    return {_METADATA_NAME: text.encode("utf-8", "replace").decode()}
