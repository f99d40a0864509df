"""What an acceptance says: the accepted rows, the others, the proof, and what more gold would buy."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import polars as pl

from extract.evaluation.calibration import Calibration, calibration
from extract.evaluation.proof import Count, Proof, first_step
from extract.evaluation.risk_coverage import RiskPoint, curve_frame, risk_coverage
from extract.evaluation.shift import Shift
from extract.evaluation.tails import binomial_tail, wrong_allowed

__all__ = ["Acceptance", "GoldRow"]

_ROUTE: Final = "_route"
_STEP: Final = 1.05  # of the search for a number of rows
_MIN_GOLD: Final = 20  # fewer say nothing of how often more would be right
_MAX_TIMES: Final = 4
_MAX_SMALL: Final = 1_000  # as many gold rows as these, or as 1,000, are worth naming
_WORTH_IT: Final = 0.02  # of all rows: what fewer labels would buy is not worth saying


class GoldRow(NamedTuple):
    """A gold row that proves: its place in the output, its score, null if it has none, and whether it is right."""

    place: int
    score: float | None
    right: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """Rows that may be accepted with a promise. `threshold` is the least score that is accepted, None for no rows.

    `accepted` and `rest` are frames with all columns of the output and `_route`; `queue()` is what people look at
    next. `gold` are the rows that prove, `proof` the tests in the order of `levels`, the thresholds tried. `shifts` say
    how the rows differ from the gold, `notes` what else is to be known. `str()` is for people, `to_dict` for programs.

        >>> rows = pl.DataFrame({"id": range(200), "city": ["Bonn"] * 200, "sure": [0.9] * 200})
        >>> result = accept(rows, rows.head(100), on="id", right=0.9, fields=["city"], score="sure")
        >>> result.threshold, result.accepted.height, result.rest.height
        (0.9, 200, 0)
    """

    on: str
    proof: Proof
    levels: tuple[float, ...]
    threshold: float | None
    gold: tuple[GoldRow, ...]
    fields: tuple[str, ...]
    sources: Mapping[str, str]
    shifts: tuple[Shift, ...] = ()
    notes: tuple[str, ...] = ()
    rows: pl.DataFrame = field(repr=False)
    columns: Mapping[str, str] = field(repr=False)
    answered: pl.Series = field(repr=False)

    @property
    def count(self) -> Count | None:
        """What the threshold accepts: gold rows, those of them that are wrong, and all rows; None for no rows."""
        return None if self.proof.best is None else self.proof.steps[self.proof.best].count

    @property
    def bound(self) -> float | None:
        """The share of accepted rows that is right at least, with the confidence promised; None for no rows."""
        return None if self.threshold is None else self.proof.promise.right

    @property
    def share(self) -> float:
        """The share of all rows that is accepted, in 0..1."""
        return self.accepted.height / self.rows.height if self.rows.height else 0.0

    @property
    def accepted(self) -> pl.DataFrame:
        """The accepted rows, in the order of the output."""
        return self.rows.filter(pl.col(_ROUTE).struct.field("accepted"))

    @property
    def rest(self) -> pl.DataFrame:
        """The other rows, in the order of the output."""
        return self.rows.filter(~pl.col(_ROUTE).struct.field("accepted"))

    @property
    def calibration(self) -> Calibration:
        """How the score meets rightness on the gold rows."""
        return calibration(self._scored())

    @property
    def curve(self) -> pl.DataFrame:
        """The risk-coverage curve, a row per threshold; its intervals hold for one threshold each, chosen before."""
        return curve_frame(self._points())

    def queue(self) -> pl.DataFrame:
        """Return the rows for people, the most doubtful first: the key, `score`, `reason`, and `answer`, a struct.

        Gold rows that prove are not among them: nobody is to see their answers, and people have judged them.
        """
        route = pl.col(_ROUTE).struct
        judged = {name.partition(".")[0] for name in self.fields}
        answer = pl.struct(pl.col(column).alias(name) for column, name in self.columns.items() if name in judged)
        places = pl.int_range(pl.len())
        proving = pl.Series([row.place for row in self.gold], dtype=pl.Int64)
        return (
            self.rows.with_columns(_answered=self.answered)
            .filter(~route.field("accepted") & ~places.is_in(proving.implode()))
            .select(self.on, score=route.field("score"), reason=self._reasons(), answer=answer)
            .sort("score", nulls_last=False, maintain_order=True)
        )

    def _reasons(self) -> pl.Expr:
        """Return why each row is not accepted."""
        score = pl.col(_ROUTE).struct.field("score")
        below = pl.concat_str(pl.lit("score "), score.round(4), pl.lit(f" is below {self._shown()}"))
        scored = pl.lit("nothing is proved") if self.threshold is None else below
        unanswered = pl.when(~pl.col("_answered")).then(pl.lit("no answer"))
        return unanswered.when(score.is_null()).then(pl.lit("no score")).otherwise(scored)

    def reason(self) -> str | None:
        """Return why nothing can be accepted, None where something is."""
        if self.threshold is not None:
            return None
        promise, scored = self.proof.promise, self._scored()
        if len(scored) < promise.rows_needed:
            return (
                f"it takes {promise.rows_needed:,} accepted gold rows without an error, and "
                f"{len(scored):,} have a score"
            )
        step = min((one for one in self.proof.steps if one.level), key=lambda one: one.chance)
        allowed = wrong_allowed(step.count.gold, promise.right, 1 - step.level) if step.count.gold else None
        return (
            f"where the score tells most, {step.count.wrong:,} of {step.count.gold:,} accepted gold rows are wrong, "
            + (f"and {allowed:,} may be" if allowed is not None else "and so few rows prove nothing")
        )

    def more(self) -> tuple[int, float] | None:
        """Return how many more gold rows would buy the acceptance of which share of all rows; None where none would.

        It assumes that new gold rows are as often right as these, and does not name more than four times as many.
        """
        for point in reversed(self._points()):
            worth = point.coverage > self.share + _WORTH_IT and point.count.gold >= _MIN_GOLD
            gold = self._needed(point.count) if worth else None
            if gold is not None:
                return gold - len(self.gold), point.coverage
        return None

    def _needed(self, count: Count) -> int | None:
        """Return how many gold rows prove a threshold if the share of `count` is accepted, and wrong."""
        promise, wrong = self.proof.promise, (count.wrong + 0.5) / (count.gold + 1)
        accepted = count.gold / len(self.gold)
        gold = max(len(self.gold) + 1, math.ceil(first_step(promise) / accepted))
        while gold <= max(_MAX_TIMES * len(self.gold), _MAX_SMALL) and wrong < 1 - promise.right:
            rows = math.floor(gold * accepted)
            if binomial_tail(math.ceil(wrong * rows), rows, 1 - promise.right) <= promise.error / 2:
                return gold
            gold = math.ceil(gold * _STEP)
        return None

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the rows as JSON."""
        count, more = self.count, self.more()
        return {
            "right": self.proof.promise.right,
            "confidence": self.proof.promise.confidence,
            "threshold": self.threshold,
            "bound": self.bound,
            "rows": self.rows.height,
            "accepted": self.accepted.height,
            "share": self.share,
            "gold": {
                "rows": len(self.gold),
                "accepted": count.gold if count else 0,
                "wrong": count.wrong if count else 0,
            },
            "fields": list(self.fields),
            "scores": dict(self.sources),
            "reason": self.reason(),
            "more": None if more is None else {"gold_rows": more[0], "share": more[1]},
            "shifts": [{"what": one.what, "chance": one.chance, "message": one.message} for one in self.shifts],
            "notes": list(self.notes),
            "calibration": self.calibration.to_dict(),
            "curve": self.curve.to_dicts(),
        }

    def __repr__(self) -> str:
        return f"Acceptance({self._line()})"

    def __str__(self) -> str:
        return "\n".join([self._line(), *self._lines()])

    def _points(self) -> tuple[RiskPoint, ...]:
        scores = self.rows[_ROUTE].struct.field("score").drop_nulls().to_list()
        return risk_coverage(self._scored(), scores, self.rows.height)

    def _scored(self) -> list[tuple[float, bool]]:
        return [(row.score, row.right) for row in self.gold if row.score is not None]

    def _shown(self) -> str:
        return f"{self.threshold:.4g}" if self.threshold is not None else "-"

    def _line(self) -> str:
        promise = self.proof.promise
        promised = f"at least {_percent(promise.right)} are right"
        confident = f"with {_percent(promise.confidence)} confidence"
        if self.threshold is None:
            return f"0 of {self.rows.height:,} rows accepted: that {promised}, {confident}, cannot be proved for any"
        accepted = f"{self.accepted.height:,} of {self.rows.height:,} rows accepted"
        return f"{accepted} at score >= {self._shown()}: {promised}, {confident}"

    def _lines(self) -> Iterator[str]:
        kinds = ", ".join(dict.fromkeys(self.sources.values()))
        if (count := self.count) is not None:
            yield f"score: {kinds}; {count.gold:,} of {len(self.gold):,} gold rows accepted, {count.wrong:,} wrong"
        else:
            yield f"score: {kinds}; {len(self.gold):,} gold rows"
            yield f"why: {self.reason()}"
        yield f"the rest: {self.rest.height:,} rows"
        if (more := self.more()) is not None:
            yield f"more: {more[0]:,} more gold rows would accept about {_percent(more[1])}, if right as often as these"
        yield f"score against gold: {self.calibration.line()}"
        yield from self._shift_lines()
        yield from (f"note: {one}" for one in self.notes)

    def _shift_lines(self) -> Iterator[str]:
        if not self.shifts:
            return
        for one in self.shifts:
            yield f"shift: these rows are unlike the gold, {one.message}"
        fresh = math.ceil(first_step(self.proof.promise) / max(self.share, 0.1))
        yield f"shift: the proof may not carry over; {fresh:,} fresh gold rows, drawn from these, would settle it"


def _percent(share: float) -> str:
    return f"{100 * share:.4g}%"
