"""What a wire form costs the service, as far as that is known, and what to do before it refuses.

The service compiles a schema into a constraint and answers 400 where that has "too many states". Its measure is not
public; interactions-api D.5 names the causes: long names and enums, large or nested `maxItems`, many bounds, date
formats, many optional properties, deep nesting. The cost below grows with each of them:

    1  per letter of a property's name and of an enum's value
    8  per optional property and per alternative beyond the first
   16  per bound (`minimum`, `maximum`) and per date format
    4  per level of every node
   64  per reference that leads back into what it stands in
    n  per array, its `maxItems` times those of the arrays around it

A definition counts wherever it is referred to, as the service has to unroll it. Nothing is refused for its cost.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

from extract.json_types import JsonObject
from extract.schema.normalise import child_path

__all__ = ["LONGEST_ENUM", "MOST_LABELS", "Complexity", "enum_letters", "is_large_enum", "survey"]

#: Where an enum is large. No figure is published; 77 labels are served, and hundreds are reported as refused.
MOST_LABELS, LONGEST_ENUM = 100, 2_000
#: Refusals are reported from a sum of nested `maxItems` near this (interactions-api D.5, third parties).
MOST_ITEMS = 960
#: Our own round figures for the causes that are named without one.
MOST_OPTIONAL, MOST_BOUNDS, MOST_FORMATS, MOST_ALTERNATIVES, DEEPEST, LONGEST_NAME = 30, 20, 20, 16, 6, 64

_OPTIONAL, _ALTERNATIVE, _BOUND, _FORMAT, _LEVEL, _CIRCLE = 8, 8, 16, 16, 4, 64


@dataclass(frozen=True, slots=True)
class Complexity:
    """A schema's `cost`, in the units above, and one line per cause that is known to get schemas refused."""

    cost: int
    warnings: tuple[str, ...]


def survey(wire: JsonObject) -> Complexity:
    """Return what a wire form costs. A warning is a JSON path, the cause, and what to do."""
    walk = _Survey(wire)
    tally = walk.tally(wire, "$")
    return Complexity(tally.cost, tuple(dict.fromkeys([*walk.warnings, *_overall(tally)])))


def is_large_enum(values: list[Any]) -> bool:
    """Whether an enum has so many values, or so many letters, that the service may refuse it."""
    return len(values) > MOST_LABELS or enum_letters(values) > LONGEST_ENUM


def enum_letters(values: list[Any]) -> int:
    """Return the number of letters in an enum's values."""
    return sum(len(str(value)) for value in values)


@dataclass(frozen=True, slots=True)
class _Tally:
    """Counts of one node and all below it. `items` and `levels` are seen from the node itself; so is `depth`."""

    own: int = 0
    nodes: int = 0
    levels: int = 0
    items: int = 0
    optional: int = 0
    bounds: int = 0
    formats: int = 0
    depth: int = 0

    def __add__(self, other: _Tally) -> _Tally:
        sums = {item.name: getattr(self, item.name) + getattr(other, item.name) for item in fields(self)}
        return _Tally(**sums | {"depth": max(self.depth, other.depth)})

    @property
    def cost(self) -> int:
        return self.own + self.items + self.levels * _LEVEL


class _Survey:
    def __init__(self, wire: JsonObject) -> None:
        self._definitions: dict[str, JsonObject] = wire.get("$defs", {})
        self._open: list[str] = []
        self._known: dict[str, _Tally] = {}
        self.warnings: list[str] = []

    def tally(self, node: JsonObject, path: str) -> _Tally:
        if "$ref" in node:
            return self._referred(str(node["$ref"]).removeprefix("#/$defs/"), path)
        self.warnings += _local(node, path)
        below = _Tally()
        for keyword, name, child in _children(node):
            below += self.tally(child, child_path(path, keyword, name))
        return self._within(node, below, path)

    def _referred(self, name: str, path: str) -> _Tally:
        if name in self._open:
            return _Tally(own=_CIRCLE, nodes=1)
        if name not in self._known:
            self._open.append(name)
            self._known[name] = self.tally(self._definitions[name], path)
            self._open.pop()
        return self._known[name]

    def _within(self, node: JsonObject, below: _Tally, path: str) -> _Tally:
        """Return the tally of a node whose children have the tally `below`."""
        most = int(node.get("maxItems", 0))
        tally = _Tally(
            own=below.own + _own_cost(node),
            nodes=below.nodes + 1,
            levels=below.levels + below.nodes,
            items=most + below.items * max(1, most),
            optional=below.optional + len(_optional(node)),
            bounds=below.bounds + _bounds(node),
            formats=below.formats + ("format" in node),
            depth=below.depth + ("properties" in node or "items" in node),
        )
        if most and tally.items > MOST_ITEMS:
            self.warnings.append(f"{path}: up to {tally.items} items, nested arrays multiplied; lower maxItems")
        return tally


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
        + _BOUND * _bounds(node)
        + _FORMAT * ("format" in node)
    )


def _optional(node: JsonObject) -> set[str]:
    return set(node.get("properties", ())) - set(node.get("required", ()))


def _bounds(node: JsonObject) -> int:
    return ("minimum" in node) + ("maximum" in node)


def _local(node: JsonObject, path: str) -> Iterator[str]:
    """Yield the warnings that one node gives by itself."""
    values = node.get("enum", [])
    if is_large_enum(values):
        yield f"{path}: {len(values)} labels of {enum_letters(values)} letters; use fewer or shorter labels"
    if (alternatives := len(node.get("anyOf", ()))) > MOST_ALTERNATIVES:
        yield f"{path}: a union of {alternatives} alternatives; split it, or use one class with a label"
    for name in node.get("properties", ()):
        if len(name) > LONGEST_NAME:
            yield f"{child_path(path, 'properties', name)}: a name of {len(name)} letters; set a shorter alias"


def _overall(tally: _Tally) -> Iterator[str]:
    """Yield the warnings about the schema as a whole."""
    if tally.optional > MOST_OPTIONAL:
        yield f"$: {tally.optional} optional properties; make them required, nullable where need be"
    if tally.bounds > MOST_BOUNDS:
        yield f"$: {tally.bounds} numeric bounds; drop those that matter least"
    if tally.formats > MOST_FORMATS:
        yield f"$: {tally.formats} date formats; use text where no date is needed"
    if tally.depth > DEEPEST:
        yield f"$: objects and arrays nested {tally.depth} deep; flatten the schema"
