"""The score of one answer while a run is under way: what `row_scores` says of a whole output, for one row at a time.

Which of a field's scores counts is fixed by the extractor alone, not by the rows: so it is the same for the gold rows
and for all that come after them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, TypeAlias

import polars as pl

from extract.errors import ConfigError, ExtractError
from extract.evaluation.row_scores import row_scores, top_key
from extract.extractor.plan import CompiledExtractor
from extract.results.columns import OutputShape, block_columns
from extract.results.outcome import Outcome

__all__ = ["AnswerScore"]

_CONFIDENCE: Final = "confidence"

_Way: TypeAlias = Callable[[Outcome], float | None]


class AnswerScore:
    """Scores the answers of one extractor. `sources` says by field what the score is; empty where it has none."""

    def __init__(
        self,
        plan: CompiledExtractor,
        fields: Sequence[str],
        schema: pl.Schema,
        *,
        score: str | pl.Expr | None,
        sampled: bool,
    ) -> None:
        """`schema` are the columns of the records. ConfigError for a `score` that cannot be computed from them."""
        self.sources: dict[str, str] = {}
        self._plan, self._sampled, self._score, self._schema = plan, sampled, score, schema
        self._places = {name: place for place, name in enumerate(plan.schema.dtypes)}
        self._ways: list[_Way] = []
        if score is None:
            for field in dict.fromkeys(fields):
                self._add(field)
            return
        self.sources["row"] = f"score {score}"
        if isinstance(score, str) and score in self._places:
            if not plan.schema.dtypes[score].is_numeric():
                raise ConfigError(f"the score {score} is no number: its column is {plan.schema.dtypes[score]}")
            self._ways.append(self._cell(score))
        else:
            self._expressed(schema.to_frame(), [])

    def __call__(self, record: Mapping[str, Any], outcome: Outcome) -> float | None:
        """Return the score of an answer; None without an answer, or without a score of every field that has one."""
        if not outcome.ok or not self.sources:
            return None
        if not self._ways:
            return self._expression(record, outcome)
        lowest = math.inf
        for way in self._ways:
            one = way(outcome)
            if one is None:
                return None
            lowest = min(lowest, one)
        return lowest

    def _add(self, field: str) -> None:
        """Find the score of a field, if it has one."""
        first, source = self._first(field)
        key = self._plan.schema.keys.get(field, field)
        if not self._plan.extractor.grounding or not _is_quoted(self._plan.schema.dtypes[field]):
            if first is not None:
                self._ways.append(first)
                self.sources[field] = source
        elif first is None:
            self._ways.append(lambda outcome: _grounding(outcome, key))
            self.sources[field] = "grounding"
        else:
            self._ways.append(lambda outcome: 0.0 if _grounding(outcome, key) == 0 else first(outcome))
            self.sources[field] = f"{source}, 0 where not found in the source"

    def _first(self, field: str) -> tuple[_Way | None, str]:
        if self._sampled:
            return lambda outcome: (outcome.agreement or {}).get(field), "agreement of samples"
        for name in (f"{field}_{_CONFIDENCE}", _CONFIDENCE):
            if name != field and name in self._places and self._plan.schema.dtypes[name].is_numeric():
                return self._cell(name), f"declared {name}"
        return None, ""

    def _cell(self, name: str) -> _Way:
        place = self._places[name]
        return lambda outcome: None if outcome.row is None else _finite(outcome.row[place])

    def _expression(self, record: Mapping[str, Any], outcome: Outcome) -> float | None:
        try:
            frame = pl.DataFrame([dict(record)], schema=self._schema) if self._schema else pl.DataFrame([{}])
            return self._expressed(frame, [outcome])[0]
        except (ExtractError, pl.exceptions.PolarsError):
            return None

    def _expressed(self, frame: pl.DataFrame, outcomes: Sequence[Outcome]) -> list[float | None]:
        columns = {name: name for name in self._plan.schema.dtypes}
        record = frame.drop([name for name in columns if name in frame.columns])
        rows = block_columns(record, outcomes, self._plan, OutputShape(), sampled=self._sampled)
        return row_scores(rows, columns, list(columns), score=self._score).row.to_list()


def _finite(cell: Any) -> float | None:
    if isinstance(cell, bool) or not isinstance(cell, int | float | Decimal):
        return None
    return float(cell) if math.isfinite(cell) else None


def _grounding(outcome: Outcome, key: str) -> float | None:
    """Return the least score of the values of a field, 0 for one that stands nowhere, 1 where none can be looked up."""
    if outcome.spans is None:
        return None
    scores = (
        0.0 if span.status == "missing" else 1.0 if span.score is None else span.score
        for span in outcome.spans
        if top_key(span.path) == key
    )
    return min(scores, default=1.0)


def _is_quoted(dtype: Any) -> bool:
    """Return whether a column may hold values that stand in a source: not where all are labels, yes or no."""
    if isinstance(dtype, pl.Struct):
        return any(_is_quoted(one.dtype) for one in dtype.fields)
    if isinstance(dtype, pl.List | pl.Array):
        return _is_quoted(dtype.inner)
    return not isinstance(dtype, pl.Enum | pl.Categorical | pl.Boolean | pl.Null)
