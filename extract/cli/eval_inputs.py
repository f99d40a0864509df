"""Reads an output for `extract eval`: with the types of the schema, and without the rejected rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from extract.errors import ConfigError
from extract.evaluation.inputs import named_by_schema
from extract.evaluation.rejected import PROVENANCE, without_rejected
from extract.io.retyping import retyped
from extract.io.sinks.open import read_manifest
from extract.io.sources import read_table
from extract.json_types import JsonObject
from extract.results.columns import added_schema

__all__ = ["Output", "read_output"]


@dataclass(frozen=True, slots=True)
class Output:
    """The rows of an output, with the columns of the file.

    `fields` maps the columns of the answer to the fields of the schema, `prefix` is the prefix of their names.
    `manifest` is the description of the run in the footer.
    """

    rows: pl.DataFrame
    fields: dict[str, str]
    prefix: str
    manifest: JsonObject

    @property
    def answers(self) -> pl.DataFrame:
        """The same rows with fields under their names in the schema; an input column of that name is dropped."""
        return named_by_schema(self.rows, self.fields)


def read_output(address: str, dtypes: Mapping[str, Any], *, on: str, prefix: str | None) -> Output:
    """Return the rows of a file: csv and jsonl get the dtypes of the schema back, and rejected rows are left out.

    Where `prefix` is None, the one in the footer of a Parquet file counts. ConfigError for a file without any answer.
    """
    manifest = read_manifest(Path(address))
    known = str(manifest.get("prefix") or "") if prefix is None else prefix
    columns = {known + name: name for name in dtypes if name != on}
    table = read_table(address, texts=columns)
    fields = {column: name for column, name in columns.items() if column in table.columns}
    if not fields:
        raise ConfigError(
            f"{address} has none of the pipeline's columns {list(columns)!r}; it has {table.columns!r}. "
            "If it was written with a prefix, name it with --prefix"
        )
    if manifest.get("provenance") is False:  # then it belongs to the input: an earlier run has written it
        table = table.drop(PROVENANCE, strict=False)
    added = added_schema(spans=False, provenance=True)
    rows = retyped(table, {**added, **{column: dtypes[name] for column, name in fields.items()}})
    run = manifest.get("run")
    has_rejected = not isinstance(run, dict) or run.get("errors") != {}
    if manifest.get("rejected_rows") == "null" and has_rejected:
        rows = without_rejected(rows, fields)
    return Output(rows, fields, known, manifest)
