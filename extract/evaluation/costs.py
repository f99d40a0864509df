"""What one correct row costs, where the run recorded the cost of each row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import polars as pl

from extract.evaluation.intervals import Bootstrap, Interval
from extract.evaluation.rejected import PROVENANCE, inner_names
from extract.json_types import JsonObject

__all__ = ["CostScore", "cost_column", "cost_score", "whole_cost"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CostScore:
    """US dollars for `rows` judged rows, `correct` of which are right in every field.

    `unknown` judged rows are left out: rows at an unknown price, rows of which a part came from the cache (an earlier
    run paid for it), and the `missing` ones, which have no answer but may have been paid for. `per_correct` is None
    where no row is correct, and too low where `at_least`; `interval` is its confidence interval.
    """

    dollars: float
    rows: int
    correct: int
    unknown: int
    missing: int = 0
    interval: Interval | None = None

    @property
    def per_correct(self) -> float | None:
        return self.dollars / self.correct if self.correct else None

    @property
    def at_least(self) -> bool:
        """True where rows without an answer may have cost an unknown amount."""
        return bool(self.missing and self.dollars)


def cost_column(frame: pl.DataFrame) -> pl.Expr | None:
    """Return the cost of each row, null where it is unknown; None for a run without provenance."""
    names = inner_names(frame.schema, PROVENANCE)
    if "cost_usd" not in names:
        return None
    cost = pl.col(PROVENANCE).struct.field("cost_usd").cast(pl.Float64, strict=False)
    for reused in {"cached", "reused"}.intersection(names):
        cost = pl.when(pl.col(PROVENANCE).struct.field(reused).not_()).then(cost)
    return cost


def cost_score(
    costs: Sequence[float | None],
    correct: Sequence[bool],
    *,
    missing: int,
    spent: float | None,
    resamples: int,
    seed: int,
) -> CostScore | None:
    """Return the cost of a correct row, from the costs and verdicts of judged rows. None where no cost is known.

    `missing` more rows have no answer. Where the cost of all others is known, the rest of `spent` is what they cost.
    """
    known = Counter((cost, right) for cost, right in zip(costs, correct, strict=True) if cost is not None)
    if not known:
        return None
    unknown = costs.count(None)
    rest = -1.0 if spent is None or unknown else spent - sum(cost * times for (cost, _), times in known.items())
    if missing and rest > -1e-9:  # apart from rounding, the rows cost no more than the whole run
        known[max(0.0, rest) / missing, False] += missing
        missing = 0
    score = CostScore(
        dollars=sum(cost * times for (cost, _), times in sorted(known.items())),
        rows=sum(known.values()),
        correct=sum(times for (_, right), times in known.items() if right),
        unknown=unknown + missing,
        missing=missing,
    )
    return score if score.at_least else replace(score, interval=_interval(known, score.per_correct, resamples, seed))


def _interval(
    known: Mapping[tuple[float, bool], int], per_correct: float | None, resamples: int, seed: int
) -> Interval | None:
    cells = sorted(known.items())
    table = pl.DataFrame([cell for cell, _ in cells], schema={"cost": pl.Float64, "right": pl.Int64}, orient="row")
    table = table.with_row_index("row")
    bootstrap = Bootstrap([times for _, times in cells], lambda draws: _figures(draws, table), resamples, seed)
    return bootstrap.intervals({"per_correct": per_correct}).get("per_correct")


def _figures(draws: pl.DataFrame, table: pl.DataFrame) -> pl.DataFrame:
    sums = [(pl.col("times") * pl.col(name)).sort().sum().alias(name) for name in ("cost", "right")]
    whole = draws.join(table, on="row").group_by("draw").agg(*sums)
    return whole.select("draw", per_correct=pl.when(pl.col("right") > 0).then(pl.col("cost") / pl.col("right")))


def whole_cost(manifest: JsonObject, rows: int) -> float | None:
    """Return the US dollars that a finished run over exactly `rows` rows cost, from the footer of its output.

    None where that is unknown, for example where an earlier run paid for some of them.
    """
    course = manifest.get("run")
    totals = course.get("totals") if isinstance(course, dict) else None
    if not isinstance(totals, dict):
        return None
    cost = totals.get("cost_usd")
    is_whole = all(totals.get(name) == count for name, count in (("rows", rows), ("cached", 0), ("not_run", 0)))
    return cost if is_whole and isinstance(cost, float) else None
