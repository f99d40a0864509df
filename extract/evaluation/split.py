"""Gold split once: rows that are shown as examples, rows to choose by, and rows that only prove.

A row falls to its part by the hash of its cells alone: to the same in every command and every file, whatever other rows
there are. So what is chosen by some rows is never proved with them.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from hashlib import blake2b
from typing import Any, Final, Literal, TypeAlias, get_args

from pydantic_core import to_jsonable_python

from extract.errors import ConfigError
from extract.json_types import json_text

__all__ = ["DEFAULT_SHARES", "SPLIT", "Split", "parse_shares", "row_hash", "split_of"]

Split: TypeAlias = Literal["examples", "tuning", "proof"]
"""What the gold of a row may be used for. One row is used for one of them, in every file."""

SPLIT: Final = "_split"
"""The column of gold that says what a row is for. `extract gold` writes it."""

DEFAULT_SHARES: Final[Mapping[Split, float]] = {"examples": 0.2, "tuning": 0.2, "proof": 0.6}
_BYTES: Final = 16
_DIGITS: Final = 13  # of the hash, in hexadecimal: 52 bits, which a double holds


def row_hash(cells: Mapping[str, Any]) -> str:
    """Return the hash of a row's cells, all or some, by column, whatever the order of the columns.

    A value and its plain notation as text have one hash: 7 and "7", a date and "2026-05-04". So a row has the same hash
    in a csv file and in a Parquet file. Null and an empty text differ.
    """
    text = json_text([[name, _plain(cells[name])] for name in sorted(cells)])
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_BYTES).hexdigest()


def split_of(mark: str, shares: Mapping[Split, float] = DEFAULT_SHARES, *, proof: bool = True) -> Split:
    """Return the part of gold that the row with this hash belongs to.

    Without `proof` the row is one that people or prompts have seen together with its answer: it is never a proof row.

    >>> split_of("8f" + "0" * 30)
    'proof'
    """
    part = int(mark[:_DIGITS], 16) / 16**_DIGITS
    if not proof:  # what the two other parts would be without the third
        seen = shares["examples"] + shares["tuning"]
        return "examples" if seen and part < shares["examples"] / seen else "tuning"
    if part < shares["examples"]:
        return "examples"
    return "tuning" if part < shares["examples"] + shares["tuning"] else "proof"


def parse_shares(text: str) -> Mapping[Split, float]:
    """Return the shares that a text such as `20/20/60` names. ConfigError for any other text."""
    try:
        parts = [float(part) for part in text.split("/")]
    except ValueError:
        parts = []
    total = sum(parts)
    if len(parts) != len(get_args(Split)) or min(parts) < 0 or not 0 < total < float("inf"):
        raise ConfigError(f"{text!r} names no shares: write examples/tuning/proof, such as 20/20/60")
    return dict(zip(get_args(Split), (part / total for part in parts), strict=True))


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
