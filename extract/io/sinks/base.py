"""What a sink is, and what those that make a file share: a temporary name until it is whole, and types it can hold."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import suppress
from glob import escape
from itertools import chain, count
from pathlib import Path
from typing import Any, ClassVar, Protocol

import polars as pl

from extract.errors import ConfigError, OutputError
from extract.json_types import JsonObject

__all__ = ["Destination", "FileSink", "Sink", "check_types", "unwritable"]


class Sink(Protocol):
    """Takes the frames of a run, in the order of the input: `run(..., sink=MySink())`.

    Subclass it and write what differs; only `write` has no default. Calls come one at a time, from a thread of the run:
    `open`, `write` as often as there are rows, then `close` or `abandon`. Where `write` or `close` fails, raise
    OutputError with the reason in one line: requests in flight finish, their answers go to the cache, and `Run.stopped`
    is that error. Any other exception ends the run in the same way, as the `__cause__` of an OutputError.

        class Rows(Sink):
            def __init__(self):
                self.rows = []

            def write(self, frame):
                self.rows += frame.to_dicts()
    """

    #: About how many rows `write` gets at a time. Polars takes about as long over a hundred rows as over a thousand.
    rows_at_once: int = 1_024

    def open(self, schema: pl.Schema, manifest: JsonObject) -> None:  # noqa: ARG002 - for those who override it
        """Prepare for frames of `schema`. `manifest` says what is asked, by what; no row has been asked yet."""
        return

    @abstractmethod
    def write(self, frame: pl.DataFrame) -> None:
        """Take the next rows."""

    def close(self, *, whole: bool, manifest: JsonObject) -> Path | None:  # noqa: ARG002 - as above
        """Finish, and return the path of what was made, if it has one.

        `whole` is False where the run ended early: rows are missing. `manifest` is that of `open` with the member
        `run`: counts, cost, seconds and the timeline of the run.
        """
        return None

    def abandon(self) -> None:
        """Leave nothing behind. Never raises."""
        return

    def scan(self, schema: pl.Schema) -> pl.LazyFrame | None:  # noqa: ARG002 - as above
        """Return the rows that were written, with the types of the run; None where they cannot be read back."""
        return None

    def on_interrupt(self) -> bool:
        """Say whether Ctrl-C has lost what was being written; called when Polars reports one in a thread of the run."""
        return False


class FileSink(Sink, Protocol):
    """A sink that makes one file; what a row of the table `SINKS` names. It is made with the path of the file."""

    #: True where the file itself says which run wrote it; without, the cache beside it must.
    keeps_manifest: ClassVar[bool] = False

    #: The most rows that such a file holds, None for as many as there are.
    max_rows: ClassVar[int | None] = None

    def __init__(self, path: Path) -> None: ...

    def keep_beside(self) -> None:
        """Make `close` write to OUTPUT.new.ENDING: the output that is there stays."""

    @staticmethod
    def count(path: Path) -> int:
        """Return how many rows such a file holds."""
        return int(pl.scan_parquet(path, glob=False).select(pl.len()).collect().item())

    @staticmethod
    def read(path: Path, schema: Mapping[str, Any]) -> pl.LazyFrame:  # noqa: ARG004 - for those who override it
        """Return the rows of such a file lazily, with the columns and types of `schema`."""
        raise OutputError(f"{path} cannot be read back")

    @staticmethod
    def read_manifest(path: Path) -> JsonObject:  # noqa: ARG004 - as above
        """Return what the file says about its run, {} where it says nothing."""
        return {}


class Destination:
    """A file that appears under its name only when it is whole; an unfinished run leaves `NAME.partial.ENDING`.

    The temporary name holds the process's number, so that two runs into one output do not write into each other.
    """

    def __init__(self, path: Path) -> None:
        self.path: Path = path
        self.temporary: Path = path.with_name(f"{path.name}.{os.getpid()}.part")
        self.partial: Path = path.with_name(f"{path.stem}.partial{path.suffix}")

    def claim(self) -> None:
        """Make the temporary file, empty: a link that somebody has put in its place is removed, never followed.

        So a name or a folder that cannot be written to is an OutputError before anything is paid for.
        """
        try:
            if self.temporary.is_char_device():
                return  # such as /dev/full: nothing there can be overwritten
            self.temporary.unlink(missing_ok=True)
            self.temporary.open("xb").close()
        except (OSError, ValueError) as error:
            raise unwritable(self.path, error) from None

    def finish(self, *, whole: bool) -> Path:
        """Give the file its name, and return it. OutputError where the file system refuses."""
        target = self.path if whole else self.partial
        try:
            self.temporary.replace(target)
            if whole:
                self.partial.unlink(missing_ok=True)
                self._remove_stale()
        except OSError as error:
            raise unwritable(target, error) from None
        return target

    def keep_beside(self) -> None:
        """Finish under the first free name of `NAME.new.ENDING`, `NAME.new2.ENDING` and so on."""
        stem, ending = self.path.stem, self.path.suffix
        names = (f"{stem}.new{number}{ending}" for number in chain([""], count(2)))
        self.path = next(path for name in names if not (path := self.path.with_name(name)).exists())
        self.partial = self.path.with_name(f"{self.path.stem}.partial{ending}")

    def drop(self) -> None:
        """Remove the temporary file."""
        with suppress(OSError):
            self.temporary.unlink(missing_ok=True)

    def _remove_stale(self) -> None:
        """Remove temporary files of this output whose processes were killed."""
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
    """Return the error of a file that cannot be written, with the first line of the reason."""
    reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return OutputError(f"{path} cannot be written: {reason[:300]}; what was paid for is kept in the cache")
