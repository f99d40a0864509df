"""The rows of a run that have failed: their errors, and where they stand in the input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import polars as pl

from extract.results.columns import error_frame, error_schema, not_run_frame
from extract.results.outcome import Outcome

__all__ = ["RejectedRows"]


@dataclass(slots=True)
class RejectedRows:
    """Errors and places by number of block: blocks are finished in any order, and read in that of the input."""

    _errors: dict[int, pl.DataFrame] = field(default_factory=dict)
    _places: dict[int, pl.Series] = field(default_factory=dict)

    def add(self, block: int, start: int, outcomes: Sequence[Outcome], id_type: pl.DataType) -> None:
        """Take the failed rows of one block, if any; `start` is the place of its first row, counted from 0."""
        if places := [start + index for index, outcome in enumerate(outcomes) if outcome.error]:
            self._errors[block] = error_frame(outcomes, id_type)
            self._places[block] = pl.Series(places, dtype=pl.Int64)

    def add_not_run(self, block: int, start: int, frame: pl.DataFrame, row_id: str | None, message: str) -> None:
        """Take all rows of a block that is not asked any more."""
        places = pl.int_range(start, start + frame.height, eager=True)
        self._errors[block] = not_run_frame(frame[row_id] if row_id else places, message)
        self._places[block] = places

    def errors(self, id_type: pl.DataType) -> pl.DataFrame:
        """Return all rows that failed so far, in the order of the input."""
        return pl.concat([error_schema(id_type).to_frame(), *(frame for _, frame in sorted(self._errors.items()))])

    def places(self) -> pl.Series:
        """Return where these rows stand in the input, counted from 0."""
        return pl.concat([pl.Series(dtype=pl.Int64), *(places for _, places in sorted(self._places.items()))])
