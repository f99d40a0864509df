"""Sheets of Excel workbooks, with what is not in their cells said."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO
from xml.etree import ElementTree

import polars as pl

from extract.errors import ConfigError

__all__ = ["read_sheet"]

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
