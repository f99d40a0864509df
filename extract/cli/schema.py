"""`extract schema`: a schema as it is sent, as it is checked here, and as columns, side by side."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from typing import Any

import polars as pl
from rich.console import Console
from rich.table import Table
from rich.text import Text

from extract.cli.pipelines import load_pipeline
from extract.cli.terminal import console_for, json_line, plain
from extract.extractor.plan import schema_of
from extract.json_types import JsonObject
from extract.schema import OutputSchema

__all__ = ["schema_command"]

_MAX_PATHS = 5
_MAX_DEPTH = 6  # of the table, as a recursive schema has no end


def schema_command(pipeline: str, *, as_json: bool) -> None:
    """Print the forms, as a table for people or as one JSON object."""
    extractor = load_pipeline(pipeline)
    schema = schema_of(extractor)
    if as_json:
        sys.stdout.write(json_line(_described(schema)) + "\n")
        return
    console = console_for(sys.stdout)
    console.print(_table(schema, console))
    for line in _notes(schema):
        console.print(Text(plain(line, console)))


def _described(schema: OutputSchema) -> JsonObject:
    return {
        "name": schema.name,
        "wire": schema.wire,
        "full": schema.full,
        "losses": [{"path": loss.path, "keyword": loss.keyword, "value": loss.value} for loss in schema.losses],
        "columns": {name: str(dtype) for name, dtype in schema.dtypes.items()},
        "complexity": {"cost": schema.complexity.cost, "warnings": list(schema.complexity.warnings)},
        "rungs": schema.rungs,
    }


def _notes(schema: OutputSchema) -> Iterator[str]:
    yield f"Complexity {schema.complexity.cost:,}" + ("" if schema.complexity.warnings else ", no warnings.")
    for warning in schema.complexity.warnings:
        yield f"  {warning}"
    if dropped := [loss.path for loss in schema.losses if loss.drops_unnamed]:
        more = "" if len(dropped) <= _MAX_PATHS else f" and {len(dropped) - _MAX_PATHS:,} more (--json)"
        yield f"Allowed without a name, and in no column: other members of {', '.join(dropped[:_MAX_PATHS])}{more}."
        yield '  Extractor(extra="keep") keeps them in _extra; "additionalProperties": false forbids them.'
    if schema.rungs > 1:
        simpler = "one simpler form is tried" if schema.rungs == 2 else f"{schema.rungs - 1} simpler forms are tried"
        yield f"If the service finds it too complex, {simpler}."
    yield "Each form in full: --json."


def _table(schema: OutputSchema, console: Console) -> Table:
    table = Table(title=Text(plain(schema.name, console)), title_justify="left", show_lines=False)
    for heading in ("field", "sent to the service", "checked here only", "column"):
        table.add_column(heading, overflow="fold")
    losses: dict[str, list[str]] = {}
    for loss in schema.losses:
        if not loss.drops_unnamed:
            losses.setdefault(loss.path, []).append(f"{loss.keyword} {_brief(loss.value)}")
    dtypes = dict(_columns(schema.dtypes.items(), "$"))
    for path, depth, name, node in _fields(schema.wire, schema.wire, "$", 0):
        column = _dtype(dtypes.get(path))
        cells = ("  " * depth + name, _kind(node), "\n".join(losses.pop(path, ())), column)
        table.add_row(*(Text(plain(cell, console)) for cell in cells))
    for path, left in losses.items():
        table.add_row(*(Text(plain(cell, console)) for cell in (path, "", "\n".join(left), "")))
    return table


def _fields(node: Any, root: JsonObject, path: str, depth: int) -> Iterator[tuple[str, int, str, JsonObject]]:
    """Yield path, depth, name and wire form of each property, in order; the branches of `anyOf` one by one."""
    if depth > _MAX_DEPTH or not isinstance(node, dict):
        return
    node = _resolved(node, root)
    for name, member in node.get("properties", {}).items():
        yield f"{path}.{name}", depth, name, member
        yield from _fields(member, root, f"{path}.{name}", depth + 1)
    if isinstance(node.get("items"), dict):
        yield from _fields(node["items"], root, f"{path}[]", depth)
    for branch in node.get("anyOf", ()):
        yield from _fields(branch, root, path, depth)


def _columns(dtypes: Iterable[tuple[str, Any]], path: str) -> Iterator[tuple[str, Any]]:
    """Yield the path of each column and struct field, as the wire form has it, with its dtype."""
    for name, dtype in dtypes:
        yield f"{path}.{name}", dtype
        inner, below = dtype, f"{path}.{name}"
        while isinstance(inner, pl.List):
            inner, below = inner.inner, below + "[]"
        if isinstance(inner, pl.Struct):
            yield from _columns(((item.name, item.dtype) for item in inner.fields), below)


def _resolved(node: JsonObject, root: JsonObject) -> JsonObject:
    reference = node.get("$ref")
    if not isinstance(reference, str):
        return node
    target: Any = root
    for step in reference.removeprefix("#").split("/")[1:]:
        target = target.get(step.replace("~1", "/").replace("~0", "~"), {})
    return target if isinstance(target, dict) else {}


def _kind(node: Any) -> str:
    """Return a node's type in a few words: `string or null`, `list of LineItem`, `one of 8 labels`."""
    if not isinstance(node, dict) or not node:
        return "anything"
    if "$ref" in node:
        return str(node["$ref"]).rpartition("/")[2] or "the whole schema again"
    if "anyOf" in node:
        return " or ".join(dict.fromkeys(_kind(branch) for branch in node["anyOf"]))
    if "enum" in node:
        return f"one of {len(node['enum'])}: {_brief(node['enum'])}"
    kinds = node.get("type", "anything")
    words = [kinds] if isinstance(kinds, str) else list(kinds)
    if "items" in node:
        words = [f"list of {_kind(node['items'])}" if word == "array" else word for word in words]
    limits = [f"{key} {node[key]}" for key in ("format", "minimum", "maximum", "minItems", "maxItems") if key in node]
    return ", ".join([" or ".join(words), *limits])


def _dtype(dtype: Any) -> str:
    if isinstance(dtype, pl.Enum):
        return f"Enum of {len(dtype.categories)}"
    if isinstance(dtype, pl.List):
        return f"List({_dtype(dtype.inner)})"
    if isinstance(dtype, pl.Struct):
        return f"Struct of {len(dtype.fields)}"
    if isinstance(dtype, pl.Decimal):
        return f"Decimal, {dtype.scale} places"
    return "" if dtype is None else str(dtype)


def _brief(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "..."
