"""The text of an answer -> a validated value, or issues with JSON paths.

The messages of issues are sent to the model when an answer is repaired: a change of one changes these requests.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import import_module
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, from_json

from extract.errors import InvalidAnswer, Issue
from extract.json_types import JsonObject, json_text
from extract.schema.drafts import LATEST, META_SCHEMAS, Dialect, declared_dialect, latest_formats
from extract.schema.keywords import element, map_subschemas, member
from extract.schema.multiples import in_decimal
from extract.schema.normalise import resolver_of
from extract.schema.regex import linear

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError as SchemaViolation
    from jsonschema.protocols import Validator

__all__ = [
    "Place",
    "issue_of",
    "parse",
    "pointer_validator",
    "python_places",
    "python_reader",
    "schema_places",
    "schema_reader",
    "schema_validator",
]

#: A position in a JSON value: names of members and indices of elements from the root on, () for the root.
Place: TypeAlias = tuple[str | int, ...]

_MAX_MESSAGE_LENGTH = 200
#: An answer may have a million faults; this many are reported, in the order of the answer.
_MAX_ISSUES = 100


def parse(text: str) -> Any:
    """Return the JSON value of `text`.

    Raises InvalidAnswer for anything that is not one whole JSON value, and for an object with the same member twice:
    parsers silently keep the last one, but which of them was meant would be a guess.
    """
    try:
        value = from_json(text, allow_inf_nan=False)
    except (ValueError, TypeError) as error:  # TypeError for a text with half a character
        raise InvalidAnswer((Issue("$", f"not JSON: {error}"),)) from None
    _DUPLICATE_CHECK.decode(text)
    return value


def _unique_members(members: list[tuple[str, Any]]) -> JsonObject:
    members_by_name = dict(members)
    if len(members_by_name) < len(members):
        names = [name for name, _ in members]
        twice = next(name for name in members_by_name if names.count(name) > 1)
        raise InvalidAnswer((Issue("$", _shortened(f"an object names the member {json_text(twice)} twice")),))
    return members_by_name


#: Sees duplicate members, which `from_json` drops. Integers are read as floats, as long ones would be refused.
_DUPLICATE_CHECK = json.JSONDecoder(object_pairs_hook=_unique_members, parse_int=float, strict=False)


def python_reader(adapter: TypeAdapter[Any]) -> Callable[[str], Any]:
    """Return the function from text to a value of the adapter's type.

    Strict about shape, lax for types that JSON does not have (dates, decimals, enums, tuples, sets, bytes). It raises
    InvalidAnswer; whatever a user's validator raises becomes an issue too.
    """

    def read(text: str) -> Any:
        answer = parse(text)
        try:
            return adapter.validate_json(text, strict=True)
        except ValidationError as error:
            raise InvalidAnswer(_python_issues(error.errors(include_url=False)[:_MAX_ISSUES], answer)) from error
        except Exception as error:  # a user's validator fails: the row is invalid, the run goes on
            raise InvalidAnswer(
                (Issue("$", _shortened(f"a validator raised {type(error).__name__}: {error}")),)
            ) from error

    return read


def python_places(adapter: TypeAdapter[Any]) -> Callable[[Any], Iterator[Place]]:
    """Return the function from a JSON value to the places where it does not fit the adapter's type."""

    def places(answer: Any) -> Iterator[Place]:
        try:
            adapter.validate_json(json_text(answer), strict=True)
        except ValidationError as error:
            for item in error.errors(include_url=False, include_context=False, include_input=False):
                yield _place(item["loc"], answer, missing=item["type"] == "missing")[0]
        except Exception:  # a user's validator failed, without a place
            return

    return places


def schema_places(validator: Validator, *, inside: str | None = None) -> Callable[[Any], Iterator[Place]]:
    """Return the function from a JSON value to the places where it does not fit the validator's schema.

    `inside` as in `schema_reader`; places are seen from the whole answer. It raises what `schema_reader` raises, and
    RecursionError for a value too deep to be checked.
    """
    root: Place = () if inside is None else (inside,)

    def places(answer: Any) -> Iterator[Place]:
        value = answer if inside is None else _only_member(answer, inside)
        for violation in validator.iter_errors(value):
            yield from (root + place for place in _violated(violation))

    return places


def _violated(violation: SchemaViolation) -> Iterator[Place]:
    """Yield where a violation lies: for alternatives, where each of them is violated."""
    for inner in violation.context or ():
        yield from _violated(inner)
    if not violation.context:
        yield tuple(violation.absolute_path)


def schema_validator(schema: JsonObject | bool, dialect: Dialect, *, assert_formats: bool) -> Validator:
    """Return a validator that only resolves references into `schema` and the meta-schemas."""
    schema = _undeclared(schema, dialect)
    return _validator(schema, dialect, assert_formats, _resolver=resolver_of(schema, dialect))


def pointer_validator(schema: JsonObject, *, assert_formats: bool) -> Validator:
    """Return a validator of a schema in normal form: of the latest draft, with nothing but pointers for references."""
    return _validator(schema, LATEST, assert_formats)


def _validator(schema: JsonObject | bool, dialect: Dialect, assert_formats: bool, **options: Any) -> Validator:
    validator: Any = in_decimal(linear(dialect.validator))
    formats = latest_formats() if assert_formats else None
    return cast("Validator", validator(schema, registry=META_SCHEMAS, format_checker=formats, **options))


def _undeclared(schema: Any, dialect: Dialect) -> Any:
    """Return a schema without the `$schema` of its own dialect, at every depth.

    The validator takes a subschema that names a dialect, such as the root behind `"$ref": "#"`, to one of its own
    classes, which gives patterns to Python's `re`.
    """
    if not isinstance(schema, dict):
        return schema
    node = map_subschemas(schema, lambda item, _keyword, _name: _undeclared(item, dialect))
    if isinstance(name := node.get("$schema"), str) and declared_dialect(name) is dialect:
        del node["$schema"]
    return node


def schema_reader(
    validator: Validator, accepts: Callable[[Any], bool], *, inside: str | None = None
) -> Callable[[str], Any]:
    """Return the function from text to a JSON value that fits the validator's schema. It raises InvalidAnswer.

    What `accepts` says yes to is not given to the validator. With `inside`, the answer is an object whose only member,
    of that name, holds the value.
    """
    root = "$" if inside is None else member("$", inside)

    def read(text: str) -> Any:
        answer = parse(text)
        value = answer if inside is None else _only_member(answer, inside)
        if accepts(value):
            return value
        try:
            violations = list(islice(validator.iter_errors(value), _MAX_ISSUES))
        except RecursionError:
            raise InvalidAnswer((Issue(root, "nested too deeply to be checked"),)) from None
        if violations:
            raise InvalidAnswer(_unique(issue_of(violation, root) for violation in violations))
        return value

    return read


def _only_member(answer: Any, name: str) -> Any:
    if isinstance(answer, dict) and list(answer) == [name]:
        return answer[name]
    raise InvalidAnswer((Issue("$", f"must be an object with the one member {name!r}"),))


def _unique(issues: Iterable[Issue]) -> tuple[Issue, ...]:
    return tuple(dict.fromkeys(issues))


def _shortened(message: str) -> str:
    return message if len(message) <= _MAX_MESSAGE_LENGTH else message[: _MAX_MESSAGE_LENGTH - 3] + "..."


def _python_issues(errors: Sequence[ErrorDetails], answer: Any) -> tuple[Issue, ...]:
    issues = []
    for error in errors:
        place, labels = _place(error["loc"], answer, missing=error["type"] == "missing")
        message = _shortened(error["msg"])
        issues.append(Issue(_path(place), f"{message} (as {', '.join(labels)})" if labels else message))
    return _unique(issues)


def _place(location: Sequence[str | int], answer: Any, *, missing: bool) -> tuple[Place, list[str]]:
    """Return the place of a pydantic location, and the names of union members that stand in it."""
    place: list[str | int] = []
    labels = []
    for position, step in enumerate(location):
        last = position == len(location) - 1
        if isinstance(answer, dict) and isinstance(step, str) and (step in answer or (missing and last)):
            place.append(step)
            answer = answer.get(step)
        elif isinstance(answer, list) and isinstance(step, int):
            place.append(step)
            answer = answer[step] if step < len(answer) else None
        else:
            labels.append(str(step))
    return tuple(place), labels


def _path(place: Iterable[str | int], root: str = "$") -> str:
    """Return a place as a JSON path."""
    for step in place:
        root = element(root, step) if isinstance(step, int) else member(root, str(step))
    return root


def issue_of(violation: SchemaViolation, root: str = "$") -> Issue:
    """Return a violation as an issue, at the deepest place that explains it."""
    cause = import_module("jsonschema.exceptions").best_match([violation]) or violation
    path = _path(cause.absolute_path, root)
    write = _MESSAGES.get(str(cause.validator))
    return Issue(path, _shortened(write(cause.validator_value) if write else cause.message))


def _types(value: Any) -> str:
    return value if isinstance(value, str) else " or ".join(value)


_MESSAGES: dict[str, Callable[[Any], str]] = {
    "type": lambda value: f"must be {_types(value)}",
    "enum": lambda value: f"must be one of {json_text(value)}",
    "const": lambda value: f"must be {json_text(value)}",
    "format": lambda value: f"must be a valid {value}",
    "pattern": lambda value: f"must match the regular expression {value}",
    "minimum": lambda value: f"must be at least {value}",
    "maximum": lambda value: f"must be at most {value}",
    "exclusiveMinimum": lambda value: f"must be greater than {value}",
    "exclusiveMaximum": lambda value: f"must be less than {value}",
    "multipleOf": lambda value: f"must be a multiple of {value}",
    "minLength": lambda value: f"must have at least {value} characters",
    "maxLength": lambda value: f"must have at most {value} characters",
    "minItems": lambda value: f"must have at least {value} items",
    "maxItems": lambda value: f"must have at most {value} items",
    "uniqueItems": lambda _: "must have no repeated items",
    "not": lambda value: f"must not fit {json_text(value)}",
}
