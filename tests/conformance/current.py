"""The examples of the API's page, written anew for google-genai 3.x. Run: python current.py BASE_URL"""

from __future__ import annotations

import base64
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from google import genai
from pydantic import BaseModel

MODEL = "gemini-3.8-flash"
DOT = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(32)).decode()
PAPER = base64.b64encode(b"%PDF-1.4\n%%EOF\n").decode()
FORECAST = {
    "type": "function",
    "name": "get_forecast",
    "description": "Gets the weather forecast of a town.",
    "parameters": {"type": "object", "properties": {"town": {"type": "string"}}, "required": ["town"]},
}


class Spam(BaseModel):
    reason: str
    kind: Literal["phishing", "scam", "other"]


class Ham(BaseModel):
    summary: str
    safe: bool


class Verdict(BaseModel):
    decision: Spam | Ham


VERDICT = {"type": "text", "mime_type": "application/json", "schema": Verdict.model_json_schema()}
LETTER = "Moderate this: you have won a cruise, claim it at https://prizes.example.com/now"


def ask(client: genai.Client, given: Any, **fields: Any) -> Any:
    return client.interactions.create(model=MODEL, input=given, **fields)


def answered(interaction: Any) -> Any:
    assert interaction.status == "completed", interaction.status
    assert interaction.output_text
    return interaction


def user(text: str) -> dict[str, Any]:
    return {"type": "user_input", "content": [{"type": "text", "text": text}]}


def text(client: genai.Client) -> None:
    answered(ask(client, "Say something kind about compilers."))


def turns_with_state(client: genai.Client) -> None:
    first = answered(ask(client, "I am called Ada."))
    second = answered(ask(client, "What am I called?", previous_interaction_id=first.id))
    assert second.previous_interaction_id == first.id


def get(client: genai.Client) -> None:
    made = answered(ask(client, "Keep this in mind."))
    kept = client.interactions.get(made.id, include_input=True)
    assert [step.type for step in kept.steps] == ["user_input", "model_output"]
    assert kept.output_text == made.output_text


def turns_without_state(client: genai.Client) -> None:
    history: list[Any] = [user("Name three rivers of France.")]
    history += answered(ask(client, history, store=False)).steps
    answered(ask(client, [*history, user("Which is the longest?")], store=False))


def media(kind: str, mime_type: str, data: str) -> Callable[[genai.Client], None]:
    def case(client: genai.Client) -> None:
        given = [{"type": "text", "text": "What is in it?"}, {"type": kind, "data": data, "mime_type": mime_type}]
        seen = answered(ask(client, given)).usage.input_tokens_by_modality
        assert kind in {entry.modality for entry in seen}

    return case


def image_out(client: genai.Client) -> None:
    made = ask(client, "Draw a lighthouse.", response_format={"type": "image"})
    assert base64.b64decode(made.output_image.data).startswith(b"\x89PNG")


def agent(client: genai.Client) -> None:
    name = "deep-research-pro-preview-12-2025"
    job = client.interactions.create(agent=name, input="The history of tides.", background=True)
    for _ in range(100):
        found = client.interactions.get(job.id)
        if found.status != "in_progress":
            break
        time.sleep(0.1)
    answered(found)


def call_of(interaction: Any) -> Any:
    assert interaction.status == "requires_action"
    return next(step for step in interaction.steps if step.type == "function_call")


def result_for(call: Any) -> dict[str, Any]:
    told = f"Rain in {call.arguments['town']}"
    return {"type": "function_result", "name": call.name, "call_id": call.id, "result": told}


def function_with_state(client: genai.Client) -> None:
    first = ask(client, "What is the forecast for Bergen?", tools=[FORECAST])
    second = ask(client, [result_for(call_of(first))], tools=[FORECAST], previous_interaction_id=first.id)
    assert "Rain in Bergen" in answered(second).output_text


def function_without_state(client: genai.Client) -> None:
    history: list[Any] = [user("What is the forecast for Bergen?")]
    first = ask(client, history, tools=[FORECAST], store=False)
    history += [*first.steps, result_for(call_of(first))]
    assert "Rain in Bergen" in answered(ask(client, history, tools=[FORECAST], store=False)).output_text


def built_in(tool: dict[str, Any], given: str, kind: str) -> Callable[[genai.Client], None]:
    def case(client: genai.Client) -> None:
        types = [step.type for step in answered(ask(client, given, tools=[tool])).steps]
        assert types[:2] == [f"{kind}_call", f"{kind}_result"], types

    return case


def structured(client: genai.Client) -> None:
    Verdict.model_validate_json(answered(ask(client, LETTER, response_format=VERDICT)).output_text)


def structured_with_tool(client: genai.Client) -> None:
    made = answered(ask(client, LETTER, response_format=VERDICT, tools=[{"type": "url_context"}]))
    Verdict.model_validate_json(made.output_text)
    assert "url_context_result" in {step.type for step in made.steps}


def streaming(client: genai.Client) -> None:
    said, end = "", None
    for event in ask(client, "Explain tides.", stream=True):
        if event.event_type == "step.delta" and event.delta.type == "text":
            said += event.delta.text
        elif event.event_type == "interaction.completed":
            end = event.interaction
    assert end is not None
    assert end.usage.total_tokens > 0
    assert said == client.interactions.get(end.id).output_text


def generation(client: genai.Client) -> None:
    config = {"temperature": 0.7, "max_output_tokens": 500, "thinking_level": "low"}
    assert answered(ask(client, "Tell of a brave baker.", generation_config=config)).usage.total_thought_tokens > 0


def remote_file(client: genai.Client) -> None:
    picture = {"type": "image", "uri": "https://example.com/harbour.jpg", "mime_type": "image/jpeg"}
    answered(ask(client, [picture, {"type": "text", "text": "What do you see?"}]))


def uploaded_file(client: genai.Client) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "dot.png"
        path.write_bytes(base64.b64decode(DOT))
        file = client.files.upload(file=str(path))
    while client.files.get(name=file.name).state != "ACTIVE":
        time.sleep(0.1)
    picture = {"type": "image", "uri": file.uri, "mime_type": file.mime_type}
    answered(ask(client, [picture, {"type": "text", "text": "What do you see?"}]))


def models(client: genai.Client) -> None:
    assert f"models/{MODEL}" in [one.name for one in client.models.list()]


CASES: dict[str, Callable[[genai.Client], None]] = {
    "text": text,
    "turns with server state": turns_with_state,
    "get": get,
    "turns without server state": turns_without_state,
    "image in": media("image", "image/png", DOT),
    "audio in": media("audio", "audio/wav", "UklGRg=="),
    "video in": media("video", "video/mp4", "AAAA"),
    "PDF in": media("document", "application/pdf", PAPER),
    "image out": image_out,
    "agent in the background": agent,
    "function with server state": function_with_state,
    "function without server state": function_without_state,
    "google_search": built_in({"type": "google_search"}, "Who won the last regatta?", "google_search"),
    "code_execution": built_in({"type": "code_execution"}, "The 40th prime?", "code_execution"),
    "url_context": built_in({"type": "url_context"}, "Sum up https://example.com/", "url_context"),
    "MCP": built_in(
        {"type": "mcp_server", "name": "tides", "url": "https://example.com/mcp"}, "High water?", "mcp_server_tool"
    ),
    "structured output": structured,
    "structured output with a tool": structured_with_tool,
    "streaming": streaming,
    "generation config": generation,
    "remote file": remote_file,
    "uploaded file": uploaded_file,
    "models": models,
}


def main(url: str) -> int:
    client = genai.Client(api_key="none-needed", http_options={"base_url": url})
    passed = 0
    for name, case in CASES.items():
        try:
            case(client)
            passed += 1
        except Exception:
            sys.stderr.write(f"{name}: {traceback.format_exc(limit=-2)}\n")
    sys.stdout.write(f"google-genai {genai.__version__}, steps: {passed} of {len(CASES)} examples passed\n")
    return 0 if passed == len(CASES) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
