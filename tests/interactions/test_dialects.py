from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extract import ConfigError, Generation, Interaction, MediaPart, Request, TextPart, Turn, Unreachable, Usage
from extract.errors import ExtractError, Unfinished
from extract.interactions.dialects import DIALECTS, decode, from_raw
from extract.interactions.failures import judge
from extract.interactions.merging import merge
from extract.interactions.operations import next_hop

REQUEST = Request(
    model="gemini-3.5-flash-lite",
    input=(Turn.user("hi"), Turn.model("ho"), Turn.user("again")),
    system="Be brief.",
    schema={"type": "object", "properties": {"total": {"type": "number"}}},
    generation=Generation(thinking_level="low", max_output_tokens=99),
)


def body(dialect: str, request: Request = REQUEST) -> dict[str, Any]:
    return json.loads(DIALECTS[dialect].encode(request))


def test_the_steps_form_is_that_of_the_reference() -> None:
    assert body("steps") == {
        "store": False,
        "model": "gemini-3.5-flash-lite",
        "system_instruction": "Be brief.",
        "generation_config": {"thinking_level": "low", "max_output_tokens": 99},
        "response_format": {"type": "text", "mime_type": "application/json", "schema": REQUEST.schema},
        "input": [
            {"type": "user_input", "content": [{"type": "text", "text": "hi"}]},
            {"type": "model_output", "content": [{"type": "text", "text": "ho"}]},
            {"type": "user_input", "content": [{"type": "text", "text": "again"}]},
        ],
    }


def test_the_outputs_form_is_that_of_the_first_page() -> None:
    sent = body("outputs")
    assert sent["response_format"] == REQUEST.schema
    assert sent["response_mime_type"] == "application/json"
    assert sent["input"][1] == {"role": "model", "content": [{"type": "text", "text": "ho"}]}


def test_the_outputs_form_has_no_tiers() -> None:
    with pytest.raises(ConfigError, match="flex"):
        body("outputs", Request(model="m", input="hi", service_tier="flex"))


@pytest.mark.parametrize("dialect", ["steps", "outputs"])
@given(texts=st.lists(st.text(), min_size=1, max_size=3))
def test_a_splice_gives_the_same_body_as_a_whole_encoding(dialect: str, texts: list[str]) -> None:
    examples = (Turn.user("\x00turns"), Turn.model("y"))
    turns = tuple(Turn.user(text) for text in texts)
    constant = Request(model="m", input=examples, system="\x00turns {braces}")
    whole = Request(model="m", input=(*examples, *turns), system="\x00turns {braces}")
    spliced = DIALECTS[dialect].envelope(constant).body(turns)
    assert json.loads(spliced) == json.loads(DIALECTS[dialect].encode(whole))


def test_store_comes_first_so_that_it_can_be_checked_at_a_glance() -> None:
    assert DIALECTS["steps"].encode(REQUEST).startswith(b'{"store":false,')


def test_media_travel_inline_or_by_address() -> None:
    inline = MediaPart(kind="image", mime_type="image/png", data=b"\x89PNG", resolution="low")
    remote = MediaPart(kind="document", mime_type="application/pdf", uri="https://example.com/a.pdf")
    sent = body("steps", Request(model="m", input=(Turn("user", (inline, remote, TextPart("read"))),)))
    assert sent["input"][0]["content"] == [
        {"type": "image", "mime_type": "image/png", "data": "iVBORw==", "resolution": "low"},
        {"type": "document", "mime_type": "application/pdf", "uri": "https://example.com/a.pdf"},
        {"type": "text", "text": "read"},
    ]


def steps_of(*steps: Any) -> Interaction:
    return decode(json.dumps({"status": "completed", "steps": list(steps)}).encode())


def output(*contents: Any) -> dict[str, Any]:
    return {
        "type": "model_output",
        "content": [{"type": "text", "text": c} if isinstance(c, str) else c for c in contents],
    }


IMAGE = {"type": "image", "data": ""}
CALL = {"type": "google_search_call", "id": "1"}


@pytest.mark.parametrize(
    ("steps", "text"),
    [
        ([], ""),
        ([output("a")], "a"),
        ([output("a", "b"), output("c")], "abc"),
        ([{"type": "thought", "signature": "s"}, output("a")], "a"),
        ([output("a"), {"type": "thought"}, output("b")], "ab"),
        ([output("before"), CALL, output("after")], "after"),
        ([output("only"), CALL], "only"),
        ([output("old"), {"type": "user_input", "content": []}, output("new")], "new"),
        ([output("left"), IMAGE, output("a")], "a"),
        ([output("left", IMAGE, "right")], "right"),
        ([output("text", IMAGE)], "text"),
        ([{"type": "model_output"}], ""),
        ([{"type": "brand_new"}, output("a")], "a"),
        ([{"type": "model_output", "content": True}, {"type": "model_output", "content": "x"}], ""),
    ],
)
def test_the_text_is_the_last_unbroken_run(steps: list[Any], text: str) -> None:
    assert steps_of(*steps).text == text


def test_the_outputs_form_is_lifted_into_steps() -> None:
    legacy = {
        "status": "completed",
        "outputs": [
            {"type": "thought", "signature": "s"},
            {"type": "text", "text": "a"},
            {"type": "text", "text": "b"},
        ],
        "usage": {"total_input_tokens": 14, "total_output_tokens": 8, "total_reasoning_tokens": 30},
    }
    interaction = decode(json.dumps(legacy).encode())
    assert interaction.text == "ab"
    assert interaction.usage == Usage(14, 8, 30)


def test_a_status_alone_is_an_interaction_without_steps() -> None:
    assert decode(b'{"status":"completed"}') == Interaction(status="completed", raw={"status": "completed"})


@pytest.mark.parametrize("sent", [b"{}", b'{"steps":[]}', b'{"id":"v1"}', b'{"status":"","outputs":[]}'])
def test_an_answer_that_tells_no_status_and_holds_nothing_is_no_success(sent: bytes) -> None:
    assert decode(sent).status == "unspecified"
    with pytest.raises(Unfinished, match="unspecified"):
        judge(decode(sent))


@pytest.mark.parametrize("cut", [b"", b'{"status":"comp', b"<html>", b"[]", b"null", b"3"])
def test_a_body_that_is_no_json_object_means_no_whole_answer_arrived(cut: bytes) -> None:
    with pytest.raises(Unreachable):
        decode(cut)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
)
NAMES = st.sampled_from(["status", "steps", "outputs", "usage", "errors", "id", "continuation_token", "new"])
TYPES = st.sampled_from(["model_output", "thought", "user_input", "function_call", "unheard_of"])
STEP = st.fixed_dictionaries({"type": TYPES}, optional={"content": JSON, "error": JSON})


@given(st.dictionaries(NAMES, JSON | st.lists(STEP)))
def test_nothing_the_service_sends_raises_anything_but_our_errors(sent: dict[str, Any]) -> None:
    try:
        judge(decode(json.dumps(sent).encode()))
    except ExtractError as error:
        assert str(error)


@pytest.mark.parametrize(
    ("sent", "usage"),
    [
        ({"input": 5, "output": 2}, Usage(5, 2)),  # what is 0 may be left out, but for input and output
        ({"input": 5, "output": 2, "": 7}, Usage(5, 2)),
        ({"input": 5, "output": 2, "": 10}, Usage(5, 2, 3)),  # a rest that nobody explains is thoughts
        ({"input": 5, "output": 2, "thought": 0, "": 10}, Usage(5, 2, 0, 0, 3)),
        ({"input": 5, "output": 2, "thought": -1, "": 10}, Usage(5, 2, 3)),
        ({"output": 2, "": 10}, Usage(8, 2)),
        ({"output": 2, "thought": 3, "cached": 4, "": 10}, Usage(5, 2, 3, 4)),
        ({"input": 5, "": 5}, Usage(5, 0)),
        ({"input": 5, "output": 2, "": 3}, Usage(5, 2)),  # a total that is too small tells nothing
        ({"output": 2}, None),
        ({"input": 5}, None),
        ({"input": 5, "output": None}, None),
        ({"output": 12, "": 10}, None),
        ({"output": 2, "": "10"}, None),
        ({"": 10}, None),
        ({"input": 5, "output": 2, "cached": -1, "": 7}, None),
        ({"input": 5, "output": 2, "thought": "3"}, None),
        ({"input": 5, "output": True}, None),
        ({"output": 2, "thought": 1.5, "": 10}, None),
        ({}, None),
    ],
)
def test_a_count_that_was_not_told_is_the_rest_of_the_total_or_unknown(
    sent: dict[str, Any], usage: Usage | None
) -> None:
    counts = {f"total_{name}_tokens" if name else "total_tokens": count for name, count in sent.items()}
    assert from_raw({"status": "completed", "usage": counts}).usage == usage


def test_usage_that_one_part_of_an_answer_does_not_tell_is_unknown_for_the_whole() -> None:
    first, then = (
        decode(json.dumps({"status": "completed", "steps": [output("a")], "usage": usage}).encode())
        for usage in ({"total_input_tokens": 1, "total_output_tokens": 1}, {"total_output_tokens": 1})
    )
    for joined in (merge(first, then), merge(then, first)):
        assert joined.usage is None
        assert decode(json.dumps(joined.raw).encode()).usage is None


def test_a_continuation_joins_steps_and_adds_usage() -> None:
    def hop(text: str, tokens: int, status: str) -> Interaction:
        raw = {"status": status, "steps": [output(text)], "usage": {"total_input_tokens": tokens, "total_tokens": 99}}
        return decode(json.dumps(raw).encode())

    joined = merge(hop('{"a"', 3, "requires_continuation"), hop(":1}", 4, "completed"))
    assert (joined.text, joined.usage, joined.status) == ('{"a":1}', Usage(7, 96 + 95), "completed")
    assert decode(json.dumps(joined.raw).encode()) == joined


def test_a_continuation_adds_up_what_usage_counts_beside() -> None:
    def hop(number: int, *kinds: str) -> Interaction:
        usage = {
            "total_input_tokens": number,
            "total_tokens": number * 2,
            "input_tokens_by_modality": [{"modality": kind, "tokens": number} for kind in kinds],
            "grounding_tool_count": [{"type": "google_search", "count": 1}],
        }
        return decode(json.dumps({"status": "completed", "usage": usage}).encode())

    usage = merge(hop(3, "text"), hop(4, "text", "image")).raw["usage"]
    assert usage["total_tokens"] == 14
    assert usage["grounding_tool_count"] == [{"type": "google_search", "count": 2}]
    assert usage["input_tokens_by_modality"] == [{"modality": "text", "tokens": 7}, {"modality": "image", "tokens": 4}]


def test_the_next_hop_holds_one_token() -> None:
    first = DIALECTS["steps"].encode(Request(model="m", input="hi", continuation_token="old"))
    hop = next_hop(first, Interaction(status="requires_continuation"), "new")
    assert hop.count(b'"continuation_token"') == 1
    assert json.loads(hop) == json.loads(first) | {"continuation_token": "new"}
