"""The rows of a decision file in their table, each with the source that it came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from extract.documents.roots import Roots
from extract.errors import BadRecord, ConfigError
from extract.extractor.prompts import value_text
from extract.json_types import JsonObject
from extract.review.document import Document, Documents
from extract.review.question_columns import QuestionColumns
from extract.review.rows import RowIndex, Rows
from extract.review.tasks import Task

__all__ = ["RowSource", "ShownSource"]

_MAX_TEXT: Final = 1_000_000
_MAX_OTHER: Final = 2_000
_RECENT_ROWS: Final = 8
"""A row is asked for, then its pictures, then it is decided."""


@dataclass(frozen=True, slots=True)
class ShownSource:
    """The source of a row as the page gets it; `column` is the text in which its spans count, None for a PDF.

    `document` is what the row names, None where it names nothing.
    """

    source: JsonObject
    others: list[JsonObject]
    column: str | None
    document: Document | None = None


class RowSource:
    """Finds the rows of tasks: by their keys in `index`, or by their position where that is None."""

    def __init__(
        self,
        rows: Rows,
        index: RowIndex | None,
        inputs: tuple[str, ...],
        question: QuestionColumns,
        roots: Roots | None,
    ) -> None:
        self._rows = rows
        self._index = index
        self._inputs = inputs
        self._question = question
        self._documents = Documents(roots)
        self._recent: dict[int, dict[str, Any] | None] = {}

    def cells(self, task: Task) -> dict[str, Any] | None:
        """Return the cells of a task's row, None where it is not in the table any more."""
        if task.number not in self._recent:
            self._recent[task.number] = self._read(task)
            while len(self._recent) > _RECENT_ROWS:
                self._recent.pop(next(iter(self._recent)))
        return self._recent[task.number]

    def _read(self, task: Task) -> dict[str, Any] | None:
        if self._index is not None:
            return self._index.row(task.row_id)
        return self._rows.at(task.row_id) if isinstance(task.row_id, int) else None

    def shown(self, task: Task, cells: Mapping[str, Any]) -> ShownSource:
        """Return the source of a row beside its other columns."""
        document = self.document(task, cells)
        names = [
            name for name in self._question.columns if name not in self._question.media and cells[name] is not None
        ]
        texts = [_column(name, cells[name]) for name in names]
        if document is None:
            source: JsonObject = {"kind": "text", "columns": texts}
        elif document.kind == "text":
            cut = len(document.text) > _MAX_TEXT
            first = {"name": document.name, "text": document.text[:_MAX_TEXT], "cut": cut}
            source = {"kind": "text", "columns": [first, *texts]}
        elif document.kind == "missing":
            source = {"kind": "missing", "message": document.message}
        else:
            source = _described(document)
        used = set(names) if source["kind"] == "text" else set[str]()
        others = [_other(name, cells[name]) for name in self._inputs if name not in used]
        return ShownSource(source, others, self._column_of_spans(cells, document), document)

    def _column_of_spans(self, cells: Mapping[str, Any], document: Document | None) -> str | None:
        for name in self._question.grounding:
            if name not in self._question.media:
                if cells[name]:
                    return name
            elif document is not None and document.kind == "text":
                return document.name
            elif document is not None and document.kind == "pdf":
                return None
        return None

    def document(self, task: Task, cells: Mapping[str, Any]) -> Document | None:
        """Return the document of a row, None where it has none: that in which values are searched comes first."""
        for name in self._question.columns:
            if name in self._question.media and cells[name] is not None:
                return self._documents.read((task.number, name), cells[name], name)
        return None


def _described(document: Document) -> JsonObject:
    described = {"kind": document.kind, "name": document.name, "mime": document.mime}
    if document.kind != "pdf":
        return described
    try:
        sizes = document.pdf.sizes
    except (BadRecord, ConfigError) as error:
        return {"kind": "missing", "message": str(error)}
    return described | {"pages": len(sizes), "sizes": sizes}


def _text(name: str, cell: Any) -> str:
    if isinstance(cell, bytes):
        return f"({len(cell):,} bytes)"
    try:
        return value_text(cell, name)
    except (BadRecord, TypeError, ValueError):
        return str(cell)


def _column(name: str, cell: Any) -> JsonObject:
    text = _text(name, cell)
    return {"name": name, "text": text[:_MAX_TEXT], "cut": len(text) > _MAX_TEXT}


def _other(name: str, cell: Any) -> JsonObject:
    return {"name": name, "text": None if cell is None else _text(name, cell)[:_MAX_OTHER]}
