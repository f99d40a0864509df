"""How far a figure may be off because few rows were judged: 95 % confidence intervals.

A share of rows gets Wilson's interval: a bootstrap of 20 right rows out of 20 would claim certainty. Every other figure
gets a bootstrap over rows, bias-corrected and accelerated (BCa: Efron, JASA 82, 1987).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Final

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

__all__ = ["Bootstrap", "Interval", "share_interval"]

_LEVEL: Final = 0.95
_NORMAL: Final = NormalDist()
_Z: Final = _NORMAL.inv_cdf((1 + _LEVEL) / 2)
_MAX_DRAWS: Final = 20_000_000
"""Rows drawn for one field at most: a table of a million rows gets fewer resamples, and needs no more."""
_MIN_RESAMPLES: Final = 200
_DRAWS_AT_ONCE: Final = 4_000_000  # bounds memory
_MAX_JACKKNIFE: Final = 1_500
"""Distinct rows up to which each is left out once, to estimate how skewed a figure is; the work is their square."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A 95 % confidence interval for the choice of rows, which is the only uncertainty it covers."""

    low: float
    high: float


def share_interval(hits: int, n: int) -> Interval | None:
    """Return Wilson's interval for a share of `n` rows, None for no rows."""
    if not n:
        return None
    share, spread = hits / n, _Z * _Z / n
    middle = (share + spread / 2) / (1 + spread)
    reach = _Z * math.sqrt(share * (1 - share) / n + spread / (4 * n)) / (1 + spread)
    # At 0 and at n hits one end is exact, which rounding would miss by 1e-17.
    return Interval(max(0.0, middle - reach) if hits else 0.0, min(1.0, middle + reach) if hits < n else 1.0)


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """Resamples of a table of rows. `counts` says how often each distinct row occurs; a row is its place in `counts`.

    `statistic` takes a frame with the columns `draw`, `row` and `times`, and returns a frame with the column `draw` and
    one column per figure, null where the figure is undefined for a draw.
    """

    counts: Sequence[int]
    statistic: Callable[[pl.DataFrame], pl.DataFrame]
    resamples: int
    seed: int

    def intervals(self, figures: Mapping[str, float | None]) -> dict[str, Interval]:
        """Return the interval of each figure that is known and varies.

        Where all resamples give the same figure, for example because all rows are right, a bootstrap says nothing.
        """
        n = sum(self.counts)
        wanted = [name for name, figure in figures.items() if figure is not None]
        if n < 2 or not self.resamples or not wanted:
            return {}
        drawn = pl.concat([self.statistic(draws) for draws in self._draws(n)])
        left_out = self._left_out()
        intervals: dict[str, Interval] = {}
        for name in wanted:
            values = drawn[name].drop_nulls().drop_nans().sort()
            if len(values) >= _MIN_RESAMPLES / 2 and values[0] < values[-1]:
                intervals[name] = _corrected(values, float(figures[name] or 0.0), self._acceleration(left_out, name))
        return intervals

    def _draws(self, n: int) -> Iterator[pl.DataFrame]:
        """Yield resamples of all rows, several in one frame."""
        # Equal rows are drawn together and counted: the statistic works on distinct rows with weights `times`.
        rows = pl.Series("row", range(len(self.counts)), dtype=pl.UInt32)
        every = rows.to_frame().select(pl.col("row").repeat_by(pl.Series(self.counts)).explode())["row"]
        resamples = min(self.resamples, max(_MIN_RESAMPLES, _MAX_DRAWS // n))
        at_once = max(1, _DRAWS_AT_ONCE // n)
        for first in range(0, resamples, at_once):
            count = min(at_once, resamples - first)
            rows_drawn = every.sample(n * count, with_replacement=True, seed=self.seed + first)
            draw = pl.int_range(n * count, dtype=pl.Int64, eager=True) // n + first
            yield pl.DataFrame({"draw": draw, "row": rows_drawn}).group_by("draw", "row").len("times")

    def _left_out(self) -> pl.DataFrame | None:
        """Return the statistic without one row, for each distinct row: the jackknife."""
        kinds = len(self.counts)
        if kinds > _MAX_JACKKNIFE:
            return None
        rows = pl.DataFrame({"row": pl.Series(range(kinds), dtype=pl.UInt32), "times": self.counts})
        grid = rows.select(draw=pl.col("row").cast(pl.Int64)).join(rows, how="cross")
        fewer = grid.with_columns(pl.col("times") - (pl.col("draw") == pl.col("row")).cast(pl.Int64))
        return self.statistic(fewer.filter(pl.col("times") > 0))

    def _acceleration(self, left_out: pl.DataFrame | None, name: str) -> float:
        """Return how fast the figure's standard error changes with the figure, from the jackknife; 0 without one."""
        if left_out is None:
            return 0.0  # the interval is then bias-corrected only
        known = left_out.select("draw", value=name).drop_nulls().filter(pl.col("value").is_finite())
        # Equal rows have equal jackknife values, so each distinct row weighs as often as it occurs.
        weights = [self.counts[row] for row in known["draw"].to_list()]
        values = known["value"].to_list()
        total = sum(weights)
        if not total:
            return 0.0
        mean = math.fsum(map(math.prod, zip(weights, values, strict=True))) / total
        off = [(weight, mean - value) for weight, value in zip(weights, values, strict=True)]
        squares = math.fsum(weight * gap**2 for weight, gap in off)
        return math.fsum(weight * gap**3 for weight, gap in off) / (6 * squares**1.5) if squares > 1e-30 else 0.0


def _corrected(values: pl.Series, figure: float, acceleration: float) -> Interval:
    """Return the BCa interval from sorted resampled values; the plain percentiles where all lie on one side."""
    # Ties count half: a figure of few rows takes few values, and the bias would jump otherwise.
    share = sum(1.0 if value < figure else 0.5 if value == figure else 0.0 for value in values) / len(values)
    bias = _NORMAL.inv_cdf(share) if 0 < share < 1 else 0.0

    def end(z: float) -> float:
        # Near its pole the correction means nothing: the plain percentile is used there.
        slack = 1 - acceleration * (bias + z)
        shifted = bias + (bias + z) / slack if slack > 0.1 else z
        return float(values.quantile(_NORMAL.cdf(shifted), "linear") or 0.0)

    low, high = end(-_Z), end(_Z)
    return Interval(min(low, high), max(low, high))
