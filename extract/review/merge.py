"""Several decision files of one review as one: every decision of every person, each of them once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import fields, replace
from pathlib import Path
from typing import Final, TypeAlias

from extract.errors import ConfigError
from extract.json_types import json_text
from extract.review.decision_file import DecisionFile
from extract.review.tasks import Decision, DrawnRow, Kind, Task

__all__ = ["merge_files"]

_SHARED: Final = ("schema", "fields", "inputs", "on", "prefix")
_DRAW: Final = ("population", "seed", "enough_at")

_Key: TypeAlias = tuple[Kind, str, str]


def merge_files(paths: Sequence[Path], merged: Path) -> DecisionFile:
    """Make a file with the rows and decisions of all files, and open it.

    A decision that stands in several files, as in a copy that went on by itself, counts once. A person's last decision
    about a row is the latest by the clock of who made it. ConfigError for files of different reviews, and where a row
    has another answer in one of them.
    """
    with ExitStack() as stack:
        files = [stack.enter_context(DecisionFile.open(path)) for path in paths]
        setup = files[0].setup
        for other in files[1:]:
            _check_same_review(files[0], other)
        if len({json_text([getattr(one.setup, name) for name in _DRAW]) for one in files}) > 1:
            setup = replace(setup, population=None, seed=None, enough_at=None)  # several draws are no single one
        rows = _rows(files)
        result = DecisionFile.create(merged, setup, rows.values())
        numbers = {key: number for number, key in enumerate(rows, start=1)}
        result.replay(_together(files, numbers))
    return result


def _check_same_review(first: DecisionFile, other: DecisionFile) -> None:
    for name in _SHARED:
        if getattr(first.setup, name) != getattr(other.setup, name):
            raise ConfigError(f"{first.path} and {other.path} are of different reviews: their {name} differ")


def _key(task: Task) -> _Key:
    return task.kind, json_text(task.row_id), task.row_hash


def _rows(files: Iterable[DecisionFile]) -> dict[_Key, DrawnRow]:
    rows: dict[_Key, DrawnRow] = {}
    names = [one.name for one in fields(DrawnRow)]
    for file in files:
        for task in file.tasks(1, len(file)):
            row = DrawnRow(**{name: getattr(task, name) for name in names})
            if rows.setdefault(_key(task), row).answer_hash != row.answer_hash:
                raise ConfigError(f"the row {task.row_id!r} has another answer in {file.path}: decisions of two runs")
    return rows


def _together(files: Sequence[DecisionFile], numbers: dict[_Key, int]) -> Iterator[Decision]:
    """Yield the decisions of all files by time, with the numbers that they get in the file they are added to."""
    placed = [one for file in files for one in _of_file(file, numbers)]
    placed.sort(key=lambda item: item[1].time)  # stable: within a file the order stays
    known: dict[str, int] = {}
    number_of: dict[tuple[Path, int], int] = {}
    for path, decision in placed:
        undoes = None if decision.undoes is None else number_of[path, decision.undoes]
        moved = replace(decision, number=0, undoes=undoes)
        identity = repr(moved)
        if identity in known:
            number_of[path, decision.number] = known[identity]
            continue
        known[identity] = number_of[path, decision.number] = len(known) + 1
        yield moved


def _of_file(file: DecisionFile, numbers: dict[_Key, int]) -> Iterator[tuple[Path, Decision]]:
    task_of = {task.number: numbers[_key(task)] for task in file.tasks(1, len(file))}
    latest = 0.0
    for one in file.decisions():
        latest = max(latest, one.time)  # a clock that was set back must not turn the order of a file round
        yield file.path, replace(one, task=task_of[one.task], time=latest)
