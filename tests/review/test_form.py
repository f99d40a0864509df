"""The form of an answer: every type of field, there and back without loss, and checked like an answer."""

from __future__ import annotations

import json
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import cache
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AwareDatetime, BaseModel, Field

from extract import InvalidAnswer, compile_schema
from extract.json_types import JsonObject
from extract.review.form import form_of
from extract.review.form_nodes import Form
from extract.review.form_values import answer_text, form_values


class Colour(Enum):
    red = "red"
    blue = "blue"


class Circle(BaseModel):
    kind: Literal["circle"]
    radius: float


class Square(BaseModel):
    kind: Literal["square"]
    side: Annotated[float, Field(gt=0)]


class Item(BaseModel):
    name: str
    price: Decimal | None = None


class Node(BaseModel):
    label: str
    children: list[Node] = []


class Everything(BaseModel):
    text: Annotated[str, Field(description="as printed", max_length=80)]
    maybe: str | None
    label: Literal["a", "b"]
    colour: Colour | None
    labels: list[Literal["x", "y"]]
    boolean: bool
    integer: Annotated[int, Field(ge=0)]
    number: float
    decimal: Decimal
    cents: Annotated[Decimal, Field(decimal_places=2)]
    day: date
    moment: AwareDatetime
    local: datetime
    hour: time
    duration: timedelta
    item: Item
    items: list[Item]
    pair: tuple[int, str]
    shape: Annotated[Circle | Square, Field(discriminator="kind")]
    number_or_text: int | str
    text_or_list: str | list[str]
    counts: dict[str, int]
    items_by_name: dict[str, Item]
    anything: Any
    tree: Node
    free: dict[str, Any]
    one_of_numbers: Literal[1, 2]
    mixed: Literal[1, "1", None]
    named: str = Field(alias="otherName")


@cache
def form_of_everything() -> Form:
    return form_of(everything())


ANSWER: JsonObject = {
    "text": "Ünïcode \"quoted\"", "maybe": None, "label": "b", "colour": "blue", "labels": ["y", "x", "y"],
    "boolean": False, "integer": 2**60 + 1, "number": 1e-7, "decimal": "12345678901234567890.123456789",
    "cents": "12.5", "day": "2024-05-01", "moment": "2024-05-01T10:00:00Z", "local": "2024-05-01T10:00:00",
    "hour": "10:00:00", "duration": "P1DT2H", "item": {"name": "", "price": "0.1"},
    "items": [{"name": "a", "price": None}, {"name": "b", "price": "2"}], "pair": [1, "one"],
    "shape": {"kind": "square", "side": 2.0}, "number_or_text": "5", "text_or_list": [], "counts": {"k": 1, "a b": 2},
    "items_by_name": {"$ref": {"name": "z", "price": None}}, "anything": {"deep": [1, None, "x"]},
    "tree": {"label": "r", "children": [{"label": "c", "children": []}]}, "free": {"z": 1}, "one_of_numbers": 2,
    "mixed": "1", "otherName": "n",
}  # fmt: skip


@cache
def everything() -> Any:
    return compile_schema(Everything)


def test_an_answer_of_every_type_goes_through_the_form_without_loss() -> None:
    schema = everything()
    form = form_of(schema)
    values = json.loads(json.dumps(form_values(form, ANSWER)))
    assert json.loads(answer_text(form, values)) == ANSWER
    assert json.loads(schema.to_json(schema.validate(answer_text(form, values)))) == ANSWER


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("text", "text"), ("label", "label"), ("colour", "label"), ("labels", "labels"), ("boolean", "boolean"),
        ("integer", "integer"), ("number", "number"), ("decimal", "decimal"), ("cents", "decimal"), ("day", "date"),
        ("moment", "datetime"), ("local", "datetime"), ("hour", "time"), ("duration", "duration"), ("items", "list"),
        ("pair", "tuple"), ("shape", "union"), ("number_or_text", "union"), ("counts", "map"), ("anything", "json"),
        ("free", "json"), ("one_of_numbers", "label"), ("mixed", "label"), ("item", "ref"), ("tree", "ref"),
        ("otherName", "text"),
    ],
)  # fmt: skip
def test_each_type_has_its_kind_of_field(name: str, kind: str) -> None:
    members = {one["name"]: one for one in form_of(everything()).as_json()["root"]["members"]}
    assert members[name]["kind"] == kind


def test_numbers_travel_as_they_are_written() -> None:
    form = form_of(everything())
    values = form_values(form, ANSWER)
    assert values["integer"] == "1152921504606846977"
    assert values["decimal"] == "12345678901234567890.123456789"
    written = answer_text(form, values | {"decimal": "12.50", "number": "1.10", "integer": "-0"})
    assert '"decimal":"12.50"' in written
    assert '"number":1.10' in written


def test_a_union_is_told_by_its_tag_and_recursion_by_a_reference() -> None:
    shown = form_of(everything()).as_json()
    members = {one["name"]: one for one in shown["root"]["members"]}
    assert [choice["tag"] for choice in members["shape"]["choices"]] == ["circle", "square"]
    assert members["shape"]["discriminator"] == "kind"
    assert [one["name"] for one in members["shape"]["choices"][0]["node"]["members"]] == ["radius"]
    assert members["tree"]["to"] == "Node"
    children = shown["definitions"]["Node"]["members"][1]
    assert (children["kind"], children["item"]["kind"], children["item"]["to"]) == ("list", "ref", "Node")


def test_null_and_an_empty_text_differ() -> None:
    form = form_of(everything())
    assert form_values(form, {"maybe": None})["maybe"] is None
    assert form_values(form, {"maybe": ""})["maybe"] == ""


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"integer": "1.5"}, "$.integer"),
        ({"integer": 5}, "$.integer"),
        ({"decimal": "1,5"}, "$.decimal"),
        ({"label": "zebra"}, "$.label"),
        ({"labels": ["x", "zebra"]}, "$.labels"),
        ({"day": "1 May"}, "$.day"),
        ({"moment": "2024-05-01T10:00:00"}, "$.moment"),
        ({"local": "2024-05-01T10:00:00Z"}, "$.local"),
        ({"text": None}, "$.text"),
        ({"items": [{"name": "a"}, {"price": "1"}]}, "$.items[1].name"),
        ({"items_by_name": [["a b", {"name": 1}]]}, '$.items_by_name["a b"].name'),
        ({"counts": [["k", "1"], ["k", "2"]]}, "$.counts"),
        ({"shape": {"tag": "hexagon", "value": {}}}, "$.shape"),
        ({"shape": {"tag": "circle", "value": {}}}, "$.shape.radius"),
        ({"anything": "{broken"}, "$.anything"),
        ({"tree": {"label": "r", "children": [{"label": 7}]}}, "$.tree.children[0].label"),
        ({"nobody": "x"}, "$.nobody"),
    ],
)
def test_a_fault_is_named_by_the_path_of_its_field(change: JsonObject, path: str) -> None:
    form = form_of(everything())
    with pytest.raises(InvalidAnswer) as caught:
        answer_text(form, form_values(form, ANSWER) | change)
    assert path in [issue.path for issue in caught.value.issues]


def test_a_thousand_labels_are_one_field() -> None:
    names = [f"label {number}" for number in range(1_000)]
    field = form_of(compile_schema(names)).as_json()["root"]["members"][0]
    assert (field["name"], field["kind"], len(field["labels"])) == ("value", "label", 1_000)


def test_labels_have_their_descriptions() -> None:
    field = form_of(compile_schema([("bug", "it fails"), ("billing", "money")])).as_json()["root"]["members"][0]
    told = {one["value"]: one["description"] for one in field["labels"]}
    assert told == {"bug": "it fails", "billing": "money"}
    assert field["description"] is None


def test_a_json_schema_of_another_program_has_a_form_too() -> None:
    schema = compile_schema(
        {
            "type": "object",
            "properties": {
                "id": {"type": ["string", "null"]},
                "kind": {"oneOf": [{"const": "a"}, {"const": "b"}]},
                "size": {"type": "number", "exclusiveMinimum": 0},
                "more": {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "integer"}}},
                "pair": {"type": "array", "prefixItems": [{"type": "string"}], "items": False, "minItems": 1},
            },
            "required": ["kind"],
            "additionalProperties": {"type": "boolean"},
        },
        extra="keep",
    )
    form = form_of(schema)
    shown = {one["name"]: one for one in form.as_json()["root"]["members"]}
    assert (shown["kind"]["kind"], shown["more"]["kind"], shown["pair"]["kind"]) == ("label", "map", "tuple")
    assert shown["size"]["constraints"] == {"exclusive_minimum": "0"}
    answer = {"kind": "b", "more": {"x": [1]}, "pair": ["p"], "extra": True}
    assert json.loads(answer_text(form, form_values(form, answer))) == answer


def test_what_does_not_fit_the_form_is_left_out_of_it() -> None:
    values = form_values(form_of(everything()), {"text": 7, "label": "a", "item": {"name": "n", "price": []}})
    assert values == {"label": "a", "item": {"name": "n"}}


def test_a_schema_that_doubles_at_every_level_has_a_bounded_form() -> None:
    definitions: JsonObject = {"d0": {"type": "string"}}
    for level in range(1, 40):
        both = {name: {"$ref": f"#/$defs/d{level - 1}"} for name in ("left", "right")}
        definitions[f"d{level}"] = {"type": "object", "properties": both, "additionalProperties": False}
    root = {"type": "object", "properties": {"top": {"$ref": "#/$defs/d39"}}, "$defs": definitions}
    shown = form_of(compile_schema(root)).as_json()
    assert len(json.dumps(shown)) < 100_000


def test_a_deep_union_of_unions_is_read_in_bounded_time() -> None:
    lists = [{"type": "array", "items": {"$ref": "#/$defs/any"}, "minItems": number} for number in range(8)]
    reference = {"$ref": "#/$defs/any"}
    schema = {"type": "object", "properties": {"root": reference}, "$defs": {"any": {"anyOf": lists}}}
    value: Any = []
    for _ in range(60):
        value = [value]
    form_values(form_of(compile_schema(schema)), {"root": value})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(values=st.dictionaries(st.sampled_from(list(ANSWER)), JSON))
def test_whatever_a_page_sends_is_an_answer_or_a_fault_with_a_path(values: JsonObject) -> None:
    form = form_of_everything()
    try:
        json.loads(answer_text(form, values))
    except InvalidAnswer as error:
        assert all(issue.path.startswith("$") for issue in error.issues)


@given(answer=JSON)
def test_whatever_an_answer_is_it_has_values_or_none(answer: Any) -> None:
    json.dumps(form_values(form_of_everything(), answer))
