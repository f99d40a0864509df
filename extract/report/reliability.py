"""How the score of an output meets rightness on gold: what the reliability diagram and the risk-coverage curve show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from extract.errors import ConfigError
from extract.evaluation.acceptance import gold_scores
from extract.evaluation.calibration import Calibration, calibration
from extract.evaluation.inputs import AnsweredRows, rejected_rows
from extract.evaluation.risk_coverage import RiskPoint, risk_coverage
from extract.report.material import AGREEMENT, PROVENANCE, SPANS, Columns, Material

__all__ = ["Reliability", "reliability"]


@dataclass(frozen=True, slots=True)
class Reliability:
    """What the score is, its calibration, and the curve, whose coverage is that of the gold rows."""

    source: str
    calibration: Calibration
    curve: tuple[RiskPoint, ...]


def reliability(
    material: Material, columns: Columns, gold: pl.DataFrame, *, on: str, fields: Sequence[str]
) -> Reliability | None:
    """Return how the output's score meets rightness in `fields`, None where the output has no score.

    Of the output only the rows of gold are read.
    """
    roles = {AGREEMENT: columns.agreement, SPANS: columns.spans, PROVENANCE: columns.provenance}
    read = dict.fromkeys([on, *columns.answer, *(name for name, there in roles.items() if there)])
    keys = gold[on].cast(pl.String).implode()
    rows = material.rows.select(*read).filter(pl.col(on).cast(pl.String).is_in(keys)).collect(engine="streaming")
    by_field = {name: key for key, name in columns.keys.items()}
    output = AnsweredRows(rows, columns.answer, ~rejected_rows(rows), by_field)
    try:
        pairs, sources = gold_scores(output, gold, on=on, fields=fields)
    except ConfigError:
        return None
    curve = risk_coverage(pairs, [score for score, _ in pairs], gold.height)
    return Reliability(", ".join(dict.fromkeys(sources.values())), calibration(pairs), curve) if pairs else None
