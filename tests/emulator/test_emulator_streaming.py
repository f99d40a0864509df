"""The emulator's streams: every step in pieces, in both dialects, taken up again, and of jobs that take time."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx
import pytest
from clocks import Clock

from extract.emulator import Calls, Emulator, Steps, WireRequest, WireResponse
from extract.testing import running_server

KEY = {"x-goog-api-key": "test"}
BOTH = pytest.mark.parametrize("dialect", ["steps", "outputs"])
LONG = "a long answer that does not fit into one event, " * 3
CALLS = Calls(("get_weather", {"location": "Rio de Janeiro", "days": [1, 2, 3]}), ("now", {}))
PICTURE = {"response_format": [{"type": "text"}, {"type": "image"}]}
OLD_PICTURE = {"response_modalities": ["TEXT", "IMAGE"]}
THINKING = {"generation_config": {"thinking_level": "low", "thinking_summaries": "auto"}}
ODD = Steps({"type": "musing", "mood": "curious"}, {"type": "model_output", "content": [{"type": "hologram", "n": 1}]})


def send(emulator: Emulator, **fields: Any) -> WireResponse:
    body = {"model": "gemini-3.8-flash", "input": "What is it, see https://example.com/a"} | fields
    return emulator.handle(WireRequest("POST", "/v1/interactions", {}, KEY, json.dumps(body).encode()))


def look(emulator: Emulator, identity: str, **query: str) -> WireResponse:
    return emulator.handle(WireRequest("GET", f"/v1/interactions/{identity}", query, KEY))


def events_of(response: WireResponse, *, whole: bool = True) -> list[dict[str, Any]]:
    data = [one.split("data: ", 1)[1] for one in response.body.decode().split("\n\n") if one]
    assert (data[-1:] == ["[DONE]"]) == whole
    return [json.loads(text) for text in (data[:-1] if whole else data)]


def steps_of(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the steps or contents that the events tell, by the rules that the reference gives a client."""
    items: dict[int, dict[str, Any]] = {}
    arguments: dict[int, str] = {}
    for event in events:
        index = event.get("index")
        if event["event_type"] in ("step.start", "content.start"):
            items[index] = dict(event.get("step") or event["content"])
        elif event["event_type"] in ("step.delta", "content.delta"):
            grow(items[index], event["delta"], arguments, index)
        elif event["event_type"] == "step.stop" and index in arguments:
            items[index]["arguments"] = json.loads(arguments[index])
    return [items[index] for index in sorted(items)]


def grow(item: dict[str, Any], delta: dict[str, Any], arguments: dict[int, str], index: int) -> None:
    kind = delta["type"]
    contents = item.setdefault("content", []) if item["type"] == "model_output" else [item]
    if kind == "arguments_delta":
        arguments[index] = arguments.get(index, "") + delta["arguments"]
    elif kind == "thought_signature":
        item["signature"] = delta["signature"]
    elif kind == "thought_summary":
        summary = item.setdefault("summary", [{"type": "text", "text": ""}])
        summary[0]["text"] += delta["content"]["text"]
    elif kind == "text":
        if not contents or contents[-1]["type"] != "text":
            contents.append({"type": "text"})
        contents[-1]["text"] = contents[-1].get("text", "") + delta["text"]
        contents[-1] |= {"annotations": delta["annotations"]} if "annotations" in delta else {}
    elif kind == "text_annotation_delta":
        contents[-1]["annotations"] = delta["annotations"]
    elif item["type"] == "model_output":
        contents.append(delta)
    else:
        item |= delta


TOOLS = [{"type": "google_search"}, {"type": "url_context"}, {"type": "code_execution"}]
SCENES = {
    "text": ([LONG], {}),
    "thought": ([LONG], THINKING),
    "calls": ([CALLS], {}),
    "tools": ([LONG], {"tools": TOOLS}),
    "picture": (["here"], PICTURE),
    "unknown": ([ODD], {}),
    "nothing": ([Steps()], {}),
}


@BOTH
@pytest.mark.parametrize("scene", SCENES)
def test_a_stream_tells_what_the_interaction_holds(scene: str, dialect: Any) -> None:
    answers, fields = SCENES[scene]
    emulator = Emulator(dialect=dialect, answers=answers)
    if fields is PICTURE and dialect == "outputs":
        fields = OLD_PICTURE
    events = events_of(send(emulator, stream=True, **fields))
    end = events[-1]["interaction"]
    stored = json.loads(look(emulator, end["id"]).body)
    assert steps_of(events) == stored.pop("steps" if dialect == "steps" else "outputs")
    assert end == stored
    assert len({event["event_id"] for event in events}) == len(events)


def test_arguments_come_as_pieces_of_json_text() -> None:
    events = events_of(send(Emulator(answers=[CALLS]), stream=True))
    pieces = [
        event["delta"]["arguments"] for event in events if event.get("delta", {}).get("type") == "arguments_delta"
    ]
    assert "".join(pieces) == '{"location":"Rio de Janeiro","days":[1,2,3]}{}'
    assert len(pieces) > 2
    assert events[-1]["interaction"]["status"] == "requires_action"


def test_in_the_first_dialect_arguments_come_whole() -> None:
    events = events_of(send(Emulator(dialect="outputs", answers=[CALLS]), stream=True))
    deltas = [event["delta"] for event in events if event.get("delta", {}).get("type") == "function_call"]
    assert [delta["arguments"] for delta in deltas] == [{"location": "Rio de Janeiro", "days": [1, 2, 3]}, {}]


@BOTH
def test_a_stream_can_be_taken_up_after_each_of_its_events(dialect: Any) -> None:
    emulator = Emulator(dialect=dialect, answers=[LONG])
    whole = events_of(send(emulator, stream=True, tools=TOOLS, **THINKING))
    identity = whole[-1]["interaction"]["id"]
    for number, event in enumerate(whole):
        rest = look(emulator, identity, stream="true", last_event_id=event["event_id"])
        assert events_of(rest) == whole[number + 1 :]


@BOTH
def test_the_stream_of_a_long_job_breaks_off_and_goes_on_when_it_is_done(dialect: Any) -> None:
    clock = Clock()
    emulator = Emulator(dialect=dialect, answers=[LONG], background_seconds=600, clock=clock)
    begun = events_of(send(emulator, stream=True, background=True), whole=False)
    assert begun[1]["event_type"] == "interaction.status_update"
    identity = begun[0]["interaction"]["id"]
    clock.now += 300
    assert events_of(look(emulator, identity, stream="true", last_event_id="e1"), whole=False) == []
    clock.now += 300
    rest = events_of(look(emulator, identity, stream="true", last_event_id="e1"))
    whole = events_of(look(emulator, identity, stream="true"))
    assert whole[:2] == begun
    assert whole[2:] == rest
    assert rest[-1]["interaction"]["status"] == "completed"


def test_a_cancelled_job_says_so_at_the_end_of_its_stream() -> None:
    emulator = Emulator(answers=[LONG], background_seconds=600, clock=Clock())
    identity = json.loads(send(emulator, background=True).body)["id"]
    emulator.handle(WireRequest("POST", f"/v1/interactions/{identity}/cancel", {}, KEY))
    events = events_of(look(emulator, identity, stream="true"))
    assert (events[-1]["interaction"]["status"], steps_of(events)) == ("cancelled", [])


def test_over_a_socket_the_stream_of_a_short_job_stays_open_until_it_is_done() -> None:
    emulator = Emulator(answers=["done"], background_seconds=0.5)
    body = {"model": "gemini-3.8-flash", "input": "Take your time.", "background": True, "stream": True}
    with running_server(emulator) as url, httpx.Client(trust_env=False) as http:
        started = time.monotonic()
        response = http.post(f"{url}/v1/interactions", json=body, headers=KEY)
        assert time.monotonic() - started >= 0.5  # at least: a busy machine only makes it longer
    assert response.text.endswith("data: [DONE]\n\n")
    assert '"text":"done"' in response.text
