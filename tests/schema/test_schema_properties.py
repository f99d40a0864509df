"""Wide promises, over generated schemas, models and values."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, Literal, Optional, Union

import polars as pl
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from jsonschema import Draft4Validator, Draft7Validator, Draft202012Validator
from pydantic import AwareDatetime, BaseModel, Field, NaiveDatetime, computed_field, create_model
from typing_extensions import TypedDict

from extract.errors import InvalidAnswer, SchemaError
from extract.schema import OutputSchema, compile_schema

WORDS = st.sampled_from(["", "a", "b", "ab", "abc"])
NUMBERS = st.sampled_from([-1, 0, 1, 2, 3, 0.5, 2.0])
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, WORDS)
NAMES = st.sampled_from(["a", "b", "ab", "type"])

VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=3)),
    max_leaves=6,
)


def _node(**keywords: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=keywords)


def _schemas(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    branches = st.lists(inner, min_size=1, max_size=3)
    objects = _node(
        properties=st.dictionaries(NAMES, inner, max_size=3),
        required=st.lists(NAMES, max_size=2, unique=True),
        additionalProperties=st.one_of(st.booleans(), inner),
        patternProperties=st.dictionaries(st.sampled_from(["^a", "b$"]), inner, max_size=2),
        minProperties=st.integers(0, 2),
        dependentRequired=st.dictionaries(NAMES, st.lists(NAMES, max_size=1), max_size=1),
    ).flatmap(lambda node: st.sampled_from([node, node | {"type": "object"}]))
    arrays = _node(
        items=inner,
        prefixItems=branches,
        minItems=st.integers(0, 2),
        maxItems=st.integers(0, 3),
        uniqueItems=st.booleans(),
    ).flatmap(lambda node: st.sampled_from([node, node | {"type": "array"}]))
    unions = _node(anyOf=branches, oneOf=branches, allOf=branches)
    conditions = st.one_of(
        st.builds(lambda node: {"not": node}, inner),
        st.builds(lambda a, b, c: {"if": a, "then": b, "else": c}, inner, inner, inner),
    )
    references = st.builds(
        lambda name, rest: {"$ref": f"#/$defs/{name}"} | rest, st.sampled_from("PQ"), st.just({}) | objects
    )
    mixed = st.builds(lambda a, b, c: {**a, **b, **c}, objects, unions, st.just({}) | conditions)
    return st.one_of(objects, arrays, unions, conditions, references, mixed)


LEAVES = st.one_of(
    st.booleans(),
    _node(
        type=st.one_of(
            st.sampled_from(["string", "integer", "number", "boolean", "null"]),
            st.lists(st.sampled_from(["string", "integer", "number", "null"]), min_size=1, max_size=2, unique=True),
        ),
        minimum=NUMBERS,
        exclusiveMinimum=NUMBERS,
        exclusiveMaximum=NUMBERS,
        multipleOf=st.sampled_from([1, 2, 0.5]),
        maxLength=st.integers(0, 3),
        pattern=st.sampled_from(["^a", "b$"]),
        enum=st.lists(SCALARS, min_size=1, max_size=3, unique_by=json.dumps),
        const=SCALARS,
        title=WORDS,
        description=WORDS,
    ),
)
SCHEMAS = st.recursive(LEAVES, _schemas, max_leaves=8)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(root=SCHEMAS, p=SCHEMAS, q=SCHEMAS, values=st.lists(VALUES, min_size=1, max_size=8))
@pytest.mark.parametrize("as_member", [False, True])
def test_the_wire_form_and_the_columns_take_every_value_that_the_schema_takes(
    as_member: bool, root: Any, p: Any, q: Any, values: list[Any]
) -> None:
    node = root if isinstance(root, dict) else {"allOf": [root]}
    if as_member:
        node = {"type": "object", "properties": {"x": node, "y": p}, "additionalProperties": False}
        values = [{"x": value} for value in values]
    source = {"$defs": {"P": p, "Q": q}} | node
    try:
        schema = compile_schema(source)
    except SchemaError as error:
        refusal = str(error)
        assert "circle" in refusal  # the only reason to refuse such a schema
        return
    truth, wire = Draft202012Validator(source), Draft202012Validator(schema.wire)
    rows = []
    for value in values:
        if truth.is_valid(value):
            answer = {"value": value} if schema.wrapped else value
            assert wire.is_valid(answer), (schema.wire, answer)
            assert Draft202012Validator(schema.full).is_valid(answer)
            assert schema.validate(json.dumps(answer)) == value
            rows.append(schema.row(value))
    assert schema.frame(rows).schema == pl.Schema(schema.dtypes)


@settings(max_examples=100, deadline=None)
@given(node=SCHEMAS, values=st.lists(VALUES, min_size=1, max_size=6))
@pytest.mark.parametrize(("uri", "validator"), [
    ("http://json-schema.org/draft-04/schema#", Draft4Validator),
    ("http://json-schema.org/draft-07/schema#", Draft7Validator),
])  # fmt: skip
def test_older_drafts_keep_their_own_meaning(uri: str, validator: Any, node: Any, values: list[Any]) -> None:
    source = {"$schema": uri, "type": "object", "properties": {"x": node}}
    assume(validator(validator.META_SCHEMA).is_valid(source))  # not every generated schema is one of an older draft
    try:
        schema = compile_schema(source)
    except SchemaError as error:
        assume("leads out" in str(error))
        return
    truth, wire = validator(source), Draft202012Validator(schema.wire)
    for value in values:
        if truth.is_valid({"x": value}):
            assert wire.is_valid({"x": value})
            assert len(schema.frame([schema.row({"x": value})])) == 1


# --- generated models -----------------------------------------------------------------------------------------------


class Colour(Enum):
    RED = "red"
    GREEN = "green"


class Point(BaseModel):
    x: int
    y: Optional[float] = None  # noqa: UP045  # both spellings must work


class Named(TypedDict):
    name: str
    when: date


@dataclass
class Pair:
    left: str
    right: Decimal


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = Field(alias="livesLeft")


class Dog(BaseModel):
    kind: Literal["dog"]
    age: timedelta


class Line(BaseModel):
    quantity: int
    prices: list[Decimal]

    @computed_field
    @property
    def total(self) -> Decimal | None:
        return max(self.prices, default=None)

    @computed_field
    @property
    def corner(self) -> Point:
        return Point(x=self.quantity)


class Left(BaseModel):
    l: str  # noqa: E741
    shared: int


class Right(BaseModel):
    r: bool
    shared: str


TEXTS = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=6)
INTEGERS = st.integers(-(2**63), 2**63 - 1)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
DECIMALS = st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**12), max_value=10**12)
INSTANTS = st.datetimes(min_value=datetime(1000, 1, 2), max_value=datetime(9998, 1, 1)).map(
    lambda value: value.replace(tzinfo=UTC)
)
DURATIONS = st.timedeltas(timedelta(days=-20_000), timedelta(days=20_000))
POINTS = st.builds(Point, x=INTEGERS, y=st.none() | FLOATS)
PETS = st.builds(lambda n: Cat(kind="cat", livesLeft=n), INTEGERS) | st.builds(Dog, kind=st.just("dog"), age=DURATIONS)

SIMPLE: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (str, TEXTS),
    (int, INTEGERS),
    (float, FLOATS),
    (bool, st.booleans()),
    (Decimal, DECIMALS),
    (date, st.dates()),
    (AwareDatetime, INSTANTS),
    (NaiveDatetime, st.datetimes()),
    (time, st.times()),
    (timedelta, DURATIONS),
    (bytes, TEXTS.map(str.encode)),
    (Literal["one", "two"], st.sampled_from(["one", "two"])),
    (Literal[1, 2], st.sampled_from([1, 2])),
    (Literal["a", 1], st.sampled_from(["a", 1])),
    (Colour, st.sampled_from(Colour)),
    (Any, VALUES),
    (Union[int, str], INTEGERS | TEXTS),  # noqa: UP007
    (Point, POINTS),
    (Named, st.fixed_dictionaries({"name": TEXTS, "when": st.dates()})),
    (Pair, st.builds(Pair, left=TEXTS, right=DECIMALS)),
    (Line, st.builds(Line, quantity=INTEGERS, prices=st.lists(DECIMALS, max_size=2))),
    (Union[Cat, Dog], PETS),  # noqa: UP007
    (Union[Left, Right], st.builds(Left, l=TEXTS, shared=INTEGERS) | st.builds(Right, r=st.booleans(), shared=TEXTS)),  # noqa: UP007
    (Union[Point, list[Point]], POINTS | st.lists(POINTS, max_size=2)),  # noqa: UP007
]


def _containers(inner: st.SearchStrategy[tuple[Any, Any]]) -> st.SearchStrategy[tuple[Any, Any]]:
    return st.one_of(
        inner.map(lambda pair: (list[pair[0]], st.lists(pair[1], max_size=3))),
        inner.map(lambda pair: (Optional[pair[0]], st.none() | pair[1])),  # noqa: UP045
        inner.map(lambda pair: (dict[str, pair[0]], st.dictionaries(TEXTS, pair[1], max_size=3))),
        st.tuples(inner, inner).map(lambda two: (tuple[two[0][0], two[1][0]], st.tuples(two[0][1], two[1][1]))),
    )


TYPES = st.recursive(st.sampled_from(SIMPLE), _containers, max_leaves=3)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), members=st.lists(TYPES, min_size=1, max_size=4))
def test_values_come_back_from_json_and_from_parquet_as_they_were(data: st.DataObject, members: list[Any]) -> None:
    fields: dict[str, Any] = {f"field_{index}": (kind, ...) for index, (kind, _) in enumerate(members)}
    model = create_model("Generated", **fields)
    schema = compile_schema(model)
    values = [
        model(**{f"field_{index}": data.draw(drawn) for index, (_, drawn) in enumerate(members)}) for _ in range(2)
    ]
    texts = [schema.to_json(value) for value in values]
    assert [schema.validate(text) for text in texts] == values
    wire = Draft202012Validator(schema.wire, format_checker=Draft202012Validator.FORMAT_CHECKER)
    assert all(wire.is_valid(json.loads(text)) for text in texts)

    frame = schema.frame([schema.row(value) for value in values])
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    buffer.seek(0)
    stored = pl.read_parquet(buffer)
    assert stored.schema == pl.Schema(schema.dtypes)
    assert stored.equals(frame)
    assert [back for back in schema.models(stored) if back is not None] == [
        value for value, row in zip(values, frame.rows(), strict=True) if any(cell is not None for cell in row)
    ]


@given(text=st.text(max_size=40) | VALUES.map(json.dumps))
def test_no_text_makes_validation_raise_anything_but_an_invalid_answer(text: str) -> None:
    for schema in _SOME_SCHEMAS:
        fault = _fault(schema, text)
        assert fault is None or (fault.issues and all(issue.path.startswith("$") for issue in fault.issues))


def _fault(schema: OutputSchema, text: str) -> InvalidAnswer | None:
    try:
        schema.row(schema.validate(text))
    except InvalidAnswer as error:
        return error
    return None


_SOME_SCHEMAS = [
    compile_schema(Point),
    compile_schema(Union[Cat, Dog]),  # noqa: UP007
    compile_schema(["a", "b"]),
    compile_schema({"type": "object", "properties": {"a": {"type": "integer"}}, "additionalProperties": False}),
]
