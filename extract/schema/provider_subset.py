"""Normal form -> the wire form, with the keywords that the service reads, and the losses, which it will not enforce.

`PROVIDER_KEYWORDS` is the place to add a keyword that the service has begun to read.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from extract.json_types import JsonObject
from extract.schema.descriptions import constraint_sentence, with_sentences
from extract.schema.keywords import LOST, MARK, child_path, types_of
from extract.schema.losses import Loss
from extract.schema.marks import Mark, without_marks
from extract.schema.normalise import Document

__all__ = ["PROVIDER_FORMATS", "PROVIDER_KEYWORDS", "ProviderKeyword", "to_wire"]


@dataclass(frozen=True, slots=True)
class ProviderKeyword:
    """How a keyword gets into the wire form.

    `copied` keywords are taken over unchanged; the others are built by `to_wire`. `cost` is what each use adds to the
    `Complexity` of the schema; costs that depend on the value are counted in `complexity`.
    """

    copied: bool = False
    cost: int = 0


#: The keywords that the service reads (interactions-api, section E), in the order in which a node's keywords are sent.
#: A constraint that is not in this table becomes a `Loss` and a sentence in the description. To send one more, add a
#: row; if a schema may be refused for it, also drop it in a rung of `relaxation`. The emulator has a list of its own,
#: as it stands for the service; a test compares the two. Content keys do not depend on this table.
PROVIDER_KEYWORDS: Final[Mapping[str, ProviderKeyword]] = {
    "type": ProviderKeyword(),
    "description": ProviderKeyword(),
    "format": ProviderKeyword(cost=16),
    "enum": ProviderKeyword(),
    "minimum": ProviderKeyword(copied=True, cost=16),
    "maximum": ProviderKeyword(copied=True, cost=16),
    "prefixItems": ProviderKeyword(),
    "items": ProviderKeyword(),
    "minItems": ProviderKeyword(copied=True),
    "maxItems": ProviderKeyword(copied=True),
    "properties": ProviderKeyword(),
    "required": ProviderKeyword(copied=True),
    "additionalProperties": ProviderKeyword(),
    "anyOf": ProviderKeyword(),
    "$ref": ProviderKeyword(),
    "$defs": ProviderKeyword(),
}
#: The formats that the service enforces.
PROVIDER_FORMATS: Final = frozenset({"date", "date-time", "time"})
#: Formats that only say how a value is displayed or stored; nothing checks them.
_UNCHECKED_FORMATS = frozenset({"binary", "password"})
#: Keywords of the normal form that are no constraints: nothing is lost without them.
_NO_CONSTRAINTS = frozenset({LOST, MARK, "title", "discriminator"})


def to_wire(document: Document, *, asserted_formats: frozenset[str] | None) -> tuple[JsonObject, tuple[Loss, ...]]:
    """Return the wire form of a document in normal form, and one `Loss` per constraint that it cannot carry.

    Invariants: the wire form accepts every instance that the document accepts, and has only keywords of
    `PROVIDER_KEYWORDS`. `asserted_formats` are the formats that are checked locally, None for all.
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
            self._record_losses(node.get(LOST, []), path)
            self._visit(str(self._document.target(node)), path)
            return {"$ref": node["$ref"]}
        out = {key: node[key] for key, row in PROVIDER_KEYWORDS.items() if row.copied and key in node}
        out |= self._shape(node, path)
        mark = node.get(MARK)
        sentences = [mark.hint] if isinstance(mark, Mark) else []
        for keyword, value in self._not_carried(node, out):
            self._losses.append(Loss(path, keyword, without_marks(value)))
            if not (keyword == "pattern" and isinstance(mark, Mark) and mark.kind == "decimal"):
                sentences.append(constraint_sentence(keyword, value))
        sentences += self._format(node, out, path)
        if description := with_sentences(node.get("description"), sentences):
            out["description"] = description
        return {key: out[key] for key in PROVIDER_KEYWORDS if key in out}

    def _visit(self, name: str, path: str) -> None:
        if name not in self._definitions:
            self._definitions[name] = {}  # a placeholder, as the definition may refer to itself
            self._definitions[name] = self._node(self._document.definitions[name], path)

    def _shape(self, node: JsonObject, path: str) -> JsonObject:
        """Return the type and the keywords that hold subschemas."""
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
            out["additionalProperties"] = self._additional(node["additionalProperties"], path)
        return out

    def _additional(self, node: JsonObject, path: str) -> JsonObject | bool:
        if not node or node.get("not") == {}:
            return not node
        return self._node(node, f"{path}.*")

    def _not_carried(self, node: JsonObject, out: JsonObject) -> list[tuple[str, Any]]:
        """Return the constraints that the wire node `out` cannot carry; adds to `out` those it can in another form."""
        dropped: list[tuple[str, Any]] = []
        for keyword, value in node.items():
            if keyword in ("exclusiveMinimum", "exclusiveMaximum"):
                if not _carry_exclusive_bound(node, out, keyword):
                    dropped.append((keyword, value))
            elif keyword == "enum":
                if any(isinstance(item, dict | list) for item in value) or not value:
                    dropped.append((keyword, value))
                else:
                    out["enum"] = list(value)
            elif keyword not in PROVIDER_KEYWORDS and keyword not in _NO_CONSTRAINTS:
                dropped.append((keyword, value))
        return dropped + list(node.get(LOST, []))

    def _format(self, node: JsonObject, out: JsonObject, path: str) -> list[str]:
        """Add the format to `out` where the service enforces it and it is checked here; otherwise return a sentence."""
        name = node.get("format")
        if name is None or name in _UNCHECKED_FORMATS:
            return []
        checked = self._asserted is None or name in self._asserted
        if checked and name in PROVIDER_FORMATS:
            out["format"] = name
            return []
        if checked:
            self._losses.append(Loss(path, "format", name))
        return [constraint_sentence("format", name)]

    def _record_losses(self, constraints: list[tuple[str, Any]], path: str) -> None:
        self._losses += [Loss(path, keyword, without_marks(value)) for keyword, value in constraints]


def _carry_exclusive_bound(node: JsonObject, out: JsonObject, keyword: str) -> bool:
    """Add an exclusive bound to `out` as an inclusive one; return whether the two mean the same, as for integers."""
    lower = keyword == "exclusiveMinimum"
    value = node[keyword]
    whole = set(types_of(node)) <= {"integer", "null"} and bool(types_of(node))
    if whole:
        value = math.floor(value) + 1 if lower else math.ceil(value) - 1
    bound, tighter = ("minimum", max) if lower else ("maximum", min)
    out[bound] = tighter(out[bound], value) if bound in out else value
    return whole
