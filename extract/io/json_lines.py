"""Files of JSON lines as lazy frames. What is no JSON, but common, is mended: marks, NaN, halves of a character."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable
from glob import escape
from math import isfinite
from pathlib import Path
from typing import Any

import polars as pl

from extract.io.csv_tables import remove_later
from extract.io.file_encoding import encoding_of, has_old_line_ends, is_compressed
from extract.io.globs import matches

__all__ = ["scan_as_text", "scan_json_lines"]

_HALVES = re.compile("[\ud800-\udfff]")
_HIGH, _LOW = rb"\\u[dD][89aAbB][0-9a-fA-F]{2}", rb"\\u[dD][c-fC-F]"
_NO_JSON = re.compile(rb"NaN|Infinity|%b(?!%b)|(?<!%b)%b" % (_HIGH, _LOW, _HIGH, _LOW))  # halves without the other
_MAX_DIGITS = 39  # of the widest integers of Polars, rounded down
_UTF8_MARK = b"\xef\xbb\xbf"


def scan_json_lines(address: str) -> tuple[pl.LazyFrame, object]:
    """Return the rows of a file, of a glob or at an address, and what must live as long as they are read."""
    if "://" in address:
        return pl.scan_ndjson(address, infer_schema_length=None), None
    is_one, paths = Path(address).exists(), _paths(address)
    if not any(map(_is_to_be_mended, paths)):
        return pl.scan_ndjson(escape(address) if is_one else address, infer_schema_length=None), None
    mended = [_Mended(path) for path in paths]
    return pl.scan_ndjson([escape(str(one.path)) for one in mended], infer_schema_length=None), mended


def scan_as_text(address: str) -> tuple[pl.LazyFrame, tuple[str, ...], object] | None:
    """Return the same, with notes, where Polars fails: columns whose values share no type, or are nested, as JSON text.

    None for what is no JSON.
    """
    try:
        mended = [_Mended(path) for path in _paths(address)]
        kinds = _kinds(one.path for one in mended)
        texts = {name for name, of_values in kinds.items() if "nested" in of_values or len(of_values) > 1}
        for one in mended:
            one.write_texts(texts)
    except (ValueError, AttributeError):
        return None
    notes = tuple(f"the column {name!r} is read as JSON text" for name in sorted(texts))
    return pl.scan_ndjson([escape(str(one.path)) for one in mended], infer_schema_length=None), notes, mended


def _paths(address: str) -> list[Path]:
    return [Path(address)] if Path(address).exists() else matches(address)


def _kinds(paths: Iterable[Path]) -> dict[str, set[str]]:
    """Return what kinds of values each column has: nested, truth or plain."""
    kinds: dict[str, set[str]] = {}
    for path in paths:
        with path.open(encoding="utf-8") as lines:
            for line in filter(str.strip, lines):
                for name, value in _loads(line).items():
                    if value is not None:
                        kinds.setdefault(name, set()).add(_kind(value))
    return kinds


def _kind(value: Any) -> str:
    return "nested" if isinstance(value, dict | list) else "truth" if isinstance(value, bool) else "plain"


def _is_to_be_mended(path: Path) -> bool:
    if is_compressed(path):
        return False
    with path.open("rb") as lines:
        if lines.read(len(_UTF8_MARK)) == _UTF8_MARK or encoding_of(path) != ("utf-8", False):
            return True
        lines.seek(0)
        return has_old_line_ends(path) or any(_NO_JSON.search(line) for line in lines if _may_be_no_json(line))


def _may_be_no_json(line: bytes) -> bool:
    return b"\\u" in line or b"NaN" in line or b"Infinity" in line


class _Mended:
    """A file of JSON lines written anew. It is removed with this object."""

    def __init__(self, path: Path) -> None:
        self.path = remove_later(self, ".jsonl")
        encoding, damaged = encoding_of(path)
        encoding, errors = encoding.replace("utf-8", "utf-8-sig"), "replace" if damaged else "strict"
        with (
            path.open(encoding=encoding, errors=errors) as lines,
            self.path.open("w", encoding="utf-8", newline="\n") as file,
        ):
            file.writelines(map(_mended, lines))

    def write_texts(self, names: Collection[str]) -> None:
        """Write the file once more, with the values of these columns as JSON text."""
        before = self.path
        self.path = remove_later(self, ".jsonl")
        with before.open(encoding="utf-8") as lines, self.path.open("w", encoding="utf-8", newline="\n") as file:
            for line in filter(str.strip, lines):
                row = _loads(line)
                texts = {name: _text(row[name]) for name in names if row.get(name) is not None}
                file.write(json.dumps({**row, **texts}, ensure_ascii=False) + "\n")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _mended(line: str) -> str:
    if not _NO_JSON.search(line.encode()):
        return line
    try:
        value = _loads(line)
    except ValueError:  # Polars says where it is
        return line
    return _HALVES.sub("\ufffd", json.dumps(value, ensure_ascii=False)) + "\n"


def _loads(line: str) -> Any:
    """Return a value; what is no number is null, and a number that no column holds stays a text."""
    return json.loads(line, parse_constant=lambda _: None, parse_float=_number, parse_int=_number)


def _number(text: str) -> int | float | str:
    if text.lstrip("-").isdecimal():
        return int(text) if len(text) < _MAX_DIGITS else text
    number = float(text)
    return number if isfinite(number) else text
