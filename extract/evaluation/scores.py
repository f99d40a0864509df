"""What an evaluation says: figures per field, as frozen values that a person or a program can read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal, TypeAlias

import polars as pl

from extract.evaluation.confusion import Confusion, shown_label
from extract.evaluation.costs import CostScore
from extract.evaluation.intervals import Interval, share_interval
from extract.evaluation.labels import Average, LabelScore
from extract.evaluation.members import MemberScore
from extract.evaluation.tables import aligned, figure, html_table, share

__all__ = ["Evaluation", "FieldKind", "FieldScore"]

_HEADER: Final = ("field", "kind", "n", "exact", "normalised", "F1", "kappa")

FieldKind: TypeAlias = Literal["label", "text", "value", "list", "nested"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldScore:
    """How one field fared over `n` gold rows. Shares lie in 0..1 and are None where `n` is 0.

    For labels only: `accuracy`, the averages over every label that gold or the prediction uses, Cohen's `kappa`,
    `matthews` (both -1..1, None where undefined), `labels` and `confusion`. For lists only: `members`. `intervals`
    holds 95 % confidence intervals by the figure's name: exact, normalised, accuracy, macro_f1, kappa, member_f1.
    """

    name: str
    kind: FieldKind
    n: int
    exact: float | None
    normalised: float | None
    accuracy: float | None = None
    micro: Average | None = None
    macro: Average | None = None
    weighted: Average | None = None
    kappa: float | None = None
    matthews: float | None = None
    labels: tuple[LabelScore, ...] = ()
    confusion: Confusion | None = None
    members: MemberScore | None = None
    # Not compared: they follow from the rest and the seed.
    intervals: Mapping[str, Interval] = field(default_factory=dict, compare=False)

    @property
    def macro_f1(self) -> float | None:
        """The plain mean of the labels' F1."""
        return None if self.macro is None else self.macro.f1

    @property
    def f1(self) -> float | None:
        """Macro-F1 for labels, the members' F1 for lists."""
        return self.members.f1 if self.members else self.macro_f1

    def __str__(self) -> str:
        """Return the figures of each label, and their averages; those of a field without labels in one line."""
        if not self.labels:
            return "\n".join(aligned(_HEADER, [self.cells()], words=2))
        rows = [
            (shown_label(one.label), share(one.precision), share(one.recall), figure(one.f1), f"{one.support:,}")
            for one in self.labels
        ]
        for name, mean in (("(micro)", self.micro), ("(macro)", self.macro), ("(weighted)", self.weighted)):
            if mean is not None:
                rows.append((name, share(mean.precision), share(mean.recall), figure(mean.f1), f"{self.n:,}"))
        return "\n".join(aligned((self.name, "precision", "recall", "F1", "n"), rows, words=1))

    def cells(self) -> tuple[str, ...]:
        """Return what a person wants to read: one text per column of `Evaluation`'s table."""
        spread = self.intervals.get
        return (
            self.name,
            self.kind,
            f"{self.n:,}",
            share(self.exact, spread("exact")),
            share(self.normalised, spread("normalised")),
            figure(self.f1, spread("member_f1") or spread("macro_f1")),
            figure(self.kappa, spread("kappa")),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON."""
        whole = {"field": self.name} | asdict(self)
        del whole["name"]
        whole["intervals"] = {name: [one.low, one.high] for name, one in self.intervals.items()}
        if self.members is not None:
            members = {"precision": self.members.precision, "recall": self.members.recall, "f1": self.members.f1}
            whole["members"] |= members
        return whole


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Scores of a prediction.

    `rows` counts gold rows, `missing` those of them without a prediction (wrong in every field), `extra` the
    predictions without gold (not judged). `correct` rows are right in every judged field, when normalised. `cost` is
    what these cost, None where the prediction has no `_extract.cost_usd`.
    """

    rows: int
    missing: int
    extra: int
    fields: tuple[FieldScore, ...]
    correct: int = 0
    cost: CostScore | None = field(default=None, compare=False)

    def __getitem__(self, name: str) -> FieldScore:
        """Return the score of the field `name`; raise KeyError where it was not judged."""
        for score in self.fields:
            if score.name == name:
                return score
        raise KeyError(name)

    def frame(self) -> pl.DataFrame:
        """Return one row per field: its figures, each headline with its interval as `_low` and `_high`, nulls if none.

        `labels` is their number; `f1` is macro-F1 for labels, and that of the members for lists.
        """
        return pl.DataFrame([_frame_row(item) for item in self.fields], schema=_FRAME_SCHEMA, orient="row")

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON: what the counts say, and one object per field."""
        cost = None if self.cost is None else asdict(self.cost)
        if cost is not None and self.cost is not None:
            cost |= {"per_correct": self.cost.per_correct, "at_least": self.cost.at_least}
        if cost is not None and self.cost is not None and self.cost.interval is not None:
            cost["interval"] = [self.cost.interval.low, self.cost.interval.high]
        counts = {"rows": self.rows, "missing": self.missing, "extra": self.extra, "correct": self.correct}
        return counts | {"cost": cost, "fields": [item.to_dict() for item in self.fields]}

    def __str__(self) -> str:
        lines = [self._counts(), *aligned(_HEADER, [item.cells() for item in self.fields], words=2)]
        return "\n".join([*lines, *self._cost_lines()])

    def _repr_html_(self) -> str:
        caption = " ".join([self._counts(), *self._cost_lines()])
        return html_table(caption, _HEADER, [item.cells() for item in self.fields])

    def _counts(self) -> str:
        correct = share(self.correct / self.rows, share_interval(self.correct, self.rows)) if self.rows else "-"
        return f"{self.rows:,} rows, {self.missing:,} missing, {self.extra:,} extra; right in every field: {correct}"

    def _cost_lines(self) -> list[str]:
        if self.cost is None:
            return []
        cost, each = self.cost, self.cost.per_correct
        if not cost.dollars:
            return [f"cost: none, nothing was paid for {cost.rows:,} rows"]
        spread = "" if cost.interval is None else f" ({cost.interval.low:.6f}-{cost.interval.high:.6f})"
        per_row = "none is correct" if each is None else f"${each:.6f}{spread} per correct row"
        told = f"cost: ${cost.dollars:,.4f} for {cost.rows:,} rows, {'at least ' * cost.at_least}{per_row}"
        if cost.at_least:
            told += f"; what {cost.missing:,} rows without an answer cost is not known"
        left_out = cost.unknown - cost.missing
        return [told + (f"; {left_out:,} rows of unknown cost left out" if left_out else "")]


_WITH_INTERVAL: Final = ("exact", "normalised", "accuracy", "kappa", "f1")
_FRAME_SCHEMA: Final = {
    "field": pl.String,
    "kind": pl.String,
    "n": pl.Int64,
    **{name + end: pl.Float64 for name in _WITH_INTERVAL for end in ("", "_low", "_high")},
    **dict.fromkeys(("macro_f1", "micro_f1", "weighted_f1", "matthews"), pl.Float64),
    "labels": pl.Int64,
}


def _frame_row(item: FieldScore) -> tuple[Any, ...]:
    intervals = {**item.intervals, "f1": item.intervals.get("member_f1") or item.intervals.get("macro_f1")}
    figures = [
        value
        for name in _WITH_INTERVAL
        for spread in [intervals.get(name)]
        for value in (getattr(item, name), spread and spread.low, spread and spread.high)
    ]
    averages = [item.macro_f1, item.micro and item.micro.f1, item.weighted and item.weighted.f1, item.matthews]
    return (item.name, item.kind, item.n, *figures, *averages, len(item.labels))
