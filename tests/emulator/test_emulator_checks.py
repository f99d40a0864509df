"""What a strict service refuses: request fields, contradictions, schemas."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from extract.emulator import Emulator, WireRequest

KEY = {"x-goog-api-key": "k"}
TEXT = {"type": "text", "text": "hi"}
IMAGE = {"type": "image", "mime_type": "image/png", "data": "AAAA"}


def send(
    body: Any, *, strict: bool = True, dialect: Any = "steps", max_schema_cost: int | None = None
) -> tuple[int, Any]:
    """Return status and error (or interaction) for a request body."""
    emulator = Emulator(answers=lambda _: "{}", strict=strict, dialect=dialect, max_schema_cost=max_schema_cost)
    request = WireRequest("POST", "/v1/interactions", {}, KEY, json.dumps(body).encode())
    response = emulator.handle(request)
    answer = json.loads(response.body)
    return response.status, answer.get("error", answer)


def ask(**fields: Any) -> dict[str, Any]:
    return {"model": "gemini-3.5-flash-lite", "input": "hi", "store": False} | fields


def schema_request(schema: Any) -> dict[str, Any]:
    return ask(response_format={"type": "text", "mime_type": "application/json", "schema": schema})


FULL = ask(
    system_instruction="Be brief.",
    response_format=[{"type": "text", "mime_type": "application/json", "schema": {"type": "object"}}],
    generation_config={"max_output_tokens": 99, "seed": 1, "stop_sequences": ["x"], "thinking_level": "minimal"},
    tools=[{"type": "google_search"}, {"type": "function", "name": "f", "parameters": {}}],
    safety_settings=[{"type": "harassment", "threshold": "block_none"}],
    service_tier="flex",
    stream=False,
    labels={"team": "café-1", "x": ""},
)


@pytest.mark.parametrize(
    "given_input",
    [
        "hi",
        TEXT,
        [TEXT, IMAGE],
        [{"type": "document", "uri": "https://example.com/a.pdf", "mime_type": "application/pdf"}],
        [
            {"type": "user_input", "content": [TEXT]},
            {"type": "thought", "signature": "skip_thought_signature_validator"},
        ],
        [
            {"type": "user_input", "content": [TEXT]},
            {"type": "thought", "signature": "skip_thought_signature_validator"},
            {"type": "function_call", "id": "c", "name": "f", "arguments": {}},
            {"type": "function_result", "call_id": "c", "name": "f", "result": {"a": 1}},
        ],
    ],
)
def test_every_documented_form_of_input_is_taken(given_input: Any) -> None:
    assert send(FULL | {"input": given_input})[0] == 200


@pytest.mark.parametrize(
    ("extra", "place"),
    [
        ({"temprature": 1}, "temprature"),
        ({"generation_config": {"top_k": 3}}, "generation_config.top_k"),
        ({"input": [TEXT | {"mood": "x"}]}, "input[0].mood"),
        ({"input": [{"type": "user_input", "content": [TEXT], "role": "user"}]}, "input[0].role"),
        ({"response_format": {"type": "text", "json_schema": {}}}, "response_format.json_schema"),
        ({"response_mime_type": "application/json"}, "response_mime_type"),
    ],
)
def test_an_unknown_field_is_named(extra: dict[str, Any], place: str) -> None:
    status, error = send(ask(**extra))
    assert (status, error["code"]) == (400, "parameter_unknown")
    assert repr(place) in error["message"]


@pytest.mark.parametrize(
    "extra",
    [
        {"input": 7},
        {"input": ["hi"]},
        {"input": [TEXT, {"type": "user_input"}]},
        {"input": [{"role": "user", "content": "hi"}]},
        {"input": [{"type": "text"}]},
        {"input": [IMAGE | {"uri": "https://example.com/a.png"}]},
        {"input": [IMAGE | {"data": "not base64!"}]},
        {"input": [{"type": "image"}]},
        {"input": [{"type": "telepathy"}]},
        {"store": "no"},
        {"store": None},
        {"system_instruction": {"parts": []}},
        {"generation_config": {"max_output_tokens": True}},
        {"generation_config": {"max_output_tokens": "9"}},
        {"generation_config": {"thinking_level": "extreme"}},
        {"response_format": {"type": "object", "properties": {}}},
        {"response_format": {"type": "text", "mime_type": "application/json", "schema": "object"}},
        {"service_tier": "deferred"},
        {"tools": [{"name": "f"}]},
        {"tools": {"type": "google_search"}},
        {"labels": {"Team": "x"}},
        {"labels": {"1x": "x"}},
        {"labels": {"x": "y" * 64}},
        {"safety_settings": [{"type": "harassment"}]},
    ],
)
def test_a_value_of_the_wrong_kind_is_refused(extra: dict[str, Any]) -> None:
    status, error = send(ask(**extra))
    assert (status, error["code"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    "body",
    [
        ask(agent="deep-research-pro-preview-12-2025"),
        {"input": "hi"},
        {"model": "gemini-3.5-flash"},
        {"model": "gemini-3.5-flash", "input": []},
        {"agent": "deep-research-pro-preview-12-2025", "input": "hi", "generation_config": {}},
        ask(agent_config={"type": "dynamic"}),
        ask(background=True),
        ask(store=True, webhook_config={"uris": []}),
        ask(continuation_token="ct_never_given"),
    ],
)
@pytest.mark.parametrize("strict", [True, False])
def test_fields_that_contradict_each_other_are_refused(body: dict[str, Any], strict: bool) -> None:
    status, error = send(body, strict=strict)
    assert (status, error["code"]) == (400, "invalid_request")


def test_without_strict_unknown_fields_are_read_over() -> None:
    assert send(ask(temprature=1, response_mime_type="application/json"), strict=False)[0] == 200


def test_the_outputs_dialect_takes_bare_schemas_and_turns_but_no_steps() -> None:
    turns = [{"role": "user", "content": [TEXT]}, {"role": "model", "content": "hi"}, {"role": "user", "content": "so"}]
    old = ask(input=turns, response_format={"type": "object"}, response_mime_type="application/json")
    assert send(old, dialect="outputs")[0] == 200
    assert send(old)[0] == 400
    assert send(ask(input=[{"type": "user_input", "content": [TEXT]}]), dialect="outputs")[0] == 400


def test_a_few_shot_opening_seen_before_excuses_nothing_after_it() -> None:
    emulator = Emulator(answers=lambda _: "{}")
    opening = [{"type": "user_input", "content": [TEXT]}, {"type": "model_output", "content": [TEXT]}]

    def status(last: Any, **fields: Any) -> int:
        body = json.dumps(ask(input=[*opening, last], **fields)).encode()
        return emulator.handle(WireRequest("POST", "/v1/interactions", {}, KEY, body)).status

    plain = {"type": "user_input", "content": [TEXT]}
    assert [status(plain), status(plain), status(TEXT), status(plain, mood=1), status("hi")] == [
        200,
        200,
        400,
        400,
        400,
    ]


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "text"},
        {"type": ["string", 5]},
        {"type": "object", "properties": []},
        {"type": "object", "properties": {"a": 5}},
        {"type": "object", "required": [1]},
        {"enum": "a"},
        {"minItems": "1"},
        {"anyOf": {}},
        {"$ref": "#/$defs/Missing"},
        {"$ref": "https://example.com/schema"},
        {"$ref": "#anchor"},
        {"type": "array", "items": {"$ref": "#/$defs/A/properties/b"}, "$defs": {"A": {}}},
    ],
)
def test_a_broken_schema_is_refused(schema: Any) -> None:
    status, error = send(schema_request(schema))
    assert (status, error["code"]) == (400, "invalid_request")
    assert "schema" in error["message"]


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "items": {"$ref": "#"}},
        {"properties": {"a": {"$ref": "#/$defs/a~1b"}}, "$defs": {"a/b": {"type": ["string", "null"]}}},
        {"properties": {"a": {"$ref": "#/properties/b%20c"}, "b c": {}}},
        {"anyOf": [{"$ref": "#here"}, {"$anchor": "here"}]},
        {"prefixItems": [{"type": "null"}, {"$ref": "#/prefixItems/0"}], "additionalProperties": False},
    ],
)
def test_references_within_the_schema_are_followed(schema: Any) -> None:
    assert send(schema_request(schema))[0] == 200


def test_keywords_beyond_the_subset_are_taken_and_counted() -> None:
    emulator = Emulator(answers=lambda _: "{}")
    schema = {"type": "string", "maxLength": 3, "anyOf": [{"pattern": "a"}, {"pattern": "b"}]}
    body = json.dumps(schema_request(schema)).encode()
    emulator.handle(WireRequest("POST", "/v1/interactions", {}, KEY, body))
    assert emulator.stats()["ignored_keywords"] == {"maxLength": 1, "pattern": 2}


@pytest.mark.parametrize(
    ("schema", "cost"),
    [
        ({"enum": ["ab", "cde"]}, 5),
        ({"properties": {"a": {}, "b": {}}, "required": ["a"]}, 8 + 4 + 4),
        ({"minimum": 0, "maximum": 1}, 32),
        ({"maxItems": 10, "items": {"maxItems": 20, "items": {}}}, 10 + 200 + 4 + 8),
    ],
)
def test_the_cost_of_a_schema_is_what_is_documented(schema: Any, cost: int) -> None:
    assert send(schema_request(schema), max_schema_cost=cost)[0] == 200
    status, error = send(schema_request(schema), max_schema_cost=cost - 1)
    assert (status, error["code"]) == (400, "invalid_request")
    assert error["message"].startswith(
        "The specified schema produces a constraint that has too many states for serving"
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["type", "content", "text", "role", "user_input", "schema", "$ref", "items"]), inner
        )
    ),
    max_leaves=12,
)
FIELDS = ["model", "agent", "input", "response_format", "generation_config", "tools", "store", "stream", "background"]
FIELDS += ["continuation_token", "previous_interaction_id", "labels", "service_tier", "system_instruction"]


@given(
    body=st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=4) | JSON,
    given_input=JSON,
    strict=st.booleans(),
    dialect=st.sampled_from(["steps", "outputs"]),
)
@example(body={}, given_input=[{"type": []}], strict=True, dialect="steps")
@example(body={}, given_input=[None, {"content": None}], strict=False, dialect="steps")
@settings(max_examples=300)
def test_no_json_makes_the_emulator_fail(body: Any, given_input: Any, strict: bool, dialect: Any) -> None:
    base = {"model": "gemini-3.5-flash-lite", "input": given_input}
    emulator = Emulator(answers=lambda _: "{}", strict=strict, dialect=dialect)
    content = json.dumps(base | body if isinstance(body, dict) else body).encode()
    response = emulator.handle(WireRequest("POST", "/v1/interactions", {}, KEY, content))
    assert response.status in (200, 400, 404)
    if response.status == 200 and not response.frames:
        path = f"/v1/interactions/{json.loads(response.body)['id']}"
        shown = emulator.handle(WireRequest("GET", path, {"include_input": "true"}, KEY))
        assert shown.status in (200, 404)
