"""Which members of an object a schema has judged: what `unevaluatedProperties` needs to know.

The validator's own search gives patterns to Python's `re`; this one is told how to match them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from referencing.jsonschema import lookup_recursive_ref

__all__ = ["evaluated_names"]


def evaluated_names(
    validator: Any, instance: Mapping[str, Any], schema: Any, search: Callable[[str, str], bool]
) -> set[str]:
    """Return the members of an object that a schema judges, or one that it applies to the same object."""
    if isinstance(schema, bool):
        return set()
    names = _here(validator, instance, schema, search)
    for inner, subschema in _applied(validator, instance, schema):
        names |= evaluated_names(inner, instance, subschema, search)
    return names


def _here(
    validator: Any, instance: Mapping[str, Any], schema: Mapping[str, Any], search: Callable[[str, str], bool]
) -> set[str]:
    names = {name for name in schema.get("properties", ()) if name in instance}
    names |= {name for pattern in schema.get("patternProperties", ()) for name in instance if search(pattern, name)}
    for keyword in ("additionalProperties", "unevaluatedProperties"):
        if keyword in schema:
            allowed = schema[keyword]
            names |= {name for name, value in instance.items() if next(validator.descend(value, allowed), None) is None}
    return names


def _applied(validator: Any, instance: Any, schema: Mapping[str, Any]) -> Iterator[tuple[Any, Any]]:
    """Yield the schemas that apply to the same object and fit it, each with the validator of its place."""
    yield from _referred(validator, schema)
    for name, subschema in schema.get("dependentSchemas", {}).items():
        if name in instance:
            yield validator, subschema
    for keyword in ("allOf", "oneOf", "anyOf"):
        for subschema in schema.get(keyword, ()):
            if next(validator.descend(instance, subschema), None) is None:
                yield validator, subschema
    if "if" in schema:
        fits = validator.evolve(schema=schema["if"]).is_valid(instance)
        for keyword in ("if", "then") if fits else ("else",):
            if keyword in schema:
                yield validator, schema[keyword]


def _referred(validator: Any, schema: Mapping[str, Any]) -> Iterator[tuple[Any, Any]]:
    resolver = validator._resolver
    targets = [resolver.lookup(schema[keyword]) for keyword in ("$ref", "$dynamicRef") if keyword in schema]
    if "$recursiveRef" in schema:
        targets.append(lookup_recursive_ref(resolver))
    for target in targets:
        yield validator.evolve(schema=target.contents, _resolver=target.resolver), target.contents
