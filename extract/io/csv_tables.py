"""Csv files as lazy frames, with types that lose nothing; written anew where Polars does not read them."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkstemp
from typing import Any
from weakref import finalize

import polars as pl
from polars.selectors import by_name

from extract.errors import ConfigError
from extract.io.csv_dialects import Dialect, dialect_of, long_cells, rows_of, text_lines
from extract.io.file_encoding import is_compressed
from extract.io.globs import ending_of, matches
from extract.io.read_options import ReadOptions

__all__ = ["CsvTable", "broken_row", "open_csv", "plain_dialect", "remove_later"]

_SEPARATORS = {".csv": ",", ".tsv": "\t"}
_ZERO_OR_PLUS = r"^[+-]?0[0-9]|^\+|^-0$"
_EXPONENT = "[eE]"
_NOT_SHORTEST = r"\.[0-9]*0$|\.$|^[+-]?\.|^-0*\.?0*$|[eE]"
_EXACT_DIGITS = 15  # that every double keeps
_ADVICE = "; where other characters part or enclose cells, name them: --csv-separator, --csv-quote"
_MAX_DIGITS = 38  # of the widest integers of Polars, rounded down


@dataclass(frozen=True, slots=True)
class CsvTable:
    """One or more csv files of one dialect. `files` is a path, a glob, an address, or the paths to read one by one.

    `notes` say what was found out of them. `rewritten` are those that were written anew: they are removed with it.
    """

    files: str | list[str]
    dialect: Dialect
    is_glob: bool = False
    notes: tuple[str, ...] = ()
    rewritten: tuple[Any, ...] = field(default=(), repr=False)

    def scan(self) -> pl.LazyFrame:
        """Return the rows with the types that all of them have."""
        table = self._scan(infer_schema_length=None)
        schema = table.collect_schema()
        numbers = [name for name, dtype in schema.items() if dtype.is_numeric()]
        if not numbers:
            return table
        texts = self.texts().select(by_name(*numbers))
        as_text = _written_otherwise(texts, {name: schema[name] for name in numbers})
        overrides = dict.fromkeys(as_text, pl.String)
        return self._scan(infer_schema_length=None, schema_overrides=overrides) if overrides else table

    def texts(self) -> pl.LazyFrame:
        """Return the rows as they are written, without types."""
        return self._scan(infer_schema=False)

    def _scan(self, **typed: Any) -> pl.LazyFrame:
        dialect = self.dialect
        return pl.scan_csv(
            self.files, separator=dialect.separator, quote_char=dialect.quote, glob=self.is_glob, **typed
        )


def plain_dialect(address: str) -> Dialect | None:
    """Return how a file of this name is written unless it says otherwise, None for what is no csv."""
    separator = _SEPARATORS.get(ending_of(address))
    return None if separator is None else Dialect(separator=separator)


def open_csv(address: str, how: ReadOptions) -> CsvTable:
    """Return the table in a file, in all files of a glob, or at an address. ConfigError where it cannot be read."""
    plain = plain_dialect(address) or Dialect()
    if "://" in address:
        dialect = Dialect(how.separator or plain.separator, how.quote if how.csv_quote else plain.quote)
        return CsvTable(address, dialect, is_glob=True)
    is_one = Path(address).exists()
    paths = [Path(address)] if is_one else matches(address)
    paths = [path for path in paths if path.stat().st_size] or paths
    dialects = [dialect_of(path, plain, how) for path in paths]
    notes = tuple(dict.fromkeys(f"csv is read {text}" for one in dialects if (text := one.as_text(plain))))
    if dialects[0].native and len({*dialects}) == 1:
        table = CsvTable(address, dialects[0], not is_one, notes)
        if _is_read(table, paths):
            return table
    try:
        return _rewritten(paths, dialects, notes)
    except csv.Error:  # Polars says why, too, and more clearly
        return CsvTable(address, dialects[0], not is_one, notes)


def broken_row(address: str, how: ReadOptions) -> str:
    """Say which row of a csv file has more cells than its header, "" where none has or it is no csv file."""
    plain = plain_dialect(address)
    if plain is None or not os.path.isfile(address):  # noqa: PTH113 - it never raises, whatever the name
        return ""
    with suppress(csv.Error, ConfigError, ValueError, OSError):
        rows = rows_of(Path(address), dialect_of(Path(address), plain, how))
        width = len(next(rows, []))
        for row in rows:
            if len(row) > width:
                line = getattr(rows, "line_num", 0)
                return f"; line {line} has {len(row)} fields, the header {width}{_ADVICE}"
    return _ADVICE


def _rewritten(paths: list[Path], dialects: list[Dialect], notes: tuple[str, ...]) -> CsvTable:
    """Return the table in files that are written anew; with their own separator where all have one."""
    shared = {(one.separator, one.quote, one.escaped, one.native) for one in dialects}
    separator, quote, escaped, native = shared.pop()
    as_written = not shared and quote == '"' and not escaped and not native
    target = Dialect(separator) if as_written else Dialect()
    pairs = zip(paths, dialects, strict=True)
    files = tuple(_Rewritten(path, dialect, target, as_written=as_written) for path, dialect in pairs)
    return CsvTable([str(one.path) for one in files], target, False, notes, files)


def _is_read(table: CsvTable, paths: list[Path]) -> bool:
    """True where Polars reads a file with quotes, or it is not even: then its own message says where."""
    if any(map(is_compressed, paths)) or not any(_has_quotes(path) for path in paths):
        return True
    try:
        table.texts().select(pl.all().null_count()).collect(engine="streaming")
    except pl.exceptions.PolarsError:
        return False
    return True


def _has_quotes(path: Path) -> bool:
    with path.open("rb") as file:
        return any(b'"' in chunk for chunk in iter(lambda: file.read(1 << 20), b""))


class _Rewritten:
    """A csv file written anew in UTF-8, without blank lines. It is removed with this object.

    `as_written` leaves cells as they are: quotes around an empty one say that it is no null.
    """

    def __init__(self, path: Path, dialect: Dialect, target: Dialect, *, as_written: bool) -> None:
        self.path = remove_later(self, ".csv")
        with self.path.open("w", encoding="utf-8", newline="") as file, long_cells():
            if as_written and not dialect.line_end:
                file.writelines(_lines_of_rows(path, dialect))
            else:
                rows = (row for row in rows_of(path, dialect) if not _is_blank(row))
                csv.writer(file, delimiter=target.separator, lineterminator="\n").writerows(rows)


def remove_later(owner: object, ending: str) -> Path:
    """Return a new file that only this user can read; it is removed with its owner, or with the process."""
    descriptor, name = mkstemp(prefix="extract-", suffix=ending)
    os.close(descriptor)
    finalize(owner, _remove, name)
    return Path(name)


def _remove(name: str) -> None:
    with suppress(OSError):
        Path(name).unlink()


def _lines_of_rows(path: Path, dialect: Dialect) -> Iterator[str]:
    """Yield the lines of all rows, without blank ones."""
    lines: list[str] = []

    def noted() -> Iterator[str]:
        for line in text_lines(path, dialect):
            lines.append(line)
            yield line

    end = ""
    for row in rows_of(path, dialect, noted()):
        if not _is_blank(row):
            yield from lines
            end = lines[-1][-1:]
        elif end == "\r":  # the end of the row before it, where some program has written \r\r\n
            yield "\n"
            end = ""
        lines.clear()


def _is_blank(row: list[str]) -> bool:
    return not row or (len(row) == 1 and not row[0].strip() and row[0] != "")


def _written_otherwise(texts: pl.LazyFrame, schema: dict[str, Any]) -> list[str]:
    """Return the columns of numbers that say more than numbers can: `007`, `+49`, 1.10 beside 1.1, forty digits.

    They stay texts. What would be lost differs by the type that was inferred.
    """
    lost = {
        name: pl.col(name).str.contains(_ZERO_OR_PLUS)
        | (_inexact(pl.col(name)) if dtype.is_float() else pl.col(name).str.len_bytes() > _MAX_DIGITS)
        for name, dtype in schema.items()
    }
    result = _where(texts, {name: is_lost.any() for name, is_lost in lost.items()})
    floats = [name for name, dtype in schema.items() if dtype.is_float() and name not in result]
    mixed = _where(texts, {name: _has_two_notations(pl.col(name)) for name in floats})
    # Only here two texts may be one number; to count both takes memory.
    doubtful = {
        name: pl.col(name).hash().n_unique() != pl.col(name).cast(pl.Float64, strict=False).n_unique() for name in mixed
    }
    return [*result, *_where(texts, doubtful)]


def _where(texts: pl.LazyFrame, conditions: dict[str, pl.Expr]) -> list[str]:
    """Return the names whose condition holds, in one reading of the file."""
    if not conditions:
        return []
    numbered = [condition.alias(str(number)) for number, condition in enumerate(conditions.values())]
    holds = texts.select(numbered).collect(engine="streaming").row(0)
    return [name for name, held in zip(conditions, holds, strict=True) if held]


def _inexact(text: pl.Expr) -> pl.Expr:
    """True for a number with more digits than a double keeps, or too large for one; and for an exponent beside none."""
    number = text.cast(pl.Float64, strict=False)
    digits = (text.str.len_bytes() > _EXACT_DIGITS) & (_digits(text) != _digits(number.cast(pl.String)))
    exponent = text.str.contains(_EXPONENT)
    return digits | (number.is_infinite() & text.str.contains("[0-9]")) | (exponent.any() & ~exponent)


def _digits(text: pl.Expr) -> pl.Expr:
    return text.str.replace(r"[eE].*$", "").str.replace_all("[^0-9]", "").str.strip_chars("0")


def _has_two_notations(text: pl.Expr) -> pl.Expr:
    decimals = text.str.extract(r"\.([0-9]*)", 1).str.len_bytes().fill_null(0).filter(text.is_not_null())
    return text.str.contains(_NOT_SHORTEST).any() & (
        (decimals.min() != decimals.max()) | text.str.contains(r"[eE]|^[+-]?\.|\.$|^-").any()
    )
