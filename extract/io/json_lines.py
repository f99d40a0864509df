"""Files of JSON lines as lazy frames. What is no JSON, but common, is mended: marks, NaN, halves of a character."""

from __future__ import annotations

import json
import re
from glob import escape, glob
from pathlib import Path

import polars as pl

from extract.io.csv_tables import remove_later
from extract.io.file_encoding import encoding_of, has_old_line_ends

__all__ = ["scan_json_lines"]

_HALVES = re.compile("[\ud800-\udfff]")
_HIGH, _LOW = rb"\\u[dD][89aAbB][0-9a-fA-F]{2}", rb"\\u[dD][c-fC-F]"
_NO_JSON = re.compile(rb"NaN|Infinity|%b(?!%b)|(?<!%b)%b" % (_HIGH, _LOW, _HIGH, _LOW))  # halves without the other
_UTF8_MARK = b"\xef\xbb\xbf"


def scan_json_lines(address: str) -> tuple[pl.LazyFrame, object]:
    """Return the rows of a file, of a glob or at an address, and what must live as long as they are read."""
    if "://" in address:
        return pl.scan_ndjson(address, infer_schema_length=None), None
    is_one = Path(address).exists()
    paths = [Path(address)] if is_one else [Path(path) for path in sorted(glob(address, recursive=True))]  # noqa: PTH207
    if not any(map(_is_to_be_mended, paths)):
        return pl.scan_ndjson(escape(address) if is_one else address, infer_schema_length=None), None
    mended = [_Mended(path) for path in paths]
    return pl.scan_ndjson([escape(str(one.path)) for one in mended], infer_schema_length=None), mended


def _is_to_be_mended(path: Path) -> bool:
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


def _mended(line: str) -> str:
    if not _NO_JSON.search(line.encode()):
        return line
    try:
        value = json.loads(line, parse_constant=lambda _: None)
    except ValueError:  # Polars says where it is
        return line
    return _HALVES.sub("\ufffd", json.dumps(value, ensure_ascii=False)) + "\n"
