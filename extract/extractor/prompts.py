"""Prompt templates over column names, few-shot examples, and the text of a repair request. No input or output."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, time, timedelta
from typing import Any

from extract.errors import BadRecord, ConfigError, Issue

__all__ = ["REPAIR_OPENING", "Example", "Template", "repair_text", "value_text"]

REPAIR_OPENING = "Your last answer does not fit the schema."
_MAX_ISSUES = 10

_BRACE = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


@dataclass(frozen=True, slots=True)
class _Placeholder:
    name: str


@dataclass(frozen=True, slots=True)
class Template:
    """A prompt with `{column}` placeholders, which are names only: attributes, indices and formats are not supported.

    `{{` and `}}` stand for single braces; braces inside a value stay as they are.
    """

    segments: tuple[str | _Placeholder, ...]

    @classmethod
    def parse(cls, text: str) -> Template:
        """Return the template of `text`. ConfigError for a single brace."""
        return cls(tuple(_segments(text)))

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the prompt uses, in the order of their first use."""
        return tuple(dict.fromkeys(segment.name for segment in self.segments if isinstance(segment, _Placeholder)))

    def render(self, record: Mapping[str, Any]) -> str:
        """Return the prompt for one record. BadRecord for a value that has no text form."""
        return "".join(
            segment if isinstance(segment, str) else value_text(record[segment.name], segment.name)
            for segment in self.segments
        )

    def around_columns(self) -> tuple[str, Template, str]:
        """Return the lines before all columns, the part with the columns, and the lines after them.

        A line belongs to the part with the columns where it holds one. An opening before the only column, such as
        `Classify this review: {text}`, counts as a line of its own where it ends in a colon.
        """
        segments = list(self.segments)
        first, last = segments[0], segments[-1]
        head = tail = ""
        if isinstance(first, str):
            head, line_break, label = first.rpartition("\n")
            is_opening = len(self.columns) == 1 and label.rstrip().endswith(":") and self._has_one_place
            if not line_break and is_opening:
                head, label = first, ""
            segments[0] = label
        if isinstance(last, str) and len(segments) > 1:
            rest, line_break, tail = last.partition("\n")
            segments[-1] = rest
        return head.strip(), Template(tuple(segments)), tail.strip()

    @property
    def _has_one_place(self) -> bool:
        return sum(isinstance(segment, _Placeholder) for segment in self.segments) == 1


def _segments(text: str) -> Iterator[str | _Placeholder]:
    literal = ""
    position = 0
    for token in _BRACE.finditer(text):
        literal += text[position : token.start()]
        position = token.end()
        if token[0] in ("{{", "}}"):
            literal += token[0][0]
            continue
        if not token[1]:
            raise ConfigError(
                f"the prompt has a lone {token[0]!r} at character {token.start()}; write it twice to keep it"
            )
        yield literal
        yield _Placeholder(token[1])
        literal = ""
    yield literal + text[position:]


def value_text(value: Any, column: str = "value") -> str:
    """Return a cell as text for a prompt: null is empty, dates are in ISO 8601, lists and structs are JSON."""
    if type(value) is str:
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, Mapping | list | tuple):
        return json.dumps(value, ensure_ascii=False, default=value_text)
    if isinstance(value, bytes | bytearray | memoryview):
        raise BadRecord(f"column {column!r} holds bytes, which have no text form; name it in `media=` instead")
    if isinstance(value, timedelta):
        return f"{value.total_seconds():g} s"
    return str(value)


def check_columns(needed: Iterable[str], columns: Collection[str]) -> None:
    """Raise ConfigError, with the names, where columns that are needed are missing: before any request is paid for."""
    if missing := [name for name in needed if name not in columns]:
        hint = "" if all(name.isidentifier() for name in missing) else "; for a brace that stays write {{ or }}"
        raise ConfigError(f"the prompt needs the columns {missing!r}; the input has {list(columns)!r}{hint}")


@dataclass(frozen=True, slots=True)
class Example:
    """One few-shot example: a record, as the prompt uses it, and the answer that it should get.

    >>> Example({"text": "Paid 12.50 EUR"}, {"total": 12.5})
    Example(record={'text': 'Paid 12.50 EUR'}, answer={'total': 12.5})
    >>> Example.from_rows([{"text": "It crashes", "label": "bug"}], answer="label")
    (Example(record={'text': 'It crashes'}, answer='bug'),)
    """

    record: Mapping[str, Any]
    answer: Any

    @classmethod
    def from_rows(cls, rows: Iterable[Mapping[str, Any]], *, answer: str | Sequence[str]) -> tuple[Example, ...]:
        """Return an example per row. `answer` names the column with the answer, or the columns that are its fields."""
        return tuple(cls(*_split(row, answer)) for row in rows)


def _split(row: Mapping[str, Any], answer: str | Sequence[str]) -> tuple[dict[str, Any], Any]:
    answer_columns = (answer,) if isinstance(answer, str) else tuple(answer)
    check_columns(answer_columns, row.keys())
    record = {name: value for name, value in row.items() if name not in answer_columns}
    return record, row[answer] if isinstance(answer, str) else {name: row[name] for name in answer_columns}


def repair_text(issues: Sequence[Issue]) -> str:
    """Return the text that shows the model its errors; at most ten issues, so that its length is bounded.

    It is sent and hashed: a change of the text changes the content keys of all repairs.
    """
    lines = [f"- {issue.path}: {issue.message[:200]}" for issue in issues[:_MAX_ISSUES]]
    return "\n".join((REPAIR_OPENING, *lines, "Answer again with the whole corrected JSON and nothing else."))
