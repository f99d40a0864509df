"""`Drawn`: rows that were chosen to be judged, known by their position, their key and their hashes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, overload

import polars as pl

from extract.evaluation.split import DEFAULT_SHARES, Split, row_hash, split_of
from extract.io.source import records_of
from extract.review.source_table import SourceTable
from extract.review.tasks import DrawnRow, Kind, answer_hash

__all__ = ["Drawn", "described"]

_PLACE: Final = "\0place"
_ORDER: Final = "\0order"
_KEY: Final = (pl.String, pl.Boolean)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """Rows that were chosen, in the order of judging: `chosen` has the columns of `described`.

    `population` is the number of rows of the table, `seed` that of a sample. `left_out` counts rows of a queue that
    were not chosen because they prove something: nobody may see their answers.
    """

    table: SourceTable
    chosen: pl.DataFrame
    kind: Kind
    population: int
    seed: int | None = None
    left_out: int = 0

    @property
    def rows(self) -> Sequence[DrawnRow]:
        """What a decision file stores of each row; made when it is read, as there may be a million."""
        return _Rows(self.chosen, self.kind)

    @property
    def frame(self) -> pl.DataFrame:
        """The cells of the rows, read from the table."""
        return self.table.rows_at(self.chosen["position"].to_list())

    def counts(self) -> dict[Split, int]:
        """Return how many rows each part of the gold has."""
        return {name: self.chosen.filter(split=name).height for name in DEFAULT_SHARES}


@dataclass(frozen=True, slots=True)
class _Rows(Sequence[DrawnRow]):
    chosen: pl.DataFrame
    kind: Kind

    def __len__(self) -> int:
        return self.chosen.height

    @overload
    def __getitem__(self, place: int) -> DrawnRow: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[DrawnRow]: ...
    def __getitem__(self, place: int | slice) -> DrawnRow | Sequence[DrawnRow]:
        if isinstance(place, slice):
            return _Rows(self.chosen[place], self.kind)
        return next(iter(_Rows(self.chosen[place], self.kind)))

    def __iter__(self) -> Iterator[DrawnRow]:
        for row in self.chosen.drop("position").iter_rows(named=True):
            yield DrawnRow(kind=self.kind, **row)


def described(
    table: SourceTable,
    positions: Sequence[int],
    kind: Kind,
    fields: Sequence[str],
    shares: Mapping[Split, float] = DEFAULT_SHARES,
) -> pl.DataFrame:
    """Return a row for each position, in their order: `position`, `row_id`, `row_hash`, `answer_hash`, `split`.

    The table is read through once, a part at a time. `fields` are those of which the answer's hash is made.
    """
    wanted = pl.DataFrame({_PLACE: positions, _ORDER: range(len(positions))}, schema=_WANTED)
    parts, first = [], 0
    for frame in table.batches():
        placed = frame.with_columns(pl.int_range(first, first + frame.height).alias(_PLACE)).join(wanted, on=_PLACE)
        parts.append(_described(table, placed, kind, fields, shares))
        first += frame.height
    return pl.concat(parts).sort(_ORDER).drop(_ORDER)


_WANTED: Final = {_PLACE: pl.Int64, _ORDER: pl.Int64}


def _described(
    table: SourceTable, placed: pl.DataFrame, kind: Kind, fields: Sequence[str], shares: Mapping[Split, float]
) -> pl.DataFrame:
    records = records_of(placed)
    row_hashes = [row_hash({name: record[name] for name in table.inputs}) for record in records]
    answers = [table.answer_of(record) if table.answers else None for record in records]
    named = placed[table.on or _PLACE]
    is_json = (named.dtype.is_numeric() and not named.dtype.is_decimal()) or named.dtype in _KEY
    splits = [split_of(one, shares, proof=kind == "sample") for one in row_hashes]
    return pl.DataFrame(
        [
            placed[_ORDER],
            placed[_PLACE].alias("position"),
            (named if is_json else named.cast(pl.String)).alias("row_id"),
            pl.Series("row_hash", row_hashes, dtype=pl.String),
            pl.Series("answer_hash", [answer_hash(answer, fields) for answer in answers], dtype=pl.String),
            pl.Series("split", splits, dtype=pl.String),
        ]
    )
