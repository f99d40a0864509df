"""Scores of a field whose values are labels: per label, averaged, and corrected for chance."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import polars as pl

from extract.evaluation.intervals import Bootstrap, Interval
from extract.evaluation.pairing import Pairs
from extract.evaluation.tables import aligned
from extract.evaluation.written import written_boolean

__all__ = [
    "Average",
    "Confusion",
    "LabelScore",
    "averages",
    "confusion_of",
    "label_fields",
    "label_intervals",
    "label_scores",
    "shown_label",
]

Label: TypeAlias = str | None

_MOST_ACROSS: Final = 12
_MOST_CONFUSED: Final = 20


def label_fields(dtypes: Iterable[tuple[str, Any]]) -> Iterator[str]:
    """Yield the fields that are labels by their types, however few rows there are: csv and jsonl forget it."""
    for name, dtype in dtypes:
        if isinstance(dtype, pl.Enum):
            yield name
        elif isinstance(dtype, pl.Struct):
            yield from label_fields((f"{name}.{inner.name}", inner.dtype) for inner in dtype.fields)


@dataclass(frozen=True, slots=True)
class LabelScore:
    """How one label fared. `precision` is None where it was never predicted, `recall` where gold never has it.

    `label` is None for the rows whose gold value is null, which then count as a label of their own.
    """

    label: str | None
    precision: float | None
    recall: float | None
    f1: float
    support: int


@dataclass(frozen=True, slots=True)
class Average:
    """A mean over labels; what is undefined for one of them counts as 0."""

    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, slots=True)
class Confusion:
    """How often rows of each gold label were given each label: `counts[gold][predicted]`, by place in `labels`.

    `labels` are all that either side uses, sorted, null last. `unanswered` counts, per gold label, rows without a
    prediction.
    """

    labels: tuple[Label, ...]
    counts: tuple[tuple[int, ...], ...]
    unanswered: tuple[int, ...]

    @property
    def n(self) -> int:
        return sum(map(sum, self.counts)) + sum(self.unanswered)

    @property
    def hits(self) -> int:
        return sum(row[place] for place, row in enumerate(self.counts))

    @property
    def supports(self) -> list[int]:
        """Gold rows per label."""
        return [sum(row) + none for row, none in zip(self.counts, self.unanswered, strict=True)]

    @property
    def predictions(self) -> list[int]:
        """Rows that were given each label."""
        return [sum(column) for column in zip(*self.counts, strict=True)]

    @property
    def kappa(self) -> float | None:
        """Cohen's kappa: agreement beyond chance. None where chance leaves no room for any."""
        n = self.n
        by_chance = sum(map(math.prod, zip(self.supports, self.predictions, strict=True)))
        return (self.hits * n - by_chance) / (n * n - by_chance) if n and by_chance < n * n else None

    @property
    def matthews(self) -> float | None:
        """Matthews' correlation for any number of labels. None where one side has one label only."""
        n, none = self.n, sum(self.unanswered)
        by_chance = sum(map(math.prod, zip(self.supports, self.predictions, strict=True)))
        gold = n * n - sum(count**2 for count in self.supports)
        predicted = n * n - sum(count**2 for count in (*self.predictions, none))
        return (self.hits * n - by_chance) / math.sqrt(gold * predicted) if gold and predicted else None

    def confused(self, most: int | None = None) -> list[tuple[Label, Label, int]]:
        """Return (gold, predicted, rows) for labels that were mistaken for another, most frequent first."""
        wrong = [
            (gold, predicted, count)
            for gold, row in zip(self.labels, self.counts, strict=True)
            for predicted, count in zip(self.labels, row, strict=True)
            if count and gold != predicted
        ]
        return sorted(wrong, key=lambda one: -one[2])[:most]

    def __str__(self) -> str:
        """Return the matrix, gold labels down and predicted ones across; of many labels the pairs most confused."""
        return "\n".join(self._matrix() if len(self.labels) <= _MOST_ACROSS else self._worst())

    def _matrix(self) -> list[str]:
        names = list(map(shown_label, self.labels))
        none = ["(none)"] if any(self.unanswered) else []
        rows = [
            [name, *(f"{count:,}" for count in (*row, unanswered)[: len(names) + len(none)])]
            for name, row, unanswered in zip(names, self.counts, self.unanswered, strict=True)
        ]
        return aligned(["gold \\ predicted", *names, *none], rows, words=1)

    def _worst(self) -> list[str]:
        wrong = self.confused()
        rows = [(shown_label(gold), shown_label(given), f"{count:,}") for gold, given, count in wrong[:_MOST_CONFUSED]]
        rest = sum(count for *_, count in wrong[_MOST_CONFUSED:])
        more = [f"and {rest:,} rows in {len(wrong) - len(rows):,} other pairs"] if rest else []
        return [*aligned(("gold", "predicted", "rows"), rows, words=2), *more]

    def frame(self) -> pl.DataFrame:
        """Return one row per pair that occurs: gold, predicted (both null for null), answered, rows."""
        pairs = [
            (gold, predicted, True, count)
            for gold, row in zip(self.labels, self.counts, strict=True)
            for predicted, count in zip(self.labels, row, strict=True)
            if count
        ]
        pairs += [(gold, None, False, none) for gold, none in zip(self.labels, self.unanswered, strict=True) if none]
        schema = {"gold": pl.String, "predicted": pl.String, "answered": pl.Boolean, "rows": pl.Int64}
        return pl.DataFrame(pairs, schema=schema, orient="row")


def shown_label(label: Label) -> str:
    return "(null)" if label is None else label


def confusion_of(pairs: Pairs) -> Confusion:
    """Return how the labels of a field were given."""
    as_label = _boolean_label if pairs.predicted.dtype == pl.Boolean else _text_label
    answered = Counter((as_label(theirs), as_label(ours)) for ours, theirs in pairs.both())
    unanswered = Counter(as_label(theirs) for theirs in pairs.unanswered.to_list())
    used = {label for pair in answered for label in pair} | unanswered.keys()
    labels = sorted(used, key=lambda label: (label is None, label or ""))
    counts = tuple(tuple(answered[gold, predicted] for predicted in labels) for gold in labels)
    return Confusion(tuple(labels), counts, tuple(unanswered[gold] for gold in labels))


def _text_label(value: Any) -> str | None:
    return None if value is None else str(value)


def _boolean_label(value: Any) -> str | None:
    truth = written_boolean(value) if isinstance(value, str) else value
    return _text_label(value) if truth is None else str(bool(truth)).lower()


def label_scores(confusion: Confusion) -> tuple[LabelScore, ...]:
    """Return a score per label, sorted, null last. A null prediction is a label only where gold has nulls too."""
    figures = zip(confusion.labels, confusion.supports, confusion.predictions, strict=True)
    return tuple(
        _label_score(label, confusion.counts[place][place], predictions, support)
        for place, (label, support, predictions) in enumerate(figures)
        if label is not None or support
    )


def _label_score(label: str | None, hits: int, predictions: int, support: int) -> LabelScore:
    precision = hits / predictions if predictions else None
    recall = hits / support if support else None
    return LabelScore(label, precision, recall, 2 * hits / (predictions + support), support)


def averages(confusion: Confusion, labels: Sequence[LabelScore]) -> tuple[Average, Average, Average]:
    """Return the micro, the macro and the support-weighted average over labels that have a score."""
    places = [confusion.labels.index(score.label) for score in labels]
    support = sum(score.support for score in labels)
    predicted = sum(confusion.predictions[place] for place in places)
    hits = sum(confusion.counts[place][place] for place in places)
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
    scored = {place for place, label in enumerate(confusion.labels) if label is not None or confusion.supports[place]}
    cells = [
        (gold, predicted, count)
        for gold, row in enumerate(confusion.counts)
        for predicted, count in enumerate((*row, confusion.unanswered[gold]))  # one place more: no prediction
        if count
    ]
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
