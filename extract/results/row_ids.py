"""Whether the ids of an input name its rows: how many occur more than once, or are null, in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl

from extract.json_types import JsonObject

__all__ = ["RowIdCounter", "RowIds"]

_MAX_IDS = 1 << 20  # different ids that are counted exactly, by 8 bytes each
_BATCH_ROWS = 65_536
_BATCH_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class RowIds:
    """How well the ids of an input name its rows: `repeated` occur more than once, as `example` does; `nulls` are none.

    `exact` is False where there are more than a million different ids: then `repeated` is an estimate, and a few that
    are repeated may be missed; nulls and the example are exact all the same.

    >>> rows = [{"id": "a", "text": "It works"}] * 2
    >>> run(rows, Extractor(["good", "bad"], "{text}"), row_id="id", offline=True).row_ids
    RowIds(repeated=1, nulls=0, example='a', exact=True)
    """

    repeated: int
    nulls: int
    example: Any = None
    exact: bool = True

    def __str__(self) -> str:
        about = "" if self.exact else "about "
        parts = (
            [f"{about}{self.repeated:,} occur more than once, as {str(self.example)[:40]!r}"] if self.repeated else []
        )
        return ", ".join([*parts, f"{self.nulls:,} are null"] if self.nulls else parts)

    def as_json(self) -> JsonObject:
        """Return the counts as JSON; the example as text."""
        example = None if self.example is None else str(self.example)[:200]
        return {"repeated": self.repeated, "nulls": self.nulls, "example": example, "exact": self.exact}


class RowIdCounter:
    """Counts ids by their hashes.

    Beyond `max_ids` different ones only those are counted whose hash is a multiple of `_step`, which doubles whenever
    these are too many: an id is counted in all its rows or in none, and each has the same chance.
    """

    def __init__(self, max_ids: int = _MAX_IDS) -> None:
        self._max_ids = max_ids
        self._different = self._repeated = pl.Series("hash", dtype=pl.UInt64)
        self._waiting: list[pl.Series] = []
        self._rows = self._bytes = self._nulls = 0
        self._step = 1
        self._example: Any = None

    def add(self, ids: pl.Series) -> None:
        """Count the ids of some rows."""
        if ids.dtype.is_nested() or ids.dtype == pl.Object:
            return  # no id that anything could be joined by
        self._waiting.append(ids)
        self._rows += len(ids)
        self._bytes += int(ids.estimated_size())
        if self._rows >= _BATCH_ROWS or self._bytes >= _BATCH_BYTES:
            self._merge()

    def result(self) -> RowIds:
        """Return the counts so far."""
        self._merge()
        repeated = len(self._repeated) * self._step
        return RowIds(repeated=repeated, nulls=self._nulls, example=self._example, exact=self._step == 1)

    def _merge(self) -> None:
        if not self._waiting:
            return
        ids = pl.concat(self._waiting).alias("id")
        if isinstance(ids.dtype, pl.Categorical | pl.Enum):
            ids = ids.cast(pl.String)  # the hash of a category depends on its batch
        self._nulls += ids.null_count()
        ids = ids.drop_nulls()
        new = pl.DataFrame([ids.hash().alias("hash"), ids]).filter(pl.col("hash") % self._step == 0)
        every = pl.concat([self._different, new["hash"]]).sort()
        again = every == every.shift(1)
        repeated = pl.concat([self._repeated, every.filter(again)]).unique()
        if self._example is None and len(repeated):
            examples = new.filter(pl.col("hash").is_in(repeated.implode()))["id"]
            self._example = examples[0] if len(examples) else None
        self._different, self._repeated = every.filter(~again.fill_null(False)), repeated
        while len(self._different) > self._max_ids:
            self._step *= 2
            self._different, self._repeated = self._sampled(self._different), self._sampled(self._repeated)
        self._waiting, self._rows, self._bytes = [], 0, 0

    def _sampled(self, hashes: pl.Series) -> pl.Series:
        return hashes.filter(hashes % self._step == 0)
