"""A run as an Excel workbook of one sheet, for people who go on in a spreadsheet."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import date, datetime
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from shutil import copyfileobj
from tempfile import TemporaryFile
from typing import IO, Any, ClassVar, TypeAlias

import polars as pl

from extract.errors import ConfigError
from extract.io.excel import count_sheet, scan_sheet
from extract.io.flat import flat
from extract.io.sinks.base import Destination, FileSink, check_types, unwritable
from extract.json_types import JsonObject

__all__ = ["ExcelSink"]

_MAX_ROWS, _MAX_COLUMNS, _MAX_TEXT = 1_048_575, 16_384, 32_767  # of a sheet, its header aside, and of one cell
_EXACT = 2**53  # integers below are exact in a cell, which holds a 64-bit float
_EXACT_DIGITS = 15  # of decimals
_LARGEST = 9.99999999999999e307  # number of a cell; beyond it, the 16 digits that are written may round to infinity
_FIRST_DAY = date(1900, 1, 1)  # of Excel's calendar; xlsxwriter takes moments of it for a time of day
_MICROSECONDS = 1000  # in the millisecond that a cell holds
_WIDTHS = {"text": 40, "other": 14}  # characters

Put: TypeAlias = Callable[[int, int, Any], None]

_log = logging.getLogger("extract.runner")


class ExcelSink(FileSink):
    """One .xlsx file; memory stays flat whatever the number of rows. It needs the extra `excel`.

    Numbers, booleans and dates are cells of these types. What Excel cannot hold exactly is text: long numbers, times
    with a zone, dates before 1900, lists and structs (as JSON). Texts are never formulas. A text of more than 32,767
    characters is cut, and a warning says how many were.
    """

    max_rows: ClassVar[int | None] = _MAX_ROWS

    def __init__(self, path: Path) -> None:
        try:
            self._writer: Any = import_module("xlsxwriter")
            import_module("fastexcel")
        except ModuleNotFoundError as error:
            raise ConfigError(
                f"{path}: writing a workbook needs {error.name}: pip install 'extract-interactions[excel]'"
            ) from None
        self._destination = Destination(path)
        self._written = path
        self._rows = self._cut = 0
        self._workbook: Any = None
        self._sheet: Any = None
        self._packed: IO[bytes]
        self._formats: dict[str, Any] = {}

    def open(self, schema: pl.Schema, manifest: JsonObject) -> None:  # noqa: ARG002 - a workbook has no footer
        path = self._destination.path
        check_types(path, schema, binary_inside=False)
        if len(schema) > _MAX_COLUMNS:
            raise ConfigError(f"{path}: a sheet holds {_MAX_COLUMNS:,} columns, not {len(schema):,}; write .parquet")
        self._destination.claim()
        # It is put together in a file of its own: the library leaves files open where a disk is full.
        self._packed = TemporaryFile()  # noqa: SIM115 - closed with the workbook
        self._workbook = self._writer.Workbook(self._packed, {"constant_memory": True})
        self._sheet = self._workbook.add_worksheet("rows")
        self._sheet.freeze_panes(1, 0)
        for place, (name, dtype) in enumerate(schema.items()):
            is_text = dtype == pl.String or dtype.is_nested()
            self._sheet.set_column(place, place, _WIDTHS["text" if is_text else "other"])
            self._sheet.write_string(0, place, name[:_MAX_TEXT], self._format(bold=True))

    def write(self, frame: pl.DataFrame) -> None:
        if self._rows + frame.height > _MAX_ROWS:
            reason = OverflowError(f"a sheet holds {_MAX_ROWS:,} rows; write .parquet or .csv")
            raise unwritable(self._destination.path, reason)
        decimals = {name for name, dtype in frame.schema.items() if isinstance(dtype, pl.Decimal)}
        cells = flat(frame)
        columns = [(frame if name in decimals else cells)[name].to_list() for name in frame.columns]
        puts = [self._put_for(dtype) for dtype in frame.dtypes]
        try:
            for row, values in enumerate(zip(*columns, strict=True), start=self._rows + 1):
                for place, (put, value) in enumerate(zip(puts, values, strict=True)):
                    if value is not None:
                        put(row, place, value)
        except OSError as error:
            raise unwritable(self._destination.path, error) from None
        self._rows += frame.height

    def close(self, *, whole: bool, manifest: JsonObject) -> Path:  # noqa: ARG002 - as above
        try:
            with self._packed as packed, self._destination.temporary.open("wb") as file:
                self._workbook.close()
                packed.seek(0)
                copyfileobj(packed, file)
        except (OSError, self._writer.exceptions.XlsxWriterException) as error:
            raise unwritable(self._destination.path, error) from None
        self._written = self._destination.finish(whole=whole)
        if self._cut:
            what = (
                "text is longer than a cell can be, and is"
                if self._cut == 1
                else "texts are longer than a cell can be, and are"
            )
            _log.warning("%s: %d %s cut", self._written, self._cut, what)
        return self._written

    def scan(self, schema: pl.Schema) -> pl.LazyFrame:
        return scan_sheet(self._written, schema, self._rows)

    @staticmethod
    def read(path: Path, schema: Mapping[str, Any]) -> pl.LazyFrame:
        return scan_sheet(path, schema)

    @staticmethod
    def count(path: Path) -> int:
        return count_sheet(path)

    def keep_beside(self) -> None:
        self._destination.keep_beside()

    def abandon(self) -> None:
        if self._workbook is not None and not self._packed.closed:
            with suppress(OSError, self._writer.exceptions.XlsxWriterException), self._packed:
                self._workbook.close()
        self._destination.drop()

    def _put_for(self, dtype: pl.DataType) -> Put:
        """Return what writes a cell of a type."""
        if dtype == pl.Boolean:
            return self._put_boolean
        if isinstance(dtype, pl.Decimal) or dtype.is_numeric():
            return self._put_number
        if dtype == pl.Date or dtype == pl.Time or (isinstance(dtype, pl.Datetime) and dtype.time_zone is None):
            return self._put_moment
        return self._put_text

    def _put_boolean(self, row: int, place: int, value: bool) -> None:
        self._sheet.write_boolean(row, place, value)

    def _put_number(self, row: int, place: int, value: float | Decimal) -> None:
        if isinstance(value, Decimal):
            whole, _, places = format(value, "f").partition(".")
            places = places.rstrip("0")
            if len(whole.lstrip("-0")) + len(places) <= _EXACT_DIGITS:
                # Amounts are written with cents, as everybody does; whole numbers without.
                shown = "0." + "0" * max(2, len(places)) if places else "0"
                self._sheet.write_number(row, place, float(value), self._format(num_format=shown))
            else:
                self._put_text(row, place, f"{whole}.{places}" if places else whole)
        elif not abs(value) <= _LARGEST or (isinstance(value, int) and abs(value) >= _EXACT):  # nan is not <= either
            self._put_text(row, place, value)
        else:
            self._sheet.write_number(row, place, value)

    def _put_moment(self, row: int, place: int, value: Any) -> None:
        has_day = hasattr(value, "year")
        has_time = not has_day or isinstance(value, datetime)
        is_early = has_day and (value.date() <= _FIRST_DAY if has_time else value < _FIRST_DAY)
        if is_early or (has_time and value.microsecond % _MICROSECONDS):
            self._put_text(row, place, value.isoformat())
            return
        shown = " ".join(["yyyy-mm-dd"] * has_day + ["hh:mm:ss"] * has_time)
        self._sheet.write_datetime(row, place, value, self._format(num_format=shown))

    def _put_text(self, row: int, place: int, value: Any) -> None:
        text = value.isoformat() if isinstance(value, datetime) else str(value)
        self._cut += len(text) > _MAX_TEXT
        self._sheet.write_string(row, place, text[:_MAX_TEXT])

    def _format(self, **properties: Any) -> Any:
        key = repr(properties)
        if key not in self._formats:
            self._formats[key] = self._workbook.add_format(properties)
        return self._formats[key]
