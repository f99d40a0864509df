"""Models with the features that public projects use, by project and subject; the models themselves are our own.

Each compiles, its rungs accept its values, and a value comes back from JSON, from the columns and from Parquet.
"""

from __future__ import annotations

import io
import json
from datetime import date, datetime
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Annotated, Any, Literal, Self

import polars as pl
import pytest
from jsonschema import Draft202012Validator
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    HttpUrl,
    RootModel,
    computed_field,
    field_validator,
    model_validator,
)

from extract.errors import InvalidAnswer
from extract.schema import compile_schema
from extract.schema.keywords import subschemas
from extract.schema.provider_subset import PROVIDER_KEYWORDS


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


# --- instructor: nested structures, recursion, validators -----------------------------------------------------------


class Street(Model):
    line: str
    town: str
    postcode: str | None = Field(default=None, pattern=r"^\d{4,6}$")


class Department(Model):
    """A unit with units below it."""

    name: str
    head: str | None = None
    units: list[Department] = []

    @field_validator("name")
    @classmethod
    def _trimmed(cls, name: str) -> str:
        return name.strip()


class Firm(Model):
    name: str
    seat: Street
    branches: list[Street] = Field(default_factory=list)
    top: Department


# --- instructor: lists of models, constraints, dates, enums, schema extras ------------------------------------------


class Priority(IntEnum):
    LOW = 1
    HIGH = 3


class Stage(Enum):
    """How far a task has come."""

    OPEN = "open"
    DONE = "done"


class Task(Model):
    title: str = Field(min_length=1, max_length=80)
    stage: Stage
    priority: Priority = Priority.LOW
    due: date | None = None
    hours: float = Field(ge=0, le=40, multiple_of=0.5)


class Plan(Model):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"tasks": []}]})
    tasks: list[Task] = Field(min_length=1, max_length=30, description="Every task that the text names.")
    start: date
    end: date

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.end < self.start:
            raise ValueError("the end lies before the start")
        return self


# --- instructor: prompting patterns (enum, literal, tuple), bulk classification with tags ---------------------------


class Reading(Model):
    thought: str = Field(description="Think first, step by step.")
    mood: Literal["good", "bad", "mixed"]
    span: tuple[int, int]
    pairs: list[tuple[str, float]] = []


class Tag(Model):
    number: int
    label: str


class KnownTag(Tag):
    confidence: Annotated[float, Field(ge=0, le=1)]

    @field_validator("label")
    @classmethod
    def _known(cls, label: str) -> str:
        if label not in {"hardware", "software"}:
            raise ValueError("not one of the tags")
        return label


class Tagged(Model):
    texts: list[KnownTag]


# --- instructor: knowledge graph, entities that name each other by number, retrieval plans --------------------------


class Vertex(Model):
    number: int
    label: str
    colour: str = "grey"


class Edge(Model):
    source: int
    target: int
    label: str | None = None


class Graph(Model):
    vertices: list[Vertex] | None = Field(default=None)
    edges: list[Edge] | None = Field(default=None)


class Property(Model):
    key: str
    value: str
    absolute: str


class Entity(Model):
    number: int
    quotes: list[str]
    properties: list[Property]
    depends_on: list[int]


class Period(Model):
    since: date | None = None
    until: date | None = None


class Query(Model):
    words: str
    period: Period
    places: list[Literal["mail", "calendar", "files"]]


# --- pydantic-ai against Gemini: URL, e-mail, dict, set, tuple, recursion -------------------------------------------


class Leaf(Model):
    value: int
    left: Leaf | None = None
    right: Leaf | None = None


class Contact(Model):
    site: HttpUrl
    mail: str = Field(json_schema_extra={"format": "email"})
    scores: dict[str, float]
    teams: dict[str, list[Tag]]
    tags: set[str]
    home: tuple[float, float]
    age: int = Field(gt=0, lt=150)
    code: str = Field(min_length=2, max_length=3, pattern="^[A-Z]+$")
    seen: AwareDatetime | None = None
    tree: Leaf


# --- python-genai: unions, nested dicts, root models, aliases -------------------------------------------------------


class Text(Model):
    text: str


class Number(Model):
    number: int | float


class Mixed(Model):
    either: int | str
    one_or_many: Text | list[Text]
    part: Text | Number
    grid: dict[str, dict[str, int]]
    chosen: Literal["a", 1, None] = None
    camel: str = Field(alias="camelCase")


class Texts(RootModel[list[Text]]):
    pass


# --- Gemini cookbook, outlines, Daft: invoices, forms, receipts, documents ------------------------------------------


class Position(Model):
    name: str
    quantity: Decimal = Field(default=Decimal(1), ge=0, decimal_places=3)
    unit_price: Annotated[Decimal, Field(decimal_places=2)] | None = None
    total: Decimal = Field(decimal_places=2)


class Receipt(Model):
    shop: str = Field(description="The shop's name as printed.")
    at: datetime | None
    positions: list[Position]
    paid: Literal["cash", "card", "other"] | None = None
    total: Decimal = Field(decimal_places=2, gt=0)
    digits: str = Field(pattern=r"^\d*$", default="")

    @computed_field
    @property
    def difference(self) -> Decimal:
        return self.total - sum((position.total for position in self.positions), Decimal(0))


class Box(Model):
    label: str
    content: str | bool | None
    page: int


class Form(Model):
    number: str
    boxes: list[Box]
    signed: bool


class Paragraph(Model):
    text: str
    kind: Literal["heading", "body", "list"]
    runs: list[list[str]] = []


class Page(Model):
    number: int
    paragraphs: list[Paragraph]


class Report(Model):
    pages: list[Page]
    meta: dict[str, str]


# --- guardrails: a union told apart by its literal tags -------------------------------------------------------------


class Punch(Model):
    action: Literal["fight"]
    weapon: str
    strength: Annotated[int, AfterValidator(abs)]


class Run(Model):
    action: Literal["flee"]
    direction: Literal["north", "south"]
    metres: int


class Turn(Model):
    choice: Annotated[Punch | Run, Field(discriminator="action")]
    history: list[Annotated[Punch | Run, Field(discriminator="action")]] = []


_PUNCH = {"action": "fight", "weapon": "fist", "strength": 5}
_RUN = {"action": "flee", "direction": "north", "metres": 20}
_STREET = {"line": "Lange Str. 1", "town": "Ulm"}
_LEAF = {"value": 1, "left": {"value": 2, "left": {"value": 3, "right": {"value": 4}}}}
_POSITION = {"name": "Brot", "quantity": "1.25", "unit_price": "2.10", "total": 2.63}

CASES: list[tuple[Any, Any]] = [
    (Firm, {"name": "A", "seat": _STREET | {"postcode": "89073"}, "branches": [_STREET],
            "top": {"name": " all ", "units": [{"name": "b", "units": [{"name": "c", "units": [{"name": "d"}]}]}]}}),
    (Plan, {"tasks": [{"title": "x", "stage": "open", "priority": 3, "due": "2024-05-01", "hours": 1.5},
                      {"title": "y", "stage": "done", "due": None, "hours": 0}],
            "start": "2024-05-01", "end": "2024-06-01"}),
    (Reading, {"thought": "so", "mood": "mixed", "span": [1, 9], "pairs": [["a", 1], ["b", 0.5]]}),
    (Tagged, {"texts": [{"number": 1, "label": "software", "confidence": 0.9}]}),
    (Graph, {"vertices": [{"number": 1, "label": "a"}], "edges": [{"source": 1, "target": 1, "label": None}]}),
    (Graph, {"edges": []}),
    (list[Entity], [{"number": 1, "quotes": ["q"], "depends_on": [2],
                     "properties": [{"key": "k", "value": "v", "absolute": "w"}]}]),
    (list[Query], [{"words": "w", "period": {"since": "2024-01-01"}, "places": ["mail", "files"]}]),
    (Contact, {"site": "https://example.org/a?b=c", "mail": "ada@example.org", "scores": {"a b": 1, "c": 0.5},
               "teams": {"x": [{"number": 1, "label": "l"}], "y": []}, "tags": ["b", "a"], "home": [48.4, 10],
               "age": 36, "code": "DE", "seen": "2024-05-01T09:30:00+02:00", "tree": _LEAF}),
    (Mixed, {"either": "7", "one_or_many": [{"text": "a"}], "part": {"number": 1.5}, "grid": {"r": {"c": 1}},
             "chosen": 1, "camelCase": "x"}),
    (Mixed, {"either": 7, "one_or_many": {"text": "a"}, "part": {"text": "t"}, "grid": {}, "chosen": "a",
             "camelCase": ""}),
    (Texts, [{"text": "a"}, {"text": "b"}]),
    (Receipt, {"shop": "Laden", "at": "2024-05-01T18:03:00", "positions": [_POSITION], "paid": "card", "total": "2.63",
               "digits": "0123"}),
    (Receipt, {"shop": "", "at": None, "positions": [], "total": 1}),
    (Form, {"number": "7", "signed": True, "boxes": [{"label": "a", "content": True, "page": 1},
                                                     {"label": "b", "content": None, "page": 2}]}),
    (Report, {"pages": [{"number": 1, "paragraphs": [{"text": "t", "kind": "list", "runs": [["a"], []]}]}],
              "meta": {"lang": "de"}}),
    (Turn, {"choice": _PUNCH, "history": [_RUN, _PUNCH]}),
]  # fmt: skip


def _nodes(node: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        node,
        *(descendant for inner in subschemas(node) if isinstance(inner, dict) for descendant in _nodes(inner)),
    ]


@pytest.mark.parametrize(("source", "answer"), CASES)
def test_a_public_kind_of_model_compiles_and_its_values_come_back_whole(source: Any, answer: Any) -> None:
    schema = compile_schema(source)
    sent = {"value": answer} if schema.wrapped else answer
    for rung in range(schema.rungs):
        wire = schema.relaxed(rung)
        assert all(node.keys() <= PROVIDER_KEYWORDS.keys() for node in _nodes(wire))
        assert Draft202012Validator(wire, format_checker=Draft202012Validator.FORMAT_CHECKER).is_valid(sent)
    value = schema.validate(json.dumps(sent))
    assert schema.validate(schema.to_json(value)) == value
    stored = io.BytesIO()
    schema.frame([schema.row(value), None]).write_parquet(stored)
    stored.seek(0)
    frame = pl.read_parquet(stored)
    assert frame.schema == pl.Schema(schema.dtypes)
    assert schema.models(frame) == [value, None]


@pytest.mark.parametrize(("source", "answer", "path"), [
    (Plan, {"tasks": [{"title": "x", "stage": "open", "hours": 41}], "start": "2024-05-01", "end": "2024-06-01"},
     "$.tasks[0].hours"),
    (Plan, {"tasks": [{"title": "x", "stage": "open", "hours": 1}], "start": "2024-05-01", "end": "2024-04-01"}, "$"),
    (Tagged, {"texts": [{"number": 1, "label": "garden", "confidence": 0.9}]}, "$.texts[0].label"),
    (Contact, {"site": "no url"}, "$.site"),
    (Turn, {"choice": _RUN | {"action": "fight"}}, "$.choice.weapon"),
    (Receipt, {"shop": "", "at": None, "positions": [_POSITION | {"quantity": "1.2345"}], "total": 1},
     "$.positions[0].quantity"),
])  # fmt: skip
def test_rules_of_a_public_kind_of_model_are_checked_where_they_stand(source: Any, answer: Any, path: str) -> None:
    with pytest.raises(InvalidAnswer) as caught:
        compile_schema(source).validate(json.dumps(answer))
    assert path in {issue.path for issue in caught.value.issues}


def test_the_docstring_of_an_enum_and_of_a_model_go_out_and_int_enums_are_integers() -> None:
    schema = compile_schema(Plan)
    definitions = schema.wire["$defs"]
    assert definitions["Stage"] == {
        "type": "string", "description": "How far a task has come.", "enum": ["open", "done"]
    }  # fmt: skip
    assert definitions["Priority"]["enum"] == [1, 3]
    task = schema.dtypes["tasks"].inner
    assert task.to_schema()["priority"] == pl.Int64()
    assert task.to_schema()["stage"] == pl.Enum(["open", "done"])


def test_a_receipts_computed_difference_is_a_column() -> None:
    schema = compile_schema(Receipt)
    value = schema.validate(json.dumps(CASES[12][1]))
    assert schema.frame([schema.row(value)])["difference"].to_list() == [Decimal(0)]
