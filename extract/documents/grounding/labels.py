"""Finds by the JSON Schema of an answer the values that no source can contain: labels and machine formats."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from extract.json_types import JsonObject
from extract.schema.keywords import element

__all__ = ["Labels", "Node", "is_label", "is_machine_written", "is_number"]

_MACHINE_FORMATS = frozenset({"duration", "binary", "base64url"})
_NUMBERS = frozenset({"number", "integer"})


class Node(NamedTuple):
    """A schema that applies to a part of a value, and the document that its references point into."""

    schema: JsonObject
    root: JsonObject


class Labels:
    """The labels of one JSON Schema (`OutputSchema.full`, keys as on the wire): values that an `enum` or `const` lists.

    References into the same document are followed, recursive ones too; where alternatives disagree, a value is a label
    if one of them lists it.
    """

    def __init__(self, schema: Any = True) -> None:
        self.top: tuple[Node, ...] = tuple(_alternatives(Node(schema, schema))) if isinstance(schema, dict) else ()
        self._known: dict[tuple[int, str], tuple[Node, ...]] = {}
        self._alive: list[tuple[Node, ...]] = []

    def below(self, nodes: tuple[Node, ...], key: str | int) -> tuple[Node, ...]:
        """Return the schemas that apply to a member or element of a value to which `nodes` apply."""
        if not nodes:
            return ()
        place = (id(nodes), key if isinstance(key, str) else element("", None if _is_uniform(nodes) else key))
        if place not in self._known:
            self._alive.append(nodes)  # its id is a key: kept alive, so that no other tuple gets the same id
            parts = (part for node in nodes for part in _part(node, key) for part in _alternatives(part))
            self._known[place] = tuple(parts)
        return self._known[place]


def is_label(value: Any, nodes: tuple[Node, ...]) -> bool:
    """Return whether one of the schemas lists the value."""
    return any(value in node.schema.get("enum", ()) or value == node.schema.get("const", ...) for node in nodes)


def is_machine_written(nodes: tuple[Node, ...]) -> bool:
    """Return whether one of the schemas demands a form that people do not write: base64, or "P3D" for three days."""
    return any(node.schema.get("format") in _MACHINE_FORMATS or "contentEncoding" in node.schema for node in nodes)


def is_number(nodes: tuple[Node, ...]) -> bool:
    """Return whether one of the schemas asks for a number; that of a decimal allows a text beside it."""
    return any(not _NUMBERS.isdisjoint(_types(node.schema.get("type"))) for node in nodes)


def _types(declared: Any) -> Iterable[str]:
    return (declared,) if isinstance(declared, str) else filter(_is_text, declared or ())


def _is_text(one: Any) -> bool:
    return isinstance(one, str)


def _is_uniform(nodes: tuple[Node, ...]) -> bool:
    return not any("prefixItems" in node.schema or isinstance(node.schema.get("items"), list) for node in nodes)


def _part(node: Node, key: str | int) -> Iterator[Node]:
    schema = node.schema
    if isinstance(key, str):
        named = schema.get("properties", {})
        part = named[key] if key in named else schema.get("additionalProperties")
    else:
        items = schema.get("items")
        first = items if isinstance(items, list) else schema.get("prefixItems", [])
        rest = schema.get("additionalItems") if isinstance(items, list) else items
        part = first[key] if key < len(first) else rest
    if isinstance(part, dict):
        yield Node(part, node.root)


def _alternatives(node: Node) -> Iterator[Node]:
    """Yield a schema and all that apply with it or instead of it: behind references, in anyOf, oneOf and allOf."""
    pending, seen = [node], set[int]()
    while pending:
        schema, root = pending.pop()
        if id(schema) in seen:
            continue
        seen.add(id(schema))
        if schema is not root and isinstance(schema.get("$id", schema.get("id")), str):
            root = schema
        yield Node(schema, root)
        parts = [part for keyword in ("anyOf", "oneOf", "allOf") for part in schema.get(keyword, ())]
        parts.append(_target(schema.get("$ref"), root))
        pending += [Node(part, root) for part in parts if isinstance(part, dict)]


def _target(reference: Any, root: JsonObject) -> Any:
    if not isinstance(reference, str) or not reference.startswith("#"):
        return None
    target: Any = root
    for step in reference[1:].split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        target = target.get(name) if isinstance(target, dict) else None
    return target
