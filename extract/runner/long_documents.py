"""A record whose text is too long for one request: its windows, a question about each, and their answers merged."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

from pydantic_core import from_json, to_json

from extract.documents.parts import Part, TextPart, encodings_of, hash_of
from extract.documents.text_layer import QuotableText, source_text
from extract.documents.windows import Merged, Window, Windows, cut, merge
from extract.errors import Blocked, ExtractError, Incomplete, InvalidAnswer, NotRun, ending_in_one_line
from extract.extractor.plan import CompiledExtractor
from extract.extractor.prompts import value_text
from extract.extractor.question import Question
from extract.runner.event_loop import in_thread
from extract.runner.state import RunState
from extract.runner.stops import STOPS
from extract.runner.trace import RecordTrace

__all__ = ["LongText", "WindowAnswers", "long_text"]

AskWindow: TypeAlias = Callable[[Question, RecordTrace], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class LongText:
    """One record and its windows. Its files are read once; a window's question is written when it is asked.

    `files` is the hash of what the files hold.
    """

    plan: CompiledExtractor
    record: Mapping[str, Any]
    parts: Mapping[str, tuple[Part, ...]]
    column: str
    windows: Sequence[Window]
    files: str | None = None

    @property
    def encoding(self) -> str | None:
        """What the text files of the record were written in, None without one."""
        return encodings_of(part for parts in self.parts.values() for part in parts)

    def quoted(self) -> QuotableText | None:
        """Return the text in which the values of the whole answer are to be found again, if that is wanted."""
        return self.plan.quoted(self.record, self.parts)

    def question(self, window: Window, *, grounded: bool = True) -> Question:
        """Return the question about a window. Not `grounded`: without the text in which its values stand."""
        if self.column in self.parts:
            parts = {**self.parts, self.column: (TextPart(window.text),)}
            return self.plan.written(self.record, parts, grounded=grounded)
        return self.plan.written({**self.record, self.column: window.text}, self.parts, grounded=grounded)

    def merged(self, answers: Sequence[tuple[Window, Any]]) -> tuple[str, Merged]:
        """Return the validated values of all windows as the JSON text of one answer, and how they were merged."""
        schema, rules = self.plan.schema, _windows_of(self.plan).merge
        merged = merge([(window, from_json(schema.to_json(value))) for window, value in answers], rules, schema)
        return to_json(merged.value).decode(), merged


def long_text(plan: CompiledExtractor, record: Mapping[str, Any]) -> LongText | None:
    """Return the windows of a record's long text, None where one request will do.

    Windows of nothing but blanks are left out. A PDF with a page that is a picture is not cut into windows: its text
    would not be all of it. Reads files and takes a moment. Raises BadRecord, and ConfigError where a PDF cannot be read
    without pdfium.
    """
    windows = _windows_of(plan)
    parts = plan.loaded(record)
    column = windows.column or next((name for name in plan.columns if _has_text(record[name])), plan.columns[0])
    cell = parts[column] if column in parts else (TextPart(value_text(record.get(column), column)),)
    source = source_text(cell, whole=True)
    pieces = [] if source is None else cut(source.text, windows, source.page_starts or None)
    if len(pieces) < 2:
        return None
    files = hash_of(part for one in parts.values() for part in one)
    return LongText(plan, record, parts, column, [window for window in pieces if window.text.strip()], files)


def _windows_of(plan: CompiledExtractor) -> Windows:
    windows = plan.extractor.windows
    assert windows is not None, "only where there are windows"
    return windows


def _has_text(cell: Any) -> bool:
    return cell is not None and not (isinstance(cell, str) and not cell.strip())


@dataclass(slots=True)
class WindowAnswers:
    """The answers to the windows of one record, up to `at_once` of which are asked for side by side.

    However many windows a text has, no more of them wait at the limiter, so that other records have their turn, too.
    """

    text: LongText
    trace: RecordTrace
    ask: AskWindow
    state: RunState
    grounded: bool
    parts: dict[int, RecordTrace] = field(default_factory=dict)
    values: dict[int, Any] = field(default_factory=dict)
    failures: dict[int, ExtractError] = field(default_factory=dict)
    given_up: bool = False

    async def all(self, at_once: int) -> list[tuple[Window, Any]]:
        """Return the values of all windows. Raises the reason why the record has none, and says where it lies."""
        windows = self.text.windows
        remaining = iter(enumerate(windows))  # shared by all workers: each takes the next
        workers = (self._work(remaining) for _ in range(min(at_once, len(windows))))
        try:
            ended = await asyncio.gather(*workers, return_exceptions=True)
        finally:
            for number in sorted(self.parts):
                self.trace.add(self.parts[number])
            self.trace.windows = len(windows)
        for error in filter(None, ended):
            raise error
        if self.failures:
            raise self._reason()
        return [(window, self.values[number]) for number, window in enumerate(windows)]

    async def _work(self, remaining: Iterable[tuple[int, Window]]) -> None:
        for number, window in remaining:
            try:
                with ending_in_one_line("a window cannot be asked"):
                    await self._ask(number, window)
            except ExtractError as error:
                self.failures[number] = error
                if isinstance(error, STOPS):
                    self.state.stop(error)  # now: every further window would be refused as well
                if not isinstance(error, InvalidAnswer | Incomplete | Blocked):
                    self.given_up = True  # the rest would hardly fare better, and the record is lost for this run
            if self.given_up:
                return

    async def _ask(self, number: int, window: Window) -> None:
        part = self.parts[number] = self.trace.part()
        question = await in_thread(partial(self.text.question, window, grounded=self.grounded))
        self.values[number] = await self.ask(question, part)

    def _reason(self) -> ExtractError:
        """Return what ended the run, else that the run ended, else the first failure in the order of the text."""
        failures = sorted(self.failures.items())
        for kind in (*STOPS, NotRun):
            if ending := next((error for _, error in failures if isinstance(error, kind)), None):
                return ending
        number, error = failures[0]
        self.trace.answer = self.parts[number].answer
        placed = copy(error)
        placed.args = (f"{error} ({_place(self.text.windows[number])})",)
        return placed


def _place(window: Window) -> str:
    place = f"in the window of characters {window.start:,} to {window.end:,}"
    if window.pages is None:
        return place
    first, last = window.pages
    return f"{place}, page {first}" if first == last else f"{place}, pages {first} to {last}"
