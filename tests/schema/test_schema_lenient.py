"""Local mends: the form of an answer is put right, its content never; what is no whole answer stays invalid."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest
from clocks import cpu_bound
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, with_config
from typing_extensions import TypedDict

from extract.errors import InvalidAnswer
from extract.schema import OutputSchema, compile_schema
from extract.schema.lenient import MENDS

CLOSED = ConfigDict(extra="forbid")
Topic = Literal["billing", "bug"]
Score = Annotated[float, Field(ge=0, le=10)]
Count = Annotated[int, Field(ge=0, le=99)]


class Line(BaseModel):
    model_config = CLOSED
    sku: str
    count: Count


Lines = Annotated[list[Line], Field(max_length=2)]


class Model(BaseModel):
    model_config = CLOSED
    topic: Topic
    urgent: bool
    score: Score | None
    count: Count
    lines: Lines


@with_config(CLOSED)
class Typed(TypedDict):
    topic: Topic
    urgent: bool
    score: Score | None
    count: Count
    lines: Lines


@with_config(CLOSED)
@dataclass
class Data:
    topic: Topic
    urgent: bool
    score: Score | None
    count: Count
    lines: Lines


RAW: dict[str, Any] = {
    "type": "object",
    "properties": {
        "topic": {"enum": ["billing", "bug"]},
        "urgent": {"type": "boolean"},
        "score": {"anyOf": [{"type": "number", "minimum": 0, "maximum": 10}, {"type": "null"}]},
        "count": {"type": "integer", "minimum": 0, "maximum": 99},
        "lines": {"type": "array", "items": {"$ref": "#/$defs/line"}, "maxItems": 2},
    },
    "required": ["topic", "urgent", "score", "count", "lines"],
    "additionalProperties": False,
    "$defs": {
        "line": {
            "type": "object",
            "properties": {"sku": {"type": "string"}, "count": {"type": "integer", "minimum": 0, "maximum": 99}},
            "required": ["sku", "count"],
            "additionalProperties": False,
        }
    },
}
#: One shape from five sources; in the last, the answer is a list of that shape and travels in a wrapper.
SOURCES: dict[str, Any] = {"model": Model, "typed": Typed, "dataclass": Data, "raw": RAW, "list": list[Model]}
SCHEMAS = {name: compile_schema(source) for name, source in SOURCES.items()}
GOOD: dict[str, Any] = {
    "topic": "bug",
    "urgent": True,
    "score": 2.5,
    "count": 3,
    "lines": [{"sku": "A, b", "count": 1}, {"sku": "NaN,]", "count": 2}],
}
every_schema = pytest.mark.parametrize("name", SCHEMAS)


def text_of(record: Any, name: str) -> str:
    """Return a record as an answer's text, the way the schema of that name asks for it."""
    return json.dumps({"value": [record]} if name == "list" else record)


def rejected(schema: OutputSchema, text: str) -> bool:
    """Whether `read` refuses a text, with the very issues that `validate` finds in it."""
    with pytest.raises(InvalidAnswer) as plain:
        schema.validate(text)
    try:
        schema.read(text)
    except InvalidAnswer as error:
        assert error.issues == plain.value.issues
        return True
    return False


def with_(**members: Any) -> Callable[[str], str]:
    return lambda name: text_of(GOOD | members, name)


BAD: dict[str, Callable[[str], str]] = {
    "cut at half": lambda name: text_of(GOOD, name)[: len(text_of(GOOD, name)) // 2],
    "cut after a whole member": lambda name: text_of(GOOD, name).partition(', "lines"')[0],
    "cut after a whole item": lambda name: text_of(GOOD, name).partition(', {"sku": "NaN')[0],
    "cut before the last bracket": lambda name: text_of(GOOD, name)[:-1],
    "empty": lambda name: "",
    "prose only": lambda name: "I am sorry, but this text is about no topic that I know.",
    "two values": lambda name: text_of(GOOD, name) + "\n" + text_of(GOOD | {"count": 4}, name),
    "two values in prose": lambda name: f"First {text_of(GOOD, name)} or rather {text_of(GOOD | {'count': 4}, name)}",
    "a value and a scalar": lambda name: text_of(GOOD, name) + " 5",
    "wrong type": with_(urgent="maybe"),
    "wrong type inside": with_(lines=[{"sku": 5, "count": 1}]),
    "missing member": lambda name: text_of({k: v for k, v in GOOD.items() if k != "count"}, name),
    "member nobody asked for": with_(note="x"),
    "unknown label": with_(topic="Bug report"),
    "out of bounds": with_(count=100),
    "out of bounds as text": with_(count="100"),
    "too many items": with_(lines=[{"sku": "A", "count": 1}] * 3),
    "a member twice": lambda name: text_of(GOOD, name).replace('"count": 3', '"count": 4, "count": 3'),
    "a member twice inside": lambda name: text_of(GOOD, name).replace('"count": 1', '"count": 4, "count": 1'),
    "null for a value": with_(count=None),
    "no number where null is none": lambda name: text_of(GOOD, name).replace('"count": 3', '"count": NaN'),
    "thousands marks": with_(score="1,000"),
    "currency": with_(score="5 EUR"),
    "leading zero": with_(count="03"),
    "a part is lost": with_(count=3.5),
    "a cut nested text": with_(lines='[{"sku": "A", "count": 1}'),
    "a nested text of another shape": with_(lines='{"sku": "A"}'),
    "comma after nothing": lambda name: text_of(GOOD | {"lines": []}, name).replace("[]", "[,]"),
    "two commas": lambda name: text_of(GOOD, name).replace("2}]", "2},,]"),
}


@every_schema
@pytest.mark.parametrize("kind", BAD)
def test_a_bad_answer_is_never_taken_for_a_good_one(kind: str, name: str) -> None:
    assert rejected(SCHEMAS[name], BAD[kind](name))


MENDABLE: dict[str, tuple[Callable[[str], str], tuple[str, ...]]] = {
    "fence": (lambda name: f"```json\n{text_of(GOOD, name)}\n```\n", ("fence",)),
    "bare fence": (lambda name: f"```\n{text_of(GOOD, name)}```", ("fence",)),
    "prose": (lambda name: f"Here it is: {text_of(GOOD, name)} I hope it helps.", ("surroundings",)),
    "prose and fence": (
        lambda name: f"Here it is:\n```json\n{text_of(GOOD, name)}\n```\nAnything else?",
        ("fence", "surroundings"),
    ),
    "commas": (lambda name: text_of(GOOD, name).replace("2}]", "2,}, \n]"), ("comma",)),
    "comma in a fence": (lambda name: f"```\n{text_of(GOOD, name)[:-1]},}}\n```", ("fence", "comma")),
    "text in text": (with_(lines=json.dumps(GOOD["lines"])), ("stringified",)),
    "items in text": (with_(lines=[json.dumps(line) for line in GOOD["lines"]]), ("stringified",)),
    "all in text": (lambda name: json.dumps(text_of(GOOD, name)), ("stringified",)),
    "number": (with_(score="2.5"), ("number_text",)),
    "integer": (with_(count="3"), ("number_text",)),
    "integer with a point": (with_(count="3.0"), ("number_text",)),
    "boolean": (with_(urgent="true"), ("boolean_text",)),
    "several": (
        with_(urgent="true", count="3", lines=json.dumps([{"sku": "A, b", "count": "1"}, GOOD["lines"][1]])),
        ("stringified", "number_text", "boolean_text"),
    ),
}


@every_schema
@pytest.mark.parametrize("kind", MENDABLE)
def test_a_slip_of_form_is_mended_and_the_value_is_the_one_meant(kind: str, name: str) -> None:
    schema, (slip, names) = SCHEMAS[name], MENDABLE[kind]
    assert schema.read(slip(name)) == (schema.validate(text_of(GOOD, name)), names)
    with pytest.raises(InvalidAnswer):
        schema.validate(slip(name))


@every_schema
@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
def test_what_is_no_number_becomes_null_where_null_is_taken(word: str, name: str) -> None:
    schema = SCHEMAS[name]
    slip = text_of(GOOD, name).replace("2.5", word)
    assert schema.read(slip) == (schema.validate(text_of(GOOD | {"score": None}, name)), ("not_a_number",))


@every_schema
def test_one_item_alone_becomes_a_list_of_one(name: str) -> None:
    schema, line = SCHEMAS[name], GOOD["lines"][0]
    expected = schema.validate(text_of(GOOD | {"lines": [line]}, name))
    assert schema.read(text_of(GOOD | {"lines": line}, name)) == (expected, ("single_item",))


@every_schema
def test_a_valid_answer_takes_no_mend(name: str) -> None:
    schema, text = SCHEMAS[name], text_of(GOOD, name)
    assert schema.read(text) == (schema.validate(text), ())


@pytest.mark.parametrize(
    ("source", "text", "value", "names"),
    [
        (list[int], "[1, 2]", [1, 2], ("wrapped",)),
        (list[int], "```\n[1, 2]\n```", [1, 2], ("fence", "wrapped")),
        (list[int], '{"value": 7}', [7], ("single_item",)),
        (list[int], "7", [7], ("wrapped", "single_item")),
        (list[int], '"[1, 2]"', [1, 2], ("wrapped", "stringified")),
        (list[int], '{"value": ["1", 2.0]}', [1, 2], ("number_text", "whole_number")),
        (list[str], '{"value": "[\\"a\\", \\"b\\"]"}', ["a", "b"], ("stringified",)),
        (list[str], '{"value": "a"}', ["a"], ("single_item",)),
        (["spam", "ham"], '"spam"', "spam", ("wrapped",)),
        (str, '"{\\"value\\": \\"a\\"}"', "a", ("stringified",)),
        (dict[str, int], '{"a": 1}', {"a": 1}, ("wrapped",)),
        (bool, '{"value": "false"}', False, ("boolean_text",)),
        (float | None, "NaN", None, ("not_a_number", "wrapped")),
        (list[int], "So:\n```json\n[1, 2]\n```", [1, 2], ("fence", "surroundings", "wrapped")),
        (list[Line], '{"sku": "A", "count": 1}', [Line(sku="A", count=1)], ("wrapped", "single_item")),
        (list[dict[str, int]], '{"value": {"a": 1}}', [{"a": 1}], ("single_item",)),
        (dict[str, list[int]], '{"value": {"a": 1}}', {"a": [1]}, ("single_item",)),
        (Line, '{"value": {"sku": "A", "count": 1}}', Line(sku="A", count=1), ("unwrapped",)),
        (Line, '{"value": "{\\"sku\\": \\"A\\", \\"count\\": \\"1\\"}"}', Line(sku="A", count=1),
         ("unwrapped", "stringified", "number_text")),
    ],
)  # fmt: skip
def test_the_root_is_mended_too(source: Any, text: str, value: Any, names: tuple[str, ...]) -> None:
    assert compile_schema(source).read(text) == (value, names)


class Loose(BaseModel):
    note: str | None = None


class Cat(BaseModel):
    kind: Literal["cat"]
    age: int


class Tag(BaseModel):
    kind: Literal["tag"]
    age: str


class Pets(BaseModel):
    pets: list[Annotated[Cat | Tag, Field(discriminator="kind")]]


def test_a_fixed_member_says_which_alternative_is_mended() -> None:
    text = '{"pets": [{"kind": "cat", "age": "7"}, {"kind": "tag", "age": "7"}]}'
    value, names = compile_schema(Pets).read(text)
    assert [pet.age for pet in value.pets] == [7, "7"]
    assert names == ("number_text",)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (int | list[int], '{"value": "5"}'),  # 5 or [5]
        (int | bool, '{"value": "x"}'),
        (list[str], '{"value": "a, b"}'),  # one or two
        (list[str], '{"value": ""}'),  # one or none
        (list[str], '{"value": "[\\"a\\", \\"b"}'),  # cut
        (list[int], '{"value": null}'),
        (dict[str, int], '{"value": 5}'),  # the wrapper, or a member of that name
        (float, '{"value": "0.1234567890123456789"}'),  # more digits than a float holds
        (int, '{"value": 1e300}'),
        (int, '{"value": "1e3"}'),
        (int, '{"value": "+5"}'),
        (int, '{"value": "\u0665"}'),
        (bool, '{"value": "yes"}'),
        (bool, '{"value": 1}'),
        (float | None, '{"value": "NaN"}'),
        (list[int], 'About [1] see [2]: {"value": [1, 2]}'),
        (list[int], '"value": [1, 2]'),
        (list[int], '{"value": [1, 2]},'),
        (Line, '[{"sku": "A", "count": 1}]'),
        (list[list[int]], '{"value": [1, 2]}'),  # [[1], [2]] or [[1, 2]]
        (list[int], "See note [1] for more."),
        (Loose, "I found nothing, so {} is all I can say."),
        (list[Loose], '{"value": {"lines": [1]}}'),  # no such item: nothing of it would be kept
        (list[Loose], '{"value": {}}'),
        (list[Loose], '{"lines": [{"note": "x"}]}'),
        (Loose | None, '{"answer": {"note": "x"}}'),
    ],
)
def test_what_could_be_read_in_two_ways_is_left_alone(source: Any, text: str) -> None:
    assert rejected(compile_schema(source), text)


class Leaf(BaseModel):
    model_config = CLOSED
    size: int


class Left(BaseModel):
    model_config = CLOSED
    child: Left | Right | Leaf
    left: bool = True


class Right(BaseModel):
    model_config = CLOSED
    child: Left | Right | Leaf
    right: bool = True


def test_a_recursive_union_is_mended_at_its_depth() -> None:
    text = '{"child": ' * 8 + '{"size": "5"}' + "}" * 8
    schema = compile_schema(Left)
    assert schema.read(text) == (schema.validate(text.replace('"5"', "5")), ("number_text",))


def test_a_string_is_never_changed_where_strings_may_stand() -> None:
    schema = compile_schema({"type": "object", "properties": {"a": {}, "b": {"type": ["string", "integer"]}}})
    text = '{"a": "[1]", "b": "7"}'
    assert schema.read(text) == ({"a": "[1]", "b": "7"}, ())


@pytest.mark.parametrize("source", [Model, RAW])
def test_a_mended_answer_that_breaks_another_rule_is_refused_in_words_about_the_original(source: Any) -> None:
    with pytest.raises(InvalidAnswer) as caught:
        compile_schema(source).read(text_of(GOOD | {"count": "100"}, "model"))
    assert [issue.path for issue in caught.value.issues] == ["$.count"]
    assert "integer" in str(caught.value)


def test_an_object_that_names_a_member_twice_is_invalid() -> None:
    with pytest.raises(InvalidAnswer, match='names the member "a" twice'):
        compile_schema({"type": "object"}).validate('{"value": {"b": [{"a": 1, "a": 1}]}}')


records = st.fixed_dictionaries({
    "topic": st.sampled_from(["billing", "bug"]),
    "urgent": st.booleans(),
    "score": st.none() | st.floats(0, 10),
    "count": st.integers(0, 99),
    "lines": st.lists(st.fixed_dictionaries({"sku": st.text(), "count": st.integers(0, 99)}), max_size=2),
})  # fmt: skip
names_of_schemas = st.sampled_from(sorted(SCHEMAS))


@given(records, names_of_schemas, st.sampled_from([None, 2]), st.data())
def test_no_cut_answer_is_ever_completed(record: Any, name: str, indent: int | None, data: st.DataObject) -> None:
    text = json.dumps(json.loads(text_of(record, name)), indent=indent)
    cut = text[: data.draw(st.integers(0, len(text) - 1))]
    with pytest.raises(InvalidAnswer):
        SCHEMAS[name].read(cut)
    with pytest.raises(InvalidAnswer):
        SCHEMAS[name].read(f"Here it is:\n```json\n{cut}\n```")


@given(records, names_of_schemas)
def test_mends_of_the_text_leave_every_string_alone(record: Any, name: str) -> None:
    schema, text = SCHEMAS[name], text_of(record, name)
    slip = f"Here it is:\n```json\n{text[:-1]},}}\n```"
    assert schema.read(slip) == (schema.validate(text), ("fence", "surroundings", "comma"))


WEIRD = st.text() | st.lists(
    st.sampled_from([
        "{", "}", "[", "]", ",", ":", '"', "\\", "```", "json", "\n", " ", "NaN", "-Infinity", "null", "true", "5",
        '"value"', '"topic"', '"lines"', '"count"', '"bug"', "\ud800", "1e999", "9" * 5000, "a",
    ])
).map("".join)  # fmt: skip


@given(WEIRD, names_of_schemas)
@example("\ud800", "model")
@example("[" * 100_000, "list")
@example('{"value": [' + "9" * 5000 + "]}", "list")
@example(json.dumps({"value": "[" * 150 + "]" * 150}), "raw")
def test_whatever_comes_the_only_error_is_an_invalid_answer(text: str, name: str) -> None:
    schema = SCHEMAS[name]
    try:
        value, names = schema.read(text)
    except InvalidAnswer:
        return
    assert set(names) <= set(MENDS)
    assert schema.validate(schema.to_json(value)) == value


SIZE = 1_000_000
HOSTILE = {
    "quotes": '{"' + '\\"' * (SIZE // 2),
    "backslashes": '"' + "\\" * SIZE,
    "commas": "[" + "," * SIZE + "]",
    "commas and spaces": "[" + ", " * (SIZE // 2) + "]",
    "spaces": "[1," + " " * SIZE + "2 3]",
    "openings": "[" * SIZE,
    "closings": "[" + "]" * SIZE,
    "pairs": "{}" * (SIZE // 2),
    "fences": "```" * (SIZE // 3),
    "prose": "word " * (SIZE // 5) + '{"value": [1,]}' + '" ' * (SIZE // 2),
    "no numbers": '{"value": [' + "NaN," * (SIZE // 4) + "]}",
    "texts": json.dumps({"value": ["x"] * (SIZE // 5)}),
}


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in HOSTILE.items()])
@pytest.mark.parametrize("source", [list[int], {"type": "array", "items": {"type": "integer"}}])
def test_a_hostile_answer_costs_no_more_than_its_length(source: Any, text: str) -> None:
    schema = compile_schema(source)
    with pytest.raises(InvalidAnswer), cpu_bound(30):  # about a second; a quadratic step would take hours
        schema.read(text)


def test_a_large_answer_is_mended_at_every_place() -> None:
    numbers = [str(number) for number in range(9_000)]
    assert compile_schema(list[int]).read(json.dumps({"value": numbers})) == (list(range(9_000)), ("number_text",))


@pytest.mark.parametrize("source", [list[int], {"type": "array", "items": {"type": "integer"}}])
def test_an_answer_full_of_faults_names_the_first_hundred(source: Any) -> None:
    with pytest.raises(InvalidAnswer) as caught:
        compile_schema(source).validate(json.dumps({"value": ["x"] * 500}))
    assert [issue.path for issue in caught.value.issues] == [f"$.value[{index}]" for index in range(100)]
