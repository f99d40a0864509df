"""Which rows of an output are valid, and which row of the input a rejected one is: by place, else by id."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from extract.errors import ConfigError
from extract.io.source import records_of
from extract.io.sources import Source
from extract.report.material import Columns, Material
from extract.report.timeline import course_of

__all__ = ["PLACE", "check_source", "find_sources", "id_column", "valid_rows"]

PLACE = "_place_in_output"
_REJECTED = "_is_rejected"
_BATCH = 10_000  # rows of an input that are read at once
_COMPARED = 20  # rows that are compared to tell whether a source is the input


def id_column(material: Material) -> str | None:
    """Return the id column, None where rows are identified by their places."""
    name = material.manifest.get("row_id")
    return name if isinstance(name, str) and name in material.rows.collect_schema() else None


def valid_rows(material: Material, columns: Columns) -> pl.LazyFrame:
    """Return the rows with their place in the output, without the rejected rows that stand there too."""
    rows = material.rows.with_row_index(PLACE)
    if not material.keeps_rejected or (material.errors is None and not material.codes):
        return rows
    if material.failed is not None:
        return rows.filter(~pl.col(PLACE).is_in(material.failed.to_list()))
    if material.errors is None:
        return rows.filter(~_is_blank(columns))
    errors = (
        material.errors.select(pl.col("row_id").cast(pl.String)).unique().with_columns(pl.lit(True).alias(_REJECTED))
    )
    key = pl.col(id_column(material) or PLACE).cast(pl.String)
    marked = rows.join(errors, left_on=key, right_on="row_id", how="left", nulls_equal=True, maintain_order="left")
    # Where several rows share an id, the rejected ones among them are those without any value.
    return marked.filter(~(pl.col(_REJECTED).fill_null(False) & _is_blank(columns))).drop(_REJECTED)


def _is_blank(columns: Columns) -> pl.Expr:
    return pl.all_horizontal(pl.col(name).is_null() for name in columns.answer) if columns.answer else pl.lit(True)


def find_sources(
    material: Material, columns: Columns, bad: pl.DataFrame, names: Sequence[str]
) -> list[list[Any] | None]:
    """Return the input cells of rejected rows: from the output where it keeps them, else from the input.

    None where neither is available, and where several rows have the id of a rejected one.
    """
    by_place = bad[PLACE].null_count() == 0
    column = PLACE if by_place else id_column(material)
    if column is None or bad.is_empty():
        return [None] * bad.height
    wanted = (bad[PLACE] if by_place else bad["row_id"]).cast(pl.String)
    cells: dict[str, list[Any] | None] = {}
    for frame in _input_rows(material, columns):
        if column not in frame.columns:
            break
        key = frame[column].cast(pl.String)
        for text, row in zip(*_rows(frame, key, wanted), strict=True):
            cells[text] = None if text in cells else [row.get(name) for name in names]
    return [None if text is None else cells.get(text) for text in wanted]


def _rows(frame: pl.DataFrame, key: pl.Series, wanted: pl.Series) -> tuple[list[str], list[dict[str, Any]]]:
    is_wanted = key.is_in(wanted.implode())
    return key.filter(is_wanted).to_list(), records_of(frame.filter(is_wanted))


def _input_rows(material: Material, columns: Columns) -> Iterator[pl.DataFrame]:
    """Yield rows of the input with their places there; from an output only those without an answer."""
    if material.keeps_rejected:
        blank = material.rows.with_row_index(PLACE).filter(_is_blank(columns))
        yield from blank.collect_batches(chunk_size=_BATCH, maintain_order=True)
    elif material.source is not None:
        yield from _placed(material.source)


def _placed(source: Source) -> Iterator[pl.DataFrame]:
    place = 0
    for frame in source.batches(_BATCH):
        yield frame.with_row_index(PLACE, offset=place)
        place += frame.height


def check_source(material: Material, places: Sequence[int | None], chosen: pl.DataFrame, names: Sequence[str]) -> None:
    """Raise ConfigError for a source that is not the input of the run, as far as rows of the output show it."""
    column = id_column(material)
    if material.source is None or (column is None and None in places):
        return
    few = chosen.head(_COMPARED)
    wanted = (pl.Series(places[:_COMPARED], dtype=pl.Int64) if column is None else few[column]).cast(pl.String)
    # Texts only: the notation of other types depends on the format, and a folder has several paths.
    kinds = material.source.schema
    comparable = [name for name in names if name != "path" and kinds.get(name) == pl.String == chosen.schema[name]]
    rows_by_key: dict[str, list[Mapping[str, Any]]] = {}
    height = 0
    for frame in _placed(material.source):
        height += frame.height
        if (column or PLACE) in frame.columns:
            for text, row in zip(*_rows(frame, frame[column or PLACE].cast(pl.String), wanted), strict=True):
                rows_by_key.setdefault(text, []).append(row)
    for text, shown in zip(wanted, few.iter_rows(named=True), strict=True):
        if len(rows := rows_by_key.get(text, [])) == 1:  # with several of one id, the row is unknown
            _compare(rows[0], shown, comparable, text)
    if height < (course_of(material.manifest).totals.get("rows") or 0):
        raise ConfigError(f"the source has {height:,} rows, fewer than the run had: it is another input")


def _compare(row: Mapping[str, Any], shown: Mapping[str, Any], names: Sequence[str], place: str) -> None:
    for name in names:
        there, here = str(row[name]), str(shown[name])
        if not there.startswith(here):
            raise ConfigError(f"the source is another input: in its row {place}, {name} is {there[:60]!r}")
