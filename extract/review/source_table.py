"""A table whose rows are reviewed: which columns are inputs and which are answers, and rows of it by position."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import polars as pl
from polars.selectors import by_name

from extract.errors import ConfigError
from extract.evaluation.pairing import ABOUT_ANSWERS
from extract.evaluation.rejected import PROVENANCE, inner_names
from extract.io.retyping import retyped
from extract.io.sinks.open import errors_path, read_manifest
from extract.io.sources import Source, open_source
from extract.json_types import JsonObject
from extract.schema import OutputSchema

__all__ = ["REVIEW", "SourceTable", "check_keys", "open_source_table"]

REVIEW: Final = "_review"
"""The column of a corrected table that says who has decided what."""

_ROWS: Final = 16_384  # read at a time
_KEYS: Final = ("id", "row_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceTable:
    """The output of a run, or rows that have no answers yet.

    `answers` maps the fields of the schema to the columns of the answers, {} where there are none; `inputs` are the
    columns that are neither answers nor about them. `on` names the rows, None where only their position does.
    """

    address: str
    source: Source
    manifest: JsonObject
    answers: Mapping[str, str]
    inputs: tuple[str, ...]
    on: str | None
    dtypes: Mapping[str, Any]

    def batches(self) -> Iterator[pl.DataFrame]:
        """Yield all rows in order, the columns of the answers with the types of the schema."""
        typed = {column: self.dtypes[name] for name, column in self.answers.items() if name in self.dtypes}
        for frame in self.source.batches(_ROWS):
            yield retyped(frame, typed)

    @property
    def rejected(self) -> Path | None:
        """The file with the rejected rows of a run that has left them out of its output, None where there is none."""
        left_out = errors_path(Path(self.address)) if self.manifest.get("rejected_rows") == "left out" else None
        return left_out if left_out is not None and left_out.is_file() else None

    def count(self) -> int:
        """Return the number of rows."""
        known = self.source.height
        return sum(frame.height for frame in self.source.batches(_ROWS)) if known is None else known

    def rows_at(self, positions: Sequence[int]) -> pl.DataFrame:
        """Return the rows at these positions, in their order; a position beyond the last row is left out."""
        ordered = pl.DataFrame({"\0place": positions, "\0order": range(len(positions))}, schema=_PLACES)
        parts, first = [self._empty().join(ordered.head(0), on="\0place")], 0
        for frame in self.batches():
            placed = frame.with_columns(pl.int_range(first, first + frame.height).alias("\0place"))
            parts.append(placed.join(ordered, on="\0place"))
            first += frame.height
        return pl.concat(parts).sort("\0order").drop("\0place", "\0order")

    def _empty(self) -> pl.DataFrame:
        head = next(self.batches(), pl.DataFrame(schema=self.source.schema)).head(0)
        return head.with_columns(pl.lit(None, pl.Int64).alias("\0place"))

    def keys(self) -> pl.Series:
        """Return what names each row, in order."""
        if self.on is None:
            return pl.int_range(self.count(), eager=True)
        column = by_name(self.on)
        return pl.concat([frame.select(column) for frame in self.source.batches(_ROWS)]).to_series()

    def answer_of(self, record: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return a row's answer by field, None where it was rejected or the table has no answers."""
        answer = {name: record[column] for name, column in self.answers.items()}
        if PROVENANCE in record and "code" in inner_names(self.source.schema, PROVENANCE):
            provenance = record[PROVENANCE]
            return None if provenance is None or provenance["code"] is not None else answer
        keeps_rejected = self.manifest.get("rejected_rows", "null") == "null"
        return None if keeps_rejected and all(cell is None for cell in answer.values()) else answer


_PLACES: Final = {"\0place": pl.Int64, "\0order": pl.Int64}


def open_source_table(
    address: str | os.PathLike[str],
    schema: OutputSchema | None = None,
    *,
    prefix: str | None = None,
    on: str | None = None,
    dtypes: Mapping[str, Any] | None = None,
    by_position: bool = False,
) -> SourceTable:
    """Return a table by its path. ConfigError where it cannot be read, or has not the column `on`.

    Fields are those of `schema`, by default those in the footer of a Parquet file that a run has written. `prefix` is
    that of the answers' columns, by default the one in the footer. Where `on` is not given, it is the column that the
    run was told with `--id`, else a column `id` or `row_id`, if there is one.
    """
    path = os.fspath(address)
    source, manifest = open_source(path), read_manifest(Path(path))
    known = dtypes or (schema.dtypes if schema else dict.fromkeys(manifest.get("fields", ())))
    prefix = str(manifest.get("prefix") or "") if prefix is None else prefix
    answers = {name: prefix + name for name in known if prefix + name in source.schema}
    about = {*answers.values(), *ABOUT_ANSWERS, REVIEW}
    inputs = tuple(name for name in source.schema if name not in about)
    if on is not None and on not in inputs:
        raise ConfigError(f"{path} has no column {on!r} to name its rows; it has {list(inputs)!r}")
    named = [] if by_position else [name for name in (manifest.get("row_id"), *_KEYS) if name in inputs]
    table = SourceTable(
        address=path,
        source=source,
        manifest=manifest,
        answers=answers,
        inputs=inputs,
        on=on or next(iter(named), None),
        dtypes={name: source.schema[column] if dtypes is None and schema is None else known[name]
                for name, column in answers.items()},
    )  # fmt: skip
    return table if on is not None or _is_unique(table) else replace(table, on=None)


def check_keys(table: SourceTable) -> None:
    """Raise ConfigError where two rows have one key, or one has none: a decision would be of both, or of nobody."""
    keys = table.keys()
    if keys.null_count():
        raise ConfigError(f"{keys.null_count():,} rows of {table.address} have nothing in the column {table.on!r}")
    repeated = keys.filter(keys.is_duplicated()).unique(maintain_order=True).head(3).to_list()
    if repeated:
        raise ConfigError(f"the column {table.on!r} of {table.address} does not name rows: it repeats {repeated!r}")


def _is_unique(table: SourceTable) -> bool:
    try:
        check_keys(table)
    except ConfigError:
        return False
    return True
