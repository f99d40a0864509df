"""How an output agrees with gold answers: its evaluation, and of each confusion as much as a page can show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from extract.errors import ConfigError
from extract.evaluation import Evaluation, evaluate
from extract.evaluation.confusion import Confusion, shown_label
from extract.evaluation.labels import label_fields, text_fields
from extract.evaluation.rejected import inner_names
from extract.io.sources import read_table
from extract.report.material import PROVENANCE, Columns, Material
from extract.report.row_status import valid_rows
from extract.results.manifest import whole_cost

__all__ = ["Judgement", "Mistaken", "Taken", "judge"]

NO_PREDICTION = "(no prediction)"
_MOST_LABELS = 24
_MOST_PAIRS = 10


class Taken(NamedTuple):
    """How many rows with the gold label `gold` were given `predicted`."""

    gold: str
    predicted: str
    rows: int


@dataclass(frozen=True, slots=True)
class Mistaken:
    """Which labels are taken for which. `cells` are those among `labels`, of the `known` those with the most mistakes.

    `supports` are the rows of each gold label, `worst` the most frequent pairs of different labels.
    """

    labels: tuple[str, ...]
    known: int
    supports: dict[str, int]
    cells: tuple[Taken, ...]
    worst: tuple[Taken, ...]


@dataclass(frozen=True, slots=True)
class Judgement:
    """Scores, and for each field that holds labels which of them are mistaken."""

    evaluation: Evaluation
    mistaken: dict[str, Mistaken]


def judge(material: Material, columns: Columns, gold: str, *, on: str) -> Judgement:
    """Compare an output with the gold answers in a file, row by row where `on` is equal.

    Raises ConfigError for a gold file that cannot be read, a column that is not there and keys that repeat.
    """
    known = material.rows.collect_schema()
    dtypes = {field: known[column] for column, field in columns.answer.items()}
    right = read_table(gold, texts=text_fields(dtypes.items()))
    if on not in known:
        raise ConfigError(f"{material.name} has no column {on!r} to join on; it has {list(known)!r}")
    told = {name.partition(".")[0] for name in right.columns}
    fields = {column: field for column, field in columns.answer.items() if field in told and on not in (column, field)}
    if not fields:
        raise ConfigError(f"{gold} has none of the output's fields {list(columns.answer.values())!r}")
    read = (on, *fields, *([PROVENANCE] if columns.provenance else []))
    # Rows that tell by themselves whether they were rejected also tell what that has cost.
    telling = columns.provenance and "code" in inner_names(known, PROVENANCE)
    rows = material.rows if telling else valid_rows(material, columns)
    left = rows.select(read).rename(fields).collect(engine="streaming")
    names = [name for name in right.columns if name.partition(".")[0] in fields.values()]
    labels = list(label_fields((field, left.schema[field]) for field in fields.values()))
    spent = whole_cost(material.manifest, right.height)
    evaluation = evaluate(left, right, on=on, fields=names, labels=labels, spent=spent)
    confusions = {score.name: score.confusion for score in evaluation.fields}
    return Judgement(evaluation, {name: _mistaken(found) for name, found in confusions.items() if found is not None})


def _mistaken(confusion: Confusion) -> Mistaken:
    taken = list(_pairs(confusion))
    worst = sorted((one for one in taken if one.gold != one.predicted), key=lambda one: (-one.rows, one))
    involved = Counter[str]()
    for gold, predicted, rows in worst:
        involved[gold] += rows
        involved[predicted] += rows
    known = dict.fromkeys(label for one in taken for label in one[:2])
    chosen = set(sorted(known, key=lambda label: (-involved[label], label))[:_MOST_LABELS])
    # In the order of the evaluation, so that both sides read alike.
    ordered = [*map(shown_label, confusion.labels), NO_PREDICTION]
    supports = Counter[str]()
    for label, rows in zip(ordered, confusion.supports, strict=False):
        supports[label] += rows  # a label may be called as the rows without one are
    return Mistaken(
        labels=tuple(label for label in dict.fromkeys(ordered) if label in chosen),
        known=len(known),
        supports=supports,
        cells=tuple(one for one in taken if {one.gold, one.predicted} <= chosen),
        worst=tuple(worst[:_MOST_PAIRS]),
    )


def _pairs(confusion: Confusion) -> Iterator[Taken]:
    names = [*map(shown_label, confusion.labels), NO_PREDICTION]
    for gold, predicted, rows in confusion.cells:
        yield Taken(names[gold], names[predicted], rows)
    for name, rows in zip(names, confusion.unanswered, strict=False):
        if rows:
            yield Taken(name, NO_PREDICTION, rows)
