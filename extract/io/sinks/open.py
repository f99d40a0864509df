"""The sink that a path stands for, whether it may be written to, and the file of rejected rows beside it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import polars as pl

from extract.documents.files import printable
from extract.errors import ConfigError, OutputError
from extract.io.sinks.base import Destination, FileSink, unwritable
from extract.io.sinks.formats import SINKS, one_of
from extract.io.sinks.text import TextSink
from extract.io.unreadable import NO_MANIFEST
from extract.json_types import JsonObject

__all__ = [
    "check_output",
    "count_rows",
    "errors_path",
    "keeps_manifest",
    "open_sink",
    "read_covered",
    "read_manifest",
    "scan_output",
    "write_errors",
]

_COVERED = "extract.covered"


_MAX_NAME_BYTES = 255  # of all usual file systems


def _sink_type(path: Path) -> type[FileSink]:
    """Return the class that writes files of this ending. ConfigError for an ending that stands in no table."""
    name = SINKS.get(path.suffix.lower())
    if name is None:
        raise ConfigError(f"{path}: an output ends in {one_of()}")
    kind: type[FileSink] = resolve_name(name)
    return kind


def open_sink(path: Path, *, csv_safe: bool = False) -> FileSink:
    """Return the sink that a path's ending stands for. ConfigError for another ending or a missing folder.

    With `csv_safe` no text in a csv begins like a formula; ConfigError for any other ending.
    """
    kind = _sink_type(path)
    _check_names(path)
    if not path.parent.is_dir():
        raise ConfigError(f"{path}: there is no folder {path.parent}")
    if path.is_dir():
        raise ConfigError(f"{path} is a folder; name a file")
    if (in_the_way := errors_path(path)).is_dir():
        raise ConfigError(f"{in_the_way} is a folder, where the rejected rows are to go; name another output")
    if not os.access(path.parent, os.W_OK):
        raise OutputError(f"{path}: the folder {path.parent} cannot be written to")
    if csv_safe and path.suffix.lower() != ".csv":
        raise ConfigError(f"{path}: csv_safe (--csv-safe) is about an output that ends in .csv")
    return TextSink(path, csv_safe=True) if csv_safe else kind(path)


def _check_names(path: Path) -> None:
    """Raise ConfigError for a name that some file of the run cannot have: found out later, the rows would be paid."""
    shown = printable(path)
    if "\0" in str(path):
        raise ConfigError(f"{shown}: a name cannot hold a zero character")
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise ConfigError(f"{shown}: the name is no Unicode, and cannot be written to; choose another") from None
    longest = Destination(errors_path(path)).temporary.name  # of all files beside the output
    if len(longest.encode()) > _MAX_NAME_BYTES:
        max_bytes = len(path.name.encode()) - len(longest.encode()) + _MAX_NAME_BYTES
        raise ConfigError(f"{shown}: the name is too long; with the files beside it, it may have {max_bytes} bytes")


def check_output(path: Path, *, pipeline: str, cache: Path | None, overwrite: bool) -> None:
    """Refuse to replace what this pipeline did not write.

    A file that keeps its manifest says which pipeline wrote it; for one that does not, a cache beside it must do.
    """
    if overwrite or not path.exists():
        return
    if keeps_manifest(path):
        same = read_manifest(path).get("pipeline") == pipeline
    else:
        same = cache == path.with_name(path.name + ".cache") and cache.exists()
    if not same:
        raise ConfigError(f"{path} exists and was not written by this pipeline; choose another name or add --overwrite")


def keeps_manifest(path: Path) -> bool:
    """Return whether a file of this ending says itself which run wrote it."""
    return _sink_type(path).keeps_manifest


def read_manifest(path: Path) -> JsonObject:
    """Return what an output says about its run, {} where it says nothing or is none of this library."""
    return _sink_type(path).read_manifest(path) if path.suffix.lower() in SINKS else {}


def count_rows(path: Path) -> int:
    """Return how many rows an output holds. Raises OSError or what Polars raises where it cannot be read."""
    return _sink_type(path).count(path)


def scan_output(path: Path, schema: Mapping[str, Any]) -> pl.LazyFrame:
    """Return the rows of an output lazily, with the columns and types of `schema`."""
    return _sink_type(path).read(path, schema)


def errors_path(output: Path) -> Path:
    """Return where the rejected rows of an output go."""
    return output.with_name(f"{output.stem}.errors.parquet")


def read_covered(errors: Path) -> tuple[str, int] | None:
    """Return whose rejected rows a file holds: the name of the output, and how many rows its run covers.

    None where the file does not say so, as those of earlier releases.
    """
    try:
        name, rows = json.loads(pl.read_parquet_metadata(errors)[_COVERED])
    except NO_MANIFEST:
        return None
    return (name, rows) if isinstance(name, str) and type(rows) is int else None


def write_errors(errors: pl.DataFrame, output: Path, *, whole: bool, rows: int = 0) -> Path | None:
    """Write the rejected rows beside an output, or take away those of an earlier run; return the path if written.

    Those of an unfinished run go beside its unfinished output: the whole one, of an earlier run, keeps its own. `rows`
    is how many rows the run covers: stored here, as an output of text has no place for it.
    """
    destination = Destination(errors_path(output))
    try:
        if errors.is_empty():
            for stale in (destination.partial, *([destination.path] if whole else [])):
                stale.unlink(missing_ok=True)
            return None
        destination.claim()
        errors.write_parquet(destination.temporary, metadata={_COVERED: json.dumps([output.name, rows])})
    except (OSError, pl.exceptions.PolarsError) as error:
        destination.drop()
        raise unwritable(destination.path, error) from None
    return destination.finish(whole=whole)
