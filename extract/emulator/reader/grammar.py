"""The schema as a graph of flat places: references followed, siblings merged, and a plain value for each place."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from datetime import date, datetime, time
from functools import cached_property
from typing import Any
from urllib.parse import unquote

from extract.types import JsonObject

__all__ = ["Grammar", "Impossible", "Place"]

KINDS = ("null", "object", "array", "integer", "number", "boolean", "string")
IMPLIED = {
    "properties": "object",
    "required": "object",
    "additionalProperties": "object",
    "items": "array",
    "prefixItems": "array",
    "minItems": "array",
    "maxItems": "array",
    "minimum": "number",
    "maximum": "number",
}
PLAIN_TEXT = {"date": "1970-01-01", "date-time": "1970-01-01T00:00:00Z", "time": "00:00:00Z"}
DEPTHS = (4, 12, 36)  # a plain value is sought no deeper than needed


class Impossible(Exception):
    """No value of bounded depth fits this place."""


def same(first: Any, second: Any) -> bool:
    """JSON equality: 1 equals 1.0, and True equals neither."""
    return canonical(first) == canonical(second)


def canonical(value: Any) -> str:
    return json.dumps(plain_numbers(value), sort_keys=True)


def plain_numbers(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [plain_numbers(item) for item in value]
    return {name: plain_numbers(item) for name, item in value.items()} if isinstance(value, dict) else value


def kind_of(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if value is None:
        return "null"
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return "integer"
    names: dict[type, str] = {float: "number", str: "string", list: "array"}
    return names.get(type(value), "object")


def both(first: Any, second: Any) -> Any:
    return first if first == second else {"allOf": [first, second]}


def at(schema: JsonObject, name: str) -> Any:
    """Return the schema that `schema` gives to property `name`."""
    return schema.get("properties", {}).get(name, schema.get("additionalProperties", True))


def merge_properties(first: JsonObject, second: JsonObject) -> JsonObject:
    names = dict.fromkeys([*first.get("properties", {}), *second.get("properties", {})])
    return {name: both(at(first, name), at(second, name)) for name in names}


def position(schema: JsonObject, index: int) -> Any:
    prefix = schema.get("prefixItems", [])
    return prefix[index] if index < len(prefix) else schema.get("items", True)


def merge_prefix(first: JsonObject, second: JsonObject) -> list[Any]:
    size = max(len(first.get("prefixItems", [])), len(second.get("prefixItems", [])))
    return [both(position(first, index), position(second, index)) for index in range(size)]


def merge_types(first: Any, second: Any) -> list[str]:
    mine, yours = ([kind] if isinstance(kind, str) else list(kind) for kind in (first, second))
    wide = [kind for kind in mine if kind in yours or (kind == "integer" and "number" in yours)]
    return wide + [kind for kind in yours if kind == "integer" and "number" in mine and kind not in wide]


MERGERS: dict[str, Callable[[Any, Any], Any]] = {
    "type": merge_types,
    "enum": lambda first, second: [item for item in first if any(same(item, other) for other in second)],
    "required": lambda first, second: list(dict.fromkeys([*first, *second])),
    "additionalProperties": both,
    "items": both,
    "minimum": max, "minItems": max,
    "maximum": min, "maxItems": min,
    "anyOf": lambda first, second: [both(one, other) for one in first for other in second],
}  # fmt: skip


def merge(first: JsonObject, second: JsonObject) -> JsonObject:
    """Return a schema that holds where both hold; words such as `description` come from `second`."""
    merged = first | second
    for key, merger in MERGERS.items():
        if key in first and key in second:
            merged[key] = merger(first[key], second[key])
    if (
        ("properties" in first and "properties" in second)
        or ("additionalProperties" in first and "properties" in second)
        or ("properties" in first and "additionalProperties" in second)
    ):
        merged["properties"] = merge_properties(first, second)
    if (
        "prefixItems" in merged
        and ("prefixItems" in first or "items" in first)
        and ("prefixItems" in second or "items" in second)
    ):
        merged["prefixItems"] = merge_prefix(first, second)
    return merged


class Grammar:
    """All places of one schema, each built when first asked for. Equal places are one object, so recursion is finite."""

    def __init__(self, schema: JsonObject) -> None:
        self.schema = schema
        self._places: dict[str, Place] = {}
        self._raw: dict[int, tuple[Any, Place | None]] = {}
        self.root = self.place(schema)

    def place(self, raw: Any) -> Place | None:
        """Return the place that `raw` describes, or None where nothing is allowed."""
        if id(raw) not in self._raw:  # `raw` is kept beside the place, so that its id stays its own
            flat = self.flatten(raw, ())
            key = json.dumps(flat)
            self._raw[id(raw)] = raw, None if flat is None else self._places.setdefault(key, Place(self, flat))
        return self._raw[id(raw)][1]

    def flatten(self, raw: Any, seen: tuple[str, ...]) -> JsonObject | None:
        """Return `raw` without `$ref` and `allOf`; None for the schema that allows nothing."""
        if not isinstance(raw, dict):
            return None if raw is False else {}
        parts: list[JsonObject | None] = []
        ref = raw.get("$ref")
        if isinstance(ref, str) and ref not in seen:
            target = self.flatten(self.resolve(ref), (*seen, ref))
            parts.append(None if target is None else {"title": ref.rpartition("/")[2].strip("#")} | target)
        parts += [self.flatten(part, seen) for part in raw.get("allOf", ())]
        flat: JsonObject = {}
        for part in [*parts, {key: value for key, value in raw.items() if key not in ("$ref", "allOf", "$defs")}]:
            if part is None:
                return None
            flat = merge(flat, part) if flat else part
        return flat

    def resolve(self, ref: str) -> Any:
        """Return what a local reference points at; True (anything) where it points at nothing."""
        found: Any = self.schema
        for step in filter(None, unquote(ref.removeprefix("#")).split("/")):
            name = step.replace("~1", "/").replace("~0", "~")
            found = (
                found[int(name)]
                if isinstance(found, list) and name.isdigit()
                else found.get(name, True)
                if isinstance(found, dict)
                else True
            )
        return found


class Place:
    """One place of a schema: which values fit it, and the plainest of them."""

    def __init__(self, grammar: Grammar, schema: JsonObject) -> None:
        self.schema = schema
        self._grammar = grammar
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
        """The JSON types to write here; null first. An untyped place takes what its keywords speak of, else text."""
        told = self.schema.get("type")
        if told is None:
            implied = dict.fromkeys(kind for key, kind in IMPLIED.items() if key in self.schema)
            return ("null", *(implied or ("string",)))
        return tuple(sorted([told] if isinstance(told, str) else told, key=KINDS.index))

    @property
    def nullable(self) -> bool:
        return self.fits(None)

    @cached_property
    def branches(self) -> tuple[Place, ...] | None:
        """The alternatives of `anyOf`, each merged with what stands beside it; None where there is no `anyOf`."""
        if "anyOf" not in self.schema:
            return None
        base = {key: value for key, value in self.schema.items() if key not in ("anyOf", "title")}
        places = (self._grammar.place({"allOf": [base, branch]}) for branch in self.schema["anyOf"])
        return tuple(place for place in places if place is not None and place is not self)

    @cached_property
    def members(self) -> tuple[Any, ...] | None:
        """The values of `enum` that fit the rest of the place; None where there is no `enum`."""
        if "enum" not in self.schema:
            return None
        rest = self._grammar.place({key: value for key, value in self.schema.items() if key != "enum"})
        return tuple(value for value in self.schema["enum"] if rest is not None and rest.fits(value))

    @cached_property
    def properties(self) -> dict[str, Place | None]:
        return {name: self._grammar.place(raw) for name, raw in self.schema.get("properties", {}).items()}

    @cached_property
    def extra(self) -> Place | None:
        return self._grammar.place(self.schema.get("additionalProperties", True))

    @cached_property
    def prefix(self) -> tuple[Place | None, ...]:
        return tuple(map(self._grammar.place, self.schema.get("prefixItems", ())))

    @cached_property
    def items(self) -> Place | None:
        return self._grammar.place(self.schema.get("items", True))

    def item(self, index: int) -> Place | None:
        return self.prefix[index] if index < len(self.prefix) else self.items

    def property(self, name: str) -> Place | None:
        return self.properties.get(name, None) if name in self.properties else self.extra

    def fits(self, value: Any) -> bool:
        """True where `value` is valid here."""
        if "enum" in self.schema and not any(same(value, member) for member in self.schema["enum"]):
            return False
        if self.branches is not None and not any(branch.fits(value) for branch in self.branches):
            return False
        kind = kind_of(value)
        if "type" in self.schema and not (kind in self.kinds or (kind == "integer" and "number" in self.kinds)):
            return False
        if isinstance(value, str):
            return well_formed(value, self.format)
        if isinstance(value, dict):
            return all(name in value for name in self.required) and self._all_fit(
                (self.property(name), item) for name, item in value.items()
            )
        if isinstance(value, list):
            sized = self.min_items <= len(value) <= self.max_items
            return sized and self._all_fit((self.item(index), item) for index, item in enumerate(value))
        return kind in ("null", "boolean") or self.minimum <= value <= self.maximum

    @staticmethod
    def _all_fit(pairs: Iterator[tuple[Place | None, Any]]) -> bool:
        return all(place is not None and place.fits(item) for place, item in pairs)

    def plain(self) -> Any:
        """Return a value that says nothing and fits: null, "", 0, the first label. Raises Impossible."""
        for depth in DEPTHS:
            try:
                return self.plain_within(depth)
            except Impossible:
                continue
        raise Impossible(self.title)

    @cached_property
    def possible(self) -> bool:
        """True where some value fits."""
        try:
            self.plain()
        except Impossible:
            return False
        return True

    def plain_within(self, depth: int) -> Any:
        if depth not in self._plain:
            self._plain[depth] = next(self._plain_values(depth), Impossible)
        if self._plain[depth] is Impossible:
            raise Impossible(self.title)
        return self._plain[depth]

    def _plain_values(self, depth: int) -> Iterator[Any]:
        """Yield plain values, simplest first."""
        if depth <= 0:
            return
        if self.members is not None:
            yield from self.members
            return
        branches = None if self.branches is None else sorted(self.branches, key=lambda branch: not branch.nullable)
        for choice in self.kinds if branches is None else branches:
            try:
                yield choice.plain_within(depth - 1) if isinstance(choice, Place) else self._plain_of(choice, depth - 1)
            except Impossible:
                continue

    def _plain_of(self, kind: str, depth: int) -> Any:
        if kind == "object":
            return {name: self._part(self.property(name), depth) for name in self.required}
        if kind == "array":
            if self.min_items > self.max_items:
                raise Impossible(self.title)
            return [self._part(self.item(index), depth) for index in range(self.min_items)]
        if kind in ("number", "integer"):
            return self._plain_number(kind)
        values: dict[str, Any] = {"null": None, "boolean": False}
        return values[kind] if kind in values else PLAIN_TEXT.get(self.format, "")

    @staticmethod
    def _part(place: Place | None, depth: int) -> Any:
        if place is None:
            raise Impossible
        return place.plain_within(depth)

    def _plain_number(self, kind: str) -> float:
        nearest = min(max(0, self.minimum), self.maximum)
        value = math.ceil(nearest) if kind == "integer" else nearest
        if not self.minimum <= value <= self.maximum:
            raise Impossible(self.title)
        return value


def well_formed(text: str, form: str) -> bool:
    """True where `text` is written in `form`; an unknown form asks nothing."""
    try:
        if form == "date":
            return date.fromisoformat(text).isoformat() == text
        if form == "date-time":
            return datetime.fromisoformat(text).tzinfo is not None
        return form != "time" or time.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False
