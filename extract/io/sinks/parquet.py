"""A run as one Parquet file, whose footer says which run wrote it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import polars as pl

from extract.io.sinks.streamed import StreamedSink
from extract.io.unreadable import NO_MANIFEST
from extract.json_types import JsonObject

__all__ = ["ParquetSink", "footer"]

_METADATA_NAME = "extract"


class ParquetSink(StreamedSink):
    """One Parquet file, streamed: memory stays flat whatever the number of rows. The manifest goes into the footer."""

    keeps_manifest: ClassVar[bool] = True

    def write_all(self, rows: pl.LazyFrame, path: Path) -> None:
        # Polars asks for the footer once all rows are written: by then the manifest is that of the end.
        rows.sink_parquet(path, metadata=lambda _: footer(self.manifest), maintain_order=True)

    @staticmethod
    def read(path: Path, schema: Mapping[str, Any]) -> pl.LazyFrame:  # noqa: ARG004 - Parquet keeps its types
        return pl.scan_parquet(path, glob=False)

    @staticmethod
    def read_manifest(path: Path) -> JsonObject:
        try:
            described = json.loads(pl.read_parquet_metadata(path)[_METADATA_NAME])
        except NO_MANIFEST:
            return {}  # not a file of this library
        return described if isinstance(described, dict) else {}


def footer(manifest: JsonObject) -> dict[str, str]:
    """Return the Parquet key-value metadata that says where a file came from."""
    text = json.dumps(manifest, ensure_ascii=False, default=str)
    # A file's name may hold bytes that are no Unicode; Parquet takes none.
    return {_METADATA_NAME: text.encode("utf-8", "replace").decode()}
