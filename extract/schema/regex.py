"""Matches the regular expressions of a JSON Schema in linear time, so that no answer can stall a run.

Python's `re` takes exponential time for some patterns, such as `^(a+)+$`, and blocks the whole process meanwhile. The
engine of pydantic-core (Rust's regex) is always linear. It has no look-around and no back-references: a pattern that
needs them, or that it finds too large, is refused when the schema is compiled, and never given to `re`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache, lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from pydantic_core import SchemaError as InvalidPattern
from pydantic_core import SchemaValidator, core_schema

from extract.errors import SchemaError
from extract.schema.evaluated import evaluated_names
from extract.schema.patterns import conditions, in_rust

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError
    from jsonschema.protocols import Validator

__all__ = ["fault_of", "linear", "search"]


def search(pattern: str, text: str) -> bool:
    """Return whether a pattern of a JSON Schema matches somewhere in a text. SchemaError where `fault_of` has one."""
    return all(matches(text) == wanted for matches, wanted in _matchers(pattern))


def fault_of(pattern: str) -> str | None:
    """Return why a pattern cannot be used, None where it can."""
    try:
        _matchers(pattern)
    except SchemaError as error:
        return str(error)
    return None


@lru_cache(maxsize=1_024)
def _matchers(pattern: str) -> list[tuple[Callable[[str], bool], bool]]:
    try:
        return [(_matcher(in_rust(one)), wanted) for one, wanted in conditions(pattern)]
    except InvalidPattern as error:
        raise SchemaError(_refusal(pattern, str(error))) from None


def _matcher(pattern: str) -> Callable[[str], bool]:
    rust = core_schema.str_schema(pattern=pattern, regex_engine="rust-regex", strict=True)
    return SchemaValidator(rust).isinstance_python


def _refusal(pattern: str, reported: str) -> str:
    shown = pattern if len(pattern) <= 100 else f"{pattern[:97]}..."
    head = f"the regular expression {shown!r} cannot be used"
    if "look-around" in reported or "backreferences" in reported:
        return (
            f"{head}: it needs a look-around or a reference back, which can take for ever; look-aheads right after ^ "
            "are fine"
        )
    if "size limit" in reported:
        return f"{head}: it is too large; say how long a text may be with maxLength"
    last = next((line.strip() for line in reversed(reported.splitlines()) if line.strip()), "it cannot be read")
    return f"{head}: {last[:200]}"


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
    if "unevaluatedProperties" in validator.VALIDATORS:
        changed["unevaluatedProperties"] = _unevaluated
    return cast("type[Validator]", import_module("jsonschema.validators").extend(validator, changed))


def _violation(message: str) -> ValidationError:
    return cast("ValidationError", import_module("jsonschema.exceptions").ValidationError(message))


def _pattern(validator: Any, pattern: str, instance: Any, _: Any) -> Iterator[ValidationError]:
    if validator.is_type(instance, "string") and not search(pattern, instance):
        yield _violation(f"{instance!r} does not match {pattern!r}")


def _pattern_properties(validator: Any, patterns: Any, instance: Any, _: Any) -> Iterator[ValidationError]:
    if not validator.is_type(instance, "object"):
        return
    for pattern, subschema in patterns.items():
        for name, value in instance.items():
            if search(pattern, name):
                yield from validator.descend(value, subschema, path=name, schema_path=pattern)


def _unevaluated(validator: Any, allowed: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if not validator.is_type(instance, "object"):
        return
    evaluated = evaluated_names(validator, instance, schema, search)
    left = [name for name in instance if name not in evaluated]
    invalid = [name for name in left if next(validator.descend(instance[name], allowed), None) is not None]
    if invalid:
        names = ", ".join(map(repr, sorted(invalid)))
        yield _violation(f"Unevaluated properties are not allowed ({names} unexpected)")
