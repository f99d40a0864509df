"""Parquet inputs: the files that a name stands for, and what their footers say before any row is read."""

from __future__ import annotations

import os
from glob import glob, has_magic
from pathlib import Path

import polars as pl

from extract.errors import ConfigError

__all__ = ["parquet_files", "parquet_height", "parquet_schema"]


def parquet_files(data: str) -> list[str]:
    """Return the Parquet files that an input names, in order. ConfigError where there are none."""
    if "://" in data:
        return [data]
    path = Path(data)
    files = [data]
    if path.is_dir():
        files = sorted(map(str, path.rglob("*.parquet")))
    elif has_magic(data) and not path.exists():
        files = sorted(glob(data, recursive=True))  # noqa: PTH207 - Path.glob takes no absolute pattern
    if not files or not all(name.lower().endswith(".parquet") for name in files):
        raise ConfigError(
            f"{data!r}: the Ray engine reads Parquet, a file or a folder of them; --engine local reads the rest"
        )
    if missing := [name for name in files if not Path(name).is_file()]:
        raise ConfigError(f"there is no file {missing[0]!r}")
    return [os.path.abspath(name) for name in files]  # noqa: PTH100 - workers have another working directory


def parquet_schema(paths: list[str]) -> pl.Schema:
    """Return the types of the first file's columns."""
    try:
        return pl.scan_parquet(paths[0], glob="://" in paths[0]).collect_schema()
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise ConfigError(f"{paths[0]!r} cannot be read: {reason[:300]}") from None


def parquet_height(paths: list[str], limit: int | None) -> int | None:
    """Return how many rows will be read, None where that is not known. ConfigError where there are no rows."""
    if "://" in paths[0]:
        return limit
    rows = int(pl.scan_parquet(paths, glob=False).select(pl.len()).collect().item())
    if rows == 0:
        raise ConfigError(f"{paths[0]} holds no rows")
    return rows if limit is None else min(rows, limit)
