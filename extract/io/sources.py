"""Input as batches of rows: frames, rows, iterators, files, globs, cloud addresses, folders of documents."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from glob import has_magic
from itertools import takewhile
from pathlib import Path
from typing import Any, Unpack

import polars as pl
from polars.selectors import by_name

from extract.errors import ConfigError
from extract.io.arrow import frame_of_rows, read_arrow
from extract.io.csv_tables import broken_row, open_csv, plain_dialect
from extract.io.folders import documents_in, documents_of, one_document
from extract.io.forks import check_fork
from extract.io.globs import ending_of, matches_once
from extract.io.iterators import TEXTS, are_texts, from_iterator
from extract.io.read_options import ReadKeywords, ReadOptions
from extract.io.source import Source, from_frame, read_errors, take_rows, whole_batches
from extract.io.tables import is_table, open_table

__all__ = ["Source", "input_folder", "open_source", "read_table", "shared_reading", "take_rows"]

_TABLE_ROWS = 65_536  # of a batch where all are read at once


def open_source(data: Any, *, limit: int | None = None, **how: Unpack[ReadKeywords]) -> Source:
    """Return the source for a frame or series of any library, rows as mappings, a path, a glob or an address.

    `limit` takes only the first rows. Text files are read through once, so that a broken row is a ConfigError before
    the first paid request. `csv_separator`, `csv_quote`, `csv_encoding` and `sheet` are as in `run`.

    >>> from extract import open_source
    >>> source = open_source(["I love it", "It broke"])
    >>> source.height, source.schema.names()
    (2, ['text'])
    """
    check_fork()
    source = _opened(data, ReadOptions(**how))
    return source if limit is None else take_rows(source, limit)


def _opened(data: Any, how: ReadOptions) -> Source:
    if isinstance(data, str | os.PathLike):
        with read_errors(str(data), partial(broken_row, how=how)):
            return replace(_from_address(os.fspath(data), how), folder=input_folder(os.fspath(data)))
    if isinstance(data, Source):
        how.check_for("a source that is open already: give them to open_source")
        return data
    how.check_for(f"a {type(data).__name__}")
    if isinstance(data, pl.DataFrame):
        return from_frame(data)
    if isinstance(data, pl.LazyFrame):
        with read_errors("the lazy frame"):
            return Source(data.collect_schema(), None, lambda rows: whole_batches(data, rows, "the lazy frame"))
    if isinstance(data, pl.Series):
        return from_frame(data.to_frame(data.name or "text"))
    if isinstance(data, Sequence) and are_texts(data):
        with read_errors("the texts"):
            return from_frame(pl.DataFrame({"text": list(data)}, schema=TEXTS))
    if isinstance(data, Sequence) and all(isinstance(row, Mapping) for row in data):
        with read_errors("the rows"):
            return from_frame(frame_of_rows(list(data)))
    with read_errors(f"the {type(data).__name__}"):
        if (read := read_arrow(data)) is not None:
            return replace(from_frame(read[0]), notes=read[1])
    if isinstance(data, Iterator):  # not any iterable: a pandas frame would yield the names of its columns
        return from_iterator(data)
    raise ConfigError(
        f"a {type(data).__name__} cannot be read as input; give a frame or series of Polars, pandas or Arrow, "
        "a list of dicts or of texts, an iterator of these, or a path"
    )


def read_table(data: Any, *, texts: Iterable[str] = (), **how: Unpack[ReadKeywords]) -> pl.DataFrame:
    """Return all rows of an input at once. Raises ConfigError as `open_source` does, for options that do not fit too.

    `texts` names columns to be read from a csv file as they are written, even where they look like numbers.
    """
    if isinstance(data, pl.DataFrame):
        ReadOptions(**how).check_for("a frame")
        return data
    source = open_source(data, **how)
    table = pl.concat([source.schema.to_frame(), *source.batches(_TABLE_ROWS)])
    if not isinstance(data, str | os.PathLike):
        return table
    address = os.fspath(data)
    guessed = [name for name in texts if source.schema.get(name, pl.String) != pl.String]
    if plain_dialect(address) is None or not guessed:
        return table
    with read_errors(address):
        as_written = open_csv(address, ReadOptions(**how))  # held: its files may have been written anew
        return table.with_columns(as_written.texts().select(by_name(*guessed)).collect())


def shared_reading(inputs: Sequence[Any], reading: ReadKeywords) -> list[ReadKeywords]:
    """Return, for each of several inputs, those options that fit it. ConfigError for one that fits none of them."""
    how = ReadOptions(**reading)
    addresses = [os.fspath(data) if isinstance(data, str | os.PathLike) else "" for data in inputs]
    csvs = [plain_dialect(address) is not None for address in addresses]
    sheets = [ending_of(address) == ".xlsx" for address in addresses]
    how.check_for("what is given here", csv=any(csvs), excel=any(sheets))
    return [how.of_kind(csv=csv, excel=excel).keywords for csv, excel in zip(csvs, sheets, strict=True)]


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
        return path.parent.resolve() if is_table(address) else path.resolve().parent
    return Path(*takewhile(lambda part: not has_magic(part), path.parent.parts)).resolve()


def _from_address(address: str, how: ReadOptions) -> Source:
    if "://" in address:
        return open_table(address, how)
    path = Path(address)
    if has_magic(address) and not path.exists():
        paths, loops = matches_once(address)
        if not paths:
            raise ConfigError(f"no file matches {address!r}")
        if is_table(address):
            return open_table(address, how)
        how.check_for("a glob of documents")
        return documents_of(paths, address, loops)
    if path.is_dir():
        how.check_for("a folder")
        documents, tables = documents_in(path, address)
        return documents or open_table(tables, how)
    if not path.is_file():
        raise ConfigError(f"there is no file {address!r}")
    if is_table(address):
        if path.stat().st_size == 0:
            raise ConfigError(f"{address} is empty")
        return open_table(address, how)
    how.check_for("a document")
    return one_document(path)
