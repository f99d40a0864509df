"""Computed fields: never asked for, filled in on the way back, not needed to restore a value."""

from __future__ import annotations

import io
import json
from decimal import Decimal
from functools import cached_property
from typing import Any, Literal

import polars as pl
import pytest
from pydantic import BaseModel, ConfigDict, Field, computed_field

from extract.errors import InvalidAnswer
from extract.schema import OutputSchema, compile_schema


class Line(BaseModel):
    quantity: int
    price: Decimal = Field(decimal_places=2)

    @computed_field
    @property
    def total(self) -> Decimal:
        return self.quantity * self.price


class Bill(BaseModel):
    model_config = ConfigDict(extra="forbid")
    lines: list[Line]

    @computed_field
    @property
    def count(self) -> int:
        return len(self.lines)

    @computed_field(alias="dearestLine")
    @cached_property
    def dearest(self) -> Line | None:
        return max(self.lines, key=lambda line: line.price, default=None)


BILL = Bill(lines=[Line(quantity=2, price=Decimal("1.50")), Line(quantity=1, price=Decimal(4))])
LINE = pl.Struct({"quantity": pl.Int64(), "price": pl.Decimal(38, 2), "total": pl.Decimal(38, 9)})


def _cells(schema: OutputSchema, value: Any) -> dict[str, Any]:
    return schema.frame([schema.row(value)]).row(0, named=True)


def test_computed_fields_are_not_asked_for() -> None:
    schema = compile_schema(Bill)
    assert list(schema.wire["properties"]) == ["lines"]
    assert list(schema.wire["$defs"]["Line"]["properties"]) == ["quantity", "price"]
    assert schema.to_json(BILL) == '{"lines":[{"quantity":2,"price":"1.5"},{"quantity":1,"price":"4"}]}'


def test_computed_fields_are_columns_after_the_declared_ones_at_every_depth() -> None:
    schema = compile_schema(Bill)
    assert schema.dtypes == {"lines": pl.List(LINE), "count": pl.Int64(), "dearest": LINE}
    cells = _cells(schema, BILL)
    assert cells["count"] == 2
    assert cells["dearest"] == {"quantity": 1, "price": Decimal(4), "total": Decimal(4)}
    assert [line["total"] for line in cells["lines"]] == [Decimal(3), Decimal(4)]


def test_a_value_is_restored_without_its_computed_fields_having_been_stored_in_the_answer() -> None:
    schema = compile_schema(Bill)
    stored = io.BytesIO()
    schema.frame([schema.row(schema.validate(schema.to_json(BILL)))]).write_parquet(stored)
    stored.seek(0)
    assert schema.models(pl.read_parquet(stored)) == [BILL]


def test_a_type_without_a_schema_and_a_type_without_a_shape_are_json() -> None:
    class Loose(BaseModel):
        name: str

        @computed_field
        @property
        def anything(self) -> Any:
            return {"letters": len(self.name)}

        @computed_field(return_type=object)
        @property
        def untold(self):
            return [self.name]

    schema = compile_schema(Loose)
    assert schema.dtypes == {"name": pl.String(), "anything": pl.String(), "untold": pl.String()}
    assert _cells(schema, Loose(name="Ada")) == {"name": "Ada", "anything": '{"letters":3}', "untold": '["Ada"]'}


class Person(BaseModel):
    name: str

    @computed_field
    @property
    def shadow(self) -> Person:
        return Person(name=self.name.lower())


def test_a_class_inside_its_own_computed_field_computes_no_further() -> None:
    schema = compile_schema(Person)
    assert schema.dtypes == {"name": pl.String(), "shadow": pl.Struct({"name": pl.String()})}
    assert _cells(schema, Person(name="Ada")) == {"name": "Ada", "shadow": {"name": "ada"}}


class Circle(BaseModel):
    kind: Literal["circle"]
    radius: float

    @computed_field
    @property
    def size(self) -> float:
        return self.radius * 2


class Square(BaseModel):
    kind: Literal["square"]
    size: str


def test_a_computed_field_that_clashes_inside_a_union_is_json() -> None:
    class Drawing(BaseModel):
        shape: Circle | Square = Field(discriminator="kind")

    schema = compile_schema(Drawing)
    drawings = [Drawing(shape=Circle(kind="circle", radius=2)), Drawing(shape=Square(kind="square", size="big"))]
    frame = schema.frame([schema.row(drawing) for drawing in drawings])
    assert frame["shape"].struct.field("size").to_list() == ["4.0", '"big"']
    assert schema.models(frame) == drawings


def test_a_computed_field_that_raises_or_does_not_fit_spoils_the_row_and_not_the_run() -> None:
    class Share(BaseModel):
        parts: int

        @computed_field
        @property
        def each(self) -> int:
            return 12 // self.parts

        @computed_field
        @property
        def label(self) -> str:
            return "many" if self.parts > 1 else 1

    schema = compile_schema(Share)
    assert schema.row(Share(parts=3)) == (3, 4, "many")
    with pytest.raises(InvalidAnswer, match=r"\$\.each: computing it raised ZeroDivisionError"):
        schema.row(Share(parts=0))
    with pytest.raises(InvalidAnswer, match=r"\$\.label: text expected"):
        schema.row(Share(parts=1))


def test_further_members_stand_after_computed_fields() -> None:
    class Open(BaseModel):
        model_config = ConfigDict(extra="allow")
        name: str

        @computed_field
        @property
        def length(self) -> int:
            return len(self.name)

    schema = compile_schema(Open)
    value = schema.validate('{"name": "Ada", "born": 1815}')
    assert list(schema.dtypes) == ["name", "length", "_extra"]
    assert schema.row(value) == ("Ada", 3, '{"born":1815}')
    assert schema.models(schema.frame([schema.row(value)])) == [value]


def test_a_computed_field_named_type_leaves_the_unions_tag_another_name() -> None:
    class First(BaseModel):
        a: int

        @computed_field
        @property
        def type(self) -> str:
            return "first"

    class Second(BaseModel):
        b: int

    class Either(BaseModel):
        one: First | Second

    schema = compile_schema(Either)
    values = [Either(one=First(a=1)), Either(one=Second(b=2))]
    frame = schema.frame([schema.row(value) for value in values])
    assert frame["one"].struct.field("_type").to_list() == ["First", "Second"]
    assert frame["one"].struct.field("type").to_list() == ["first", None]
    assert schema.models(frame) == values


@pytest.mark.parametrize("extra", ["forbid", "allow"])
def test_a_class_of_computed_fields_alone_is_written_without_them(extra: Literal["forbid", "allow"]) -> None:
    class Inner(BaseModel):
        model_config = ConfigDict(extra=extra)

        @computed_field
        @property
        def one(self) -> int:
            return 1

    class Outer(BaseModel):
        inner: Inner

    schema = compile_schema(Outer)
    members = {"more": 2} if extra == "allow" else {}
    value = Outer(inner=Inner(**members))
    assert schema.to_json(value) == json.dumps({"inner": members}, separators=(",", ":"))
    assert schema.models(schema.frame([schema.row(value)])) == [value]
