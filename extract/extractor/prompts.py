"""Templates over column names, few-shot examples, and the text of a repair. Nothing here is sent or read."""

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
_MOST_ISSUES = 10

_TOKEN = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


@dataclass(frozen=True, slots=True)
class _Column:
    name: str


@dataclass(frozen=True, slots=True)
class Template:
    """A prompt with `{column}` places. A name is only looked up: no attribute, index or format is applied.

    `{{` and `}}` stand for single braces; braces inside a value stay as they are.
    """

    segments: tuple[str | _Column, ...]

    @classmethod
    def parse(cls, text: str) -> Template:
        """Compile `text`; ConfigError names a brace that stands alone."""
        return cls(tuple(_segments(text)))

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the prompt needs, in the order of their first use."""
        return tuple(dict.fromkeys(segment.name for segment in self.segments if isinstance(segment, _Column)))

    def render(self, record: Mapping[str, Any]) -> str:
        """Return the prompt for one record. BadRecord where a value has no text form."""
        return "".join(
            segment if isinstance(segment, str) else value_text(record[segment.name], segment.name)
            for segment in self.segments
        )


def _segments(text: str) -> Iterator[str | _Column]:
    literal = ""
    end = 0
    for token in _TOKEN.finditer(text):
        literal += text[end : token.start()]
        end = token.end()
        if token[0] in ("{{", "}}"):
            literal += token[0][0]
            continue
        if not token[1]:
            raise ConfigError(
                f"the prompt has a lone {token[0]!r} at character {token.start()}; write it twice to keep it"
            )
        yield literal
        yield _Column(token[1])
        literal = ""
    yield literal + text[end:]


def value_text(value: Any, column: str = "value") -> str:
    """Return how a cell reads in a prompt: null is empty, dates are ISO, lists and structs are JSON."""
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
    """Refuse a run that cannot work before its first request is paid for: ConfigError names the columns."""
    if missing := [name for name in needed if name not in columns]:
        hint = "" if all(name.isidentifier() for name in missing) else "; for a brace that stays write {{ or }}"
        raise ConfigError(f"the prompt needs the columns {missing!r}; the input has {list(columns)!r}{hint}")


@dataclass(frozen=True, slots=True)
class Example:
    """One few-shot example: a record as the prompt would see it, and the answer it should get."""

    record: Mapping[str, Any]
    answer: Any

    @classmethod
    def from_rows(cls, rows: Iterable[Mapping[str, Any]], *, answer: str | Sequence[str]) -> tuple[Example, ...]:
        """Split each row into record and answer. `answer` names one column, or the columns that form the answer."""
        return tuple(cls(*_split(row, answer)) for row in rows)


def _split(row: Mapping[str, Any], answer: str | Sequence[str]) -> tuple[dict[str, Any], Any]:
    taken = (answer,) if isinstance(answer, str) else tuple(answer)
    check_columns(taken, row.keys())
    record = {name: value for name, value in row.items() if name not in taken}
    return record, row[answer] if isinstance(answer, str) else {name: row[name] for name in taken}


def repair_text(issues: Sequence[Issue]) -> str:
    """Return the request that shows the model what was wrong; its length does not grow with the number of issues."""
    lines = [f"- {issue.path}: {issue.message[:200]}" for issue in issues[:_MOST_ISSUES]]
    return "\n".join((REPAIR_OPENING, *lines, "Answer again with the whole corrected JSON and nothing else."))
