"""Chooses the rows that people judge: a uniform sample, or a queue that somebody has made."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import polars as pl

from extract.errors import ConfigError
from extract.evaluation.split import DEFAULT_SHARES, SPLIT, Split
from extract.io.sources import read_table
from extract.json_types import JsonObject
from extract.review.decision_file import DecisionFile
from extract.review.drawn import Drawn, described
from extract.review.dtypes import dtype_texts
from extract.review.source_table import SourceTable, check_keys
from extract.review.tasks import ReviewSetup
from extract.schema import OutputSchema, compile_schema

__all__ = ["AnswerSchema", "Drawn", "draw_queue", "draw_sample", "proof_hashes", "review_setup"]

_ENDING = ".db"


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
    chosen = described(table, positions, "sample", fields or tuple(table.answers), shares)
    return Drawn(table=table, chosen=chosen, kind="sample", population=population, seed=seed)


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
    chosen = described(table, places, "queue", fields or tuple(table.answers), shares)
    chosen = chosen.with_columns(_column(listed, "score", pl.Float64), _column(listed, "reason", pl.String))
    unseen = chosen.filter(~pl.col("row_hash").is_in(list(spared)))
    left_out = chosen.height - unseen.height
    return Drawn(table=table, chosen=unseen, kind="queue", population=table.count(), left_out=left_out)


def _column(listed: pl.DataFrame, name: str, dtype: Any) -> pl.Series:
    empty = pl.Series(name, [None], dtype=dtype).new_from_index(0, listed.height)
    return listed[name].cast(dtype, strict=False) if name in listed.columns else empty


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
    places: list[int] = matched["place"].to_list()
    return places


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
        if not {"_row_hash", SPLIT} <= set(gold.columns):
            raise ConfigError(f"{path} does not say which rows prove something: it has no columns _row_hash, _split")
        hashes |= set(gold.filter(pl.col(SPLIT) == "proof")["_row_hash"].to_list())
    return hashes
