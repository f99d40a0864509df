"""What a sink is, and what all files share: a temporary name until they are whole, a footer, types they can hold."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from glob import escape
from pathlib import Path
from typing import Any, Protocol

import polars as pl

from extract.errors import ConfigError, OutputError

__all__ = ["Sink", "footer", "read_footer"]


_METADATA_NAME = "extract"


ROWS_AT_ONCE = 1_024  # Polars takes about as long over a hundred rows


class Sink(Protocol):
    """Takes frames in order. `close` returns what was made; a run that did not finish says `whole=False`.

    `abandon` leaves nothing behind, and never raises. `write` is given blocks as they are finished; a sink that has an
    attribute `rows_at_once` gets about so many rows each time.
    """

    def open(self, schema: pl.Schema, metadata: Mapping[str, str]) -> None: ...
    def write(self, frame: pl.DataFrame) -> None: ...
    def close(self, *, whole: bool) -> Path | None: ...
    def abandon(self) -> None: ...


class Destination:
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
            raise unwritable(target, error) from None
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


def check_types(path: Path, schema: pl.Schema, *, binary_inside: bool) -> None:
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


def unwritable(path: Path, error: BaseException) -> OutputError:
    said = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return OutputError(f"{path} cannot be written: {said[:300]}; what was paid for is kept in the cache")


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
