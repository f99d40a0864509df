"""The records that a report shows: a bounded, repeatable sample of rows, cut to a bounded length, as plain JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from extract.io.source import records_of
from extract.json_types import JsonObject
from extract.report.document_files import DocumentFiles, started_at
from extract.report.documents import DocumentCells, Documents
from extract.report.material import PROVENANCE, SPANS, Columns, Material, texts_of
from extract.report.record_json import LENGTH, rejected_record, valid_record, wrong_values
from extract.report.row_status import PLACE, check_source, find_sources, id_column, valid_rows
from extract.report.scores import WrongRows, WrongValue
from extract.report.truncation import Cutter
from extract.results.columns import error_schema, places_in_input

__all__ = ["Shown", "shown_records"]

_ALL_CHARACTERS = 3_000_000  # of source text in one report, and of answers
_MIN_SOURCE, _MAX_SOURCE = 400, 20_000  # characters of source text of one record
_MAX_COLUMNS = 12  # of the input
_MAX_NOT_RUN = 100  # rows that the run did not reach: there is little to see in them
_TURN, _KEY = "_turn_in_report", "_key_in_gold"


@dataclass(frozen=True, slots=True)
class Shown:
    """Records as JSON objects, and the numbers of all valid and rejected rows.

    `sourceless` of the rejected rows that are shown lack their input. `documents` says of how many the documents are
    shown; None where the records have none.
    """

    data: JsonObject
    shown: int
    valid: int
    rejected: int
    sourceless: int
    documents: Documents | None = None

    @property
    def total(self) -> int:
        return self.valid + self.rejected


def shown_records(material: Material, columns: Columns, limit: int, wrong: WrongRows | None = None) -> Shown:
    """Choose up to `limit` records, evenly spaced: rejected rows first, which get half of the room if they need it.

    Of the rest of the room, `wrong` rows get half, if they need it.

    Raises ConfigError for a source that is not the input of the run.
    """
    rows = valid_rows(material, columns)
    valid = _height(rows)
    rejected = sum((material.codes or {}).values()) if material.errors is None else _height(material.errors)
    bad = _bad_rows(material, max(limit // 2, limit - valid))
    names = [*dict.fromkeys((*_read_first(material, columns), *columns.source))]
    shown, more = names[:_MAX_COLUMNS], len(names[_MAX_COLUMNS:])
    chosen = _chosen(_cut_short(rows, shown), valid, limit - bad.height, wrong)
    places = _places(material, chosen[PLACE].to_list())
    looked_up = shown if wrong is None else list(dict.fromkeys((*shown, wrong.on)))
    sources = find_sources(material, columns, bad, looked_up)
    check_source(material, places, chosen, shown)
    count = max(1, chosen.height + bad.height)
    cutter = Cutter(
        min(_MAX_SOURCE, max(_MIN_SOURCE, _ALL_CHARACTERS // count)), max(_MIN_SOURCE, _ALL_CHARACTERS // count)
    )
    records, named = [], []
    for error, source in zip(bad.to_dicts(), sources, strict=True):
        cells = None if source is None else dict(zip(looked_up, source, strict=True))
        values = _gold_of(error, cells or {}, wrong, id_column(material))
        records.append(rejected_record(error, cells, shown, cutter) | wrong_values(values, cutter))
        named.append(DocumentCells(cells or {}, (), None))
    column = id_column(material)
    for place, row in zip(places, records_of(chosen), strict=True):
        row_id = place if column is None else row[column]
        values = {} if wrong is None else wrong.answered.get(str(row[_KEY]), {})
        records.append(valid_record(row_id, row, shown, columns, cutter) | wrong_values(values, cutter))
        named.append(_document_cells(row, columns))
    documents = _documents(material, shown)
    if documents is not None:
        _add_documents(records, named, documents)
    data = {"source": shown, "more": more, "answer": list(columns.answer), "fields": list(columns.answer.values())}
    sourceless = sum("source" not in record for record in records)
    return Shown({**data, "records": records}, len(records), valid, rejected, sourceless, documents)


def _gold_of(
    error: Mapping[str, Any], cells: Mapping[str, Any], wrong: WrongRows | None, row_id: str | None
) -> Mapping[str, WrongValue]:
    """Return what is right for a rejected row, where it is known which row of gold it is."""
    if wrong is None:
        return {}
    key = error["row_id"] if wrong.on == row_id else cells.get(wrong.on)
    return {} if key is None else wrong.missing.get(str(key), {})


def _documents(material: Material, shown: Sequence[str]) -> Documents | None:
    """Return what reads the documents that the records name by path; None where they name none."""
    schema, manifest = material.rows.collect_schema(), material.manifest
    names = texts_of(manifest.get("media"))
    if not names or any(schema.get(name) != pl.String or name not in shown for name in names):
        return None
    quoted = [name for name in texts_of(manifest.get("grounding")) if name in names]
    return Documents(names, quoted, DocumentFiles(material.roots, started_at(manifest)))


def _document_cells(row: Mapping[str, Any], columns: Columns) -> DocumentCells:
    spans = (row[SPANS] if columns.spans else None) or ()
    provenance = (row[PROVENANCE] if columns.provenance else None) or {}
    files = provenance.get("files")
    return DocumentCells(row, [span for span in spans if span], files if isinstance(files, str) else None)


def _add_documents(records: Sequence[JsonObject], named: Sequence[DocumentCells], documents: Documents) -> None:
    """Add its documents to each record; those come first that most need a look, as there may be too many."""
    documents.expect(len(records))
    for record, cells in sorted(zip(records, named, strict=True), key=lambda pair: _urgency(pair[0])):
        if (document := documents.of(cells)) is not None:
            record["document"] = document


def _urgency(record: JsonObject) -> int:
    if "wrong" in record:
        return 0
    if "error" in record:
        return 1
    return 3 - any(status == "missing" for _, status, *_ in record.get("spans", ()))


def _height(rows: pl.LazyFrame) -> int:
    return int(rows.select(pl.len()).collect(engine="streaming").item())


def _evenly(rows: pl.LazyFrame, height: int, wanted: int) -> pl.DataFrame:
    """Return rows at equal distances, beginning with the first: the same each time, without reading all to memory."""
    if wanted >= height:
        return rows.collect(engine="streaming")
    turns = [i * height // wanted for i in range(wanted)]
    return rows.with_row_index(_TURN).filter(pl.col(_TURN).is_in(turns)).drop(_TURN).collect(engine="streaming")


def _chosen(rows: pl.LazyFrame, height: int, room: int, wrong: WrongRows | None) -> pl.DataFrame:
    """Return valid rows at equal distances, in order; wrong ones may take half of the room."""
    if wrong is None:
        return _evenly(rows, height, room)
    keyed = rows.with_columns(pl.col(wrong.on).cast(pl.String).alias(_KEY))
    is_wrong = pl.col(_KEY).is_in(list(wrong.answered))
    bad, good = keyed.filter(is_wrong), keyed.filter(~is_wrong)
    count = _height(bad)
    first = _evenly(bad, count, max(room // 2, room - (height - count)))
    return pl.concat([first, _evenly(good, height - count, room - first.height)]).sort(PLACE)


def _bad_rows(material: Material, limit: int) -> pl.DataFrame:
    """Return rejected rows with their places in the input, null where unknown; rows that were not run come last."""
    if material.errors is None:
        return pl.DataFrame(schema={**error_schema(pl.Int64()), PLACE: pl.Int64})
    errors = material.errors
    if material.failed is not None:
        errors = errors.with_columns(material.failed.cast(pl.Int64).alias(PLACE))
    else:
        is_place = id_column(material) is None and errors.collect_schema()["row_id"].is_integer()
        errors = errors.with_columns((pl.col("row_id") if is_place else pl.lit(None)).cast(pl.Int64).alias(PLACE))
    was_run = pl.col("code").cast(pl.String).ne_missing("not_run")
    rejected, not_run = errors.filter(was_run), errors.filter(~was_run)
    first = _evenly(rejected, _height(rejected), limit)
    return pl.concat([first, _evenly(not_run, _height(not_run), min(_MAX_NOT_RUN, limit - first.height))])


def _cut_short(rows: pl.LazyFrame, names: Sequence[str]) -> pl.LazyFrame:
    """Return rows cut to what can be shown before they are read: the beginning of texts, the size of bytes."""
    schema = rows.collect_schema()
    cut = []
    for name, dtype in schema.items():
        if isinstance(dtype, pl.Binary):
            cut.append(pl.format("({} bytes)", pl.col(name).bin.size()).alias(name))
        elif isinstance(dtype, pl.String) and name in names:
            cut.append(pl.col(name).str.len_chars().alias(LENGTH.format(name)))
            cut.append(pl.col(name).str.head(_MAX_SOURCE))
    return rows.with_columns(cut)


def _places(material: Material, places: list[int]) -> Sequence[int | None]:
    """Return the places in the input of rows of the output, None where they are unknown."""
    if material.keeps_rejected or not (material.codes or material.errors is not None):
        return places
    if material.errors is None:  # it is unknown which rows were left out, and so where the others stood
        return [None] * len(places)
    if material.failed is not None:
        return places_in_input(places, material.failed)
    row_ids = material.errors.select("row_id").collect().to_series()
    is_place = id_column(material) is None and row_ids.dtype.is_integer()
    return places_in_input(places, row_ids) if is_place else places


def _read_first(material: Material, columns: Columns) -> list[str]:
    read = material.manifest.get("columns")
    return [name for name in read if name in columns.source] if isinstance(read, list) else []
