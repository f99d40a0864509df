"""What a person's values say about a row: the whole answer as JSON, checked like an answer, and its cells."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from extract.errors import ConfigError, InvalidAnswer, Issue
from extract.json_types import JsonObject, json_text
from extract.review.answer_cells import AnswerCells
from extract.review.cells import answer_of_cells
from extract.review.form import form_of
from extract.review.form_nodes import Form
from extract.review.form_values import answer_text
from extract.review.source_table import SourceTable
from extract.review.tasks import Action, ReviewSetup
from extract.review.verdicts import verdicts_of
from extract.schema import OutputSchema

__all__ = ["Judge", "Judged"]


@dataclass(frozen=True, slots=True)
class Judged:
    """A checked decision: the whole answer as JSON, and which fields of the answer that was there are right."""

    action: Action
    value: JsonObject | None = None
    verdicts: Mapping[str, bool] = field(default_factory=dict)


class Judge:
    """Reads the answers of a table, and checks what people say instead: by the schema that answers are checked by.

    `schema` is that of the pipeline, by default the JSON Schema in the setup.
    """

    def __init__(self, setup: ReviewSetup, table: SourceTable, schema: OutputSchema | None = None) -> None:
        self._setup = setup
        self._table = table
        self._own = schema
        self._cells = AnswerCells(setup, schema)
        self._schema = self._cells.schema
        self._names = {**setup.names, **{key: name for name, key in setup.keys.items()}}
        types = {setup.keys.get(name, name): dtype for name, dtype in self._cells.dtypes.items()}
        self._whole = form_of(self._schema, types)
        self.form: Form = self._whole.only(tuple(setup.keys.get(name, name) for name in setup.fields))
        self._is_part = len(self.form.root.members) < len(self._whole.root.members)

    def answer(self, row: Mapping[str, Any]) -> JsonObject | None:
        """Return the answer in a row's cells as JSON; None where the row has none."""
        cells = self._table.answer_of(row) if self._table.answers else None
        if cells is None:
            return None
        if self._own is not None:
            # A file that an earlier form of the class has written may hold anything.
            with suppress(ValueError, TypeError, KeyError, StopIteration, AttributeError, IndexError):
                answer: JsonObject = self._own.answer({**dict.fromkeys(self._own.dtypes), **cells})
                return answer
        return answer_of_cells(self._whole, cells, self._names)

    def decided(self, row: Mapping[str, Any], body: Mapping[str, Any], *, blind: bool) -> Judged:
        """Return what a page's decision says. Raises InvalidAnswer, with the path of each field that is wrong."""
        before = self.answer(row)
        action = body.get("action")
        if action not in ("right", "decided") or (action == "right" and blind):
            raise InvalidAnswer((Issue("$", "a decision is 'decided', 'skipped' or, in sight of the answer, 'right'"),))
        if action == "decided":
            value = self._checked(self._merged(before, answer_text(self.form, body.get("values"))))
        elif before is not None:
            value = self._checked(json_text(before))
        else:
            raise InvalidAnswer((Issue("$", "there is no answer that could be right"),))
        if not self._table.answers:
            return Judged("corrected", value)
        old, new = self._table.answer_of(row), self._cells_of(value)
        is_same = old is not None and all(old.get(name) == new.get(name) for name in self._setup.fields)
        verdicts = verdicts_of(old, new, self._setup.fields)
        return Judged("right" if action == "right" or is_same else "corrected", value, verdicts)

    def _cells_of(self, value: JsonObject) -> Mapping[str, Any]:
        try:
            return self._cells.of(value)
        except (InvalidAnswer, ConfigError):  # a part of an answer, or a type that only its class can tell
            return {name: value.get(self._setup.keys.get(name, name)) for name in self._setup.fields}

    def _merged(self, before: JsonObject | None, text: str) -> str:
        return json_text({**before, **json.loads(text)}) if self._is_part and before is not None else text

    def _checked(self, text: str) -> JsonObject:
        """Return an answer as JSON. Where only some fields are under review, only their faults count."""
        try:
            valid = self._schema.validate(text)
            self._schema.row(valid)
            value: JsonObject = json.loads(self._schema.to_json(valid))
        except InvalidAnswer as error:
            issues = tuple(one for one in error.issues if not self._is_part or self._is_reviewed(one.path))
            if issues:
                raise InvalidAnswer(issues) from None
            value = json.loads(text)
        return value

    def _is_reviewed(self, path: str) -> bool:
        starts = [f"${one.step}" for one in self.form.root.members]
        return any(path == start or path.startswith((f"{start}.", f"{start}[")) for start in starts)
