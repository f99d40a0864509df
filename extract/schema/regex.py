"""Matches the regular expressions of a schema in linear time, so that no answer can stall a run.

Python's `re` takes exponential time for some patterns, such as `^(a+)+$`, and blocks the whole process meanwhile. The
engine of pydantic-core (Rust's regex) is always linear. It has no look-around and no back-references; patterns with
these still use `re`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache, lru_cache
from typing import Any, cast

from jsonschema.exceptions import ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend
from pydantic_core import SchemaError, SchemaValidator, core_schema

__all__ = ["linear", "search"]

# Inside brackets these are literal characters in Python and in JSON Schema, but set operations in Rust.
_SET_OPERATIONS = re.compile(r"&&|--|~~|\[[^\]]*\[")


def search(pattern: str, text: str) -> bool:
    """Return whether a pattern matches somewhere in a text."""
    return _searcher(pattern)(text)


@lru_cache(maxsize=1_024)
def _searcher(pattern: str) -> Callable[[str], bool]:
    if not _SET_OPERATIONS.search(pattern):
        try:
            rust = core_schema.str_schema(pattern=pattern, regex_engine="rust-regex", strict=True)
            return SchemaValidator(rust).isinstance_python
        except SchemaError:  # a pattern that Rust's engine does not support, or finds too large
            pass
    compiled = re.compile(pattern)
    return lambda text: compiled.search(text) is not None


@cache
def linear(validator: type[Validator]) -> type[Validator]:
    """Return a validator class like `validator` that matches patterns with `search`."""
    original = validator.VALIDATORS["additionalProperties"]

    def additional(self: Any, allowed: Any, instance: Any, schema: Mapping[str, Any]) -> Iterator[ValidationError]:
        patterns = schema.get("patternProperties")
        if not patterns or not isinstance(instance, dict):
            yield from original(self, allowed, instance, schema)
            return
        left = {name: value for name, value in instance.items() if not any(search(one, name) for one in patterns)}
        yield from original(self, allowed, left, {**schema, "patternProperties": {}})

    changed = {"pattern": _pattern, "patternProperties": _pattern_properties, "additionalProperties": additional}
    return cast("type[Validator]", cast(Any, extend)(validator, changed))


def _pattern(validator: Any, pattern: str, instance: Any, _: Any) -> Iterator[ValidationError]:
    if validator.is_type(instance, "string") and not search(pattern, instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


def _pattern_properties(validator: Any, patterns: Any, instance: Any, _: Any) -> Iterator[ValidationError]:
    if not validator.is_type(instance, "object"):
        return
    for pattern, subschema in patterns.items():
        for name, value in instance.items():
            if search(pattern, name):
                yield from validator.descend(value, subschema, path=name, schema_path=pattern)
