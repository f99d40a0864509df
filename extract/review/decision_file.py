"""`DecisionFile`: what people decide about rows, each decision on disk before the next one is made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from os import PathLike, fspath
from pathlib import Path
from typing import Any, Final, Self

from extract.errors import ConfigError
from extract.json_types import JsonObject
from extract.review.database import Database, made_whole
from extract.review.progress import Judged, Progress, accuracies, agreements
from extract.review.stored import (
    CURRENT,
    DECISION_COLUMNS,
    TASK_COLUMNS,
    cells_of_decision,
    cells_of_task,
    decision_of,
    first,
    first_text,
    judged_of,
    pair,
    setup_of,
    task_of,
    text_of,
)
from extract.review.tasks import Action, Decision, DrawnRow, ReviewSetup, Task

__all__ = ["ENDING", "DecisionFile", "is_decision_file"]

ENDING: Final = ".db"
"""Of the name of a decision file."""

_TASKS: Final = f"INSERT INTO tasks ({TASK_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 - our own names
_DECIDE: Final = f"INSERT INTO decisions ({DECISION_COLUMNS}) VALUES ({', '.join('?' * 13)})"  # noqa: S608
_OPEN: Final = """
    SELECT number FROM tasks
    WHERE number > ? AND NOT EXISTS (SELECT 1 FROM current WHERE person = ? AND task = tasks.number)
    ORDER BY number LIMIT 1
"""
_DONE: Final = """
    SELECT action = 'skipped', count(*) FROM current JOIN decisions ON number = decision
    WHERE current.person = ? GROUP BY 1
"""
_SEEN: Final = "SELECT EXISTS (SELECT 1 FROM decisions WHERE person = ? AND task = ? AND NOT blind)"
_LAST: Final = """
    SELECT number, task FROM decisions
    WHERE person = ? AND action != 'undone' AND NOT EXISTS (SELECT 1 FROM decisions AS later
        WHERE later.undoes = decisions.number)
    ORDER BY number DESC LIMIT 1
"""
_COUNTS: Final = """
    SELECT max(number) FROM decisions
    WHERE person = ? AND task = ? AND action != 'undone' AND NOT EXISTS (SELECT 1 FROM decisions AS later
        WHERE later.undoes = decisions.number)
"""


def is_decision_file(path: str | PathLike[str]) -> bool:
    """Return whether a name is that of a decision file."""
    return fspath(path).lower().endswith(ENDING)


class DecisionFile:
    """An open decision file: the rows to judge in drawn order, and every decision of every person.

    Safe with several threads, processes and people on one file. What `decide` or `undo` has returned is on disk, and
    survives `kill -9` and a power cut. Decisions are only ever added. Every method raises ConfigError for a damaged
    file and OutputError where it cannot be read or written.

        file = DecisionFile.create(Path("review.db"), setup, rows)
        file.decide(1, "ann", "right", {"topic": "bug"}, verdicts={"topic": True}, blind=True, now=time.time())
        file.undo("ann", time.time())
        file.progress("ann").open
    """

    def __init__(self, path: Path) -> None:
        self.path: Path = path
        self._database = Database(path)
        try:
            with self._database.using() as connection:
                self.setup: ReviewSetup = setup_of(connection)
            self._count: int = self._database.select("SELECT count(*) FROM tasks", read=first)[0]
        except BaseException:
            self._database.close()
            raise

    @classmethod
    def create(cls, path: Path, setup: ReviewSetup, rows: Iterable[DrawnRow]) -> Self:
        """Make a file of mode 0600 and open it. ConfigError where one of that name is there, or there are no rows.

        Rows are numbered from 1 as they come, and are read one at a time.
        """
        with made_whole(path) as database:
            database.execute("INSERT INTO setup VALUES ('setup', ?)", (text_of(setup.as_json()),))
            database.executemany(_TASKS, (cells_of_task(number, row) for number, row in enumerate(rows, start=1)))
            if database.execute("SELECT count(*) FROM tasks").fetchone()[0] == 0:
                raise ConfigError("there are no rows to review")
        return cls(path)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a file. ConfigError where it is missing, damaged, no decision file, or of a newer form."""
        return cls(path)

    def close(self) -> None:
        """Close the file; no method works any more."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        """Return the number of rows to judge."""
        return self._count

    def task(self, number: int) -> Task:
        """Return one row, by its number. KeyError where there is none."""
        for task in self.tasks(number, 1):
            if task.number == number:
                return task
        raise KeyError(number)

    def tasks(self, start: int = 1, count: int = 100) -> list[Task]:
        """Return up to `count` rows in drawn order, from the number `start` on."""
        query = f"SELECT {TASK_COLUMNS} FROM tasks WHERE number >= ? ORDER BY number LIMIT ?"  # noqa: S608 - our names
        return self._database.select(query, start, count, read=task_of)

    def decide(
        self,
        task: int,
        person: str,
        action: Action,
        value: Any = None,
        spans: Sequence[JsonObject] = (),
        *,
        verdicts: Mapping[str, bool] | None = None,
        blind: bool,
        now: float,
        seconds: float | None = None,
    ) -> Decision:
        """Add a decision, and return it once it is on disk. KeyError for an unknown row.

        `action` is "right" (the answer is right as it is), "corrected", or "skipped", which takes no `value`. `value`
        is the whole answer as JSON, as `OutputSchema.to_json` writes it, keys as on the wire: also for "right", and
        with the answer's own values in fields that are not under review. `verdicts` are those of `verdicts_of`; without
        them the row is in no accuracy. Nobody is `blind` again to a row that they have judged in sight of its answer.
        Raises ConfigError for an action without its value or a person without a name.
        """
        if not person.strip():
            raise ConfigError("a person needs a name")
        if action not in ("right", "corrected", "skipped") or (value is None) != (action == "skipped"):
            raise ConfigError(f"{action!r} is not decided with {'no' if value is None else 'a'} value")
        judged = self.task(task)
        decision = Decision(
            number=0,
            task=task,
            person=person,
            blind=blind,
            action=action,
            value=value,
            spans=tuple(spans),
            verdicts=dict(verdicts or {}),
            row_hash=judged.row_hash,
            answer_hash=judged.answer_hash,
            time=now,
            seconds=seconds,
        )
        with self._database.moment(writes=True):
            number = self._add(decision)
            self._settle(person, task)
        return self._decision(number)

    def replay(self, decisions: Iterable[Decision]) -> None:
        """Add decisions of another file, in order, all or none. `undoes` and `task` are numbers of this file."""
        with self._database.moment(writes=True):
            for one in decisions:
                self._add(one)
                self._settle(one.person, one.task)

    def undo(self, person: str, now: float) -> Task | None:
        """Take back this person's last decision that is not taken back yet; return its row, None where there is none.

        The decision before that one, if the person has decided the row twice, counts again.
        """
        with self._database.moment(writes=True):
            last = self._database.connection.execute(_LAST, (person,)).fetchone()
            if last is None:
                return None
            number, task = last
            undone = self._decision(number)
            self._add(
                Decision(number=0, task=task, person=person, blind=undone.blind, action="undone", time=now,
                         row_hash=undone.row_hash, answer_hash=undone.answer_hash, undoes=number)
            )  # fmt: skip
            self._settle(person, task)
        return self.task(task)

    def current(self, task: int, person: str) -> Decision | None:
        """Return what counts of a person about a row: the last decision that is not taken back; None where none is."""
        query = f"{CURRENT} WHERE current.person = ? AND current.task = ?"
        return next((one.decision for one in self._database.select(query, person, task, read=judged_of)), None)

    def judged(self) -> Iterator[Judged]:
        """Yield what counts of every person about every row, by row and person, without skipped rows."""
        query = f"{CURRENT} WHERE decisions.action != 'skipped' ORDER BY current.task, current.person"
        yield from self._database.select(query, read=judged_of)

    def decisions(self, after: int = 0) -> Iterator[Decision]:
        """Yield every decision that was ever made, in order, undos too; those with a number above `after`."""
        query = f"SELECT {DECISION_COLUMNS} FROM decisions WHERE number > ? ORDER BY number"  # noqa: S608 - our names
        yield from self._database.select(query, after, read=decision_of)

    def next_open(self, person: str, after: int = 0) -> int | None:
        """Return the first row after `after` that this person has not decided, or else the first one of all.

        None where all are decided or skipped.
        """
        return next(
            (task for start in (after, 0) for task in self._database.select(_OPEN, start, person, read=first)), None
        )

    def progress(self, person: str, now: float = 0.0) -> Progress:
        """Return how far a person is, and what all people have decided."""
        with self._database.moment(writes=False):
            done = dict(self._database.select(_DONE, person, read=pair))
            people = self._database.select("SELECT DISTINCT person FROM current ORDER BY person", read=first_text)
            judged = list(self.judged())
        return Progress(
            tasks=len(self),
            decided=done.get(0, 0),
            skipped=done.get(1, 0),
            people=tuple(people),
            accuracy=accuracies(judged, self.setup),
            agreement=agreements(judged, self.setup, blind=True),
            agreement_seen=agreements(judged, self.setup, blind=False),
            enough_at=self.setup.enough_at,
            at=now,
        )

    def _decision(self, number: int) -> Decision:
        query = f"SELECT {DECISION_COLUMNS} FROM decisions WHERE number = ?"  # noqa: S608 - our own names
        for decision in self._database.select(query, number, read=decision_of):
            return decision
        raise ConfigError(f"{self.path} is damaged: the decision {number} is gone")

    def _add(self, decision: Decision) -> int:
        seen = self._database.connection.execute(_SEEN, (decision.person, decision.task)).fetchone()[0]
        added = self._database.connection.execute(
            _DECIDE, cells_of_decision(replace(decision, blind=decision.blind and not seen))
        )
        return int(added.lastrowid or 0)

    def _settle(self, person: str, task: int) -> None:
        """Let a person's last decision about a row count, of those that are not taken back."""
        last = self._database.connection.execute(_COUNTS, (person, task)).fetchone()[0]
        self._database.connection.execute("DELETE FROM current WHERE person = ? AND task = ?", (person, task))
        if last is not None:
            self._database.connection.execute("INSERT INTO current VALUES (?, ?, ?)", (person, task, last))
