"""The drafts of JSON Schema: which one a schema is written in, what it asserts, and whether the schema keeps to it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from jsonschema_specifications import REGISTRY as META_SCHEMAS  # type: ignore[import-untyped]  # it ships no types
from referencing import Specification
from referencing.jsonschema import DRAFT4, DRAFT6, DRAFT7, DRAFT201909, DRAFT202012

from extract.errors import SchemaError
from extract.json_types import JsonObject
from extract.schema.keywords import MARK, child_path

if TYPE_CHECKING:
    from jsonschema import FormatChecker
    from jsonschema.protocols import Validator

__all__ = [
    "DIALECTS",
    "LATEST",
    "META_SCHEMAS",
    "Dialect",
    "declared_dialect",
    "dialect_of",
    "latest_formats",
    "violation_of",
]

_LATEST_KEYWORDS = """$dynamicRef $ref additionalProperties allOf anyOf const contains dependentRequired
    dependentSchemas enum exclusiveMaximum exclusiveMinimum format if items maxItems maxLength maxProperties maximum
    minItems minLength minProperties minimum multipleOf not oneOf pattern patternProperties prefixItems properties
    propertyNames required type unevaluatedItems unevaluatedProperties uniqueItems"""


@dataclass(frozen=True, slots=True)
class Dialect:
    """One draft of JSON Schema: its validator and its rules for identifiers."""

    name: str
    specification: Specification[Any]
    asserted: frozenset[str] | None = None  # else those of the validator

    @property
    def validator(self) -> type[Validator]:
        """The validator of jsonschema, imported here since where Jupyter is installed that takes two seconds."""
        name = "".join(self.name.removeprefix("draft-").split("-"))
        return cast("type[Validator]", getattr(import_module("jsonschema"), f"Draft{name}Validator"))

    @property
    def siblings_count(self) -> bool:
        """Whether keywords beside `$ref` count; before 2019-09 they are ignored."""
        return self.name in ("2019-09", "2020-12")

    @property
    def keywords(self) -> frozenset[str]:
        """The keywords that this draft asserts; all others are only annotations."""
        asserted = set(self.asserted or self.validator.VALIDATORS)
        asserted |= {"exclusiveMinimum", "exclusiveMaximum"}  # flags in draft 4
        if "if" in asserted:
            asserted |= {"then", "else"}
        if self.siblings_count:
            asserted |= {"minContains", "maxContains"}
        return frozenset(asserted | {MARK, "description", "title", "discriminator"})


DIALECTS = {
    "http://json-schema.org/draft-04/schema": Dialect("draft-4", DRAFT4),
    "http://json-schema.org/draft-06/schema": Dialect("draft-6", DRAFT6),
    "http://json-schema.org/draft-07/schema": Dialect("draft-7", DRAFT7),
    "https://json-schema.org/draft/2019-09/schema": Dialect("2019-09", DRAFT201909),
    "https://json-schema.org/draft/2020-12/schema": Dialect(
        "2020-12", DRAFT202012, frozenset(_LATEST_KEYWORDS.split())
    ),
}
LATEST = DIALECTS["https://json-schema.org/draft/2020-12/schema"]
#: Tried in this order for a schema without `$schema`; the first one whose meta-schema accepts it is used.
_ASSUMED_DIALECTS = [
    LATEST,
    DIALECTS["http://json-schema.org/draft-07/schema"],
    DIALECTS["http://json-schema.org/draft-04/schema"],
]
_LATEST_ALIASES = {"http://json-schema.org/schema", "https://json-schema.org/schema"}


@cache
def latest_formats() -> FormatChecker:
    """Return the formats of the latest draft, which count in all drafts, so that `date` in draft 4 is a date."""
    checkers = LATEST.validator.FORMAT_CHECKER.checkers
    formats = _no_formats()
    formats.checkers = {**checkers, "regex": (checkers["regex"][0], (re.error, OverflowError, RecursionError))}
    return formats


def _no_formats() -> FormatChecker:
    return cast("FormatChecker", import_module("jsonschema").FormatChecker(()))


def dialect_of(schema: JsonObject | bool) -> Dialect:
    """Return the dialect of a root schema, having checked the schema against it.

    Raises SchemaError for an unknown dialect and for a schema that its own dialect forbids.
    """
    declared = schema.get("$schema") if isinstance(schema, dict) else None
    if declared is not None:
        dialect = declared_dialect(declared)
        if violation := violation_of(schema, dialect):
            raise violation
        return dialect
    errors = []
    for dialect in _ASSUMED_DIALECTS:
        if (violation := violation_of(schema, dialect)) is None:
            return dialect
        errors.append(violation)
    raise errors[0]


def declared_dialect(uri: Any) -> Dialect:
    """Return the dialect that a `$schema` names. SchemaError for one that is unknown here."""
    name = str(uri).rstrip("#").strip()
    if name in _LATEST_ALIASES:
        return LATEST
    known = DIALECTS.get(name) or DIALECTS.get(name.replace("https:", "http:", 1).rstrip("/"))
    if known is None:
        raise SchemaError(f"$schema {name!r} is not a dialect known here; use draft 4 to 2020-12, or leave it out")
    return known


def violation_of(schema: JsonObject | bool, dialect: Dialect) -> SchemaError | None:
    """Return what is wrong with a schema by the rules of its own draft, None where nothing is."""
    try:
        # Without formats: those of a pattern are not Python's, and `normalise` checks them.
        cast(Any, dialect.validator).check_schema(schema, format_checker=_no_formats())
    except import_module("jsonschema.exceptions").SchemaError as error:
        message = f"not a valid {dialect.name} JSON Schema: {error.message[:200]}"
        return SchemaError(message, path=_instance_path(error.absolute_path))
    except RecursionError:
        return SchemaError("nested too deeply to be read")
    return None


def _instance_path(steps: Iterable[str | int]) -> str:
    """Return the JSON path of the values that the subschema at `steps` applies to."""
    path, rest = "$", iter(steps)
    for keyword in rest:
        name = next(rest, None) if keyword in ("properties", "patternProperties", "prefixItems") else None
        path = path if keyword == "properties" and name is None else child_path(path, str(keyword), name)
    return path
