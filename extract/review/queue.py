"""The rows of an output that something speaks against: rejected, unsure, or not found in their source."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from polars.selectors import by_name

from extract.errors import ConfigError
from extract.evaluation.rejected import PROVENANCE, inner_names
from extract.io.sinks.open import errors_path
from extract.review.source_table import SourceTable
from extract.schema.keywords import member

__all__ = ["doubtful_rows"]

_AGREEMENT, _SPANS = "_agreement", "_spans"
_PLACE, _SCORE, _REASON = "row", "score", "reason"
# What speaks against an answer, from 0 to 1: a person sees the worst first.
_REJECTED, _CONFLICT, _MISSING, _FUZZY, _REPAIRED, _MENDED = 1.0, 0.7, 0.6, 0.3, 0.2, 0.1


@dataclass(frozen=True, slots=True)
class _Doubt:
    """What may speak against a row: how much it does, 0 or null for not at all, and what it is in words."""

    score: pl.Expr
    reason: pl.Expr


def doubtful_rows(table: SourceTable, fields: Collection[str], *, limit: int) -> pl.DataFrame:
    """Return the key, score and reason of up to `limit` rows that something speaks against, the worst first.

    These are rows that were rejected, whose samples or windows differ, whose values are not in their source or only in
    similar words, and that needed a repair or a mend: what the columns of an output tell about `fields`. Each batch of
    rows is read by itself. ConfigError for a table without answers, and where nothing speaks against any row.
    """
    if not table.answers:
        raise ConfigError(f"{table.address} has no answers: a queue is of rows that have some; leave --queue out")
    doubts = list(_doubts(table, fields))
    worst, first = pl.DataFrame(), 0
    for frame in table.batches():
        doubtful = _doubtful(frame.with_row_index(_PLACE, first), doubts, table.on or _PLACE)
        worst = pl.concat([worst, doubtful], how="diagonal_relaxed")
        worst = worst.sort(_SCORE, _PLACE, descending=[True, False]).head(limit)
        first += frame.height
    if worst.is_empty():
        raise ConfigError(f"nothing speaks against any row of {table.address}: draw a sample, --sample{_beside(table)}")
    return worst if table.on is None else worst.drop(_PLACE)


def _beside(table: SourceTable) -> str:
    """Return how the rows are reviewed that were rejected and are not in the output, if there are any."""
    errors = errors_path(Path(table.address))
    if not errors.is_file():
        return ""
    return f"; for the rows that were rejected: extract review INPUT --pipeline PIPELINE --queue-file {errors}"


def _doubtful(frame: pl.DataFrame, doubts: Collection[_Doubt], key: str) -> pl.DataFrame:
    score = pl.max_horizontal(doubt.score for doubt in doubts).alias(_SCORE)
    rejected, *others = (pl.when(doubt.score > 0).then(doubt.reason) for doubt in doubts)
    reported = pl.concat_str(others, separator="; ", ignore_nulls=True) if others else pl.lit(None, pl.String)
    reason = pl.coalesce(rejected, reported).alias(_REASON)
    keys = [by_name(key)] if key == _PLACE else [by_name(key), by_name(_PLACE)]
    return frame.select(*keys, score, reason).filter(pl.col(_SCORE) > 0)


def _doubts(table: SourceTable, fields: Collection[str]) -> Iterator[_Doubt]:
    schema = table.source.schema
    reported = _types(schema, PROVENANCE)
    yield _rejected(table, reported)
    shares = [name for name in inner_names(schema, _AGREEMENT) if name in fields]
    if shares:
        yield _differing(shares)
    if {"path", "status"} <= _inner(schema.get(_SPANS)):
        paths = _paths(fields, table.manifest.get("keys"))
        yield _placed(paths, "missing", _MISSING, "not in the source")
        yield _placed(paths, "fuzzy", _FUZZY, "only similar words in the source")
    origin = pl.col(PROVENANCE).struct
    if "path" in _inner(reported.get("conflicts")):
        names = origin.field("conflicts").list.eval(pl.element().struct.field("path"))
        yield _named(names, _CONFLICT, "the parts of the text differ")
    if reported.get("repairs", pl.Null()).is_integer():
        yield _Doubt((origin.field("repairs") > 0).cast(pl.Float64) * _REPAIRED, pl.lit("repaired"))
    if reported.get("mended") == pl.List(pl.String):
        yield _named(origin.field("mended"), _MENDED, "mended")


def _rejected(table: SourceTable, reported: Collection[str]) -> _Doubt:
    code = pl.col(PROVENANCE).struct.field("code") if "code" in reported else pl.lit(None, pl.String)
    blank = pl.all_horizontal(by_name(column).is_null() for column in table.answers.values())
    is_rejected = code.is_not_null() | (blank if table.manifest.get("rejected_rows", "null") == "null" else False)
    reason = pl.concat_str([pl.lit("rejected"), code], separator=": ", ignore_nulls=True)
    return _Doubt(is_rejected.cast(pl.Float64) * _REJECTED, reason)


def _differing(names: Collection[str]) -> _Doubt:
    """Return the doubt where several samples of a row do not give the same value."""
    shares = {name: pl.col(_AGREEMENT).struct.field(name) for name in names}
    differing = [
        pl.when(share < 1).then(pl.concat_str([pl.lit(f"{name} "), (share * 100).round().cast(pl.Int64), pl.lit(" %")]))
        for name, share in shares.items()
    ]
    reason = pl.concat_str(
        [pl.lit("samples differ: "), pl.concat_str(differing, separator=", ", ignore_nulls=True)], ignore_nulls=True
    )
    return _Doubt(1 - pl.min_horizontal(shares.values()), reason)


def _placed(paths: str, status: str, score: float, words: str) -> _Doubt:
    """Return the doubt where values under these paths were found in the source in that way."""
    span = pl.element().struct
    is_one = (span.field("status").cast(pl.String) == status) & span.field("path").str.contains(paths)
    return _named(pl.col(_SPANS).list.eval(span.field("path").filter(is_one)), score, words)


def _named(names: pl.Expr, score: float, words: str) -> _Doubt:
    reason = pl.concat_str([pl.lit(f"{words}: "), names.cast(pl.List(pl.String)).list.head(5).list.join(", ")])
    return _Doubt((names.list.len() > 0).cast(pl.Float64) * score, reason)


def _paths(fields: Collection[str], keys: Any) -> str:
    """Return the pattern of the JSON paths of these fields."""
    named = keys if isinstance(keys, dict) else {}
    starts = "|".join(re.escape(member("$", str(named.get(name, name)))) for name in fields)
    return rf"^(?:{starts})(?:[.\[]|$)"


def _types(schema: pl.Schema, column: str) -> dict[str, Any]:
    """Return the types of the fields of a struct column; none where there is no such column."""
    dtype = schema.get(column)
    return dict(dtype.to_schema()) if isinstance(dtype, pl.Struct) else {}


def _inner(dtype: Any) -> set[str]:
    """Return the names of the fields of a list of structs."""
    is_list = isinstance(dtype, pl.List) and isinstance(dtype.inner, pl.Struct)
    return set(dtype.inner.to_schema()) if is_list else set()
