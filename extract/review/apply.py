"""Decisions of people applied to a table: the corrected rows, with who changed what; never rows that have changed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import polars as pl

from extract.errors import ConfigError, InvalidAnswer
from extract.evaluation.rejected import PROVENANCE, inner_names
from extract.evaluation.split import row_hash
from extract.io.sinks.open import open_sink
from extract.io.source import records_of
from extract.review.answer_cells import AnswerCells
from extract.review.corrected_spans import spans_after
from extract.review.decision_file import DecisionFile
from extract.review.progress import settled
from extract.review.source_table import REVIEW, SourceTable
from extract.review.tasks import Decision, RowId, answer_hash
from extract.review.verdicts import same_cell
from extract.schema import OutputSchema

__all__ = ["Applied", "Refused", "apply_to_table"]

_CHANGE: Final = pl.Struct({"field": pl.String, "from": pl.String, "to": pl.String})
_REVIEW: Final = pl.Struct(
    {
        "action": pl.String,
        "people": pl.List(pl.String),
        "time": pl.Datetime("us", "UTC"),
        "blind": pl.Boolean,
        "changes": pl.List(_CHANGE),
    }
)
_SPANS: Final = "_spans"


@dataclass(frozen=True, slots=True)
class Refused:
    """A decided row that was not applied, and why."""

    row_id: RowId
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What became of the decisions: `corrected` rows have other values now, `confirmed` ones were right as they are."""

    path: Path
    rows: int
    corrected: int
    confirmed: int
    refused: tuple[Refused, ...]


def apply_to_table(
    file: DecisionFile,
    table: SourceTable,
    path: Path,
    *,
    schema: OutputSchema | None = None,
    overwrite: bool = False,
) -> Applied:
    """Write a table with what people decided in place of its answers; return what was changed, and what was refused.

    All rows and columns stay, in order. The column `_review` says for each decided row who decided when, and each field
    that has another value now, from what to what, as JSON. A row is refused, and stays as it is, where its inputs or
    its answer are no longer those that were judged, where it is gone, or where people differ. ConfigError where the
    table lacks a column that was judged, and for a `path` that is there, the table itself above all, unless
    `overwrite`.

        table = open_source_table("out.parquet")
        apply_to_table(file, table, Path("corrected.parquet")).corrected
    """
    if path.exists() and not overwrite:
        raise ConfigError(f"{path} exists and is left as it is; choose another name or add --overwrite")
    _check(file, table)
    work = _Work(file, table, AnswerCells(file.setup, schema))
    sink = open_sink(path)
    first, rows = True, 0
    try:
        for frame in table.batches():
            corrected = work.applied(frame, rows)
            if first:
                sink.open(corrected.schema, table.manifest)
                first = False
            sink.write(corrected)
            rows += frame.height
    except BaseException:
        sink.abandon()
        raise
    sink.close(whole=True, manifest=table.manifest)
    refused = (*work.refused, *(Refused(one.row_id, "it is not in the table") for one in work.left()))
    return Applied(path=path, rows=rows, corrected=work.corrected, confirmed=work.confirmed, refused=refused)


def _check(file: DecisionFile, table: SourceTable) -> None:
    setup = file.setup
    columns = table.source.schema
    if setup.on is not None and setup.on not in columns:
        raise ConfigError(f"{table.address} has no column {setup.on!r}, which names the rows that were judged")
    if missing := [name for name in setup.inputs if name not in columns]:
        raise ConfigError(f"{table.address} has no column {missing[0]!r}, which the judged rows had")
    if missing := [name for name in setup.fields if name not in table.answers]:
        raise ConfigError(f"{table.address} has no column of answers {missing[0]!r}: apply decisions to a run's output")


@dataclass(frozen=True, slots=True)
class _Settled:
    """What was decided about a row; without a decision people differ."""

    row_id: RowId
    row_hash: str
    answer_hash: str | None
    decision: Decision | None
    people: tuple[str, ...]


@dataclass(slots=True)
class _Work:
    """Applies decisions to one batch of rows after the other."""

    file: DecisionFile
    table: SourceTable
    cells: AnswerCells
    refused: list[Refused] = field(default_factory=list)
    corrected: int = 0
    confirmed: int = 0
    _open: dict[str, _Settled] = field(init=False)
    _done: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._open = {str(one.row_id): one for one in _settled(self.file)}

    def left(self) -> Iterator[_Settled]:
        """Yield what was decided about rows that have not come."""
        return (one for key, one in self._open.items() if key not in self._done)

    def applied(self, frame: pl.DataFrame, first: int) -> pl.DataFrame:
        """Return a batch of rows, of which `first` is the position of the first, with what was decided."""
        on = self.file.setup.on
        keys = pl.int_range(first, first + frame.height, eager=True) if on is None else frame[on]
        wanted = [place for place, key in enumerate(keys.cast(pl.String).to_list()) if key in self._open]
        reviews: dict[int, dict[str, Any]] = {}
        changes: dict[str, dict[int, Any]] = defaultdict(dict)
        for place, record in zip(wanted, records_of(frame[wanted]), strict=True):
            key = str(keys[place])
            one = self._open[key]
            reason = "its key stands in the table twice" if key in self._done else self._refusal(one, record)
            self._done.add(key)
            decided = None if reason else self._cells_of(one)
            if reason or decided is None:
                self.refused.append(Refused(one.row_id, reason or "its value does not fit the schema any more"))
                continue
            reviews[place] = self._review(one, record, decided, place, changes)
        return self._changed(frame, changes).with_columns(_column(reviews, frame))

    def _refusal(self, one: _Settled, record: Mapping[str, Any]) -> str | None:
        setup = self.file.setup
        if row_hash({name: record[name] for name in setup.inputs}) != one.row_hash:
            return "the row has changed since it was judged"
        answer = self.table.answer_of(record)
        if one.answer_hash is not None and answer_hash(answer, setup.fields) != one.answer_hash:
            return "its answer has changed since it was judged"
        return "people differ about it" if one.decision is None else None

    def _cells_of(self, one: _Settled) -> dict[str, Any] | None:
        try:
            return self.cells.of(one.decision.value) if one.decision else None
        except InvalidAnswer:
            return None

    def _review(
        self,
        one: _Settled,
        record: Mapping[str, Any],
        decided: Mapping[str, Any],
        place: int,
        changes: dict[str, dict[int, Any]],
    ) -> dict[str, Any]:
        """Return what the column `_review` says of a row, and note its new cells."""
        assert one.decision is not None, "rows without a decision are refused"
        columns, listed = self.table.source.schema, []
        for name in self.file.setup.fields:
            column = self.table.answers[name]
            if not same_cell(record[column], decided[name]):
                changes[column][place] = decided[name]
                before, after = (_json(cell, columns[column]) for cell in (record[column], decided[name]))
                listed.append({"field": name, "from": before, "to": after})
        if listed:
            self.corrected += 1
            self._note_answered(record, place, changes)
            if _SPANS in record:
                keys = [self.file.setup.keys[change["field"]] for change in listed]
                changes[_SPANS][place] = spans_after(record[_SPANS], one.decision.spans, keys, columns[_SPANS])
        else:
            self.confirmed += 1
        return {
            "action": "corrected" if listed else "confirmed",
            "people": list(one.people),
            "time": datetime.fromtimestamp(one.decision.time, UTC),
            "blind": one.decision.blind,
            "changes": [*_earlier(record, columns), *listed],
        }

    def _note_answered(self, record: Mapping[str, Any], place: int, changes: dict[str, dict[int, Any]]) -> None:
        """A row that was rejected has an answer now: that of a person."""
        if "code" in inner_names(self.table.source.schema, PROVENANCE) and (record[PROVENANCE] or {}).get("code"):
            changes[PROVENANCE][place] = {**record[PROVENANCE], "code": None}

    def _changed(self, frame: pl.DataFrame, changes: Mapping[str, Mapping[int, Any]]) -> pl.DataFrame:
        return frame.with_columns(_replaced(frame[column], cells) for column, cells in changes.items())


def _replaced(column: pl.Series, cells: Mapping[int, Any]) -> pl.Series:
    """Return a column with other cells at some places; all others stay to the last bit."""
    values = pl.Series(column.name, list(cells.values()), dtype=column.dtype, strict=True)
    places = pl.Series(list(cells), dtype=pl.UInt32)
    order = pl.int_range(len(column), eager=True, dtype=pl.UInt32).scatter(
        places, pl.int_range(len(column), len(column) + len(cells), eager=True, dtype=pl.UInt32)
    )
    return pl.concat([column, values]).gather(order).alias(column.name)


def _column(reviews: Mapping[int, Mapping[str, Any]], frame: pl.DataFrame) -> pl.Series:
    """Return the column `_review`; rows that are not decided now keep what an earlier review says of them."""
    decided = pl.Series(REVIEW, [reviews.get(place) for place in range(frame.height)], dtype=_REVIEW)
    if frame.schema.get(REVIEW) != _REVIEW:
        return decided
    return decided.to_frame().select(pl.when(decided.is_not_null()).then(decided).otherwise(frame[REVIEW])).to_series()


def _earlier(record: Mapping[str, Any], columns: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the changes that an earlier review has made to a row."""
    known = record.get(REVIEW) if columns.get(REVIEW) == _REVIEW else None
    return list(known["changes"] or ()) if known else []


def _json(cell: Any, dtype: Any) -> str:
    """Return a cell as JSON: as a line of JSON holds it."""
    line = pl.DataFrame({"v": pl.Series([cell], dtype=dtype)}).with_columns(pl.selectors.binary().bin.encode("base64"))
    return line.write_ndjson().strip()[len('{"v":') : -1]


def _settled(file: DecisionFile) -> Iterator[_Settled]:
    """Yield what was decided about each row. What was decided blind counts no more here than what was not."""
    by_task: dict[int, list[Decision]] = defaultdict(list)
    for one in file.judged():
        by_task[one.decision.task].append(one.decision)
    for number, decisions in by_task.items():
        task = file.task(number)
        people = tuple(one.person for one in decisions)
        yield _Settled(task.row_id, task.row_hash, task.answer_hash, settled(decisions, file.setup), people)
