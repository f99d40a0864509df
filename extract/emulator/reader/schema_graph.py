"""The schema as a graph of flat subschemas: references followed, siblings merged, and a plain value for each."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime, time
from functools import cached_property
from itertools import islice, product, starmap
from typing import Any
from urllib.parse import unquote

from extract.json_types import JsonObject

__all__ = ["SchemaGraph", "Subschema", "Unsatisfiable", "same"]

#: JSON types in the order in which they are tried.
KINDS = ("null", "object", "array", "integer", "number", "boolean", "string")
IMPLIED = {
    **dict.fromkeys(("properties", "required", "additionalProperties"), "object"),
    **dict.fromkeys(("items", "prefixItems", "minItems", "maxItems"), "array"),
    **dict.fromkeys(("minimum", "maximum"), "number"),
}
PLAIN_TEXT = {"date": "1970-01-01", "date-time": "1970-01-01T00:00:00Z", "time": "00:00:00Z"}
MAX_COMBINATIONS = 256  # of the branches of several unions that must all fit
DEPTHS = (4, 12, 36)  # tried in turn, so that a plain value is no deeper than needed


class Unsatisfiable(Exception):
    """No value of bounded depth fits this subschema."""


def same(first: Any, second: Any) -> bool:
    """JSON equality of plain values: 1 equals 1.0, and True equals neither."""
    return bool(first == second) and isinstance(first, bool) == isinstance(second, bool)


def kind_of(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, float) and not value.is_integer():
        return "number"
    names: dict[type, str] = {type(None): "null", int: "integer", float: "integer", str: "string", list: "array"}
    return names.get(type(value), "object")


def both(first: Any, second: Any) -> Any:
    """Return the schema of what fits both."""
    if first is True or first == second:
        return second
    return first if second is True else {"allOf": [first, second]}


def merge_types(first: Any, second: Any) -> list[str]:
    one, other = ([kind] if isinstance(kind, str) else list(kind) for kind in (first, second))
    shared = [kind for kind in one if kind in other or (kind == "integer" and "number" in other)]
    return shared + [kind for kind in other if kind == "integer" and "number" in one and kind not in shared]


MERGERS: dict[str, Callable[[Any, Any], Any]] = {
    "type": merge_types,
    "enum": lambda first, second: [item for item in first if any(same(item, other) for other in second)],
    "required": lambda first, second: list(dict.fromkeys([*first, *second])),
    "additionalProperties": both,
    "items": both,
    "minimum": max,
    "minItems": max,
    "maximum": min,
    "maxItems": min,
    # Of very many combinations the first are read: what fits one of them fits each of the unions.
    "anyOf": lambda first, second: list(islice(starmap(both, product(first, second)), MAX_COMBINATIONS)),
}


def property_of(schema: JsonObject, name: str) -> Any:
    return schema.get("properties", {}).get(name, schema.get("additionalProperties", True))


def item_of(schema: JsonObject, index: int) -> Any:
    prefix = schema.get("prefixItems", [])
    return prefix[index] if index < len(prefix) else schema.get("items", True)


def merge(first: JsonObject, second: JsonObject) -> JsonObject:
    """Return a schema that is valid where both are; annotations such as `description` come from `second`."""
    merged = first | second
    for key in MERGERS.keys() & first.keys() & second.keys():
        merged[key] = MERGERS[key](first[key], second[key])
    if "properties" in merged:
        # A property that one side does not name must still fit that side's additionalProperties.
        names = [*first.get("properties", {}), *second.get("properties", {})]
        merged["properties"] = {name: both(property_of(first, name), property_of(second, name)) for name in names}
    if "prefixItems" in merged:
        size = max(len(part.get("prefixItems", [])) for part in (first, second))
        merged["prefixItems"] = [both(item_of(first, index), item_of(second, index)) for index in range(size)]
    return merged


class SchemaGraph:
    """All subschemas of one schema, built on first use. Equal ones are one object, so that recursion stays finite."""

    def __init__(self, schema: JsonObject) -> None:
        self._schema = schema
        self._subschemas: dict[str, Subschema] = {}
        self._known: dict[int, tuple[Any, Subschema | None]] = {}
        self.root: Subschema | None = self.subschema(schema)

    def subschema(self, raw: Any) -> Subschema | None:
        """Return `raw` as a subschema, or None where nothing is allowed."""
        if id(raw) not in self._known:  # `raw` is stored beside its subschema, so that no other object gets its id
            flat = self._flatten(raw, ())
            known = None if flat is None else self._subschemas.setdefault(json.dumps(flat), Subschema(self, flat))
            self._known[id(raw)] = raw, known
        return self._known[id(raw)][1]

    def _flatten(self, raw: Any, seen: tuple[str, ...]) -> JsonObject | None:
        """Return `raw` without `$ref` and `allOf`; None for the schema that allows nothing."""
        if not isinstance(raw, dict):
            return None if raw is False else {}
        parts = [self._flatten(part, seen) for part in raw.get("allOf", ())]
        ref = raw.get("$ref")
        # A `$ref` that leads back to itself adds nothing. Recursion through properties is followed only as far as they
        # are read, since subschemas are built on first use.
        if isinstance(ref, str) and ref not in seen:
            target = self._flatten(self._resolve(ref), (*seen, ref))
            parts.append(None if target is None else {"title": ref.rpartition("/")[2].strip("#")} | target)
        flat: JsonObject = {}
        own = {key: value for key, value in raw.items() if key not in ("$ref", "allOf", "$defs", "definitions")}
        for part in (*parts, own):
            if part is None:
                return None
            flat = merge(flat, part) if flat and part else flat or part
        return flat

    def _resolve(self, ref: str) -> Any:
        """Return what a local reference points at; True (anything) where it points at nothing."""
        target: Any = self._schema
        for step in filter(None, unquote(ref.removeprefix("#")).split("/")):
            name = step.replace("~1", "/").replace("~0", "~")
            if isinstance(target, list) and name.isdecimal() and int(name) < len(target):
                target = target[int(name)]
            else:
                target = target.get(name, True) if isinstance(target, dict) else True
        return target


class Subschema:
    """One subschema: which values fit it, and the plainest of them."""

    def __init__(self, graph: SchemaGraph, schema: JsonObject) -> None:
        self._graph = graph
        self._schema = schema
        self._plain: dict[int, Any] = {}
        self.title: str = str(schema.get("title", ""))
        self.description: str = str(schema.get("description", ""))
        self.format: str = str(schema.get("format", ""))
        self.required: tuple[str, ...] = tuple(schema.get("required", ()))
        self.minimum: float = schema.get("minimum", -math.inf)
        self.maximum: float = schema.get("maximum", math.inf)
        self.min_items: int = int(schema.get("minItems", 0))
        self.max_items: float = schema.get("maxItems", math.inf)

    @cached_property
    def kinds(self) -> tuple[str, ...]:
        """The JSON types to write here, null first. Without `type` they follow from the keywords, else text."""
        declared = self._schema.get("type")
        if declared is None:
            implied = dict.fromkeys(IMPLIED[key] for key in self._schema if key in IMPLIED)
            return ("null", *(implied or ("string",)))
        return tuple(sorted([declared] if isinstance(declared, str) else declared, key=KINDS.index))

    @cached_property
    def nullable(self) -> bool:
        return self.fits(None)

    @cached_property
    def branches(self) -> tuple[Subschema, ...] | None:
        """The alternatives of `anyOf`, each merged with its sibling keywords; None where there is no `anyOf`."""
        if "anyOf" not in self._schema:
            return None
        beside = {key: value for key, value in self._schema.items() if key not in ("anyOf", "title")}
        subschemas = (self._graph.subschema({"allOf": [beside, branch]}) for branch in self._schema["anyOf"])
        return tuple(subschema for subschema in subschemas if subschema is not None and subschema is not self)

    @cached_property
    def members(self) -> tuple[Any, ...] | None:
        """The values of `enum` that fit the other keywords; None where there is no `enum`."""
        if "enum" not in self._schema:
            return None
        rest = self._graph.subschema({key: value for key, value in self._schema.items() if key != "enum"})
        return tuple(value for value in self._schema["enum"] if rest is not None and rest.fits(value))

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The texts among the members."""
        return tuple(member for member in self.members or () if isinstance(member, str))

    @cached_property
    def properties(self) -> dict[str, Subschema | None]:
        return {name: self._graph.subschema(raw) for name, raw in self._schema.get("properties", {}).items()}

    def property(self, name: str) -> Subschema | None:
        return self.properties.get(name, self._extra)

    @cached_property
    def _extra(self) -> Subschema | None:
        return self._graph.subschema(self._schema.get("additionalProperties", True))

    @cached_property
    def prefix(self) -> tuple[Subschema | None, ...]:
        return tuple(map(self._graph.subschema, self._schema.get("prefixItems", ())))

    @cached_property
    def element(self) -> Subschema | None:
        """The subschema of every item after the prefix."""
        return self._graph.subschema(self._schema.get("items", True))

    def item(self, index: int) -> Subschema | None:
        return self.prefix[index] if index < len(self.prefix) else self.element

    def fits(self, value: Any) -> bool:
        """True where `value` is valid here."""
        if self.branches is not None and not any(branch.fits(value) for branch in self.branches):
            return False
        if "enum" in self._schema and not any(same(value, member) for member in self._schema["enum"]):
            return False
        kind = kind_of(value)
        if "type" in self._schema and kind not in self.kinds and (kind != "integer" or "number" not in self.kinds):
            return False
        if kind == "object":
            parts = ((self.property(name), item) for name, item in value.items())
            return all(name in value for name in self.required) and all_fit(parts)
        if kind == "array":
            parts = ((self.item(index), item) for index, item in enumerate(value))
            return self.min_items <= len(value) <= self.max_items and all_fit(parts)
        if kind == "string":
            return well_formed(value, self.format)
        return kind in ("null", "boolean") or self.minimum <= value <= self.maximum

    @cached_property
    def possible(self) -> bool:
        """True where some value fits."""
        try:
            self.plain()
        except Unsatisfiable:
            return False
        return True

    def plain(self) -> Any:
        """Return a value that says nothing and fits: null, "", 0, the first label. Raises Unsatisfiable."""
        for depth in DEPTHS:
            try:
                return self.plain_within(depth)
            except Unsatisfiable:
                continue
        raise Unsatisfiable(self.title)

    def plain_within(self, depth: int) -> Any:
        """Return a plain value that is nested no deeper than `depth`. Raises Unsatisfiable."""
        if depth not in self._plain:
            self._plain[depth] = next(self._plain_values(depth), Unsatisfiable)
        if self._plain[depth] is Unsatisfiable:
            raise Unsatisfiable(self.title)
        return self._plain[depth]

    def _plain_values(self, depth: int) -> Iterator[Any]:
        """Yield plain values, simplest first."""
        if depth <= 0:
            return
        if self.members is not None:
            yield from self.members
            return
        branches = None if self.branches is None else sorted(self.branches, key=lambda branch: not branch.nullable)
        choices: Iterable[Subschema | str] = self.kinds if branches is None else branches
        for choice in choices:
            try:
                yield self._plain_of(choice, depth - 1) if isinstance(choice, str) else choice.plain_within(depth - 1)
            except Unsatisfiable:
                continue

    def _plain_of(self, kind: str, depth: int) -> Any:
        if kind == "object":
            return {name: part(self.property(name)).plain_within(depth) for name in self.required}
        if kind == "array":
            if self.min_items > self.max_items:
                raise Unsatisfiable(self.title)
            return [part(self.item(index)).plain_within(depth) for index in range(self.min_items)]
        if kind in ("number", "integer"):
            return self._plain_number(whole=kind == "integer")
        return {"null": None, "boolean": False}.get(kind, PLAIN_TEXT.get(self.format, ""))

    def _plain_number(self, *, whole: bool) -> float:
        nearest = min(max(0, self.minimum), self.maximum)
        value = (math.floor if nearest < 0 else math.ceil)(nearest) if whole else nearest
        if not self.minimum <= value <= self.maximum:
            raise Unsatisfiable(self.title)
        return value


def part(subschema: Subschema | None) -> Subschema:
    """Return `subschema`. Raises Unsatisfiable where nothing is allowed."""
    if subschema is None:
        raise Unsatisfiable
    return subschema


def all_fit(parts: Iterable[tuple[Subschema | None, Any]]) -> bool:
    return all(subschema is not None and subschema.fits(item) for subschema, item in parts)


def well_formed(text: str, form: str) -> bool:
    """True where `text` is written in `form`; any text is where the form is unknown."""
    try:
        if form == "date":
            return date.fromisoformat(text).isoformat() == text
        if form == "date-time":
            return datetime.fromisoformat(text).tzinfo is not None
        return form != "time" or time.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False
