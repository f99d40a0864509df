"""Chooses the rows that people judge: a uniform sample, or a queue that somebody has made."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import polars as pl

from extract.errors import ConfigError
from extract.io.source import records_of
from extract.io.sources import read_table
from extract.json_types import JsonObject
from extract.review.decision_file import DecisionFile
from extract.review.dtypes import dtype_texts
from extract.review.hashes import answer_hash, hash_of
from extract.review.source_table import SourceTable, check_keys
from extract.review.split import DEFAULT_SHARES, split_of
from extract.review.tasks import DrawnRow, Kind, ReviewSetup, Split
from extract.schema import OutputSchema, compile_schema

__all__ = ["AnswerSchema", "Drawn", "draw_queue", "draw_sample", "proof_hashes", "review_setup"]

_ENDING = ".db"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """Rows that were chosen, in the order of judging: `frame` has their cells, `rows` what a decision file stores.

    `population` is the number of rows of the table, `seed` that of a sample. `left_out` counts rows of a queue that
    were not chosen because they prove something: nobody may see their answers.
    """

    table: SourceTable
    frame: pl.DataFrame
    rows: tuple[DrawnRow, ...]
    kind: Kind
    population: int
    seed: int | None = None
    left_out: int = 0

    def counts(self) -> dict[Split, int]:
        """Return how many rows each part of the gold has."""
        splits = [row.split for row in self.rows]
        return {name: splits.count(name) for name in DEFAULT_SHARES}


def draw_sample(
    table: SourceTable,
    rows: int,
    *,
    seed: int = 0,
    fields: Sequence[str] = (),
    shares: Mapping[Split, float] = DEFAULT_SHARES,
) -> Drawn:
    """Return `rows` rows of a table, each set of rows equally likely; all of them, shuffled, where it has fewer.

    The same table, number and seed give the same rows in the same order. `fields` are those under review, for the
    hashes of answers; by default all. ConfigError for a key column that repeats, and for a table without rows.
    """
    if rows < 1:
        raise ConfigError(f"a sample has at least 1 row, not {rows}")
    if table.on is not None:
        check_keys(table)
    population = table.count()
    positions = Random(seed).sample(range(population), min(rows, population))  # noqa: S311 - a seed makes it repeatable
    chosen = _Chosen(positions, "sample", fields or tuple(table.answers), shares)
    frame, drawn = chosen.of(table)
    return Drawn(table=table, frame=frame, rows=drawn, kind="sample", population=population, seed=seed)


def draw_queue(
    table: SourceTable,
    queue: Any,
    *,
    fields: Sequence[str] = (),
    spared: Collection[str] = (),
    shares: Mapping[Split, float] = DEFAULT_SHARES,
) -> Drawn:
    """Return the rows of a table that a queue names, in the order of the queue.

    `queue` is a table with the key column of `table` (or `row`, the position, where it has none), and, where known,
    `score` and `reason`. Rows whose hash is among `spared`, as `proof_hashes` returns them, are left out. ConfigError
    for a queue without that column, with a key twice, or with one that the table does not have.
    """
    on = table.on or "row"
    listed = read_table(queue)
    if on not in listed.columns:
        raise ConfigError(f"the queue has no column {on!r} to name its rows; it has {listed.columns!r}")
    places = _places(table, listed, on)
    scores = _column(listed, "score", pl.Float64)
    reasons = _column(listed, "reason", pl.String)
    chosen = _Chosen(places, "queue", fields or tuple(table.answers), shares, scores, reasons)
    frame, drawn = chosen.of(table)
    is_free = [row.row_hash not in spared for row in drawn]
    return Drawn(
        table=table,
        frame=frame.filter(pl.Series(is_free, dtype=pl.Boolean)),
        rows=tuple(row for row, is_chosen in zip(drawn, is_free, strict=True) if is_chosen),
        kind="queue",
        population=table.count(),
        left_out=is_free.count(False),
    )


def _column(listed: pl.DataFrame, name: str, dtype: Any) -> list[Any]:
    return listed[name].cast(dtype, strict=False).to_list() if name in listed.columns else []


def _places(table: SourceTable, listed: pl.DataFrame, on: str) -> list[int]:
    """Return the positions of the rows that a queue names."""
    if table.on is not None:
        check_keys(table)
    keys = table.keys().cast(pl.String)
    place_of = pl.DataFrame({"key": keys, "place": pl.int_range(len(keys), eager=True)})
    wanted = listed.select(key=pl.col(on).cast(pl.String))
    if (twice := wanted["key"].filter(wanted["key"].is_duplicated())).len():
        raise ConfigError(f"the queue has the row {twice[0]!r} more than once")
    matched = wanted.join(place_of, on="key", how="left", maintain_order="left")
    if (missing := matched.filter(pl.col("place").is_null())["key"]).len():
        raise ConfigError(f"{table.address} has no row {missing[0]!r} ({on}), which the queue names")
    return [int(place) for place in matched["place"]]


@dataclass(frozen=True, slots=True)
class _Chosen:
    positions: Sequence[int]
    kind: Kind
    fields: Sequence[str]
    shares: Mapping[Split, float]
    scores: Sequence[float | None] = ()
    reasons: Sequence[str | None] = ()

    def of(self, table: SourceTable) -> tuple[pl.DataFrame, tuple[DrawnRow, ...]]:
        frame = table.rows_at(self.positions)
        if frame.is_empty():
            raise ConfigError(f"{table.address} has no rows to draw from")
        return frame, tuple(self._rows(table, records_of(frame)))

    def _rows(self, table: SourceTable, records: Iterable[Mapping[str, Any]]) -> Iterator[DrawnRow]:
        for order, (position, record) in enumerate(zip(self.positions, records, strict=True)):
            row_hash = hash_of({name: record[name] for name in table.inputs})
            answer = table.answer_of(record) if table.answers else None
            yield DrawnRow(
                row_id=_named(record[table.on]) if table.on else position,
                row_hash=row_hash,
                answer_hash=answer_hash(answer, self.fields),
                kind=self.kind,
                score=self.scores[order] if self.scores else None,
                reason=self.reasons[order] if self.reasons else None,
                split=split_of(row_hash, self.shares, proof=self.kind == "sample"),
            )


def _named(key: Any) -> str | int | float | bool:
    return key if isinstance(key, str | int | float | bool) else str(key)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerSchema:
    """What an answer is: its schema, and the names that the columns of answers have.

    `fields` are those that a person can decide: a computed column follows from others. `keys` has the key on the wire
    of each field that is named otherwise, `names` those of deeper members.
    """

    schema: OutputSchema
    fields: tuple[str, ...]
    keys: Mapping[str, str]
    names: Mapping[str, str]

    @classmethod
    def of(cls, schema: OutputSchema) -> AnswerSchema:
        """Return that of a pipeline."""
        fields = tuple(name for name in schema.dtypes if name in schema.keys)
        return cls(schema=schema, fields=fields, keys=schema.keys, names=schema.names)

    @classmethod
    def written(cls, manifest: JsonObject) -> AnswerSchema | None:
        """Return what an output says of its answers, None where it says nothing."""
        if not isinstance(manifest.get("schema"), dict):
            return None
        schema = compile_schema(manifest["schema"], extra=manifest.get("extra", "drop"))
        keys, known = manifest.get("keys") or {}, set(schema.keys.values())
        fields = tuple(name for name in manifest["fields"] if keys.get(name, name) in known)
        return cls(schema=schema, fields=fields, keys=keys, names=manifest.get("names") or {})

    def chosen(self, fields: Sequence[str] = ()) -> tuple[str, ...]:
        """Return the fields to review, by default all. ConfigError for one that is none."""
        if unknown := [name for name in fields if name not in self.fields]:
            raise ConfigError(f"there is no field {unknown[0]!r} to review; the schema has {', '.join(self.fields)}")
        return tuple(fields) or self.fields


def review_setup(
    drawn: Drawn,
    answers: AnswerSchema | OutputSchema,
    *,
    fields: Sequence[str] = (),
    pipeline: str | None = None,
    prefix: str = "",
    blind: bool = True,
) -> ReviewSetup:
    """Return the setup of a decision file for rows that were drawn. ConfigError for fields that cannot be reviewed.

    The types of the columns are those of the answers that are there, else those of the schema.
    """
    table = drawn.table
    answers = AnswerSchema.of(answers) if isinstance(answers, OutputSchema) else answers
    return ReviewSetup(
        schema=answers.schema.full,
        fields=answers.chosen(fields),
        inputs=table.inputs,
        on=table.on,
        source=os.fspath(Path(table.address).absolute()) if "://" not in table.address else table.address,
        pipeline=pipeline,
        prefix=prefix,
        blind=blind,
        population=drawn.population,
        seed=drawn.seed,
        enough_at=len(drawn.rows) if drawn.kind == "sample" else None,
        dtypes=dtype_texts({**answers.schema.dtypes, **table.dtypes}),
        keys=answers.keys,
        names=answers.names,
        extra=answers.schema.extra,
    )


def proof_hashes(paths: Iterable[str | os.PathLike[str]]) -> set[str]:
    """Return the hashes of all proof rows in decision files and in files of gold: rows that no queue may show.

    ConfigError for a table without the columns `_row_hash` and `_split`, which `extract gold write` writes.
    """
    hashes: set[str] = set()
    for path in map(Path, paths):
        if path.suffix.lower() == _ENDING:
            with DecisionFile.open(path) as file:
                hashes |= {one.row_hash for one in file.tasks(1, len(file)) if one.split == "proof"}
            continue
        gold = read_table(path)
        if not {"_row_hash", "_split"} <= set(gold.columns):
            raise ConfigError(f"{path} does not say which rows prove something: it has no columns _row_hash, _split")
        hashes |= set(gold.filter(pl.col("_split") == "proof")["_row_hash"].to_list())
    return hashes
