"""The emulator on a real loopback socket, and the official SDK as a foreign judge of what it says."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from google import genai

from extract.emulator import Emulator, Fault
from extract.emulator.server import serve
from extract.errors import ConfigError
from extract.testing import running_server

BODY = {"model": "gemini-3.5-flash-lite", "input": "hi", "store": False}
KEY = {"x-goog-api-key": "k"}
SCHEMA = {
    "type": "object",
    "properties": {"topic": {"type": "string", "enum": ["billing", "bug"]}},
    "required": ["topic"],
}
FORMAT = {"type": "text", "mime_type": "application/json", "schema": SCHEMA}


def post(url: str, *, timeout: float = 10, **fields: Any) -> httpx.Response:
    with httpx.Client(headers=KEY, timeout=timeout, verify=False, trust_env=False) as client:
        return client.post(f"{url}/v1/interactions", json=BODY | fields)


def test_a_program_over_a_socket_gets_what_a_test_in_process_gets() -> None:
    with running_server(Emulator(answers=["hello"], clock=lambda: 0.0)) as url:
        over_socket = post(url)
    with httpx.Client(transport=Emulator(answers=["hello"], clock=lambda: 0.0).transport) as client:
        in_process = client.post("http://x/v1/interactions", json=BODY, headers=KEY)
    assert over_socket.content == in_process.content
    assert over_socket.headers["content-type"] == in_process.headers["content-type"]


def test_a_quota_is_set_on_the_running_server_and_a_mistake_leaves_it_as_it_is() -> None:
    with running_server(Emulator(answers=lambda _: "hello")) as url:
        with httpx.Client(trust_env=False) as client:
            assert client.post(f"{url}/quota", json={"rpm": 1}).status_code == 200
            for wrong in (b"{", b"[]", b'{"rps": 1}', b'{"rpm": "1"}', b'{"rpm": true}', b'{"rpm": 0}'):
                refused = client.post(f"{url}/quota", content=wrong)
                assert (refused.status_code, bool(refused.json()["error"])) == (400, True)
        assert [post(url).status_code for _ in range(2)] == [200, 429]


def test_a_reset_is_a_real_one_and_the_server_lives_on() -> None:
    with running_server(Emulator(answers=[Fault("reset"), "hello"])) as url:
        with pytest.raises(httpx.ReadError):
            post(url)
        assert post(url).status_code == 200


def test_a_reset_arrives_as_a_reset_not_as_a_close() -> None:
    with running_server(Emulator(answers=[Fault("reset")])) as url:
        address = ("127.0.0.1", int(url.rpartition(":")[2]))
        body = json.dumps(BODY).encode()
        head = f"POST /v1/interactions HTTP/1.1\r\nHost: x\r\nx-goog-api-key: k\r\nContent-Length: {len(body)}\r\n\r\n"
        with socket.create_connection(address) as connection:
            connection.sendall(head.encode() + body)
            with pytest.raises(ConnectionResetError):
                connection.recv(1000)


def test_a_cut_body_is_shorter_than_it_was_announced() -> None:
    with running_server(Emulator(answers=[Fault("cut", "hello"), "hello"])) as url:
        with pytest.raises(httpx.RemoteProtocolError, match="received"):
            post(url)
        assert post(url).status_code == 200


def test_a_slow_answer_sends_its_head_at_once() -> None:
    with (
        running_server(Emulator(answers=[Fault("slow", "hello")])) as url,
        httpx.Client(timeout=httpx.Timeout(5, read=0.5)) as client,
        client.stream("POST", f"{url}/v1/interactions", json=BODY, headers=KEY) as response,
    ):
        assert response.status_code == 200
        with pytest.raises(httpx.ReadTimeout):
            response.read()


def test_a_client_that_leaves_is_not_billed() -> None:
    emulator = Emulator(answers=lambda _: "12345678", latency=0.3)
    with running_server(emulator) as url:
        with pytest.raises(httpx.ReadTimeout):
            post(url, timeout=0.1)
        post(url)
        assert emulator.stats()["requests"] == 2
        assert emulator.stats()["output_tokens"] == 2


def test_stats_and_faults_are_served_beside_the_api() -> None:
    with running_server(Emulator(answers=lambda _: "hi")) as url:
        assert httpx.post(f"{url}/faults", content="503=1").status_code == 200
        assert post(url).status_code == 503
        refused = httpx.post(f"{url}/faults", content="nope=1")
        assert refused.status_code == 400
        assert "no fault is called 'nope'" in refused.json()["error"]
        assert httpx.post(f"{url}/faults", content="").status_code == 200
        assert post(url).status_code == 200
        assert httpx.get(f"{url}/stats").json()["by_status"] == {"503": 1, "200": 1}
        assert httpx.get(f"{url}/faults").status_code == 200


async def test_many_clients_at_once_are_all_in_flight() -> None:
    emulator = Emulator(answers=lambda _: "hi", latency=0.5)
    with running_server(emulator) as url:
        async with httpx.AsyncClient(headers=KEY, trust_env=False) as client:
            posts = [client.post(f"{url}/v1/interactions", json=BODY) for _ in range(16)]
            answers = await asyncio.gather(*posts)
    assert [answer.status_code for answer in answers] == [200] * 16
    assert emulator.stats()["peak_in_flight"] == 16


def test_a_large_request_arrives_whole() -> None:
    with running_server(Emulator(answers=lambda body: str(len(body["input"])))) as url:
        answer = post(url, input="x" * 3_000_000)
    assert answer.json()["steps"][0]["content"][0]["text"] == "3000000"


def test_a_used_up_script_is_an_error_the_client_can_read() -> None:
    with running_server(Emulator(answers=[])) as url:
        answer = post(url)
    assert answer.status_code == 500
    assert "scripted answers are used up" in answer.json()["error"]["message"]


def test_a_port_that_is_taken_is_a_clear_error() -> None:
    with running_server(Emulator(answers=[])) as url:
        port = int(url.rpartition(":")[2])
        with pytest.raises(ConfigError, match=f"cannot listen on 127.0.0.1 port {port}"):
            serve(Emulator(answers=[]), port=port)


@pytest.fixture(scope="module")
def reading_server() -> Iterator[str]:
    def answer(body: dict[str, Any]) -> Any:
        return Fault("continuation", '{"topic": "billing"}') if "continue" in str(body["input"]) else {"topic": "bug"}

    with running_server(Emulator(answers=answer)) as url:
        yield url


@pytest.fixture
def sdk(reading_server: str) -> Iterator[genai.Client]:
    client = genai.Client(api_key="x", http_options={"base_url": reading_server})
    yield client
    client.close()


def test_the_official_sdk_reads_a_structured_answer(sdk: genai.Client) -> None:
    interaction = sdk.interactions.create(
        model="gemini-3.5-flash-lite", input="It crashes", response_format=FORMAT, store=False
    )
    assert json.loads(interaction.output_text) == {"topic": "bug"}
    assert interaction.usage.total_output_tokens == 4
    assert interaction.status == "completed"


def test_the_official_sdk_reads_a_stream(sdk: genai.Client) -> None:
    events = list(
        sdk.interactions.create(
            model="gemini-3.5-flash-lite",
            input="It crashes",
            response_format=FORMAT,
            generation_config={"thinking_level": "low"},
            store=False,
            stream=True,
        )
    )
    assert [event.event_type for event in events][:2] == ["interaction.created", "step.start"]
    text = "".join(
        event.delta.text for event in events if event.event_type == "step.delta" and event.delta.type == "text"
    )
    assert json.loads(text) == {"topic": "bug"}
    assert events[-1].interaction.usage.total_tokens > 0


def test_the_official_sdk_gets_deletes_and_misses(sdk: genai.Client) -> None:
    stored = sdk.interactions.create(model="gemini-3.5-flash-lite", input="It crashes", response_format=FORMAT)
    again = sdk.interactions.get(stored.id, include_input=True)
    assert [step.type for step in again.steps] == ["user_input", "model_output"]
    sdk.interactions.delete(stored.id)
    with pytest.raises(Exception, match="not found") as missed:
        sdk.interactions.get(stored.id)
    assert missed.value.status_code == 404


def test_the_official_sdk_continues_an_answer_by_itself(sdk: genai.Client) -> None:
    interaction = sdk.interactions.create(
        model="gemini-3.5-flash-lite", input="continue", response_format=FORMAT, store=False
    )
    assert json.loads(interaction.output_text) == {"topic": "billing"}


def test_the_official_sdk_keeps_a_conversation_of_steps(sdk: genai.Client) -> None:
    first = sdk.interactions.create(model="gemini-3.5-flash-lite", input="It crashes", store=False)
    steps = [
        {"type": "user_input", "content": [{"type": "text", "text": "It crashes"}]},
        *[step.model_dump(exclude_none=True) for step in first.steps],
        {"type": "user_input", "content": [{"type": "text", "text": "Are you sure?"}]},
    ]
    second = sdk.interactions.create(model="gemini-3.5-flash-lite", input=steps, store=False)
    assert second.status == "completed"
