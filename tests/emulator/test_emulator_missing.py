"""What the emulator has beside interactions, and what it says of the rest of the Gemini API."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator

import google.genai._gaos.types.interactions as sdk_types
import httpx
import pytest
from google import genai
from google.genai.errors import APIError

from extract import BadRequest, Client, Emulator, Request
from extract.emulator.checks import STEPS
from extract.interactions.operations import FINISHED
from extract.testing import running_server

KEY = {"x-goog-api-key": "any"}


def asked(method: str, path: str) -> tuple[int, str, str]:
    with httpx.Client(transport=Emulator().transport, base_url="https://example.com", headers=KEY) as client:
        reply = client.request(method, path, json={} if method == "POST" else None)
    error = reply.json().get("error", {})
    return reply.status_code, error.get("code", ""), error.get("message", "")


@pytest.mark.parametrize("version", ["v1", "v1beta"])
def test_models_are_listed_and_shown(version: str) -> None:
    with httpx.Client(transport=Emulator().transport, base_url="https://example.com", headers=KEY) as client:
        listed = client.get(f"/{version}/models").json()["models"]
        shown = client.get(f"/{version}/models/gemini-3.8-flash").json()
    assert shown in listed
    assert shown["name"] == "models/gemini-3.8-flash"
    assert len({one["name"] for one in listed}) == len(listed)


@pytest.mark.parametrize("name", ["gpt-4o", "gemini-unknown"])
def test_a_model_that_no_request_may_name_is_not_shown(name: str) -> None:
    assert asked("GET", f"/v1/models/{name}")[:2] == (404, "model_not_found")


@pytest.mark.parametrize(
    ("method", "path", "missing"),
    [
        ("POST", "/v1/models/gemini-3.8-flash:generateContent", "generateContent"),
        ("POST", "/v1beta/models/gemini-3.8-flash:batchGenerateContent", "batchGenerateContent"),
        ("POST", "/v1/models/gemini-embedding-001:embedContent", "embedContent"),
        ("GET", "/v1beta/cachedContents", "cachedContents"),
        ("GET", "/v1/batches/b1", "batches"),
        ("POST", "/v1/webhooks", "webhooks"),
        ("POST", "/v1beta/fileSearchStores", "fileSearchStores"),
        ("POST", "/upload/v1beta/fileSearchStores/s:uploadToFileSearchStore", "fileSearchStores"),
        ("POST", "/v1beta/openai/chat/completions", "openai"),
        ("POST", "/v1/interactions/v1_x/auth_tokens", "auth_tokens"),
        ("GET", "/v1/interactions/live", "live"),
    ],
)
def test_what_only_the_service_has_is_called_so(method: str, path: str, missing: str) -> None:
    status, code, message = asked(method, path)
    assert (status, code) == (501, "unimplemented")
    assert message.startswith(f"The emulator has no {missing}; it has interactions")


@pytest.mark.parametrize("path", ["/", "/v2/interactions", "/v1/nonsense"])
def test_a_path_that_nobody_has_names_those_there_are(path: str) -> None:
    status, code, message = asked("GET", path)
    assert (status, code) == (404, "not_found")
    assert "it has interactions, decisions, files, models" in message


def test_an_sdk_user_reads_it_in_the_error() -> None:
    with running_server(Emulator()) as url:
        client = genai.Client(api_key="any", http_options={"base_url": url})
        assert any(one.name == "models/gemini-3.8-flash" for one in client.models.list())
        with pytest.raises(APIError, match="The emulator has no generateContent"):
            client.models.generate_content(model="gemini-3.8-flash", contents="hi")


def sdk_steps() -> Iterator[tuple[str, list[str]]]:
    for module in pkgutil.iter_modules(sdk_types.__path__):
        for name, kind in vars(importlib.import_module(f"{sdk_types.__name__}.{module.name}")).items():
            if name.endswith("Step") and "type" in getattr(kind, "model_fields", {}) and not name.startswith("Unknown"):
                fields = kind.model_fields
                yield fields["type"].default, [one.alias or field for field, one in fields.items()]


CALLS_AND_RESULTS = sorted(
    (kind, fields) for kind, fields in dict(sdk_steps()).items() if kind.endswith(("call", "result"))
)


@pytest.mark.parametrize(("kind", "fields"), CALLS_AND_RESULTS)
def test_every_field_of_a_step_that_an_sdk_sends_back_is_known(kind: str, fields: list[str]) -> None:
    STEPS[kind](dict.fromkeys(fields) | {"type": kind}, "input[0]")


def test_a_retrieval_is_sent_back_with_its_type() -> None:
    call = {"type": "retrieval_call", "id": "c1", "arguments": {"queries": ["x"]}, "retrieval_type": "rag_store"}
    steps = [{"type": "user_input", "content": [{"type": "text", "text": "x"}]}, call]
    steps += [{"type": "retrieval_result", "call_id": "c1"}, "And then?"]  # type: ignore[list-item]
    client = Client("a-key", transport=Emulator().transport)
    assert client.create(Request(model="gemini-3.8-flash", input=steps)).status == "completed"
    with pytest.raises(BadRequest, match="parameter_unknown"):
        client.create(Request(model="gemini-3.8-flash", input=[steps[0], call | {"kind": "x"}, *steps[2:]]))


def test_every_status_that_an_sdk_knows_is_an_end_or_runs_on() -> None:
    (statuses,) = [
        arguments
        for union in (sdk_types.interaction.InteractionStatus,)
        for arguments in [set(union.__args__[0].__args__)]
    ]
    assert statuses - FINISHED == {"in_progress", "queued"}
    assert "idle" in FINISHED
