"""Gold as a table of rows with their right answers, and the column by which it says what a row may be used for."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, Final

import polars as pl
from polars.selectors import by_name

from extract.io.sources import read_table

__all__ = ["PROOF", "SPLIT", "gold_table", "is_proof", "labelled_rows", "without_proof_rows"]

SPLIT: Final = "_split"
"""The column of gold that says what a row is for: examples, tuning or proof. `extract gold` writes it."""

PROOF: Final = "proof"
_ROW_HASH: Final = "_row_hash"
_PEOPLE: Final = "_people"


def gold_table(gold: Any) -> pl.DataFrame:
    """Return all rows of gold; the cells of a csv file as they are written, as the schema knows their types."""
    rows = read_table(gold)
    if isinstance(gold, str | os.PathLike) and os.fspath(gold).lower().endswith((".csv", ".tsv")):
        return read_table(gold, texts=rows.columns)
    return rows


def is_proof() -> pl.Expr:
    """Return what is true of the proof rows of gold that has the column `_split`."""
    return pl.col(SPLIT).cast(pl.String, strict=False).eq_missing(pl.lit(PROOF))


def without_proof_rows(gold: pl.DataFrame) -> pl.DataFrame:
    """Return the rows that may be shown: what a prompt has seen proves nothing about it."""
    return gold.filter(~is_proof()) if SPLIT in gold.columns else gold


def labelled_rows(gold: pl.DataFrame, fields: Iterable[str]) -> pl.DataFrame:
    """Return the rows of a sheet, as `extract gold draw` writes it, in which some field of an answer is filled in.

    All others nobody has labelled yet. In any other gold an empty cell says null, and all rows count.
    """
    is_sheet = _ROW_HASH in gold.columns and _PEOPLE not in gold.columns
    cells = [_is_filled(name, gold.schema[name]) for name in fields if name in gold.columns]
    return gold.filter(pl.any_horizontal(cells)) if is_sheet and cells else gold


def _is_filled(name: str, dtype: pl.DataType) -> pl.Expr:
    cell = by_name(name).as_expr()
    return (cell.is_not_null() & (cell != "")) if dtype == pl.String else cell.is_not_null()
