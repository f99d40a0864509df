"""Rows of a decision file's tables as values, and back. A row that cannot be one is reported as damage."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from types import NoneType
from typing import Any, Final, get_args

from extract.errors import ConfigError, in_one_line
from extract.evaluation.split import Split
from extract.json_types import JsonObject, json_text
from extract.review.progress import Judged
from extract.review.tasks import Action, Decision, DrawnRow, Kind, ReviewSetup, Task

__all__ = [
    "CURRENT",
    "DECISION_COLUMNS",
    "TASK_COLUMNS",
    "cells_of_decision",
    "cells_of_task",
    "decision_of",
    "first",
    "first_text",
    "judged_of",
    "pair",
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
_NUMBERS: Final = {"number": (int,)}
_TEXT: Final = (str,)
_TEXT_OR_NONE: Final = (str, NoneType)
_REAL_OR_NONE: Final = (int, float, NoneType)
_TASK_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    **dict.fromkeys(("row_id", "row_hash", "kind", "split"), _TEXT),
    **dict.fromkeys(("answer_hash", "reason"), _TEXT_OR_NONE),
    "number": (int,),
    "score": _REAL_OR_NONE,
}
_DECISION_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    **dict.fromkeys(("person", "action", "spans", "verdicts", "row_hash"), _TEXT),
    **dict.fromkeys(("value", "answer_hash"), _TEXT_OR_NONE),
    **dict.fromkeys(("number", "task", "blind"), (int,)),
    "time": (int, float),
    "seconds": _REAL_OR_NONE,
    "undoes": (int, NoneType),
}
TASK_COLUMNS: Final = ", ".join(_TASK)
DECISION_COLUMNS: Final = ", ".join(_DECISION)
CURRENT: Final = (
    f"SELECT {', '.join(f'decisions.{name}' for name in _DECISION)}, tasks.kind FROM current "  # noqa: S608 - our names
    "JOIN decisions ON decisions.number = current.decision JOIN tasks ON tasks.number = current.task"
)
"""What counts of each person about each row: a decision's columns, and the kind of the row."""


def text_of(value: Any) -> str:
    """Return JSON that SQLite can hold: half characters are escaped. ConfigError for what is no JSON."""
    try:
        text = json_text(value)
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":"), allow_nan=False)
    except (ValueError, TypeError, RecursionError) as error:
        raise ConfigError(f"a decision holds what JSON does not have: {in_one_line(error)}") from None
    return text


def first(row: Sequence[Any]) -> int:
    """Return a number that a query counts or names. ValueError for anything else."""
    _check_types({"number": row[0]}, _NUMBERS)
    return int(row[0])


def first_text(row: Sequence[Any]) -> str:
    """Return a name. ValueError for anything else."""
    _check_types({"person": row[0]}, {"person": (str,)})
    return str(row[0])


def pair(row: Sequence[Any]) -> tuple[int, int]:
    """Return two numbers."""
    return first(row), first(row[1:])


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
    _check_types(cells, _TASK_TYPES)
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
    _check_types(cells, _DECISION_TYPES)
    _check(cells["action"], Action)
    if (cells["value"] is not None) != (cells["action"] in ("right", "corrected")):
        raise ValueError(f"a value that {cells['action']!r} does not have")
    cells["value"] = None if cells["value"] is None else json.loads(cells["value"])
    spans = json.loads(cells["spans"])
    cells["spans"] = tuple(span for span in spans if isinstance(span, dict))
    verdicts = {name: bool(verdict) for name, verdict in _object(cells["verdicts"]).items()}
    return Decision(**cells | {"verdicts": verdicts, "blind": bool(cells["blind"])})


def judged_of(row: Sequence[Any]) -> Judged:
    """Return a row of `CURRENT`. ValueError for one that is damaged."""
    _check(row[-1], Kind)
    return Judged(decision=decision_of(row[:-1]), kind=row[-1])


def _object(text: str) -> JsonObject:
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError(f"{text[:40]!r} is no JSON object")
    return value


def _check_types(cells: Mapping[str, Any], types: Mapping[str, tuple[type, ...]]) -> None:
    """Raise ValueError for a cell of another type: SQLite takes any in any column, and a file may come from anybody."""
    for name, allowed in types.items():
        if not isinstance(cells[name], allowed):
            raise ValueError(f"a {type(cells[name]).__name__} as {name}")


def _check(value: Any, allowed: Any) -> None:
    if value not in get_args(allowed):
        raise ValueError(f"{value!r} is none of {get_args(allowed)}")
