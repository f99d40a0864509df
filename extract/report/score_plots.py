"""The reliability diagram and the risk-coverage curve, drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from extract.evaluation.calibration import ReliabilityBin
from extract.evaluation.risk_coverage import RiskPoint
from extract.report.drawing import COLOUR, HEIGHT, WIDTH, altair_module, svg_of, values_of

__all__ = ["draw_reliability", "draw_risk"]


def draw_reliability(bins: Sequence[ReliabilityBin]) -> str:
    """Return the share of right rows by score, with intervals, beside the diagonal of a calibrated score."""
    altair = altair_module()
    rows = [
        {
            "score": one.score,
            "right": one.share,
            "low": one.interval.low if one.interval else one.share,
            "high": one.interval.high if one.interval else one.share,
            "text": f"{one.low:.1f} to {one.high:.1f}: {one.right:,} of {one.rows:,} right",
        }
        for one in bins
    ]
    base = altair.Chart(values_of(rows)).encode(x=_across("score"), description=altair.Description("text:N"))
    spread = base.mark_rule(color=COLOUR["accent"], opacity=0.5).encode(y=_upwards("low"), y2=altair.Y2("high"))
    points = base.mark_circle(color=COLOUR["accent"], size=40, opacity=1).encode(y=_upwards("right"))
    ends = altair.Chart(values_of({"score": one, "right": one} for one in (0, 1)))
    diagonal = ends.mark_line(color=COLOUR["muted"], strokeDash=[4, 4], strokeWidth=1, aria=False)
    chart = altair.layer(diagonal.encode(x=_across("score"), y=_upwards("right")), spread, points)
    return svg_of(chart, "Share of right rows by score", size=(WIDTH, HEIGHT))


def draw_risk(curve: Sequence[RiskPoint]) -> str:
    """Return the share of right rows among those accepted, by how many are accepted."""
    altair = altair_module()
    rows: list[dict[str, Any]] = [
        {
            "coverage": one.coverage,
            "right": one.right,
            "low": one.interval[0],
            "high": one.interval[1],
            "text": f"score {one.threshold:.3g}: {one.coverage:.0%} accepted, {one.right:.1%} right",
        }
        for one in curve
    ]
    floor = max(0.0, min(row["low"] for row in rows if row["coverage"] >= min(0.1, rows[-1]["coverage"])))
    base = altair.Chart(values_of(rows)).encode(x=_across("coverage"))
    area = base.mark_area(color=COLOUR["accent"], opacity=0.14, aria=False)
    line = base.mark_line(color=COLOUR["accent"], strokeWidth=1.6, aria=False)
    drawn = altair.layer(
        area.encode(y=_upwards("low", floor), y2=altair.Y2("high")),
        line.encode(y=_upwards("right", floor)),
    )
    return svg_of(drawn, "Share of right rows among those accepted, by the share accepted", size=(WIDTH, HEIGHT))


def _across(name: str) -> Any:
    altair = altair_module()
    axis = altair.Axis(format="%", tickCount=5, title=None, grid=False)
    return altair.X(f"{name}:Q", axis=axis, scale=altair.Scale(domain=[0, 1]))


def _upwards(name: str, floor: float = 0.0) -> Any:
    altair = altair_module()
    axis = altair.Axis(format="%", tickCount=5, title=None, domain=False, ticks=False)
    return altair.Y(f"{name}:Q", axis=axis, scale=altair.Scale(domain=[floor, 1], clamp=True))
