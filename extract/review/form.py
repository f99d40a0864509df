"""Makes the form of an answer from its schema: the normal form of the JSON Schema beside the columns of the answer."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, cast

import polars as pl

from extract.json_types import JsonObject, json_text
from extract.review.form_nodes import Choice, Form, FormNode, Kind, Label
from extract.schema import OutputSchema
from extract.schema.drafts import dialect_of
from extract.schema.keywords import element, member, types_of
from extract.schema.normalise import Document, normalise
from extract.schema.simplify import simplify

__all__ = ["form_of"]

_VALUE: Final = "value"
_MAX_NODES: Final = 20_000
"""Of one form: what a schema has beyond them is edited as JSON."""
_MAX_INLINE_LABELS: Final = 50
_BOUNDS: Final = {
    "minimum": "minimum", "maximum": "maximum", "exclusiveMinimum": "exclusive_minimum",
    "exclusiveMaximum": "exclusive_maximum", "multipleOf": "multiple_of",
}  # fmt: skip
_TEXT: Final = {"minLength": "min_length", "maxLength": "max_length", "pattern": "pattern", "format": "format"}
_LIST: Final = {"minItems": "min_items", "maxItems": "max_items", "uniqueItems": "unique"}
_MAP: Final = {"minProperties": "min_items", "maxProperties": "max_items"}
_MOMENTS: Final[Mapping[str, Kind]] = {
    "date": "date", "date-time": "datetime", "time": "time", "duration": "duration",
}  # fmt: skip


def form_of(schema: OutputSchema, dtypes: Mapping[str, Any] | None = None) -> Form:
    """Return the form of an answer.

    `dtypes` are the types of a file of answers by the keys of its members: they tell a decimal from a text where only
    the JSON Schema is known. By default they are those of `schema`.
    """
    document = simplify(normalise(schema.full, dialect_of(schema.full)))
    if schema.wrapped and not document.has_columns:
        document = document.wrapped(_VALUE)
    by_key = {schema.keys.get(name, name): dtype for name, dtype in schema.dtypes.items()} if dtypes is None else dtypes
    return _Builder(document, schema.names, is_open=schema.extra == "keep").form(by_key)


_ALTERNATIVES: Final = frozenset({"$ref", "allOf", "const", "not", "oneOf"})


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a field stands: its name, its step in a JSON path, whether it must be there, the type of its column."""

    name: str = ""
    step: str = ""
    required: bool = True
    dtype: Any = None


class _Builder:
    def __init__(self, document: Document, names: Mapping[str, str], *, is_open: bool) -> None:
        self._document = document
        self._names = names
        self._open = is_open
        self._shared = _shared(document)
        self._definitions: dict[str, FormNode | None] = {}
        self._count = 0

    def form(self, columns: Mapping[str, Any]) -> Form:
        root = self._document.resolved(self._document.root)
        place = _Place("", "$", dtype=pl.Struct(columns) if columns else None)
        built = self._object(root, place, by_key=True)
        if built.kind != "object":  # a root without members, which has no columns either
            built = FormNode(kind="object", step="$", title=_title(root, ""))
        return Form(built, {name: node for name, node in self._definitions.items() if node is not None})

    def node(self, schema: JsonObject, place: _Place) -> FormNode:
        """Return the field of a node of the normal form."""
        self._count += 1
        plain, nullable = self._without_null(schema)
        built = self._built(plain, place)
        if built.kind in ("label", "labels"):
            built = replace(built, description=_beyond_labels(plain.get("description"), built.labels))
        return replace(built, nullable=nullable or built.nullable)

    def _built(self, schema: JsonObject, place: _Place) -> FormNode:
        if self._count > _MAX_NODES:
            return self._leaf("json", schema, place)
        if (name := self._document.target(schema)) is not None:
            return self._reference(name, schema, place)
        if "anyOf" in schema:
            return self._union(schema, schema["anyOf"], place)
        if "enum" in schema:
            return self._leaf("label", schema, place, labels=_labels(schema["enum"], schema.get("description")))
        types = types_of(schema)
        if len(types) > 1:
            return self._of_types(schema, types, place)
        return _KINDS.get(types[0] if types else "", _Builder._json)(self, schema, place)

    def _reference(self, name: str, schema: JsonObject, place: _Place) -> FormNode:
        if name not in self._shared:
            # What is said beside the reference is about this use of it; the title is that of the class.
            target = {key: one for key, one in self._document.definitions[name].items() if key != "title"}
            return self.node({**target, **{key: schema[key] for key in ("description",) if key in schema}}, place)
        if name not in self._definitions:
            self._definitions[name] = None  # in progress: a definition may lead to itself
            built = self.node(self._document.definitions[name], replace(place, name="", step="", required=True))
            self._definitions[name] = built
        target = self._document.resolved(self._document.definitions[name])
        return replace(self._leaf("ref", target, place), to=name, nullable=self._without_null(target)[1])

    def _of_types(self, schema: JsonObject, types: Sequence[str], place: _Place) -> FormNode:
        if set(types) == {"number", "string"} and isinstance(place.dtype, pl.Decimal):
            scale = {"decimal_places": place.dtype.scale} if place.dtype.scale != _ANY_SCALE else {}
            built = self._leaf("decimal", schema, place, constraints=_bounds(schema) | scale)
            return replace(built, as_text=True)
        if set(types) == {"integer", "number"}:
            return self._number({**schema, "type": "number"}, place)
        return self._union(schema, [{**schema, "type": name} for name in types], place)

    def _union(self, schema: JsonObject, options: Sequence[JsonObject], place: _Place) -> FormNode:
        resolved = [self._document.resolved(option) for option in options]
        if all("enum" in one and "anyOf" not in one for one in resolved):
            values = _distinct([value for one in resolved for value in one["enum"]])
            return self._leaf("label", schema, place, labels=_labels(values, schema.get("description")))
        known = _discriminator(resolved, schema)
        choices: list[Choice] = []
        for option, target in zip(options, resolved, strict=True):
            fixed = None if known is None else target["properties"][known]["enum"][0]
            tag = _tag(option, target, fixed)
            tag = tag if all(one.tag != tag for one in choices) else f"{tag} {len(choices) + 1}"
            built = self._choice(option, target, known, replace(place, name="", step=""))
            choices.append(Choice(tag, built, fixed))
        return replace(self._leaf("union", schema, place), choices=tuple(choices), discriminator=known)

    def _choice(self, option: JsonObject, target: JsonObject, known: str | None, place: _Place) -> FormNode:
        if known is None:
            return self.node(option, place)
        rest = {name: one for name, one in target["properties"].items() if name != known}
        required = [name for name in target.get("required", ()) if name != known]
        self._count += 1
        return self._object({**target, "properties": rest, "required": required}, place)

    def _object(self, schema: JsonObject, place: _Place, *, by_key: bool = False) -> FormNode:
        properties, rest = schema.get("properties", {}), schema.get("additionalProperties", {})
        if not properties and rest != _NEVER:
            return self._map(schema, rest, place) if rest else self._json(schema, place)
        required = schema.get("required", ())
        members = []
        for name, inner in properties.items():
            dtype = _field(place.dtype, name if by_key else self._names.get(name, name), name)
            members.append(self.node(inner, _Place(name, member("", name), name in required, dtype)))
        extra = self.node(rest, _Place(required=False)) if self._keeps_extra(schema) else None
        return replace(self._leaf("object", schema, place), members=tuple(members), extra=extra)

    def _keeps_extra(self, schema: JsonObject) -> bool:
        """Whether an object may have members without a name here, and an answer keeps them."""
        if "additionalProperties" not in schema:
            return self._open
        return bool(schema["additionalProperties"] != _NEVER)

    def _map(self, schema: JsonObject, values: JsonObject, place: _Place) -> FormNode:
        names = schema.get("propertyNames", {})
        key = {"labels": [str(one) for one in names["enum"]]} if isinstance(names.get("enum"), list) else {}
        pattern = {"pattern": names["pattern"]} if isinstance(names.get("pattern"), str) else {}
        built = self._leaf("map", schema, place, constraints=_renamed(schema, _MAP))
        value = self.node(values, _Place(dtype=_field(_item(place.dtype), "value")))
        return replace(built, value=value, key=key | pattern)

    def _array(self, schema: JsonObject, place: _Place) -> FormNode:
        first, constraints = schema.get("prefixItems"), _renamed(schema, _LIST)
        if first:
            if "items" in schema or schema.get("minItems") != len(first) or schema.get("maxItems") != len(first):
                return self._json(schema, place)
            inner = (_Place(str(i), element("", i), dtype=_nth(place.dtype, i)) for i in range(len(first)))
            members = tuple(self.node(one, at) for one, at in zip(first, inner, strict=True))
            return replace(self._leaf("tuple", schema, place), members=members)
        item = self.node(schema.get("items", {}), _Place("", element(""), dtype=_item(place.dtype)))
        if item.kind == "label" and not item.nullable:
            description = schema.get("description") or item.description
            return replace(
                self._leaf("labels", schema, place, labels=item.labels, constraints=constraints),
                description=description,
            )
        return replace(self._leaf("list", schema, place, constraints=constraints), item=item)

    def _string(self, schema: JsonObject, place: _Place) -> FormNode:
        kind, zoned = _moment(schema.get("format"), place.dtype)
        if kind is None:
            return self._leaf("text", schema, place, constraints=_renamed(schema, _TEXT))
        return self._leaf(kind, schema, place, constraints={} if zoned is None else {"zoned": zoned})

    def _number(self, schema: JsonObject, place: _Place) -> FormNode:
        kind: Kind = "integer" if schema["type"] == "integer" else "number"
        return self._leaf(kind, schema, place, constraints=_bounds(schema))

    def _boolean(self, schema: JsonObject, place: _Place) -> FormNode:
        return self._leaf("boolean", schema, place)

    def _json(self, schema: JsonObject, place: _Place) -> FormNode:
        return self._leaf("json", schema, place)

    def _leaf(self, kind: Kind, schema: JsonObject, place: _Place, **more: Any) -> FormNode:
        description = schema.get("description")
        return FormNode(
            kind=kind,
            name=place.name,
            title=_title(schema, place.name),
            step=place.step,
            required=place.required,
            description=description if isinstance(description, str) and description.strip() else None,
            **more,
        )

    def _without_null(self, schema: JsonObject) -> tuple[JsonObject, bool]:
        """Return a node without null among its alternatives, and whether null was one."""
        if "anyOf" in schema:
            options = [one for one in schema["anyOf"] if one.get("type") != "null"]
            nullable = len(options) < len(schema["anyOf"])
            beside = {key: value for key, value in schema.items() if key != "anyOf"}
            return ({**options[0], **beside} if len(options) == 1 else {**beside, "anyOf": options}), nullable
        if "enum" in schema:
            values = [value for value in schema["enum"] if value is not None]
            return {**schema, "enum": values}, len(values) < len(schema["enum"])
        types = types_of(schema)
        if "null" in types and len(types) > 1:
            rest = [name for name in types if name != "null"]
            return {**schema, "type": rest[0] if len(rest) == 1 else rest}, True
        return schema, not types and not schema.keys() & _ALTERNATIVES  # what asks for no type takes null, too


_ANY_SCALE: Final = 9  # of decimals whose schema says nothing about places
_NEVER: Final[JsonObject] = {"not": {}}
_KINDS: Final = {
    "object": _Builder._object,
    "array": _Builder._array,
    "string": _Builder._string,
    "integer": _Builder._number,
    "number": _Builder._number,
    "boolean": _Builder._boolean,
}


def _shared(document: Document) -> frozenset[str]:
    """Return the definitions that stand once in a form, however often they are used: else it might have no end."""
    uses = Counter(
        name for node in (document.root, *document.definitions.values()) for name in document.references(node)
    )
    return document.recursive() | {name for name, n in uses.items() if n > 1 and _is_large(document.definitions[name])}


def _is_large(node: JsonObject) -> bool:
    return (
        "anyOf" in node
        or bool({"object", "array"} & set(types_of(node)))
        or len(node.get("enum", ())) > (_MAX_INLINE_LABELS)
    )


def _labels(values: Sequence[Any], description: Any) -> tuple[Label, ...]:
    """Return labels; where all are texts they are named by themselves, else by their JSON."""
    are_texts = all(isinstance(value, str) for value in values)
    lines = _label_lines(description)
    return tuple(
        Label(
            value if are_texts else json_text(value),
            value,
            value if isinstance(value, str) else json_text(value),
            lines.get(value) if isinstance(value, str) else None,
        )
        for value in values
    )


_LABEL_LINE = re.compile(r"([^\n]+?): ([^\n]+)")


def _label_lines(description: Any) -> dict[str, str]:
    """Return what a description says of each label, in lines such as `billing: money or invoices`."""
    lines = description.split("\n") if isinstance(description, str) else ()
    return {match[1]: match[2] for line in lines if (match := _LABEL_LINE.fullmatch(line))}


def _beyond_labels(description: Any, labels: Sequence[Label]) -> str | None:
    if not isinstance(description, str):
        return None
    stated = {f"{label.text}: {label.description}" for label in labels if label.description}
    return "\n".join(line for line in description.split("\n") if line not in stated).strip() or None


def _distinct(values: Sequence[Any]) -> list[Any]:
    return list({json_text(value): value for value in values}.values())


def _discriminator(options: Sequence[JsonObject], schema: JsonObject) -> str | None:
    """Return the member that tells the alternatives apart: in each it is required, and has one value of its own."""
    if not all(one.get("type") == "object" and one.get("properties") for one in options):
        return None
    declared = schema.get("discriminator")
    named = declared.get("propertyName") if isinstance(declared, dict) else None
    return next((name for name in _first(named, options[0]["properties"]) if _tells_apart(name, options)), None)


def _first(named: Any, names: Mapping[str, Any]) -> Iterator[str]:
    if named in names:
        yield cast(str, named)
    yield from names


def _tells_apart(name: str, options: Sequence[JsonObject]) -> bool:
    values = [one["properties"].get(name, {}).get("enum", ()) for one in options]
    required = all(name in one.get("required", ()) for one in options)
    return required and all(len(one) == 1 for one in values) and len({json_text(one) for one in values}) == len(values)


def _tag(option: JsonObject, target: JsonObject, fixed: Any) -> str:
    if fixed is not None:
        return fixed if isinstance(fixed, str) else json_text(fixed)
    title = target.get("title") or str(option.get("$ref", "")).removeprefix("#/$defs/")
    kind = str(target.get("format") or " or ".join(types_of(target)) or "value")
    return title if isinstance(title, str) and title and target.get("type") == "object" else kind


def _title(schema: JsonObject, name: str) -> str:
    """Return the title of a field: its name, unless the schema has a title that says more."""
    title = schema.get("title")
    if not isinstance(title, str) or not title.strip() or title == name.replace("_", " ").title():
        return name
    return title if not name or schema.get("type") not in ("object", "array") else name


def _moment(form: Any, dtype: Any) -> tuple[Kind | None, bool | None]:
    """Return the kind of a text that is a date or time, and whether it has a zone; None, None for another text."""
    if isinstance(dtype, pl.Date):
        return "date", None
    if isinstance(dtype, pl.Datetime):
        return "datetime", dtype.time_zone is not None
    if isinstance(dtype, pl.Time):
        return "time", False
    if isinstance(dtype, pl.Duration):
        return "duration", None
    kind = _MOMENTS.get(form) if isinstance(form, str) else None
    if kind in ("date", "datetime") and dtype is not None:
        return None, None  # formats are not asserted here: any text is valid
    return kind, True if kind in ("datetime", "time") else None


def _bounds(schema: JsonObject) -> dict[str, str]:
    """Return the bounds of numbers, as text."""
    return {name: json_text(value) for name, value in _renamed(schema, _BOUNDS).items()}


def _renamed(schema: JsonObject, names: Mapping[str, str]) -> dict[str, Any]:
    return {ours: schema[keyword] for keyword, ours in names.items() if keyword in schema}


def _field(dtype: Any, *names: str) -> Any:
    """Return the type of the first of these fields that a struct has, None where it has none."""
    fields = dict(dtype.to_schema()) if isinstance(dtype, pl.Struct) else {}
    return next((fields[name] for name in names if name in fields), None)


def _item(dtype: Any) -> Any:
    return dtype.inner if isinstance(dtype, pl.List | pl.Array) else None


def _nth(dtype: Any, index: int) -> Any:
    fields = dtype.fields if isinstance(dtype, pl.Struct) else []
    return fields[index].dtype if index < len(fields) else None
