"""A decided answer as the cells of its table: the same types, and so the same values, as the answers beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from extract.errors import ConfigError
from extract.io.retyping import typed_cell
from extract.json_types import json_text
from extract.review.dtypes import dtypes_of
from extract.review.tasks import ReviewSetup
from extract.schema import OutputSchema, compile_schema
from extract.schema.plain_text import json_value

__all__ = ["AnswerCells"]


class AnswerCells:
    """Turns decided answers, which are JSON, into cells of columns with the types of the table.

    `schema` is that of the pipeline, by default the JSON Schema in the setup: which says less about a type than a
    Python class does, so the setup's `dtypes` tell what is a Decimal, a time, a duration.

        cells = AnswerCells(file.setup)
        cells.of({"topic": "bug"})  # {"topic": "bug"}
    """

    def __init__(self, setup: ReviewSetup, schema: OutputSchema | None = None) -> None:
        self.schema: OutputSchema = schema or compile_schema(setup.schema, extra=setup.extra)
        self.dtypes: dict[str, pl.DataType] = {**self.schema.dtypes, **dtypes_of(setup.dtypes)}
        self._names = setup.names
        # A JSON Schema knows a field by its key on the wire alone.
        field_of = {key: name for name, key in setup.keys.items()} if schema is None else {}
        self._columns = {field_of.get(name, name): dtype for name, dtype in self.schema.dtypes.items()}
        if unknown := [name for name in setup.fields if name not in self._columns]:
            raise ConfigError(f"the schema has no field {unknown[0]!r}; it has {', '.join(self._columns)}")

    def of(self, value: Any) -> dict[str, Any]:
        """Return the cell of each field. InvalidAnswer where the value does not fit the schema any more."""
        valid = self.schema.validate(json_text(value))
        row = zip(self._columns.items(), self.schema.row(valid), strict=True)
        return {name: self._cell(cell, dtype, name) for (name, dtype), cell in row}

    def _cell(self, cell: Any, dtype: Any, name: str) -> Any:
        try:
            return _as(cell, dtype, self.dtypes[name], self._names)
        except ValueError:
            raise ConfigError(
                f"the JSON Schema alone does not say how the field {name!r} becomes {self.dtypes[name]}: "
                "name the pipeline with --pipeline"
            ) from None


def _as(cell: Any, dtype: Any, target: Any, names: Mapping[str, str]) -> Any:
    """Return a cell of one type as a cell of another. ValueError where it does not fit."""
    if cell is None or dtype == target:
        return cell
    if isinstance(dtype, pl.Struct) and isinstance(target, pl.Struct):
        wanted, own = _types(target), _types(dtype)
        own_name = {key if key in wanted else names.get(key, key): key for key in own}
        if not own_name.keys() <= wanted.keys():
            raise ValueError("other fields")
        return {
            name: _as(cell[own_name[name]], own[own_name[name]], inner, names) if name in own_name else None
            for name, inner in wanted.items()
        }
    if isinstance(dtype, pl.List) and isinstance(target, pl.List | pl.Array):
        return [_as(item, dtype.inner, target.inner, names) for item in cell]
    if dtype == pl.String and isinstance(target, pl.Decimal):
        return typed_cell(str(json_value(cell)), target)  # a number or a text: the column holds JSON
    if dtype == pl.String and target == pl.Binary:
        raise ValueError("the bytes themselves or base64: the schema alone does not say it")
    if isinstance(cell, str | bool | int | float):
        return typed_cell(cell, target)
    cast: Any = pl.Series([cell], dtype=dtype).cast(target, strict=True).item()
    return cast


def _types(dtype: pl.Struct) -> dict[str, Any]:
    return {one.name: one.dtype for one in dtype.fields}
