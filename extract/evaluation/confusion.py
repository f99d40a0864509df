"""Confusion matrices: which labels were predicted for each gold label, under names that both sides share."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, TypeAlias

import polars as pl

from extract.evaluation.pairing import Pairs
from extract.evaluation.tables import aligned
from extract.schema.notation import collapsed, written_boolean
from extract.schema.plain_text import typed_text

__all__ = ["Confusion", "Label", "confusion_of", "shown_label"]

Label: TypeAlias = str | None

_MAX_MATRIX: Final = 12  # labels; for more, the pairs most confused are listed instead
_MAX_PAIRS: Final = 20


@dataclass(frozen=True, slots=True)
class Confusion:
    """How often each label was predicted for each gold label.

    `labels` are all that either side uses, sorted, null last. `cells` holds (gold, predicted, rows) for each pair that
    occurs, both by their place in `labels`. `unanswered` counts, per gold label, rows without a prediction.
    """

    labels: tuple[Label, ...]
    cells: tuple[tuple[int, int, int], ...]
    unanswered: tuple[int, ...]

    @property
    def counts(self) -> list[list[int]]:
        """The whole matrix, `counts[gold][predicted]`, of size labels times labels."""
        matrix = [[0] * len(self.labels) for _ in self.labels]
        for gold, predicted, rows in self.cells:
            matrix[gold][predicted] = rows
        return matrix

    @property
    def n(self) -> int:
        return sum(rows for *_, rows in self.cells) + sum(self.unanswered)

    @property
    def right(self) -> list[int]:
        """Rows whose gold label was predicted, per label."""
        return self._summed((gold, rows) for gold, predicted, rows in self.cells if gold == predicted)

    @property
    def hits(self) -> int:
        return sum(self.right)

    @property
    def supports(self) -> list[int]:
        """Gold rows per label."""
        return self._summed(((gold, rows) for gold, _, rows in self.cells), self.unanswered)

    @property
    def predictions(self) -> list[int]:
        """Rows for which each label was predicted."""
        return self._summed((predicted, rows) for _, predicted, rows in self.cells)

    def _summed(self, parts: Iterable[tuple[int, int]], start: Sequence[int] = ()) -> list[int]:
        sums = list(start) or [0] * len(self.labels)
        for place, rows in parts:
            sums[place] += rows
        return sums

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

    def confused(self, limit: int | None = None) -> list[tuple[Label, Label, int]]:
        """Return (gold, predicted, rows) for pairs of different labels, most frequent first, `limit` at most."""
        wrong = [
            (self.labels[gold], self.labels[predicted], rows)
            for gold, predicted, rows in self.cells
            if gold != predicted
        ]
        return sorted(wrong, key=lambda one: -one[2])[:limit]

    def __repr__(self) -> str:
        return f"Confusion({len(self.labels):,} labels, {self.n:,} rows, {self.hits:,} right)"

    def __str__(self) -> str:
        """Return the matrix, gold labels down and predicted ones across; for many labels the pairs most confused."""
        return "\n".join(self._matrix() if len(self.labels) <= _MAX_MATRIX else self._worst())

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
        rows = [(shown_label(gold), shown_label(given), f"{count:,}") for gold, given, count in wrong[:_MAX_PAIRS]]
        rest = sum(count for *_, count in wrong[_MAX_PAIRS:])
        more = [f"and {rest:,} rows in {len(wrong) - len(rows):,} other pairs"] if rest else []
        return [*aligned(("gold", "predicted", "rows"), rows, words=2), *more]

    def frame(self) -> pl.DataFrame:
        """Return one row per pair that occurs: gold, predicted (both null for null), answered, rows."""
        pairs: list[tuple[Label, Label, bool, int]] = [
            (self.labels[gold], self.labels[predicted], True, rows) for gold, predicted, rows in self.cells
        ]
        pairs += [(gold, None, False, none) for gold, none in zip(self.labels, self.unanswered, strict=True) if none]
        schema = {"gold": pl.String, "predicted": pl.String, "answered": pl.Boolean, "rows": pl.Int64}
        return pl.DataFrame(pairs, schema=schema, orient="row")


def shown_label(label: Label) -> str:
    return "(null)" if label is None else label


def confusion_of(pairs: Pairs) -> Confusion:
    """Return the confusion matrix of a field."""
    predicted_label, gold_label = _namer(pairs.gold), _namer(pairs.predicted)
    answered = Counter((gold_label(gold), predicted_label(predicted)) for predicted, gold in pairs.both())
    unanswered = Counter(map(gold_label, pairs.unanswered.to_list()))
    used = {label for pair in answered for label in pair} | unanswered.keys()
    labels = sorted(used, key=lambda label: (label is None, label or ""))
    places = {label: place for place, label in enumerate(labels)}
    cells = sorted((places[gold], places[predicted], rows) for (gold, predicted), rows in answered.items())
    return Confusion(tuple(labels), tuple(cells), tuple(unanswered[label] for label in labels))


def _namer(beside: pl.Series) -> Callable[[Any], Label]:
    """Return a function that names the values of one side as labels, so that the same label has one name on both.

    `beside` is the other side: a text is read as its type, and where it has the labels of a schema, as the label that
    equals it once normalised.
    """
    typed = beside.drop_nulls().head(1).to_list()
    categories = beside.dtype.categories.to_list() if isinstance(beside.dtype, pl.Enum) else []
    known, own = frozenset(categories), _by_words(categories)
    names: dict[tuple[type, Any], str] = {}

    def name(value: Any) -> Label:
        if value is None:
            return None
        if (key := (type(value), value)) not in names:  # with the type, since True == 1 in Python
            text = _name(_read_as(value, typed[0]) if typed else value)
            foreign = isinstance(value, str) and text not in known
            names[key] = own.get(collapsed(text), text) if own and foreign else text
        return names[key]

    return name


def _by_words(categories: Sequence[str]) -> dict[str, str]:
    """Return labels by their words, without those that differ only in case or punctuation."""
    words = [collapsed(label) for label in categories]
    counts = Counter(words)
    return {word: label for word, label in zip(words, categories, strict=True) if counts[word] == 1}


def _read_as(value: Any, like: Any) -> Any:
    """Return a value as one of the type of `like`, where its text is in that type's notation; else unchanged."""
    if isinstance(like, bool):
        truth = written_boolean(value) if isinstance(value, str) else {0: False, 1: True}.get(value)
        return value if truth is None else truth
    if isinstance(value, str) and not isinstance(like, str):
        typed = typed_text(value, type(like))
        return value if typed is None else typed
    return value


def _name(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float | Decimal):
        number = Decimal(repr(value)) if isinstance(value, float) else value
        return f"{number.normalize():f}" if number.is_finite() else str(number)
    return str(value)
