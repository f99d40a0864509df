"""Several answers to one record, each asked for anew: a vote per field, and how many of them agree with it.

Samples of a record differ only in their number, which is part of their content keys: each is kept, budgeted and taken
up again like any other request. Sample 0 is what a run without samples asks. A sample that fails (invalid, blocked,
cut, too late) leaves the vote to the others; the record fails, as its first sample did, where all of them do.

Top-level fields are voted on apart; the value that most samples give wins, and of equally many the earliest. Texts are
the same where they differ in case and blanks only, objects whatever the order of their keys; labels are as they are.
Where the winners come from several samples and do not fit the schema together, the one sample that agrees with most of
them stands as a whole.
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
from extract.runner.tally import Tally
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
    ask: Callable[[int, Tally], Awaitable[Answer]],
    samples: int,
    tally: Tally,
    schema: OutputSchema,
    stops: tuple[type[ExtractError], ...],
) -> Vote:
    """Ask all samples of a record at once, and let those that were answered vote.

    What each took is added to `tally`, which also tells what the answer is. Raises what the first sample raised where
    none was answered, and one of `stops`, which end the run, where any met it: a rerun takes the record up, with what
    was paid for in the cache.
    """
    parts = [tally.part() for _ in range(samples)]
    tasks = [asyncio.ensure_future(ask(number, part)) for number, part in enumerate(parts)]
    try:
        await asyncio.gather(*tasks, return_exceptions=True)
    except asyncio.CancelledError:
        late = tally.term.timeout is not None and tally.term.timeout.expired()
        if not late or not any(_is_answered(task) for task in tasks):
            raise
    finally:
        for part in parts:
            tally.add(part)
    failures = _failures(tasks, stops)
    answered = [number for number, task in enumerate(tasks) if _is_answered(task)]
    if not answered:
        tally.answer = parts[0].answer
        raise failures[0] if failures else asyncio.CancelledError
    found = vote([tasks[number].result() for number in answered], samples, schema)
    _tell(tally, found, [parts[number] for number in answered], schema)
    return found


def _failures(tasks: Sequence[asyncio.Future[Answer]], stops: tuple[type[ExtractError], ...]) -> list[BaseException]:
    """Return why samples failed, in their order; raise what is no failure of a sample alone."""
    failures = [error for task in tasks if not task.cancelled() and (error := task.exception()) is not None]
    for error in failures:
        if isinstance(error, stops) or not isinstance(error, ExtractError):
            raise error
    return failures


def _is_answered(task: asyncio.Future[Answer]) -> bool:
    return task.done() and not task.cancelled() and task.exception() is None


def _tell(tally: Tally, found: Vote, parts: Sequence[Tally], schema: OutputSchema) -> None:
    """Say of the record what is true of the sample that stands for it."""
    chosen = parts[found.sample or 0]
    mixed = found.sample is None
    tally.answer = schema.to_json(found.answer[0]) if mixed else chosen.answer
    tally.spans = None if mixed else chosen.spans
    tally.windows, tally.conflicts = chosen.windows, () if mixed else chosen.conflicts
    tally.citations, tally.grounded = chosen.citations, chosen.grounded
    tally.agreement = dict(zip(schema.dtypes, found.agreement, strict=True))


def vote(answers: Sequence[Answer], asked: int, schema: OutputSchema) -> Vote:
    """Return what most of the answers to one record say, in the order of their samples; there is at least one."""
    said = [_meaning(row, schema) for _, row in answers]
    winners = [_winner(column) for column in zip(*said, strict=True)]
    whole = max(range(len(said)), key=lambda place: _in_common(said[place], winners))
    mixed = None
    if _in_common(said[whole], winners) < len(winners):
        cells = [
            next(row[at] for (_, row), mine in zip(answers, said, strict=True) if mine[at] == winner)
            for at, winner in enumerate(winners)
        ]
        mixed = _fitting(cells, schema)
    answer = answers[whole] if mixed is None else mixed
    final = _meaning(answer[1], schema)
    agreement = tuple(sum(mine[at] == one for mine in said) / asked for at, one in enumerate(final))
    return Vote(answer, agreement, whole if mixed is None else None)


def _meaning(row: Sequence[Any], schema: OutputSchema) -> list[Hashable]:
    """Return of each cell what cells that say the same have in common."""
    return [_same_in(cell, dtype) for cell, dtype in zip(row, schema.dtypes.values(), strict=True)]


def _same_in(cell: Any, dtype: Any) -> Hashable:
    if isinstance(dtype, pl.Struct) and isinstance(cell, dict):
        members = {field.name: field.dtype for field in dtype.fields if not is_empty(cell.get(field.name))}
        return tuple((name, _same_in(cell[name], inner)) for name, inner in members.items())
    if isinstance(dtype, pl.List) and isinstance(cell, list):
        items = [_same_in(item, dtype.inner) for item in cell]
        return frozenset(Counter(items).items()) if is_mapping(dtype) else tuple(items)
    return identity(cell, exact=isinstance(dtype, pl.Enum))


def _winner(column: Sequence[Any]) -> Any:
    votes = Counter(column)
    return max(column, key=lambda one: votes[one])  # the first of equals


def _in_common(mine: Sequence[Any], winners: Sequence[Any]) -> int:
    return sum(one == winner for one, winner in zip(mine, winners, strict=True))


def _fitting(cells: Sequence[Any], schema: OutputSchema) -> Answer | None:
    """Return cells of several samples as one answer, None where the schema does not allow them together."""
    try:
        (value,) = schema.models(schema.frame([tuple(cells)]))
        return None if value is None else (value, schema.row(value))
    except InvalidAnswer:
        return None
