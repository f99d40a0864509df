"""What an answer shows: text, thoughts, calls, media, citations, its typed value; and nothing in it can break that."""

from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from extract import Incomplete, Interaction, InvalidAnswer, Unfinished, parse
from extract.errors import ExtractError
from extract.interactions.dialects import decode


def answered(*steps: Any, status: str = "completed", **more: Any) -> Interaction:
    return decode(json.dumps({"status": status, "steps": list(steps), **more}).encode())


def output(*contents: Any) -> dict[str, Any]:
    return {"type": "model_output", "content": list(contents)}


def text(words: str, *annotations: Any) -> dict[str, Any]:
    return {"type": "text", "text": words, "annotations": list(annotations)}


def test_citations_count_characters_where_the_service_counts_bytes() -> None:
    words = "Zürich liegt am Zürichsee. 🏔 Ja."
    cited = "Zürichsee"
    start = len(words[: words.index(cited)].encode())
    note = {
        "type": "url_citation",
        "url": "https://example.com",
        "title": "Example",
        "start_index": start,
        "end_index": start + len(cited.encode()),
    }
    (citation,) = answered(output(text(words, note))).citations
    assert (citation.kind, citation.source, citation.title) == ("url_citation", "https://example.com", "Example")
    assert citation.text == cited
    assert words[citation.start : citation.end] == cited
    assert citation.raw == note


def test_citations_of_several_contents_are_spans_of_the_whole_text() -> None:
    interaction = answered(
        output(text("not the answer", {"source": "x", "start_index": 0, "end_index": 3})),
        {"type": "google_search_call", "id": "1"},
        output(
            text("Ä", {"source": "a", "end_index": 2}), text("bc", {"source": "b", "start_index": 1, "end_index": 2})
        ),
    )
    assert interaction.text == "Äbc"
    assert [(c.source, c.text, c.start, c.end) for c in interaction.citations] == [("a", "Ä", 0, 1), ("b", "c", 2, 3)]


@pytest.mark.parametrize(
    ("note", "source", "cited"),
    [
        ({"start_index": 0, "end_index": 2, "source": "https://old"}, "https://old", "ab"),
        ({"type": "file_citation", "document_uri": "u", "file_name": "f", "end_index": 1}, "u", "a"),
        ({"type": "place_citation", "name": "Café", "place_id": "p", "end_index": 9}, "p", "abc"),
        ({"type": "brand_new", "start_index": 2, "end_index": 1}, None, None),
        ({"type": "brand_new", "start_index": "x", "end_index": 1}, None, None),
        ({"type": "url_citation", "url": "u"}, "u", None),
    ],
)
def test_every_shape_of_annotation_is_read_and_unknown_ones_kept(
    note: dict[str, Any], source: str | None, cited: str | None
) -> None:
    (citation,) = answered(output(text("abc", note))).citations
    assert (citation.source, citation.text, citation.raw) == (source, cited, note)


@given(words=st.text(), start=st.integers(0, 40), length=st.integers(0, 40))
def test_any_byte_offsets_give_a_span_of_the_text(words: str, start: int, length: int) -> None:
    words = words.encode("utf-8", "ignore").decode()
    (citation,) = answered(output(text(words, {"start_index": start, "end_index": start + length}))).citations
    assert citation.start is not None
    assert citation.end is not None
    assert citation.text == words[citation.start : citation.end]
    assert 0 <= citation.start <= citation.end <= len(words)


def test_media_come_out_decoded_and_can_be_saved(tmp_path: Path) -> None:
    image = {"type": "image", "mime_type": "image/png", "data": b64encode(b"\x89PNG").decode()}
    sound = {"type": "audio", "mime_type": "audio/wav", "uri": "https://example.com/files/a"}
    broken = {"type": "image", "mime_type": 3, "data": "a"}
    interaction = answered({"type": "user_input", "content": [image]}, output(text("see"), image, sound, broken))
    drawn, unreadable = interaction.images
    assert drawn.save(tmp_path / "a.png").read_bytes() == b"\x89PNG"
    assert (unreadable.data, unreadable.mime_type) == (None, "")
    assert [part.uri for part in interaction.audio] == ["https://example.com/files/a"]


def test_thoughts_and_calls_are_those_of_the_latest_answer() -> None:
    interaction = answered(
        {"type": "thought", "signature": "s", "summary": [{"type": "text", "text": "old"}]},
        {"type": "user_input", "content": []},
        {"type": "thought", "summary": [{"type": "text", "text": "new"}, {"type": "image"}, 3]},
        {"type": "function_call", "id": "1", "name": "f", "arguments": {"a": 1}},
        {"type": "function_call", "arguments": "cut"},
        status="requires_action",
    )
    assert interaction.thoughts == ("new",)
    assert [(call.id, call.name, call.arguments) for call in interaction.calls] == [("1", "f", {"a": 1}), ("", "", {})]


class Total(BaseModel):
    total: float


def test_the_typed_value_is_read_also_after_a_tool() -> None:
    interaction = answered({"type": "code_execution_call", "id": "1"}, output(text('{"total": 12.5}')))
    assert parse(interaction, Total) == Total(total=12.5)
    with pytest.raises(InvalidAnswer, match="total"):
        parse(answered(output(text("{}"))), Total)
    with pytest.raises(Incomplete):
        parse(answered(output(text('{"tot')), status="incomplete"), Total)
    with pytest.raises(Unfinished):
        parse(answered(status="failed"), Total)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
)
KINDS = st.sampled_from(
    ["model_output", "thought", "user_input", "function_call", "text", "image", "audio", "google_search_call", "novel"]
)
NAMES = st.sampled_from(
    [
        "content",
        "summary",
        "text",
        "annotations",
        "data",
        "uri",
        "mime_type",
        "arguments",
        "id",
        "name",
        "error",
        "signature",
        "result",
        "novel",
    ]
)


def step_of(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(
        lambda kind, rest: {**rest, "type": kind}, KINDS | JSON, st.dictionaries(NAMES, inner | JSON, max_size=5)
    )


STEP = step_of(st.lists(step_of(st.lists(step_of(JSON), max_size=2)), max_size=3))
FIELDS = st.sampled_from(
    [
        "status",
        "id",
        "model",
        "agent",
        "usage",
        "errors",
        "continuation_token",
        "service_tier",
        "role",
        "object",
        "created",
        "novel",
    ]
)


@settings(max_examples=400, deadline=None)
@given(
    whole=st.dictionaries(FIELDS, JSON | st.just("completed"), max_size=5),
    steps=st.lists(STEP, max_size=4),
    name=st.sampled_from(["steps", "outputs"]),
)
def test_nothing_in_a_response_raises_anything_but_our_errors(
    whole: dict[str, Any], steps: list[Any], name: str
) -> None:
    try:
        interaction = decode(json.dumps(whole | {name: steps}).encode())
        for shown in ("text", "thoughts", "calls", "media", "images", "audio", "citations", "answer"):
            getattr(interaction, shown)
        parse(interaction, Total)
    except ExtractError as error:
        assert str(error)
