"""Several answers to one record, each asked for anew: a vote per field, and how many of them agree with it.

Samples of a record differ only in their number, which is part of their content keys: each is stored, budgeted and
resumed like any other request. Sample 0 is what a run without samples asks. A sample that fails (invalid, blocked, cut,
too late) leaves the vote to the others; the record fails, as its first sample did, where all of them do.

Each top-level field is voted on by itself; the value that most samples give wins, and of equally many the earliest.
Texts are the same where they differ in case and blanks only, objects whatever the order of their keys; labels are
compared as they are. Where the winners come from several samples and do not fit the schema together, the one sample
that agrees with most of them stands as a whole.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import polars as pl

from extract.documents.windows.equality import identity, is_empty
from extract.errors import ExtractError, InvalidAnswer
from extract.runner.trace import RecordTrace
from extract.schema import OutputSchema
from extract.schema.mappings import is_mapping

__all__ = ["Answer", "Vote", "ask_samples", "vote"]


Answer: TypeAlias = tuple[Any, tuple[Any, ...]]
"""A validated value, and the same as one cell per column."""


@dataclass(frozen=True, slots=True)
class Vote:
    """What samples agree on. `agreement` is the share of the samples asked that give each column's value, in 0..1.

    `sample` is the place of the sample whose answer this is, None where fields of several were put together.
    """

    answer: Answer
    agreement: tuple[float, ...]
    sample: int | None


async def ask_samples(
    ask: Callable[[int, RecordTrace], Awaitable[Answer]],
    samples: int,
    trace: RecordTrace,
    schema: OutputSchema,
    stops: tuple[type[ExtractError], ...],
) -> Vote:
    """Ask for all samples of a record at once, and let those that were answered vote.

    What happened to each is added to `trace`, and so is what is known of the answer. Raises what the first sample
    raised where none was answered, and one of `stops`, which end the run, where any sample met it: a rerun takes the
    record up, with what was paid for in the cache.
    """
    parts = [trace.part() for _ in range(samples)]
    tasks = [asyncio.ensure_future(ask(number, part)) for number, part in enumerate(parts)]
    try:
        await asyncio.gather(*tasks, return_exceptions=True)
    except asyncio.CancelledError:
        # Only the deadline lets those vote that made it; any other cancellation is an order to stop.
        if not trace.deadline.has_expired or not any(_is_answered(task) for task in tasks):
            raise
    finally:
        for part in parts:
            trace.add(part)
    failures = _failures(tasks, stops)
    answered = [number for number, task in enumerate(tasks) if _is_answered(task)]
    if not answered:
        trace.answer = parts[0].answer
        raise failures[0] if failures else asyncio.CancelledError
    result = vote([tasks[number].result() for number in answered], samples, schema)
    _note_vote(trace, result, [parts[number] for number in answered], schema)
    return result


def _failures(tasks: Sequence[asyncio.Future[Answer]], stops: tuple[type[ExtractError], ...]) -> list[BaseException]:
    """Return why samples failed, in their order; raise what is no failure of a sample alone."""
    failures = [error for task in tasks if not task.cancelled() and (error := task.exception()) is not None]
    for error in failures:
        if isinstance(error, stops) or not isinstance(error, ExtractError):
            raise error
    return failures


def _is_answered(task: asyncio.Future[Answer]) -> bool:
    return task.done() and not task.cancelled() and task.exception() is None


def _note_vote(trace: RecordTrace, result: Vote, parts: Sequence[RecordTrace], schema: OutputSchema) -> None:
    """Note of the record what is true of the sample that stands for it."""
    chosen = parts[result.sample or 0]
    mixed = result.sample is None
    trace.answer = schema.to_json(result.answer[0]) if mixed else chosen.answer
    # Places count characters of one sample's answer: an answer put together from several has none yet.
    trace.spans = None if mixed else chosen.spans
    trace.windows, trace.conflicts = chosen.windows, () if mixed else chosen.conflicts
    trace.citations, trace.grounded = chosen.citations, chosen.grounded
    trace.agreement = dict(zip(schema.dtypes, result.agreement, strict=True))


def vote(answers: Sequence[Answer], samples: int, schema: OutputSchema) -> Vote:
    """Return what most of the answers to one record say, in the order of their samples; there is at least one."""
    meanings = [_meaning(row, schema) for _, row in answers]
    winners = [_winner(column) for column in zip(*meanings, strict=True)]
    whole = max(range(len(meanings)), key=lambda place: _in_common(meanings[place], winners))
    mixed = None
    if _in_common(meanings[whole], winners) < len(winners):
        cells = [
            next(row[at] for (_, row), meaning in zip(answers, meanings, strict=True) if meaning[at] == winner)
            for at, winner in enumerate(winners)
        ]
        # Fields may depend on each other: the winners together are an answer only if the schema accepts them.
        mixed = _fitting(cells, schema)
    answer = answers[whole] if mixed is None else mixed
    final = _meaning(answer[1], schema)
    # Of all samples, not of those answered: a sample that failed agrees with nobody.
    agreement = tuple(sum(meaning[at] == one for meaning in meanings) / samples for at, one in enumerate(final))
    return Vote(answer, agreement, whole if mixed is None else None)


def _meaning(row: Sequence[Any], schema: OutputSchema) -> list[Hashable]:
    """Return for each cell what is equal for cells that mean the same."""
    return [_comparable(cell, dtype) for cell, dtype in zip(row, schema.dtypes.values(), strict=True)]


def _comparable(cell: Any, dtype: Any) -> Hashable:
    if isinstance(dtype, pl.Struct) and isinstance(cell, dict):
        members = {field.name: field.dtype for field in dtype.fields if not is_empty(cell.get(field.name))}
        return tuple((name, _comparable(cell[name], inner)) for name, inner in members.items())
    if isinstance(dtype, pl.List) and isinstance(cell, list):
        items = [_comparable(item, dtype.inner) for item in cell]
        return frozenset(Counter(items).items()) if is_mapping(dtype) else tuple(items)
    return identity(cell, exact=isinstance(dtype, pl.Enum))


def _winner(column: Sequence[Any]) -> Any:
    votes = Counter(column)
    return max(column, key=lambda one: votes[one])  # the first of equals


def _in_common(meaning: Sequence[Any], winners: Sequence[Any]) -> int:
    return sum(one == winner for one, winner in zip(meaning, winners, strict=True))


def _fitting(cells: Sequence[Any], schema: OutputSchema) -> Answer | None:
    """Return cells of several samples as one answer, None where the schema does not allow them together."""
    try:
        (value,) = schema.models(schema.frame([tuple(cells)]))
        return None if value is None else (value, schema.row(value))
    except InvalidAnswer:
        return None
