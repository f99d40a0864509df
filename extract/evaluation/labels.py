"""Scores of a field whose values are labels: per label, averaged, and corrected for chance."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from extract.evaluation.confusion import Confusion
from extract.evaluation.intervals import Bootstrap, Interval

__all__ = ["Average", "LabelScore", "averages", "label_fields", "label_intervals", "label_scores", "text_fields"]


def label_fields(dtypes: Iterable[tuple[str, Any]]) -> Iterator[str]:
    """Yield the fields that are labels by type, however few rows there are; csv and jsonl do not keep the type."""
    return (name for name, dtype in _leaves(dtypes) if isinstance(dtype, pl.Enum))


def text_fields(dtypes: Iterable[tuple[str, Any]]) -> Iterator[str]:
    """Yield the fields that hold texts; a csv reader must not turn their "1.50" into a number."""
    return (name for name, dtype in _leaves(dtypes) if dtype == pl.String)


def _leaves(dtypes: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Yield every field that is no struct, those within structs as `outer.inner`, with its dtype."""
    for name, dtype in dtypes:
        if isinstance(dtype, pl.Struct):
            yield from _leaves((f"{name}.{inner.name}", inner.dtype) for inner in dtype.fields)
        else:
            yield name, dtype


@dataclass(frozen=True, slots=True)
class LabelScore:
    """The score of one label. `precision` is None where it was never predicted, `recall` where gold never has it.

    `label` is None for null, which counts as a label where gold has nulls.
    """

    label: str | None
    precision: float | None
    recall: float | None
    f1: float
    support: int


@dataclass(frozen=True, slots=True)
class Average:
    """A mean over labels; an undefined precision or recall counts as 0."""

    precision: float
    recall: float
    f1: float


def label_scores(confusion: Confusion) -> tuple[LabelScore, ...]:
    """Return a score per label, sorted, null last. A null prediction is a label only where gold has nulls too."""
    figures = zip(confusion.labels, confusion.right, confusion.predictions, confusion.supports, strict=True)
    return tuple(_label_score(*one) for one in figures if one[0] is not None or one[-1])


def _label_score(label: str | None, hits: int, predictions: int, support: int) -> LabelScore:
    precision = hits / predictions if predictions else None
    recall = hits / support if support else None
    return LabelScore(label, precision, recall, 2 * hits / (predictions + support), support)


def averages(confusion: Confusion, labels: Sequence[LabelScore]) -> tuple[Average, Average, Average]:
    """Return the micro, the macro and the support-weighted average over labels that have a score."""
    scored = {score.label for score in labels}
    counted = zip(confusion.labels, confusion.right, confusion.predictions, strict=True)
    chosen = [(right, times) for label, right, times in counted if label in scored]
    hits, predicted = (sum(column) for column in zip(*chosen, strict=True))
    support = sum(score.support for score in labels)
    micro = Average(hits / predicted if predicted else 0.0, hits / support, 2 * hits / (predicted + support))
    return micro, _mean(labels, [1] * len(labels)), _mean(labels, [score.support for score in labels])


def _mean(labels: Sequence[LabelScore], weights: Sequence[int]) -> Average:
    figures = [(score.precision or 0.0, score.recall or 0.0, score.f1) for score in labels]
    total = sum(weights)
    sums = [math.fsum(map(math.prod, zip(column, weights, strict=True))) for column in zip(*figures, strict=True)]
    precision, recall, f1 = (part / total for part in sums)
    return Average(precision, recall, f1)


def label_intervals(confusion: Confusion, macro_f1: float, *, resamples: int, seed: int) -> dict[str, Interval]:
    """Return the intervals of macro-F1 and kappa. A resample's macro-F1 is over the labels that occur in it."""
    known = enumerate(zip(confusion.labels, confusion.supports, strict=True))
    scored = {place for place, (label, support) in known if label is not None or support}
    # Rows without a prediction count as a label of their own, which is predicted but never gold, and has no score.
    no_prediction = len(confusion.labels)
    cells = [*confusion.cells, *((gold, no_prediction, rows) for gold, rows in enumerate(confusion.unanswered) if rows)]
    cells.sort()
    # A resample is counts of cells. What a cell adds to its gold and to its predicted label is the same in every draw,
    # so one join and two sums give all figures of all draws.
    parts = [
        (row, label, int(gold == predicted), int(label == gold), int(label == predicted), label in scored)
        for row, (gold, predicted, _) in enumerate(cells)
        for label in dict.fromkeys((gold, predicted))
    ]
    names = {"row": pl.UInt32, "label": pl.UInt32, "hit": pl.Int64, "gold": pl.Int64, "given": pl.Int64}
    shares = pl.DataFrame(parts, schema=names | {"scored": pl.Boolean}, orient="row")
    bootstrap = Bootstrap([count for *_, count in cells], lambda draws: _figures(draws, shares), resamples, seed)
    return bootstrap.intervals({"macro_f1": macro_f1, "kappa": confusion.kappa})


def _figures(draws: pl.DataFrame, shares: pl.DataFrame) -> pl.DataFrame:
    """Return macro-F1 and kappa of every draw."""
    sums = [(pl.col("times") * pl.col(name)).sum().alias(name) for name in ("hit", "gold", "given")]
    by_label = draws.join(shares, on="row").group_by("draw", "label").agg(*sums, pl.col("scored").first())
    f1 = 2 * pl.col("hit") / (pl.col("gold") + pl.col("given"))
    whole = by_label.group_by("draw").agg(
        macro_f1=f1.filter(pl.col("scored")).sort().mean(),  # sorted: the same sum to the last bit, every time
        n=pl.col("gold").sum(),
        hits=pl.col("hit").sum(),
        chance=(pl.col("gold") * pl.col("given")).sum(),
    )
    room = pl.col("n") ** 2 - pl.col("chance")
    kappa = pl.when(room > 0).then((pl.col("hits") * pl.col("n") - pl.col("chance")) / room)
    return whole.select("draw", "macro_f1", kappa=kappa)
