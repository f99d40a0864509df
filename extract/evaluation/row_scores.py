"""Scores of the rows of an output: one number per row that rises with the chance that its answer is right.

A field's score is the first of these that there is: the probability that the Decisions API gives the answer, the
agreement of the samples, a number that the schema declares (`confidence`, or `total_confidence` for the field
`total`). Where values were looked up in the source, a value that stands nowhere scores 0, and fields without another
score have the least similarity of their values. A row's score is the least of its fields' scores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import polars as pl
from pydantic_core import from_json

from extract.errors import ConfigError
from extract.evaluation.rejected import inner_names

__all__ = ["SCORE_WAYS", "Scores", "row_scores", "top_key"]

_AGREEMENT, _SPANS, _CONFIDENCE = "_agreement", "_spans", "confidence"

SCORE_WAYS: Final = (
    "run it with samples (--samples 3), with grounding, or with a number named `confidence` in the schema, "
    "ask the Decisions API (--decide FIELD), or name a column or an expression (--score)"
)


@dataclass(frozen=True, slots=True)
class Scores:
    """`row` has one score per row, null where there is none. `fields` has a column per field, `sources` says of what.

    `unscored` are the fields for which the output has no score: they do not count in a row's score.
    """

    row: pl.Series
    fields: pl.DataFrame
    sources: Mapping[str, str]
    unscored: tuple[str, ...] = ()


def row_scores(
    rows: pl.DataFrame,
    columns: Mapping[str, str],
    fields: Sequence[str],
    *,
    score: str | pl.Expr | None = None,
    decided: pl.DataFrame | None = None,
    keys: Mapping[str, str] = MappingProxyType({}),
) -> Scores:
    """Return the scores of an output's rows for `fields`; `columns` maps its columns to the fields of the schema.

    `keys` are the fields' keys on the wire, where these differ.

    `score` names a column, or is an expression: of Polars, or as text in SQL (`least(a, b)`). `decided` is the frame of
    `check_labels` of the same rows. ConfigError where nothing in the output can be a score.
    """
    if score is not None:
        return Scores(_named(rows, score), pl.DataFrame(), {"row": f"score {score}"})
    if decided is not None and not {"row", "field", "extracted_probability"} <= set(decided.columns):
        raise ConfigError(f"decided is the frame of check_labels(...), which this is not: it has {decided.columns!r}")
    column_of = {field: column for column, field in columns.items()}
    by_field: dict[str, pl.Series] = {}
    sources: dict[str, str] = {}
    for field in fields:
        known = _score_of(rows, column_of, field, decided, keys.get(field, field))
        if known is not None:
            by_field[field], sources[field] = known
    if not by_field:
        raise ConfigError(f"this output has no score for {list(fields)!r}: {SCORE_WAYS}")
    frame = pl.DataFrame(by_field)
    row = frame.select(pl.min_horizontal(pl.all())).to_series().alias("score")
    # A field without its score in a row says nothing for the row: the least of the others would be too high.
    whole = frame.select(pl.all_horizontal(pl.all().is_not_null())).to_series()
    row = pl.select(pl.when(whole).then(row)).to_series().alias("score")
    return Scores(row, frame, sources, tuple(field for field in fields if field not in by_field))


def _named(rows: pl.DataFrame, score: str | pl.Expr) -> pl.Series:
    expression = pl.col(score) if isinstance(score, str) and score in rows.columns else _expression(score)
    try:
        series = rows.select(score=expression.cast(pl.Float64)).to_series()
    except (pl.exceptions.PolarsError, TypeError) as error:
        reason = str(error).strip().splitlines()[0][:200]
        raise ConfigError(f"the score {score} cannot be computed from this output ({reason})") from None
    if len(series) != rows.height:
        raise ConfigError(
            f"the score {score} has {len(series):,} values for {rows.height:,} rows; it needs one per row"
        )
    return _finite(series)


def _finite(scores: pl.Series) -> pl.Series:
    """Return scores with null for what is no number, or has no end."""
    return pl.select(pl.when(scores.is_finite()).then(scores)).to_series().alias("score")


def _expression(score: str | pl.Expr) -> pl.Expr:
    if not isinstance(score, str):
        return score
    try:
        return pl.sql_expr(score)
    except pl.exceptions.PolarsError as error:
        reason = str(error).strip().splitlines()[0][:200]
        raise ConfigError(f"the score {score!r} is neither a column nor an expression ({reason})") from None


def _score_of(
    rows: pl.DataFrame, column_of: Mapping[str, str], field: str, decided: pl.DataFrame | None, key: str
) -> tuple[pl.Series, str] | None:
    """Return the scores of a field and what they are, None where the output has none."""
    grounded = _grounding(rows, key)
    first = _decided(rows, field, decided) or _agreement(rows, field) or _declared(rows, column_of, field)
    if first is None:
        return None if grounded is None else (grounded, "grounding")
    if grounded is None:
        return first
    series, source = first
    zeroed = pl.select(pl.when(grounded == 0).then(0.0).otherwise(series)).to_series()
    return zeroed, f"{source}, 0 where not found in the source"


def _decided(rows: pl.DataFrame, field: str, decided: pl.DataFrame | None) -> tuple[pl.Series, str] | None:
    if decided is None or field not in decided["field"]:
        return None
    places = pl.DataFrame({"row": pl.int_range(rows.height, eager=True)})
    chosen = decided.filter(pl.col("field") == field).select("row", "extracted_probability")
    joined = places.join(chosen, on="row", how="left", maintain_order="left")
    return joined["extracted_probability"], "probability of the Decisions API"


def _agreement(rows: pl.DataFrame, field: str) -> tuple[pl.Series, str] | None:
    if field not in inner_names(rows.schema, _AGREEMENT):
        return None
    return rows[_AGREEMENT].struct.field(field).cast(pl.Float64), "agreement of samples"


def _declared(rows: pl.DataFrame, column_of: Mapping[str, str], field: str) -> tuple[pl.Series, str] | None:
    for name in (f"{field}_{_CONFIDENCE}", _CONFIDENCE):
        column = column_of.get(name)
        if name != field and column in rows.columns and rows.schema[column].is_numeric():
            return _finite(rows[column].cast(pl.Float64)), f"declared {name}"
    return None


def _grounding(rows: pl.DataFrame, key: str) -> pl.Series | None:
    """Return the least score of the values of a field, 0 for one that stands nowhere; None without any span of it.

    A value that cannot be looked up, such as null or a label, has no span: its row scores 1.
    """
    if not {"path", "status", "score"} <= set(_members(rows)):
        return None
    span = pl.col("span").struct
    spans = rows.select(row=pl.int_range(pl.len()), span=pl.col(_SPANS)).explode("span").drop_nulls("span")
    is_missing = span.field("status").cast(pl.String) == "missing"
    score = pl.when(is_missing).then(0.0).otherwise(span.field("score").cast(pl.Float64).fill_null(1.0))
    scored = spans.select("row", path=span.field("path").cast(pl.String), score=score)
    mine = [path for path in scored["path"].unique().drop_nulls() if top_key(path) == key]
    lowest = scored.filter(pl.col("path").is_in(mine)).group_by("row").agg(pl.col("score").min())
    if lowest.is_empty():
        return None
    places = rows.select(row=pl.int_range(pl.len()), known=pl.col(_SPANS).is_not_null())
    joined = places.join(lowest, on="row", how="left", maintain_order="left")
    return joined.select(score=pl.when("known").then(pl.col("score").fill_null(1.0))).to_series()


def _members(rows: pl.DataFrame) -> list[str]:
    dtype = rows.schema.get(_SPANS)
    inner = dtype.inner if isinstance(dtype, pl.List) else None
    return [field.name for field in inner.fields] if isinstance(inner, pl.Struct) else []


def top_key(path: str) -> str:
    """Return the first key of a JSON path."""
    rest = path.removeprefix("$")
    if rest.startswith('["'):
        return str(from_json(rest[1 : rest.index('"]') + 1]))
    return rest.removeprefix(".").partition(".")[0].partition("[")[0]
