"""What the emulator's model does besides speaking: functions, built-in tools, thoughts, pictures, sounds, memory."""

from __future__ import annotations

import io
import json
import wave
import zlib
from base64 import b64decode
from typing import Any

import pytest
from clocks import Clock

from extract.emulator import Calls, Emulator, Fault, Steps, WireRequest, WireResponse

KEY = {"x-goog-api-key": "test"}
WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "Gets the weather of a place.",
    "parameters": {"type": "object", "properties": {"location": {"type": "string"}}, "required": ["location"]},
}
MEETING = {
    "type": "function",
    "name": "schedule_meeting",
    "description": "Schedules a meeting.",
    "parameters": {
        "type": "object",
        "properties": {"attendees": {"type": "array", "items": {"type": "string"}}, "date": {"type": "string"}},
        "required": ["attendees", "date"],
    },
}
QUESTION = "What is the weather in Paris?"
BOTH = pytest.mark.parametrize("dialect", ["steps", "outputs"])


def send(emulator: Emulator, given: Any, **fields: Any) -> WireResponse:
    body = {"model": "gemini-3.8-flash", "input": given} | fields
    return emulator.handle(WireRequest("POST", "/v1/interactions", {}, KEY, json.dumps(body).encode()))


def ask(emulator: Emulator, given: Any = QUESTION, **fields: Any) -> dict[str, Any]:
    response = send(emulator, given, **fields)
    assert response.status == 200, response.body
    return json.loads(response.body)


def refused(emulator: Emulator, given: Any, **fields: Any) -> str:
    response = send(emulator, given, **fields)
    assert response.status == 400
    return json.loads(response.body)["error"]["message"]


def look(emulator: Emulator, identity: str, **query: str) -> WireResponse:
    return emulator.handle(WireRequest("GET", f"/v1/interactions/{identity}", query, KEY))


def items_of(interaction: dict[str, Any]) -> list[dict[str, Any]]:
    return interaction["steps"] if "steps" in interaction else interaction["outputs"]


def types_of(interaction: dict[str, Any]) -> list[str]:
    return [item["type"] for item in items_of(interaction)]


def text_of(interaction: dict[str, Any]) -> str:
    item = items_of(interaction)[-1]
    return item["text"] if "text" in item else item["content"][0]["text"]


def user(text: str) -> dict[str, Any]:
    return {"type": "user_input", "content": [{"type": "text", "text": text}]}


def result_for(call: dict[str, Any], result: Any = "sunny", **more: Any) -> dict[str, Any]:
    return {"type": "function_result", "call_id": call["id"], "name": call["name"], "result": result} | more


@BOTH
def test_a_function_that_the_input_asks_for_is_called(dialect: Any) -> None:
    interaction = ask(Emulator(dialect=dialect), tools=[WEATHER, MEETING])
    assert (interaction["status"], types_of(interaction)) == ("requires_action", ["thought", "function_call"])
    assert (items_of(interaction)[1]["name"], items_of(interaction)[1]["arguments"]) == (
        "get_weather",
        {"location": "Paris"},
    )


def test_lists_are_filled_from_the_names_in_the_input() -> None:
    interaction = ask(Emulator(), "Schedule a meeting for 2025-11-01 with Peter and Amir.", tools=[MEETING])
    assert interaction["steps"][1]["arguments"] == {"attendees": ["Peter", "Amir"], "date": "2025-11-01"}


def test_nothing_is_called_that_nobody_asked_for() -> None:
    assert types_of(ask(Emulator(), "Tell me a joke.", tools=[WEATHER])) == ["model_output"]


@pytest.mark.parametrize(
    ("choice", "given", "types"),
    [
        ("none", QUESTION, ["model_output"]),
        ("any", "Tell me a joke.", ["thought", "function_call"]),
        ({"allowed_tools": {"mode": "auto", "tools": ["schedule_meeting"]}}, QUESTION, ["model_output"]),
        ({"allowed_tools": {"mode": "any", "tools": ["schedule_meeting"]}}, QUESTION, ["thought", "function_call"]),
    ],
)
def test_the_tool_choice_is_obeyed(choice: Any, given: str, types: list[str]) -> None:
    interaction = ask(Emulator(), given, tools=[WEATHER, MEETING], generation_config={"tool_choice": choice})
    assert types_of(interaction) == types


@BOTH
def test_results_are_read_back_into_the_text(dialect: Any) -> None:
    emulator = Emulator(dialect=dialect)
    first = ask(emulator, tools=[WEATHER])
    results = [result_for(items_of(first)[1], {"sky": "clear", "degrees": 21})]
    second = ask(emulator, results, previous_interaction_id=first["id"], tools=[WEATHER])
    assert second["status"] == "completed"
    assert text_of(second) == "get_weather: sky: clear\ndegrees: 21"


def test_a_schema_is_filled_from_the_question_and_the_results() -> None:
    schema = {"type": "object", "properties": {"degrees": {"type": "integer"}}, "required": ["degrees"]}
    wanted = {"type": "text", "mime_type": "application/json", "schema": schema}
    emulator = Emulator()
    first = ask(emulator, tools=[WEATHER], response_format=wanted)
    results = [result_for(first["steps"][1], {"degrees": 21})]
    second = ask(emulator, results, previous_interaction_id=first["id"], response_format=wanted)
    assert json.loads(text_of(second)) == {"degrees": 21}


CALL = Calls(("get_weather", {"location": "Rome"}), ("get_weather", {"location": "Oslo"}))


def test_scripted_calls_come_side_by_side_with_ids_of_their_own() -> None:
    interaction = ask(Emulator(answers=[CALL]))
    calls = interaction["steps"][1:]
    assert [call["arguments"]["location"] for call in calls] == ["Rome", "Oslo"]
    assert len({call["id"] for call in calls}) == 2
    assert interaction["usage"]["total_thought_tokens"] > 0


def test_every_call_needs_its_result_in_stored_and_in_sent_histories() -> None:
    emulator = Emulator(answers=[CALL, "done", "done"])
    first = ask(emulator)
    _, one, other = first["steps"]
    parent = {"previous_interaction_id": first["id"]}
    assert "none came for" in refused(emulator, [result_for(one)], **parent)
    assert "none came for" in refused(emulator, "And now?", **parent)
    assert "no call with the id" in refused(emulator, [result_for(one), result_for(one)], **parent)
    assert "the call was to" in refused(emulator, [result_for(one | {"name": "f"}), result_for(other)], **parent)
    assert "no call with the id" in refused(emulator, [result_for({"id": "x", "name": "f"})])
    both = [result_for(one), result_for(other, is_error=True)]
    assert text_of(ask(emulator, both, **parent)) == "done"
    assert text_of(ask(emulator, [user(QUESTION), *first["steps"], *both])) == "done"


def test_thoughts_and_calls_must_come_back_unchanged() -> None:
    emulator = Emulator(answers=[CALL, "done"])
    thought, one, other = ask(emulator)["steps"]
    results = [result_for(one), result_for(other)]
    begin = user(QUESTION)
    changed = one | {"arguments": {"location": "Bonn"}}
    assert "lacks its thought" in refused(emulator, [begin, one, other, *results])
    assert "as they were sent" in refused(emulator, [begin, thought, changed, other, *results])
    assert "as they were sent" in refused(emulator, [begin, thought, other, one, *results])
    assert "as they were sent" in refused(emulator, [begin, thought, one, result_for(one)])
    assert "Missing thought signature" in refused(emulator, [begin, {"type": "thought"}, one, other, *results])
    dummy = thought | {"signature": "skip_thought_signature_validator"}
    assert text_of(ask(emulator, [begin, dummy, changed, other, *results])) == "done"


def test_a_lenient_emulator_takes_any_history() -> None:
    emulator = Emulator(answers=["done"], strict=False)
    assert text_of(ask(emulator, [user(QUESTION), result_for({"id": "x", "name": "f"})])) == "done"


def test_a_turn_of_thoughts_and_text_can_be_sent_back_too() -> None:
    emulator = Emulator(answers=["one", "two"])
    first = ask(emulator, generation_config={"thinking_level": "low", "thinking_summaries": "auto"})
    assert first["steps"][0]["summary"][0]["type"] == "text"
    assert text_of(ask(emulator, [user(QUESTION), *first["steps"], user("And?")])) == "two"


@pytest.mark.parametrize(
    ("tool", "given", "kind"),
    [
        ({"type": "google_search"}, "Who won?", "google_search"),
        ({"type": "url_context"}, "Summarise https://example.com/a.", "url_context"),
        ({"type": "code_execution"}, "Compute it.", "code_execution"),
        ({"type": "file_search", "file_search_store_names": ["fileSearchStores/x"]}, "Look it up.", "file_search"),
        ({"type": "google_maps"}, "Where is it?", "google_maps"),
        ({"type": "mcp_server", "name": "s", "url": "https://example.com/mcp"}, "Ask it.", "mcp_server_tool"),
    ],
)
def test_a_built_in_tool_leaves_a_call_and_a_result_before_the_text(tool: Any, given: str, kind: str) -> None:
    interaction = ask(Emulator(answers=["Überall"]), given, tools=[tool])
    assert types_of(interaction) == [f"{kind}_call", f"{kind}_result", "model_output"]
    call, result, output = interaction["steps"]
    assert call["id"] == result["call_id"]
    assert interaction["usage"]["total_tool_use_tokens"] > 0
    annotations = output["content"][0].get("annotations", [])
    assert [(one["start_index"], one["end_index"]) for one in annotations] in ([(0, 8)], [])
    assert bool(annotations) == (kind not in ("code_execution", "mcp_server_tool"))


def test_a_page_that_cannot_be_read_is_no_source() -> None:
    interaction = ask(Emulator(answers=["?"]), "Read https://nowhere.invalid/a", tools=[{"type": "url_context"}])
    assert interaction["steps"][1]["result"] == [{"url": "https://nowhere.invalid/a", "status": "error"}]
    assert "annotations" not in interaction["steps"][2]["content"][0]


def test_without_an_address_no_page_is_read() -> None:
    assert types_of(ask(Emulator(answers=["?"]), "Read it.", tools=[{"type": "url_context"}])) == ["model_output"]


def test_the_first_dialect_has_its_own_form_of_searches_and_citations() -> None:
    interaction = ask(Emulator(dialect="outputs", answers=["Paris"]), tools=[{"type": "google_search"}])
    call, result, text = interaction["outputs"]
    assert (call["type"], list(result["result"][0])) == ("google_search_call", ["rendered_content"])
    assert text["annotations"] == [{"start_index": 0, "end_index": 5, "source": "https://example.com/emulated-search"}]


@pytest.mark.parametrize(
    "tool",
    [
        {"type": "function"},
        {"type": "function", "name": "two words"},
        {"type": "function", "name": "f", "parameters": {"type": "objekt"}},
        {"type": "google_search", "queries": []},
        {"type": "mcp_server", "name": "s"},
        {"type": "telepathy"},
    ],
)
def test_a_tool_that_cannot_be_is_refused(tool: dict[str, Any]) -> None:
    refused(Emulator(), QUESTION, tools=[tool])


def image_of(content: dict[str, Any]) -> bytes:
    assert (content["type"], content["mime_type"]) == ("image", "image/png")
    return b64decode(content["data"], validate=True)


@pytest.mark.parametrize(
    ("dialect", "wanted"),
    [("steps", {"response_format": {"type": "image"}}), ("outputs", {"response_modalities": ["IMAGE"]})],
)
def test_a_picture_comes_where_one_is_asked_for(dialect: Any, wanted: dict[str, Any]) -> None:
    interaction = ask(Emulator(dialect=dialect), "A futuristic city.", **wanted)
    [item] = items_of(interaction)
    data = image_of(item if dialect == "outputs" else item["content"][0])
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    assert data.endswith(b"IEND" + zlib.crc32(b"IEND").to_bytes(4))


def test_a_sound_comes_where_one_is_asked_for_beside_text() -> None:
    interaction = ask(Emulator(answers=["la"]), "Sing.", response_format=[{"type": "text"}, {"type": "audio"}])
    text, sound = interaction["steps"][0]["content"]
    assert (text["text"], sound["mime_type"]) == ("la", "audio/wav")
    with wave.open(io.BytesIO(b64decode(sound["data"]))) as file:
        assert (file.getnchannels(), file.getnframes()) == (1, 2400)


def test_scripted_steps_come_as_they_are() -> None:
    odd = {"type": "musing", "mood": "curious"}
    interaction = ask(Emulator(answers=[Steps(odd, user("x")), Steps(odd, status="meditating")]))
    assert (interaction["steps"], interaction["status"]) == ([odd, user("x")], "completed")


def test_a_fault_may_strike_calls_as_well() -> None:
    emulator = Emulator(answers=[Fault("failed", "text"), CALL], faults="continuation=1")
    failed = ask(emulator, tools=[WEATHER])
    assert (failed["status"], failed["steps"]) == ("failed", [])
    assert ask(emulator)["status"] == "requires_action"


@BOTH
def test_results_are_shown_as_input_of_the_interaction_they_were_sent_to(dialect: Any) -> None:
    emulator = Emulator(dialect=dialect, answers=[Calls(("f", {})), "done"])
    first = ask(emulator)
    call = items_of(first)[1]
    second = ask(emulator, [result_for(call)], previous_interaction_id=first["id"])
    shown = json.loads(look(emulator, second["id"], include_input="true").body)
    if dialect == "steps":
        assert types_of(shown) == ["function_result", "model_output"]
    else:
        assert shown["input"] == [result_for(call)]
    assert "function_result" not in str(json.loads(look(emulator, second["id"]).body))


def test_what_was_stored_is_forgotten_after_its_time() -> None:
    clock = Clock()
    emulator = Emulator(answers=["a", "b"], clock=clock, retention_seconds=60)
    identity = ask(emulator)["id"]
    clock.now += 59
    assert look(emulator, identity).status == 200
    clock.now += 1
    assert look(emulator, identity).status == 404
    assert send(emulator, "And?", previous_interaction_id=identity).status == 404


RESEARCH = {"agent": "deep-research-preview-04-2026", "input": "The history of TPUs.", "background": True}


def start_research(emulator: Emulator, **fields: Any) -> WireResponse:
    body = json.dumps(RESEARCH | fields).encode()
    return emulator.handle(WireRequest("POST", "/v1/interactions", {}, KEY, body))


def test_a_research_agent_takes_its_time_searches_and_ends_with_sources() -> None:
    clock = Clock()
    emulator = Emulator(answers=["A report."], background_seconds=600, clock=clock)
    started = json.loads(start_research(emulator).body)
    assert (started["status"], started["agent"]) == ("in_progress", RESEARCH["agent"])
    clock.now += 599
    assert json.loads(look(emulator, started["id"]).body)["status"] == "in_progress"
    clock.now += 1
    done = json.loads(look(emulator, started["id"]).body)
    assert (done["status"], types_of(done)[-1], text_of(done)) == ("completed", "model_output", "A report.")
    assert done["steps"][-1]["content"][0]["annotations"]


def test_a_research_agent_must_run_in_the_background() -> None:
    assert json.loads(start_research(Emulator(), background=False).body)["error"]["code"] == "invalid_request"
