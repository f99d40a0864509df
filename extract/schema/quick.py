"""A quick yes for JSON values that fit a schema: in Rust, and only where it is proven to agree with the validator.

`jsonschema` stays the judge. What is not accepted here goes to it, and its words are those of an issue. A yes is taken
only for schemas that are made of the keywords in `PROVEN`, whose verdicts are compared with those of jsonschema by
`tests/schema/test_quick.py`: in generated schemas of every draft, and in the conformance suite.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, Final

from extract.json_types import JsonObject
from extract.schema.drafts import Dialect, latest_formats
from extract.schema.keywords import map_subschemas, nodes
from extract.schema.regex import search

__all__ = ["PROVEN", "QuickCheck"]

#: Left to jsonschema are `multipleOf` and `uniqueItems`, whose arithmetic and equality differ, `patternProperties`,
#: `$dynamicRef`, `unevaluated*`, and every keyword that is not known.
PROVEN: Final = frozenset({
    "type", "enum", "const", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength",
    "pattern", "format", "items", "prefixItems", "additionalItems", "minItems", "maxItems", "contains", "minContains",
    "maxContains", "properties", "required", "additionalProperties", "propertyNames", "minProperties", "maxProperties",
    "dependencies", "dependentRequired", "dependentSchemas", "allOf", "anyOf", "oneOf", "not", "if", "then", "else",
    "$ref",
})  # fmt: skip
#: Keywords that assert nothing, in any draft.
_SILENT = frozenset({
    "$defs", "definitions", "title", "description", "default", "examples", "example", "deprecated", "readOnly",
    "writeOnly", "$comment", "discriminator",
})  # fmt: skip
_ROOT_ONLY = frozenset({"$schema", "$id", "id"})
_NUMERIC = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "enum", "const"})
#: Integers up to here are exact as doubles, in which Rust compares them with bounds and fixed values.
_EXACT = 2**53 - 1
_LOCAL = re.compile(r"#(?:/[A-Za-z0-9_.$-]+)*")
_BOUNDED = "x-extract-exact"

_VALIDATORS = {
    "draft-4": "Draft4Validator",
    "draft-6": "Draft6Validator",
    "draft-7": "Draft7Validator",
    "2019-09": "Draft201909Validator",
    "2020-12": "Draft202012Validator",
}


class QuickCheck:
    """Whether it is certain that a JSON value fits a schema; made at the first value, as not every schema meets one."""

    def __init__(self, schema: JsonObject | bool, dialect: Dialect, *, assert_formats: bool) -> None:
        self._source = (schema, dialect, assert_formats)
        self._accepts: Callable[[Any], bool] | None = None

    def __call__(self, value: Any) -> bool:
        if self._accepts is None:
            self._accepts = _check_of(*self._source)
        try:
            return self._accepts(value)
        except (ValueError, TypeError, OverflowError):  # too deep, or a number or text that Rust does not have
            return False


def _never(_: Any) -> bool:
    return False


def _check_of(schema: JsonObject | bool, dialect: Dialect, assert_formats: bool) -> Callable[[Any], bool]:
    """Return the check in Rust, one that accepts nothing for a schema that is not of proven keywords."""
    if not isinstance(schema, dict) or not _is_proven(schema, dialect):
        return _never
    formats: dict[str, Callable[[str], bool]] = {}
    plain = {key: value for key, value in schema.items() if key not in _ROOT_ONLY}
    written = _with_our_formats(plain, formats, assert_formats=assert_formats)
    validator = getattr(_rust(), _VALIDATORS[dialect.name])
    try:
        made = validator(_exact(written), formats=formats, validate_formats=True, offline=True)
    except Exception:  # Rust refuses the schema, as in `$defs` of a draft whose meta-schema does not look there
        return _never
    check: Callable[[Any], bool] = made.is_valid
    return check


def _rust() -> ModuleType:
    import jsonschema_rs  # noqa: PLC0415 - takes 23 ms, which only the answers to a JSON Schema need

    return jsonschema_rs


def _is_proven(schema: JsonObject, dialect: Dialect) -> bool:
    if "$ref" in schema and not dialect.siblings_count and schema.keys() - _SILENT - _ROOT_ONLY - {"$ref"}:
        return False  # keywords beside the reference of a root are not read; `_exact` would have them read
    known = {id(node): node for node in nodes(schema)}
    allowed = (PROVEN & dialect.keywords) | _SILENT
    return all(
        node.keys() <= allowed | (_ROOT_ONLY if node is schema else frozenset())
        and all(abs(number) <= _EXACT for number in _numbers({key: node[key] for key in node.keys() & _NUMERIC}))
        and ("$ref" not in node or _leads_to(node["$ref"], schema, known))
        for node in known.values()
    )


def _leads_to(reference: Any, schema: JsonObject, known: dict[int, JsonObject]) -> bool:
    """Whether a reference leads to a node of the schema, by names that are written in one way only."""
    if not isinstance(reference, str) or not _LOCAL.fullmatch(reference):
        return False
    target: Any = schema
    for step in reference.split("/")[1:]:
        try:
            target = target[int(step) if isinstance(target, list) else step]
        except (KeyError, IndexError, ValueError, TypeError):
            return False
    return id(target) in known


def _numbers(value: Any) -> Iterator[float]:
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _numbers(inner)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield value


def _with_our_formats(
    node: JsonObject, formats: dict[str, Callable[[str], bool]], *, assert_formats: bool
) -> JsonObject:
    """Return a schema in which `pattern` and `format` are formats of our own: Rust asks the functions of the judge."""

    def changed(item: Any, _keyword: str, _name: str | int | None) -> Any:
        return _with_our_formats(item, formats, assert_formats=assert_formats) if isinstance(item, dict) else item

    node = map_subschemas(node, changed)
    pattern, name = node.pop("pattern", None), node.pop("format", None)
    ours = latest_formats()
    if name not in ours.checkers or not assert_formats:
        name = None
    if pattern is None and name is None:
        return node

    def accepts(text: str) -> bool:
        return (pattern is None or search(pattern, text)) and (name is None or ours.conforms(text, name))

    own = f"x-extract-{len(formats)}"
    formats[own] = accepts
    return {**node, "format": own}


def _exact(schema: JsonObject) -> JsonObject:
    """Return a schema that also asks for integers that doubles hold, if it compares numbers at all."""
    if not any(_NUMERIC & node.keys() for node in nodes(schema)):
        return schema
    inside = {"$ref": f"#/definitions/{_BOUNDED}"}
    bounded = {"minimum": -_EXACT, "maximum": _EXACT, "items": inside, "additionalProperties": inside}
    definitions = {**schema.get("definitions", {}), _BOUNDED: bounded}
    every = {key: value for key, value in schema.items() if key != "$ref"}
    refers = [{"$ref": schema["$ref"]}] if "$ref" in schema else []
    return {**every, "definitions": definitions, "allOf": [*schema.get("allOf", ()), *refers, inside]}
