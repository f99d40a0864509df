"""Which labels were given to rows of each gold label, and what labels are called so that both sides meet."""

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

_MOST_ACROSS: Final = 12
_MOST_CONFUSED: Final = 20


@dataclass(frozen=True, slots=True)
class Confusion:
    """How often rows of each gold label were given each label.

    `labels` are all that either side uses, sorted, null last. `cells` holds (gold, predicted, rows) for each pair that
    occurs, both by their place in `labels`. `unanswered` counts, per gold label, rows without a prediction.
    """

    labels: tuple[Label, ...]
    cells: tuple[tuple[int, int, int], ...]
    unanswered: tuple[int, ...]

    @property
    def counts(self) -> list[list[int]]:
        """The whole matrix, `counts[gold][predicted]`: as large as the labels are many, squared."""
        matrix = [[0] * len(self.labels) for _ in self.labels]
        for gold, predicted, rows in self.cells:
            matrix[gold][predicted] = rows
        return matrix

    @property
    def n(self) -> int:
        return sum(rows for *_, rows in self.cells) + sum(self.unanswered)

    @property
    def right(self) -> list[int]:
        """Rows that were given their gold label, per label."""
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
        """Rows that were given each label."""
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

    def confused(self, most: int | None = None) -> list[tuple[Label, Label, int]]:
        """Return (gold, predicted, rows) for labels that were mistaken for another, most frequent first."""
        wrong = [
            (self.labels[gold], self.labels[predicted], rows)
            for gold, predicted, rows in self.cells
            if gold != predicted
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
        pairs: list[tuple[Label, Label, bool, int]] = [
            (self.labels[gold], self.labels[predicted], True, rows) for gold, predicted, rows in self.cells
        ]
        pairs += [(gold, None, False, none) for gold, none in zip(self.labels, self.unanswered, strict=True) if none]
        schema = {"gold": pl.String, "predicted": pl.String, "answered": pl.Boolean, "rows": pl.Int64}
        return pl.DataFrame(pairs, schema=schema, orient="row")


def shown_label(label: Label) -> str:
    return "(null)" if label is None else label


def confusion_of(pairs: Pairs) -> Confusion:
    """Return how the labels of a field were given."""
    name_ours, name_theirs = _namer(pairs.gold), _namer(pairs.predicted)
    answered = Counter((name_theirs(theirs), name_ours(ours)) for ours, theirs in pairs.both())
    unanswered = Counter(map(name_theirs, pairs.unanswered.to_list()))
    used = {label for pair in answered for label in pair} | unanswered.keys()
    labels = sorted(used, key=lambda label: (label is None, label or ""))
    places = {label: place for place, label in enumerate(labels)}
    cells = sorted((places[gold], places[predicted], rows) for (gold, predicted), rows in answered.items())
    return Confusion(tuple(labels), tuple(cells), tuple(unanswered[label] for label in labels))


def _namer(beside: pl.Series) -> Callable[[Any], Label]:
    """Return how to name the values of one side as labels, so that what is the same on both sides has one name.

    A text is read as the type of the other side; beside the labels of a schema it is the one that it is normalised.
    """
    typed = beside.drop_nulls().head(1).to_list()
    categories = beside.dtype.categories.to_list() if isinstance(beside.dtype, pl.Enum) else []
    known, own = frozenset(categories), _by_words(categories)
    names: dict[tuple[type, Any], str] = {}

    def name(value: Any) -> Label:
        if value is None:
            return None
        if (kept := (type(value), value)) not in names:  # the type, since to Python True is 1
            text = _name(_read_as(value, typed[0]) if typed else value)
            foreign = isinstance(value, str) and text not in known
            names[kept] = own.get(collapsed(text), text) if own and foreign else text
        return names[kept]

    return name


def _by_words(categories: Sequence[str]) -> dict[str, str]:
    """Return labels by what they are when normalised, without those that only case or punctuation tells apart."""
    words = [collapsed(label) for label in categories]
    met = Counter(words)
    return {word: label for word, label in zip(words, categories, strict=True) if met[word] == 1}


def _read_as(value: Any, like: Any) -> Any:
    """Return a value as one of the type of `like`, where it is written so; else as it is."""
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
