"""Folders and globs of documents: one record per file, but for what nobody has put there to be read."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from glob import escape
from pathlib import Path
from urllib.parse import quote

import polars as pl

from extract.documents.files import printable
from extract.documents.mime import mime_type_of, sniff_type
from extract.errors import ConfigError, ExtractError
from extract.io.endings import TABLES
from extract.io.sinks.open import read_manifest
from extract.io.source import Source, from_frame

__all__ = ["documents_in", "documents_of", "one_document"]

_OF_THE_SYSTEM = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"})
_FOLDERS_OF_THE_SYSTEM = frozenset({"__macosx", "$recycle.bin", "system volume information", "lost+found"})
_OURS = re.compile(r"\.errors\.parquet$|\.\d+\.part$|\.cache-(wal|shm|journal)$|\.cache\.quota-")
_SIDE_NAME = re.compile(r"\.(partial|new\d*)(?=\.\w+$)")
_SQLITE = b"SQLite format 3\0"
_OPENING_BYTES = 1024

_HIDDEN, _SYSTEM, _LINKS = "hidden", "of the system", "links to folders"
_RUNS = "outputs, caches and temporary files of runs"


def documents_in(folder: Path, address: str) -> tuple[Source | None, str]:
    """Return one record for each file below a folder; or None and the glob of its tables, where all are Parquet."""
    left_out: Counter[str] = Counter()
    paths = _sifted(_walked(folder, left_out), left_out)
    endings = {path.suffix.lower() for path in paths}
    if endings == {".parquet"}:
        nested = any(path.parent != folder for path in paths)
        if left_out[_RUNS]:
            raise ConfigError(f"{address!r} holds tables, and outputs of runs beside them: name the tables with a glob")
        return None, os.path.join(escape(str(folder)), *["**"] * nested, _name_pattern(paths))  # noqa: PTH118 - a pattern
    return _source(paths, address, left_out), ""


def _name_pattern(tables: list[Path]) -> str:
    """Return the glob of these tables' names: .PARQUET is an ending like .parquet."""
    if all(path.suffix == ".parquet" for path in tables):
        return "*.parquet"
    return "*." + "".join(f"[{letter}{letter.upper()}]" for letter in "parquet")


def documents_of(paths: Iterable[Path], pattern: str, links: int = 0) -> Source:
    """Return one record for each file that matches a glob; hidden ones only where the pattern names them.

    `links` counts those that were not followed.
    """
    left_out: Counter[str] = Counter({_LINKS: links})
    files = (path for path in paths if not path.is_dir())
    return _source(_sifted(files, left_out, hidden=Path(pattern).name.startswith(".")), pattern, left_out)


def one_document(path: Path) -> Source:
    """Return one record for a file that is named itself, whatever it is."""
    source = _source([path], str(path), Counter())
    hint = f"{printable(path)} is one document; tables end in {', '.join(TABLES)}"
    return Source(source.schema, source.height, source.batches, hint=hint)


def _walked(folder: Path, left_out: Counter[str]) -> Iterator[Path]:
    """Yield all but folders: a broken link or a pipe becomes a record that is rejected with a reason."""

    def refuse(error: OSError) -> None:
        raise ConfigError(f"the folder {printable(error.filename)} cannot be read: {error.strerror}")

    for where, folders, names in os.walk(folder, onerror=refuse):
        # Links to folders are not followed: they may form a loop.
        left_out[_LINKS] += sum(Path(where, name).is_symlink() for name in folders)
        entered = []
        for name in folders:
            if name.startswith("."):
                left_out[_HIDDEN] += 1
            elif name.lower() in _FOLDERS_OF_THE_SYSTEM:
                left_out[_SYSTEM] += 1
            else:
                entered.append(name)
        folders[:] = entered
        yield from (Path(where, name) for name in names)


def _sifted(paths: Iterable[Path], left_out: Counter[str], *, hidden: bool = False) -> list[Path]:
    """Return the paths in order, without those that nobody has put there to be read; these are counted."""
    every = sorted(paths)
    caches = {path for path in every if path.name.endswith(".cache") and _begins_with(path, _SQLITE)}
    outputs = {path.with_name(path.name.removesuffix(".cache")) for path in caches}
    result = []
    for path in every:
        if path.name.startswith(".") and not hidden:
            left_out[_HIDDEN] += 1
        elif path.name.lower() in _OF_THE_SYSTEM or path.name.startswith("~$"):
            left_out[_SYSTEM] += 1
        elif path in caches or _is_of_a_run(path, outputs):
            left_out[_RUNS] += 1
        else:
            result.append(path)
    return result


def _is_of_a_run(path: Path, outputs: set[Path]) -> bool:
    if _OURS.search(path.name) or path.with_name(_SIDE_NAME.sub("", path.name)) in outputs:
        return True
    if path.suffix.lower() != ".parquet":
        return False
    with suppress(ExtractError, OSError, pl.exceptions.PolarsError):
        return bool(read_manifest(path))
    return False


def _source(documents: list[Path], address: str, left_out: Counter[str]) -> Source:
    """Return a source with one record per file: `path`, `name`, `mime_type`."""
    counts = ", ".join(f"{what} ({count:,})" for what, count in left_out.items() if count)
    if not documents:
        raise ConfigError(f"{address!r} holds no documents" + (f": all is left out ({counts})" if counts else ""))
    columns = {
        "path": [_as_cell(path) for path in documents],
        "name": [printable(path.name) for path in documents],
        "mime_type": [mime_type_of(path.name) or _sniffed(path) for path in documents],
    }
    endings = {path.suffix.lower() for path in documents}
    hint = ""
    if endings <= set(TABLES):
        globs = ", ".join(repr(str(documents[0].parent / f"*{ending}")) for ending in sorted(endings))
        hint = f"each file is one record here; to read the rows of the tables: {globs}"
    source = from_frame(pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String)))
    notes = (f"left out of the input: {counts}",) if counts else ()
    return Source(source.schema, source.height, source.batches, notes=notes, hint=hint)


def _sniffed(path: Path) -> str | None:
    """Return the type of a file whose name does not tell it, by its first bytes; None for what is no plain file."""
    try:
        if not path.is_file():  # a pipe would never end
            return None
        with path.open("rb") as file:
            return sniff_type(file.read(_OPENING_BYTES))
    except (OSError, ValueError):
        return None


def _begins_with(path: Path, mark: bytes) -> bool:
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(len(mark)) == mark
    except (OSError, ValueError):
        return False


def _as_cell(path: Path) -> str:
    """Return a path as text that can be stored: as a file: URI where its name is not valid Unicode."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return "file://" + quote(os.fsencode(path.absolute()))
    return str(path)
