"""How an output agrees with gold answers: the scores of each field, and which labels are taken for which."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

import polars as pl

from extract.errors import ConfigError
from extract.evaluation import Evaluation, evaluate
from extract.report.material import Columns, Material
from extract.sources import open_source

__all__ = ["Confusion", "Judgement", "judge"]

NO_LABEL = "(none)"
_MOST_LABELS = 24
_MOST_PAIRS = 20


class Taken(NamedTuple):
    """How often `predicted` stands where gold has `gold`."""

    gold: str
    predicted: str
    rows: int


@dataclass(frozen=True, slots=True)
class Confusion:
    """Which labels are taken for which. `cells` are those among `labels`, of the `known` those with the most mistakes.

    `mistakes` are the most frequent pairs of different labels.
    """

    labels: tuple[str, ...]
    known: int
    cells: tuple[Taken, ...]
    mistakes: tuple[Taken, ...]


@dataclass(frozen=True, slots=True)
class Judgement:
    """Scores, and a confusion for each field that holds labels."""

    gold: str
    evaluation: Evaluation
    confusions: dict[str, Confusion]


def judge(material: Material, columns: Columns, gold: str, *, on: str) -> Judgement:
    """Compare an output with the gold answers in a file, row by row where `on` is equal.

    Raises ConfigError for a gold file that cannot be read, a column that is not there and keys that repeat.
    """
    right = _table(gold)
    wanted = [column for column, field in columns.answer.items() if field in right.columns and column != on]
    if not wanted:
        raise ConfigError(f"{gold} has none of the output's fields {list(columns.answer.values())!r}")
    known = material.rows.collect_schema()
    if on not in known:
        raise ConfigError(f"{material.name} has no column {on!r} to join on; it has {list(known)!r}")
    fields = {column: columns.answer[column] for column in wanted}
    left = material.rows.select(on, *wanted).rename(fields).collect(engine="streaming")
    evaluation = evaluate(left, right, on=on, fields=list(fields.values()))
    confusions = {score.name: _confusion(left, right, on, score.name) for score in evaluation.fields if score.labels}
    return Judgement(gold, evaluation, confusions)


def _table(address: str) -> pl.DataFrame:
    source = open_source(address)
    return pl.concat([source.schema.to_frame(), *source.batches(65_536)])


def _confusion(left: pl.DataFrame, right: pl.DataFrame, on: str, field: str) -> Confusion:
    """Count pairs of labels; a gold row without a prediction has none there."""
    key = _key(left.schema[on], right.schema[on], on)
    ours, theirs = left.select(key, _labels(left, field)), right.select(key, _labels(right, field))
    if _values(left, field).dtype == pl.Boolean:
        theirs = theirs.with_columns(pl.col("label").str.to_lowercase())
    pairs = theirs.join(ours, on="key", how="left", suffix="_predicted").fill_null(NO_LABEL)
    counted = pairs.group_by("label", "label_predicted").len("rows")
    return _confusion_of([Taken(*row) for row in counted.iter_rows()])


def _key(ours: pl.DataType, theirs: pl.DataType, on: str) -> pl.Expr:
    """Return keys that meet although one file writes 1 and the other 1.0, as `evaluate` has them."""
    as_numbers = ours.is_numeric() and theirs.is_numeric()
    return pl.col(on).cast(pl.Float64 if as_numbers else pl.String).alias("key")


def _labels(frame: pl.DataFrame, field: str) -> pl.Series:
    return _values(frame, field).cast(pl.String).alias("label")


def _values(frame: pl.DataFrame, field: str) -> pl.Series:
    """Return a column, or the member of a struct that `outer.inner` names."""
    if field in frame.columns:
        return frame[field]
    outer, *inner = field.split(".")
    values = frame[outer]
    for name in inner:
        values = values.struct.field(name)
    return values


def _confusion_of(counted: list[Taken]) -> Confusion:
    mistakes = sorted(
        (taken for taken in counted if taken.gold != taken.predicted), key=lambda taken: (-taken.rows, taken)
    )
    known = {label for taken in counted for label in taken[:2]}
    involved = Counter[str]()
    for gold, predicted, rows in mistakes:
        involved[gold] += rows
        involved[predicted] += rows
    # As many as can be told apart; in the order of the alphabet, so that both sides read alike.
    shown = sorted(known, key=lambda label: (-involved[label], label))[:_MOST_LABELS]
    labels = sorted(shown, key=lambda label: (label == NO_LABEL, label))
    return Confusion(
        labels=tuple(labels),
        known=len(known),
        cells=tuple(taken for taken in counted if taken.gold in labels and taken.predicted in labels),
        mistakes=tuple(mistakes[:_MOST_PAIRS]),
    )
