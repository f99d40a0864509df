"""The schema gate: which JSON Schemas the service takes, which keywords it ignores, and when a schema is too large."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from pydantic_core import to_json

from extract.emulator.messages import refusal
from extract.json_types import JsonObject

__all__ = ["SchemaGate", "SchemaReport"]

CONSTRAINTS = frozenset({"required", "enum", "format", "minimum", "maximum", "minItems", "maxItems", "type"})
PLACES = frozenset({"properties", "additionalProperties", "items", "prefixItems", "anyOf", "oneOf", "$defs"})
NOTES = frozenset({"title", "description", "propertyOrdering", "$ref", "$id", "$anchor"})
READ = CONSTRAINTS | PLACES | NOTES
"""The keywords that the service is documented to read; it ignores all others."""
TYPES = frozenset({"string", "number", "integer", "boolean", "object", "array", "null"})
MAX_KNOWN = 256
"""How many schemas are remembered: a run sends one, a test suite a few."""

TOO_COMPLEX = (
    "The specified schema produces a constraint that has too many states for serving. Its cost is {cost} of at most "
    "{limit}: shorten names and enums, lower maxItems, drop bounds, require more properties or nest less."
)
OPTIONAL_COST, BOUND_COST, DEPTH_COST = 8, 16, 4


@dataclass(frozen=True, slots=True)
class SchemaReport:
    """The cost of a schema, its length in bytes, and how often each ignored keyword occurs."""

    cost: int
    length: int
    ignored: Counter[str]


class SchemaGate:
    """Checks each schema once and remembers it. `limit` is the highest cost served, None for no limit."""

    def __init__(self, limit: int | None = None) -> None:
        self.limit = limit
        self._known: dict[bytes, SchemaReport] = {}

    def check(self, schema: Any, path: str) -> SchemaReport:
        """Return the report on `schema`, found at `path` of the request.

        Raises Refusal where the schema is malformed, refers to nothing, or costs too much.
        """
        key = to_json(schema)
        report = self._known.get(key)
        if report is None:
            cost, ignored = survey(schema, path)
            report = SchemaReport(cost, len(key), ignored)
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            self._known[key] = report
        if self.limit is not None and report.cost > self.limit:
            raise refusal(TOO_COMPLEX.format(cost=report.cost, limit=self.limit))
        return report


def survey(schema: Any, path: str) -> tuple[int, Counter[str]]:
    """Return cost and ignored keywords of `schema`; raise Refusal where it is malformed.

    The cost is the sum of: 1 per letter of an enum value; 8 per optional property; 16 per numeric bound; 4 per level
    and node; per array, its `maxItems` times those of the arrays around it. The service's own measure is not public:
    this one only grows with the same causes.
    """
    cost = 0
    ignored: Counter[str] = Counter()
    anchors = frozenset(find_anchors(schema))
    # (node, path, level, product of maxItems around it)
    todo: list[tuple[Any, str, int, int]] = [(schema, path, 0, 1)]
    while todo:
        node, here, level, around = todo.pop()
        if isinstance(node, bool) and level:
            continue
        check_node(node, here)
        check_reference(node, here, schema, anchors)
        ignored.update(key for key in node if key not in READ)
        items = node.get("maxItems", 0)
        cost += node_cost(node, level) + items * around
        below = around * max(1, items)
        todo += [(child, f"{here}.{name}", level + 1, below) for name, child in children(node)]
    return cost, ignored


def node_cost(node: JsonObject, level: int) -> int:
    """Return what this node costs by itself, arrays aside."""
    letters = sum(len(str(value)) for value in node.get("enum", ()))
    optional = len(node.get("properties", {}).keys() - set(node.get("required", ())))
    bounds = ("minimum" in node) + ("maximum" in node)
    return letters + OPTIONAL_COST * optional + BOUND_COST * bounds + DEPTH_COST * level


def children(node: JsonObject) -> Iterator[tuple[str, Any]]:
    """Yield each sub-schema that the service reads, with the path from `node` to it."""
    for keyword in ("properties", "$defs"):
        for name, child in node.get(keyword, {}).items():
            yield f"{keyword}.{name}", child
    for keyword in ("prefixItems", "anyOf", "oneOf"):
        for index, child in enumerate(node.get(keyword, ())):
            yield f"{keyword}[{index}]", child
    for keyword in ("items", "additionalProperties"):
        if keyword in node:
            yield keyword, node[keyword]


SHAPES: dict[str, tuple[type, ...]] = {
    "properties": (dict,),
    "$defs": (dict,),
    "required": (list,),
    "enum": (list,),
    "prefixItems": (list,),
    "anyOf": (list,),
    "oneOf": (list,),
    "description": (str,),
    "title": (str,),
    "format": (str,),
    "$ref": (str,),
    "minimum": (int, float),
    "maximum": (int, float),
    "minItems": (int,),
    "maxItems": (int,),
}


def check_node(node: Any, path: str) -> None:
    """Raise Refusal where a keyword of `node` has a value of the wrong kind."""
    if not isinstance(node, dict):
        raise refusal(f"Invalid schema at {path}: a schema must be an object.")
    for keyword, value in node.items():
        shape = SHAPES.get(keyword)
        if shape and (not isinstance(value, shape) or isinstance(value, bool)):
            raise refusal(f"Invalid schema at {path}: {keyword!r} must be {shape[-1].__name__}.")
    types = node.get("type", [])
    for name in types if isinstance(types, list) else [types]:
        if not isinstance(name, str) or name not in TYPES:
            raise refusal(f"Invalid schema at {path}: unknown type {name!r}.")
    if any(not isinstance(name, str) for name in node.get("required", ())):
        raise refusal(f"Invalid schema at {path}: 'required' must list names.")


def check_reference(node: JsonObject, path: str, root: JsonObject, anchors: frozenset[str]) -> None:
    """Raise Refusal where `$ref` points outside the schema or at nothing in it."""
    reference = node.get("$ref")
    if reference is None or reference in anchors:
        return
    target: Any = root if reference.startswith("#") else None
    for token in unquote(reference).split("/")[1:]:
        target = step_into(target, token.replace("~1", "/").replace("~0", "~"))
    if target is None or not (reference == "#" or reference.startswith("#/")):
        raise refusal(f"Invalid schema at {path}: $ref {reference!r} points at nothing in this schema.")


def step_into(node: Any, token: str) -> Any:
    """Return the member of `node` that a JSON pointer token names, None where there is none."""
    if isinstance(node, dict):
        return node.get(token)
    if isinstance(node, list) and token.isdecimal() and int(token) < len(node):
        return node[int(token)]
    return None


def find_anchors(schema: Any) -> Iterator[str]:
    """Yield the names for a `$ref` besides JSON pointers: `$id` values, and `#` with an `$anchor`."""
    todo = [schema]
    while todo:
        node = todo.pop()
        if isinstance(node, list):
            todo += node
        elif isinstance(node, dict):
            todo += node.values()
            if isinstance(identity := node.get("$id"), str):
                yield identity
            if isinstance(anchor := node.get("$anchor"), str):
                yield f"#{anchor}"
