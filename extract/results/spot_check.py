"""Some rows of a run to look at: the prompt, the answer, and the place of each value, side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from textwrap import wrap
from typing import Any

from extract.documents.grounding.span import column_path
from extract.results.html import QUIET, cell_text
from extract.schema import OutputSchema
from extract.schema.keywords import member

__all__ = ["CheckedRow", "SpotCheck", "spans_of"]

_WHOLE = 3_000  # characters: longer texts are shown around their spans
_AROUND = 160  # characters before and after a span
_OPENING = 400  # characters of a long text's beginning
_LEFT, _RIGHT = 62, 44  # columns of the text form
# Tints over whatever background a theme has; the status is also given in words.
_TINTS = {
    "exact": "rgba(70, 170, 90, 0.3)",
    "normalised": "rgba(70, 130, 220, 0.3)",
    "fuzzy": "rgba(230, 160, 30, 0.35)",
}
_COLUMN = "vertical-align: top; text-align: left; white-space: pre-wrap; overflow-wrap: anywhere"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedRow:
    """One row. `prompt` is its text, with files by type; `source` is the text that the offsets of `spans` count in.

    `source` is None where nothing was grounded. `answer` has the columns of the schema, None where the row was
    rejected: then `error` says why. `spans` are rows of the column `_spans`.
    """

    row_id: Any
    prompt: str
    answer: Mapping[str, Any] | None
    error: str | None = None
    source: str | None = None
    spans: tuple[Mapping[str, Any], ...] = ()

    @property
    def _texts(self) -> list[tuple[str, int | None]]:
        """The texts to show, each with the offset of the source in it."""
        if self.source is None or (start := self.prompt.find(self.source)) < 0:
            return [(self.prompt, None)] + ([] if self.source is None else [(self.source, 0)])
        return [(self.prompt, start)]

    def pieces(self) -> Iterator[_Piece]:
        """Yield what is shown of the prompt and the source, in order, with the places of values marked."""
        for number, (text, start) in enumerate(self._texts):
            if number:
                yield _Piece("\n\n")
            yield from _pieces(text, [] if start is None else _marks(self.spans, start))

    def status_of(self, field: str) -> str:
        """Return in words how the values of one field match the source, "" where that was not checked."""
        under = member("$", field)
        counts = Counter(str(span["status"]) for span in self.spans if _is_under(span["path"], under))
        if len(counts) == 1:
            return next(iter(counts))
        return ", ".join(f"{count} {status}" for status, count in counts.items())


def spans_of(cell: Any, schema: OutputSchema) -> tuple[Mapping[str, Any], ...]:
    """Return the spans in a cell of `_spans`, with the paths in names of columns and fields, not in wire keys."""
    columns = {key: name for name, key in schema.keys.items()}
    return tuple({**span, "path": column_path(span["path"], columns, schema.names)} for span in cell or ())


def _is_under(path: str, above: str) -> bool:
    return path == above or path.startswith((f"{above}.", f"{above}["))


@dataclass(frozen=True, slots=True)
class _Piece:
    text: str
    status: str | None = None
    path: str = ""


def _marks(spans: Sequence[Mapping[str, Any]], offset: int) -> list[tuple[int, int, str, str]]:
    """Return the places of spans as (start, end, status, paths), in order; overlapping ones become one."""
    placed = sorted(
        (span for span in spans if span["start"] is not None), key=lambda span: (span["start"], -span["end"])
    )
    marks: list[tuple[int, int, str, str]] = []
    for span in placed:
        start, end = span["start"] + offset, span["end"] + offset
        if not marks or start >= marks[-1][1]:
            marks.append((start, end, str(span["status"]), span["path"]))
        else:
            marks[-1] = (*marks[-1][:3], f"{marks[-1][3]}, {span['path']}")
    return marks


def _pieces(text: str, marks: Sequence[tuple[int, int, str, str]]) -> Iterator[_Piece]:
    whole = len(text) <= _WHOLE
    done = 0
    for start, end, status, path in marks:
        yield from _between(text[done:start], whole=whole, first=done == 0, last=False)
        yield _Piece(text[start:end], status, path)
        done = end
    yield from _between(text[done:], whole=whole, first=done == 0, last=True)


def _between(text: str, *, whole: bool, first: bool, last: bool) -> Iterator[_Piece]:
    """Yield the text between two marks, without its middle where the whole text is long."""
    before, after = (_OPENING if first else _AROUND), (0 if last else _AROUND)
    left_out = len(text) - before - after
    if whole or left_out <= 0:
        yield _Piece(text)
    else:
        yield _Piece(f"{text[:before]} […{left_out:,} characters…] {text[len(text) - after :]}")


@dataclass(frozen=True, slots=True)
class SpotCheck(Sequence[CheckedRow]):
    """Rows of a run to look at, from `Run.sample`; as text and as HTML it shows prompt and answer side by side.

    >>> result = run(["It works", "It broke"], Extractor(["good", "bad"], "{text}"), offline=True)
    >>> check = result.sample(1, seed=3)
    >>> len(check), check[0].prompt in ("It works", "It broke")
    (1, True)
    """

    rows: tuple[CheckedRow, ...]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> Any:
        return self.rows[index]

    def __repr__(self) -> str:
        return "\n\n".join("\n".join(_text_lines(row)) for row in self.rows) or "no rows"

    def _repr_html_(self) -> str:
        head = "".join(f'<th style="text-align: left">{name}</th>' for name in ("row", "prompt", "answer"))
        body = "".join(map(_html_row, self.rows))
        style = "width: 100%; table-layout: auto"
        return f'<table class="dataframe" style="{style}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _html_row(row: CheckedRow) -> str:
    prompt = "".join(map(_html_piece, row.pieces()))
    cells = (("", escape(cell_text(row.row_id))), ("width: 55%; ", prompt), ("width: 40%; ", _html_answer(row)))
    return "<tr>" + "".join(f'<td style="{width}{_COLUMN}">{cell}</td>' for width, cell in cells) + "</tr>"


def _html_piece(piece: _Piece) -> str:
    if piece.status is None:
        return escape(piece.text)
    tint = _TINTS.get(piece.status, "transparent")
    title = escape(f"{piece.path}: {piece.status}")
    return f'<mark style="background: {tint}; color: inherit" title="{title}">{escape(piece.text)}</mark>'


def _html_answer(row: CheckedRow) -> str:
    if row.answer is None:
        return f"<em>{escape(row.error or 'no answer')}</em>"
    lines = (
        f"<b>{escape(name)}</b> {escape(cell_text(value, 2_000))} "
        f'<span style="{QUIET}">{escape(row.status_of(name))}</span>'
        for name, value in row.answer.items()
    )
    return "<br>".join(lines)


def _text_lines(row: CheckedRow) -> Iterator[str]:
    prompt = "".join(piece.text if piece.status is None else f"«{piece.text}»" for piece in row.pieces())
    left = _wrapped(prompt, _LEFT)
    right = [line for text in _text_answer(row) for line in _wrapped(text, _RIGHT)]
    yield f"row {cell_text(row.row_id)}"
    for number in range(max(len(left), len(right))):
        one = left[number] if number < len(left) else ""
        other = right[number] if number < len(right) else ""
        yield f"  {one:<{_LEFT}} │ {other}".rstrip()


def _text_answer(row: CheckedRow) -> Iterator[str]:
    if row.answer is None:
        yield row.error or "no answer"
        return
    for name, value in row.answer.items():
        status = row.status_of(name)
        yield f"{name}: {cell_text(value, 2_000)}" + (f" ({status})" if status else "")


def _wrapped(text: str, width: int) -> list[str]:
    """Return a text in lines of at most `width`; control characters become blanks, so that none moves the cursor."""
    plain = "".join(letter if letter.isprintable() or letter == "\n" else " " for letter in text.expandtabs(4))
    return [line for paragraph in plain.splitlines() for line in wrap(paragraph, width) or [""]]
