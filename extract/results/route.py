"""The column `_route`: which step gave a row's answer, with which score, and whether that was enough."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import polars as pl

__all__ = ["ROUTE", "ROUTE_TYPE", "Route", "route_frame"]

ROUTE: Final = "_route"

ROUTE_TYPE: Final = pl.Struct(
    {"step": pl.Int64(), "score": pl.Float64(), "accepted": pl.Boolean(), "threshold": pl.Float64()}
)


class Route(NamedTuple):
    """Where a row ended: `step`, from 1, gave the answer, None without an answer.

    `threshold` is the score that the step asks for, None where it accepts every answer or none.
    """

    step: int | None
    score: float | None
    accepted: bool
    threshold: float | None


def route_frame(routes: Sequence[Route | None]) -> pl.DataFrame:
    """Return the column `_route`; None, and a null, for a row that was not asked to its end."""
    rows = [None if route is None else route._asdict() for route in routes]
    return pl.Series(ROUTE, rows, dtype=ROUTE_TYPE).to_frame()
