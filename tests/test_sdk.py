"""The official SDK as a foreign judge: it must understand what we send, and read an answer as we do."""

from __future__ import annotations

import json
from typing import Any

import polars as pl
import pytest
from google.genai._gaos.types.interactions.createmodelinteraction import CreateModelInteraction
from google.genai._gaos.types.interactions.interaction import Interaction as SdkInteraction
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from extract import Client, Emulator, Example, Extractor, Generation, Limits, Retry, run
from extract.interactions.dialects import decode


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
        data, extractor = pl.DataFrame({"scan": [b"%PDF-1.4 x"]}), Extractor(Answer, "Read it.", media=("scan",))
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
