"""Everything a report says, as one frozen value read from files. Its size is bounded; nothing is drawn yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Unpack

import polars as pl

from extract.io.read_options import ReadKeywords
from extract.json_types import JsonObject
from extract.report.distributions import Distribution, distributions
from extract.report.material import Columns, Material
from extract.report.placements import Placement, placements
from extract.report.records import Shown, shown_records
from extract.report.row_status import valid_rows
from extract.report.scores import Judgement, judge
from extract.report.timeline import Course, Ledger, course_of, read_ledger
from extract.report.truncation import without_secrets
from extract.schema.losses import Loss

__all__ = ["Facts", "Origin", "Reason", "gather"]

_MAX_REASONS = 50


class Reason(NamedTuple):
    """Why rows were rejected: how many with this code at this path, and one of their messages."""

    code: str
    path: str | None
    rows: int
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Sums over the column of provenance. `cost` is in US dollars, None where a price is unknown."""

    models: tuple[tuple[str, int], ...]
    cost: float | None
    tokens: int
    cached: int
    repaired: int
    mended: int
    median_seconds: float | None
    slow_seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known about an output. None stands for what its files do not say.

    `errors_missing`: rows are known to have no answer, but the file that says which and why is missing.
    """

    name: str
    manifest: JsonObject
    columns: Columns
    course: Course
    ledger: Ledger | None
    origin: Origin | None
    codes: tuple[tuple[str, int], ...]
    errors_missing: bool
    reasons: tuple[Reason, ...]
    distributions: tuple[Distribution, ...]
    more_fields: int
    placements: tuple[Placement, ...]
    judgement: Judgement | None
    losses: tuple[Loss, ...] | None
    records: Shown

    @property
    def not_run(self) -> int:
        return dict(self.codes).get("not_run", 0)


def gather(
    material: Material,
    *,
    gold: Any = None,
    on: str | None = None,
    max_records: int = 2_000,
    **reading: Unpack[ReadKeywords],
) -> Facts:
    """Read everything that the report says; `reading` says how the file `gold` is written.

    Raises ConfigError for a gold file that cannot be compared.
    """
    columns = Columns.of(material)
    valid = valid_rows(material, columns)
    spread, more = distributions(valid, list(columns.answer))
    judgement = None if gold is None or on is None else judge(material, columns, gold, on=on, **reading)
    return Facts(
        name=material.name,
        manifest=material.manifest,
        columns=columns,
        course=course_of(material.manifest),
        ledger=None if material.cache is None else read_ledger(material.cache),
        origin=_origin(material.rows) if columns.provenance else None,
        codes=_codes(material),
        errors_missing=material.errors is None and bool(material.codes),
        reasons=_reasons(material.errors),
        distributions=tuple(spread),
        more_fields=more,
        placements=tuple(placements(material.rows, columns)) if columns.spans else (),
        judgement=judgement,
        losses=None if columns.schema is None else columns.schema.losses,
        records=shown_records(material, columns, max_records, None if judgement is None else judgement.wrong),
    )


def _codes(material: Material) -> tuple[tuple[str, int], ...]:
    if material.errors is None:
        return tuple(sorted((material.codes or {}).items(), key=lambda pair: (-pair[1], pair[0])))
    counted = material.errors.group_by(pl.col("code").cast(pl.String).fill_null("unknown")).len("count")
    return tuple(counted.sort("count", "code", descending=[True, False]).collect(engine="streaming").iter_rows())


def _reasons(errors: pl.LazyFrame | None) -> tuple[Reason, ...]:
    """Return the most frequent pairs of code and path; the elements of a list count as one path."""
    if errors is None:
        return ()
    path = pl.col("path").cast(pl.String).str.replace_all(r"\[\d+\]", "[]")
    message = pl.col("message").cast(pl.String).str.slice(0, 400).first()
    counted = errors.group_by(pl.col("code").cast(pl.String), path, maintain_order=True).agg(pl.len(), message)
    ordered = counted.sort("len", "code", "path", descending=[True, False, False]).head(_MAX_REASONS)
    rows = ordered.select("code", "path", "len", "message").collect(engine="streaming")
    return tuple(
        Reason(code or "unknown", path_, count, without_secrets(text or ""))
        for code, path_, count, text in rows.iter_rows()
    )


def _origin(rows: pl.LazyFrame) -> Origin | None:
    """Sum up the provenance of valid rows; None where another program wrote the column."""
    origins = rows.select(pl.col("_extract").struct.unnest()).drop_nulls("attempts")
    tokens = pl.sum_horizontal("input_tokens", "output_tokens", "thought_tokens").sum()
    seconds = pl.col("seconds").filter(~pl.col("cached"))
    figures: dict[str, Any] = {
        "cost": pl.when(pl.col("cost_usd").filter(pl.col("attempts") > 0).null_count() == 0).then(
            pl.col("cost_usd").sum()
        ),
        "tokens": tokens,
        "cached": pl.col("cached").sum(),
        "repaired": (pl.col("repairs") > 0).sum(),
        "mended": (pl.col("mended").list.len() > 0).sum(),
        "median_seconds": seconds.median(),
        "slow_seconds": seconds.quantile(0.95),
    }
    try:
        sums = origins.select(**figures).collect(engine="streaming").row(0, named=True)
        models = origins.drop_nulls("model").group_by("model").len("rows").sort("rows", "model", descending=True)
        return Origin(models=tuple(models.head(5).collect().iter_rows()), **sums)
    except (pl.exceptions.PolarsError, TypeError):
        return None
