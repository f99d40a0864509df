"""Sheets of Excel workbooks, with what is not in their cells said."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any
from xml.etree import ElementTree

import polars as pl

from extract.errors import ConfigError
from extract.io.readback import typed

__all__ = ["count_sheet", "read_sheet", "scan_sheet"]

_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_CHUNK_BYTES = 1 << 20


def read_sheet(address: str, sheet: str | int | None) -> tuple[pl.LazyFrame, tuple[str, ...]]:
    """Return the rows of a sheet, by default the first, and notes on what is not among them.

    ConfigError where there is no such sheet; ModuleNotFoundError where the extra `excel` is missing.
    """
    if "://" in address:
        named = {} if sheet is None else {"sheet_id": sheet} if isinstance(sheet, int) else {"sheet_name": sheet}
        return pl.read_excel(address, **named).lazy(), ()
    import fastexcel  # noqa: PLC0415 - an optional extra

    names = fastexcel.read_excel(address).sheet_names
    name = _name_of(sheet, names, address)
    notes = []
    if sheet is None and len(names) > 1:
        notes.append(f"only the first of {len(names)} sheets is read; another: --sheet NAME (sheet=)")
    if formulas := _formulas_without_value(Path(address), name):
        notes.append(
            f"{formulas:,} formulas of the sheet have no stored value and are read as empty: open the workbook in a "
            "spreadsheet program and save it"
        )
    return pl.read_excel(address, sheet_name=name).lazy(), tuple(notes)


def scan_sheet(path: Path, schema: Mapping[str, Any], rows: int = 0) -> pl.LazyFrame:
    """Return the first sheet of a workbook that a run wrote, with the columns and types of `schema`.

    It is read when the rows are, and as a whole: workbooks have no parts. `rows` is how many there are, where that is
    known: a sheet does not hold empty rows at its end.
    """

    def read(_: pl.DataFrame) -> pl.DataFrame:
        texts = _texts(path, list(schema))
        texts = pl.concat([texts, texts.clear(max(0, rows - texts.height))])
        moments = [_moment(pl.col(name), dtype).alias(name) for name, dtype in schema.items() if dtype.is_temporal()]
        truths = [(pl.col(name) == "true").alias(name) for name, dtype in schema.items() if dtype == pl.Boolean]
        return typed(texts.with_columns(*moments, *truths), schema)

    return pl.LazyFrame().map_batches(read, schema=pl.Schema(schema))


def count_sheet(path: Path) -> int:
    """Return how many rows stand under the header of a workbook's first sheet."""
    return _texts(path, None).height


def _texts(path: Path, names: list[str] | None) -> pl.DataFrame:
    import fastexcel  # noqa: PLC0415 - an optional extra

    reader = fastexcel.read_excel(path)
    if names is None:
        return reader.load_sheet(0, dtypes="string").to_polars()
    return reader.load_sheet(0, header_row=None, skip_rows=1, column_names=names, dtypes="string").to_polars()


def _moment(text: pl.Expr, dtype: Any) -> pl.Expr:
    """Return dates and times as in ISO 8601: in a sheet each has both."""
    if dtype == pl.Date:
        return text.str.slice(0, 10)
    return text.str.split(" ").list.last() if dtype == pl.Time else text.str.replace(" ", "T", literal=True)


def _name_of(sheet: str | int | None, names: list[str], address: str) -> str:
    if sheet is None:
        return names[0]
    if isinstance(sheet, str) and sheet in names:
        return sheet
    number = int(sheet) if isinstance(sheet, int) or sheet.isdecimal() else 0
    if not 1 <= number <= len(names):
        raise ConfigError(f"{address} has no sheet {sheet!r} (--sheet); it has {', '.join(map(repr, names[:20]))}")
    return names[number - 1]


def _formulas_without_value(path: Path, name: str) -> int:
    """Return how many cells hold a formula but not what it came to: programs write such that do not calculate."""
    try:
        with zipfile.ZipFile(path) as archive:
            part = _part_of(archive, name)
            if part is None or not _holds(archive, part, b"<f"):
                return 0
            with archive.open(part) as sheet:
                return sum(map(_lacks_value, _cells(sheet)))
    except (zipfile.BadZipFile, KeyError, ElementTree.ParseError, OSError, NotImplementedError):
        return 0  # whether it can be read at all, its reader says


def _part_of(archive: zipfile.ZipFile, name: str) -> str | None:
    """Return the file in a workbook that holds a sheet."""
    # Expat bounds what entities may grow to; what is read here was given by the user.
    sheets = ElementTree.fromstring(archive.read("xl/workbook.xml")).iter(f"{_MAIN}sheet")  # noqa: S314
    relation = next((sheet.get(_RELATION) for sheet in sheets if sheet.get("name") == name), None)
    relations = ElementTree.fromstring(archive.read("xl/_rels/workbook.xml.rels"))  # noqa: S314
    target = next((one.get("Target") for one in relations if one.get("Id") == relation), None)
    if target is None:
        return None
    return target.lstrip("/") if target.startswith("/") else f"xl/{target}"


def _holds(archive: zipfile.ZipFile, part: str, mark: bytes) -> bool:
    with archive.open(part) as sheet:
        end = b""
        while chunk := sheet.read(_CHUNK_BYTES):
            if mark in end + chunk:
                return True
            end = chunk[-len(mark) :]
    return False


def _cells(sheet: IO[bytes]) -> Iterator[ElementTree.Element]:
    for _, element in ElementTree.iterparse(sheet):  # noqa: S314 - as above
        if element.tag == f"{_MAIN}c":
            yield element
        elif element.tag == f"{_MAIN}row":
            element.clear()


def _lacks_value(cell: ElementTree.Element) -> bool:
    value = cell.find(f"{_MAIN}v")
    return cell.find(f"{_MAIN}f") is not None and (value is None or not value.text)
