"""The records that a report shows: a bounded, repeatable choice of rows, cut to a bounded length, as plain JSON."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any

import polars as pl

from extract.report.material import PROVENANCE, SPANS, Columns, Material
from extract.types import JsonObject

__all__ = ["Shown", "shown_records"]

_ALL_CHARACTERS = 3_000_000  # of source text in one report
_FEWEST, _MOST = 400, 20_000  # characters of source text of one record
_MOST_SOURCES = 12  # columns of the input that are shown
_CELL = 1_000  # characters of one text in an answer
_ITEMS = 60  # elements of one list in an answer
_DEEPEST = 8
_BATCH = 10_000  # rows of an input that are looked through at once
_SPANS_OF_ONE = 300
_PLACE, _TURN = "_place_in_output", "_turn_in_report"
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


@dataclass(frozen=True, slots=True)
class Shown:
    """Records as JSON objects, and how many valid and rejected rows there are in all.

    Of the rejected rows that are shown, `sourceless` lack the text that was asked about.
    """

    data: JsonObject
    shown: int
    valid: int
    rejected: int
    sourceless: int

    @property
    def total(self) -> int:
        return self.valid + self.rejected


def shown_records(material: Material, columns: Columns, most: int) -> Shown:
    """Choose at most `most` records: rejected rows first, up to half of them where there are more; evenly spaced."""
    rejected = 0 if material.errors is None else _height(material.errors)
    in_output = _height(material.rows)
    valid = in_output - rejected if material.keeps_rejected else in_output
    few = min(rejected, max(most // 2, most - valid))
    bad = [] if material.errors is None else _evenly(material.errors, rejected, few).to_dicts()
    chosen = _evenly(_valid_rows(material), valid, most - len(bad))
    names = _source_names(material, columns)
    cutter = _Cutter(min(_MOST, max(_FEWEST, _ALL_CHARACTERS // max(1, chosen.height + len(bad)))))
    sources = _rejected_sources(material, [str(error["row_id"]) for error in bad], names)
    records = [_rejected(error, sources.get(str(error["row_id"])), cutter) for error in bad]
    for row_id, row in zip(_ids(material, chosen), chosen.iter_rows(named=True), strict=True):
        records.append({"id": cutter.plain(row_id), **_valid(row, names, columns, cutter)})
    data = {"source": names, "answer": list(columns.answer), "fields": list(columns.answer.values())}
    sourceless = sum("source" not in record for record in records)
    return Shown({**data, "records": records}, len(records), valid, rejected, sourceless)


def _height(rows: pl.LazyFrame) -> int:
    return int(rows.select(pl.len()).collect(engine="streaming").item())


def _evenly(rows: pl.LazyFrame, height: int, wanted: int) -> pl.DataFrame:
    """Return rows at equal distances, the first among them: the same ones each time, without all in memory."""
    if wanted >= height:
        return rows.collect(engine="streaming")
    turns = [i * height // wanted for i in range(wanted)]
    return rows.with_row_index(_TURN).filter(pl.col(_TURN).is_in(turns)).drop(_TURN).collect(engine="streaming")


def _valid_rows(material: Material) -> pl.LazyFrame:
    """Return the rows with their place in the output, but for those rejected rows that stand there too."""
    rows = material.rows.with_row_index(_PLACE)
    if material.errors is None or not material.keeps_rejected:
        return rows
    errors = material.errors.select(pl.col("row_id").cast(pl.String))
    key = pl.col(_id_column(material) or _PLACE).cast(pl.String)
    return rows.join(errors, left_on=key, right_on="row_id", how="anti", maintain_order="left")


def _id_column(material: Material) -> str | None:
    name = material.manifest.get("row_id")
    return name if isinstance(name, str) and name in material.rows.collect_schema() else None


def _ids(material: Material, chosen: pl.DataFrame) -> list[Any]:
    """Return the names of rows: those of the id column, else their places in the input."""
    if name := _id_column(material):
        return chosen[name].to_list()
    places: list[int] = chosen[_PLACE].to_list()
    if material.errors is None or material.keeps_rejected:
        return places
    row_ids = material.errors.select("row_id").collect().to_series()
    if not row_ids.dtype.is_integer():
        return places
    # A row that was left out moves up all that follow it: the i-th of these stood before its place less i kept rows.
    left_out = [row_id - i for i, row_id in enumerate(sorted(row_ids.drop_nulls().to_list()))]
    return [place + bisect_right(left_out, place) for place in places]


def _source_names(material: Material, columns: Columns) -> list[str]:
    """Return the input's columns, those that were read first."""
    read = material.manifest.get("columns")
    first = [name for name in read if name in columns.source] if isinstance(read, list) else []
    return [*dict.fromkeys((*first, *columns.source))][:_MOST_SOURCES]


def _rejected_sources(material: Material, wanted: Sequence[str], names: Sequence[str]) -> dict[str, list[Any]]:
    """Return the input cells of rejected rows by row id: out of the output where it keeps them, else out of the input.

    Empty where neither is at hand. Rows without an id column are told by their places.
    """
    column = material.manifest.get("row_id")
    found: dict[str, list[Any]] = {}
    for frame in _sources(material) if wanted else ():
        key = column if isinstance(column, str) and column in frame.columns else _PLACE
        for row in frame.filter(pl.col(key).cast(pl.String).is_in(wanted)).iter_rows(named=True):
            found.setdefault(str(row[key]), [row.get(name) for name in names])
    return found


def _sources(material: Material) -> Iterator[pl.DataFrame]:
    """Yield rows as they were asked, with their places in the input."""
    if material.keeps_rejected:
        yield from material.rows.with_row_index(_PLACE).collect_batches(chunk_size=_BATCH, maintain_order=True)
    elif material.source is not None:
        place = 0
        for frame in material.source.batches(_BATCH):
            yield frame.with_row_index(_PLACE, offset=place)
            place += frame.height


def _rejected(error: Mapping[str, Any], source: Sequence[Any] | None, cutter: _Cutter) -> JsonObject:
    told = {name: cutter.text(error[name]) for name in ("code", "message", "path", "answer")}
    record = {"id": cutter.plain(error["row_id"]), "error": {**told, "attempts": cutter.plain(error["attempts"])}}
    return record if source is None else record | {"source": [cutter.source(cell) for cell in source]}


def _valid(row: Mapping[str, Any], names: Sequence[str], columns: Columns, cutter: _Cutter) -> JsonObject:
    record: JsonObject = {
        "source": [cutter.source(row[name]) for name in names],
        "values": [cutter.plain(row[name]) for name in columns.answer],
    }
    if columns.spans and row[SPANS] is not None:
        record |= _placed(row[SPANS], [row[name] for name in names], columns)
    if columns.provenance and row[PROVENANCE] is not None:
        record["origin"] = dict(_origin(row[PROVENANCE], cutter))
    return record


def _origin(told: Mapping[str, Any], cutter: _Cutter) -> Iterator[tuple[str, Any]]:
    for name, label in _ORIGIN.items():
        value = told.get(name)
        if value in (None, 0, []) and name != "attempts":
            continue
        rounded = float(f"{value:.4g}") if isinstance(value, float) and math.isfinite(value) else value
        yield label, cutter.plain(rounded)


def _placed(spans: Sequence[Mapping[str, Any]], sources: Sequence[Any], columns: Columns) -> JsonObject:
    """Return spans, and the number of the source column that their offsets count in, None where it is not there.

    Which column that is, the texts tell: a grounded document may have been a file, whose text is not in the output.
    """
    made = [[span.get(name) for name in ("path", "status", "start", "end", "page", "text")] for span in spans if span]
    if list(columns.answer.values()) == ["value"]:  # the wrapper of an answer that is no object
        made = [[_in_wrapper(str(path)), *rest] for path, *rest in made]
    stands = [(start, end, text) for _, _, start, end, _, text in made if None not in (start, end) and text]
    of = next((i for i, text in enumerate(sources) if isinstance(text, str) and _fits(text, stands)), None)
    shown = [[*rest, _cut(str(text or ""), _CELL)] for *rest, text in made[:_SPANS_OF_ONE]]
    return {"spans": shown, "of": of}


def _in_wrapper(path: str) -> str:
    return path if path.startswith("$.value") else f"$.value{path[1:]}"


def _fits(text: str, stands: Sequence[tuple[Any, Any, Any]]) -> bool:
    return bool(stands) and all(text[start:end] == quoted for start, end, quoted in stands)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[:most] + "…"


@dataclass(frozen=True, slots=True)
class _Cutter:
    """Brings values into a form that JSON has, and keeps them short. `most` is the room of one record's source."""

    most: int

    def source(self, value: Any) -> Any:
        """Return an input cell as text; a longer one as [its beginning, how long it is]."""
        text = value if isinstance(value, str) else self.text(value)
        return text if text is None or len(text) <= self.most else [text[: self.most], len(text)]

    def text(self, value: Any) -> str | None:
        plain = self.plain(value)
        return plain if plain is None or isinstance(plain, str) else str(plain)

    def plain(self, value: Any, depth: int = 0) -> Any:
        """Return a value as JSON has it: numbers stay numbers where a browser reads them exactly."""
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return _cut(value, _CELL)
        if isinstance(value, int):
            return value if abs(value) < 2**53 else str(value)
        if isinstance(value, float):
            return value if math.isfinite(value) else str(value)
        if isinstance(value, Decimal):
            return _decimal_text(value)
        if isinstance(value, bytes):
            return f"({len(value):,} bytes)"
        if isinstance(value, date | time | timedelta):
            return str(value)
        return "…" if depth >= _DEEPEST else self._nested(value, depth + 1)

    def _nested(self, value: Any, depth: int) -> Any:
        if isinstance(value, Mapping):
            return {str(key): self.plain(item, depth) for key, item in value.items()}
        items = value.to_list() if isinstance(value, pl.Series) else value
        if not isinstance(items, list | tuple):
            return _cut(str(value), _CELL)
        shown = [self.plain(item, depth) for item in items[:_ITEMS]]
        return shown if len(items) <= _ITEMS else [*shown, f"… {len(items) - _ITEMS:,} more"]


def _decimal_text(value: Decimal) -> str:
    """Return a decimal without the zeros that fill up its column's scale, but with both digits of a sum of money."""
    text = f"{value:f}"
    whole, point, digits = text.partition(".")
    return whole + point + (digits.rstrip("0").ljust(2, "0") if len(digits) > 2 else digits)
