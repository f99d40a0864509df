"""The endings of tables that can be read. Light, so that shell completion loads no Polars."""

from __future__ import annotations

__all__ = ["TABLES"]

#: Every ending here has a reader in `tables.py`; a test holds the two together.
TABLES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet", ".xlsx")
