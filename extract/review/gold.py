"""Decisions of people as gold: a table of right answers, which says of each what it may be used for."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import polars as pl

from extract.errors import ConfigError, InvalidAnswer
from extract.evaluation.split import SPLIT, row_hash
from extract.io.sinks.open import open_sink
from extract.io.source import records_of
from extract.review.answer_cells import AnswerCells
from extract.review.decision_file import DecisionFile
from extract.review.progress import settled
from extract.review.source_table import SourceTable
from extract.review.tasks import Decision, RowId, Task
from extract.schema import OutputSchema

__all__ = ["Gold", "Which", "gold_of", "records_by_id", "write_table"]

Which: TypeAlias = Literal["blind", "prefilled", "queue", "all"]
"""Which decisions become gold: of the sample those made blind, or in sight of the answer; of a queue; or all."""

_ABOUT = (SPLIT, "_row_hash", "_kind", "_blind", "_people")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gold:
    """Gold answers, one row each: what names the row, its inputs where known, the fields, and what is known of them.

    `which` decisions these are. `left_out` counts rows that are not there, by the reason. `has_inputs`: the rows have
    their own columns.
    """

    frame: pl.DataFrame
    which: Which
    left_out: Mapping[str, int]
    has_inputs: bool = False

    def counts(self) -> dict[str, int]:
        """Return how many rows may be used for what."""
        return dict(sorted(self.frame[SPLIT].value_counts().iter_rows()))


@dataclass(frozen=True, slots=True)
class _Row:
    task: Task
    decision: Decision
    people: tuple[str, ...]


def gold_of(
    file: DecisionFile,
    which: Which | None = None,
    *,
    schema: OutputSchema | None = None,
    source: SourceTable | None = None,
) -> Gold:
    """Return the gold in a decision file. ConfigError where it has none, or a field needs the pipeline's schema.

    By default it is one kind that a statistic may use: the sample, judged blind if any of it was, else in sight of the
    answer, else the queue. A row on which people differ is left out unless more than half of them agree. `_split` says
    what a row may be used for: `proof` only where a sample row was judged blind. With `source` the rows have their
    input columns; a row that has changed there since it was judged is left out.

        with DecisionFile.open(Path("review.db")) as file:
            gold = gold_of(file)
    """
    groups = _groups(file)
    which = which or _default(file, groups)
    left_out: Counter[str] = Counter()
    rows = list(_chosen(file, groups, which, left_out))
    inputs = {} if source is None else _inputs(rows, source, left_out)
    rows = rows if source is None else [row for row in rows if row.task.number in inputs]
    cells = AnswerCells(file.setup, schema)
    typed = [(row, known) for row in rows if (known := _cells(cells, row, left_out)) is not None]
    if not typed:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in left_out.items()) or "nothing is decided"
        raise ConfigError(f"{file.path} holds no gold of this kind ({which}): {reasons}")
    return Gold(
        frame=_frame(file, typed, cells, inputs, source),
        which=which,
        left_out=dict(left_out),
        has_inputs=source is not None,
    )


_Groups: TypeAlias = dict[tuple[int, bool], list[Decision]]


def _groups(file: DecisionFile) -> _Groups:
    """Return what people decided by task, and by whether they were blind."""
    groups: _Groups = defaultdict(list)
    for one in file.judged():
        groups[one.decision.task, one.decision.blind].append(one.decision)
    return groups


def _default(file: DecisionFile, groups: _Groups) -> Which:
    """Return the kind of decisions that is worth most, of those that there are."""
    kinds = {
        (task.kind, blind) for task in _tasks(file, groups) for blind in (True, False) if (task.number, blind) in groups
    }
    return "blind" if ("sample", True) in kinds else "prefilled" if ("sample", False) in kinds else "queue"


def _chosen(file: DecisionFile, groups: _Groups, which: Which, left_out: Counter[str]) -> Iterator[_Row]:
    seen: set[str] = set()
    for task in sorted(_tasks(file, groups), key=lambda one: (one.kind != "sample", one.number)):
        kind = _kind_of(task, groups, which)
        if kind is None:
            left_out["of another kind"] += 1
            continue
        decisions = groups[task.number, kind]
        decision = settled(decisions, file.setup)
        if decision is None:
            left_out["on which people differ"] += 1
        elif (name := repr(task.row_id)) in seen:
            left_out["of the queue that are in the sample"] += 1
        else:
            seen.add(name)
            yield _Row(task, decision, tuple(one.person for one in decisions))


def _tasks(file: DecisionFile, groups: _Groups) -> Iterator[Task]:
    numbers = sorted({task for task, _ in groups})
    for start in range(0, len(numbers), _PART):
        part = numbers[start : start + _PART]
        wanted = set(part)
        if part[-1] - part[0] < 10 * len(part):
            yield from (one for one in file.tasks(part[0], part[-1] - part[0] + 1) if one.number in wanted)
        else:
            yield from map(file.task, part)


_PART = 1_000


def _kind_of(task: Task, groups: _Groups, which: Which) -> bool | None:
    """Return whether the blind decisions of a row are the ones that are wanted, None where none of them are."""
    blind = (task.number, True) in groups
    if which == "all":
        return blind
    if which == "queue":
        return blind if task.kind == "queue" else None
    wanted = which == "blind"
    return wanted if task.kind == "sample" and (task.number, wanted) in groups else None


def _inputs(rows: Sequence[_Row], source: SourceTable, left_out: Counter[str]) -> dict[int, dict[str, Any]]:
    """Return the input columns of each row by its task; rows that have changed are not there."""
    records = records_by_id(source, [row.task.row_id for row in rows])
    inputs: dict[int, dict[str, Any]] = {}
    for row in rows:
        record = records.get(repr(row.task.row_id))
        cells = None if record is None else {name: record.get(name) for name in source.inputs}
        if cells is None or row_hash(cells) != row.task.row_hash:
            left_out["that have changed since, or are gone"] += 1
        else:
            inputs[row.task.number] = cells
    return inputs


def records_by_id(table: SourceTable, row_ids: Sequence[RowId]) -> dict[str, dict[str, Any]]:
    """Return rows of a table by what names them, as Python writes it; those that it does not have are left out."""
    keys = table.keys()
    wanted = {str(one): repr(one) for one in row_ids}
    texts = keys.cast(pl.String).to_list()
    places = [place for place, key in enumerate(texts) if key in wanted]
    rows = records_of(table.rows_at(places))
    return {wanted[texts[place]]: record for place, record in zip(places, rows, strict=True)}


def _cells(cells: AnswerCells, row: _Row, left_out: Counter[str]) -> dict[str, Any] | None:
    try:
        return cells.of(row.decision.value)
    except InvalidAnswer:
        left_out["whose value does not fit the schema"] += 1
        return None


def _frame(
    file: DecisionFile,
    typed: Sequence[tuple[_Row, Mapping[str, Any]]],
    cells: AnswerCells,
    inputs: Mapping[int, Mapping[str, Any]],
    source: SourceTable | None,
) -> pl.DataFrame:
    setup, rows = file.setup, [row for row, _ in typed]
    key = setup.on or "row"
    columns = [pl.Series(key, [row.task.row_id for row in rows])]
    if source is not None:
        dtypes = source.source.schema
        columns += [
            pl.Series(name, [inputs[row.task.number][name] for row in rows], dtype=dtypes[name])
            for name in source.inputs
            if name not in (key, *setup.fields, *_ABOUT)
        ]
    columns += [pl.Series(name, [one[name] for _, one in typed], dtype=cells.dtypes[name]) for name in setup.fields]
    about = [(_split(row), row.task.row_hash, row.task.kind, row.decision.blind, ", ".join(row.people)) for row in rows]
    columns += [pl.Series(name, values) for name, values in zip(_ABOUT, zip(*about, strict=True), strict=True)]
    return pl.DataFrame(columns)


def _split(row: _Row) -> str:
    may_prove = row.task.kind == "sample" and row.decision.blind
    return "tuning" if row.task.split == "proof" and not may_prove else row.task.split


def write_table(frame: pl.DataFrame, path: Path, *, overwrite: bool = False) -> Path:
    """Write a frame as csv, jsonl or Parquet, by the path's ending, so that `extract eval` reads the same values.

    In a csv, lists and structs are JSON, null is an empty cell and an empty text is "". ConfigError for a file that is
    there, unless `overwrite`, and for types that the format cannot hold.
    """
    if path.exists() and not overwrite:
        raise ConfigError(f"{path} exists; choose another name or add --overwrite")
    sink = open_sink(path)
    try:
        sink.open(frame.schema, {})
        sink.write(frame)
    except BaseException:
        sink.abandon()
        raise
    sink.close(whole=True, manifest={})
    return path
