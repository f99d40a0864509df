"""The emulator under httpx, async and sync."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from extract.emulator import Emulator, Fault
from extract.emulator.transport import EmulatorTransport

BODY = {"model": "gemini-3.5-flash-lite", "input": "hi", "store": False}
URL = "https://emulator.test/v1/interactions"
KEY = {"x-goog-api-key": "k"}


async def post(transport: EmulatorTransport, **fields: Any) -> httpx.Response:
    async with httpx.AsyncClient(transport=transport, headers=KEY) as client:
        return await client.post(URL, json=BODY | fields)


def post_sync(transport: EmulatorTransport, **fields: Any) -> httpx.Response:
    with httpx.Client(transport=transport, headers=KEY) as client:
        return client.post(URL, json=BODY | fields)


async def test_async_and_sync_clients_get_the_same_answers() -> None:
    emulator = Emulator(answers=lambda _: "hello")
    answers = [await post(emulator.transport), post_sync(emulator.transport)]
    assert [one.json()["steps"][0]["content"][0]["text"] for one in answers] == ["hello", "hello"]
    assert answers[0].headers["x-gemini-service-tier"] == "standard"


async def test_paths_queries_and_keys_reach_the_emulator() -> None:
    emulator = Emulator(answers=["hello"])
    identity = (await post(emulator.transport, store=True)).json()["id"]
    async with httpx.AsyncClient(transport=emulator.transport) as client:
        url = f"{URL}/{identity}"
        assert (await client.get(url)).status_code == 401
        shown = await client.get(url, params={"key": "k", "include_input": "true"})
    assert [step["type"] for step in shown.json()["steps"]] == ["user_input", "model_output"]


async def test_a_reset_is_a_read_error() -> None:
    emulator = Emulator(answers=[Fault("reset"), Fault("reset")])
    with pytest.raises(httpx.ReadError):
        await post(emulator.transport)
    with pytest.raises(httpx.ReadError):
        post_sync(emulator.transport)


async def test_a_cut_body_is_a_protocol_error_while_it_is_read() -> None:
    emulator = Emulator(answers=[Fault("cut", "hello"), Fault("cut", "hello")])
    async with (
        httpx.AsyncClient(transport=emulator.transport, headers=KEY) as client,
        client.stream("POST", URL, json=BODY) as response,
    ):
        assert response.status_code == 200
        with pytest.raises(httpx.RemoteProtocolError):
            await response.aread()
    with pytest.raises(httpx.RemoteProtocolError):
        post_sync(emulator.transport)


async def test_a_stream_arrives_event_by_event() -> None:
    emulator = Emulator(answers=["a text of more than one event, so that there is something to see"])
    async with (
        httpx.AsyncClient(transport=emulator.transport, headers=KEY) as client,
        client.stream("POST", URL, json=BODY | {"stream": True}) as response,
    ):
        pieces = [piece async for piece in response.aiter_raw()]
    assert len(pieces) > 5
    assert all(piece.startswith(b"event: ") for piece in pieces)


async def test_latency_and_stalls_are_slept_not_spun() -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    emulator = Emulator(answers=["a", Fault("slow", "b"), "c"], latency=0.25)
    transport = EmulatorTransport(emulator.exchange, sleep=sleep, wait=slept.append)
    for _ in range(2):
        await post(transport)
    post_sync(transport)
    assert slept == [0.25, 1.25, 0.25]


async def test_requests_wait_side_by_side() -> None:
    emulator = Emulator(answers=lambda _: "hi", latency=0.05)
    await asyncio.gather(*(post(emulator.transport) for _ in range(8)))
    assert emulator.stats()["peak_in_flight"] == 8
    assert emulator.stats()["in_flight"] == 0


async def test_a_request_given_up_is_not_billed() -> None:
    emulator = Emulator(answers=["12345678"], latency=60)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(post(emulator.transport), 0.05)
    assert (emulator.stats()["in_flight"], emulator.stats()["output_tokens"]) == (0, 0)
