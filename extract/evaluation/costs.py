"""What one right row costs, where the run has told what each row cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from extract.evaluation.intervals import Bootstrap, Interval

__all__ = ["CostScore", "cost_column", "cost_score"]

_PROVENANCE = "_extract"


@dataclass(frozen=True, slots=True, kw_only=True)
class CostScore:
    """US dollars for `rows` judged rows, `correct` of which are right in every field.

    `unknown` judged rows are left out: without a prediction, from a cache (which an earlier run has paid for), or at an
    unknown price. `per_correct` is None where no row is right, `interval` holds it.
    """

    dollars: float
    rows: int
    correct: int
    unknown: int
    interval: Interval | None = None

    @property
    def per_correct(self) -> float | None:
        return self.dollars / self.correct if self.correct else None


def cost_column(frame: pl.DataFrame) -> pl.Expr | None:
    """Return what each row has cost, null where that is unknown; None for a run without provenance."""
    dtype = frame.schema.get(_PROVENANCE)
    names = [field.name for field in dtype.fields] if isinstance(dtype, pl.Struct) else []
    if "cost_usd" not in names:
        return None
    cost = pl.col(_PROVENANCE).struct.field("cost_usd").cast(pl.Float64)
    if "cached" not in names:
        return cost
    return pl.when(pl.col(_PROVENANCE).struct.field("cached").not_()).then(cost)


def cost_score(
    costs: Sequence[float | None], correct: Sequence[bool], *, rows: int, resamples: int, seed: int
) -> CostScore | None:
    """Return the cost of a right row, from the costs and verdicts of judged rows. None where no cost is known."""
    known = Counter((cost, right) for cost, right in zip(costs, correct, strict=True) if cost is not None)
    if not known:
        return None
    cells = sorted(known.items())
    count = sum(known.values())
    dollars = sum(cost * times for (cost, _), times in cells)
    right = sum(times for (_, right), times in cells if right)
    table = pl.DataFrame([cell for cell, _ in cells], schema={"cost": pl.Float64, "right": pl.Int64}, orient="row")
    table = table.with_row_index("row")
    bootstrap = Bootstrap([times for _, times in cells], lambda draws: _figures(draws, table), resamples, seed)
    found = bootstrap.intervals({"per_correct": dollars / right if right else None})
    return CostScore(
        dollars=dollars, rows=count, correct=right, unknown=rows - count, interval=found.get("per_correct")
    )


def _figures(draws: pl.DataFrame, table: pl.DataFrame) -> pl.DataFrame:
    sums = [(pl.col("times") * pl.col(name)).sort().sum().alias(name) for name in ("cost", "right")]
    whole = draws.join(table, on="row").group_by("draw").agg(*sums)
    return whole.select("draw", per_correct=pl.when(pl.col("right") > 0).then(pl.col("cost") / pl.col("right")))
