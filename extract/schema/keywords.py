"""The keywords of JSON Schema that hold subschemas, a walk over these, and JSON paths.

The keywords that are sent to the service stand in `provider_subset.PROVIDER_KEYWORDS`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, cast

from extract.json_types import JsonObject

__all__ = ["LOST", "MARK", "child_path", "element", "map_subschemas", "member", "nodes", "subschemas", "types_of"]

#: Key of a node's `Mark`: what a JSON Schema cannot say about the Python value.
MARK = "x-extract"
#: Key of the constraints, as (keyword, value) pairs, that a rewriting step could not carry over.
LOST = "x-lost"

_ONE_SCHEMA = frozenset({
    "additionalProperties", "additionalItems", "items", "contains", "not", "if", "then", "else", "propertyNames",
    "unevaluatedItems", "unevaluatedProperties",
})  # fmt: skip
_MANY_SCHEMAS = frozenset({
    "allOf", "anyOf", "oneOf", "prefixItems", "items",
})  # fmt: skip
_NAMED_SCHEMAS = frozenset({
    "properties", "patternProperties", "dependentSchemas", "dependencies", "$defs", "definitions",
})  # fmt: skip

_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def map_subschemas(node: JsonObject, change: Callable[[Any, str, str | int | None], Any]) -> JsonObject:
    """Return a copy of `node` with each subschema replaced by `change(subschema, keyword, name or index)`."""
    copy: JsonObject = {}
    for keyword, value in node.items():
        if keyword in _NAMED_SCHEMAS and isinstance(value, dict):
            copy[keyword] = {
                name: change(item, keyword, name) if isinstance(item, dict | bool) else item
                for name, item in value.items()
            }
        elif keyword in _MANY_SCHEMAS and isinstance(value, list):
            copy[keyword] = [change(item, keyword, index) for index, item in enumerate(value)]
        elif keyword in _ONE_SCHEMA and isinstance(value, dict | bool):
            copy[keyword] = change(value, keyword, None)
        else:
            copy[keyword] = value
    return copy


def subschemas(node: JsonObject) -> Iterator[Any]:
    """Yield the direct subschemas of `node`, definitions included."""
    for keyword, value in node.items():
        if keyword in _NAMED_SCHEMAS and isinstance(value, dict):
            yield from (item for item in value.values() if isinstance(item, dict | bool))
        elif keyword in _MANY_SCHEMAS and isinstance(value, list):
            yield from value
        elif keyword in _ONE_SCHEMA and isinstance(value, dict | bool):
            yield value


def nodes(schema: Any) -> Iterator[JsonObject]:
    """Yield every node of a schema that is an object, the root first; only as far as it is asked."""
    pending: list[Iterator[Any]] = [iter((schema,))]
    while pending:
        try:
            node = next(pending[-1])
        except StopIteration:
            pending.pop()
            continue
        if isinstance(node, dict):
            yield node
            pending.append(subschemas(node))


def types_of(node: JsonObject) -> tuple[str, ...]:
    """Return the node's types as a tuple, () if it has no `type`."""
    types = node.get("type", ())
    return (types,) if isinstance(types, str) else tuple(types)


def member(path: str, name: str) -> str:
    """Return the JSON path of a member: `$.price`, or `$["unit price"]` for a name that is not an identifier."""
    return f"{path}.{name}" if _PLAIN_NAME.fullmatch(name) else f"{path}[{json.dumps(name, ensure_ascii=False)}]"


def element(path: str, index: int | None = None) -> str:
    """Return the JSON path of one element, or of every element where `index` is None."""
    return f"{path}[{'' if index is None else index}]"


def child_path(path: str, keyword: str, name: str | int | None) -> str:
    """Return the JSON path of the values that the subschema under `keyword` applies to."""
    if keyword == "properties":
        return member(path, cast(str, name))
    if keyword == "prefixItems":
        return element(path, cast(int, name))
    if keyword in ("items", "additionalItems", "contains", "unevaluatedItems"):
        return element(path)
    if keyword in ("additionalProperties", "patternProperties", "unevaluatedProperties"):
        return f"{path}.*"
    return path
