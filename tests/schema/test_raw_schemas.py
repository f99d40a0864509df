"""What a JSON Schema or a class leaves unsaid, and what is written in unusual ways: nothing of an answer is lost."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from functools import partial
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import Any, Literal
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, create_model
from pydantic.alias_generators import to_camel
from pydantic.dataclasses import dataclass
from typing_extensions import TypedDict

from extract import Client, ConfigError, Emulator, Extractor, Run, run
from extract.errors import InvalidAnswer, SchemaError
from extract.extractor.plan import compile_extractor
from extract.interactions.endpoint import Endpoint
from extract.schema import OutputSchema, compile_schema
from extract.schema.losses import Loss

DRAFT_4, DRAFT_6 = "http://json-schema.org/draft-04/schema#", "http://json-schema.org/draft-06/schema#"
OPEN = {"type": "object", "properties": {"a": {"type": "integer"}}}


def asked(schema: Any, *answers: Any, extra: Literal["drop", "keep"] = "drop", **options: Any) -> tuple[Run, Emulator]:
    """Return the run over one row per answer, and the service that gave these in turn."""
    remaining = [json.dumps(answer) for answer in answers]
    emulator = Emulator(answers=lambda _: remaining.pop(0))
    client = Client("a-key-for-tests", transport=emulator.transport)
    extractor = Extractor(schema, "{text}", repairs=0, extra=extra)
    rows = [{"text": f"row {number}"} for number in range(len(answers))]
    return run(rows, extractor, client=client, limits=None, **options), emulator


def back(schema: OutputSchema, *values: Any) -> list[Any]:
    return schema.models(schema.frame([schema.row(value) for value in values]))


# --- members without a name -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schema", "answer", "at"),
    [
        (OPEN, {"a": 1, "b": 2}, "$"),
        ({"type": "object", "properties": {"x": OPEN}, "additionalProperties": False}, {"x": {"a": 1, "b": 2}}, "$.x"),
        ({"type": "array", "items": OPEN}, {"value": [{"a": 1}, {"b": 2}]}, "$.value[]"),
        ({"type": "object", "additionalProperties": OPEN}, {"value": {"k": {"b": 2}}}, "$.value.*"),
        (
            {"type": "array", "prefixItems": [OPEN, {}], "minItems": 2, "maxItems": 2, "items": False},
            {"value": [{"b": 1}, 2]},
            "$.value[0]",
        ),
        ({"anyOf": [OPEN, {"type": "object", "properties": {"c": {}}}]}, {"value": {"a": 1, "b": 2}}, "$.value"),
        ({"$ref": "#/$defs/x", "$defs": {"x": OPEN}}, {"b": 2}, "$"),
    ],
)
def test_members_that_a_schema_allows_without_a_word_are_a_loss_and_counted(schema: Any, answer: Any, at: str) -> None:
    compiled = compile_schema(schema)
    assert Loss(at, "additionalProperties", None) in compiled.losses
    assert "additionalProperties" not in json.dumps([node.get("description") for node in nodes_of(compiled.wire)])
    result, _ = asked(schema, answer, provenance=True)
    assert (result.totals.valid, result.totals.unnamed, result.summary()["unnamed"]) == (1, 1, 1)
    assert result.frame["_extract"].struct.field("unnamed").to_list() == [True]
    kept, _ = asked(schema, answer, extra="keep")
    assert kept.totals.unnamed == 0
    assert '"b"' in json.dumps(kept.frame.drop("text").to_dicts()).replace("\\", "")
    assert not any(loss.drops_unnamed for loss in kept.losses)
    assert list(kept.models()) == [answer.get("value", answer)]


def nodes_of(wire: Any) -> list[Any]:
    inner = wire.values() if isinstance(wire, dict) else wire if isinstance(wire, list) else ()
    return [*([wire] if isinstance(wire, dict) else []), *(node for item in inner for node in nodes_of(item))]


@pytest.mark.parametrize(
    "schema",
    [
        OPEN | {"additionalProperties": False},
        OPEN | {"additionalProperties": True},
        OPEN | {"patternProperties": {"^x": {}}},
        OPEN | {"unevaluatedProperties": False},
        {"type": "object"},
        {"type": "object", "properties": {"x": {"anyOf": [OPEN, {"type": "string"}]}}, "additionalProperties": False},
    ],
)
def test_no_loss_where_all_that_is_allowed_has_a_column(schema: Any) -> None:
    assert not [loss for loss in compile_schema(schema).losses if loss.drops_unnamed]


def test_an_answer_that_names_nothing_else_is_not_counted() -> None:
    result, _ = asked(OPEN, {"a": 1}, {}, {"a": 2, "b": 3}, {"z": None})
    assert (result.totals.valid, result.totals.unnamed) == (4, 2)


def test_keeping_unnamed_members_sends_and_pays_nothing_anew(tmp_path: Path) -> None:
    before, _ = asked(OPEN, {"a": 1, "b": 2}, cache=tmp_path / "cache")
    after, emulator = asked(OPEN, {"a": 0}, cache=tmp_path / "cache", extra="keep")
    assert emulator.requests == []
    assert before.frame.drop("text").to_dicts() == [{"a": 1}]
    assert after.frame.drop("text").to_dicts() == [{"a": 1, "_extra": '{"b":2}'}]


def test_extra_says_what_it_takes() -> None:
    with pytest.raises(ConfigError, match="'drop' or 'keep'"):
        Extractor(OPEN, "{text}", extra="allow")  # type: ignore[arg-type]
    with pytest.raises(SchemaError, match="ConfigDict"):
        compile_schema(BaseModel, extra="keep")
    with pytest.raises(SchemaError, match="too late"):
        compile_schema(compile_schema(OPEN), extra="keep")
    with pytest.raises(SchemaError, match="_extra"):
        compile_schema({"type": "object", "properties": {"_extra": {}}}, extra="keep")


def test_a_member_that_is_required_and_not_described_has_a_column_and_comes_back() -> None:
    schema = OPEN | {"required": ["a", "b"]}
    result, _ = asked(schema, {"a": 1, "b": [2]}, {"a": 3, "b": None}, {"a": 1})
    assert result.frame["b"].to_list() == ["[2]", None, None]
    assert list(result.models()) == [{"a": 1, "b": [2]}, {"a": 3, "b": None}, None]
    assert compile_schema(schema).wire == OPEN | {"required": ["a", "b"]}


# --- numbers --------------------------------------------------------------------------------------------------------


@given(
    count=st.integers(-(10**6), 10**6), step=st.decimals("0.001", "1000", places=3), off=st.sampled_from([0, 0, 1, -1])
)
def test_multiples_are_those_of_decimal_arithmetic(count: int, step: Decimal, off: int) -> None:
    written = step * count + Decimal(off) / 1000
    schema = compile_schema(json.loads(f'{{"type": "number", "multipleOf": {step:f}}}'))
    is_multiple = written % step == 0
    try:
        schema.validate(f'{{"value": {written:f}}}')
    except InvalidAnswer as error:
        assert not is_multiple, (written, step)
        assert error.issues[0].message.startswith("must be a multiple of")
    else:
        assert is_multiple, (written, step)


@pytest.mark.parametrize("name", [DRAFT_4, DRAFT_6, None])
def test_a_price_is_a_multiple_of_a_cent_in_every_draft(name: str | None) -> None:
    declared = {"$schema": name} if name else {}
    inner = {"type": "object", "properties": {"price": {"multipleOf": 0.01}, "next": {"$ref": "#"}}}
    schema = compile_schema(declared | inner)
    assert schema.validate('{"next": {"price": 4.02}}') == {"next": {"price": 4.02}}
    with pytest.raises(InvalidAnswer):
        schema.validate('{"next": {"price": 0.015}}')
    assert compile_schema({"multipleOf": 0.5}).validate('{"value": 1e308}') == 1e308


def test_a_root_that_refers_to_itself_matches_patterns_as_everywhere() -> None:
    declared = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    members = {"name": {"type": "string", "pattern": r"^\p{Lu}"}, "child": {"$ref": "#"}}
    schema = compile_schema(declared | {"type": "object", "properties": members})
    assert schema.validate('{"child": {"name": "Ada"}}') == {"child": {"name": "Ada"}}
    with pytest.raises(InvalidAnswer):
        schema.validate('{"child": {"name": "ada"}}')


# --- names ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", [None, "parquet", "csv", "jsonl"])
@pytest.mark.parametrize("name", ["", " ", "a.b", 'say "x"', "[0]", "größe", "\n"])
def test_a_property_of_any_name_has_a_column(name: str, ending: str | None, tmp_path: Path) -> None:
    nested = {"type": "object", "properties": {name: {"type": "integer"}}, "additionalProperties": False}
    schema = {"type": "object", "properties": {"a": {"type": "integer"}, name: {"type": "integer"}, "n": nested}}
    answer = {"a": 1, name: 3, "n": {name: 4}}
    output = {} if ending is None else {"output": tmp_path / f"out.{ending}"}
    result, _ = asked(schema, answer, **output)
    assert result.frame[name].to_list() == [3]
    assert list(result.models()) == [answer]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ({"type": "object", "properties": {"\ud800": {}}}, "half a character"),
        ({"type": "object", "properties": {"a": {"enum": ["\udc00"]}}}, "half a character"),
        ({"type": "object", "description": "\ud800", "properties": {"a": {}}}, "half a character"),
        (["a", "\ud800"], "half a character"),
        ({"type": "object", "properties": {"a": {"default": float("nan")}}}, "JSON does not have"),
        ({"type": "object", "properties": {"a": {"default": date(2024, 5, 1)}}}, "JSON does not have"),
    ],
)
def test_a_schema_that_cannot_be_sent_is_refused_as_one(source: Any, words: str) -> None:
    with pytest.raises(SchemaError, match=words):
        compile_schema(source)


class Sides(BaseModel):
    sender: str = Field(validation_alias=AliasChoices("party", "from"))
    receiver: str = Field(validation_alias=AliasChoices("party", "to"))


class SidesDict(TypedDict):
    sender: Sides
    receiver: str


def test_fields_that_share_an_alias_are_asked_for_under_keys_of_their_own() -> None:
    schema = compile_schema(Sides)
    assert schema.wire["required"] == ["from", "to"]
    assert schema.keys == {"sender": "from", "receiver": "to"}
    value = schema.validate('{"from": "A", "to": "B"}')
    assert schema.row(value) == ("A", "B")
    assert back(schema, value) == [value]
    assert json.loads(schema.to_json(value)) == {"from": "A", "to": "B"}


class Camel(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel)
    unit_price: int
    unit_price_: int = Field(alias="unitPrice")


@dataclass
class Shared:
    one: int = Field(alias="x")
    two: int = Field(alias="x")


@pytest.mark.parametrize(
    "source",
    [
        create_model("Plain", one=(int, Field(alias="x")), two=(int, Field(alias="x"))),
        create_model("Named", one=(int, Field(alias="two")), two=(int, ...)),
        create_model(
            "Chosen", one=(int, Field(validation_alias=AliasChoices("x", "two"))), two=(int, Field(alias="x"))
        ),
        Camel,
        Shared,
    ],
)
def test_fields_that_cannot_be_told_apart_are_refused_with_their_names(source: Any) -> None:
    with pytest.raises(
        SchemaError, match=r"the fields '(one|two|unit_price_?)' and '(one|two|unit_price_?)' have one key"
    ):
        compile_schema(source)


# --- alternatives ---------------------------------------------------------------------------------------------------


def test_alternatives_without_a_required_member_come_back_whole() -> None:
    first = {"type": "object", "properties": {"a": {"type": "integer"}, "both": {"type": "string"}}}
    second = {"type": "object", "properties": {"b": {"type": "integer"}, "both": {"type": "string"}}}
    schema = compile_schema({"type": "array", "items": {"anyOf": [first, second]}})
    value = [{"a": 1}, {"b": 2}, {"b": 2, "both": "x"}, {"both": "y"}, {}]
    assert back(schema, value) == [value]


class Invoice(BaseModel):
    type: str
    total: float


class Letter(BaseModel):
    type: str
    words: int


def test_classes_with_a_field_named_type_are_told_apart_by_another_column() -> None:
    schema = compile_schema(create_model("Pile", papers=(list[Invoice | Letter], ...)))
    value = schema.validate('{"papers": [{"type": "bill", "total": 1}, {"type": "note", "words": 2}]}')
    frame = schema.frame([schema.row(value)])
    assert frame["papers"].list.eval(pl.element().struct.field("_type")).to_list() == [["Invoice", "Letter"]]
    assert schema.models(frame) == [value]


# --- types ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [PurePath, PurePosixPath, PureWindowsPath, Path, os.PathLike[str], os.PathLike[bytes]])
def test_every_kind_of_path_is_a_column_and_comes_back(kind: Any) -> None:
    schema = compile_schema(create_model("File", path=(kind, ...), more=(list[kind], [])))
    value = schema.validate('{"path": "a/b", "more": ["c"]}')
    assert back(schema, value) == [value]


def test_a_time_zone_is_a_column_and_comes_back() -> None:
    schema = compile_schema(create_model("Place", zone=(ZoneInfo, ...)))
    value = schema.validate('{"zone": "Europe/Berlin"}')
    assert schema.row(value) == ("Europe/Berlin",)
    assert back(schema, value) == [value]


# --- references -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schema", "path"),
    [
        ({"$schema": DRAFT_4, "properties": {"type": {"type": "string"}, "a": {"$ref": "#/properties"}}}, "$.a"),
        ({"properties": {"a": {"$ref": "#/x"}}, "x": {"maxLength": "5"}}, "$.a"),
        (
            {"$schema": DRAFT_4, "properties": {"a": {"$ref": "#/dependencies/id"}}, "dependencies": {"id": ["x"]}},
            "$.a",
        ),
        ({"$schema": DRAFT_4, "properties": {"$ref": {"type": "string"}, "a": {"$ref": "#/properties"}}}, "$.a"),
        ({"properties": {"a": {"$ref": "#/x"}}, "x": {"dependentSchemas": {"id": "no schema"}}}, "$.a"),
        ({"properties": {"a": {"$ref": "#/x"}}, "x": {"description": {"de": "Text"}}}, "$.a"),
        ({"$schema": DRAFT_6, "properties": {"a": {"$ref": "#/id/x"}}, "id": True}, "$.a"),
        ({"properties": {"a": {"$ref": "#/x/y"}}, "x": {"y": {"properties": [1]}}}, "$.a"),
    ],
)
def test_a_reference_to_what_is_no_schema_is_refused_with_its_path(schema: Any, path: str) -> None:
    with pytest.raises(SchemaError, match="does not lead to a schema") as caught:
        compile_schema({"type": "object", **schema})
    assert caught.value.path == path


def test_a_reference_to_members_that_no_keyword_is_named_as_accepts_anything() -> None:
    members = {"id": {"type": "string"}, "a": {"$ref": "#/properties"}}
    schema = compile_schema({"$schema": DRAFT_4, "type": "object", "properties": members})
    assert schema.validate('{"id": "x", "a": [1]}') == {"id": "x", "a": [1]}


def test_a_member_named_id_is_a_member_in_every_draft() -> None:
    for declared in ({"$schema": DRAFT_4}, {"$schema": DRAFT_6}, {}):
        inner = {"type": "object", "properties": {"id": {"type": "object"}, "$id": {"type": "string"}}}
        members = {"id": inner, "a": {"$ref": "#/properties/id/properties/id"}}
        compiled = compile_schema({**declared, "type": "object", "properties": members})
        assert compiled.validate('{"id": {"id": {}, "$id": "x"}, "a": {}}')


# --- time -----------------------------------------------------------------------------------------------------------


def with_anchors(count: int) -> Any:
    definitions = {f"D{n}": {"$anchor": f"D{n}", "type": "object", "properties": {"v": {}}} for n in range(count)}
    return {"type": "object", "properties": {f"p{n}": {"$ref": f"#D{n}"} for n in range(count)}, "$defs": definitions}


def with_identifiers(count: int) -> Any:
    definitions = {f"D{n}": {"$id": f"D{n}", "type": "object", "properties": {"v": {}}} for n in range(count)}
    properties = {f"p{n}": {"$ref": f"D{n}"} for n in range(count)}
    return {"$id": "http://a.example/b", "type": "object", "properties": properties, "$defs": definitions}


def with_one_of_constants(count: int) -> Any:
    return {"type": "object", "properties": {"x": {"oneOf": [{"const": f"label {n}"} for n in range(count)]}}}


def with_one_of_objects(count: int) -> Any:
    kinds = [{"type": "object", "required": ["k"], "properties": {"k": {"const": n}}} for n in range(count)]
    return {"type": "object", "properties": {"x": {"oneOf": kinds}}}


def with_one_stem(count: int) -> Any:
    members = {f"p{n}": {"$ref": f"#/$defs/D{n}/properties/v"} for n in range(count)}
    return {
        "type": "object",
        "properties": members,
        "$defs": {f"D{n}": {"properties": {"v": {}}} for n in range(count)},
    }


def with_circles(count: int) -> Any:
    pairs = {f"D{n}": {"type": "object", "properties": {"n": {"$ref": f"#/$defs/D{n ^ 1}"}}} for n in range(count)}
    members = {f"p{n}": {"$ref": f"#/$defs/D{n}"} for n in range(count)}
    return {"type": "object", "properties": members, "$defs": pairs}


def with_descriptions(count: int) -> Any:
    large = {"type": "object", "properties": {f"v{n}": {} for n in range(count)}}
    properties = {f"p{n}": {"$ref": "#/$defs/large", "description": f"the {n}"} for n in range(count)}
    return {"type": "object", "properties": properties, "$defs": {"large": large}}


def with_unions(count: int) -> Any:
    kinds = {f"D{n}": {"type": "object", "properties": {f"v{n}": {"type": "string"}}} for n in range(8)}
    union = {"anyOf": [{"$ref": f"#/$defs/D{n}"} for n in range(8)]}
    return {"type": "object", "properties": {f"p{n}": union for n in range(count)}, "$defs": kinds}


def calls_of(work: Callable[[], object]) -> int:
    """Return how many functions were called: a measure of work that no other program on the machine changes."""
    calls = 0

    def count(_frame: Any, event: str, _arg: Any) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return calls


@pytest.mark.parametrize(
    "grown",
    [with_anchors, with_identifiers, with_one_of_constants, with_one_of_objects, with_one_stem, with_circles,
     with_descriptions, with_unions],
)  # fmt: skip
def test_the_work_of_compiling_grows_with_the_schema_and_not_with_its_square(grown: Callable[[int], Any]) -> None:
    compile_schema(grown(10))  # what is loaded or stored once
    small, large = (calls_of(partial(compile_schema, grown(count))) for count in (40, 160))
    assert large < 4.6 * small


def test_a_reference_by_name_is_found_without_a_search_when_an_answer_is_checked() -> None:
    small, large = (compile_schema(with_identifiers(count)) for count in (40, 160))
    for schema in (small, large):
        schema.validate('{"p1": {"v": 1}}')
    costs = [calls_of(partial(schema.validate, '{"p1": {"v": 1}}')) for schema in (small, large)]
    assert costs[1] < 1.5 * costs[0]


def test_content_keys_do_not_depend_on_what_becomes_of_unnamed_members() -> None:
    endpoint = Endpoint(api_key="none", name="x")
    plans = [compile_extractor(Extractor(OPEN, "{text}", extra=extra), endpoint) for extra in ("drop", "keep")]  # type: ignore[arg-type]
    assert plans[0].key == plans[1].key
    assert plans[0].schema.wire == plans[1].schema.wire == OPEN
