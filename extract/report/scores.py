"""How an output agrees with gold answers: its evaluation, and of each confusion matrix as much as a page can show."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Unpack

import polars as pl

from extract.errors import ConfigError
from extract.evaluation import Evaluation, evaluate
from extract.evaluation.confusion import Confusion, shown_label
from extract.evaluation.costs import whole_cost
from extract.evaluation.inputs import without_prefix
from extract.evaluation.labels import label_fields, text_fields
from extract.evaluation.rejected import inner_names
from extract.io.read_options import ReadKeywords
from extract.io.sources import read_table
from extract.report.material import PROVENANCE, Columns, Material
from extract.report.reliability import Reliability, reliability
from extract.report.row_status import valid_rows

__all__ = ["Cell", "ConfusionExcerpt", "Judgement", "WrongRows", "WrongValue", "judge"]

NO_PREDICTION = "(no prediction)"
_MAX_LABELS = 24
_MAX_PAIRS = 10


class Cell(NamedTuple):
    """The number of rows with the gold label `gold` and the prediction `predicted`."""

    gold: str
    predicted: str
    rows: int


@dataclass(frozen=True, slots=True)
class ConfusionExcerpt:
    """A part of a confusion matrix: the `labels` with the most mistakes out of `known`, and the `cells` among them.

    `supports` are the rows of each gold label, `worst` the most frequent pairs of different labels.
    """

    labels: tuple[str, ...]
    known: int
    supports: dict[str, int]
    cells: tuple[Cell, ...]
    worst: tuple[Cell, ...]


class WrongValue(NamedTuple):
    """What was answered, and what is right, as text: lists and structs are JSON, null is None."""

    predicted: str | None
    gold: str | None


@dataclass(frozen=True, slots=True)
class WrongRows:
    """By the text of the column `on`: the fields of a row that are wrong. `missing` are rows without a prediction."""

    on: str
    answered: Mapping[str, Mapping[str, WrongValue]]
    missing: Mapping[str, Mapping[str, WrongValue]]


@dataclass(frozen=True, slots=True)
class Judgement:
    """Scores, a confusion matrix for each field that holds labels, and which values of which rows are wrong."""

    evaluation: Evaluation
    confusions: dict[str, ConfusionExcerpt]
    wrong: WrongRows
    reliability: Reliability | None = None


def judge(material: Material, columns: Columns, gold: Any, *, on: str, **reading: Unpack[ReadKeywords]) -> Judgement:
    """Compare an output with gold answers, row by row where `on` is equal. `reading` is how their file is written.

    Raises ConfigError for gold answers that cannot be read, a column that is not there and keys that repeat.
    """
    schema = material.rows.collect_schema()
    dtypes = {field: schema[column] for column, field in columns.answer.items()}
    if on not in schema:
        raise ConfigError(f"{material.name} has no column {on!r} to join on; it has {list(schema)!r}")
    texts, prefix = text_fields([(on, schema[on]), *dtypes.items()]), str(material.manifest.get("prefix") or "")
    right = read_table(gold, texts=[*texts, *(prefix + name for name in texts)], **reading)
    right = without_prefix(right, prefix, dtypes)
    in_gold = {name.partition(".")[0] for name in right.columns}
    fields = {
        column: field for column, field in columns.answer.items() if field in in_gold and on not in (column, field)
    }
    if not fields:
        side = os.fspath(gold) if isinstance(gold, str | os.PathLike) else "gold"
        raise ConfigError(f"{side} has none of the output's fields {list(columns.answer.values())!r}")
    read = (on, *fields, *([PROVENANCE] if columns.provenance else []))
    # Provenance says which rows were rejected, and what they cost: so rejected rows stay in, as wrong ones.
    has_codes = columns.provenance and "code" in inner_names(schema, PROVENANCE)
    rows = material.rows if has_codes else valid_rows(material, columns)
    left = rows.select(read).rename(fields).collect(engine="streaming")
    names = [name for name in right.columns if name.partition(".")[0] in fields.values()]
    labels = list(label_fields((field, left.schema[field]) for field in fields.values()))
    spent = whole_cost(material.manifest, right.height)
    evaluation = evaluate(left, right, on=on, fields=names, labels=labels, spent=spent)
    scores = {score.name: score.confusion for score in evaluation.fields}
    confusions = {name: _excerpt(confusion) for name, confusion in scores.items() if confusion is not None}
    wrong = _wrong_rows(evaluation, on, schema[on])
    return Judgement(evaluation, confusions, wrong, reliability(material, columns, right, on=on, fields=names))


def _wrong_rows(evaluation: Evaluation, on: str, dtype: pl.DataType) -> WrongRows:
    wrong = evaluation.mistakes()
    # Keys of two types were compared as one: back to that of the output, whose rows are looked up.
    keys = wrong.to_series().cast(dtype, strict=False).cast(pl.String)
    values: dict[bool, dict[str, dict[str, WrongValue]]] = {False: {}, True: {}}
    for key, (field, predicted, gold, is_missing) in zip(keys, wrong.drop(wrong.columns[0]).iter_rows(), strict=True):
        values[is_missing].setdefault(key, {})[field] = WrongValue(predicted, gold)
    for row in (row for rows in values.values() for row in rows.values()):
        for whole in {field.rpartition(".")[0] for field in row}:  # its fields say it better
            row.pop(whole, None)
    return WrongRows(on, values[False], values[True])


def _excerpt(confusion: Confusion) -> ConfusionExcerpt:
    cells = list(_cells(confusion))
    worst = sorted((one for one in cells if one.gold != one.predicted), key=lambda one: (-one.rows, one))
    involved = Counter[str]()
    for gold, predicted, rows in worst:
        involved[gold] += rows
        involved[predicted] += rows
    known = dict.fromkeys(label for one in cells for label in one[:2])
    chosen = set(sorted(known, key=lambda label: (-involved[label], label))[:_MAX_LABELS])
    # In the order of the evaluation, so that rows and columns read alike.
    ordered = [*map(shown_label, confusion.labels), NO_PREDICTION]
    supports = Counter[str]()
    for label, rows in zip(ordered, confusion.supports, strict=False):
        supports[label] += rows  # a label may itself be called "(null)", like rows without one
    return ConfusionExcerpt(
        labels=tuple(label for label in dict.fromkeys(ordered) if label in chosen),
        known=len(known),
        supports=supports,
        cells=tuple(one for one in cells if {one.gold, one.predicted} <= chosen),
        worst=tuple(worst[:_MAX_PAIRS]),
    )


def _cells(confusion: Confusion) -> Iterator[Cell]:
    names = [*map(shown_label, confusion.labels), NO_PREDICTION]
    for gold, predicted, rows in confusion.cells:
        yield Cell(names[gold], names[predicted], rows)
    for name, rows in zip(names, confusion.unanswered, strict=False):
        if rows:
            yield Cell(name, NO_PREDICTION, rows)
