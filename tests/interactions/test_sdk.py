"""The official SDK as a foreign judge: it must understand what we send, and read an answer as we do."""

from __future__ import annotations

import json
from typing import Any

import polars as pl
import pytest
from google import genai
from google.genai._gaos.types.interactions.createmodelinteraction import CreateModelInteraction
from google.genai._gaos.types.interactions.interaction import Interaction as SdkInteraction
from hypothesis import given, settings
from hypothesis import strategies as st
from pdfs import pdf_of
from pydantic import BaseModel, Field
from pydantic_core import from_json

from extract import Client, Emulator, Example, Extractor, Generation, ImageFormat, Limits, Request, Retry, run
from extract.interactions.dialects import decode
from extract.testing import running_server


class Answer(BaseModel):
    label: str = Field(max_length=3)
    parts: list[int] | None = None


GOOD = '{"label": "ham", "parts": [1, 2]}'
QUICK = Limits(retry=Retry(first_wait=0.001, longest_wait=0.01))


def bodies_of(extractor: Extractor, emulator: Emulator, data: pl.DataFrame, **options: Any) -> list[dict[str, Any]]:
    run(data, extractor, client=Client("key", transport=emulator.transport), limits=QUICK, **options)
    return [request.body for request in emulator.requests]


TEXTS = pl.DataFrame({"body": ["a", "b"]})
FULL = Extractor(
    Answer,
    "{body}",
    system="Be brief.",
    examples=(Example({"body": "x"}, Answer(label="ham")),),
    generation=Generation(thinking_level="low", max_output_tokens=64, seed=1, stop_sequences=("END",)),
)


@pytest.mark.parametrize("kind", ["ask", "repair", "continue", "flex", "media"])
def test_every_body_we_send_is_one_the_sdk_could_have_sent(kind: str) -> None:
    data, extractor, emulator, options = TEXTS, FULL, Emulator(answers=lambda _: GOOD), {}
    if kind == "repair":
        emulator = Emulator(answers=["{}", GOOD] * 2)
    elif kind == "continue":
        emulator = Emulator(answers=lambda _: GOOD, faults="continuation=1")
    elif kind == "flex":
        options = {"service_tier": "flex"}
    elif kind == "media":
        data, extractor = pl.DataFrame({"scan": [pdf_of("x")]}), Extractor(Answer, "Read it.", media=("scan",))
    bodies = bodies_of(extractor, emulator, data, **options)
    assert bodies
    assert kind not in ("repair", "continue") or len(bodies) > 2
    for body in bodies:
        understood = CreateModelInteraction.model_validate(body)
        assert json.loads(understood.model_dump_json(by_alias=True, exclude_none=True)) == body


TEXT = st.fixed_dictionaries({"type": st.just("text"), "text": st.text(max_size=4)})
IMAGE = st.just({"type": "image", "mime_type": "image/png", "data": "AAAA"})
STEPS = st.lists(
    st.one_of(
        st.fixed_dictionaries({"type": st.just("model_output"), "content": st.lists(TEXT | IMAGE, max_size=3)}),
        st.just({"type": "thought", "signature": "c2ln"}),
        st.just({"type": "user_input", "content": [{"type": "text", "text": "question"}]}),
        st.just({"type": "function_call", "id": "1", "name": "f", "arguments": {}}),
    ),
    max_size=6,
)


@settings(max_examples=300, deadline=None)
@given(STEPS)
def test_we_read_the_text_that_the_sdk_reads(steps: list[dict[str, Any]]) -> None:
    body = {
        "id": "v1_x",
        "status": "completed",
        "created": "2026-11-22T10:00:00Z",
        "updated": "2026-11-22T10:00:00Z",
        "steps": steps,
    }
    assert decode(json.dumps(body).encode()).text == (SdkInteraction.model_validate(body).output_text or "")


WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "Get the weather of a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}
ASKED: dict[str, dict[str, Any]] = {
    "text": {"input": "Say hello."},
    "thoughts": {"input": "Say hello.", "generation": Generation(thinking_level="high", thinking_summaries="auto")},
    "functions": {"input": "Get the weather in Paris.", "tools": (WEATHER,)},
    "search": {"input": "Search for the news.", "tools": ({"type": "google_search"},)},
    "code": {"input": "Run code: 1 + 1.", "tools": ({"type": "code_execution"},)},
    "pages": {"input": "Read https://example.com/a", "tools": ({"type": "url_context"},)},
    "image": {"input": "A blue square.", "model": "gemini-3-pro-image", "formats": (ImageFormat(),)},
}


def served() -> Emulator:
    return Emulator(clock=lambda: 0.0)  # so that two of them say the same, down to ids and times


def without_unset(value: Any) -> Any:
    """Return a JSON value without nulls and empty lists, which the SDK adds to what it read."""
    if isinstance(value, dict):
        plain = {key: without_unset(item) for key, item in value.items()}
        return {key: item for key, item in plain.items() if item not in (None, [], {})}
    return [without_unset(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("kind", ASKED)
def test_an_interaction_says_the_same_to_us_and_to_the_sdk(kind: str) -> None:
    request = Request(**{"model": "gemini-3.8-flash"} | ASKED[kind])
    ours = Client("key", transport=served().transport).create(request)
    theirs = SdkInteraction.model_validate(ours.raw)
    assert (theirs.output_text or "") == ours.text
    assert (theirs.status, theirs.id) == (ours.status, ours.id)
    assert ours.usage is not None
    assert theirs.usage is not None
    assert theirs.usage.total_input_tokens == ours.usage.input_tokens
    steps = json.loads(theirs.model_dump_json(by_alias=True))["steps"]
    assert without_unset(steps) == without_unset(list(ours.steps))
    called = [(step["name"], step["arguments"]) for step in steps if step["type"] == "function_call"]
    assert called == [(call.name, call.arguments) for call in ours.calls]


@pytest.mark.parametrize("kind", ASKED)
def test_a_stream_says_the_same_to_us_and_to_the_sdk(kind: str) -> None:
    request = Request(**{"model": "gemini-3.8-flash"} | ASKED[kind])
    body: Any = from_json(Client("key").endpoint.wire.encode(request)) | {"stream": True}
    with running_server(served()) as url:
        sdk = genai.Client(api_key="key", http_options={"base_url": url})
        theirs = [json.loads(event.model_dump_json(by_alias=True)) for event in sdk.interactions.create(**body)]
    with running_server(served()) as url, Client("key", base_url=url).stream(request) as stream:
        ours = [event.raw for event in stream]
    assert [without_unset(event) for event in ours] == [without_unset(event) for event in theirs]
    assert stream.interaction.text == Client("key", transport=served().transport).create(request).text
