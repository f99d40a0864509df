"""The relaxation ladder: ever simpler wire forms, for a service that finds a schema too complex.

Every rung accepts all that the rung before accepts, and says in the descriptions what it no longer constrains. Local
validation does not change. A rung that would change nothing is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from extract.errors import SchemaError
from extract.json_types import JsonObject, json_text
from extract.schema.complexity import is_large_enum
from extract.schema.descriptions import described, say
from extract.schema.keywords import map_subschemas, types_of

__all__ = ["ladder"]

#: How many objects may stand inside one another, the root counted, before the rest is left free.
DEEPEST = 3

_OBJECT = ("properties", "required", "additionalProperties")


def ladder(wire: JsonObject) -> tuple[JsonObject, ...]:
    """Return the rungs, from the wire form itself to the most relaxed; each differs from the one before.

    Raises SchemaError for a wire form that is nested too deeply to be walked.
    """
    rungs = [wire]
    try:
        for relax in (_without_bounds, _without_lengths, _without_large_enums, _without_depth):
            relaxed = relax(rungs[-1])
            if relaxed != rungs[-1]:
                rungs.append(relaxed)
    except RecursionError:
        raise SchemaError("nested too deeply to be relaxed") from None
    return tuple(rungs)


def _without_bounds(wire: JsonObject) -> JsonObject:
    return _everywhere(wire, lambda node: _only_said(node, ("minimum", "maximum", "format")))


def _without_lengths(wire: JsonObject) -> JsonObject:
    return _everywhere(wire, _unlimited)


def _without_large_enums(wire: JsonObject) -> JsonObject:
    return _everywhere(wire, lambda node: _listed(node) if is_large_enum(node.get("enum", [])) else node)


def _everywhere(node: JsonObject, change: Callable[[JsonObject], JsonObject]) -> JsonObject:
    """Return `node` with every node in it changed, definitions included."""

    def changed(item: Any, _keyword: str, _name: str | int | None) -> Any:
        return _everywhere(item, change) if isinstance(item, dict) else item

    return change(map_subschemas(node, changed))


def _only_said(node: JsonObject, keywords: Sequence[str]) -> JsonObject:
    """Return `node` without `keywords`, which its description states instead."""
    return _dropped(node, keywords, [say(keyword, node[keyword]) for keyword in keywords if keyword in node])


def _unlimited(node: JsonObject) -> JsonObject:
    if "maxItems" in node and node.get("minItems") == node["maxItems"]:
        least = say("minItems", node["minItems"])
        return _dropped(node, ("minItems", "maxItems"), [least.replace("At least", "Exactly")])
    return _only_said(node, ("minItems", "maxItems"))


def _listed(node: JsonObject) -> JsonObject:
    """Return `node` with its enum in words: all labels, however many, for the model has to see them."""
    values = node["enum"]
    kept = _dropped(node, ("enum",), [f"One of: {', '.join(map(json_text, values))}."])
    types = list(dict.fromkeys(map(_type_name, values)))
    return kept if "type" in node else {"type": types[0] if len(types) == 1 else types, **kept}


def _type_name(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return "null" if value is None else "boolean"
    return "string" if isinstance(value, str) else "number"


def _dropped(node: JsonObject, keywords: Sequence[str], sentences: Sequence[str]) -> JsonObject:
    """Return `node` without `keywords` and with `sentences` in its description; itself if it has none of them."""
    if not any(keyword in node for keyword in keywords):
        return node
    description = described(node.get("description"), list(sentences))
    kept = {key: value for key, value in node.items() if key not in keywords and key != "description"}
    head = {"type": kept.pop("type")} if "type" in kept else {}
    return head | ({"description": description} if description else {}) | kept


def _without_depth(wire: JsonObject) -> JsonObject:
    return _Shallow(wire).wire()


class _Shallow:
    """Cuts a wire form off below `DEEPEST` objects, and at references that lead back into what they stand in.

    A definition stays one definition: it is cut as the deepest place demands that still refers to it.
    """

    def __init__(self, wire: JsonObject) -> None:
        self._root = {key: value for key, value in wire.items() if key != "$defs"}
        self._definitions: dict[str, JsonObject] = wire.get("$defs", {})
        self._circles: set[tuple[str, str]] = set()
        self._depths: dict[str, int] = {}

    def wire(self) -> JsonObject:
        self._find_circles(self._root, [""])
        self._place(self._root, "", 0)
        kept = {
            name: self._cut(node, name, self._depths[name])
            for name, node in self._definitions.items()
            if name in self._depths
        }
        return self._cut(self._root, "", 0) | ({"$defs": kept} if kept else {})

    def _find_circles(self, node: JsonObject, trail: list[str], seen: set[str] | None = None) -> None:
        """Note which references, as (where, whereto), close a circle; without them there is none."""
        seen = set() if seen is None else seen
        for name in _references(node):
            if name in trail:
                self._circles.add((trail[-1], name))
            elif name not in seen:
                seen.add(name)
                self._find_circles(self._definitions[name], [*trail, name], seen)

    def _place(self, node: JsonObject, owner: str, depth: int) -> None:
        """Note for each definition the most objects it stands in, of the places that keep their reference."""
        name = _target(node)
        if name is not None:
            body = self._definitions[name]
            if not self._is_free(body, owner, name, depth) and depth > self._depths.get(name, -1):
                self._depths[name] = depth
                self._place(body, name, depth)
        elif not (_is_object(node) and depth >= DEEPEST):
            for child in _children(node):
                self._place(child, owner, min(depth + _is_object(node), DEEPEST))

    def _is_free(self, body: JsonObject, owner: str, name: str, depth: int) -> bool:
        return (owner, name) in self._circles or (_is_object(body) and depth >= DEEPEST)

    def _cut(self, node: JsonObject, owner: str, depth: int) -> JsonObject:
        name = _target(node)
        if name is not None:
            body = self._definitions[name]
            return _freed(body) if self._is_free(body, owner, name, depth) else node
        if _is_object(node) and depth >= DEEPEST:
            return _freed(node)
        below = min(depth + _is_object(node), DEEPEST)
        return map_subschemas(
            node, lambda item, _keyword, _name: self._cut(item, owner, below) if isinstance(item, dict) else item
        )


def _target(node: JsonObject) -> str | None:
    return str(node["$ref"]).removeprefix("#/$defs/") if "$ref" in node else None


def _children(node: JsonObject) -> Iterator[JsonObject]:
    found: list[Any] = []
    map_subschemas(node, lambda item, _keyword, _name: found.append(item))
    return (item for item in found if isinstance(item, dict))


def _references(node: JsonObject) -> Iterator[str]:
    name = _target(node)
    if name is not None:
        yield name
    for child in _children(node):
        yield from _references(child)


def _is_object(node: JsonObject) -> bool:
    return any(keyword in node for keyword in _OBJECT)


def _freed(node: JsonObject) -> JsonObject:
    """Return `node` with only its type kept, and in words the members it has."""
    if not _is_object(node):
        return {key: node[key] for key in ("type", "description") if key in node}
    members = [f"{json_text(name)}{_kind(item)}" for name, item in node.get("properties", {}).items()]
    needed = [json_text(name) for name in node.get("required", ())]
    sentences = [f"Members: {', '.join(members)}." if members else ""]
    sentences += [f"Required: {', '.join(needed)}." if needed else ""]
    sentences += ["No other members." if node.get("additionalProperties") is False else ""]
    return _dropped(node, _OBJECT, sentences)


def _kind(node: JsonObject) -> str:
    types = types_of(node)
    return f" ({' or '.join(types)})" if types else ""
