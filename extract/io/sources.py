"""Input as batches of rows: frames, rows, iterators, files, globs, cloud addresses, folders of documents."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from glob import escape, glob, has_magic
from itertools import islice, takewhile
from pathlib import Path
from typing import Any
from urllib.parse import quote

import polars as pl
from polars.selectors import by_name

from extract.documents.files import printable
from extract.documents.loader import is_document
from extract.documents.mime import mime_type_of
from extract.errors import ConfigError, ExtractError
from extract.io.arrow import read_arrow

__all__ = ["Source", "input_folder", "open_source", "read_table", "take_rows"]

_TABLE_ROWS = 65_536  # of a batch where all are read at once
_TEXTS = pl.Schema({"text": pl.String()})
_SCHEMA_ROWS = 1_000  # rows of an iterator that are read to learn its types


@dataclass(frozen=True, slots=True)
class Source:
    """The rows of an input. `batches(n)` yields them from the first, in frames of at most `n` rows.

    `height` is the number of rows, None where it is unknown.

    `once`: the rows come from an iterator, which can be read only once and may have no end. `folder` is the folder of
    the files that the rows come from, None for rows that a program made: what paths in them name is its own choice.
    """

    schema: pl.Schema
    height: int | None
    batches: Callable[[int], Iterator[pl.DataFrame]]
    once: bool = False
    folder: Path | None = None


def open_source(data: Any, *, limit: int | None = None) -> Source:
    """Return the source for a frame or series of any library, rows as mappings, a path, a glob or an address.

    `limit` takes only the first rows. Text files are read through once, so that a broken row is a ConfigError before
    the first paid request.

    >>> from extract import open_source
    >>> source = open_source(["I love it", "It broke"])
    >>> source.height, source.schema.names()
    (2, ['text'])
    """
    source = _opened(data)
    return source if limit is None else take_rows(source, limit)


def _opened(data: Any) -> Source:
    if isinstance(data, Source):
        return data
    if isinstance(data, str | os.PathLike):
        with _read_errors(str(data), _broken_row):
            return replace(_from_address(os.fspath(data)), folder=input_folder(os.fspath(data)))
    if isinstance(data, pl.DataFrame):
        return _from_frame(data)
    if isinstance(data, pl.LazyFrame):
        with _read_errors("the lazy frame"):
            return Source(data.collect_schema(), None, lambda rows: _checked_batches(data, rows, "the lazy frame"))
    if isinstance(data, pl.Series):
        return _from_frame(data.to_frame(data.name or "text"))
    if isinstance(data, Sequence) and _are_texts(data):
        return _from_frame(pl.DataFrame({"text": list(data)}, schema=_TEXTS))
    if isinstance(data, Sequence) and all(isinstance(row, Mapping) for row in data):
        with _read_errors("the rows"):
            return _from_frame(pl.DataFrame(list(data), infer_schema_length=None))
    with _read_errors(f"the {type(data).__name__}"):
        if (frame := read_arrow(data)) is not None:
            return _from_frame(frame)
    if isinstance(data, Iterator):  # not any iterable: a pandas frame would yield the names of its columns
        return _from_iterator(data)
    raise ConfigError(
        f"a {type(data).__name__} cannot be read as input; give a frame or series of Polars, pandas or Arrow, "
        "a list of dicts or of texts, an iterator of these, or a path"
    )


def read_table(data: Any, *, texts: Iterable[str] = ()) -> pl.DataFrame:
    """Return all rows of an input at once. Raises ConfigError as `open_source` does.

    `texts` names columns to be read from a csv file as they are written, even where they look like numbers.
    """
    if isinstance(data, pl.DataFrame):
        return data
    source = open_source(data)
    table = pl.concat([source.schema.to_frame(), *source.batches(_TABLE_ROWS)])
    if not isinstance(data, str | os.PathLike):
        return table
    address = os.fspath(data)
    separator = _SEPARATORS.get(_ending(address))
    guessed = [name for name in texts if source.schema.get(name, pl.String) != pl.String]
    if separator is None or not guessed:
        return table
    with _read_errors(address):
        return table.with_columns(_scan_texts(address, separator).select(by_name(*guessed)).collect())


def take_rows(source: Source, limit: int) -> Source:
    """Return the first `limit` rows of a source. ConfigError for less than one."""
    if limit < 1:
        raise ConfigError(f"limit must be at least 1, not {limit}")

    def batches(rows: int) -> Iterator[pl.DataFrame]:
        left = limit
        for frame in source.batches(rows) if left else ():
            yield frame.head(left)
            left -= frame.height
            if left <= 0:
                return

    return replace(source, height=None if source.height is None else min(limit, source.height), batches=batches)


def _from_iterator(items: Iterator[Any]) -> Source:
    """Return a source of rows, texts or frames that come one by one. It can be read only once.

    The first rows are read here, as they decide the types; the rest is never in memory all at once.
    """
    with _read_errors("the iterator"):
        first = list(islice(items, 1))
        of_frames = bool(first) and isinstance(first[0], pl.DataFrame)
        head = _frame_of(first if of_frames else [*first, *islice(items, _SCHEMA_ROWS - 1)], None)
    if head.width == 0:
        raise ConfigError("the iterator yields no rows")
    unread = [head]  # emptied by the first reader

    def batches(size: int) -> Iterator[pl.DataFrame]:
        if not unread:
            raise ConfigError("an iterator can be read only once; give a list, a frame or a file to run again")
        frame = unread.pop()
        done = 0
        while True:
            yield from frame.iter_slices(size)
            done += frame.height
            with _read_errors(f"the iterator, from row {done} on,"):
                if not (chunk := list(islice(items, 1 if of_frames else size))):
                    return
                frame = _frame_of(chunk, head.schema)

    return Source(head.schema, None, batches, once=True)


def _are_texts(items: Sequence[Any]) -> bool:
    """Return whether these are texts; None stands for a missing one."""
    return any(isinstance(item, str) for item in items) and all(isinstance(item, str | None) for item in items)


def _frame_of(items: list[Any], schema: pl.Schema | None) -> pl.DataFrame:
    """Return rows, texts or one frame as a frame of a schema, if one is given."""
    if items and all(isinstance(item, pl.DataFrame) for item in items):
        frame = items[0]
    elif _are_texts(items) or (schema == _TEXTS and not any(items)):
        frame = pl.DataFrame({"text": items}, schema=_TEXTS)
    elif all(isinstance(item, Mapping) for item in items):
        frame = pl.DataFrame(items, infer_schema_length=None)
    else:
        raise ConfigError("an iterator yields dicts, texts or Polars frames, and only one kind of these")
    return frame if schema is None else _fitted(frame, schema)


def _fitted(frame: pl.DataFrame, schema: pl.Schema) -> pl.DataFrame:
    """Return a frame with the types of the first rows. ConfigError where a column or a fraction would be lost."""
    if new := [name for name in frame.columns if name not in schema]:
        raise ConfigError(f"a later row of the iterator has {new!r}, which the first rows do not have")
    for column in frame.get_columns():
        if column.dtype.is_float() and schema[column.name].is_integer():
            raise ConfigError(
                f"a later row of the iterator has a fraction in {column.name!r}, where the first rows have integers"
            )
    missing = [pl.lit(None).alias(name) for name in schema if name not in frame.columns]
    return frame.with_columns(missing).select(schema.names()).cast(schema)


def _from_frame(frame: pl.DataFrame) -> Source:
    return Source(frame.schema, frame.height, frame.iter_slices)


def input_folder(address: str) -> Path:
    """Return the folder of an input, resolved: itself, that of a file, or that of a glob before its first wildcard.

    An address of a cloud has none: then it is the current folder.
    """
    if "://" in address:
        return Path.cwd().resolve()
    path = Path(address)
    if path.is_dir():
        return path.resolve()
    if path.exists() or not has_magic(address):
        # A document that is named itself may be sent wherever a link leads; the paths in a table are looked up from it.
        return path.parent.resolve() if _is_table(address) else path.resolve().parent
    return Path(*takewhile(lambda part: not has_magic(part), path.parent.parts)).resolve()


def _from_address(address: str) -> Source:
    if "://" in address:
        return _from_table(address)
    path = Path(address)
    if has_magic(address) and not path.exists():
        matches = sorted(glob(address, recursive=True))  # noqa: PTH207 - Path.glob takes no absolute pattern
        if not matches:
            raise ConfigError(f"no file matches {address!r}")
        return _from_table(address) if _is_table(address) else _from_documents(map(Path, matches), address)
    if path.is_dir():
        return _from_documents(_files_in(path), address)
    if not path.is_file():
        raise ConfigError(f"there is no file {address!r}")
    if _is_table(address):
        if path.stat().st_size == 0:
            raise ConfigError(f"{address} is empty")
        return _from_table(address)
    return _from_documents([path], address)


def _files_in(folder: Path) -> list[Path]:
    """Return all but folders, in order: a broken link or a pipe becomes a record that is rejected with a reason."""

    def refuse(error: OSError) -> None:
        raise ConfigError(f"the folder {printable(error.filename)} cannot be read: {error.strerror}")

    walked = os.walk(folder, onerror=refuse)  # links to folders are not followed: they may form a loop
    return sorted(Path(where, name) for where, _, names in walked for name in names)


def _from_documents(paths: Iterable[Path], address: str) -> Source:
    """Return a source with one record per file: `path`, `name`, `mime_type`."""
    documents = [path for path in paths if is_document(path)]
    if not documents:
        raise ConfigError(f"{address!r} holds no documents: text, pdf, images, audio, video or office files")
    columns = {
        "path": [_as_cell(path) for path in documents],
        "name": [printable(path.name) for path in documents],
        "mime_type": [mime_type_of(path.name) for path in documents],
    }
    return _from_frame(pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String)))


def _as_cell(path: Path) -> str:
    """Return a path as text that can be stored: as a file: URI where its name is not valid Unicode."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return "file://" + quote(os.fsencode(path.absolute()))
    return str(path)


def _scan_csv(address: str, separator: str = ",") -> pl.LazyFrame:
    """Scan a csv file with inferred types; a column of integers stays text where a number would lose a part of it.

    `007` is a name, not a 7, and `+49` is a prefix.
    """
    is_glob = not Path(address).exists()
    table = pl.scan_csv(address, infer_schema_length=None, separator=separator, glob=is_glob)
    # Only integers are looked at: in a float column a leading zero or a plus is ordinary notation.
    numbers = [name for name, dtype in table.collect_schema().items() if dtype.is_integer()]
    if not numbers:
        return table
    padded = (
        _scan_texts(address, separator)
        .select(by_name(*numbers).str.contains(r"^[+-]?0\d|^\+").any())
        .collect(engine="streaming")
    )
    as_text = {column.name: pl.String for column in padded.get_columns() if column.item()}
    return pl.scan_csv(address, infer_schema_length=None, separator=separator, glob=is_glob, schema_overrides=as_text)


def _scan_texts(address: str, separator: str) -> pl.LazyFrame:
    return pl.scan_csv(address, infer_schema=False, separator=separator, glob=not Path(address).exists())


def _scan_json_lines(address: str) -> pl.LazyFrame:
    return pl.scan_ndjson(escape(address) if Path(address).exists() else address, infer_schema_length=None)


_SEPARATORS = {".csv": ",", ".tsv": "\t"}
_READERS: dict[str, Callable[[str], pl.LazyFrame]] = {
    ".csv": _scan_csv,
    ".tsv": lambda address: _scan_csv(address, _SEPARATORS[".tsv"]),
    ".jsonl": _scan_json_lines,
    ".ndjson": _scan_json_lines,
    ".parquet": lambda address: pl.scan_parquet(address, glob=not Path(address).exists()),
    ".xlsx": lambda address: pl.read_excel(address).lazy(),
}


def _ending(address: str) -> str:
    return Path(address.partition("?")[0]).suffix.lower()


def _is_table(address: str) -> bool:
    return _ending(address) in _READERS


def _from_table(address: str) -> Source:
    reader = _READERS.get(_ending(address))
    if reader is None:
        raise ConfigError(f"{address!r} ends in none of {', '.join(_READERS)}")
    table = reader(address)
    schema = table.collect_schema()
    # Counting rows alone would parse no column. With the nulls counted too, a broken row fails here, unpaid.
    checked = table.select(pl.len().alias("\0rows"), pl.all().null_count()).collect(engine="streaming")
    height = int(checked.item(0, 0))
    if height == 0:
        raise ConfigError(f"{address} holds no rows")
    return Source(schema, height, lambda rows: _checked_batches(table, rows, address))


def _checked_batches(table: pl.LazyFrame, rows: int, what: str) -> Iterator[pl.DataFrame]:
    with _read_errors(what):
        try:
            for frame in table.collect_batches(chunk_size=rows, maintain_order=True):
                yield from frame.iter_slices(rows)
        except KeyboardInterrupt:  # Polars raises it in any thread; here it would end the event loop
            raise ConfigError(f"{what}: interrupted while it was read; run again to go on") from None


def _broken_row(address: str) -> str:
    """Say which row of a csv file has more fields than its header, "" where none has."""
    separator = _SEPARATORS.get(_ending(address))
    if separator is None or not os.path.isfile(address):  # noqa: PTH113 - it never raises, whatever the name
        return ""
    with Path(address).open(encoding="utf-8", errors="replace", newline="") as file:
        rows = csv.reader(file, delimiter=separator)
        header = next(rows, [])
        with suppress(csv.Error):  # a field too large for this reader: then the place stays unknown
            for row in rows:
                if len(row) > len(header):
                    return f"; line {rows.line_num} has {len(row)} fields, the header {len(header)}"
    return ""


@contextmanager
def _read_errors(what: str, where: Callable[[str], str] = lambda _: "") -> Iterator[None]:
    """Turn any error of reading `what` into a ConfigError of one line; `where` may add the place in the file."""
    try:
        yield
    except ExtractError:
        raise
    except ModuleNotFoundError as error:
        raise ConfigError(f"{what}: {error.name} is needed; pip install 'extract-interactions[excel]'") from None
    except Exception as error:  # readers raise many classes, and the user's functions in a lazy frame any
        reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise ConfigError(f"{what!r} cannot be read: {reason[:300]}{where(what)}") from None
