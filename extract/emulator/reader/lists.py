"""Lists: the rows of a bill as objects, and series of texts, dates and numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from extract.emulator.reader.field_spec import FieldSpec
from extract.emulator.reader.record import Record
from extract.emulator.reader.rows import Row, read_rows, slots
from extract.emulator.reader.scalars import FINDERS, labelled
from extract.emulator.reader.schema_graph import Subschema
from extract.emulator.reader.values import dates

__all__ = ["blocks", "read_bill", "read_series"]

BLOCKS = 100  # paragraphs or lines of a record that are read as elements
COMMA = re.compile(r"[,;、]|\s(?:and|und|et|y|e|en)\s")
BULLET = re.compile(r"(?:[-*•–]|\d{1,2}[.)])\s+(.{1,300})")
PARAGRAPH = re.compile(r"\n\s*\n")


def blocks(record: Record) -> list[str]:
    """Return the record's paragraphs, else its lines; nothing where it has but one."""
    paragraphs = PARAGRAPH.split(record.text)
    parts = paragraphs if len(paragraphs) > 1 else record.lines
    return parts[:BLOCKS] if len(parts) > 1 else []


def read_bill(record: Record, element: Subschema, fields: Mapping[str, FieldSpec]) -> Iterator[dict[str, Any]]:
    """Yield each row of a bill as an object, where `fields` has a text and a number for one."""
    names = slots(fields)
    if "text" in names and len(names) > 1:
        for row in read_rows(record):
            yield to_object(row, element, names)


def to_object(row: Row, element: Subschema, names: Mapping[str, str]) -> dict[str, Any]:
    """Return a row as an object of the element's fields; a row without a quantity has quantity 1."""
    values = {name: row.get(slot) for slot, name in names.items()}
    result: dict[str, Any] = {}
    for name, child in element.properties.items():
        if child is None:
            continue
        fitting = [form for form in forms(values.get(name)) if child.fits(form)]
        if not fitting and name in element.required:
            counted = name == names.get("quantity") and not child.nullable and child.fits(1)
            fitting = [None if child.nullable else 1 if counted else child.plain()]
        if fitting:
            result[name] = fitting[0]
    return result


def forms(value: str | float | None) -> list[Any]:
    """Return the ways to write one value in JSON."""
    if value is None or isinstance(value, str):
        return [] if value is None else [value]
    return [value, *([int(value)] if value.is_integer() else []), str(value)]


def read_series(record: Record, element: Subschema, spec: FieldSpec) -> Iterator[Any]:
    """Yield the texts, dates or numbers in the record for a list of them."""
    if not {"number", "integer"}.isdisjoint(element.kinds):
        for _, entry in labelled(record, spec):
            for _, _, value in record.numbers(entry.value):
                yield value if "number" in element.kinds or not value.is_integer() else int(value)
    elif element.format == "date":
        yield from dict.fromkeys(day.isoformat() for _, _, day in dates(record.text))
    elif spec.role in FINDERS:
        yield from dict.fromkeys(FINDERS[spec.role](record.text))
    else:
        yield from listed(record, spec)


def listed(record: Record, spec: FieldSpec) -> Iterator[str]:
    """Yield the parts of the labelled value, else the lines that begin with a bullet or a number."""
    stated = next((entry for _, entry in labelled(record, spec) if entry.stated), None)
    if stated is not None:
        yield from filter(None, map(str.strip, COMMA.split(stated.value)))
        return
    for line in record.lines:
        if bullet := BULLET.match(line):
            yield bullet.group(1)
