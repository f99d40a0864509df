"""`extract run --show`: prints rows on stdout, each with its input and its answer."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import islice
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from extract.cli.terminal import console_for, plain, signs_for
from extract.documents.roots import Roots
from extract.errors import BadRecord
from extract.extractor.extractor import Extractor
from extract.extractor.plan import CompiledExtractor, compile_extractor
from extract.extractor.prompts import value_text
from extract.interactions.endpoint import Endpoint
from extract.io.source import records_of
from extract.io.sources import Source
from extract.results.html import decimal_text
from extract.results.run import Run
from extract.results.spot_check import CheckedRow, spans_of

__all__ = ["show_rows"]

_NOWHERE = Endpoint(api_key="none", name="nowhere")  # a prompt is the same for every service, and nothing is sent here
_LABEL_WIDTH = 18
_MAX_CHARACTERS = 600  # of a text without spans
_NULL = Text("null", "dim italic")
_MAX_DEPTH = 4  # levels of an answer that get lines of their own
_STYLES = {"exact": "black on green", "normalised": "black on cyan", "fuzzy": "black on yellow", "missing": "red"}


def show_rows(
    run: Run,
    source: Source,
    extractor: Extractor,
    *,
    rows: int,
    prefix: str,
    row_id: str | None,
    roots: Roots | None,
) -> None:
    """Print the first `rows` rows of a run over `source`, each with its answer, or why it was rejected."""
    console = console_for(sys.stdout)
    plan = compile_extractor(replace(extractor, pack=None), _NOWHERE).fitted(list(source.schema), roots)
    for record, answer, error in _outcomes(run, source, rows):
        number, row = record
        _print_row(console, plan, row, _checked(plan, row, answer, error, prefix, row[row_id] if row_id else number))
    console.print()


def _outcomes(
    run: Run, source: Source, rows: int
) -> Iterator[tuple[tuple[int, Mapping[str, Any]], Mapping[str, Any] | None, str | None]]:
    """Yield a row with its number, its answer, and the reason where it has none; rows not reached are left out."""
    reasons = dict(zip(run.details.failed_places, run.errors.select("code", "message").iter_rows(), strict=True))
    answers: Iterator[dict[str, Any]] = iter(())
    if run.totals.valid:
        answers = iter(records_of(run.scan().head(rows).collect()))
    for number, row in enumerate(islice(_rows_of(source), rows)):
        if (reason := reasons.get(number)) is None:
            yield (number, row), next(answers, None), None
        elif reason[0] != "not_run":
            yield (number, row), None, f"{reason[0]}: {reason[1]}"


def _rows_of(source: Source) -> Iterator[dict[str, Any]]:
    for frame in source.batches(128):
        yield from records_of(frame)


def _checked(
    plan: CompiledExtractor,
    row: Mapping[str, Any],
    answer: Mapping[str, Any] | None,
    error: str | None,
    prefix: str,
    row_id: Any,
) -> CheckedRow:
    source = _source(plan, row)
    return CheckedRow(
        row_id=row_id,
        prompt=source or "",
        answer=None if answer is None else {name: answer[prefix + name] for name in plan.schema.dtypes},
        error=error,
        source=source,
        spans=spans_of(answer.get("_spans"), plan.schema) if answer and plan.extractor.grounding else (),
    )


def _source(plan: CompiledExtractor, row: Mapping[str, Any]) -> str | None:
    """Return the text in which spans are positions, None without grounding. Files are read again."""
    if not plan.extractor.grounding:
        return None
    try:
        quoted = plan.question(row).quoted
        return quoted.source.text if quoted and quoted.source else None
    except BadRecord:
        return None


def _print_row(console: Console, plan: CompiledExtractor, row: Mapping[str, Any], checked: CheckedRow) -> None:
    signs = signs_for(console)
    head = f"{signs.line * 2} row {plain(checked.row_id, console)} "
    console.print(Text(head + signs.line * max(0, min(console.width, 80) - len(head)), "dim"), no_wrap=True)
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True, max_width=_LABEL_WIDTH, overflow="ellipsis")
    grid.add_column(overflow="fold")
    for label, text in _inputs(console, plan, row, checked):
        grid.add_row("", Text(label, "dim"), text)
    if checked.answer is None:
        grid.add_row(Text(signs.cross, "red"), Text("rejected", "red"), plain(checked.error or "no answer", console))
    for name, value in (checked.answer or {}).items():
        shown = _value(console, value, checked.status_of(name))
        grid.add_row(Text(signs.arrow, "cyan"), Text(plain(name, console), "cyan"), shown)
    with console.capture() as captured:
        console.print(grid)
    # Rich fills the last column of a table with spaces.
    console.file.writelines(f"{line.rstrip()}\n" for line in captured.get().split("\n")[:-1])


def _inputs(
    console: Console, plan: CompiledExtractor, row: Mapping[str, Any], checked: CheckedRow
) -> Iterator[tuple[str, Text]]:
    """Yield the columns that the prompt reads, and the text of the document, with the values of the answer marked."""
    marked = False
    for name in plan.columns:
        text = _cell(row[name])
        if text and text == checked.source:
            marked = True
            yield plain(name, console), _marked(console, checked)
        else:
            yield plain(name, console), _NULL if row[name] is None else Text(plain(_cut(text), console))
    if checked.source and not marked:
        yield "its text", _marked(console, checked)


def _cell(value: Any) -> str:
    return f"({len(value):,} bytes)" if isinstance(value, bytes) else value_text(value)


def _cut(text: str) -> str:
    left = len(text) - _MAX_CHARACTERS
    return text if left <= 0 else f"{text[:_MAX_CHARACTERS]} [{left:,} more characters]"


def _marked(console: Console, checked: CheckedRow) -> Text:
    signs, coloured = signs_for(console), _is_coloured(console)
    text = Text()
    for piece in checked.pieces():
        shown = plain(piece.text, console)
        if piece.status is None:
            text.append(shown)
        elif coloured:
            text.append(shown, _STYLES.get(piece.status, ""))
        else:
            text.append(f"{signs.opening}{shown}{signs.closing}")
    return text


def _is_coloured(console: Console) -> bool:
    return console.color_system is not None


def _value(console: Console, value: Any, status: str) -> Text:
    style = "dim italic" if value is None else ""
    text = Text(plain("\n".join(_lines(value)), console), style)
    if status:
        text.append(f"  {status}", "red" if status == "missing" else "dim")
    return text


def _lines(value: Any, depth: int = 0) -> Iterator[str]:
    """Yield a value as lines: a struct or a list of plain values in one, the members of a nested list in one each."""
    if isinstance(value, Mapping):
        yield ", ".join(f"{name}: {_brief(member)}" for name, member in value.items()) or "{}"
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes) and any(map(_is_nested, value)):
        for member in value:
            lines = list(_lines(member, depth + 1)) if depth < _MAX_DEPTH else [_brief(member)]
            yield from (f"{' ' if number else '-'} {line}" for number, line in enumerate(lines))
    else:
        yield _brief(value)


def _brief(value: Any) -> str:
    if value is None or value == "":
        return "null" if value is None else '""'
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name}: {_brief(member)}" for name, member in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return ", ".join(map(_brief, value)) if value else "[]"
    return decimal_text(value) if isinstance(value, Decimal) else _cell(value)


def _is_nested(value: Any) -> bool:
    return isinstance(value, Mapping) or (isinstance(value, Sequence) and not isinstance(value, str | bytes))
