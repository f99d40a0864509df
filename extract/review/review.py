"""`Review`: what the page asks for, as JSON: a row beside its form, a decision, how far one is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isfinite
from typing import Any, Final

from extract.errors import ExtractError
from extract.evaluation.rejected import PROVENANCE
from extract.json_types import JsonObject
from extract.review.decision_file import DecisionFile
from extract.review.document import Document
from extract.review.form_nodes import Form
from extract.review.form_values import form_values
from extract.review.judging import Judge, Judged
from extract.review.rejections import Rejections, origin_of
from extract.review.row_source import RowSource
from extract.review.running_progress import RunningProgress
from extract.review.spans import spans_given, spans_shown
from extract.review.tasks import Decision, Task

__all__ = ["NoSuchRow", "Review", "RowChanged"]

_SPANS: Final = "_spans"
_GONE: Final[JsonObject] = {
    "source": {"kind": "missing", "message": "this row is not in the table any more"},
    "others": [], "missing": True, "values": None, "error": None, "spans": [], "origin": None,
}  # fmt: skip
_MAX_COUNT: Final = 200
_MAX_SECONDS: Final = 86_400.0


class NoSuchRow(ExtractError):
    """There is no task of this number, or the row that it names is gone."""

    code = "not_found"


class RowChanged(ExtractError):
    """The row or its answer is no longer the one that the page has shown."""

    code = "changed"


@dataclass(slots=True, kw_only=True)
class Review:
    """One person at one decision file. `rows` finds the rows of tasks; `clock` gives seconds since 1970."""

    file: DecisionFile
    title: str
    rows: RowSource
    errors: Rejections
    judge: Judge
    figures: RunningProgress
    person: str
    blind: bool
    clock: Callable[[], float]

    @property
    def form(self) -> Form:
        """The fields under review."""
        return self.judge.form

    def task(self) -> JsonObject:
        """Return what all rows have in common, with the form."""
        first = self.file.tasks(1, 1)
        return {
            "title": self.title,
            "person": self.person,
            "blind": self.blind,
            "kind": first[0].kind if first else "sample",
            "total": len(self.file),
            "fields": list(self.file.setup.fields),
            "columns": list(self.file.setup.inputs),
            "start": self.file.next_open(self.person, 0),
            "form": self.form.as_json(),
        }

    def row(self, number: int) -> JsonObject:
        """Return one row with its source, and what is known about it. Raises NoSuchRow."""
        task = self._task(number)
        current = self.file.current(number, self.person)
        cells = self.rows.cells(task)
        named = {name: getattr(task, name) for name in ("row_id", "kind", "score", "reason", "row_hash", "answer_hash")}
        return {
            "number": number,
            **named,
            "previous": number - 1 if number > 1 else None,
            "next": number + 1 if number < len(self.file) else None,
            **(_GONE if cells is None else self._judged(task, cells)),
            "decision": None if current is None else self._shown(current),
        }

    def document(self, number: int) -> Document | None:
        """Return the document of a row, None where it has none. Raises NoSuchRow."""
        task = self._task(number)
        cells = self.rows.cells(task)
        return None if cells is None else self.rows.document(task, cells)

    def _judged(self, task: Task, cells: Mapping[str, Any]) -> JsonObject:
        """Return the source of a row, and, unless it is judged blind, the answer that it got."""
        shown, answer = self.rows.shown(task, cells), self.judge.answer(cells)
        answered = {"values": None, "error": None, "spans": [], "origin": None} if self.blind else {
            "values": None if answer is None else form_values(self.form, answer),
            "error": self.errors.of(task, cells) if answer is None else None,
            "spans": spans_shown(cells.get(_SPANS), shown.column, shown.document),
            "origin": origin_of(cells.get(PROVENANCE)),
        }  # fmt: skip
        return {"source": shown.source, "others": shown.others, "missing": answer is None, **answered}

    def decide(self, number: int, body: Mapping[str, Any]) -> JsonObject:
        """Store a decision. Raises InvalidAnswer for values that do not fit, RowChanged, NoSuchRow."""
        task = self._task(number)
        if "answer_hash" in body and body["answer_hash"] != task.answer_hash:
            raise RowChanged("this answer has changed since it was shown: look at the row again")
        judged = Judged("skipped") if body.get("action") == "skipped" else self._decided(task, body)
        decision = self.file.decide(
            number,
            self.person,
            judged.action,
            judged.value,
            spans_given(body.get("spans")),
            verdicts=judged.verdicts,
            blind=self.blind,
            now=self.clock(),
            seconds=_seconds(body.get("seconds")),
        )
        return {
            "decision": self._shown(decision),
            "progress": self.progress(),
            "next": self.file.next_open(self.person, number),
        }

    def _decided(self, task: Task, body: Mapping[str, Any]) -> Judged:
        cells = self.rows.cells(task)
        if cells is None:
            raise RowChanged("this row is not in the table any more")
        return self.judge.decided(cells, body, blind=self.blind)

    def undo(self) -> JsonObject:
        """Take back this person's last decision."""
        task = self.file.undo(self.person, self.clock())
        return {"undone": None if task is None else task.number, "progress": self.progress()}

    def progress(self) -> JsonObject:
        """Return how far this person is, and how right the answers are so far."""
        figures = self.figures.of(self.person, self.clock())
        whole = figures.as_json()
        ours = next((one for one in whole["accuracy"] if one["kind"] == "sample" and one["blind"] == self.blind), None)
        right = None if ours is None or not ours["judged"] else _right(ours, figures.enough_at)
        fields = [] if right is None or ours is None else [
            {"name": name, **_right(one, None)} for name, one in ours["fields"].items()
        ]  # fmt: skip
        agreement = whole["agreement" if self.blind else "agreement_seen"].get("")
        return whole | {
            "total": figures.tasks,
            "right": right,
            "fields": fields,
            "people": [{"person": name} for name in figures.people],
            "agreement": agreement,
            "agreement_fields": whole["agreement" if self.blind else "agreement_seen"],
        }

    def next(self, after: int) -> JsonObject:
        """Return the next open row after this one."""
        return {"next": self.file.next_open(self.person, max(0, after))}

    def tasks(self, start: int, count: int) -> JsonObject:
        """Return some rows with what this person has made of them."""
        start = max(1, start)
        listed = self.file.tasks(start, max(1, min(count, _MAX_COUNT)))
        return {"start": start, "total": len(self.file), "tasks": [self._listed(task) for task in listed]}

    def _listed(self, task: Task) -> JsonObject:
        current = self.file.current(task.number, self.person)
        named = {name: getattr(task, name) for name in ("number", "row_id", "kind", "score", "reason")}
        return named | {"state": "open" if current is None else current.action}

    def _task(self, number: int) -> Task:
        try:
            return self.file.task(number)
        except (KeyError, OverflowError):
            raise NoSuchRow(f"there is no row {number}; there are {len(self.file):,}") from None

    def _shown(self, decision: Decision) -> JsonObject:
        values = None if decision.value is None else form_values(self.form, decision.value)
        return {
            "id": decision.number,
            "action": decision.action,
            "values": values,
            "spans": list(decision.spans),
            "person": decision.person,
            "blind": decision.blind,
            "time": datetime.fromtimestamp(decision.time, UTC).isoformat(timespec="seconds"),
        }


def _right(one: Mapping[str, Any], enough_at: int | None) -> JsonObject:
    low, high = one["interval"] or (None, None)
    shown = {"right": one["right"], "judged": one["judged"], "share": one["share"], "low": low, "high": high}
    return shown | ({} if "enough" not in one else {"enough": one["enough"], "enough_at": enough_at})


def _seconds(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        return None
    return min(max(float(value), 0.0), _MAX_SECONDS)
