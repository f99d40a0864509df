"""What a request may say, how each wire form says it, and what is refused before anything is sent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from google.genai._gaos.types.interactions.createagentinteraction import CreateAgentInteraction
from google.genai._gaos.types.interactions.createmodelinteraction import CreateModelInteraction
from pdfs import pdf_of

from extract import (
    AudioFormat,
    BadRecord,
    Clip,
    ConfigError,
    Generation,
    ImageFormat,
    MediaPart,
    Pages,
    Request,
    SafetySetting,
    TextFormat,
    TextPart,
    Turn,
)
from extract.interactions.dialects import DIALECTS

PNG = b"\x89PNG\r\n\x1a\n123"
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}


def body(request: Request, dialect: str = "steps", *, stream: bool = False) -> dict[str, Any]:
    return json.loads(DIALECTS[dialect].encode(request, stream=stream))


def request_of(**fields: Any) -> Request:
    return Request(**{"model": "gemini-3.8-flash", "input": "hi"} | fields)


IMAGE = MediaPart(kind="image", mime_type="image/png", data=PNG)


@pytest.mark.parametrize(
    "given",
    ["hi", TextPart("hi"), Turn.user("hi"), ["hi"], (TextPart("hi"),), [Turn.user("hi")]],
)
def test_every_form_of_input_is_the_same_turn(given: Any) -> None:
    assert request_of(input=given).turns == (Turn.user("hi"),)
    assert request_of(input=given) == request_of(input="hi")


def test_parts_side_by_side_make_one_turn_and_steps_stay_as_they_are() -> None:
    thought = {"type": "thought", "signature": "s"}
    request = request_of(input=["look", IMAGE, thought, Turn.model("yes"), "why?"])
    assert request.turns == (Turn.user("look", IMAGE), thought, Turn.model("yes"), Turn.user("why?"))


@pytest.mark.parametrize("given", [3, None, b"bytes", [3], [["nested"]]])
def test_what_is_no_input_is_refused(given: Any) -> None:
    with pytest.raises(ConfigError, match="input takes"):
        request_of(input=given)


@pytest.mark.parametrize("dialect", ["steps", "outputs"])
def test_a_request_without_input_is_not_sent(dialect: str) -> None:
    with pytest.raises(ConfigError, match="no input"):
        body(request_of(input=()), dialect)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"model": None}, "either a model or an agent"),
        ({"agent": "deep-research"}, "not both"),
        ({"background": True}, "background needs store=True"),
        ({"previous_interaction_id": "v1_x"}, "needs store=True"),
        ({"model": None, "agent": "deep-research"}, "an agent needs store=True"),
        ({"model": None, "agent": "a", "store": True, "generation": Generation(seed=1)}, "takes no generation"),
        ({"agent_config": {"type": "dynamic"}}, "goes with an agent"),
        ({"webhook_config": {"uris": ["https://x"]}}, "needs background"),
        ({"extra": {"model": "x"}}, "must not hold model"),
        ({"extra": {"store": True, "background": True}}, "background, store"),
        ({"tools": {"type": "google_search"}}, "takes a tuple"),
        ({"formats": ImageFormat()}, "takes a tuple"),
    ],
)
def test_what_cannot_work_is_refused_early(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        request_of(**fields)


def test_generation_passes_what_it_does_not_know_and_refuses_what_it_does() -> None:
    known = Generation(thinking_level="low", thinking_summaries="auto", tool_choice="any", extra={"novel": 1})
    assert known.as_wire() == {
        "thinking_level": "low",
        "thinking_summaries": "auto",
        "tool_choice": "any",
        "novel": 1,
    }
    with pytest.raises(ConfigError, match="seed"):
        Generation(extra={"seed": 1})
    assert hash(Generation()) == hash(Generation(extra={"x": 1}))


FULL = request_of(
    system="Be brief.",
    schema=SCHEMA,
    formats=(ImageFormat(aspect_ratio="16:9", image_size="1K"), AudioFormat(sample_rate=24000)),
    generation=Generation(
        thinking_summaries="auto",
        tool_choice={"allowed_tools": {"mode": "any", "tools": ["f"]}},
        speech_config=({"voice": "kore", "language": "en-us"},),
    ),
    tools=({"type": "google_search"}, {"type": "function", "name": "f", "parameters": SCHEMA}),
    safety_settings=(SafetySetting("hate_speech", "block_only_high"),),
    service_tier="flex",
    labels={"team": "data"},
    store=True,
    background=True,
    previous_interaction_id="v1_x",
    webhook_config={"uris": ["https://example.com/hook"]},
    input=[
        "look",
        MediaPart(kind="image", mime_type="image/png", data=PNG, resolution="ultra_high"),
        MediaPart.from_uri("https://example.com/a.mp4", processing=Clip(start=1.5, end=10, fps=2)),
        MediaPart.from_uri("https://example.com/a.wav", processing=Clip(end=0.5)),
        MediaPart.from_uri("https://example.com/a.pdf?x=1", processing=Pages(first=2, last=3), resolution="low"),
        {"type": "thought", "signature": "c2ln"},
        {"type": "function_call", "id": "1", "name": "f", "arguments": {"a": 1.0}},
        {"type": "function_result", "call_id": "1", "name": "f", "result": {"b": [1]}},
    ],
)


def test_every_field_is_one_that_the_official_sdk_could_have_sent() -> None:
    sent = body(FULL, stream=True)
    understood = CreateModelInteraction.model_validate(sent)
    assert json.loads(understood.model_dump_json(by_alias=True, exclude_none=True)) == sent
    contents = sent["input"][0]["content"]
    assert contents[2]["processing"] == {"type": "static", "start_offset": "1.5s", "end_offset": "10s", "fps": 2}
    assert contents[4]["processing"] == {"type": "static", "page_options": {"start_page": 2, "end_page": 3}}
    assert [one["type"] for one in sent["response_format"]] == ["text", "image", "audio"]


def test_an_agent_is_asked_as_the_official_sdk_does() -> None:
    request = Request(
        agent="deep-research-pro-preview-12-2025",
        input="Rivers",
        agent_config={"type": "deep-research", "thinking_summaries": "auto"},
        store=True,
        background=True,
        environment="env-1",
    )
    sent = body(request)
    assert sent.keys() >= {"agent", "agent_config", "background", "environment"}
    assert "model" not in sent
    understood = CreateAgentInteraction.model_validate(sent)
    assert json.loads(understood.model_dump_json(by_alias=True, exclude_none=True)) == sent


def test_unknown_fields_pass_through() -> None:
    assert body(request_of(extra={"novelty": {"level": 3}}))["novelty"] == {"level": 3}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"service_tier": "flex"}, "flex"),
        ({"labels": {"a": "b"}}, "labels"),
        ({"safety_settings": (SafetySetting("hate_speech", "off"),)}, "safety_settings"),
        ({"formats": (AudioFormat(sample_rate=8000),)}, "sample_rate of audio"),
        ({"input": MediaPart.from_uri("https://x/a.pdf", processing=Pages(first=1))}, "page or time ranges"),
        ({"input": MediaPart.from_uri("https://x/a.pdf", resolution="low")}, "resolution"),
        ({"input": MediaPart.from_uri("https://x/a.png", resolution="ultra_high")}, "resolution"),
    ],
)
def test_what_the_first_form_lacks_is_refused_by_its_name(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        body(request_of(**fields), "outputs")
    assert "the outputs dialect" in str(caught.value)
    body(request_of(**fields))


def test_the_first_form_says_formats_as_modalities() -> None:
    sent = body(request_of(formats=(TextFormat(), ImageFormat(aspect_ratio="1:1"))), "outputs")
    assert sent["response_modalities"] == ["text", "image"]
    assert sent["generation_config"] == {"image_config": {"aspect_ratio": "1:1"}}


def test_history_goes_back_byte_for_byte_in_either_form() -> None:
    steps = [
        {"type": "thought", "signature": "c2ln", "novel": [1]},
        {"type": "function_call", "id": "1", "name": "f", "arguments": {"x": 1.0}},
        {"type": "model_output", "content": [{"type": "text", "text": "so", "annotations": [{"source": "s"}]}]},
    ]
    result = {"type": "function_result", "call_id": "1", "name": "f", "result": "42"}
    request = request_of(input=["go", *steps, result])
    assert body(request)["input"][1:] == [*steps, result]
    assert body(request, "outputs")["input"] == [
        {"role": "user", "content": [{"type": "text", "text": "go"}]},
        {"role": "model", "content": [steps[0], steps[1], *steps[2]["content"]]},
        {"role": "user", "content": [result]},
    ]


def test_turns_with_a_role_are_understood_in_both_forms() -> None:
    turns = [{"role": "user", "content": "a"}, {"role": "model", "content": [{"type": "text", "text": "b"}]}]
    assert body(request_of(input=turns), "outputs")["input"] == turns
    assert [step["type"] for step in body(request_of(input=turns))["input"]] == ["user_input", "model_output"]


def test_an_own_kind_of_tool_says_itself_what_it_is_called() -> None:
    class Tool:
        def as_wire(self, dialect: str) -> dict[str, Any]:
            return {"type": f"tool_of_{dialect}"}

    assert body(request_of(tools=[Tool()]))["tools"] == [{"type": "tool_of_steps"}]
    assert body(request_of(tools=[Tool()]), "outputs")["tools"] == [{"type": "tool_of_outputs"}]


@pytest.mark.parametrize("fields", [{"store": True}, {"store": True, "previous_interaction_id": "v1_x"}])
def test_records_are_never_asked_with_a_trace(fields: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="go through Client"):
        DIALECTS["steps"].envelope(request_of(**fields))


@pytest.mark.parametrize(
    ("name", "data", "kind", "mime_type"),
    [
        ("a.png", PNG, "image", "image/png"),
        ("scan", PNG, "image", "image/png"),
        ("a.pdf", pdf_of("x"), "document", "application/pdf"),
        ("a.wav", b"RIFF1234WAVE", "audio", "audio/wav"),
        ("a.mp4", b"....ftypisom", "video", "video/mp4"),
    ],
)
def test_a_file_becomes_a_part_of_its_type(tmp_path: Path, name: str, data: bytes, kind: str, mime_type: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    part = MediaPart.from_path(path)
    assert (part.kind, part.mime_type, part.data) == (kind, mime_type, data)
    assert part.save(tmp_path / "copy").read_bytes() == data


def test_a_file_that_cannot_be_sent_says_what_to_do(tmp_path: Path) -> None:
    text = tmp_path / "a.txt"
    text.write_text("words")
    with pytest.raises(BadRecord, match="TextPart"):
        MediaPart.from_path(text)
    with pytest.raises(BadRecord, match="No such file"):
        MediaPart.from_path(tmp_path / "none.png")
    with pytest.raises(ConfigError, match="mime_type="):
        MediaPart.from_uri("https://example.com/file")
    with pytest.raises(ConfigError, match="no bytes"):
        MediaPart.from_uri("https://example.com/a.png").save(tmp_path / "b.png")


@pytest.mark.parametrize(
    "build",
    [
        lambda: Pages(first=0),
        lambda: Pages(first=3, last=2),
        lambda: Clip(start=-1),
        lambda: Clip(start=2, end=2),
        lambda: Clip(fps=0),
        lambda: MediaPart.from_uri("https://x/a.png", processing=Pages(first=1)),
        lambda: MediaPart.from_uri("https://x/a.pdf", processing=Clip(end=1)),
        lambda: MediaPart.from_uri("https://x/a.wav", processing=Clip(fps=1)),
        lambda: MediaPart(kind="image", mime_type="image/png", data=b"x", uri="https://x"),
    ],
)
def test_a_range_that_cannot_be_is_refused(build: Any) -> None:
    with pytest.raises(ConfigError):
        build()
