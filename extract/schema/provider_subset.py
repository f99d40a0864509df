"""Normal form -> what the service reads, and the list of what it will not enforce."""

from __future__ import annotations

import math
from typing import Any

from extract.json_types import JsonObject
from extract.schema.descriptions import described, say
from extract.schema.keywords import LOST, MARK, types_of
from extract.schema.losses import Loss
from extract.schema.marks import Mark, without_marks
from extract.schema.normalise import Document, child_path

__all__ = ["to_wire"]

_FORMATS = frozenset({"date", "date-time", "time"})
#: Formats that say how a value is shown or stored; nothing checks them.
_SILENT_FORMATS = frozenset({"binary", "password"})
_COPIED = ("required", "minimum", "maximum", "minItems", "maxItems")
_ORDER = (
    "type", "description", "format", "enum", "minimum", "maximum", "prefixItems", "items", "minItems", "maxItems",
    "properties", "required", "additionalProperties", "anyOf",
)  # fmt: skip


def to_wire(document: Document, *, asserted_formats: frozenset[str] | None) -> tuple[JsonObject, tuple[Loss, ...]]:
    """Return the wire form of a normal document and one `Loss` per constraint that it cannot carry.

    The wire form accepts every instance that the document accepts, and holds allowed keywords only.
    `asserted_formats` are the formats that are checked locally, None for all.
    """
    return _Subset(document, asserted_formats).wire()


class _Subset:
    def __init__(self, document: Document, asserted_formats: frozenset[str] | None) -> None:
        self._document = document
        self._asserted = asserted_formats
        self._definitions: dict[str, JsonObject] = {}
        self._losses: list[Loss] = []

    def wire(self) -> tuple[JsonObject, tuple[Loss, ...]]:
        root = self._node(self._document.resolved(self._document.root), "$")
        return root | ({"$defs": self._definitions} if self._definitions else {}), tuple(self._losses)

    def _node(self, node: JsonObject, path: str) -> JsonObject:
        if "$ref" in node:
            self._lose_all(node.get(LOST, []), path)
            self._visit(str(self._document.target(node)), path)
            return {"$ref": node["$ref"]}
        out = {key: node[key] for key in _COPIED if key in node}
        out |= self._shape(node, path)
        mark = node.get(MARK)
        words = [mark.words] if isinstance(mark, Mark) else []
        for keyword, value in self._dropped(node, out):
            self._losses.append(Loss(path, keyword, without_marks(value)))
            if not (keyword == "pattern" and isinstance(mark, Mark) and mark.kind == "decimal"):
                words.append(say(keyword, value))
        words += self._format(node, out, path)
        if description := described(node.get("description"), words):
            out["description"] = description
        return {key: out[key] for key in _ORDER if key in out}

    def _visit(self, name: str, path: str) -> None:
        if name not in self._definitions:
            self._definitions[name] = {}  # holds its place: a definition may refer to itself
            self._definitions[name] = self._node(self._document.definitions[name], path)

    def _shape(self, node: JsonObject, path: str) -> JsonObject:
        """Return the keywords that hold schemas, and the type."""
        out: JsonObject = {}
        if types := types_of(node):
            out["type"] = types[0] if len(types) == 1 else list(types)
        if "properties" in node:
            members = node["properties"].items()
            out["properties"] = {n: self._node(item, child_path(path, "properties", n)) for n, item in members}
        for keyword in ("prefixItems", "anyOf"):
            if keyword in node:
                nodes = enumerate(node[keyword])
                out[keyword] = [self._node(item, child_path(path, keyword, index)) for index, item in nodes]
        if "items" in node:
            out["items"] = self._node(node["items"], child_path(path, "items", None))
        if "additionalProperties" in node:
            out["additionalProperties"] = self._rest(node["additionalProperties"], path)
        return out

    def _rest(self, node: JsonObject, path: str) -> JsonObject | bool:
        if not node or node.get("not") == {}:
            return not node
        return self._node(node, f"{path}.*")

    def _dropped(self, node: JsonObject, out: JsonObject) -> list[tuple[str, Any]]:
        """Return the constraints that `out` does not carry, having moved into it what can be said otherwise."""
        dropped: list[tuple[str, Any]] = []
        for keyword, value in node.items():
            if keyword in ("exclusiveMinimum", "exclusiveMaximum"):
                if not _move_bound(node, out, keyword):
                    dropped.append((keyword, value))
            elif keyword == "enum":
                if any(isinstance(item, dict | list) for item in value) or not value:
                    dropped.append((keyword, value))
                else:
                    out["enum"] = list(value)
            elif keyword not in _HANDLED:
                dropped.append((keyword, value))
        return dropped + list(node.get(LOST, []))

    def _format(self, node: JsonObject, out: JsonObject, path: str) -> list[str]:
        """Carry the format where the service knows it and we check it; else return it in words."""
        name = node.get("format")
        if name is None or name in _SILENT_FORMATS:
            return []
        checked = self._asserted is None or name in self._asserted
        if checked and name in _FORMATS:
            out["format"] = name
            return []
        if checked:
            self._losses.append(Loss(path, "format", name))
        return [say("format", name)]

    def _lose_all(self, lost: list[tuple[str, Any]], path: str) -> None:
        self._losses += [Loss(path, keyword, without_marks(value)) for keyword, value in lost]


_HANDLED = frozenset({*_ORDER, LOST, MARK, "$ref", "title", "discriminator"})


def _move_bound(node: JsonObject, out: JsonObject, keyword: str) -> bool:
    """Write an exclusive bound as the inclusive one; return whether nothing is lost by that."""
    lower = keyword == "exclusiveMinimum"
    value = node[keyword]
    whole = set(types_of(node)) <= {"integer", "null"} and bool(types_of(node))
    if whole:
        value = math.floor(value) + 1 if lower else math.ceil(value) - 1
    bound, tighter = ("minimum", max) if lower else ("maximum", min)
    out[bound] = tighter(out[bound], value) if bound in out else value
    return whole
