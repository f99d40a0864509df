"""What is to be scored, as frames: frames of any library, rows, a Run or a file."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import polars as pl

from extract.evaluation.costs import whole_cost
from extract.evaluation.labels import label_fields, text_fields
from extract.evaluation.pairing import ABOUT_ANSWERS
from extract.evaluation.rejected import PROVENANCE, inner_names
from extract.io.read_options import ReadKeywords, ReadOptions
from extract.io.sinks.open import read_manifest
from extract.io.sources import read_table
from extract.json_types import JsonObject

__all__ = [
    "AnsweredRows",
    "answered_rows",
    "frames_of",
    "gold_beside",
    "named_by_schema",
    "rejected_rows",
    "spent_by",
    "without_prefix",
]

_UNTYPED = (".csv", ".tsv")


class _Details(Protocol):
    manifest: JsonObject
    failed_places: pl.Series


class _Run(Protocol):
    """What is read of a Run, whose class stands on the same floor."""

    details: _Details

    @property
    def frame(self) -> pl.DataFrame: ...


@dataclass(frozen=True, slots=True)
class AnsweredRows:
    """An output with all of its columns. `columns` maps those of the answer to the fields of the schema.

    `answered` says which rows have an answer, `keys` are the fields' keys on the wire where these differ.
    """

    rows: pl.DataFrame
    columns: Mapping[str, str]
    answered: pl.Series
    keys: Mapping[str, str]

    @property
    def answers(self) -> pl.DataFrame:
        """The same rows with fields under their names in the schema."""
        return named_by_schema(self.rows, self.columns)


def answered_rows(data: Any) -> AnsweredRows:
    """Return the rows of a Run, of what it wrote, or of any table, whose columns are then all taken for answers."""
    run, manifest = _as_run(data), _manifest_of(data)
    rows = read_table(data) if run is None else run.frame
    prefix, keys = str(manifest.get("prefix") or ""), manifest.get("keys")
    fields = {prefix + name: name for name in manifest.get("fields") or () if prefix + name in rows.columns}
    columns = fields or {name: name for name in rows.columns if name not in ABOUT_ANSWERS}
    rejected = rejected_rows(rows)
    if run is not None and manifest.get("rejected_rows") == "null":
        rejected |= pl.int_range(rows.height, eager=True).is_in(run.details.failed_places.implode())
    return AnsweredRows(rows, columns, ~rejected, dict(keys) if isinstance(keys, dict) else {})


def rejected_rows(rows: pl.DataFrame) -> pl.Series:
    """Return which rows were rejected, by their provenance; none where they have none."""
    if "code" not in inner_names(rows.schema, PROVENANCE):
        return pl.repeat(value=False, n=rows.height, dtype=pl.Boolean, eager=True)
    provenance = pl.col(PROVENANCE)
    return rows.select(provenance.is_null() | provenance.struct.field("code").is_not_null()).to_series()


def gold_beside(rows: pl.DataFrame, gold: Any) -> pl.DataFrame:
    """Return gold as a frame; what is text in `rows` is read from a csv file as it is written."""
    return read_table(gold, texts=_texts(rows) if _is_untyped(gold) else ())


def frames_of(
    sides: Mapping[str, Any],
    on: str,
    *,
    inputs: bool,
    prefix: str | None = None,
    reading: ReadKeywords | None = None,
) -> list[pl.DataFrame]:
    """Return each side as a frame, in order. ConfigError for what `run` would not read either.

    A Run and its Parquet file are the valid rows, with fields under their names in the schema; the columns of the input
    are left out, but for the key `on`, unless `inputs`. `prefix` is that of the columns of answers, by default what a
    Run or its footer says; gold may have it or not. A csv file is read last: what is text on another side is read as it
    is written, so that `007` there does not meet a 7 here. `reading` says how the file of the side "gold" is written.
    """
    _check_reading(sides, reading or {})
    frames: dict[str, pl.DataFrame] = {}
    prefixes = {"", *(_prefix_of(data, prefix) for data in sides.values())}
    for side, data in sorted(sides.items(), key=lambda item: _is_untyped(item[1])):
        texts = {start + name for start in prefixes for frame in frames.values() for name in _texts(frame)}
        how: ReadKeywords = (reading or {}) if side == "gold" else {}
        frames[side] = _frame_of(data, texts if _is_untyped(data) else set(), on, prefix, how, inputs=inputs)
    for side in [side for side, data in sides.items() if not _manifest_of(data).get("fields")]:
        fields = {name for other, frame in frames.items() if other != side for name in frame.columns if name != on}
        for start in prefixes:
            frames[side] = without_prefix(frames[side], start, fields)
    return [frames[side] for side in sides]


def _check_reading(sides: Mapping[str, Any], reading: ReadKeywords) -> None:
    """Raise ConfigError for options about a file where gold is none."""
    if "gold" not in sides:
        ReadOptions(**reading).check_for("a comparison without gold")
    elif _as_run(sides["gold"]) is not None:
        ReadOptions(**reading).check_for("a Run")


def _prefix_of(data: Any, prefix: str | None) -> str:
    return str(_manifest_of(data).get("prefix") or "") if prefix is None else prefix


def _frame_of(
    data: Any, texts: Iterable[str], on: str, prefix: str | None, reading: ReadKeywords, *, inputs: bool
) -> pl.DataFrame:
    """Return one side, with the columns of answers under their names in the schema where these are known."""
    run = _as_run(data)
    rows = read_table(data, texts=texts, **reading) if run is None else _valid_rows(run)
    start, fields = _prefix_of(data, prefix), _manifest_of(data).get("fields")
    if not fields:  # without a footer, the prefix alone tells what is an answer
        fields = [name.removeprefix(start) for name in rows.columns if name.startswith(start)] if start else []
        fields = [name for name in fields if name and name != on]
    return _answers(rows, {start + name: name for name in fields}, on, inputs=inputs) if fields else rows


def without_prefix(gold: pl.DataFrame, prefix: str, fields: Collection[str]) -> pl.DataFrame:
    """Return gold answers under the names of `fields`, where their columns have the prefix of an output's."""
    named = {column: column.removeprefix(prefix) for column in gold.columns if prefix and column.startswith(prefix)}
    return gold.rename(
        {
            column: name
            for column, name in named.items()
            if name.partition(".")[0] in fields and name not in gold.columns and column not in fields
        }
    )


def spent_by(predicted: Any, rows: int) -> float | None:
    """Return what a run cost in US dollars, where `rows` are all of its rows; None where nothing says so."""
    return whole_cost(_manifest_of(predicted), rows)


def named_by_schema(rows: pl.DataFrame, fields: Mapping[str, str]) -> pl.DataFrame:
    """Return rows with the columns `fields` under their names in the schema, in place of input columns of that name."""
    shadowed = [field for column, field in fields.items() if column != field and field in rows.columns]
    return rows.drop(shadowed).rename(fields)


def _is_untyped(data: Any) -> bool:
    return isinstance(data, str | os.PathLike) and Path(data).suffix.lower() in _UNTYPED


def _texts(frame: pl.DataFrame) -> list[str]:
    return [*text_fields(frame.schema.items()), *label_fields(frame.schema.items())]


def _manifest_of(data: Any) -> JsonObject:
    if (run := _as_run(data)) is not None:
        return run.details.manifest
    return read_manifest(Path(data)) if isinstance(data, str | os.PathLike) else {}


def _as_run(data: Any) -> _Run | None:
    return data if hasattr(getattr(data, "details", None), "failed_places") else None


def _valid_rows(run: _Run) -> pl.DataFrame:
    """Return the rows of a run without those that were rejected, which may stand in its frame with nulls."""
    rows, failed = run.frame, run.details.failed_places
    if "code" in inner_names(rows.schema, PROVENANCE):  # then the rows say themselves, and what they cost
        return rows
    if run.details.manifest.get("rejected_rows") != "null" or failed.is_empty():
        return rows
    return rows.filter(~pl.int_range(pl.len()).is_in(failed.implode()))


def _answers(rows: pl.DataFrame, fields: Mapping[str, str], on: str, *, inputs: bool) -> pl.DataFrame:
    columns = {column: name for column, name in fields.items() if column in rows.columns}
    chosen = [name for name in rows.columns if name in columns or name == on or name in ABOUT_ANSWERS]
    return named_by_schema(rows if inputs else rows.select(chosen), columns)
