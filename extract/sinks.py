"""Where frames go: into memory, or into one file that is streamed under a temporary name and renamed when whole."""

from __future__ import annotations

import json
import os
import queue
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Protocol

import polars as pl
from polars.io.plugins import register_io_source

from extract.errors import ConfigError, OutputError

__all__ = ["FORMATS", "FrameSink", "ParquetSink", "Sink", "TextSink", "check_output", "open_sink", "write_errors"]

_METADATA_NAME = "extract"


class Sink(Protocol):
    """Takes frames in order. `close` returns what was made; a run that did not finish says `whole=False`.

    `abandon` leaves nothing behind, and never raises.
    """

    def open(self, schema: pl.Schema, metadata: Mapping[str, str]) -> None: ...
    def write(self, frame: pl.DataFrame) -> None: ...
    def close(self, *, whole: bool) -> Path | None: ...
    def abandon(self) -> None: ...


class FrameSink:
    """Keeps everything in memory, as one typed frame."""

    def __init__(self) -> None:
        self._schema = pl.Schema()
        self._frames: list[pl.DataFrame] = []

    def open(self, schema: pl.Schema, metadata: Mapping[str, str]) -> None:  # noqa: ARG002 - a frame has no footer
        self._schema = schema

    def write(self, frame: pl.DataFrame) -> None:
        self._frames.append(frame)

    def close(self, *, whole: bool) -> Path | None:  # noqa: ARG002 - a frame in memory is kept either way
        return None

    def abandon(self) -> None:
        self._frames.clear()

    @property
    def frame(self) -> pl.DataFrame:
        return pl.concat([self._schema.to_frame(), *self._frames], rechunk=True)


class _Destination:
    """A file that appears under its name only when it is whole; an unfinished run leaves `NAME.partial.ENDING`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.temporary = path.with_name(path.name + ".part")
        self.partial = path.with_name(f"{path.stem}.partial{path.suffix}")

    def finish(self, *, whole: bool) -> Path:
        target = self.path if whole else self.partial
        self.temporary.replace(target)
        if whole:
            self.partial.unlink(missing_ok=True)
        return target


class ParquetSink:
    """One Parquet file, streamed: memory stays flat whatever the number of rows.

    Polars writes in a thread of its own, fed by a short queue, because it drops a sink whose main thread gets a SIGINT.
    """

    def __init__(self, path: Path) -> None:
        self._destination = _Destination(path)
        self._frames: queue.Queue[pl.DataFrame | None] = queue.Queue(maxsize=4)
        self._failure: BaseException | None = None
        self._thread: threading.Thread | None = None

    def open(self, schema: pl.Schema, metadata: Mapping[str, str]) -> None:
        self._thread = threading.Thread(target=self._sink, args=(schema, dict(metadata)), name="extract-parquet")
        self._thread.start()

    def write(self, frame: pl.DataFrame) -> None:
        while self._failure is None:
            try:
                return self._frames.put(frame, timeout=0.2)
            except queue.Full:
                continue  # the writer may have failed meanwhile: then nobody empties the queue
        raise _unwritable(self._destination.path, self._failure)

    def close(self, *, whole: bool) -> Path:
        self._end()
        if self._failure is not None:
            self._destination.temporary.unlink(missing_ok=True)
            raise _unwritable(self._destination.path, self._failure)
        return self._destination.finish(whole=whole)

    def abandon(self) -> None:
        self._end()
        self._destination.temporary.unlink(missing_ok=True)

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

    def _sink(self, schema: pl.Schema, metadata: dict[str, str]) -> None:
        try:
            source = register_io_source(lambda *_: self._arriving(), schema=schema)
            source.sink_parquet(self._destination.temporary, metadata=metadata, maintain_order=True)
        except BaseException as error:
            self._failure = error

    def _arriving(self) -> Iterator[pl.DataFrame]:
        while (frame := self._frames.get()) is not None:
            yield frame


class TextSink:
    """One csv or jsonl file. Csv has no nesting: lists and structs become JSON text, bytes base64."""

    def __init__(self, path: Path) -> None:
        self._destination = _Destination(path)
        self._is_csv = path.suffix.lower() == ".csv"
        self._file: IO[bytes] | None = None
        self._rows = 0

    def open(self, schema: pl.Schema, metadata: Mapping[str, str]) -> None:  # noqa: ARG002 - text has no footer
        try:
            self._file = self._destination.temporary.open("wb")
        except OSError as error:
            raise _unwritable(self._destination.path, error) from None
        if self._is_csv:
            self._put(schema.to_frame(), header=True)

    def write(self, frame: pl.DataFrame) -> None:
        self._put(frame, header=False)

    def _put(self, frame: pl.DataFrame, *, header: bool) -> None:
        assert self._file is not None, "opened before written"
        try:
            if self._is_csv:
                _flat(frame).write_csv(self._file, include_header=header)
            else:
                frame.with_columns(pl.selectors.binary().bin.encode("base64")).write_ndjson(self._file)
        except (OSError, pl.exceptions.PolarsError) as error:
            raise _unwritable(self._destination.path, error) from None

    def close(self, *, whole: bool) -> Path:
        if self._file is not None:
            try:
                self._file.close()
            except OSError as error:
                raise _unwritable(self._destination.path, error) from None
        return self._destination.finish(whole=whole)

    def abandon(self) -> None:
        if self._file is not None:
            with suppress(OSError):  # what is still to be written has no room either
                self._file.close()
        self._destination.temporary.unlink(missing_ok=True)


def _flat(frame: pl.DataFrame) -> pl.DataFrame:
    """Return a frame that csv can hold."""
    return frame.select(_flat_column(name, dtype) for name, dtype in frame.schema.items())


def _flat_column(name: str, dtype: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if isinstance(dtype, pl.Binary):
        return column.bin.encode("base64")
    if dtype.is_nested() or isinstance(dtype, pl.Duration):
        # Polars encodes structs only: the value stands between `{"v":` and `}`; a duration also has quotes.
        quotes = 1 if isinstance(dtype, pl.Duration) else 0
        text = pl.struct(column.alias("v")).struct.json_encode()
        value = text.str.slice(5 + quotes, text.str.len_chars() - 6 - 2 * quotes)
        return pl.when(column.is_null()).then(None).otherwise(value).alias(name)
    return column


def _unwritable(path: Path, error: BaseException) -> OutputError:
    said = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return OutputError(f"{path} cannot be written: {said[:300]}; what was paid for is kept in the cache")


FORMATS: dict[str, type[ParquetSink | TextSink]] = {
    ".parquet": ParquetSink,
    ".csv": TextSink,
    ".jsonl": TextSink,
    ".ndjson": TextSink,
}


def open_sink(path: Path) -> ParquetSink | TextSink:
    """Return the sink that a path's ending stands for. ConfigError for another ending or a missing folder."""
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        raise ConfigError(f"{path}: an output ends in {', '.join(FORMATS)}")
    if not path.parent.is_dir():
        raise ConfigError(f"{path}: there is no folder {path.parent}")
    if path.is_dir():
        raise ConfigError(f"{path} is a folder; name a file")
    if not os.access(path.parent, os.W_OK):
        raise OutputError(f"{path}: the folder {path.parent} cannot be written to")
    return kind(path)


def check_output(path: Path, *, pipeline: str, cache: Path | None, overwrite: bool) -> None:
    """Refuse to replace what this pipeline did not write: no cache beside it, no footer that names the pipeline."""
    if overwrite or not path.exists() or (cache is not None and cache.exists()):
        return
    if path.suffix.lower() == ".parquet" and _pipeline_of(path) == pipeline:
        return
    raise ConfigError(f"{path} exists and was not written by this pipeline; choose another name or add --overwrite")


def _pipeline_of(path: Path) -> str | None:
    try:
        described = json.loads(pl.read_parquet_metadata(path)[_METADATA_NAME])
        return str(described["pipeline"])
    except (pl.exceptions.PolarsError, OSError, ValueError, KeyError, TypeError):
        return None


def footer(description: Mapping[str, object]) -> dict[str, str]:
    """Return the Parquet key-value metadata that says where a file came from."""
    return {_METADATA_NAME: json.dumps(description, ensure_ascii=False, default=str)}


def errors_path(output: Path) -> Path:
    """Return where the rejected rows of an output go."""
    return output.with_name(f"{output.stem}.errors.parquet")


def write_errors(errors: pl.DataFrame, output: Path) -> Path | None:
    """Write the rejected rows beside an output, or take away those of an earlier run; return the path if written."""
    path = errors_path(output)
    if errors.is_empty():
        path.unlink(missing_ok=True)
        return None
    temporary = path.with_name(path.name + ".part")
    try:
        errors.write_parquet(temporary)
        temporary.replace(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        temporary.unlink(missing_ok=True)
        raise _unwritable(path, error) from None
    return path
