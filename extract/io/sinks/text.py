"""A run as csv or jsonl."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import polars as pl

from extract.io.decimals import unpadded
from extract.io.flat import flat
from extract.io.formulas import quoted
from extract.io.readback import scan_text
from extract.io.sinks.base import Destination, FileSink, check_types, unwritable
from extract.json_types import JsonObject

__all__ = ["TextSink"]


class TextSink(FileSink):
    """One csv or jsonl file. Csv has no nesting: lists and structs become JSON text, bytes base64.
    Decimals of undeclared places have no zeros at their end.

    With `csv_safe` a quote stands before each text of a csv that a spreadsheet would run as a formula.
    """

    def __init__(self, path: Path, *, csv_safe: bool = False) -> None:
        self._csv_safe = csv_safe
        self._destination = Destination(path)
        self._written = path
        self._is_csv = path.suffix.lower() == ".csv"
        self._file: IO[bytes] | None = None

    def open(self, schema: pl.Schema, manifest: JsonObject) -> None:  # noqa: ARG002 - text has no footer
        check_types(self._destination.path, schema, binary_inside=False)
        self._destination.claim()
        try:
            self._file = self._destination.temporary.open("wb")
        except OSError as error:
            raise unwritable(self._destination.path, error) from None
        if self._is_csv:
            self._put(schema.to_frame(), header=True)

    def write(self, frame: pl.DataFrame) -> None:
        self._put(frame, header=False)

    def _put(self, frame: pl.DataFrame, *, header: bool) -> None:
        assert self._file is not None, "opened before written"
        try:
            if self._is_csv:
                cells = flat(frame)
                (quoted(cells) if self._csv_safe else cells).write_csv(self._file, include_header=header)
            else:
                unpadded(frame).with_columns(pl.selectors.binary().bin.encode("base64")).write_ndjson(self._file)
        except (OSError, pl.exceptions.PolarsError) as error:
            raise unwritable(self._destination.path, error) from None

    def close(self, *, whole: bool, manifest: JsonObject) -> Path:  # noqa: ARG002 - as above
        if self._file is not None:
            try:
                self._file.close()
            except OSError as error:
                raise unwritable(self._destination.path, error) from None
        self._written = self._destination.finish(whole=whole)
        return self._written

    def scan(self, schema: pl.Schema) -> pl.LazyFrame:
        return scan_text(self._written, schema, csv_safe=self._csv_safe)

    @staticmethod
    def read(path: Path, schema: Mapping[str, Any]) -> pl.LazyFrame:
        return scan_text(path, schema)

    @staticmethod
    def count(path: Path) -> int:
        if path.suffix.lower() == ".csv":
            return int(pl.scan_csv(path, infer_schema=False, glob=False).select(pl.len()).collect().item())
        with path.open("rb") as lines:
            return sum(not line.isspace() for line in lines)

    def keep_beside(self) -> None:
        self._destination.keep_beside()

    def abandon(self) -> None:
        if self._file is not None:
            with suppress(OSError):  # what is still to be written has no room either
                self._file.close()
        self._destination.drop()
