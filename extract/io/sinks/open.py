"""Where frames go: into memory, or into one file that is streamed under a temporary name and renamed when whole."""

from __future__ import annotations

import json
import os
import queue
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from glob import escape
from pathlib import Path
from typing import IO, Any, Protocol

import polars as pl
from polars.io.plugins import register_io_source

from extract.errors import ConfigError, OutputError

__all__ = [
    "FORMATS",
    "FrameSink",
    "ParquetSink",
    "Sink",
    "TextSink",
    "check_output",
    "errors_path",
    "footer",
    "open_sink",
    "read_footer",
    "write_errors",
]

_METADATA_NAME = "extract"
_ROWS_AT_ONCE = 1_024  # Polars takes about as long over a hundred rows


class Sink(Protocol):
    """Takes frames in order. `close` returns what was made; a run that did not finish says `whole=False`.

    `abandon` leaves nothing behind, and never raises. `write` is given blocks as they are finished; a sink that has an
    attribute `rows_at_once` gets about so many rows each time.
    """

    def open(self, schema: pl.Schema, metadata: Mapping[str, str]) -> None: ...
    def write(self, frame: pl.DataFrame) -> None: ...
    def close(self, *, whole: bool) -> Path | None: ...
    def abandon(self) -> None: ...


class FrameSink:
    """Keeps everything in memory, as one typed frame."""

    rows_at_once = _ROWS_AT_ONCE

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
    """A file that appears under its name only when it is whole; an unfinished run leaves `NAME.partial.ENDING`.

    The temporary name holds the process's number, so that two runs into one output do not write into each other.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
        self.partial = path.with_name(f"{path.stem}.partial{path.suffix}")

    def finish(self, *, whole: bool) -> Path:
        target = self.path if whole else self.partial
        try:
            self.temporary.replace(target)
            if whole:
                self.partial.unlink(missing_ok=True)
                self._sweep()
        except OSError as error:
            raise _unwritable(target, error) from None
        return target

    def drop(self) -> None:
        with suppress(OSError):
            self.temporary.unlink(missing_ok=True)

    def _sweep(self) -> None:
        """Take away what killed runs have left of this output."""
        for left in self.path.parent.glob(f"{escape(self.path.name)}.*.part"):
            number = left.name.removeprefix(self.path.name).split(".")[1]
            if number.isdecimal() and not _is_alive(int(number)):
                left.unlink(missing_ok=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True  # somebody else's
    return True


def _check_types(path: Path, schema: pl.Schema, *, binary_inside: bool) -> None:
    """Refuse before anything is paid for what a format cannot hold, or what Polars cannot write to it."""
    for name, dtype in schema.items():
        for inner, nested in _types_in(dtype):
            if isinstance(inner, pl.Object) or (isinstance(inner, pl.Struct) and not inner.fields):
                raise ConfigError(f"{path}: column {name!r} of type {dtype} cannot be written; drop or cast it first")
            if nested and isinstance(inner, pl.Binary) and not binary_inside:
                raise ConfigError(f"{path}: column {name!r} holds bytes inside of {dtype}; write .parquet instead")


def _types_in(dtype: Any, *, nested: bool = False) -> Iterator[tuple[pl.DataType, bool]]:
    made: pl.DataType = dtype() if isinstance(dtype, type) else dtype
    yield made, nested
    if isinstance(made, pl.Struct):
        for item in made.fields:
            yield from _types_in(item.dtype, nested=True)
    elif isinstance(made, pl.List | pl.Array):
        yield from _types_in(made.inner, nested=True)


class ParquetSink:
    """One Parquet file, streamed: memory stays flat whatever the number of rows.

    Polars writes in a thread of its own, fed by a short queue, because it drops a sink whose main thread gets a SIGINT.
    `metadata` goes into the footer, which is written last: until `close` it may be replaced.
    """

    rows_at_once = _ROWS_AT_ONCE

    def __init__(self, path: Path) -> None:
        self.metadata: Mapping[str, str] = {}
        self._destination = _Destination(path)
        self._frames: queue.Queue[pl.DataFrame | None] = queue.Queue(maxsize=4)
        self._failure: BaseException | None = None
        self._thread: threading.Thread | None = None

    def open(self, schema: pl.Schema, metadata: Mapping[str, str]) -> None:
        _check_types(self._destination.path, schema, binary_inside=True)
        self.metadata = metadata
        self._thread = threading.Thread(target=self._sink, args=(schema,), name="extract-parquet")
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
            self._destination.drop()
            raise _unwritable(self._destination.path, self._failure)
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


class TextSink:
    """One csv or jsonl file. Csv has no nesting: lists and structs become JSON text, bytes base64."""

    rows_at_once = _ROWS_AT_ONCE

    def __init__(self, path: Path) -> None:
        self._destination = _Destination(path)
        self._is_csv = path.suffix.lower() == ".csv"
        self._file: IO[bytes] | None = None
        self._rows = 0

    def open(self, schema: pl.Schema, metadata: Mapping[str, str]) -> None:  # noqa: ARG002 - text has no footer
        _check_types(self._destination.path, schema, binary_inside=False)
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
        self._destination.drop()


def _flat(frame: pl.DataFrame) -> pl.DataFrame:
    """Return a frame that csv can hold."""
    return pl.DataFrame([_flat_column(column) for column in frame.get_columns()])


def _flat_column(column: pl.Series) -> pl.Series:
    if isinstance(column.dtype, pl.Binary):
        return column.bin.encode("base64")
    is_duration = isinstance(column.dtype, pl.Duration)
    if not is_duration and not column.dtype.is_nested():
        return column
    # Polars encodes structs only: the value stands between `{"v":` and `}`; a duration also has quotes.
    quotes = 1 if is_duration else 0
    text = pl.struct("v").struct.json_encode()
    value = text.str.slice(5 + quotes, text.str.len_chars() - 6 - 2 * quotes)
    encoded = column.alias("v").to_frame().select(pl.when(pl.col("v").is_null()).then(None).otherwise(value))
    return encoded.to_series().alias(column.name)


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
    """Refuse to replace what this pipeline did not write.

    A Parquet file says in its footer which pipeline wrote it; text has no footer, so there a cache beside it must do.
    """
    if overwrite or not path.exists():
        return
    if path.suffix.lower() == ".parquet":
        ours = _pipeline_of(path) == pipeline
    else:
        ours = cache == path.with_name(path.name + ".cache") and cache.exists()
    if ours:
        return
    raise ConfigError(f"{path} exists and was not written by this pipeline; choose another name or add --overwrite")


def _pipeline_of(path: Path) -> str | None:
    pipeline = read_footer(path).get("pipeline")
    return None if pipeline is None else str(pipeline)


def read_footer(path: Path) -> dict[str, Any]:
    """Return what the footer of an output says about its run, {} where the file is none of ours."""
    try:
        described = json.loads(pl.read_parquet_metadata(path)[_METADATA_NAME])
    except (pl.exceptions.PolarsError, OSError, ValueError, KeyError, TypeError, RecursionError):
        return {}
    return described if isinstance(described, dict) else {}


def footer(description: Mapping[str, object]) -> dict[str, str]:
    """Return the Parquet key-value metadata that says where a file came from."""
    text = json.dumps(description, ensure_ascii=False, default=str)
    # A file's name may hold bytes that are no Unicode; Parquet takes none.
    return {_METADATA_NAME: text.encode("utf-8", "replace").decode()}


def errors_path(output: Path) -> Path:
    """Return where the rejected rows of an output go."""
    return output.with_name(f"{output.stem}.errors.parquet")


def write_errors(errors: pl.DataFrame, output: Path, *, whole: bool) -> Path | None:
    """Write the rejected rows beside an output, or take away those of an earlier run; return the path if written.

    Those of an unfinished run go beside its unfinished output: the whole one, of an earlier run, keeps its own.
    """
    destination = _Destination(errors_path(output))
    try:
        if errors.is_empty():
            for stale in (destination.partial, *([destination.path] if whole else [])):
                stale.unlink(missing_ok=True)
            return None
        errors.write_parquet(destination.temporary)
    except (OSError, pl.exceptions.PolarsError) as error:
        destination.drop()
        raise _unwritable(destination.path, error) from None
    return destination.finish(whole=whole)
