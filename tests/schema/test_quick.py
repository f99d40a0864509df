"""The quick yes agrees with the judge: in generated schemas of all drafts, in the conformance suite, in real ones."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema.exceptions import SchemaError as InvalidSchema

from extract.errors import InvalidAnswer, SchemaError
from extract.schema import compile_schema
from extract.schema.drafts import DIALECTS, LATEST, Dialect, dialect_of
from extract.schema.nullable import allow_null
from extract.schema.quick import PROVEN, QuickCheck
from extract.schema.validate import schema_validator

DATA = Path(__file__).parents[2] / ".." / "shared" / "data"
PROJECTS = DATA / "json_schemas"
SUITE = DATA / "json_schema_test_suite" / "draft2020-12"

NAMES = st.sampled_from(["a", "b", "ab", "", "größe", "type"])
TEXTS = st.sampled_from(["", "a", "ab", "abc", "ä", "\U0001f600\U0001f600", "e\u0301", "2024-05-01", "1", "true"])
SMALL = st.sampled_from([-1, 0, 1, 2, 3, 5, -1.0, 0.0, 0.5, 1.0, 2.0, 1.5, 1e20, -0.0, 2**53 - 1, 1e-320, 0.1, 0.3])
LARGE = st.sampled_from([2**53, 2**53 + 1, -(2**53) - 1, 2**63, 2**64, 2**64 + 1, 10**30, -(10**30)])


def values(numbers: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    scalars = st.one_of(st.none(), st.booleans(), numbers, TEXTS)
    return st.recursive(
        scalars,
        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=3)),
        max_leaves=6,
    )


def node(**keywords: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=keywords)


TYPES = st.sampled_from(["null", "boolean", "integer", "number", "string", "array", "object"])
BOUND = SMALL | st.booleans()  # a flag in draft 4, no schema in the others
COUNT = st.integers(0, 3)
LEAVES = st.one_of(
    st.booleans(),
    node(
        type=TYPES | st.lists(TYPES, min_size=1, max_size=3, unique=True),
        enum=st.lists(values(SMALL), min_size=1, max_size=4),
        const=values(SMALL),
        minimum=SMALL,
        maximum=SMALL,
        exclusiveMinimum=BOUND,
        exclusiveMaximum=BOUND,
        minLength=COUNT,
        maxLength=COUNT,
        pattern=st.sampled_from(["^a", "b$", r"^\d+$", "^(?!a)", r"\p{L}", "."]),
        format=st.sampled_from(["date", "email", "uri", "uuid", "regex", "unknown", "ipv4", "date-time"]),
        title=TEXTS,
        default=values(SMALL),
    ),
)


def containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    named = st.dictionaries(NAMES, inner, max_size=3)
    several = st.lists(inner, min_size=1, max_size=3)
    names = st.lists(NAMES, max_size=2, unique=True)
    objects = node(
        properties=named,
        required=names,
        additionalProperties=inner,
        propertyNames=inner,
        minProperties=COUNT,
        maxProperties=COUNT,
        dependencies=st.dictionaries(NAMES, names | inner, max_size=2),
        dependentRequired=st.dictionaries(NAMES, names, max_size=2),
        dependentSchemas=named,
    )
    arrays = node(
        items=inner | several,
        prefixItems=several,
        additionalItems=inner,
        contains=inner,
        minContains=COUNT,
        maxContains=COUNT,
        minItems=COUNT,
        maxItems=COUNT,
    )
    applied = node(
        allOf=several, anyOf=several, oneOf=several, **{"not": inner, "if": inner, "then": inner, "else": inner}
    )
    target = st.sampled_from(["#", "#/definitions/P", "#/$defs/Q", "#/properties/a", "#/definitions/P/items"])
    reference = st.builds(lambda to, rest: {"$ref": to, **rest}, target, st.just({}) | objects)
    merged = st.builds(lambda *parts: {k: v for part in parts for k, v in part.items()}, objects, arrays, applied)
    return st.one_of(objects, arrays, applied, reference, merged)


SCHEMAS = st.recursive(LEAVES, containers, max_leaves=8)


def checks(source: dict[str, Any], dialect: Dialect, assert_formats: bool) -> tuple[QuickCheck, Any] | None:
    """Return the quick check and the judge of a schema, None where it is none or refers nowhere."""
    try:
        dialect.validator.check_schema(source)
    except InvalidSchema:
        return None
    return (
        QuickCheck(source, dialect, assert_formats=assert_formats),
        schema_validator(source, dialect, assert_formats=assert_formats),
    )


def judged(judge: Any, value: Any) -> bool | None:
    try:
        return bool(judge.is_valid(value))
    except Exception:  # a reference to nowhere or in a circle, which compiling refuses
        return None


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=lambda dialect: dialect.name)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    root=SCHEMAS,
    p=SCHEMAS,
    q=SCHEMAS,
    asserts=st.booleans(),
    given=st.lists(values(SMALL | LARGE), min_size=1, max_size=8),
)
def test_what_is_accepted_quickly_is_accepted_by_the_judge(
    dialect: Dialect, root: Any, p: Any, q: Any, asserts: bool, given: list[Any]
) -> None:
    source = {"definitions": {"P": p}, "$defs": {"Q": q}, **(root if isinstance(root, dict) else {"allOf": [root]})}
    if (both := checks(source, dialect, asserts)) is None:
        return
    quick, judge = both
    for value in given:
        if quick(value):
            assert judged(judge, value) is not False, (source, value)


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=lambda dialect: dialect.name)
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(leaf=LEAVES, values=st.lists(values(SMALL | LARGE), min_size=1, max_size=8))
def test_a_keyword_alone_and_its_negation_get_the_verdict_of_the_judge(
    dialect: Dialect, leaf: Any, values: list[Any]
) -> None:
    for source in ({"allOf": [leaf]}, {"not": leaf}):
        if (both := checks(source, dialect, True)) is None:
            return
        quick, judge = both
        for value in values:
            assert not quick(value) or judged(judge, value) is not False, (source, value)


@pytest.mark.parametrize("keyword", sorted(PROVEN))
def test_every_proven_keyword_is_among_those_that_are_compared(keyword: str) -> None:
    text = repr((LEAVES, containers(st.booleans())))
    assert f"'{keyword}'" in text or keyword == "$ref"


def suite() -> Iterator[tuple[Any, Any, bool]]:
    for path in sorted(SUITE.rglob("*.json")):
        for case in json.loads(path.read_text()):
            for test in case["tests"]:
                yield case["schema"], test["data"], test["valid"]


@pytest.mark.skipif(not SUITE.exists(), reason="the conformance suite is not beside this checkout")
def test_no_case_of_the_conformance_suite_is_accepted_quickly_that_is_invalid() -> None:
    quick_yes = valid_cases = 0
    for schema, data, valid in suite():
        accepted = QuickCheck(schema, LATEST, assert_formats=False)(data)
        assert valid or not accepted, (schema, data)
        quick_yes, valid_cases = quick_yes + accepted, valid_cases + valid
    assert quick_yes > 0.45 * valid_cases


@pytest.mark.skipif(not PROJECTS.exists(), reason="the schemas of public projects are not beside this checkout")
def test_real_schemas_get_their_verdicts_and_most_of_their_answers_a_quick_yes() -> None:
    quick_yes = valid_cases = 0
    for path in sorted(PROJECTS.rglob("*.json")):
        case = json.loads(path.read_text())
        schema = allow_null(case["schema"])
        quick = QuickCheck(schema, dialect_of(schema), assert_formats=True)
        for test in case["tests"]:
            accepted = quick(test["data"])
            assert test["valid"] or not accepted, (path, test)
            quick_yes, valid_cases = quick_yes + accepted, valid_cases + test["valid"]
    assert quick_yes >= 84


@pytest.mark.parametrize(
    "keyword",
    [{"multipleOf": 0.01}, {"uniqueItems": True}, {"patternProperties": {"^a": {}}}, {"unevaluatedItems": False},
     {"unevaluatedProperties": False}, {"$dynamicRef": "#"}, {"$anchor": "a"}, {"minimum": 2**53},
     {"const": [-(2**60)]}, {"$ref": "#a"}, {"$ref": "other"}, {"unknown": 1}],
)  # fmt: skip
def test_whatever_is_not_proven_is_left_to_the_judge(keyword: dict[str, Any]) -> None:
    for source in (keyword, {"items": keyword}, {"$defs": {"a": keyword}}):
        assert not QuickCheck(source, LATEST, assert_formats=True)([])


def test_a_schema_that_rust_refuses_is_left_to_the_judge() -> None:
    flag = {"$ref": "#/$defs/q", "$defs": {"q": {"additionalProperties": {"exclusiveMinimum": False}}}}
    assert not QuickCheck(flag, DIALECTS["http://json-schema.org/draft-07/schema"], assert_formats=True)({})


def test_large_integers_are_left_to_the_judge_where_numbers_are_compared() -> None:
    compared = QuickCheck({"properties": {"n": {"maximum": 2**53 - 1}}}, LATEST, assert_formats=True)
    assert compared({"n": 2**53 - 1, "m": [1]})
    assert not compared({"n": 2**53})
    assert not compared({"m": [{"x": 2**53 + 1}]})
    assert QuickCheck({"type": "object"}, LATEST, assert_formats=True)({"n": 2**53 + 1})


def test_patterns_and_formats_are_matched_as_the_judge_matches_them() -> None:
    word = {"type": "string", "pattern": r"^\p{Lu}\d$", "maxLength": 2}
    members = {"w": word, "d": {"type": "string", "format": "date"}, "f": {"type": "string", "format": "unheard-of"}}
    quick = QuickCheck({"type": "object", "properties": members}, LATEST, assert_formats=True)
    assert quick({"w": "Ä1", "d": "2024-02-29", "f": "x"})
    for wrong in ({"w": "ä1"}, {"w": "Ä\u0661"}, {"d": "2023-02-29"}):
        assert not quick(wrong)
    assert QuickCheck({"format": "date"}, LATEST, assert_formats=False)("soon")


def test_a_wrong_answer_keeps_the_words_of_the_judge() -> None:
    schema = compile_schema({"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}})
    with pytest.raises(InvalidAnswer, match=r"\$\.n: must be at least 1"):
        schema.validate('{"n": 0}')


def test_a_reference_that_leads_out_is_never_followed() -> None:
    with pytest.raises(SchemaError, match="nothing is fetched"):
        compile_schema({"type": "object", "properties": {"a": {"$ref": "http://127.0.0.1:9/x"}}})
    assert not QuickCheck({"$ref": "http://127.0.0.1:9/x"}, LATEST, assert_formats=True)({})


def test_rust_is_loaded_by_the_first_answer_to_a_json_schema_and_by_nothing_else() -> None:
    program = """
import sys
from pydantic import BaseModel
from extract import compile_schema

class Note(BaseModel):
    text: str

compile_schema(Note).validate('{"text": "x"}')
schema = compile_schema({"type": "object", "properties": {"a": {}}})
print("jsonschema_rs" in sys.modules)
schema.validate("{}")
print("jsonschema_rs" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]
