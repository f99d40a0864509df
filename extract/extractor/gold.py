"""Gold as a table of rows with their right answers, and the column by which it says what a row may be used for."""

from __future__ import annotations

import os
from typing import Any, Final

import polars as pl

from extract.io.sources import read_table

__all__ = ["PROOF", "SPLIT", "gold_table", "is_proof", "without_proof_rows"]

SPLIT: Final = "_split"
"""The column of gold that says what a row is for: examples, tuning or proof. `extract gold` writes it."""

PROOF: Final = "proof"


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
