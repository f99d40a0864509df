"""Python types -> a JSON Schema with marks, which describe what the schema alone cannot say about the Python value."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from pydantic.errors import PydanticInvalidForJsonSchema
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, JsonSchemaWarningKind
from pydantic_core import core_schema

from extract.json_types import JsonObject
from extract.schema.keywords import LOST, MARK
from extract.schema.wire_keys import wire_key, with_own_keys

__all__ = ["Mark", "MarkedJsonSchema", "without_marks"]

Kind: TypeAlias = Literal[
    "aware_datetime", "aware_time", "bytes", "date", "decimal", "duration", "json", "local_datetime", "local_time",
    "mapping", "named_tuple", "object",
]  # fmt: skip

_BYTES_FORMATS = {"utf8": "binary", "base64": "base64url", "hex": "hex"}
_LOCAL_DATETIME = "Local date and time without a zone, such as 2024-05-01T09:30:00."
_LOCAL_TIME = "Local time of day without a zone, such as 09:30:00."


@dataclass(frozen=True, slots=True)
class Mark:
    """The Python side of a schema node.

    `names` pairs each key on the wire with the field's name; `cls` is the class of the node's values. `scale` is the
    number of decimal places, None for a type without a limit. `hint` is a sentence for the node's description, which is
    sent. `computed` pairs the name of each computed field with its type.
    """

    kind: Kind
    cls: type | None = None
    names: tuple[tuple[str, str], ...] = ()
    scale: int | None = None
    hint: str = ""
    computed: tuple[tuple[str, Any], ...] = ()


def without_marks(node: Any) -> Any:
    """Return a deep copy of a marked schema as plain JSON."""
    if isinstance(node, dict):
        return {key: without_marks(value) for key, value in node.items() if key != LOST and not isinstance(value, Mark)}
    return [without_marks(item) for item in node] if isinstance(node, list | tuple) else node


def member_names(node: Any) -> dict[str, str]:
    """Return field names by wire key, for keys that differ from the name and have the same one in all classes."""
    names_by_key: dict[str, set[str]] = {}
    for mark in _marks(node):
        for key, name in mark.names:
            names_by_key.setdefault(key, set()).add(name)
    return {key: name for key, names in names_by_key.items() for name in names if len(names) == 1 and name != key}


def _marks(node: Any) -> Iterator[Mark]:
    if isinstance(node, Mark):
        yield node
    elif isinstance(node, dict | list | tuple):
        for inner in node.values() if isinstance(node, dict) else node:
            yield from _marks(inner)


class MarkedJsonSchema(GenerateJsonSchema):
    """Pydantic's generator with keys in declared order, plus marks.

    Where pydantic's schema and its validation differ, this follows the validation: a datetime without a zone is not an
    RFC 3339 `date-time`, and the format of bytes follows `val_json_bytes`.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._bytes_mode = ["utf8"]
        super().__init__(*args, **kwargs)

    def sort(self, value: JsonSchemaValue, parent_key: str | None = None) -> JsonSchemaValue:  # noqa: ARG002
        return value

    def emit_warning(self, kind: JsonSchemaWarningKind, detail: str) -> None:
        if kind == "skipped-choice":  # a union would silently lose a member
            raise PydanticInvalidForJsonSchema(detail)

    def decimal_schema(self, schema: core_schema.DecimalSchema) -> JsonSchemaValue:
        # One node says the same as two branches: number keywords only apply to numbers, string keywords to strings.
        number, text = super().decimal_schema(schema)["anyOf"]
        merged = {**number, **text, "type": ["number", "string"]}
        places = schema.get("decimal_places")
        # Text is accepted too, so that no digit is lost; without the hint, models write "486,50 EUR" into it.
        hint = "A plain decimal number" + ("." if places is None else f" of at most {places} decimal places.")
        return merged | {MARK: Mark("decimal", scale=places, hint=hint)}

    def date_schema(self, schema: core_schema.DateSchema) -> JsonSchemaValue:
        return super().date_schema(schema) | {MARK: Mark("date")}

    def datetime_schema(self, schema: core_schema.DatetimeSchema) -> JsonSchemaValue:
        if _has_zone(schema):
            return super().datetime_schema(schema) | {MARK: Mark("aware_datetime")}
        return {"type": "string", MARK: Mark("local_datetime", hint=_LOCAL_DATETIME)}

    def time_schema(self, schema: core_schema.TimeSchema) -> JsonSchemaValue:
        if _has_zone(schema):
            return super().time_schema(schema) | {MARK: Mark("aware_time")}
        return {"type": "string", MARK: Mark("local_time", hint=_LOCAL_TIME)}

    def timedelta_schema(self, schema: core_schema.TimedeltaSchema) -> JsonSchemaValue:
        return super().timedelta_schema(schema) | {MARK: Mark("duration")}

    def bytes_schema(self, schema: core_schema.BytesSchema) -> JsonSchemaValue:
        return super().bytes_schema(schema) | {"format": _BYTES_FORMATS[self._bytes_mode[-1]], MARK: Mark("bytes")}

    def json_schema(self, schema: core_schema.JsonSchema) -> JsonSchemaValue:
        return super().json_schema(schema) | {MARK: Mark("json", hint="JSON text.")}

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        self._bytes_mode.append(schema["cls"].model_config.get("val_json_bytes", "utf8"))
        try:
            generated = super().model_schema(schema)
        finally:
            self._bytes_mode.pop()
        return generated if schema.get("root_model") else _with_computed(_with_class(generated, schema["cls"]))

    def model_fields_schema(self, schema: core_schema.ModelFieldsSchema) -> JsonSchemaValue:
        fields: Any = dict(with_own_keys(schema["fields"].items()))
        return _with_names(super().model_fields_schema({**schema, "fields": fields}), "object", fields.items())

    def dataclass_schema(self, schema: core_schema.DataclassSchema) -> JsonSchemaValue:
        return _with_class(super().dataclass_schema(schema), schema["cls"])

    def dataclass_args_schema(self, schema: core_schema.DataclassArgsSchema) -> JsonSchemaValue:
        fields: Any = with_own_keys((field["name"], field) for field in schema["fields"])
        changed: Any = {**schema, "fields": [field for _, field in fields]}
        return _with_names(super().dataclass_args_schema(changed), "object", fields)

    def typed_dict_schema(self, schema: core_schema.TypedDictSchema) -> JsonSchemaValue:
        fields: Any = dict(with_own_keys(schema["fields"].items()))
        generated = _with_names(super().typed_dict_schema({**schema, "fields": fields}), "mapping", fields.items())
        return _with_class(generated, schema.get("cls"))

    def named_tuple_schema(self, schema: Any) -> JsonSchemaValue:
        generated = super().named_tuple_schema(schema)
        return generated | {MARK: _named_tuple(schema["cls"])}

    def call_schema(self, schema: core_schema.CallSchema) -> JsonSchemaValue:
        generated = super().call_schema(schema)
        cls = schema["function"]  # how pydantic before 2.14 spells a NamedTuple
        return generated | {MARK: _named_tuple(cls)} if hasattr(cls, "_fields") else generated


def _has_zone(schema: Mapping[str, Any]) -> bool:
    return schema.get("tz_constraint") not in (None, "naive")


def _named_tuple(cls: Any) -> Mark:
    return Mark("named_tuple", cls=cls, names=tuple((name, name) for name in cls._fields))


def _with_class(generated: JsonObject, cls: type | None) -> JsonObject:
    mark = generated.get(MARK)
    return generated | {MARK: replace(mark, cls=cls)} if isinstance(mark, Mark) else generated


def _with_computed(generated: JsonObject) -> JsonObject:
    mark = generated.get(MARK)
    if not isinstance(mark, Mark):
        return generated
    fields = getattr(mark.cls, "model_computed_fields", {})
    computed = tuple((name, field.return_type) for name, field in fields.items())
    return generated | {MARK: replace(mark, computed=computed)}


def _with_names(generated: JsonObject, kind: Kind, fields: Iterable[tuple[str, Any]]) -> JsonObject:
    present = generated.get("properties", {})
    pairs = ((wire_key(name, field.get("validation_alias", name)), name) for name, field in fields)
    names = tuple((key if key in present else name, name) for key, name in pairs)
    return generated | {MARK: Mark(kind, names=tuple(pair for pair in names if pair[0] in present))}
