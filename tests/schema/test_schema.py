"""The schema compiler by its front door: what is sent, what is accepted, what lands in which column."""

from __future__ import annotations

import enum
import json
import sys
import typing
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal, NamedTuple, Optional, Union

import polars as pl
import pytest
import typing_extensions
from pydantic import (
    AfterValidator,
    AliasChoices,
    AliasPath,
    AwareDatetime,
    Base64Bytes,
    BaseModel,
    ConfigDict,
    EmailStr,
    Field,
    HttpUrl,
    RootModel,
    SecretStr,
    create_model,
    model_validator,
)

from extract.errors import InvalidAnswer, Issue, SchemaError
from extract.schema import OutputSchema, compile_schema
from extract.schema.losses import Loss


def rules(schema: OutputSchema) -> list[Loss]:
    """Return what the wire form does not say, but for the members that no column holds."""
    return [loss for loss in schema.losses if not loss.drops_unnamed]


class Topic(enum.Enum):
    BILLING = "billing"
    BUG = "bug"


class Size(enum.IntEnum):
    SMALL = 1
    LARGE = 2


class Item(BaseModel):
    sku: str
    qty: int = Field(gt=0)


class Ticket(BaseModel):
    """One support message, sorted."""

    topic: Literal["billing", "bug", "other"]
    blocked: bool = Field(description="True if the writer cannot go on")
    items: list[Item] = []


class Node(BaseModel):
    name: str
    children: list[Node] = []


class Spam(BaseModel):
    is_spam: Literal[True]
    reason: str


class NotSpam(BaseModel):
    is_spam: Literal[False]
    topic: str


class Circle(BaseModel):
    radius: float
    note: str


class Square(BaseModel):
    side: float
    note: int


class Cat(BaseModel):
    kind: Literal["cat"] = Field(alias="Kind")
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"] = Field(alias="Kind")
    name: str


class Coordinates(NamedTuple):
    x: int
    y: int = 0


class Person(typing_extensions.TypedDict):
    name: str
    born: typing_extensions.NotRequired[date]


@dataclass
class Payment:
    amount: Decimal
    paid: datetime


class Empty(BaseModel):
    pass


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    name: str


def model(**fields: Any) -> type[BaseModel]:
    """Return a model of the given annotations."""
    return type("Made", (BaseModel,), {"__annotations__": fields, "__module__": __name__})


def issues(schema: OutputSchema, text: str) -> tuple[Issue, ...]:
    """Return what is wrong with an answer, in validation or on its way into the columns."""
    with pytest.raises(InvalidAnswer) as caught:
        schema.row(schema.validate(text))
    return caught.value.issues


# --- sources --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "dtypes"),
    [
        (Ticket, ["topic", "blocked", "items"]),
        (Person, ["name", "born"]),
        (Payment, ["amount", "paid"]),
        (RootModel[Item], ["sku", "qty"]),
        (Coordinates, ["value"]),
        (Topic, ["value"]),
        (list[Item], ["value"]),
        (Optional[int], ["value"]),  # noqa: UP045
        (Literal["a", "b"], ["value"]),
        (Union[Spam, NotSpam], ["value"]),  # noqa: UP007
        (dict[str, int], ["value"]),
        (["a", "b"], ["value"]),
        (("a", "b"), ["value"]),
        (True, ["value"]),
        ({"type": "object", "properties": {"a": {}}}, ["a"]),
        ({"type": "array"}, ["value"]),
    ],
)
def test_every_kind_of_source_compiles_and_has_columns(source: Any, dtypes: list[str]) -> None:
    schema = compile_schema(source)
    assert list(schema.dtypes) == dtypes
    assert schema.wrapped == (dtypes == ["value"])
    assert schema.wire["type"] == "object"


@pytest.mark.parametrize(
    ("source", "name"),
    [(Ticket, "Ticket"), (Person, "Person"), (["a"], "Label"), (list[int], "Answer"), ({"title": "Bill"}, "Bill")],
)
def test_a_schema_is_named_after_its_source(source: Any, name: str) -> None:
    assert compile_schema(source).name == name
    assert compile_schema(source, name="Mine").name == "Mine"


def test_the_full_schema_is_plain_json_and_the_same_every_time() -> None:
    first, second = compile_schema(Payment), compile_schema(Payment)
    assert json.dumps(first.full) == json.dumps(second.full)
    assert json.loads(json.dumps(first.full)) == first.full


def test_the_source_is_not_changed() -> None:
    source = {"type": "array", "items": {"type": "string", "nullable": True}}
    before = json.dumps(source)
    compile_schema(source)
    assert json.dumps(source) == before


# --- the wire form --------------------------------------------------------------------------------------------------


def test_a_model_goes_out_in_declared_order_without_titles_and_defaults() -> None:
    assert compile_schema(Ticket).wire == {
        "type": "object",
        "description": "One support message, sorted.",
        "properties": {
            "topic": {"type": "string", "enum": ["billing", "bug", "other"]},
            "blocked": {"type": "boolean", "description": "True if the writer cannot go on"},
            "items": {"type": "array", "items": {"$ref": "#/$defs/Item"}},
        },
        "required": ["topic", "blocked"],
        "$defs": {
            "Item": {
                "type": "object",
                "properties": {"sku": {"type": "string"}, "qty": {"type": "integer", "minimum": 1}},
                "required": ["sku", "qty"],
            }
        },
    }
    assert list(compile_schema(Ticket).wire["properties"]) == ["topic", "blocked", "items"]


@pytest.mark.parametrize(
    ("node", "wire", "lost"),
    [
        ({"const": "a"}, {"enum": ["a"]}, []),
        (
            {"type": "string", "maxLength": 80},
            {"type": "string", "description": "At most 80 characters."},
            ["maxLength"],
        ),
        (
            {"type": "string", "minLength": 1, "description": "The name"},
            {"type": "string", "description": "The name. At least 1 character."},
            ["minLength"],
        ),
        ({"type": "string", "format": "date"}, {"type": "string", "format": "date"}, []),
        ({"type": "string", "format": "email"}, {"type": "string", "description": "An e-mail address."}, ["format"]),
        ({"type": "integer", "exclusiveMinimum": 0}, {"type": "integer", "minimum": 1}, []),
        ({"type": "integer", "exclusiveMaximum": 4.5}, {"type": "integer", "maximum": 4}, []),
        (
            {"type": "number", "exclusiveMinimum": 0, "minimum": -1},
            {"type": "number", "description": "Greater than 0.", "minimum": 0},
            ["exclusiveMinimum"],
        ),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, {"type": ["string", "null"]}, []),
        (
            {"anyOf": [{"enum": ["a"], "type": "string"}, {"type": "null"}]},
            {"type": ["string", "null"], "enum": ["a", None]},
            [],
        ),
        (
            {"oneOf": [{"type": "string"}, {"type": "integer"}]},
            {"anyOf": [{"type": "string"}, {"type": "integer"}]},
            [],
        ),
        (
            {"oneOf": [{"type": "string", "enum": ["a"]}, {"type": "string"}]},
            {
                "description": "Exactly one of the alternatives fits.",
                "anyOf": [{"type": "string", "enum": ["a"]}, {"type": "string"}],
            },
            ["oneOf"],
        ),
        (
            {"allOf": [{"type": "number", "minimum": 1}, {"type": "integer", "minimum": 3, "maximum": 9}]},
            {"type": "integer", "minimum": 3, "maximum": 9},
            [],
        ),
        ({"$ref": "#/$defs/word", "description": "Mine"}, {"type": "string", "description": "Mine"}, []),
        ({"$ref": "#/$defs/word", "title": "T", "default": ""}, {"$ref": "#/$defs/word"}, []),
        ({"type": "array", "items": False}, {"type": "array", "maxItems": 0}, []),
        (
            {"type": "array", "uniqueItems": True},
            {"type": "array", "description": "No repeated items."},
            ["uniqueItems"],
        ),
        ({"examples": [1], "$comment": "x", "title": "T", "default": 0, "type": "integer"}, {"type": "integer"}, []),
        (
            {"type": "object", "patternProperties": {"^x": {"type": "string"}}, "additionalProperties": False},
            {
                "type": "object",
                "description": "Names of other members match ^x",
                "additionalProperties": {"type": "string"},
            },
            ["patternProperties"],
        ),
        (
            {"type": "object", "properties": {"a": {}}, "oneOf": [{"required": ["a"]}, {"required": ["b"]}]},
            {
                "type": "object",
                "description": "Exactly one of the alternatives fits.",
                "properties": {"a": {}},
            },
            ["oneOf"],
        ),
    ],
)
def test_a_keyword_goes_out_as_the_service_reads_it(node: Any, wire: Any, lost: list[str]) -> None:
    source = {"type": "object", "properties": {"x": node}, "$defs": {"word": {"type": "string"}}}
    schema = compile_schema(source)
    assert schema.wire["properties"]["x"] == wire
    assert [(loss.path, loss.keyword) for loss in rules(schema)] == [("$.x", keyword) for keyword in lost]


def test_a_loss_names_path_keyword_and_value() -> None:
    class Bill(BaseModel):
        lines: list[Annotated[str, Field(max_length=5)]]
        owner_name: str = Field(alias="owner name", pattern="^A")

    assert compile_schema(Bill).losses == (
        Loss("$.lines[]", "maxLength", 5),
        Loss('$["owner name"]', "pattern", "^A"),
    )


def test_older_drafts_are_brought_up_to_date() -> None:
    schema = compile_schema(
        {
            "$schema": "http://json-schema.org/draft-04/schema#",
            "type": "object",
            "properties": {
                "n": {"type": "number", "minimum": 0, "exclusiveMinimum": True},
                "pair": {"type": "array", "items": [{"$ref": "#/definitions/word"}], "additionalItems": False},
            },
            "definitions": {"word": {"type": "string"}, "unused": {"type": "null"}},
        }
    )
    assert schema.wire["properties"]["n"] == {"type": "number", "description": "Greater than 0.", "minimum": 0}
    assert schema.wire["properties"]["pair"] == {
        "type": "array",
        "prefixItems": [{"$ref": "#/$defs/word"}],
        "maxItems": 1,
    }
    assert schema.wire["$defs"] == {"word": {"type": "string"}}
    assert issues(schema, '{"n": 0}')[0].path == "$.n"


def test_what_a_draft_does_not_know_is_not_sent() -> None:
    source = {"$schema": "http://json-schema.org/draft-04/schema#", "type": "object", "properties": {"a": {"const": 1}}}
    schema = compile_schema(source)
    assert schema.wire["properties"]["a"] == {}
    assert schema.validate('{"a": 2}') == {"a": 2}


def test_nullable_of_openapi_allows_null() -> None:
    schema = compile_schema(
        {"type": "object", "properties": {"a": {"type": "string", "enum": ["x"], "nullable": True}}}
    )
    assert schema.wire["properties"]["a"] == {"type": ["string", "null"], "enum": ["x", None]}
    assert schema.validate('{"a": null}') == {"a": None}


def test_recursion_keeps_its_definition() -> None:
    wire = compile_schema(Node).wire
    assert wire["properties"]["children"] == {"type": "array", "items": {"$ref": "#/$defs/Node"}}
    assert wire["$defs"]["Node"]["properties"]["children"]["items"] == {"$ref": "#/$defs/Node"}


def test_what_stands_beside_a_reference_into_its_own_definition_is_lost_and_not_the_reference() -> None:
    node = {
        "type": "object",
        "properties": {"next": {"$ref": "#/$defs/node", "description": "The next one", "minProperties": 1}},
    }
    schema = compile_schema(
        {"type": "object", "properties": {"first": {"$ref": "#/$defs/node"}}, "$defs": {"node": node}}
    )
    assert schema.wire["$defs"]["node"]["properties"]["next"] == {"$ref": "#/$defs/node"}
    assert rules(schema) == [Loss("$.first.next", "minProperties", 1)]


def test_descriptions_beside_references_do_not_multiply_the_schema() -> None:
    definitions: dict[str, Any] = {"level0": {"type": "string"}}
    for level in range(1, 15):
        inner = {"$ref": f"#/$defs/level{level - 1}", "description": "Said here"}
        definitions[f"level{level}"] = {"type": "object", "properties": dict.fromkeys("abc", inner)}
    schema = compile_schema({"$ref": "#/$defs/level14", "$defs": definitions})
    assert len(json.dumps(schema.wire)) < 60_000
    assert schema.wire["properties"]["a"] == {"description": "Said here", "anyOf": [{"$ref": "#/$defs/level13"}]}


def test_before_2019_what_stands_beside_a_reference_is_not_read() -> None:
    source = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": {"a": {"$ref": "#/definitions/word", "maxLength": 1}},
        "definitions": {"word": {"type": "string"}},
    }
    schema = compile_schema(source)
    assert rules(schema) == []
    assert schema.validate('{"a": "long"}') == {"a": "long"}


def test_alternatives_that_nothing_fits_are_no_empty_union() -> None:
    never = {"anyOf": [True], "allOf": [False]}
    schema = compile_schema({"type": "object", "properties": {"a": never, "b": {}}, "required": ["a"]})
    assert "anyOf" not in schema.wire["properties"]["a"]


def test_one_and_true_are_different_alternatives() -> None:
    wire = compile_schema({"type": "object", "properties": {"a": {"anyOf": [{"enum": [1]}, {"enum": [True]}]}}}).wire
    assert repr(wire["properties"]["a"]) == "{'anyOf': [{'enum': [1]}, {'enum': [True]}]}"


def test_two_conditions_stay_two_losses() -> None:
    first = {"if": {"required": ["a"]}, "then": {"required": ["b"]}}
    second = {"if": {"required": ["c"]}, "else": {"required": ["d"]}}
    schema = compile_schema({"type": "object", "properties": {"a": {}}, "allOf": [first, second]})
    assert sorted((loss.keyword, str(loss.value)) for loss in rules(schema)) == sorted(
        (keyword, str(value)) for condition in (first, second) for keyword, value in condition.items()
    )


def test_formats_that_are_not_asserted_are_only_said() -> None:
    source = {"type": "object", "properties": {"d": {"type": "string", "format": "date"}}}
    schema = compile_schema(source, assert_formats=False)
    assert schema.wire["properties"]["d"] == {"type": "string", "description": "A date, such as 2024-05-01."}
    assert rules(schema) == []
    assert schema.dtypes == {"d": pl.String()}
    assert schema.row(schema.validate('{"d": "soon"}')) == ("soon",)


# --- dtypes ---------------------------------------------------------------------------------------------------------

US = pl.Datetime("us")


@pytest.mark.parametrize(
    ("annotation", "dtype", "value", "cell"),
    [
        (str, pl.String(), "a", "a"),
        (HttpUrl, pl.String(), "http://a.b/", "http://a.b/"),
        (SecretStr, pl.String(), "hush", "hush"),
        (int, pl.Int64(), 3, 3),
        (float, pl.Float64(), 3, 3.0),
        (bool, pl.Boolean(), True, True),
        (bytes, pl.Binary(), "é", "é".encode()),
        (Base64Bytes, pl.Binary(), "/wA=", b"\xff\x00"),
        (Decimal, pl.Decimal(38, 9), "1.5", Decimal("1.5")),
        (Annotated[Decimal, Field(decimal_places=2)], pl.Decimal(38, 2), "1.50", Decimal("1.50")),
        (date, pl.Date(), "2024-05-01", date(2024, 5, 1)),
        (datetime, US, "2024-05-01T09:30:00", datetime(2024, 5, 1, 9, 30)),
        (
            AwareDatetime,
            pl.Datetime("us", "UTC"),
            "2024-05-01T09:30:00+02:00",
            datetime(2024, 5, 1, 7, 30, tzinfo=UTC),
        ),
        (time, pl.Time(), "09:30:00", time(9, 30)),
        (timedelta, pl.Duration("us"), "PT1H30M", timedelta(minutes=90)),
        (Literal["b", "a"], pl.Enum(["b", "a"]), "a", "a"),
        (Topic, pl.Enum(["billing", "bug"]), "bug", "bug"),
        (Literal[1, 2], pl.Int64(), 2, 2),
        (Size, pl.Int64(), 2, 2),
        (Literal[True], pl.Boolean(), True, True),
        (Literal["a", 1], pl.String(), 1, "1"),
        (Union[int, str], pl.String(), "a", '"a"'),  # noqa: UP007
        (Union[int, float], pl.Float64(), 2.5, 2.5),  # noqa: UP007
        (Union[date, str], pl.String(), "soon", "soon"),  # noqa: UP007
        (Union[Item, list[Item]], pl.String(), {"sku": "a", "qty": 1}, '{"sku":"a","qty":1}'),  # noqa: UP007
        (list[int], pl.List(pl.Int64()), [1, 2], [1, 2]),
        (set[str], pl.List(pl.String()), ["b", "a"], ["a", "b"]),
        (tuple[int, ...], pl.List(pl.Int64()), [1], [1]),
        (tuple[int, str], pl.Struct({"f0": pl.Int64(), "f1": pl.String()}), [1, "a"], {"f0": 1, "f1": "a"}),
        (Coordinates, pl.Struct({"x": pl.Int64(), "y": pl.Int64()}), [1], {"x": 1, "y": 0}),
        (
            dict[str, int],
            pl.List(pl.Struct({"key": pl.String(), "value": pl.Int64()})),
            {"a": 1},
            [{"key": "a", "value": 1}],
        ),
        (Item, pl.Struct({"sku": pl.String(), "qty": pl.Int64()}), {"sku": "a", "qty": 1}, {"sku": "a", "qty": 1}),
        (
            Person,
            pl.Struct({"name": pl.String(), "born": pl.Date()}),
            {"name": "a"},
            {"name": "a", "born": None},
        ),
        (Empty, pl.String(), {}, "{}"),
        (tuple[()], pl.String(), [], "[]"),
        (Any, pl.String(), {"a": [1]}, '{"a":[1]}'),
        (dict[str, Any], pl.String(), {"a": [1]}, '{"a":[1]}'),
        (Optional[int], pl.Int64(), None, None),  # noqa: UP045
        (Optional[Item], pl.Struct({"sku": pl.String(), "qty": pl.Int64()}), None, None),  # noqa: UP045
        (
            Node,
            pl.Struct({"name": pl.String(), "children": pl.List(pl.String())}),
            {"name": "a", "children": [{"name": "b"}]},
            {"name": "a", "children": ['{"name":"b","children":[]}']},
        ),
        (
            Open,
            pl.Struct({"name": pl.String(), "_extra": pl.String()}),
            {"name": "a", "more": [1]},
            {"name": "a", "_extra": '{"more":[1]}'},
        ),
    ],
)
def test_a_type_has_its_column(annotation: Any, dtype: pl.DataType, value: Any, cell: Any) -> None:
    schema = compile_schema(model(x=annotation))
    assert schema.dtypes == {"x": dtype}
    validated = schema.validate(json.dumps({"x": value}))
    frame = schema.frame([schema.row(validated), None])
    assert frame.schema == pl.Schema({"x": dtype})
    assert frame["x"].to_list() == [cell, None]
    assert schema.validate(schema.to_json(validated)) == validated


def test_a_union_of_models_is_one_struct_with_a_tag() -> None:
    schema = compile_schema(model(shape=Union[Circle, Square]))  # noqa: UP007
    assert schema.dtypes == {
        "shape": pl.Struct(
            {
                "type": pl.Enum(["Circle", "Square"]),
                "radius": pl.Float64(),
                "note": pl.String(),
                "side": pl.Float64(),
            }
        )
    }
    values = [schema.validate(text) for text in (
        '{"shape": {"radius": 1, "note": "a"}}', '{"shape": {"side": 2, "note": 3}}',
    )]  # fmt: skip
    assert schema.frame([schema.row(value) for value in values])["shape"].to_list() == [
        {"type": "Circle", "radius": 1.0, "note": '"a"', "side": None},
        {"type": "Square", "radius": None, "note": "3", "side": 2.0},
    ]
    assert schema.models(schema.frame([schema.row(value) for value in values])) == values


def test_a_discriminator_is_the_tag_under_its_field_name() -> None:
    pets = compile_schema(list[Annotated[Union[Cat, Dog], Field(discriminator="kind")]])  # noqa: UP007
    inner = {"kind": pl.Enum(["cat", "dog"]), "lives": pl.Int64(), "name": pl.String()}
    assert pets.dtypes == {"value": pl.List(pl.Struct(inner))}
    value = pets.validate('{"value": [{"Kind": "dog", "name": "Rex"}]}')
    assert pets.row(value) == ([{"kind": "dog", "lives": None, "name": "Rex"}],)


def test_literal_fields_tell_the_classes_of_a_plain_union_apart() -> None:
    schema = compile_schema(Union[Spam, NotSpam])  # noqa: UP007
    inner = {"is_spam": pl.Boolean(), "reason": pl.String(), "topic": pl.String()}
    assert schema.dtypes == {"value": pl.Struct(inner)}
    frame = schema.frame([schema.row(NotSpam(is_spam=False, topic="food"))])
    assert schema.models(frame) == [NotSpam(is_spam=False, topic="food")]


@pytest.mark.parametrize(
    ("node", "dtype", "value", "cell"),
    [
        ({"type": "string", "format": "date"}, pl.Date(), "2024-05-01", date(2024, 5, 1)),
        (
            {"type": "string", "format": "date-time"},
            pl.Datetime("us", "UTC"),
            "2024-05-01T09:30:00.5Z",
            datetime(2024, 5, 1, 9, 30, 0, 500000, tzinfo=UTC),
        ),
        ({"type": "string", "format": "time"}, pl.String(), "09:30:00Z", "09:30:00Z"),
        ({"type": "integer"}, pl.Int64(), 2.0, 2),
        ({"type": "number"}, pl.Float64(), 2, 2.0),
        ({"enum": ["a", "b", "a", None]}, None, None, None),
        ({"enum": [1, 2.5]}, pl.Float64(), 1, 1.0),
        ({"type": ["string", "integer"]}, pl.String(), 1, "1"),
        ({"type": "array"}, pl.List(pl.String()), [1, "a"], ["1", '"a"']),
        ({"type": "object"}, pl.String(), {"a": 1}, '{"a":1}'),
        ({"properties": {"a": {}}}, pl.String(), "free", '"free"'),
        (
            {"type": "object", "properties": {"a": {"type": "integer"}}, "additionalProperties": True},
            pl.Struct({"a": pl.Int64(), "_extra": pl.String()}),
            {"a": 1, "b": 2},
            {"a": 1, "_extra": '{"b":2}'},
        ),
        (
            {"type": "object", "additionalProperties": {"type": "integer"}},
            pl.List(pl.Struct({"key": pl.String(), "value": pl.Int64()})),
            {"a": 1},
            [{"key": "a", "value": 1}],
        ),
        ({"type": "null"}, pl.String(), None, None),
    ],
)
def test_a_json_schema_has_its_column(node: Any, dtype: pl.DataType | None, value: Any, cell: Any) -> None:
    source = {"type": "object", "properties": {"x": node}}
    if dtype is None:  # a schema that repeats an enum value is against the rules of its dialect
        with pytest.raises(SchemaError):
            compile_schema(source | {"$schema": "http://json-schema.org/draft-04/schema#"})
        dtype = pl.Enum(["a", "b"])
    schema = compile_schema(source)
    assert schema.dtypes == {"x": dtype}
    assert schema.frame([schema.row(schema.validate(json.dumps({"x": value})))])["x"].to_list() == [cell]


def test_a_thousand_labels_are_one_enum() -> None:
    labels = [f"label {index}" for index in range(1000)]
    schema = compile_schema(labels)
    assert schema.dtypes == {"value": pl.Enum(labels)}
    assert schema.frame([("label 999",)])["value"].to_list() == ["label 999"]


def test_a_frame_of_nothing_and_of_nulls_has_the_types_of_any_other() -> None:
    schema = compile_schema(Ticket)
    assert schema.frame([]).schema == schema.frame([None, None]).schema == pl.Schema(schema.dtypes)
    assert schema.frame([None, None]).rows() == [(None, None, None)] * 2


# --- validation -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("", "$"),
        ("```json\n{}\n```", "$"),
        ('{"topic": "bug", "blocked": NaN}', "$"),
        ('{"topic": "\\ud800", "blocked": true}', "$"),
        ('{"topic": "bug", "blocked": true', "$"),
        ("[]", "$"),
        ('{"topic": "bug"}', "$.blocked"),
        ('{"topic": "weather", "blocked": true}', "$.topic"),
        ('{"topic": "bug", "blocked": "yes"}', "$.blocked"),
        ('{"topic": "bug", "blocked": true, "items": {}}', "$.items"),
        ('{"topic": "bug", "blocked": true, "items": [{"sku": "a", "qty": 1}, {"sku": "a"}]}', "$.items[1].qty"),
        ('{"topic": "bug", "blocked": true, "items": [{"sku": "a", "qty": 0}]}', "$.items[0].qty"),
        ('{"topic": "bug", "blocked": true, "items": [{"sku": "a", "qty": 9223372036854775808}]}', "$.items[0].qty"),
    ],
)
def test_an_answer_that_does_not_fit_says_where(text: str, path: str) -> None:
    reported = issues(compile_schema(Ticket), text)
    assert reported[0].path == path
    assert all(0 < len(issue.message) <= 200 for issue in reported)


@pytest.mark.parametrize(
    "text", ['{"topic": "bug"}', '{"topic": 1, "blocked": true}', '{"topic": "bug", "blocked": 1}']
)
def test_a_json_schema_and_a_model_find_fault_at_the_same_place(text: str) -> None:
    from_model = compile_schema(Ticket)
    from_json = compile_schema(from_model.full)
    assert from_json.dtypes == from_model.dtypes
    assert {issue.path for issue in issues(from_json, text)} <= {"$", *(i.path for i in issues(from_model, text))}


def test_issues_of_a_json_schema_are_short_and_deep() -> None:
    source = {
        "type": "object",
        "properties": {
            "p": {"anyOf": [{"type": "object", "properties": {"q": {"type": "integer"}}}, {"type": "null"}]}
        },
    }
    assert issues(compile_schema(source), '{"p": {"q": "x"}}') == (Issue("$.p.q", "must be integer"),)


def test_issues_inside_a_wrapped_answer_start_at_the_wrapper() -> None:
    assert issues(compile_schema(list[int]), '{"value": [1, "a"]}')[0].path == "$.value[1]"
    assert issues(compile_schema({"type": "array", "items": {"type": "integer"}}), '{"value": ["a"]}') == (
        Issue("$.value[0]", "must be integer"),
    )
    assert issues(compile_schema({"type": "array"}), "[]") == (
        Issue("$", "must be an object with the one member 'value'"),
    )


def test_an_issue_inside_a_union_names_the_member_and_keeps_the_path() -> None:
    reported = issues(compile_schema(model(shape=Union[Circle, Square])), '{"shape": {"radius": "x", "note": "a"}}')  # noqa: UP007
    assert Issue("$.shape.radius", "Input should be a valid number (as Circle)") in reported


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (int, 2**63),
        (Decimal, "0.0000000001"),
        (Decimal, "1e30"),
        (Annotated[Decimal, Field(max_digits=3)], "NaN"),
        (timedelta, "P999999999D"),
        (datetime, "2024-05-01T09:30:00Z"),
        (datetime, "2024-05-01T09:30:00+02:00"),
        (time, "09:30:00Z"),
        (AwareDatetime, "2024-05-01T09:30:00"),
        (AwareDatetime, "0001-01-01T00:00:00+05:00"),
        (list[dict[str, int]], [{"a b": 2**63}]),
    ],
)
def test_a_value_that_does_not_fit_its_column_is_invalid_and_never_rounded(annotation: Any, value: Any) -> None:
    assert issues(compile_schema(model(x=annotation)), json.dumps({"x": value}))[0].path.startswith("$.x")


def test_infinity_fits_no_column() -> None:
    assert issues(compile_schema(model(x=float)), '{"x": 1e999}')[0].path == "$.x"
    assert issues(compile_schema({"type": "object", "properties": {"x": {"type": "number"}}}), '{"x": 1e999}')


def test_a_validator_that_breaks_makes_the_answer_invalid_and_not_the_run() -> None:
    def divide(value: int) -> float:
        return 1 / value

    schema = compile_schema(model(x=Annotated[int, AfterValidator(divide)]))
    assert issues(schema, '{"x": 0}') == (Issue("$", "a validator raised ZeroDivisionError: division by zero"),)


def test_a_rule_of_the_whole_model_is_checked() -> None:
    class Span(BaseModel):
        first: int
        last: int

        @model_validator(mode="after")
        def ordered(self) -> Span:
            if self.last < self.first:
                raise ValueError("last is before first")
            return self

    assert issues(compile_schema(Span), '{"first": 2, "last": 1}') == (Issue("$", "Value error, last is before first"),)


def test_json_is_written_under_the_keys_that_are_read() -> None:
    class Aliased(BaseModel):
        one: int = Field(validation_alias="First one")
        two: int = Field(validation_alias=AliasChoices("second", "zweite"))
        three: int = Field(serialization_alias="THREE")

    schema = compile_schema(Aliased)
    value = schema.validate('{"First one": 1, "second": 2, "three": 3}')
    assert json.loads(schema.to_json(value)) == {"First one": 1, "second": 2, "three": 3}
    assert list(schema.dtypes) == ["one", "two", "three"]


def test_an_absent_default_and_a_null_come_back_as_they_were() -> None:
    class Defaults(BaseModel):
        a: int | None = 5
        b: str = None  # type: ignore[assignment]  # people write this
        c: int = 1

    schema = compile_schema(Defaults)
    for value in (Defaults(), Defaults(a=None), Defaults(b="x", c=2)):
        assert schema.models(schema.frame([schema.row(value)])) == [value]
        assert schema.validate(schema.to_json(value)) == value


# --- refusals -------------------------------------------------------------------------------------------------------


class OldTypedDict(typing.TypedDict):
    a: int


class WithCallable(BaseModel):
    fine: int
    inner: InnerCallable


class InnerCallable(BaseModel):
    call: typing.Callable[[int], int]


class Undefined(BaseModel):
    x: NotDefinedAnywhere  # type: ignore[name-defined]  # noqa: F821 - what is refused


WithCallable.model_rebuild()


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (WithCallable, "$.inner.call: "),
        (Undefined, "$.x: "),
        (model(x=Annotated[int, Field(validation_alias=AliasPath("a", "b"))]), "AliasPath"),
        ([], "at least one"),
        (["a", "a"], "'a'"),
        (["a", 1], "only strings"),
        ({"type": "objekt"}, "objekt"),
        ({"type": "object", "properties": {"a": {"type": 3}}}, "$.a: "),
        ({"type": "object", "properties": {"a": {"$ref": "https://example.org/a.json"}}}, "$.a: $ref"),
        ({"type": "object", "properties": {"a": {"$ref": "#/$defs/none"}}}, "$.a: $ref"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}, "a -> b -> a"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"allOf": [{"$ref": "#/$defs/a"}]}}}, "a -> a"),
        ({"$schema": "https://example.org/mine"}, "dialect"),
        (
            {"$schema": "http://json-schema.org/draft-04/schema#", "patternProperties": {"(": {}}},
            "regular expression",
        ),
        (
            {"type": "object", "properties": {"_extra": {}}, "additionalProperties": True},
            "'_extra'",
        ),
    ],
)
def test_what_cannot_be_compiled_is_refused_with_its_path_and_reason(source: Any, words: str) -> None:
    with pytest.raises(SchemaError) as caught:
        compile_schema(source)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_old_typed_dict_is_refused_with_the_import_that_works() -> None:
    if sys.version_info >= (3, 12):
        assert list(compile_schema(OldTypedDict).dtypes) == ["a"]
    else:
        with pytest.raises(SchemaError, match="typing_extensions"):
            compile_schema(OldTypedDict)


def test_a_schema_nested_without_end_is_refused() -> None:
    node: dict[str, Any] = {"type": "string"}
    for _ in range(5000):
        node = {"type": "array", "items": node}
    with pytest.raises(SchemaError, match="deeply"):
        compile_schema(node)


def test_a_type_whose_package_is_missing_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "email_validator", None)
    monkeypatch.setattr("pydantic.networks.email_validator", None, raising=False)
    with pytest.raises(SchemaError, match="email-validator"):
        compile_schema(EmailStr)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "pattern": "^(a+)+$"},
        {"type": "object", "patternProperties": {"^(a+)+$": {"type": "integer"}}, "additionalProperties": False},
        {
            "type": "object",
            "properties": {},
            "patternProperties": {"^(a|a)*$": {}},
            "additionalProperties": {"type": "null"},
        },
    ],
    ids=["pattern", "patternProperties", "additionalProperties"],
)
def test_no_answer_stops_a_run_by_a_pattern_that_python_takes_years_for(schema: dict[str, Any]) -> None:
    hostile = "a" * 60 + "!"
    answer = {"value": hostile} if schema["type"] == "string" else {hostile: "x"}
    with pytest.raises(InvalidAnswer):
        compile_schema(schema).read(json.dumps(answer))


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        (r"^(?!admin)\w+$", "guest", "admin1"),
        (r"^(?=.*[0-9])(?=.*[a-z]).{4,}$", "abc1", "abcd"),
        (r"^(?!a|b)[a-z]+$", "cab", "bc"),
        (r"^\d{2}$", "12", "12\n"),
        (r"^[a&&b]$", "&", "c"),
        (r"^[!--b]$", "-", "c"),
        (r"^[+--]$", ",", "a"),
        (r"^[a~~b]$", "~", "c"),
        (r"^[a[b]$", "[", "c"),
        (r"^[[:alpha:]]$", ":]", "b"),
        (r"^[\w-]+$", "a-b", "a b"),
        (r"^[^\d\s]$", "a", "1"),
        (r"^[\b]$", "\b", "b"),
        (r"^[a\]]$", "]", "b"),
        (r"^\/a\-\_\<\>$", "/a-_<>", "/a"),
        (r"^{id}$", "{id}", "id"),
        (r"^a{2}$", "aa", "a{2}"),
        (r"^\u0041\uD83D\uDE00$", "A\U0001f600", "A"),
        (r"^\cJ$", "\n", "J"),
        (r"^\p{Lu}$", "É", "é"),
        (r"^(?<year>[0-9]{4})$", "2024", "24"),
        (r"^\d$", "7", "\u0667"),
        (r"^\w+$", "cafe", "café"),
        (r"^\D$", "\u0667", "7"),
        (r"^\W$", "é", "e"),
        (r"^a\sb$", "a\u00a0b", "a\u200bb"),
        (r"^\S$", "\u200b", "\ufeff"),
        (r"e\b", "eé", "ex"),
    ],
)
def test_patterns_mean_what_json_schema_says_in_the_one_engine(pattern: str, good: str, bad: str) -> None:
    schema = compile_schema({"type": "string", "pattern": pattern})
    assert schema.read(json.dumps({"value": good}))[0] == good
    with pytest.raises(InvalidAnswer, match="regular expression"):
        schema.read(json.dumps({"value": bad}))


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        (r"^(\w)\1$", "reference back"),
        (r"^(a|a)*(?=b)", "look-around"),
        (r"(?<=a)b", "look-around"),
        (r"^(?!a)b|c", "look-around"),
        (r"(?:a{1000}){1000}(?:b{1000}){1000}", "too large"),
        ("(", "unclosed group"),
    ],
)
@pytest.mark.parametrize("keyword", ["pattern", "patternProperties"])
def test_a_pattern_that_no_linear_engine_takes_is_refused_with_its_path(pattern: str, words: str, keyword: str) -> None:
    node = {"pattern": pattern} if keyword == "pattern" else {"patternProperties": {pattern: {}}}
    with pytest.raises(SchemaError, match=words) as caught:
        compile_schema({"type": "object", "properties": {"code": node}})
    assert str(caught.value).startswith("$.code: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("draft", ["2019-09", "2020-12"])
def test_unevaluated_properties_match_patterns_in_linear_time_too(draft: str) -> None:
    schema = {
        "$schema": f"https://json-schema.org/draft/{draft}/schema",
        "type": "object",
        "properties": {"a": {"type": "string"}},
        "allOf": [{"$ref": "#/$defs/rest"}],
        "$defs": {"rest": {"patternProperties": {"^(x+)+$": {}}}},
        "unevaluatedProperties": False,
    }
    compiled = compile_schema(schema)
    compiled.read(json.dumps({"a": "b", "xxx": 1}))
    with pytest.raises(InvalidAnswer, match="Unevaluated properties"):
        compiled.read(json.dumps({"a": "b", "x" * 60 + "!": 1}))


def test_patterns_of_a_model_keep_the_meaning_that_pydantic_gives_them() -> None:
    letters = compile_schema(model(x=Annotated[str, Field(pattern=r"^\p{Lu}\w\d$")]))
    assert letters.read(json.dumps({"x": "Éé\u0667"}))[0].x == "Éé\u0667"
    backwards = create_model("M", __config__=ConfigDict(regex_engine="python-re"), x=(str, Field(pattern=r"^(\w)\1$")))
    assert compile_schema(backwards).read(json.dumps({"x": "aa"}))[0].x == "aa"
    with pytest.raises(InvalidAnswer):
        compile_schema(backwards).read(json.dumps({"x": "ab"}))


def test_a_format_that_is_a_pattern_judges_any_answer() -> None:
    schema = compile_schema({"type": "string", "format": "regex"})
    assert schema.read('{"value": "^a+$"}')[0] == "^a+$"
    for hostile in ("(", "a{99999999999999999999}", "(" * 5_000):
        with pytest.raises(InvalidAnswer, match="regex"):
            schema.read(json.dumps({"value": hostile}))
