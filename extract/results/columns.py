"""Outcomes as columns: errors, spans, provenance, agreement. One row per outcome, always with the same types."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import polars as pl
from pydantic_core import to_json

from extract.documents.grounding.span import Span, Status
from extract.documents.windows.conflicts import Conflict
from extract.errors import (
    ConfigError,
    ExtractError,
    InvalidAnswer,
)
from extract.extractor.plan import CompiledExtractor
from extract.interactions.citations import Citation
from extract.interactions.usage import Attempt, Usage
from extract.results.outcome import Outcome
from extract.results.route import route_frame

__all__ = [
    "OutputShape",
    "added_schema",
    "agreement_frame",
    "block_columns",
    "error_frame",
    "error_schema",
    "not_run_columns",
    "not_run_frame",
    "output_schema",
    "places_in_input",
    "provenance_frame",
    "spans_frame",
]

_TOKENS = ("input_tokens", "output_tokens", "thought_tokens", "cached_tokens")
_BILLED = {
    "model": pl.String,
    "service_tier": pl.String,
    **dict.fromkeys(_TOKENS, pl.Int64),
    "cost_usd": pl.Float64,
}
_ATTEMPT = pl.Struct(
    {
        "kind": pl.String,
        "code": pl.String,
        **_BILLED,
    }
)
_CITATION = pl.Struct(
    {"kind": pl.String, "source": pl.String, "title": pl.String, "text": pl.String, "start": pl.Int64, "end": pl.Int64}
)
_CONFLICT = pl.Struct({"path": pl.String, "chosen": pl.String, "values": pl.List(pl.String)})
_BOX = pl.Struct({"page": pl.Int64, "left": pl.Float64, "top": pl.Float64, "right": pl.Float64, "bottom": pl.Float64})
_SPAN = pl.Struct(
    {
        "path": pl.String,
        "status": pl.Enum(get_args(Status)),
        "start": pl.Int64,
        "end": pl.Int64,
        "score": pl.Float64,
        "page": pl.Int64,
        "text": pl.String,
        "boxes": pl.List(_BOX),
    }
)
_PROVENANCE = pl.Struct(
    {
        "code": pl.String,
        **_BILLED,
        "attempts": pl.Int64,
        "repairs": pl.Int64,
        "seconds": pl.Float64,
        "cached": pl.Boolean,
        "reused": pl.Boolean,
        "mended": pl.List(pl.String),
        "unnamed": pl.Boolean,
        "grounded": pl.Boolean,
        "citations": pl.List(_CITATION),
        "windows": pl.Int64,
        "conflicts": pl.List(_CONFLICT),
        "encoding": pl.String,
        "pack": pl.Int64,
        "files": pl.String,
        "ledger": pl.List(_ATTEMPT),
    }
)


def error_schema(row_id: pl.DataType) -> pl.Schema:
    """Return the columns of `Run.errors` for a type of row ids."""
    strings = dict.fromkeys(("code", "message", "path", "answer"), pl.String())
    return pl.Schema({"row_id": row_id, **strings, "attempts": pl.Int64()})


def error_frame(outcomes: Sequence[Outcome], row_id: pl.DataType) -> pl.DataFrame:
    """Return one row per failed outcome."""
    rows = [
        (outcome.row_id, *_reason(outcome.error), outcome.answer, outcome.attempts)
        for outcome in outcomes
        if outcome.error
    ]
    return pl.DataFrame(rows, schema=error_schema(row_id), orient="row")


def not_run_frame(row_ids: pl.Series, message: str) -> pl.DataFrame:
    """Return the errors of rows that the run no longer sends, however many."""
    schema = error_schema(row_ids.dtype)
    values = {"code": pl.lit("not_run"), "message": pl.lit(message), "attempts": pl.lit(0)}
    columns = [
        values.get(name, pl.lit(None)).cast(dtype).alias(name) for name, dtype in schema.items() if name != "row_id"
    ]
    return row_ids.alias("row_id").to_frame().with_columns(columns)


def places_in_input(places: Sequence[int], left_out: pl.Series) -> list[int]:
    """Return the places of rows in the input, from their places in an output without the rows in `left_out`."""
    # Before the i-th row that was left out, at input place p, there are p - i rows of the output. So a row of the
    # output comes after exactly those left-out rows for which p - i is at most its own place.
    ordered = left_out.drop_nulls().cast(pl.Int64).sort()
    rows_before = ordered - pl.int_range(len(ordered), eager=True)
    return [place + int(rows_before.search_sorted(place, side="right")) for place in places]


def _reason(error: ExtractError) -> tuple[str, str, str | None]:
    path = error.issues[0].path if isinstance(error, InvalidAnswer) and error.issues else None
    return error.code, str(error), path


def provenance_frame(outcomes: Sequence[Outcome]) -> pl.DataFrame:
    """Return the struct column `_extract`: where each row's answer came from and what this run spent on it.

    `code` is the error's where a row was rejected. `reused`: an earlier run paid for at least a part of the answer.
    """
    rows: list[dict[str, Any]] = [
        {
            "code": None if outcome.error is None else outcome.error.code,
            "model": outcome.model,
            "service_tier": outcome.service_tier,
            **_token_row(_whole_usage(outcome)),
            "cost_usd": None if outcome.cost is None else float(outcome.cost),
            "attempts": outcome.attempts,
            "repairs": outcome.repairs,
            "seconds": outcome.seconds,
            "cached": outcome.cached,
            "reused": outcome.reused,
            "mended": list(outcome.mended),
            "unnamed": outcome.unnamed,
            "grounded": outcome.grounded,
            "citations": [_citation_row(citation) for citation in outcome.citations],
            "windows": outcome.windows,
            "conflicts": [_conflict_row(conflict) for conflict in outcome.conflicts],
            "encoding": outcome.encoding,
            "pack": outcome.pack,
            "files": outcome.files,
            "ledger": [_attempt_row(attempt) for attempt in outcome.ledger],
        }
        for outcome in outcomes
    ]
    return pl.Series("_extract", rows, dtype=_PROVENANCE).to_frame()


def spans_frame(outcomes: Sequence[Outcome]) -> pl.DataFrame:
    """Return the column `_spans`: the places of a row's values in its source, null where they are unknown."""
    rows = [
        None if outcome.spans is None or not outcome.ok else [_span_row(span) for span in outcome.spans]
        for outcome in outcomes
    ]
    return pl.Series("_spans", rows, dtype=pl.List(_SPAN)).to_frame()


def agreement_frame(outcomes: Sequence[Outcome], columns: Sequence[str]) -> pl.DataFrame:
    """Return the struct column `_agreement`: for each column, the share of a row's samples that give its value."""
    dtype = pl.Struct(dict.fromkeys(columns, pl.Float64))
    rows = [None if outcome.agreement is None or not outcome.ok else dict(outcome.agreement) for outcome in outcomes]
    return pl.Series("_agreement", rows, dtype=dtype).to_frame()


def _conflict_row(conflict: Conflict) -> dict[str, Any]:
    """Return a value on which windows disagree; values are JSON text, since they may be of any type."""
    values = [to_json(candidate.value).decode() for candidate in conflict.candidates]
    return {"path": conflict.path, "chosen": to_json(conflict.chosen).decode(), "values": values}


def _span_row(span: Span) -> dict[str, Any]:
    row = {name: getattr(span, name) for name in _SPAN.to_schema()}
    row["boxes"] = [{name: getattr(box, name) for name in _BOX.to_schema()} for box in span.boxes]
    return row


def added_schema(*, spans: bool, provenance: bool, sampled: Sequence[str] = (), routed: bool = False) -> pl.Schema:
    """Return the columns beside those of the answer; `sampled` names the latter where rows have several samples."""
    agreement = agreement_frame((), sampled).schema if sampled else {}
    added = (spans_frame(()).schema if spans else {}) | (provenance_frame(()).schema if provenance else {})
    return pl.Schema(agreement | added | (route_frame(()).schema if routed else {}))


def _citation_row(citation: Citation) -> dict[str, Any]:
    """Return one annotation of the answer; its offsets count characters of the answer's text."""
    names = ("kind", "source", "title", "text", "start", "end")
    return {name: getattr(citation, name) for name in names}


def _whole_usage(outcome: Outcome) -> Usage | None:
    """Return what a row has used, None where an answer that arrived does not tell a part of it."""
    unknown = outcome.unknown_attempts and any(one.arrived and one.usage is None for one in outcome.ledger)
    return None if unknown else outcome.usage


def _token_row(usage: Usage | None) -> dict[str, int | None]:
    if usage is None:
        return dict.fromkeys(_TOKENS)
    # Written out: this runs for every row.
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "thought_tokens": usage.thought_tokens,
        "cached_tokens": usage.cached_tokens,
    }


def _attempt_row(attempt: Attempt) -> dict[str, Any]:
    """Return one entry of a row's ledger; tokens are null where no answer says how many."""
    return {
        "kind": attempt.kind,
        "code": attempt.code,
        "model": attempt.model,
        "service_tier": attempt.tier,
        **_token_row(attempt.usage),
        "cost_usd": None if attempt.cost is None else float(attempt.cost),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputShape:
    """How outcomes become rows: which column names a row, what its new columns are called, where rejected rows go.

    `errors`: "null" keeps rejected rows, with nulls; "split" leaves them out of the output. `note` is said in the
    output's manifest, and nowhere in its rows.
    """

    row_id: str | None = None
    prefix: str = ""
    errors: Literal["split", "null"] = "null"
    provenance: bool = False
    note: str | None = None

    def __post_init__(self) -> None:
        if self.errors not in ("split", "null"):
            raise ConfigError(f"errors is 'split' or 'null', not {self.errors!r}")

    @property
    def split_errors(self) -> bool:
        """True where rejected rows are left out of the output."""
        return self.errors == "split"


def output_schema(
    source: pl.Schema, plan: CompiledExtractor, shape: OutputShape, *, sampled: bool = False, routed: bool = False
) -> pl.Schema:
    """Return the output's schema for the schema of an input. Raises ConfigError where names clash."""
    if shape.row_id and shape.row_id not in source:
        raise ConfigError(f"there is no id column {shape.row_id!r}; the input has {list(source)!r}")
    columns = {shape.prefix + name: dtype for name, dtype in plan.schema.dtypes.items()}
    added = added_schema(
        spans=bool(plan.extractor.grounding),
        provenance=shape.provenance,
        sampled=[*plan.schema.dtypes] if sampled else (),
        routed=routed,
    )
    if clash := [name for name in columns if name in source or name in added]:
        raise ConfigError(
            f"there are already columns named {clash!r}; choose a prefix for the new ones with prefix= (--prefix)"
        )
    if clash := [name for name in added if name in source]:
        raise ConfigError(f"the input has columns named {clash!r}, as the output will: rename or drop them first")
    return pl.Schema({**source, **columns, **added})


def block_columns(
    frame: pl.DataFrame,
    outcomes: Sequence[Outcome],
    plan: CompiledExtractor,
    shape: OutputShape,
    *,
    sampled: bool = False,
    routed: bool = False,
) -> pl.DataFrame:
    """Return a frame's output, with the columns of `output_schema`: one outcome for each row, in their order.

    Failed rows are null, or left out where `shape` splits errors.
    """
    columns = plan.schema.frame([outcome.row for outcome in outcomes])
    if shape.prefix:
        columns = columns.rename({name: shape.prefix + name for name in columns.columns})
    frame = frame.hstack(columns)
    if sampled:
        frame = frame.hstack(agreement_frame(outcomes, list(plan.schema.dtypes)))
    if plan.extractor.grounding:
        frame = frame.hstack(spans_frame(outcomes))
    if shape.provenance:
        frame = frame.hstack(provenance_frame(outcomes))
    if routed:
        frame = frame.hstack(route_frame([outcome.route for outcome in outcomes]))
    valid = [outcome.error is None for outcome in outcomes]
    # A filter starts Polars' engine: as much work as all else that a block of valid rows takes.
    return frame.filter(pl.Series(valid)) if shape.split_errors and not all(valid) else frame


def not_run_columns(frame: pl.DataFrame, schema: pl.Schema, shape: OutputShape) -> pl.DataFrame:
    """Return the output of rows that are not asked any more: nulls, or no rows where failed ones are left out."""
    nulls = [pl.lit(None, dtype).alias(name) for name, dtype in schema.items() if name not in frame.columns]
    return (frame.clear() if shape.split_errors else frame).with_columns(nulls)
