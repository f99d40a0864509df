"""The emulator's core: what a request gets for an answer, without any socket."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from clocks import Clock
from jsonschema import Draft202012Validator

from extract.emulator import Emulator, Fault, WireRequest, WireResponse
from extract.errors import ConfigError
from extract.extractor.prompts import REPAIR_OPENING

KEY = {"x-goog-api-key": "test"}
SCHEMA = {
    "type": "object",
    "properties": {"topic": {"type": "string", "enum": ["billing", "bug"]}, "urgent": {"type": "boolean"}},
    "required": ["topic", "urgent"],
    "additionalProperties": False,
}
STEPS = {"response_format": {"type": "text", "mime_type": "application/json", "schema": SCHEMA}}
OUTPUTS = {"response_format": SCHEMA, "response_mime_type": "application/json"}


class Echo:
    """A reader that answers with what it was given to read."""

    def read(self, schema: Any, text: str, examples: Any = (), *, system: str = "") -> str:
        return json.dumps({"schema": schema, "text": text, "examples": examples, "system": system})


def create(emulator: Emulator, headers: dict[str, str] = KEY, version: str = "v1", **fields: Any) -> WireResponse:
    body = {"model": "gemini-3.5-flash-lite", "input": "The invoice is wrong", "store": False} | fields
    body = {name: value for name, value in body.items() if value is not ...}
    return emulator.handle(WireRequest("POST", f"/{version}/interactions", {}, headers, json.dumps(body).encode()))


def call(emulator: Emulator, method: str, path: str, **query: str) -> WireResponse:
    return emulator.handle(WireRequest(method, path, query, KEY))


def body_of(response: WireResponse) -> Any:
    return json.loads(response.body)


def text_of(response: WireResponse) -> str:
    return "".join(
        content["text"]
        for step in body_of(response)["steps"]
        if step["type"] == "model_output"
        for content in step["content"]
    )


def error_of(response: WireResponse) -> tuple[int, Any]:
    return response.status, body_of(response)["error"]["code"]


def turn(role: str, text: str) -> dict[str, Any]:
    return {"type": role, "content": [{"type": "text", "text": text}]}


def test_an_answer_is_an_interaction_with_steps_and_usage() -> None:
    response = create(Emulator(answers=[{"topic": "bug", "urgent": False}]), **STEPS)
    interaction = body_of(response)
    assert response.status == 200
    assert interaction["status"] == "completed"
    assert interaction["model"] == "gemini-3.5-flash-lite"
    assert interaction["steps"] == [
        {"type": "model_output", "content": [{"type": "text", "text": '{"topic": "bug", "urgent": false}'}]}
    ]


def test_usage_adds_up_and_thoughts_stand_beside_the_output() -> None:
    response = create(Emulator(answers=["x" * 41]), generation_config={"thinking_level": "low"})
    usage = body_of(response)["usage"]
    assert (usage["total_input_tokens"], usage["total_output_tokens"]) == (5, 11)
    assert usage["total_thought_tokens"] > 0
    assert usage["total_tokens"] == 5 + 11 + usage["total_thought_tokens"]
    assert usage["input_tokens_by_modality"] == [{"modality": "text", "tokens": 5}]


def test_a_thinking_level_puts_a_thought_before_the_answer() -> None:
    steps = body_of(create(Emulator(answers=["hi"]), generation_config={"thinking_level": "high"}))["steps"]
    assert [step["type"] for step in steps] == ["thought", "model_output"]


def test_files_are_counted_by_modality() -> None:
    image = {"type": "image", "mime_type": "image/png", "data": "AAAA"}
    usage = body_of(create(Emulator(answers=["hi"]), input=[image, {"type": "text", "text": "what is it"}]))["usage"]
    assert {entry["modality"]: entry["tokens"] for entry in usage["input_tokens_by_modality"]} == {
        "text": 3,
        "image": 258,
    }


def test_an_answer_longer_than_the_limit_is_incomplete_and_cut() -> None:
    response = create(Emulator(answers=["abcdefghij"]), generation_config={"max_output_tokens": 2})
    assert body_of(response)["status"] == "incomplete"
    assert text_of(response) == "abcdefgh"


def test_without_a_script_the_rule_reader_answers_in_the_form_that_was_asked_for() -> None:
    answer = json.loads(text_of(create(Emulator(), **STEPS)))
    Draft202012Validator(SCHEMA).validate(answer)


@pytest.mark.parametrize("version", ["v1", "v1beta"])
def test_both_api_versions_are_served(version: str) -> None:
    assert create(Emulator(answers=["hi"]), version=version).status == 200


def test_the_outputs_dialect_has_outputs_and_no_steps() -> None:
    interaction = body_of(create(Emulator(dialect="outputs", answers=["{}"]), **OUTPUTS))
    assert interaction["outputs"] == [{"type": "text", "text": "{}"}]
    assert interaction["role"] == "model"
    assert "steps" not in interaction


@pytest.mark.parametrize(
    ("dialect", "revision", "container"), [("steps", "2026-05-07", "outputs"), ("outputs", "2026-05-20", "steps")]
)
def test_the_revision_header_chooses_the_dialect(dialect: Any, revision: str, container: str) -> None:
    emulator = Emulator(dialect=dialect, answers=["hi"])
    assert container in body_of(create(emulator, KEY | {"api-revision": revision}))


def test_an_unknown_dialect_is_refused_at_once() -> None:
    with pytest.raises(ConfigError, match="known: steps, outputs"):
        Emulator(dialect="legacy")


def test_a_key_is_needed_and_any_key_will_do() -> None:
    emulator = Emulator(answers=["hi", "hi"])
    assert error_of(create(emulator, {})) == (401, "authentication")
    assert create(emulator, {"authorization": "Bearer token"}).status == 200
    in_query = WireRequest("POST", "/v1/interactions", {"key": "k"}, {}, b'{"model":"gemini-x","input":"hi"}')
    assert emulator.handle(in_query).status == 200


def test_another_key_than_the_one_configured_is_not_valid() -> None:
    emulator = Emulator(answers=["hi"], api_key="right")
    error = body_of(create(emulator, {"x-goog-api-key": "wrong"}))["error"]
    assert (error["code"], error["details"][0]["reason"]) == (400, "API_KEY_INVALID")
    assert create(emulator, {"x-goog-api-key": "right"}).status == 200


@pytest.mark.parametrize("name", ["gpt-5", "gemini-unknown", "gemini-no-such-model"])
def test_an_unknown_model_is_not_found(name: str) -> None:
    assert error_of(create(Emulator(), model=name)) == (404, "model_not_found")


def test_answers_are_used_in_order_and_may_be_functions_of_the_body() -> None:
    emulator = Emulator(answers=["one", {"n": 2}, lambda body: body["input"].upper()])
    assert [text_of(create(emulator, input=f"text {n}")) for n in range(3)] == ["one", '{"n": 2}', "TEXT 2"]


def test_a_used_up_script_says_so() -> None:
    emulator = Emulator(answers=["only one"])
    create(emulator)
    with pytest.raises(ConfigError, match="1 scripted answers are used up"):
        create(emulator)


def test_a_function_answers_every_request() -> None:
    emulator = Emulator(answers=lambda body: {"length": len(body["input"])})
    assert [text_of(create(emulator, input="a" * n)) for n in (1, 2)] == ['{"length": 1}', '{"length": 2}']


def test_few_shot_steps_reach_the_reader_as_examples_and_the_last_one_as_text() -> None:
    shown = [turn("user_input", "A"), turn("model_output", '"x"'), turn("user_input", "B"), turn("model_output", '"y"')]
    answer = json.loads(text_of(create(Emulator(reader=Echo()), input=[*shown, turn("user_input", "C")])))
    assert answer["examples"] == [["A", '"x"'], ["B", '"y"']]
    assert answer["text"] == "C"


def test_few_shot_requests_that_open_alike_are_read_alike() -> None:
    emulator = Emulator(reader=Echo())
    shown = [turn("user_input", "A"), turn("model_output", '"x"')]
    answers = [create(emulator, input=[*shown, turn("user_input", text)]) for text in ("C", "D", "C")]
    read = [json.loads(text_of(answer)) for answer in answers]
    assert [one["text"] for one in read] == ["C", "D", "C"]
    assert all(one["examples"] == [["A", '"x"']] for one in read)
    assert len({body_of(answer)["usage"]["total_input_tokens"] for answer in answers}) == 1


def test_few_shot_turns_of_the_outputs_dialect_are_read_too() -> None:
    turns = [
        {"role": "user", "content": "A"},
        {"role": "model", "content": [{"type": "text", "text": '"x"'}]},
        {"role": "user", "content": "C"},
    ]
    response = create(Emulator(dialect="outputs", reader=Echo()), input=turns, system_instruction="Be brief")
    answer = json.loads(body_of(response)["outputs"][0]["text"])
    assert answer == {"schema": None, "text": "C", "examples": [["A", '"x"']], "system": "Be brief"}


def test_a_repair_reads_the_record_again_and_is_told_apart() -> None:
    emulator = Emulator(reader=Echo())
    repair = turn("user_input", f"{REPAIR_OPENING}\n$.total: missing")
    steps = [
        turn("user_input", "A"),
        turn("model_output", '"x"'),
        turn("user_input", "C"),
        turn("model_output", "{oops"),
    ]
    answer = json.loads(text_of(create(emulator, input=[*steps, repair])))
    create(emulator, input="C")
    assert (answer["text"], answer["examples"]) == ("C", [["A", '"x"']])
    assert [request.kind for request in emulator.requests] == ["repair", "ask"]


def test_contents_side_by_side_are_one_record() -> None:
    parts = [{"type": "text", "text": "the letter"}, {"type": "text", "text": "the question"}]
    answer = json.loads(text_of(create(Emulator(reader=Echo()), input=parts)))
    assert (answer["text"], answer["examples"]) == ("the letter\nthe question", [])


def test_a_tool_result_at_the_end_is_read_with_the_question() -> None:
    thought = {"type": "thought", "signature": "skip_thought_signature_validator"}
    call = {"type": "function_call", "id": "c", "name": "f", "arguments": {}}
    result = {"type": "function_result", "call_id": "c", "name": "f", "result": "18"}
    steps = [turn("user_input", "How old?"), thought, call, result]
    answer = json.loads(text_of(create(Emulator(reader=Echo()), input=steps, **STEPS)))
    assert answer["text"] == "How old?\n\nf: 18"


def test_the_schema_of_either_dialect_reaches_the_reader() -> None:
    new = create(Emulator(reader=Echo()), **STEPS)
    old = create(Emulator(reader=Echo(), dialect="outputs"), **OUTPUTS)
    listed = create(Emulator(reader=Echo()), response_format=[STEPS["response_format"]])
    plain = create(Emulator(reader=Echo()), response_format={"type": "text", "mime_type": "text/plain"})
    assert json.loads(text_of(new))["schema"] == SCHEMA
    assert json.loads(body_of(old)["outputs"][0]["text"])["schema"] == SCHEMA
    assert json.loads(text_of(listed))["schema"] == SCHEMA
    assert json.loads(text_of(plain))["schema"] is None


def test_what_is_stored_can_be_read_and_deleted() -> None:
    emulator = Emulator(answers=["hello"])
    identity = body_of(create(emulator, store=...))["id"]
    path = f"/v1/interactions/{identity}"
    assert text_of(call(emulator, "GET", path, stream="false")) == "hello"
    with_input = body_of(call(emulator, "GET", path, include_input="true"))
    assert [step["type"] for step in with_input["steps"]] == ["user_input", "model_output"]
    assert call(emulator, "DELETE", path).status == 200
    assert error_of(call(emulator, "GET", path)) == (404, "not_found")


def test_what_must_not_be_stored_is_not_found() -> None:
    emulator = Emulator(answers=["hello"])
    identity = body_of(create(emulator, store=False))["id"]
    assert error_of(call(emulator, "GET", f"/v1/interactions/{identity}")) == (404, "not_found")
    assert error_of(create(emulator, previous_interaction_id=identity)) == (404, "not_found")


def test_a_previous_interaction_brings_back_what_was_said() -> None:
    emulator = Emulator(reader=Echo())
    first = body_of(create(emulator, store=True, input="I am Ada"))
    second = body_of(create(emulator, store=True, input="and 36", previous_interaction_id=first["id"]))
    third = create(emulator, input="Who am I?", previous_interaction_id=second["id"])
    assert json.loads(text_of(third))["text"] == "I am Ada\n\nand 36\n\nWho am I?"
    assert body_of(third)["previous_interaction_id"] == second["id"]


def test_a_background_interaction_ends_in_its_time() -> None:
    clock = Clock()
    emulator = Emulator(answers=["done"], background_seconds=5, clock=clock)
    started = body_of(create(emulator, store=True, background=True))
    path = f"/v1/interactions/{started['id']}"
    assert (started["status"], started["steps"]) == ("in_progress", [])
    clock.now += 4.9
    assert body_of(call(emulator, "GET", path))["status"] == "in_progress"
    assert error_of(create(emulator, previous_interaction_id=started["id"])) == (400, "invalid_request")
    clock.now += 0.1
    assert text_of(call(emulator, "GET", path)) == "done"


def test_only_a_running_interaction_can_be_cancelled() -> None:
    clock = Clock()
    emulator = Emulator(answers=["done", "done"], background_seconds=5, clock=clock)
    path = f"/v1/interactions/{body_of(create(emulator, store=True, background=True))['id']}"
    assert body_of(call(emulator, "POST", f"{path}/cancel"))["status"] == "cancelled"
    clock.now += 10
    assert body_of(call(emulator, "GET", path))["status"] == "cancelled"
    assert error_of(call(emulator, "POST", f"{path}/cancel")) == (400, "failed_precondition")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/v1/interactions", 405), ("POST", "/v1/interactions/x", 405), ("GET", "/v2/interactions/x", 404)],
)
def test_what_is_not_served_is_refused_as_json(method: str, path: str, status: int) -> None:
    assert error_of(call(Emulator(), method, path))[0] == status


def test_the_quota_refuses_what_comes_too_fast_and_names_the_wait() -> None:
    clock = Clock()
    emulator = Emulator(answers=lambda _: "hi", rpm=2, clock=clock, retry_after=True)
    assert [create(emulator).status for _ in range(3)] == [200, 200, 429]
    refused = create(emulator)
    quota, retry = body_of(refused)["error"]["details"]
    assert "PerMinute" in quota["violations"][0]["quotaId"]
    assert quota["violations"][0]["quotaValue"] == "2"
    assert (retry["retryDelay"], dict(refused.headers)["retry-after"]) == ("30.000s", "30")
    clock.now += 30
    assert create(emulator).status == 200
    assert emulator.stats()["refused_by_quota"] == 2


def test_a_refused_request_takes_nothing_from_the_other_quotas() -> None:
    clock = Clock()
    emulator = Emulator(answers=lambda _: "hi", rpm=1, rpd=2, clock=clock)
    assert [create(emulator).status for _ in range(3)] == [200, 429, 429]
    clock.now += 60
    assert create(emulator).status == 200
    clock.now += 60
    assert "PerDay" in body_of(create(emulator))["error"]["details"][0]["violations"][0]["quotaId"]


def test_the_token_quota_counts_input_and_lets_an_oversized_request_pass_when_full() -> None:
    clock = Clock()
    emulator = Emulator(answers=lambda _: "hi", tpm=10, clock=clock)
    assert create(emulator, input="x" * 400).status == 200
    clock.now += 60
    assert create(emulator, input="x" * 4).status == 429
    clock.now += 600
    assert create(emulator, input="x" * 4).status == 200


def test_a_quota_can_change_and_gives_nothing_back() -> None:
    clock = Clock()
    emulator = Emulator(answers=lambda _: "hi", rpm=2, clock=clock)
    assert [create(emulator).status for _ in range(3)] == [200, 200, 429]
    emulator.set_quota(rpm=60)
    assert create(emulator).status == 429
    clock.now += 1
    assert [create(emulator).status for _ in range(2)] == [200, 429]
    emulator.set_quota()
    assert [create(emulator).status for _ in range(100)] == [200] * 100


@pytest.mark.parametrize(("limit", "code"), [("rpm", "rate_limit_exceeded"), ("rpd", "quota_exceeded")])
def test_without_details_a_refusal_names_neither_quota_nor_delay(limit: str, code: str) -> None:
    emulator = Emulator(answers=lambda _: "hi", clock=Clock(), quota_details=False)
    emulator.set_quota(**{limit: 1})
    assert create(emulator).status == 200
    refused = create(emulator)
    assert body_of(refused) == {"error": {"code": code, "message": "You exceeded your current quota."}}
    assert "retry-after" not in dict(refused.headers)


def test_latency_varies_around_its_median_and_is_the_same_for_a_seed() -> None:
    def latencies(seed: int) -> list[float]:
        emulator = Emulator(answers=lambda _: "hi", latency=0.3, latency_spread=0.4, seed=seed)
        return sorted(create(emulator).latency for _ in range(201))

    drawn = latencies(1)
    assert drawn == latencies(1) != latencies(2)
    assert 0.25 < drawn[100] < 0.36
    assert drawn[20] < 0.22 < 0.42 < drawn[180]


def test_a_spread_below_zero_is_a_mistake() -> None:
    with pytest.raises(ConfigError, match="latency_spread"):
        Emulator(latency_spread=-1)


@pytest.mark.parametrize(("count_distinct", "expected"), [(None, (None, None)), (True, (1, 1))])
def test_distinct_requests_are_counted_without_keep_requests_only_where_asked(
    count_distinct: bool | None, expected: tuple[int | None, int | None]
) -> None:
    emulator = Emulator(answers=lambda _: "hi", keep_requests=False, count_distinct=count_distinct)
    create(emulator)
    create(emulator)
    assert (emulator.stats()["distinct"], emulator.stats()["repeats"]) == expected


@pytest.mark.parametrize("name", ["rpm", "tpm", "rpd"])
def test_a_quota_of_nothing_is_a_mistake(name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} must be at least 1"):
        Emulator(**{name: 0})


def test_stats_count_requests_repeats_privacy_and_tokens() -> None:
    emulator = Emulator(answers=lambda _: "12345678")
    for fields in ({}, {}, {"store": True}, {"model": "nope"}):
        create(emulator, input="1234", **fields)
    stats = emulator.stats()
    assert (stats["requests"], stats["distinct"], stats["repeats"]) == (4, 3, 1)
    assert (stats["store_true"], stats["store_false"]) == (1, 3)
    assert stats["by_status"] == {"200": 3, "404": 1}
    assert (stats["input_tokens"], stats["output_tokens"]) == (3, 6)
    assert (stats["in_flight"], stats["peak_in_flight"]) == (0, 1)


def test_an_answer_that_nobody_waited_for_is_not_billed() -> None:
    emulator = Emulator(answers=["12345678"])
    request = WireRequest("POST", "/v1/interactions", {}, KEY, b'{"model":"gemini-x","input":"1234"}')
    exchange = emulator.exchange(request)
    exchange.__enter__()
    assert emulator.stats()["in_flight"] == 1
    assert exchange.__exit__(TimeoutError, TimeoutError(), None) is False
    assert (emulator.stats()["in_flight"], emulator.stats()["output_tokens"]) == (0, 0)


def test_requests_keep_what_was_sent_and_how_it_was_answered() -> None:
    emulator = Emulator(answers=[Fault("503"), "hi", Fault("reset")])
    for text in "abc":
        create(emulator, input=text)
    assert [(seen.body["input"], seen.status) for seen in emulator.requests] == [("a", 503), ("b", 200), ("c", None)]


def test_without_keep_requests_only_counters_remain() -> None:
    emulator = Emulator(answers=["hi"], keep_requests=False)
    create(emulator)
    assert emulator.requests == []
    assert emulator.stats()["requests"] == 1


def test_a_request_that_is_not_json_is_refused_and_counted() -> None:
    emulator = Emulator()
    for body in (b"", b"{oops", b"[]", b'{"model": NaN}', b'"\xff"'):
        response = emulator.handle(WireRequest("POST", "/v1/interactions", {}, KEY, body))
        assert error_of(response) == (400, "invalid_request")
    assert emulator.stats()["by_status"] == {"400": 5}


@pytest.mark.parametrize("dialect", ["steps", "outputs"])
def test_a_stream_tells_the_same_text_as_the_interaction(dialect: Any) -> None:
    answer = "a long answer that does not fit into one event " * 3
    emulator = Emulator(dialect=dialect, answers=[answer])
    response = create(emulator, stream=True, generation_config={"thinking_level": "low"})
    events = read_events(response)
    first, last = (
        ("interaction.created", "interaction.completed")
        if dialect == "steps"
        else ("interaction.start", "interaction.complete")
    )
    assert dict(response.headers)["content-type"] == "text/event-stream"
    assert (events[0]["event_type"], events[-1]["event_type"]) == (first, last)
    assert events[-1]["interaction"]["usage"]["total_output_tokens"] == 36
    assert "".join(event["delta"].get("text", "") for event in events if "delta" in event) == answer
    assert b"".join(response.pieces()) == response.body
    assert response.body.endswith(b"data: [DONE]\n\n")


def test_a_stored_stream_goes_on_after_the_last_event_seen() -> None:
    emulator = Emulator(answers=["hello"])
    identity = body_of(create(emulator, store=True))["id"]
    path = f"/v1/interactions/{identity}"
    whole = read_events(call(emulator, "GET", path, stream="true"))
    rest = read_events(call(emulator, "GET", path, stream="true", last_event_id=whole[1]["event_id"]))
    assert rest == whole[2:]
    assert error_of(call(emulator, "GET", path, last_event_id="e1")) == (400, "invalid_request")


def read_events(response: WireResponse) -> list[dict[str, Any]]:
    frames = response.body.decode().split("\n\n")
    data = [frame.split("data: ", 1)[1] for frame in frames if frame]
    assert data.pop() == "[DONE]"
    return [json.loads(text) for text in data]


def test_many_threads_lose_no_answer_and_no_count() -> None:
    emulator = Emulator(answers=[str(number) for number in range(400)])
    answers: list[str] = []
    threads = [
        threading.Thread(target=lambda: [answers.append(text_of(create(emulator))) for _ in range(50)])
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers, key=int) == [str(number) for number in range(400)]
    assert emulator.stats()["by_status"] == {"200": 400}
