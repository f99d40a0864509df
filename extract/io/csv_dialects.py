"""How a csv file is written: encoding, separator, quotes. Sought only where UTF-8, comma and quotes do not read it."""

from __future__ import annotations

import csv
import re
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from extract.documents.files import printable
from extract.errors import ConfigError
from extract.io.file_encoding import encoding_of, has_old_line_ends, is_compressed
from extract.io.read_options import ReadOptions

__all__ = ["Dialect", "dialect_of", "long_cells", "rows_of", "text_lines"]

_SEPARATORS = (";", "\t", "|", ",")
_NAMED = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)  # the first line of a file that Excel is to open
_SHOWN = {"\t": "tab"}


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a csv file is written. `quote` is None where quotes are letters like any other.

    `escaped`: a quote within a cell has a backslash before it, not a second quote. `skipped` lines stand before the
    header. `blanks`: there are blank lines, which are no rows. `line_end` is None for those that Polars knows.
    `damaged`: some bytes are wrong, and become marks.
    """

    separator: str = ","
    quote: str | None = '"'
    escaped: bool = False
    encoding: str = "utf-8"
    skipped: int = 0
    blanks: bool = False
    line_end: str | None = None
    damaged: bool = False

    @property
    def native(self) -> bool:
        """True where Polars reads the file as it is."""
        is_utf8 = self.encoding in ("utf-8", "utf-8-sig")
        return is_utf8 and not (self.escaped or self.skipped or self.blanks or self.line_end or self.damaged)

    def as_text(self, plain: Dialect) -> str:
        """Return what differs from the `plain` dialect, in words; "" where nothing does."""
        words = []
        if self.encoding not in (plain.encoding, "utf-8-sig"):
            words.append(f"in {self.encoding}")
        if self.separator != plain.separator:
            words.append(f"with {_SHOWN.get(self.separator, self.separator)} between cells")
        if self.escaped or self.quote != plain.quote:
            words.append('with \\" for a quote' if self.escaped else f"with {self.quote or 'nothing'} around cells")
        if self.damaged:
            words.append("with marks for bytes that are no UTF-8")
        return ", ".join(words)


@dataclass(frozen=True, slots=True)
class _Shape:
    """What a dialect makes of a file: the cells of its header, and how many rows have how many. `failure` ended it."""

    width: int
    rows: Counter[int]
    blanks: int
    failure: str = ""

    @property
    def even(self) -> bool:
        """True for several columns and as many cells in each row."""
        return not self.failure and self.width > 1 and not self.rows.keys() - {self.width}

    @property
    def unclosed(self) -> bool:
        return "unexpected end" in self.failure


def dialect_of(path: Path, plain: Dialect, how: ReadOptions) -> Dialect:
    """Return how a file is written: as given, else `plain` where that reads it evenly, else what does.

    A compressed file is not looked into.

    Raises ConfigError, with the option to give, where the encoding cannot be told or a quote is never closed.
    """
    if is_compressed(path):
        return _given(plain, how)
    known = _named(path, _given(_with_encoding(path, plain, how), how), how)
    with long_cells():
        shape = _shape(path, known)
        if shape.even:
            return _with_blanks(known, shape)
        for candidate in _candidates(path, known, how):
            other = _shape(path, candidate)
            if other.even and _is_quoted_so(path, candidate):
                return _with_blanks(candidate, other)
    if shape.unclosed:
        line = _open_quote(path, known)
        raise ConfigError(
            f"{printable(path)}: the quote in line {line} is never closed; where quotes are letters like any other: "
            "--csv-quote none (csv_quote=)"
        )
    return _with_blanks(known, shape)


def _given(dialect: Dialect, how: ReadOptions) -> Dialect:
    if how.separator is not None:
        dialect = replace(dialect, separator=how.separator)
    if how.csv_quote is not None:
        dialect = replace(dialect, quote=how.quote, escaped=how.escaped)
    return dialect


def _named(path: Path, dialect: Dialect, how: ReadOptions) -> Dialect:
    """Return the dialect with the separator that the first line names, if it does."""
    first = next(text_lines(path, dialect), "")
    if (match := _NAMED.fullmatch(first)) is None:
        return dialect
    return replace(dialect, skipped=1, separator=how.separator or match[1])


def _with_blanks(dialect: Dialect, shape: _Shape) -> Dialect:
    return replace(dialect, blanks=shape.blanks > 0)


def _candidates(path: Path, known: Dialect, how: ReadOptions) -> Iterator[Dialect]:
    """Yield other ways to write a file, the likelier first, without those that what is given excludes."""
    header = next((line for line in text_lines(path, known) if line.strip()), "")
    others = [separator for separator in _SEPARATORS if separator in header and separator != known.separator]
    marks = {mark for line in text_lines(path, known) for mark in ('\\"', "'", '"') if mark in line}
    for separator in (known.separator, *([] if how.separator else others)):
        doubled = replace(known, separator=separator)
        # In a file that doubles its quotes, a quote after a backslash ends its cell or is doubled.
        has_escapes = '\\"' in marks and _finds(path, known, rf'\\"(?!["{re.escape(separator)}\r\n]|$)')
        if how.csv_quote is None and has_escapes:
            yield replace(doubled, escaped=True)
        if separator != known.separator:
            yield doubled
        if how.csv_quote is None and '\\"' in marks and not has_escapes:
            yield replace(doubled, escaped=True)
        if how.csv_quote is None and '"' in marks:
            yield replace(doubled, quote=None)
        if how.csv_quote is None and "'" in marks:
            yield replace(doubled, quote="'")


def _is_quoted_so(path: Path, dialect: Dialect) -> bool:
    """True where the cells of a file bear out the quotes of a dialect: some stand in them, none in those to ignore."""
    if dialect.quote == '"':
        return True
    quote, separator = dialect.quote or '"', re.escape(dialect.separator)
    cell = rf"(?:^|{separator}){quote}[^{quote}]*{quote}(?:{separator}|[\r\n]*$)"
    return _finds(path, dialect, cell) == (dialect.quote is not None)


def _finds(path: Path, dialect: Dialect, pattern: str) -> bool:
    return any(map(re.compile(pattern).search, text_lines(path, dialect)))


def _shape(path: Path, dialect: Dialect) -> _Shape:
    rows: Counter[int] = Counter()
    width = 0
    lines = rows_of(path, dialect)
    try:
        width = len(next((row for row in lines if row), ()))
        rows.update(map(len, lines))
    except csv.Error as error:
        return _Shape(width, rows, rows.pop(0, 0), str(error))
    blanks = rows.pop(0, 0)
    if width > 1 and rows[1]:
        spaces = sum(len(row) == 1 and not row[0].strip() for row in rows_of(path, dialect))
        blanks += spaces
        rows[1] -= spaces
    return _Shape(width, +rows, blanks)


def rows_of(path: Path, dialect: Dialect, lines: Iterator[str] | None = None) -> Iterator[list[str]]:
    """Yield the rows of a file, blank lines as empty ones. csv.Error for what its dialect does not allow."""
    source = text_lines(path, dialect) if lines is None else lines
    if dialect.quote is None:
        return csv.reader(source, delimiter=dialect.separator, quoting=csv.QUOTE_NONE, strict=True)
    escape = "\\" if dialect.escaped else None
    return csv.reader(source, delimiter=dialect.separator, quotechar=dialect.quote, escapechar=escape, strict=True)


def text_lines(path: Path, dialect: Dialect) -> Iterator[str]:
    """Yield the lines of a file with their ends; backslashes that escape nothing are doubled where others do."""
    others = re.compile(rf"\\([\\\"{re.escape(dialect.separator)}])|\\")
    # Documents in damaged UTF-8 are read with marks in place of what is wrong; so are tables.
    errors = "replace" if dialect.encoding == "utf-8" else "strict"
    encoding = "utf-8-sig" if dialect.encoding == "utf-8" else dialect.encoding
    with path.open(encoding=encoding, errors=errors, newline="") as file:
        for _ in range(dialect.skipped):
            next(file, "")
        for line in file:
            yield others.sub(_escaped, line) if dialect.escaped else line


def _escaped(match: re.Match[str]) -> str:
    return match[0] if match[1] else r"\\"


def _open_quote(path: Path, dialect: Dialect) -> int:
    """Return the line in which the last cell begins."""
    rows = rows_of(path, dialect)
    line = 1 + dialect.skipped
    try:
        for _ in rows:
            line = getattr(rows, "line_num", 0) + 1 + dialect.skipped
    except csv.Error:
        pass
    return line


@contextmanager
def long_cells() -> Iterator[None]:
    """Let Python's reader take cells of any length meanwhile."""
    limit = csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    try:
        yield
    finally:
        csv.field_size_limit(limit)


def _with_encoding(path: Path, dialect: Dialect, how: ReadOptions) -> Dialect:
    """Return the dialect with the encoding of the file: given, marked, UTF-8, or told by the letters."""
    if how.csv_encoding is not None:
        return replace(dialect, encoding=how.csv_encoding)
    if has_old_line_ends(path):
        dialect = replace(dialect, line_end="\r")
    try:
        encoding, damaged = encoding_of(path)
    except ValueError as error:
        reason = str(error).partition(";")[0]
        raise ConfigError(
            f"{printable(path)}: {reason}; name it, as in --csv-encoding cp1251 (csv_encoding=)"
        ) from None
    return replace(dialect, encoding=encoding, damaged=damaged)
