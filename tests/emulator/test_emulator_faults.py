"""What goes wrong on demand, and what a client can still make of it."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from extract.emulator import FAULTS, Emulator, Fault, WireRequest, WireResponse
from extract.emulator.faults import KINDS, UPLOAD_FAULTS, FaultPlan
from extract.errors import ConfigError

ANSWER = '{"topic": "bug", "urgent": false}'
SCHEMA = {
    "type": "object",
    "properties": {"topic": {"type": "string", "enum": ["billing", "bug"]}, "urgent": {"type": "boolean"}},
    "required": ["topic", "urgent"],
}
FORMAT = {"type": "text", "mime_type": "application/json", "schema": SCHEMA}
REFUSALS = {
    "429": (429, "rate_limit_exceeded"),
    "429_retry_after": (429, "rate_limit_exceeded"),
    "429_retry_after_ms": (429, "rate_limit_exceeded"),
    "429_retry_info": (429, 429),
    "500": (500, "api_error"),
    "503": (503, "service_unavailable"),
    "504": (504, "deadline_exceeded"),
    "blocked": (400, "invalid_request"),
    "quota_exceeded": (429, "quota_exceeded"),
    "402": (402, "payment_required"),
    "401": (401, "authentication"),
}


def create(emulator: Emulator, **fields: Any) -> WireResponse:
    body = {"model": "gemini-3.5-flash-lite", "input": "hi", "store": False, "response_format": FORMAT} | fields
    body = {name: value for name, value in body.items() if value is not ...}
    request = WireRequest("POST", "/v1/interactions", {}, {"x-goog-api-key": "k"}, json.dumps(body).encode())
    return emulator.handle(request)


def strike(name: str, **fields: Any) -> WireResponse:
    """Return the response to a request that the fault `name` strikes."""
    return create(Emulator(answers=[Fault(name, ANSWER)]), **fields)


def text_of(interaction: dict[str, Any]) -> str:
    outputs = [step for step in interaction["steps"] if step["type"] == "model_output"]
    return "".join(one["text"] for step in outputs for one in step["content"] if one["type"] == "text")


@pytest.mark.parametrize(("name", "expected"), REFUSALS.items())
def test_refusals_have_the_documented_status_and_code(name: str, expected: tuple[int, Any]) -> None:
    response = strike(name)
    assert (response.status, json.loads(response.body)["error"]["code"]) == expected


def test_waits_are_named_in_the_three_ways_the_service_knows() -> None:
    assert dict(strike("429_retry_after").headers)["retry-after"] == "1"
    assert dict(strike("429_retry_after_ms").headers)["retry-after-ms"] == "200"
    assert json.loads(strike("429_retry_info").body)["error"]["details"][0]["retryDelay"] == "0.5s"


def test_gateway_errors_are_html_or_stand_in_an_array() -> None:
    assert strike("html").body.startswith(b"<!doctype html>")
    assert json.loads(strike("array").body)[0]["error"]["code"] == 503


def test_broken_deliveries_are_marked_as_such() -> None:
    reset, cut, slow = strike("reset"), strike("cut"), strike("slow")
    assert reset.reset
    assert not reset.whole
    assert not cut.whole
    assert b"".join(cut.pieces()) == cut.body[: len(cut.body) // 2]
    assert (slow.stall, slow.whole) == (1.0, True)


def test_a_cut_stream_ends_in_the_middle_of_an_event_or_between_two() -> None:
    cut = strike("cut", stream=True)
    assert b"".join(cut.pieces()) == cut.body[: len(cut.body) // 2]
    assert b"[DONE]" not in b"".join(cut.pieces())


@pytest.mark.parametrize("answer", [ANSWER, '"word"', "5", "true", "[1, 2]", "{}", "[]"])
def test_a_malformed_answer_is_not_json(answer: str) -> None:
    interaction = json.loads(create(Emulator(answers=[Fault("malformed", answer)])).body)
    assert interaction["status"] == "completed"
    with pytest.raises(json.JSONDecodeError):
        json.loads(text_of(interaction))


def test_a_mismatch_is_json_that_breaks_the_schema() -> None:
    answer = json.loads(text_of(json.loads(strike("mismatch").body)))
    assert not Draft202012Validator(SCHEMA).is_valid(answer)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"any": {}}},
        {"type": "object", "additionalProperties": {"type": "string"}},
        {"type": "array", "items": {}},
        {"type": ["string", "null"]},
        {"anyOf": [{"type": "object"}, {"type": "array"}]},
    ],
)
def test_a_mismatch_is_found_for_loose_schemas_too(schema: dict[str, Any]) -> None:
    response = create(Emulator(answers=[Fault("mismatch", "{}")]), response_format=FORMAT | {"schema": schema})
    assert not Draft202012Validator(schema).is_valid(json.loads(text_of(json.loads(response.body))))


def test_a_schema_that_nothing_breaks_is_answered_as_it_is() -> None:
    response = create(Emulator(answers=[Fault("mismatch", ANSWER)]), response_format=FORMAT | {"schema": {}})
    assert text_of(json.loads(response.body)) == ANSWER


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [("failed", "failed", "malformed_function_call"), ("blocked_failed", "failed", "safety")],
)
def test_failed_interactions_say_why_and_hold_no_output(name: str, status: str, code: str) -> None:
    interaction = json.loads(strike(name).body)
    assert (interaction["status"], interaction["errors"][0]["code"], interaction["steps"]) == (status, code, [])


def test_odd_but_whole_answers_keep_their_text() -> None:
    for name in ("no_usage", "split", "thought_first", "unknown_extra", "slow"):
        assert text_of(json.loads(strike(name).body)) == ANSWER


def test_odd_answers_are_odd() -> None:
    odd = {name: json.loads(strike(name).body) for name in ("no_usage", "split", "thought_first", "unknown_extra")}
    assert "usage" not in odd["no_usage"]
    assert [len(step["content"]) for step in odd["split"]["steps"]] == [2, 1]
    assert odd["thought_first"]["steps"][0]["type"] == "thought"
    assert odd["unknown_extra"]["steps"][0]["type"] == "musing"
    assert json.loads(strike("empty_steps").body)["steps"] == []
    assert json.loads(strike("incomplete").body)["status"] == "incomplete"
    assert json.loads(strike("unknown_status").body)["status"] == "meditating"


def follow(emulator: Emulator, **fields: Any) -> list[dict[str, Any]]:
    """Return all interactions of one answer, asking for the next part as the API wants it."""
    hops = [json.loads(create(emulator, **fields).body)]
    while token := hops[-1].get("continuation_token"):
        if fields.get("store"):
            fields = fields | {"input": ..., "previous_interaction_id": hops[-1]["id"]}
        hops.append(json.loads(create(emulator, **fields, continuation_token=token).body))
    return hops


@pytest.mark.parametrize("store", [True, False])
def test_a_continued_answer_is_whole_after_two_more_requests(store: bool) -> None:
    emulator = Emulator(answers=[Fault("continuation", ANSWER)])
    hops = follow(emulator, store=store)
    assert [hop["status"] for hop in hops] == ["requires_continuation", "requires_continuation", "completed"]
    assert "".join(map(text_of, hops)) == ANSWER
    assert [seen.kind for seen in emulator.requests] == ["ask", "continue", "continue"]


def test_a_continuation_may_be_asked_for_again_and_is_never_bent() -> None:
    emulator = Emulator(answers=[Fault("continuation", ANSWER)])
    token = json.loads(create(emulator).body)["continuation_token"]
    emulator.set_faults("malformed=0.5,continuation=0.5")
    again = [json.loads(create(emulator, continuation_token=token).body) for _ in range(3)]
    assert len({text_of(hop) for hop in again}) == 1


@pytest.mark.parametrize("store", [True, False])
def test_a_continuation_needs_what_the_first_request_had(store: bool) -> None:
    emulator = Emulator(answers=[Fault("continuation", ANSWER)])
    token = json.loads(create(emulator, store=store).body)["continuation_token"]
    response = create(emulator, store=store, input=..., continuation_token=token)
    assert (response.status, json.loads(response.body)["error"]["code"]) == (400, "invalid_request")


def test_faults_are_drawn_from_the_seed_and_differ_from_request_to_request() -> None:
    def statuses(seed: int) -> list[int]:
        emulator = Emulator(answers=lambda _: ANSWER, faults="503=0.3,429=0.2", seed=seed)
        return [create(emulator).status for _ in range(200)]

    assert statuses(1) == statuses(1)
    assert statuses(1) != statuses(2)
    assert statuses(1).count(503) == pytest.approx(60, abs=25)
    assert statuses(1).count(429) == pytest.approx(40, abs=25)


def test_a_refused_request_uses_up_no_scripted_answer() -> None:
    emulator = Emulator(answers=["only one"], faults="503=1")
    assert create(emulator).status == 503
    emulator.set_faults(None)
    assert create(emulator).status == 200


def test_stats_name_the_faults_and_bill_only_what_arrived_whole() -> None:
    emulator = Emulator(answers=[Fault("cut", ANSWER), Fault("503"), Fault("reset"), Fault("no_usage", ANSWER), ANSWER])
    for _ in range(5):
        create(emulator)
    stats = emulator.stats()
    assert stats["faults"] == {"cut": 1, "503": 1, "reset": 1, "no_usage": 1}
    assert stats["by_status"] == {"200": 3, "503": 1, "reset": 1}
    assert stats["output_tokens"] == 2 * -(-len(ANSWER) // 4)


def test_a_fault_without_an_answer_lets_the_reader_speak() -> None:
    class Fixed:
        def read(self, schema: Any, text: str, examples: Any = (), *, system: str = "") -> str:
            return ANSWER

    emulator = Emulator(answers=[Fault("split")], reader=Fixed())
    assert text_of(json.loads(create(emulator).body)) == ANSWER


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ("503", "needs a rate from 0 to 1"),
        ("503=often", "needs a rate from 0 to 1"),
        ("503=1.5", "needs a rate from 0 to 1"),
        ("503=nan", "needs a rate from 0 to 1"),
        ("503=-0.1", "needs a rate from 0 to 1"),
        ("418=0.1", "no fault is called '418'; known: 429, "),
        ("503=0.6,500=0.6", "sum to 1.2"),
    ],
)
def test_a_spec_that_cannot_be_read_says_why(spec: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        Emulator(faults=spec)


def test_an_unknown_scripted_fault_is_refused_when_written() -> None:
    with pytest.raises(ConfigError, match="known: 429"):
        Fault("nope")


def test_mixed_spreads_over_what_a_good_client_survives_and_nothing_else() -> None:
    names = {name for name, _ in FaultPlan.parse("mixed=0.5").rates}
    assert names == {name for name, kind in KINDS.items() if kind.transient}
    assert names.isdisjoint(
        {"blocked", "blocked_failed", "incomplete", "unknown_status", "quota_exceeded", "401", "402"}
    )
    assert sum(rate for _, rate in FaultPlan.parse("mixed=0.5").rates) == pytest.approx(0.5)


def test_every_fault_is_described() -> None:
    assert set(FAULTS) == {*KINDS, *UPLOAD_FAULTS, "mixed"}
    assert all(FAULTS.values())


@given(
    rates=st.dictionaries(st.sampled_from(sorted(KINDS)), st.floats(0, 0.03, allow_subnormal=False)),
    seed=st.integers(0, 99),
)
def test_any_plan_draws_only_its_own_faults(rates: dict[str, float], seed: int) -> None:
    plan = FaultPlan.parse(",".join(f"{name}={rate:f}" for name, rate in rates.items()))
    drawn = {plan.draw(random.Random(seed + number)) for number in range(50)}
    assert drawn <= {*(name for name, rate in rates.items() if rate > 0), None}


@pytest.mark.parametrize("name", sorted(KINDS))
@pytest.mark.parametrize("dialect", ["steps", "outputs"])
@pytest.mark.parametrize("stream", [True, False])
def test_every_fault_strikes_in_every_form(name: str, dialect: Any, stream: bool) -> None:
    emulator = Emulator(answers=[Fault(name, ANSWER)], dialect=dialect)
    fields = {"response_format": SCHEMA} if dialect == "outputs" else {}
    response = create(emulator, stream=stream, **fields)
    assert emulator.stats()["faults"] == {name: 1}
    assert response.reset or response.body
