"""Rows of a decision file's tables as values, and back. A row that cannot be one is reported as damage."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import Any, Final, get_args

from extract.json_types import JsonObject, json_text
from extract.review.tasks import Action, Decision, DrawnRow, Kind, ReviewSetup, Split, Task

__all__ = [
    "CURRENT",
    "DECISION_COLUMNS",
    "TASK_COLUMNS",
    "cells_of_decision",
    "cells_of_task",
    "decision_of",
    "setup_of",
    "task_of",
    "text_of",
]

_TASK: Final = ("number", "row_id", "row_hash", "answer_hash", "kind", "score", "reason", "split")
_DECISION: Final = (
    "number",
    "task",
    "person",
    "blind",
    "action",
    "value",
    "spans",
    "verdicts",
    "row_hash",
    "answer_hash",
    "time",
    "seconds",
    "undoes",
)
TASK_COLUMNS: Final = ", ".join(_TASK)
DECISION_COLUMNS: Final = ", ".join(_DECISION)
CURRENT: Final = (
    f"SELECT {', '.join(f'decisions.{name}' for name in _DECISION)}, tasks.kind FROM current "  # noqa: S608 - our names
    "JOIN decisions ON decisions.number = current.decision JOIN tasks ON tasks.number = current.task"
)
"""What counts of each person about each row: a decision's columns, and the kind of the row."""


def text_of(value: Any) -> str:
    """Return JSON that SQLite can hold: half characters are escaped."""
    try:
        text = json_text(value)
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text


def setup_of(database: sqlite3.Connection) -> ReviewSetup:
    """Return the setup in a file. ValueError where it has none."""
    row = database.execute("SELECT value FROM setup WHERE name = 'setup'").fetchone()
    if row is None:
        raise ValueError("its description of the review is missing")
    return ReviewSetup.from_json(_object(row[0]))


def cells_of_task(number: int, row: DrawnRow) -> tuple[Any, ...]:
    """Return a chosen row as a row of the table `tasks`."""
    row_id = text_of(row.row_id)
    return (number, row_id, row.row_hash, row.answer_hash, row.kind, row.score, row.reason, row.split)


def task_of(row: Sequence[Any]) -> Task:
    """Return a row of the table `tasks`. ValueError for one that is damaged."""
    cells = dict(zip(_TASK, row, strict=True))
    _check(cells["kind"], Kind)
    _check(cells["split"], Split)
    return Task(**cells | {"row_id": json.loads(cells["row_id"])})


def cells_of_decision(decision: Decision) -> tuple[Any, ...]:
    """Return a decision as a row of the table `decisions`, which gives it its number."""
    return (
        None,
        decision.task,
        decision.person,
        decision.blind,
        decision.action,
        None if decision.value is None else text_of(decision.value),
        text_of(list(decision.spans)),
        text_of(dict(decision.verdicts)),
        decision.row_hash,
        decision.answer_hash,
        decision.time,
        decision.seconds,
        decision.undoes,
    )


def decision_of(row: Sequence[Any]) -> Decision:
    """Return a row of the table `decisions`. ValueError for one that is damaged."""
    cells = dict(zip(_DECISION, row, strict=True))
    _check(cells["action"], Action)
    cells["value"] = None if cells["value"] is None else json.loads(cells["value"])
    cells["spans"] = tuple(json.loads(cells["spans"]))
    return Decision(**cells | {"verdicts": _object(cells["verdicts"]), "blind": bool(cells["blind"])})


def _object(text: str) -> JsonObject:
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError(f"{text[:40]!r} is no JSON object")
    return value


def _check(value: Any, allowed: Any) -> None:
    if value not in get_args(allowed):
        raise ValueError(f"{value!r} is none of {get_args(allowed)}")
