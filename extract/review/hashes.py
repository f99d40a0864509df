"""Hashes that tell whether a row, or its answer, is still the one that a person has judged."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from hashlib import blake2b
from json import JSONEncoder
from typing import Any, Final

import polars as pl
from pydantic_core import to_jsonable_python

from extract.io.source import records_of

__all__ = ["answer_hash", "hash_of", "hashes_of"]

_BYTES: Final = 16
_ROWS: Final = 1_024
_as_json: Final = JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def hash_of(cells: Mapping[str, Any]) -> str:
    """Return the hash of some cells of a row by column, whatever the order of the columns.

    A value and its plain notation as text have one hash: 7 and "7", a date and "2026-05-04". So a row has the same hash
    in a csv file and in a Parquet file. Null and an empty text differ.
    """
    text = _as_json([[name, _plain(cells[name])] for name in sorted(cells)])
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_BYTES).hexdigest()


def answer_hash(answer: Mapping[str, Any] | None, fields: Iterable[str]) -> str | None:
    """Return the hash of the fields under review of an answer, by field; None where there is no answer."""
    return None if answer is None else hash_of({name: answer.get(name) for name in fields})


def hashes_of(frame: pl.DataFrame, columns: Iterable[str]) -> Iterator[str]:
    """Yield the hash of each row's cells in these columns."""
    chosen = frame.select(pl.col(name) for name in columns)
    for part in chosen.iter_slices(_ROWS):
        yield from map(hash_of, records_of(part)) if part.width else (hash_of({}) for _ in range(part.height))


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(int(value)) if value.is_integer() else repr(value)
    if isinstance(value, Mapping):
        return {str(name): _plain(value[name]) for name in sorted(value)}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return _plain_scalar(value)


def _plain_scalar(value: Any) -> str:
    if isinstance(value, Decimal):
        return format(value.normalize(), "f") if value.is_finite() else str(value)
    if isinstance(value, bytes):
        return b64encode(value).decode()
    if isinstance(value, timedelta):
        return str(to_jsonable_python(value))
    return value.isoformat() if isinstance(value, date | time) else str(value)
