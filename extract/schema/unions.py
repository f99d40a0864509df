"""Unions as columns: one typed column where the alternatives agree, JSON where they do not."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import polars as pl

from extract.schema import codecs
from extract.schema.codecs import Codec, plain_json
from extract.schema.container_codecs import EXTRA, Branch, Record

__all__ = ["common_codec", "free_name", "merged_fields", "with_unique_names"]

_SIMPLE = (codecs.TEXT, codecs.INTEGER, codecs.FLOAT, codecs.BOOLEAN, codecs.DATE, codecs.UTC_DATETIME,
           codecs.LOCAL_DATETIME, codecs.LOCAL_TIME, codecs.DURATION)  # fmt: skip


def common_codec(parts: Sequence[Codec]) -> Codec | None:
    """Return one codec for alternatives with a common column type, None where only JSON can hold them all."""
    if any(part.is_json for part in parts):
        return None
    enums = [part.dtype for part in parts if isinstance(part.dtype, pl.Enum)]
    if len(enums) == len(parts):
        return codecs.labels(list(dict.fromkeys(label for dtype in enums for label in dtype.categories)))
    if {part.dtype for part in parts} <= {pl.Int64(), pl.Float64()} and any(part is codecs.FLOAT for part in parts):
        return codecs.FLOAT
    if all(part in _SIMPLE and part is parts[0] for part in parts):
        return parts[0]
    texts = (pl.String, pl.Enum, pl.Date, pl.Datetime, pl.Time, pl.Duration, pl.Binary)
    return codecs.text_column(codecs.alternatives(parts)) if all(isinstance(p.dtype, texts) for p in parts) else None


def merged_fields(records: Sequence[Record]) -> dict[str, Codec | None]:
    """Return the fields of all records by name with one codec each, None where their types differ."""
    merged: dict[str, Codec | None] = {}
    for record in records:
        for field in (*record.fields, *record.computed):
            if field.name not in merged:
                merged[field.name] = field.codec
            elif (known := merged[field.name]) is not None:
                merged[field.name] = _one_column(known, field.codec)
    if any(record.extra for record in records):
        merged[EXTRA] = codecs.json_column(plain_json)
    return merged


def _one_column(first: Codec, second: Codec) -> Codec | None:
    if first.is_json != second.is_json:
        return None
    if first.dtype == second.dtype:
        return first
    both = (first.dtype, second.dtype)
    if all(isinstance(dtype, pl.Enum) for dtype in both):
        return common_codec([first, second])
    return codecs.TEXT if all(isinstance(dtype, pl.Enum | pl.String) for dtype in both) else None


def with_unique_names(branches: Sequence[Branch]) -> list[Branch]:
    names: list[str] = []
    for branch in branches:
        count = sum(name == branch.name for name in names)
        names.append(f"{branch.name}_{count + 1}" if count else branch.name)
    return [Branch(name, branch.record, branch.fits) for name, branch in zip(names, branches, strict=True)]


def free_name(name: str, used: Collection[str]) -> str:
    """Return a name that is not used: `type`, or `_type` where the classes have a field `type` themselves."""
    while name in used:
        name = f"_{name}"
    return name
