"""Estimates the complexity of a wire form, and warns of what may get it refused.

The service compiles a schema into a constraint and answers 400 where that has "too many states". Its measure is not
public; interactions-api D.5 names the causes: long names and enums, large or nested `maxItems`, many bounds, date
formats, many optional properties, deep nesting. The cost here grows with each of them:

    1  per letter of a property's name and of an enum's value
    8  per optional property and per alternative beyond the first
   16  per bound (`minimum`, `maximum`) and per date format: the costs in `PROVIDER_KEYWORDS`
    4  per level of every node
   64  per recursive reference
    n  per array, its `maxItems` times those of the arrays around it

A definition counts wherever it is referred to, as the service has to unroll it. No schema is refused here for its cost.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

from extract.json_types import JsonObject
from extract.schema.keywords import child_path
from extract.schema.provider_subset import PROVIDER_KEYWORDS

__all__ = ["MAX_ENUM_LETTERS", "MAX_LABELS", "Complexity", "enum_letters", "is_large_enum", "measure"]

#: Above these an enum is large. No limit is published; 77 labels are served, hundreds are reported as refused.
MAX_LABELS, MAX_ENUM_LETTERS = 100, 2_000
#: Refusals are reported from a sum of nested `maxItems` near this (interactions-api D.5, third parties).
MAX_ITEMS = 960
#: Our own round figures for the causes that are published without one.
MAX_OPTIONAL, MAX_BOUNDS, MAX_FORMATS, MAX_ALTERNATIVES, MAX_DEPTH, MAX_NAME_LETTERS = 30, 20, 20, 16, 6, 64

_OPTIONAL, _ALTERNATIVE, _LEVEL, _CIRCLE = 8, 8, 4, 64
_FLAT_COSTS = {keyword: row.cost for keyword, row in PROVIDER_KEYWORDS.items() if row.cost}


@dataclass(frozen=True, slots=True)
class Complexity:
    """A schema's `cost`, in the units above, and one warning per cause that is known to get schemas refused."""

    cost: int
    warnings: tuple[str, ...]


def measure(wire: JsonObject) -> Complexity:
    """Return the cost of a wire form, with warnings; each has a JSON path, the cause, and what to do."""
    measurement = _Measurement(wire)
    counts = measurement.counts(wire, "$")
    return Complexity(counts.cost, tuple(dict.fromkeys([*measurement.warnings, *_schema_warnings(counts)])))


def is_large_enum(values: list[Any]) -> bool:
    """Whether an enum has more values or letters than the service is known to accept."""
    return len(values) > MAX_LABELS or enum_letters(values) > MAX_ENUM_LETTERS


def enum_letters(values: list[Any]) -> int:
    """Return the number of letters in an enum's values."""
    return sum(len(str(value)) for value in values)


@dataclass(frozen=True, slots=True)
class _Counts:
    """Counts of one node and all nodes below it; `items`, `levels` and `depth` are relative to the node itself."""

    own: int = 0
    nodes: int = 0
    levels: int = 0
    items: int = 0
    optional: int = 0
    bounds: int = 0
    formats: int = 0
    depth: int = 0

    def __add__(self, other: _Counts) -> _Counts:
        sums = {item.name: getattr(self, item.name) + getattr(other, item.name) for item in fields(self)}
        return _Counts(**sums | {"depth": max(self.depth, other.depth)})

    @property
    def cost(self) -> int:
        return self.own + self.items + self.levels * _LEVEL


class _Measurement:
    def __init__(self, wire: JsonObject) -> None:
        self._definitions: dict[str, JsonObject] = wire.get("$defs", {})
        self._open: list[str] = []
        self._counted: dict[str, _Counts] = {}
        self.warnings: list[str] = []

    def counts(self, node: JsonObject, path: str) -> _Counts:
        """Return the counts of a node; definitions are counted once and added at each reference."""
        if "$ref" in node:
            return self._counts_of_definition(str(node["$ref"]).removeprefix("#/$defs/"), path)
        self.warnings += _node_warnings(node, path)
        below = _Counts()
        for keyword, name, child in _children(node):
            below += self.counts(child, child_path(path, keyword, name))
        return self._counts_with_children(node, below, path)

    def _counts_of_definition(self, name: str, path: str) -> _Counts:
        if name in self._open:
            return _Counts(own=_CIRCLE, nodes=1)
        if name not in self._counted:
            self._open.append(name)
            self._counted[name] = self.counts(self._definitions[name], path)
            self._open.pop()
        return self._counted[name]

    def _counts_with_children(self, node: JsonObject, below: _Counts, path: str) -> _Counts:
        """Return the tally of a node whose children have the tally `below`."""
        max_items = int(node.get("maxItems", 0))
        counts = _Counts(
            own=below.own + _own_cost(node),
            nodes=below.nodes + 1,
            levels=below.levels + below.nodes,  # each node below is one level deeper than seen from the child
            items=max_items + below.items * max(1, max_items),
            optional=below.optional + len(_optional(node)),
            bounds=below.bounds + _bounds(node),
            formats=below.formats + ("format" in node),
            depth=below.depth + ("properties" in node or "items" in node),
        )
        if max_items and counts.items > MAX_ITEMS:
            self.warnings.append(f"{path}: up to {counts.items} items, nested arrays multiplied; lower maxItems")
        return counts


def _children(node: JsonObject) -> Iterator[tuple[str, Any, JsonObject]]:
    """Yield each subschema with its keyword and its name or index there."""
    for name, child in node.get("properties", {}).items():
        yield "properties", name, child
    for keyword in ("prefixItems", "anyOf"):
        for index, child in enumerate(node.get(keyword, ())):
            yield keyword, index, child
    for keyword in ("items", "additionalProperties"):
        if isinstance(node.get(keyword), dict):
            yield keyword, None, node[keyword]


def _own_cost(node: JsonObject) -> int:
    return (
        enum_letters(node.get("enum", []))
        + sum(map(len, node.get("properties", ())))
        + _OPTIONAL * len(_optional(node))
        + _ALTERNATIVE * max(0, len(node.get("anyOf", ())) - 1)
        + sum(cost for keyword, cost in _FLAT_COSTS.items() if keyword in node)
    )


def _optional(node: JsonObject) -> set[str]:
    return set(node.get("properties", ())) - set(node.get("required", ()))


def _bounds(node: JsonObject) -> int:
    return ("minimum" in node) + ("maximum" in node)


def _node_warnings(node: JsonObject, path: str) -> Iterator[str]:
    """Yield the warnings about a single node."""
    values = node.get("enum", [])
    if is_large_enum(values):
        yield f"{path}: {len(values)} labels of {enum_letters(values)} letters; use fewer or shorter labels"
    if (alternatives := len(node.get("anyOf", ()))) > MAX_ALTERNATIVES:
        yield f"{path}: a union of {alternatives} alternatives; split it, or use one class with a label"
    for name in node.get("properties", ()):
        if len(name) > MAX_NAME_LETTERS:
            yield f"{child_path(path, 'properties', name)}: a name of {len(name)} letters; set a shorter alias"


def _schema_warnings(counts: _Counts) -> Iterator[str]:
    """Yield the warnings about the schema as a whole."""
    if counts.optional > MAX_OPTIONAL:
        yield f"$: {counts.optional} optional properties; make them required, nullable where need be"
    if counts.bounds > MAX_BOUNDS:
        yield f"$: {counts.bounds} numeric bounds; drop those that matter least"
    if counts.formats > MAX_FORMATS:
        yield f"$: {counts.formats} date formats; use text where no date is needed"
    if counts.depth > MAX_DEPTH:
        yield f"$: objects and arrays nested {counts.depth} deep; flatten the schema"
