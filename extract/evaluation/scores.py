"""The result of an evaluation: figures per field, as frozen values that people and programs can read."""

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
from extract.evaluation.tables import Figure, aligned, figure, html_table, share

__all__ = ["Evaluation", "FieldKind", "FieldScore"]

#: The figures that may have an interval: attribute of FieldScore -> heading in tables ("" for none), and its format.
#: A new one needs a line here, an attribute of FieldScore and its computation in evaluate.py; its name in `_SHOWN` puts
#: it into tables.
_FIGURES: Final = {
    "exact": ("exact", share),
    "normalised": ("normalised", share),
    "accuracy": ("", share),
    "kappa": ("kappa", figure),
    "f1": ("F1", figure),
}
_SHOWN: Final = ("exact", "normalised", "f1", "kappa")  # in tables, from left to right
_HEADER: Final = ("field", "kind", "n", *(_FIGURES[name][0] for name in _SHOWN))

_MAX_OUTSIDE: Final = 5  # labels that one line names

FieldKind: TypeAlias = Literal["label", "text", "value", "list", "nested"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldScore:
    """The scores of one field over `n` gold rows. Shares lie in 0..1 and are None where `n` is 0.

    For labels only: `accuracy`, the averages over every label that gold or the prediction uses, Cohen's `kappa`,
    `matthews` (both -1..1, None where undefined), `labels` and `confusion`; `outside` counts the rows of gold labels
    that the schema does not have. For lists only: `members`. `intervals` holds 95 % confidence intervals by the
    figure's name: exact, normalised, accuracy, macro_f1, kappa, member_f1.
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
    outside: Mapping[str, int] = field(default_factory=dict, compare=False)
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

    @property
    def figures(self) -> tuple[Figure, ...]:
        """The figures that may have an interval, each with its own."""
        intervals = {**self.intervals, "f1": self.intervals.get("member_f1") or self.intervals.get("macro_f1")}
        return tuple(
            Figure(name, heading, getattr(self, name), intervals.get(name), form)
            for name, (heading, form) in _FIGURES.items()
        )

    @property
    def shown(self) -> tuple[Figure, ...]:
        """The figures that tables show, from left to right."""
        by_name = {one.name: one for one in self.figures}
        return tuple(by_name[name] for name in _SHOWN)

    def __repr__(self) -> str:
        shown = ", ".join(f"{one.heading} {one}" for one in self.shown if one.value is not None)
        return f"FieldScore({self.name!r}, {self.kind}, n={self.n:,}{shown and ': '}{shown})"

    def _repr_html_(self) -> str:
        return html_table(self.name, *self._table())

    def __str__(self) -> str:
        """Return the figures of each label and their averages; for a field without labels one line."""
        return "\n".join(aligned(*self._table(), words=1 if self.labels else 2))

    def _table(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        if not self.labels:
            return _HEADER, [self.cells()]
        rows: list[tuple[str, ...]] = [
            (shown_label(one.label), share(one.precision), share(one.recall), figure(one.f1), f"{one.support:,}")
            for one in self.labels
        ]
        for name, mean in (("(micro)", self.micro), ("(macro)", self.macro), ("(weighted)", self.weighted)):
            if mean is not None:
                rows.append((name, share(mean.precision), share(mean.recall), figure(mean.f1), f"{self.n:,}"))
        return (self.name, "precision", "recall", "F1", "n"), rows

    def cells(self) -> tuple[str, ...]:
        """Return one text per column of `Evaluation`'s table."""
        return (self.name, self.kind, f"{self.n:,}", *map(str, self.shown))

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
    what these cost, None where the prediction has no `_extract.cost_usd`. `proof` counts the gold rows that are kept
    for a proof, by the column `_split` of gold: they are in every figure, and never among the mistakes. `unlabelled`
    counts the rows of a sheet that nobody has filled in yet: they are in no figure.

        >>> frame = pl.DataFrame({"id": [1, 2], "city": ["Bonn", "Köln"]})
        >>> evaluation = evaluate(frame, frame, on="id")
        >>> evaluation.rows, evaluation.correct, evaluation["city"].exact
        (2, 2, 1.0)
    """

    rows: int
    missing: int
    extra: int
    fields: tuple[FieldScore, ...]
    correct: int = 0
    cost: CostScore | None = field(default=None, compare=False)
    proof: int = 0
    unlabelled: int = 0
    _mistakes: pl.DataFrame = field(default_factory=pl.DataFrame, compare=False)

    def mistakes(self, *fields: str) -> pl.DataFrame:
        """Return a row per wrong value of these fields, by default of all; rows that are missing come last.

        The columns are the key (called `key` where it has one of the other names), `field`, `predicted` and `gold` as
        text, null where there is none, and `missing`, True where the row has no prediction. Rows that gold keeps for a
        proof are left out. KeyError for a field that was not judged.
        """
        judged = [self[name].name for name in fields] or [score.name for score in self.fields]
        return self._mistakes.filter(pl.col("field").is_in(judged)) if self._mistakes.height else self._mistakes

    def __getitem__(self, name: str) -> FieldScore:
        """Return the score of the field `name`; raise KeyError where it was not judged."""
        for score in self.fields:
            if score.name == name:
                return score
        raise KeyError(name)

    def frame(self) -> pl.DataFrame:
        """Return one row per field: its figures, the main ones with their interval as `_low` and `_high`, null if none.

        `labels` is the number of labels; `f1` is macro-F1 for labels and the members' F1 for lists.
        """
        return pl.DataFrame([_frame_row(item) for item in self.fields], schema=_FRAME_SCHEMA, orient="row")

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON: the counts, and one object per field."""
        cost = None if self.cost is None else asdict(self.cost)
        if cost is not None and self.cost is not None:
            cost |= {"per_correct": self.cost.per_correct, "at_least": self.cost.at_least}
        if cost is not None and self.cost is not None and self.cost.interval is not None:
            cost["interval"] = [self.cost.interval.low, self.cost.interval.high]
        counts = {"rows": self.rows, "missing": self.missing, "extra": self.extra, "correct": self.correct}
        counts |= {"proof": self.proof} if self.proof else {}
        counts |= {"unlabelled": self.unlabelled} if self.unlabelled else {}
        return counts | {"cost": cost, "fields": [item.to_dict() for item in self.fields]}

    def __repr__(self) -> str:
        names = ", ".join(item.name for item in self.fields)
        return f"Evaluation({self._counts()}; fields: {names})"

    def __str__(self) -> str:
        lines = [self._counts(), *aligned(_HEADER, [item.cells() for item in self.fields], words=2)]
        return "\n".join([*lines, *self._notes(), *self._cost_lines()])

    def _repr_html_(self) -> str:
        caption = " ".join([self._counts(), *self._notes(), *self._cost_lines()])
        return html_table(caption, _HEADER, [item.cells() for item in self.fields])

    def _counts(self) -> str:
        correct = share(self.correct / self.rows, share_interval(self.correct, self.rows)) if self.rows else "-"
        return f"{self.rows:,} rows, {self.missing:,} missing, {self.extra:,} extra; right in every field: {correct}"

    def _notes(self) -> list[str]:
        """Say which gold labels no answer can have, and which rows are in no list."""
        note = f"{self.proof:,} proof rows count in every figure, and are never listed among the mistakes"
        empty = f"{self.unlabelled:,} rows of the gold are not filled in yet, and count in no figure"
        return (
            [note] * bool(self.proof)
            + [empty] * bool(self.unlabelled)
            + [
                f"{item.name}: {sum(item.outside.values()):,} gold rows have labels that the schema lacks: "
                + ", ".join(f"{label!r} ({rows:,})" for label, rows in list(item.outside.items())[:_MAX_OUTSIDE])
                + (", ..." if len(item.outside) > _MAX_OUTSIDE else "")
                for item in self.fields
                if item.outside
            ]
        )

    def _cost_lines(self) -> list[str]:
        if self.cost is None:
            return []
        cost, each = self.cost, self.cost.per_correct
        if not cost.dollars:
            return [f"cost: none, nothing was paid for {cost.rows:,} rows"]
        spread = "" if cost.interval is None else f" ({cost.interval.low:.6f}-{cost.interval.high:.6f})"
        per_row = "none is correct" if each is None else f"${each:.6f}{spread} per correct row"
        line = f"cost: ${cost.dollars:,.4f} for {cost.rows:,} rows, {'at least ' * cost.at_least}{per_row}"
        if cost.at_least:
            line += f"; what {cost.missing:,} rows without an answer cost is not known"
        left_out = cost.unknown - cost.missing
        return [line + (f"; {left_out:,} rows of unknown cost left out" if left_out else "")]


_FRAME_SCHEMA: Final = {
    "field": pl.String,
    "kind": pl.String,
    "n": pl.Int64,
    **{name + end: pl.Float64 for name in _FIGURES for end in ("", "_low", "_high")},
    **dict.fromkeys(("macro_f1", "micro_f1", "weighted_f1", "matthews"), pl.Float64),
    "labels": pl.Int64,
}


def _frame_row(item: FieldScore) -> tuple[Any, ...]:
    figures = [
        value
        for one in item.figures
        for value in (one.value, one.interval and one.interval.low, one.interval and one.interval.high)
    ]
    averages = [item.macro_f1, item.micro and item.micro.f1, item.weighted and item.weighted.f1, item.matthews]
    return (item.name, item.kind, item.n, *figures, *averages, len(item.labels))
