"""Damaged cache files: how SQLite reports one, how it is set aside, and how what can be read of it is copied."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from itertools import count
from pathlib import Path
from typing import Any

from extract.documents.files import printable
from extract.errors import ExtractError
from extract.interactions.dialects import decode
from extract.io.cache.checksums import is_sound_answer
from extract.io.cache.ledger import NOTE, is_possible_sum, is_sound_entry
from extract.io.cache.uploaded_files import is_possible_file

__all__ = [
    "APPLICATION_ID",
    "TABLES",
    "DamagedError",
    "beside",
    "copy_rows",
    "has_our_header",
    "is_damage",
    "reason",
    "salvage",
    "set_aside",
    "was_cache",
]

APPLICATION_ID = 0x65787472  # "extr": tells our files from other people's
TABLES = frozenset({"answers", "rungs", "attempts", "files", "groups"})

_ID_PLACE = 68  # of the application id in the header of a file
_HEAD_BYTES = 65_536
_MAX_ROWID = 2**62
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_UNREADABLE = (sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_SHORT_READ, sqlite3.SQLITE_IOERR_CORRUPTFS)
# Our statements are fixed: SQLite finds them wrong only where the description of the tables is damaged.
_OTHER_TABLES = re.compile(
    r"no such (table|column)|table \w+ (already exists|has no column)|duplicate column|unsupported file format"
)


class DamagedError(sqlite3.DatabaseError):
    """A file that SQLite opens, and that is not as this library left it."""


def is_damage(error: sqlite3.Error) -> bool:
    """Return whether an error shows a damaged file, not one that is locked, full or of another program."""
    code = getattr(error, "sqlite_errorcode", None)
    if not isinstance(code, int):
        return isinstance(error, DamagedError)
    return code & 0xFF in _DAMAGED or code in _UNREADABLE or _OTHER_TABLES.match(str(error)) is not None


def reason(error: Exception) -> str:
    """Return what SQLite says, in one line: it may quote the text of a damaged table."""
    return printable(" ".join(str(error).split())[:200])


def was_cache(path: Path) -> bool:
    """Return whether a damaged file was a cache: by its name, or by what is left of its header and tables."""
    head = _head(path)
    return path.suffix == ".cache" or _is_ours(head) or b"CREATE TABLE answers" in head or not any(head)


def has_our_header(path: Path) -> bool:
    """Return whether the file by itself, without its log, says that it is a cache."""
    return _is_ours(_head(path))


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_HEAD_BYTES)
    except OSError:
        return b"unreadable"


def _is_ours(head: bytes) -> bool:
    return head[_ID_PLACE : _ID_PLACE + 4] == APPLICATION_ID.to_bytes(4, "big")


def set_aside(path: Path) -> Path:
    """Give a cache file and its log another name, and return it. Raises OSError where that cannot be done."""
    names = (path.with_name(path.name + (".damaged" if number == 1 else f".damaged-{number}")) for number in count(1))
    aside = next(name for name in names if not any(one.exists() for one in (name, *beside(name))))
    # The file itself comes last: until then it is found where it was.
    for old, new in zip((*beside(path), path), (*beside(aside), aside), strict=True):
        if old.exists():
            old.rename(new)
    _tidy(aside)
    return aside


def salvage(damaged: Path, target: sqlite3.Connection) -> int:
    """Copy what can be read of a damaged file, and return how many answers that were.

    Its log may belong to another file: so the file is read with it, and then without.
    """
    modes = (
        ("mode=ro", "mode=ro&immutable=1") if damaged.stat().st_size else ()
    )  # SQLite deletes the log of an empty one
    for mode in modes:
        with suppress(sqlite3.Error), closing(_read_leniently(damaged, mode)) as source:
            source.text_factory = target.text_factory
            copy_rows(source, target)
    return int(target.execute("SELECT count(*) FROM answers").fetchone()[0])


def _read_leniently(damaged: Path, mode: str) -> sqlite3.Connection:
    source = sqlite3.connect(f"{damaged.absolute().as_uri()}?{mode}", uri=True)
    source.execute("PRAGMA writable_schema = ON")  # then SQLite reads a file that has been cut, as far as it goes
    return source


def _tidy(aside: Path) -> None:
    """Leave nothing beside the file but a log that has something in it."""
    log, index = beside(aside)
    with suppress(OSError):
        index.unlink(missing_ok=True)
        if log.exists() and log.stat().st_size == 0:
            log.unlink()


def copy_rows(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    """Copy all rows that can be read and are as they were stored, and that the other file does not have."""
    answers = (row for row in _rows(source, "answers", 5) if _is_answer(row))
    entries = (row for row in _rows(source, "attempts", 13) if is_sound_entry(row))
    with target:
        target.execute("BEGIN IMMEDIATE")  # another process may copy the same rows at this moment
        known = set(target.execute("SELECT at, checksum FROM attempts"))
        _insert(target, "answers (key, interaction, rung, at, checksum)", answers, 5)
        target.executemany(NOTE, (row for row in entries if row[-2:] not in known))
        _insert(target, "files", filter(is_possible_file, _rows(source, "files", 9)), 9)
        _insert(target, "rungs", (row for row in _rows(source, "rungs", 2) if isinstance(row[1], int)), 2)
        _insert(target, "funds", filter(is_possible_sum, _rows(source, "funds", 2)), 2)
        _insert(target, "services", (row for row in _rows(source, "services", 2) if isinstance(row[1], int)), 2)
        _insert(target, "groups", (row for row in _rows(source, "groups", 2) if isinstance(row[1], int)), 2)


def _insert(target: sqlite3.Connection, table: str, rows: Iterable[tuple[Any, ...]], width: int) -> None:
    places = ",".join("?" * width)
    target.executemany(f"INSERT OR IGNORE INTO {table} VALUES ({places})", rows)  # noqa: S608 - our own words


def _is_answer(row: tuple[Any, ...]) -> bool:
    """Return whether an answer is as it was stored; one without a checksum must be readable at least."""
    if not is_sound_answer(*row):
        return False
    try:
        return row[4] is not None or bool(decode(row[1]))
    except ExtractError:
        return False


def _rows(source: sqlite3.Connection, table: str, width: int) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a table that can be read, each as wide as one of the newest form.

    After a page that cannot be read, the next one that can is looked for in growing steps.
    """
    after, step = 0, 1
    while after < _MAX_ROWID:
        try:
            for rowid, *row in source.execute(f"SELECT rowid, * FROM {table} WHERE rowid > ?", (after,)):  # noqa: S608
                after, step = max(after, rowid), 1
                yield (*row, *[None] * (width - len(row)))[:width]
            return
        except (sqlite3.Error, UnicodeError):  # the latter for the name of a column that is no text any more
            after, step = after + step, step * 2


def beside(path: Path) -> tuple[Path, Path]:
    """Return where SQLite keeps the log of a file, and the index of the log."""
    return path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")
