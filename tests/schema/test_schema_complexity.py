"""What a schema costs, how it is relaxed step by step, and that no step refuses what the step before accepts."""

from __future__ import annotations

import json
from datetime import date
from itertools import pairwise
from typing import Any, Literal

import polars as pl
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import BaseModel, Field, create_model
from test_schema_properties import SCHEMAS, TYPES, VALUES

from extract.errors import InvalidAnswer, SchemaError
from extract.json_types import JsonObject
from extract.schema import OutputSchema, compile_schema
from extract.schema.complexity import measure
from extract.schema.keywords import subschemas
from extract.schema.provider_subset import PROVIDER_KEYWORDS

LABELS = [f"label number {index:04d}" for index in range(1_000)]


class Node(BaseModel):
    name: str
    children: list[Node] = []


class Line(BaseModel):
    quantity: int = Field(ge=1, le=99)
    due: date


class Order(BaseModel):
    lines: list[Line] = Field(min_length=1, max_length=20)
    topic: Literal[tuple(LABELS)]
    parent: Node | None = None


def _nodes(node: JsonObject) -> list[JsonObject]:
    return [
        node,
        *(descendant for inner in subschemas(node) if isinstance(inner, dict) for descendant in _nodes(inner)),
    ]


def _ladder(schema: OutputSchema) -> list[JsonObject]:
    return [schema.relaxed(rung) for rung in range(schema.rungs)]


def _holds(wire: JsonObject, *keywords: str) -> bool:
    return any(keyword in node for node in _nodes(wire) for keyword in keywords)


def _cost(wire: Any) -> int:
    return compile_schema(wire).complexity.cost


def _of(**properties: Any) -> JsonObject:
    return {"type": "object", "properties": properties, "required": list(properties)}


# --- the ladder -----------------------------------------------------------------------------------------------------


def test_the_rungs_drop_bounds_then_lengths_then_large_enums_then_recursion() -> None:
    schema = compile_schema(Order)
    whole, unbounded, unlimited, unlisted, shallow = _ladder(schema)
    assert whole == schema.wire
    assert _holds(whole, "minimum")
    assert not _holds(unbounded, "minimum", "maximum", "format")
    assert _holds(unbounded, "minItems")
    assert not _holds(unlimited, "minItems", "maxItems")
    assert _holds(unlimited, "enum")
    assert not _holds(unlisted, "enum")
    assert '"#/$defs/Node"' in json.dumps(unlisted["$defs"]["Node"])
    assert '"#/$defs/Node"' not in json.dumps(shallow["$defs"]["Node"])


def test_what_a_rung_drops_is_said_in_words() -> None:
    last = _ladder(compile_schema(Order))[-1]
    line = last["$defs"]["Line"]["properties"]
    assert line["quantity"] == {"type": "integer", "description": "At least 1. At most 99."}
    assert line["due"] == {"type": "string", "description": "A date, such as 2024-05-01."}
    assert last["properties"]["lines"]["description"] == "At least 1 item. At most 20 items."
    assert all(label in last["properties"]["topic"]["description"] for label in LABELS)
    free = last["$defs"]["Node"]["properties"]["children"]["items"]
    assert free["type"] == "object"
    assert '"name" (string), "children" (array)' in free["description"]


def test_validation_stays_whole_on_every_rung() -> None:
    schema = compile_schema(Order)
    for topic, quantity in (("no such label", 1), (LABELS[0], 100)):
        answer = {"lines": [{"quantity": quantity, "due": "2024-05-01"}], "topic": topic}
        assert all(Draft202012Validator(wire).is_valid(answer) for wire in _ladder(schema)[3:])
        with pytest.raises(InvalidAnswer):
            schema.validate(json.dumps(answer))


def test_rungs_that_change_nothing_are_skipped() -> None:
    assert compile_schema(_of(a={"type": "string"})).rungs == 1
    assert compile_schema(_of(a={"type": "array", "maxItems": 3})).rungs == 2
    assert compile_schema(Node).rungs == 2


@pytest.mark.parametrize("rung", [-1, 1])
def test_a_rung_there_is_not_is_an_index_error(rung: int) -> None:
    with pytest.raises(IndexError, match="has 1"):
        compile_schema(["a"]).relaxed(rung)


def test_a_tuple_says_its_length_once() -> None:
    schema = compile_schema(create_model("Place", at=(tuple[float, float], ...)))
    assert schema.relaxed(1)["properties"]["at"]["description"] == "Exactly 2 items."


@pytest.mark.parametrize(("labels", "rungs"), [
    ([f"{index}" for index in range(100)], 1),
    ([f"{index}" for index in range(101)], 2),
    (["x" * 1_000, "y" * 1_000], 1),
    (["x" * 1_000, "y" * 1_001], 2),
])  # fmt: skip
def test_an_enum_is_large_by_number_or_by_letters(labels: list[str], rungs: int) -> None:
    assert compile_schema(labels).rungs == rungs


def test_a_thousand_labels_are_sent_judged_and_stored() -> None:
    schema = compile_schema(LABELS)
    assert schema.wire["properties"]["value"]["enum"] == LABELS
    words = schema.relaxed(1)["properties"]["value"]["description"]
    assert words.startswith('One of: "label number 0000", ')
    assert words.endswith('"label number 0999".')
    assert schema.dtypes == {"value": pl.Enum(LABELS)}
    rows = [schema.row(schema.validate(json.dumps({"value": label}))) for label in LABELS]
    assert schema.models(schema.frame(rows)) == LABELS
    with pytest.raises(InvalidAnswer):
        schema.validate('{"value": "label number 1000"}')


def test_an_enum_without_a_type_keeps_the_types_of_its_values() -> None:
    schema = compile_schema(_of(a={"enum": [None, True, 1.5, *map(str, range(100))]}))
    assert schema.relaxed(1)["properties"]["a"]["type"] == ["null", "boolean", "number", "string"]


def test_objects_below_the_third_are_free_and_flat_definitions_stay() -> None:
    cut_off = _of(leaf={"type": "string"})
    schema = compile_schema({
        "$defs": {"Flat": {"enum": ["x", "y"]}, "Deepest": cut_off},
        **_of(near={"$ref": "#/$defs/Deepest"}, two=_of(three=_of(
            four={"$ref": "#/$defs/Deepest"}, flat={"$ref": "#/$defs/Flat"}, inline=cut_off))),
    })  # fmt: skip
    relaxed = schema.relaxed(1)
    three = relaxed["properties"]["two"]["properties"]["three"]["properties"]
    assert three["four"] == three["inline"]
    assert three["four"]["type"] == "object"
    assert "properties" not in three["four"]
    assert three["flat"] == {"$ref": "#/$defs/Flat"}
    assert relaxed["properties"]["near"] == {"$ref": "#/$defs/Deepest"}
    assert relaxed["$defs"] == schema.wire["$defs"]


def test_recursion_without_objects_ends_too() -> None:
    schema = compile_schema({
        "$defs": {"Tree": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"$ref": "#/$defs/Tree"}}]}},
        **_of(tree={"$ref": "#/$defs/Tree"}),
    })  # fmt: skip
    assert schema.relaxed(1)["$defs"]["Tree"]["anyOf"][1] == {"type": "array", "items": {}}


# --- every rung accepts what the one before accepts -----------------------------------------------------------------

_LARGE = {"enum": ["a", "", None, *range(101)]}
_DATED = {"type": "string", "format": "date"}
_FORMATS = Draft202012Validator.FORMAT_CHECKER


def _nested(node: Any, depth: int) -> Any:
    return node if depth == 0 else _of(a=_nested(node, depth - 1))


def _check_widening(schema: OutputSchema, answers: list[Any]) -> None:
    rungs = _ladder(schema)
    assert all(first != second for first, second in pairwise(rungs))
    for wire in rungs:
        Draft202012Validator.check_schema(wire)
        assert all(node.keys() <= PROVIDER_KEYWORDS.keys() for node in _nodes(wire))
    judges = [Draft202012Validator(wire, format_checker=_FORMATS) for wire in rungs]
    for answer in answers:
        verdicts = [judge.is_valid(answer) for judge in judges]
        assert verdicts == sorted(verdicts), (rungs, answer)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    node=SCHEMAS,
    p=SCHEMAS | st.just(_LARGE),
    q=SCHEMAS | st.just(_DATED),
    depth=st.integers(0, 4),
    values=st.lists(VALUES | st.just("2024-05-01"), min_size=1, max_size=6),
)
def test_each_rung_accepts_what_the_one_before_accepts(
    node: Any, p: Any, q: Any, depth: int, values: list[Any]
) -> None:
    source = {"$defs": {"P": p, "Q": q}} | _of(x=_nested(node, depth))
    try:
        schema = compile_schema(source)
    except SchemaError as refusal:
        assume("circle" in str(refusal))
        return

    def answer(value: Any) -> Any:
        for _ in range(depth):
            value = {"a": value}
        return {"x": value}

    _check_widening(schema, list(map(answer, values)))


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), members=st.lists(TYPES, min_size=1, max_size=3))
def test_each_rung_of_a_model_accepts_its_values(data: st.DataObject, members: list[Any]) -> None:
    fields: dict[str, Any] = {f"field_{index}": (kind, ...) for index, (kind, _) in enumerate(members)}
    model = create_model("Generated", **fields)
    schema = compile_schema(model)
    value = model(**{f"field_{index}": data.draw(drawn) for index, (_, drawn) in enumerate(members)})
    answer = json.loads(schema.to_json(value))
    assert all(Draft202012Validator(wire, format_checker=_FORMATS).is_valid(answer) for wire in _ladder(schema))
    _check_widening(schema, [answer])


def test_what_is_cut_off_below_objects_keeps_the_definitions_that_it_still_refers_to() -> None:
    tree = {"minItems": 0, "prefixItems": [{"$ref": "#/$defs/P"}]}
    leaf = {"minItems": 0, "prefixItems": [{"$ref": "#/$defs/P", "properties": {}}]}
    schema = compile_schema({"$defs": {"P": tree}} | _of(x=_nested(leaf, 2)))
    for wire in _ladder(schema):
        references = {str(node["$ref"]).removeprefix("#/$defs/") for node in _nodes(wire) if "$ref" in node}
        assert references <= wire.get("$defs", {}).keys()


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(node=SCHEMAS, p=SCHEMAS | st.just(_LARGE), depth=st.integers(0, 4))
def test_no_rung_costs_more_than_the_one_before(node: Any, p: Any, depth: int) -> None:
    try:
        schema = compile_schema({"$defs": {"P": p, "Q": _DATED}} | _of(x=_nested(node, depth)))
    except SchemaError as refusal:
        assume("circle" in str(refusal))
        return
    costs = [measure(wire).cost for wire in _ladder(schema)]
    assert costs == sorted(costs, reverse=True)


# --- cost and warnings ----------------------------------------------------------------------------------------------

_TEXT = {"type": "string"}
_BASE = _of(a=_TEXT)


@pytest.mark.parametrize("heavier", [
    pytest.param(_of(a_longer_name=_TEXT), id="name"),
    pytest.param(_of(a=_TEXT, b=_TEXT), id="property"),
    pytest.param(_BASE | {"required": []}, id="optional"),
    pytest.param(_of(a={"type": "string", "enum": ["a", "b"]}), id="enum"),
    pytest.param(_of(a={"type": "integer", "minimum": 0}), id="bound"),
    pytest.param(_of(a={"type": "string", "format": "date"}), id="date"),
    pytest.param(_of(a={"anyOf": [_TEXT, {"type": "array", "items": _TEXT}]}), id="union"),
    pytest.param(_of(a={"type": "array", "items": _TEXT, "maxItems": 1}), id="items"),
    pytest.param(_of(a=_of(a=_TEXT)), id="depth"),
])  # fmt: skip
def test_the_cost_grows_with_each_known_cause(heavier: JsonObject) -> None:
    assert _cost(heavier) > _cost(_BASE)


def test_nested_arrays_multiply() -> None:
    inner = {"type": "array", "items": _TEXT, "maxItems": 10}
    once = _cost(_of(a=inner))
    twice = _cost(_of(a={"type": "array", "items": inner, "maxItems": 10}))
    assert twice - once >= 100


def test_a_definition_counts_at_each_reference_and_a_circle_only_once() -> None:
    line = {"$defs": {"Line": _of(text={"type": "string", "enum": ["x" * 500]})}}
    one = _cost(line | _of(a={"$ref": "#/$defs/Line"}))
    two = _cost(line | _of(a={"$ref": "#/$defs/Line"}, b={"$ref": "#/$defs/Line"}))
    assert two - one > 500
    assert compile_schema(Node).complexity.cost < 500


_ITEM = {"type": "array", "items": _TEXT, "maxItems": 40}


@pytest.mark.parametrize(("source", "path", "advice"), [
    (_of(topic={"enum": LABELS}), "$.topic", "fewer or shorter labels"),
    (_of(rows={"type": "array", "items": _of(cells=_ITEM), "maxItems": 40}), "$.rows", "lower maxItems"),
    (_of(**{"x" * 65: _TEXT}), f"$.{'x' * 65}", "shorter alias"),
    (_of(u={"anyOf": [_of(**{f"k{index}": _TEXT}) for index in range(17)]}), "$.u", "union of 17"),
    ({"type": "object", "properties": {f"p{index}": _TEXT for index in range(31)}}, "$", "31 optional properties"),
    (_of(**{f"p{index}": {"type": "number", "minimum": 0, "maximum": 1} for index in range(11)}), "$", "22 numeric"),
    (_of(**{f"p{index}": _DATED for index in range(21)}), "$", "21 date formats"),
    (_nested(_TEXT, 7), "$", "nested 7 deep"),
], ids=["enum", "items", "name", "union", "optional", "bounds", "formats", "depth"])  # fmt: skip
def test_a_warning_is_one_line_with_its_path_and_what_to_do(source: JsonObject, path: str, advice: str) -> None:
    (warning,) = compile_schema(source).complexity.warnings
    assert warning.startswith(f"{path}: ")
    assert advice in warning
    assert "\n" not in warning
    assert len(warning) <= 160


def test_an_ordinary_schema_gets_no_warning() -> None:
    class Invoice(BaseModel):
        number: str
        lines: list[Line] = Field(max_length=50)
        paid: bool = False

    assert compile_schema(Invoice).complexity.warnings == ()


# --- labels with descriptions ---------------------------------------------------------------------------------------


def test_labels_may_have_descriptions_which_the_model_reads() -> None:
    schema = compile_schema([("billing", "money, invoices"), "bug", ("other", None)])
    value = schema.wire["properties"]["value"]
    assert value["enum"] == ["billing", "bug", "other"]
    assert value["description"] == "billing: money, invoices"
    assert schema.dtypes == {"value": pl.Enum(["billing", "bug", "other"])}
    assert schema.validate('{"value": "bug"}') == "bug"


@pytest.mark.parametrize("labels", [[], [1], [("a", 1)], [("a",)], [("a", "b", "c")], [None]])
def test_what_is_no_list_of_labels_is_refused(labels: list[Any]) -> None:
    with pytest.raises(SchemaError, match="list of labels"):
        compile_schema(labels)


def test_a_label_that_stands_twice_is_refused_with_and_without_description() -> None:
    with pytest.raises(SchemaError, match="'a' stands in the list twice"):
        compile_schema(["a", ("a", "first letter")])
