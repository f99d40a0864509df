"""The relaxation ladder: simpler and simpler wire forms, for when the service refuses a schema as too complex.

Invariant: every rung accepts all that the rung before accepts. The descriptions state what a rung no longer constrains,
and local validation stays the same. A rung that would change nothing is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from extract.errors import SchemaError
from extract.json_types import JsonObject, json_text
from extract.schema.complexity import is_large_enum
from extract.schema.descriptions import constraint_sentence, with_sentences
from extract.schema.keywords import map_subschemas, types_of

__all__ = ["ladder"]

#: How many objects may be nested, the root included; deeper ones become objects with any members.
MAX_OBJECT_DEPTH = 3

_OBJECT = ("properties", "required", "additionalProperties")


def ladder(wire: JsonObject) -> tuple[JsonObject, ...]:
    """Return the rungs, from the wire form itself to the most relaxed; each differs from the one before.

    Raises SchemaError for a wire form that is nested too deeply.
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
    return _everywhere(wire, lambda node: _described_only(node, ("minimum", "maximum", "format")))


def _without_lengths(wire: JsonObject) -> JsonObject:
    return _everywhere(wire, _without_item_limits)


def _without_large_enums(wire: JsonObject) -> JsonObject:
    return _everywhere(wire, lambda node: _enum_described(node) if is_large_enum(node.get("enum", [])) else node)


def _everywhere(node: JsonObject, change: Callable[[JsonObject], JsonObject]) -> JsonObject:
    """Return `node` with every node in it changed, definitions included."""

    def changed(item: Any, _keyword: str, _name: str | int | None) -> Any:
        return _everywhere(item, change) if isinstance(item, dict) else item

    return change(map_subschemas(node, changed))


def _described_only(node: JsonObject, keywords: Sequence[str]) -> JsonObject:
    """Return `node` without `keywords`; its description states them instead."""
    return _dropped(
        node, keywords, [constraint_sentence(keyword, node[keyword]) for keyword in keywords if keyword in node]
    )


def _without_item_limits(node: JsonObject) -> JsonObject:
    if "maxItems" in node and node.get("minItems") == node["maxItems"]:  # a fixed length is one sentence, not two
        sentence = constraint_sentence("minItems", node["minItems"])
        return _dropped(node, ("minItems", "maxItems"), [sentence.replace("At least", "Exactly")])
    return _described_only(node, ("minItems", "maxItems"))


def _enum_described(node: JsonObject) -> JsonObject:
    """Return `node` with its enum in the description: all labels, however many, as the model has to know them."""
    values = node["enum"]
    described = _dropped(node, ("enum",), [f"One of: {', '.join(map(json_text, values))}."])
    # Without its enum a node may have no type left: the labels' types keep at least that much enforced.
    types = list(dict.fromkeys(map(_type_name, values)))
    return described if "type" in node else {"type": types[0] if len(types) == 1 else types, **described}


def _type_name(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return "null" if value is None else "boolean"
    return "string" if isinstance(value, str) else "number"


def _dropped(node: JsonObject, keywords: Sequence[str], sentences: Sequence[str]) -> JsonObject:
    """Return `node` without `keywords` and with `sentences` in its description; itself if it has none of them."""
    if not any(keyword in node for keyword in keywords):
        return node
    description = with_sentences(node.get("description"), list(sentences))
    rest = {key: value for key, value in node.items() if key not in keywords and key != "description"}
    head = {"type": rest.pop("type")} if "type" in rest else {}
    return head | ({"description": description} if description else {}) | rest


def _without_depth(wire: JsonObject) -> JsonObject:
    return _DepthCutter(wire).wire()


class _DepthCutter:
    """Cuts a wire form off below `MAX_OBJECT_DEPTH` nested objects, and at recursive references.

    A definition stays a single definition: it is cut for the deepest place that still refers to it.
    """

    def __init__(self, wire: JsonObject) -> None:
        self._root = {key: value for key, value in wire.items() if key != "$defs"}
        self._definitions: dict[str, JsonObject] = wire.get("$defs", {})
        self._circles: set[tuple[str, str]] = set()
        self._depths: dict[str, int] = {}
        self._described: dict[int, JsonObject] = {}

    def wire(self) -> JsonObject:
        # Three passes: which references are recursive, how deep each definition stands at most, then the cut itself,
        # which must decide for every place as the second pass did.
        self._find_circles(self._root, [""])
        self._record_depths(self._root, "", 0)
        definitions = {
            name: self._cut(node, name, self._depths[name])
            for name, node in self._definitions.items()
            if name in self._depths
        }
        return self._cut(self._root, "", 0) | ({"$defs": definitions} if definitions else {})

    def _find_circles(self, node: JsonObject, trail: list[str], seen: set[str] | None = None) -> None:
        """Record the references, as (owner, target), that close a cycle; without them there is none."""
        seen = set() if seen is None else seen
        for name in _references(node):
            if name in trail:
                self._circles.add((trail[-1], name))
            elif name not in seen:
                seen.add(name)
                self._find_circles(self._definitions[name], [*trail, name], seen)

    def _record_depths(self, node: JsonObject, owner: str, depth: int) -> None:
        """Record for each definition the greatest depth of the places that keep their reference to it."""
        name = _target(node)
        if name is not None:
            body = self._definitions[name]
            # Ends, as depths only grow and are limited; a place whose reference is cut does not count.
            if not self._is_cut(body, owner, name, depth) and depth > self._depths.get(name, -1):
                self._depths[name] = depth
                self._record_depths(body, name, depth)
            return
        for child in _children(self._shallow(node, depth)):
            self._record_depths(child, owner, min(depth + _is_object(node), MAX_OBJECT_DEPTH))

    def _shallow(self, node: JsonObject, depth: int) -> JsonObject:
        """Return what stays of a node at a depth. Its other subschemas, such as alternatives, may hold references."""
        return self._with_type_only(node) if _is_object(node) and depth >= MAX_OBJECT_DEPTH else node

    def _with_type_only(self, node: JsonObject) -> JsonObject:
        # By identity: the nodes of the wire form stay, and a definition may be cut at every reference to it.
        if id(node) not in self._described:
            self._described[id(node)] = _with_type_only(node)
        return self._described[id(node)]

    def _is_cut(self, body: JsonObject, owner: str, name: str, depth: int) -> bool:
        return (owner, name) in self._circles or (_is_object(body) and depth >= MAX_OBJECT_DEPTH)

    def _cut(self, node: JsonObject, owner: str, depth: int) -> JsonObject:
        name = _target(node)
        if name is not None:
            body = self._definitions[name]
            return self._with_type_only(body) if self._is_cut(body, owner, name, depth) else node
        below = min(depth + _is_object(node), MAX_OBJECT_DEPTH)
        return map_subschemas(
            self._shallow(node, depth),
            lambda item, _keyword, _name: self._cut(item, owner, below) if isinstance(item, dict) else item,
        )


def _target(node: JsonObject) -> str | None:
    return str(node["$ref"]).removeprefix("#/$defs/") if "$ref" in node else None


def _children(node: JsonObject) -> Iterator[JsonObject]:
    children: list[Any] = []
    map_subschemas(node, lambda item, _keyword, _name: children.append(item))
    return (item for item in children if isinstance(item, dict))


def _references(node: JsonObject) -> Iterator[str]:
    name = _target(node)
    if name is not None:
        yield name
    for child in _children(node):
        yield from _references(child)


def _is_object(node: JsonObject) -> bool:
    return any(keyword in node for keyword in _OBJECT)


def _with_type_only(node: JsonObject) -> JsonObject:
    """Return `node` with only its type; the description lists its members."""
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
