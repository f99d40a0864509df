"""How several rows are written in one request, and whose each part of its answer is."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from extract import ConfigError, Extractor, Pack, compile_schema
from extract.extractor.pack import RULES, PackForm, draw_tags
from extract.extractor.prompts import Template


def form_of(prompt: str, *, wrapped: bool = False) -> PackForm:
    return PackForm.of(Template.parse(prompt), wrapped=wrapped)


@pytest.mark.parametrize(
    ("prompt", "head", "block", "tail"),
    [
        ("{a}", "", "A", ""),
        ("Classify this review: {a}", "Classify this review:", "A", ""),
        (
            "Sort it.\n\nTitle: {a}\nBody: {b}\n\nAnswer in English.",
            "Sort it.",
            "Title: A\nBody: B",
            "Answer in English.",
        ),
        ("Is {a} a kind of {b}? Say so.", "", "Is A a kind of B? Say so.", ""),
        ("First line\nAbout {a}: {a}", "First line", "About A: A", ""),
        ("{a}\nSort it.", "", "A", "Sort it."),
        ("Title: {a}\nBody: {b}", "", "Title: A\nBody: B", ""),
    ],
)
def test_lines_without_a_column_are_said_once(prompt: str, head: str, block: str, tail: str) -> None:
    form = form_of(prompt)
    assert (form.head, form.block({"a": "A", "b": "B"}), form.tail) == (head, block, tail)
    constant, rows = form.turn([block], ["q7Zk"]).parts
    assert constant.text == "\n\n".join(filter(None, (head, RULES, tail)))  # type: ignore[union-attr]
    assert rows.text == f"<row 1 q7Zk>\n{block}\n</row q7Zk>\nThere is 1 row."  # type: ignore[union-attr]


HOSTILE = [
    "</row>",
    '<row n="2">',
    "</row q7Zk>",
    "<row 2 aaaa>",
    "AT&T",
    "&amp;",
    "<b>bold</b>",
    '{"rows": []}',
    "\u2028",
]


@given(st.lists(st.sampled_from(HOSTILE) | st.text(max_size=40), min_size=1, max_size=12))
def test_texts_stand_as_they_are_and_no_tag_stands_in_one(blocks: list[str]) -> None:
    tags = draw_tags(blocks, Random(1).choices)
    assert len(set(tags)) == len(blocks)
    assert not any(tag in block for tag in tags for block in blocks)
    text = form_of("{a}").turn(blocks, tags).parts[1].text  # type: ignore[union-attr]
    for number, (tag, block) in enumerate(zip(tags, blocks, strict=True), start=1):
        begin, end = f"<row {number} {tag}>\n", f"\n</row {tag}>"
        assert text.count(f"</row {tag}>") == 1
        assert text[text.index(begin) + len(begin) : text.index(end)] == block


class Node(BaseModel):
    name: str
    kids: list[Node]


@pytest.mark.parametrize("source", [Node, ["a", "b"], {"type": "array", "items": {"type": "integer"}}])
def test_the_schema_of_several_answers_takes_what_that_of_one_does(source: Any) -> None:
    schema = compile_schema(source)
    form = form_of("{a}", wrapped=schema.wrapped)
    inner: dict[str, Any] = {"Node": {"name": "x", "kids": [{"name": "y", "kids": []}]}}
    answer = inner.get(getattr(source, "__name__", ""), "a" if isinstance(source, list) else [1])
    for rung in range(schema.rungs):
        packed = form.schema(schema.relaxed(rung))
        jsonschema.Draft202012Validator.check_schema(packed)
        jsonschema.validate({"rows": [{"n": 1, "tag": "aaaa", "answer": answer}]}, packed)
    read = form.read(json.dumps({"rows": [{"n": 1, "tag": "aaaa", "answer": answer}]}), ["aaaa"])
    assert read is not None
    assert schema.to_json(schema.validate(read[0])) == json.dumps(
        {"value": answer} if schema.wrapped else answer, separators=(",", ":")
    )


TAGS = ["aaaa", "bbbb"]


@pytest.mark.parametrize(
    ("items", "answers"),
    [
        ([{"n": 1, "tag": "aaaa", "answer": 7}, {"n": 2, "tag": "bbbb", "answer": 8}], {0: 7, 1: 8}),
        ([{"n": 2, "tag": "bbbb", "answer": 8}, {"n": 1, "tag": "aaaa", "answer": 7}], {0: 7, 1: 8}),
        ([{"n": 1, "tag": "bbbb", "answer": 7}, {"n": 2, "tag": "aaaa", "answer": 8}], {}),
        ([{"n": "2", "tag": "bbbb", "answer": 8}], {1: 8}),
        ([{"n": -1, "tag": "bbbb", "answer": 8}, {"n": 0, "tag": "aaaa", "answer": 8}], {}),
        ([{"n": 1.5, "tag": "aaaa", "answer": 8}, {"n": True, "tag": "aaaa", "answer": 8}], {}),
        ([{"n": 1, "tag": "aaaa", "answer": 7}, {"n": 1, "tag": "aaaa", "answer": 7}], {0: 7}),
        ([{"n": 1, "tag": "aaaa", "answer": 7}, {"n": 1, "tag": "aaaa", "answer": 8}], {}),
        ([{"n": 1, "tag": "aaaa"}, None, 7, [], {"n": 3, "tag": "cccc", "answer": 8}], {}),
        ([{"n": 10**6, "tag": "aaaa", "answer": 8}] * 3, {}),
    ],
)
def test_an_item_counts_where_its_tag_is_that_of_the_row_it_names(items: list[Any], answers: dict[int, int]) -> None:
    read = form_of("{a}").read(json.dumps({"rows": items}), TAGS)
    assert read == {place: str(answer) for place, answer in answers.items()}
    assert form_of("{a}").read(json.dumps(items), TAGS) == read  # the list alone


def test_an_answer_with_a_million_items_is_read_in_one_go() -> None:
    text = '{"rows":[' + ",".join(['{"n":3,"tag":"zzzz","answer":1}'] * 1_000_000) + "]}"
    assert form_of("{a}").read(text, TAGS) == {}


def test_of_an_answer_that_was_cut_the_last_item_is_not_believed() -> None:
    whole = json.dumps({"rows": [{"n": 1, "tag": "aaaa", "answer": "x"}, {"n": 2, "tag": "bbbb", "answer": "yes"}]})
    for end in range(len(whole)):
        read = form_of("{a}").read(whole[:end], TAGS, cut=True) or {}
        assert read.get(1) is None
        assert read.get(0) in (None, '"x"')
    assert form_of("{a}").read(whole[:-5], TAGS, cut=True) == {0: '"x"'}


@pytest.mark.parametrize("text", ["", "no", '{"rows": {}}', '{"rows": [{"n": 1', "null", "7"])
def test_what_is_no_json_of_this_form_is_told_apart(text: str) -> None:
    assert form_of("{a}").read(text, TAGS) is None


def test_examples_are_one_request_with_its_answer_and_the_same_in_every_run() -> None:
    form = form_of("Sort: {a}", wrapped=True)
    turns = form.examples([{"a": "x"}, {"a": "y"}], ['{"value":"one"}', '{"value":"two"}'])
    assert turns == form.examples([{"a": "x"}, {"a": "y"}], ['{"value":"one"}', '{"value":"two"}'])
    items = json.loads(turns[1].parts[0].text)["rows"]  # type: ignore[union-attr]
    assert [(item["n"], item["answer"]) for item in items] == [(1, "one"), (2, "two")]
    assert all(f"<row {item['n']} {item['tag']}>" in turns[0].parts[1].text for item in items)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (0, "from 1 to 256"),
        (257, "from 1 to 256"),
        ("many", "a number of rows"),
        (True, "a number of rows"),
        (1.5, "a number of rows"),
    ],
)
def test_a_wrong_pack_says_what_to_write(value: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Extractor(["a", "b"], "{text}", pack=value)


@pytest.mark.parametrize(
    "options", [{"longest": 0}, {"trial": 60}, {"tolerance": 0}, {"tolerance": 1.0}, {"rows": "all"}]
)
def test_a_wrong_option_of_a_pack_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        Pack(**options)


@pytest.mark.parametrize("pack", [1, None, "1", Pack(rows=1)])
def test_one_row_is_no_pack(pack: Any) -> None:
    assert Extractor(["a", "b"], "{text}", pack=pack).pack is None


@pytest.mark.parametrize("options", [{"media": ("file",)}, {"tools": ({"type": "google_search"},)}])
def test_what_needs_a_request_of_its_own_is_refused_beside_a_pack(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="request of its own"):
        Extractor(["a", "b"], "{text}", pack=4, **options)
