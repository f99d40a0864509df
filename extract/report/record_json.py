"""One record of a report as plain JSON: its input, its answer with the places of values, or why it has none."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from extract.documents.grounding.span import column_path
from extract.json_types import JsonObject
from extract.report.material import AGREEMENT, PROVENANCE, SPANS, Columns
from extract.report.scores import WrongValue
from extract.report.truncation import Cutter, shortened, without_secrets

__all__ = ["LENGTH", "rejected_record", "valid_record", "wrong_values"]

LENGTH = "_length_of_{}"
"""The column with the length of a text whose column was cut."""

_MAX_SPANS = 300  # of one record
_MAX_BOXES = 30  # of one value
_SIDES = ("page", "left", "top", "right", "bottom")
_MAX_WRONG = 4_000  # characters of a wrong value: lists are shown as tables, which needs all of their JSON
_ORIGIN = {
    "model": "model",
    "service_tier": "service tier",
    "cost_usd": "US dollars",
    "seconds": "seconds",
    "input_tokens": "tokens in",
    "output_tokens": "tokens out",
    "thought_tokens": "tokens of thoughts",
    "attempts": "requests",
    "repairs": "repairs",
    "mended": "mended",
    "windows": "windows",
    "cached": "from the cache",
}


def rejected_record(
    error: Mapping[str, Any], cells: Mapping[str, Any] | None, names: Sequence[str], cutter: Cutter
) -> JsonObject:
    """Return a rejected row; `cells` are those of its input, None where they are unknown, `names` those to show."""
    texts = {name: cutter.text(error[name]) for name in ("code", "message", "path", "answer")}
    texts["message"] = texts["message"] and without_secrets(texts["message"])
    record = {"id": cutter.plain(error["row_id"]), "error": {**texts, "attempts": cutter.plain(error["attempts"])}}
    return record if cells is None else record | {"source": [cutter.source(cells[name]) for name in names]}


def valid_record(
    row_id: Any, row: Mapping[str, Any], names: Sequence[str], columns: Columns, cutter: Cutter
) -> JsonObject:
    """Return a row with its answer; of its input the columns `names`."""
    record: JsonObject = {
        "id": cutter.plain(row_id),
        "source": [cutter.source(row[name], row.get(LENGTH.format(name))) for name in names],
        "values": cutter.fitting([row[name] for name in columns.answer]),
    }
    if columns.spans and row[SPANS] is not None:
        record |= _placed(row[SPANS], [row[name] for name in names], columns)
    origin = dict(_origin(row[PROVENANCE], cutter)) if columns.provenance and row[PROVENANCE] is not None else {}
    if columns.agreement and row[AGREEMENT] is not None:
        origin["samples that agree"] = ", ".join(f"{name} {share:.0%}" for name, share in row[AGREEMENT].items())
    return record | {"origin": origin} if origin else record


def wrong_values(values: Mapping[str, WrongValue], cutter: Cutter) -> JsonObject:
    """Return the wrong fields of a row, each with what was answered and what is right; nothing where all is right."""
    cells = replace(cutter, cell=_MAX_WRONG).fitting([text for value in values.values() for text in value])
    pairs = zip(cells[::2], cells[1::2], strict=True)
    return {"wrong": dict(zip(values, map(list, pairs), strict=True))} if values else {}


def _origin(provenance: Mapping[str, Any], cutter: Cutter) -> Iterator[tuple[str, Any]]:
    for name, label in _ORIGIN.items():
        value = provenance.get(name)
        if value in (None, 0, []) and name != "attempts":
            continue
        rounded = float(f"{value:.4g}") if isinstance(value, float) and math.isfinite(value) else value
        yield label, cutter.plain(rounded)


def _placed(spans: Sequence[Mapping[str, Any]], sources: Sequence[Any], columns: Columns) -> JsonObject:
    """Return spans, and the number of the source column that their offsets count in, None where it is not shown.

    The column is the one whose text fits the spans: a grounded document may be a file, whose text is not in the output.
    """
    rows = [[span.get(name) for name in ("path", "status", "start", "end", "page", "text")] for span in spans if span]
    rows = [[column_path(str(path), columns.keys, columns.names), *rest] for path, *rest in rows]
    if list(columns.answer.values()) == ["value"]:  # the wrapper of an answer that is no object
        rows = [[_in_wrapper(str(path)), *rest] for path, *rest in rows]
    stands = [(start, end, text) for _, _, start, end, _, text in rows if None not in (start, end) and text]
    of = next((i for i, text in enumerate(sources) if isinstance(text, str) and _fits(text, stands)), None)
    shown = [[*rest, shortened(str(text or ""))] for *rest, text in rows[:_MAX_SPANS]]
    boxes = [_boxes(span.get("boxes")) for span in spans if span]
    return {
        "spans": [[*row, *([of_row] if of_row else [])] for row, of_row in zip(shown, boxes, strict=False)],
        "of": of,
    }


def _boxes(boxes: Any) -> list[list[float]]:
    """Return where a value stands on the pages of a PDF: page, left, top, right and bottom in points."""
    rows = [[box.get(name) for name in _SIDES] for box in boxes if isinstance(box, Mapping)] if boxes else []
    numbers = [[side for side in row if isinstance(side, int | float) and math.isfinite(side)] for row in rows]
    return [[round(side, 1) for side in row] for row in numbers if len(row) == len(_SIDES)][:_MAX_BOXES]


def _in_wrapper(path: str) -> str:
    return path if path.startswith("$.value") else f"$.value{path[1:]}"


def _fits(text: str, stands: Sequence[tuple[Any, Any, Any]]) -> bool:
    within = [(start, end, quoted) for start, end, quoted in stands if end <= len(text)]
    return bool(within) and all(text[start:end] == quoted for start, end, quoted in within)
