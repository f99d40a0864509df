"""Which values are no quotations, by the JSON Schema that they answer: labels, and what only programs write."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from extract.json_types import JsonObject
from extract.schema.keywords import element

__all__ = ["Labels", "Node", "is_label", "is_machine_written"]

_MACHINE_FORMATS = frozenset({"duration", "binary", "base64url"})


class Node(NamedTuple):
    """A schema that holds at some place of a value, and the document its references point into."""

    schema: JsonObject
    root: JsonObject


class Labels:
    """Tells the labels among the values of one JSON Schema (`OutputSchema.full`, keys as on the wire).

    A label is a value that an `enum` or a `const` lists. References into the same document are followed, recursive ones
    too; where alternatives disagree, a value is a label if one of them lists it.
    """

    def __init__(self, schema: Any = True) -> None:
        self.top: tuple[Node, ...] = tuple(_alternatives(Node(schema, schema))) if isinstance(schema, dict) else ()
        self._known: dict[tuple[int, str], tuple[Node, ...]] = {}
        self._kept: list[tuple[Node, ...]] = []

    def below(self, nodes: tuple[Node, ...], key: str | int) -> tuple[Node, ...]:
        """Return what holds for a member, or for an element, of a value for which `nodes` hold."""
        if not nodes:
            return ()
        place = (id(nodes), key if isinstance(key, str) else element("", None if _is_uniform(nodes) else key))
        if place not in self._known:
            self._kept.append(nodes)  # its identity is a key: it must not be given to another
            found = (part for node in nodes for part in _part(node, key) for part in _alternatives(part))
            self._known[place] = tuple(found)
        return self._known[place]


def is_label(value: Any, nodes: tuple[Node, ...]) -> bool:
    """Return whether one of the schemas lists the value."""
    return any(value in node.schema.get("enum", ()) or value == node.schema.get("const", ...) for node in nodes)


def is_machine_written(nodes: tuple[Node, ...]) -> bool:
    """Return whether one of the schemas wants a form that no text is written in: "P3D" for three days, base64."""
    return any(node.schema.get("format") in _MACHINE_FORMATS or "contentEncoding" in node.schema for node in nodes)


def _is_uniform(nodes: tuple[Node, ...]) -> bool:
    return not any("prefixItems" in node.schema or isinstance(node.schema.get("items"), list) for node in nodes)


def _part(node: Node, key: str | int) -> Iterator[Node]:
    schema = node.schema
    if isinstance(key, str):
        named = schema.get("properties", {})
        found = named[key] if key in named else schema.get("additionalProperties")
    else:
        items = schema.get("items")
        first = items if isinstance(items, list) else schema.get("prefixItems", [])
        rest = schema.get("additionalItems") if isinstance(items, list) else items
        found = first[key] if key < len(first) else rest
    if isinstance(found, dict):
        yield Node(found, node.root)


def _alternatives(node: Node) -> Iterator[Node]:
    """Yield a schema and all that hold beside it or in its place: behind references, in unions and intersections."""
    todo, seen = [node], set[int]()
    while todo:
        schema, root = todo.pop()
        if id(schema) in seen:
            continue
        seen.add(id(schema))
        if schema is not root and isinstance(schema.get("$id", schema.get("id")), str):
            root = schema
        yield Node(schema, root)
        parts = [part for keyword in ("anyOf", "oneOf", "allOf") for part in schema.get(keyword, ())]
        parts.append(_target(schema.get("$ref"), root))
        todo += [Node(part, root) for part in parts if isinstance(part, dict)]


def _target(reference: Any, root: JsonObject) -> Any:
    if not isinstance(reference, str) or not reference.startswith("#"):
        return None
    found: Any = root
    for step in reference[1:].split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        found = found.get(name) if isinstance(found, dict) else None
    return found
