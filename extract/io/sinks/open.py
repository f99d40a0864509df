"""The sink that a path stands for, whether it may be written to, and the file of rejected rows beside it."""

from __future__ import annotations

import os
from pathlib import Path

import polars as pl

from extract.errors import ConfigError, OutputError
from extract.io.sinks.base import Destination, read_footer, unwritable
from extract.io.sinks.parquet import ParquetSink
from extract.io.sinks.text import TextSink

__all__ = ["FORMATS", "check_output", "errors_path", "open_sink", "write_errors"]


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


def errors_path(output: Path) -> Path:
    """Return where the rejected rows of an output go."""
    return output.with_name(f"{output.stem}.errors.parquet")


def write_errors(errors: pl.DataFrame, output: Path, *, whole: bool) -> Path | None:
    """Write the rejected rows beside an output, or take away those of an earlier run; return the path if written.

    Those of an unfinished run go beside its unfinished output: the whole one, of an earlier run, keeps its own.
    """
    destination = Destination(errors_path(output))
    try:
        if errors.is_empty():
            for stale in (destination.partial, *([destination.path] if whole else [])):
                stale.unlink(missing_ok=True)
            return None
        errors.write_parquet(destination.temporary)
    except (OSError, pl.exceptions.PolarsError) as error:
        destination.drop()
        raise unwritable(destination.path, error) from None
    return destination.finish(whole=whole)
