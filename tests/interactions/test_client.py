from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from clocks import Clock

from extract import AsyncClient, Client, ConfigError, Denied, Emulator, Interaction, Request, Retry, Turn, Unreachable
from extract.interactions.endpoint import Endpoint
from extract.testing import running_server

SCHEMA = {"type": "object", "properties": {"total": {"type": "number"}}, "required": ["total"]}
REQUEST = Request(model="gemini-3.5-flash-lite", input=(Turn.user("Total: 12.50"),), schema=SCHEMA)
QUICK = Retry(first_wait=0.001, longest_wait=0.01)


async def create(emulator: Emulator, *, kind: str, dialect: Any, request: Request = REQUEST) -> Interaction:
    if kind == "sync":
        with Client("key", dialect=dialect, transport=emulator.transport, retry=QUICK, sleep=lambda _: None) as client:
            return client.create(request)
    clock = Clock()
    async with AsyncClient(
        "key", dialect=dialect, transport=emulator.transport, retry=QUICK, sleep=clock.sleep_async
    ) as client:
        return await client.create(request)


BOTH = pytest.mark.parametrize("kind", ["sync", "async"])
DIALECTS = pytest.mark.parametrize("dialect", ["steps", "outputs"])


@BOTH
@DIALECTS
async def test_an_answer_comes_back_whole(kind: str, dialect: str) -> None:
    emulator = Emulator(dialect=dialect, answers=['{"total": 12.5}'])
    interaction = await create(emulator, kind=kind, dialect=dialect)
    assert (interaction.status, interaction.text) == ("completed", '{"total": 12.5}')
    assert interaction.usage is not None
    assert interaction.usage.input_tokens > 0
    assert emulator.requests[0].body["store"] is False


@BOTH
@DIALECTS
@pytest.mark.parametrize("fault", ["429_retry_after_ms", "500", "503", "reset", "cut", "html", "array"])
async def test_a_passing_fault_costs_a_retry_and_nothing_else(kind: str, dialect: str, fault: str) -> None:
    emulator = Emulator(dialect=dialect, answers=lambda _: '{"total": 1}', faults=f"{fault}=0.5", seed=3)
    for _ in range(6):
        assert (await create(emulator, kind=kind, dialect=dialect)).text == '{"total": 1}'
    assert len(emulator.requests) > 6


@BOTH
async def test_a_continuation_is_followed_and_billed_for_every_hop(kind: str) -> None:
    emulator = Emulator(answers=lambda _: '{"total": 12345678}', faults="continuation=1")
    interaction = await create(emulator, kind=kind, dialect="steps")
    assert (interaction.status, interaction.text) == ("completed", '{"total": 12345678}')
    hops = emulator.requests
    assert len(hops) > 1
    assert "continuation_token" in hops[-1].body
    assert hops[-1].body["input"] == hops[0].body["input"]
    assert interaction.usage is not None
    assert interaction.usage.input_tokens == emulator.stats()["input_tokens"]


@BOTH
async def test_a_bad_key_is_refused_once_and_shown_nowhere(kind: str) -> None:
    emulator = Emulator(api_key="right")
    secret = "AIza-very-secret"
    with pytest.raises(Denied, match="GEMINI_API_KEY") as caught:
        if kind == "sync":
            Client(secret, transport=emulator.transport).create(REQUEST)
        else:
            await AsyncClient(secret, transport=emulator.transport).create(REQUEST)
    assert len(emulator.requests) == 1
    assert secret not in str(caught.value) + repr(Client(secret)) + repr(Endpoint(api_key=secret))


def test_a_key_echoed_by_the_service_is_struck_out() -> None:
    def echo(request: httpx.Request) -> httpx.Response:
        return httpx.Response(
            401, json={"error": {"code": "authentication", "message": f"{request.headers['x-goog-api-key']} is bad"}}
        )

    with pytest.raises(Denied) as caught:
        Client("secret-key", transport=httpx.MockTransport(echo)).create(REQUEST)
    assert "secret-key" not in str(caught.value)


ENDPOINT = Endpoint(api_key="other", base_url="https://other.example.com", dialect="outputs")


@pytest.mark.parametrize("kind", [Client, AsyncClient])
@pytest.mark.parametrize(
    ("options", "advice"),
    [
        ({"api_key": "key"}, "leave out api_key"),
        ({"base_url": "https://example.com"}, "leave out base_url"),
        ({"base_url": "https://generativelanguage.googleapis.com"}, "leave out base_url"),
        ({"dialect": "steps"}, "leave out dialect"),
        ({"api_key": "", "base_url": ""}, "leave out api_key and base_url"),
        (
            {"api_key": "key", "base_url": "https://example.com", "dialect": "outputs"},
            "leave out api_key, base_url and dialect",
        ),
    ],
)
def test_an_endpoint_beside_what_it_holds_is_refused(
    kind: type[Client | AsyncClient], options: dict[str, Any], advice: str
) -> None:
    with pytest.raises(ConfigError, match=rf"^endpoint= holds .*: {advice}$"):
        kind(endpoint=ENDPOINT, **options)


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_an_endpoint_alone_is_taken_as_it_is_and_without_one_the_defaults_are_googles(
    kind: type[Client | AsyncClient],
) -> None:
    assert kind(endpoint=ENDPOINT, retry=QUICK).endpoint is ENDPOINT
    assert kind("key").endpoint == Endpoint(api_key="key")


@pytest.mark.parametrize("url", ["http://example.com", "http://10.0.0.1", "ftp://example.com", "https://a..b", "x", ""])
def test_the_key_travels_only_over_https_or_to_this_machine(url: str) -> None:
    with pytest.raises(ConfigError):
        Client("key", base_url=url)


@pytest.mark.parametrize("key", ["", "with space", "schlüssel", "line\nbreak"])
def test_a_key_that_cannot_be_one_is_refused_early(key: str) -> None:
    with pytest.raises(ConfigError, match="GEMINI_API_KEY"):
        Client(key)


def test_the_environment_gives_key_and_address(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="--offline"):
        Client.from_env()
    monkeypatch.setenv("GOOGLE_API_KEY", "second")
    assert Client.from_env().endpoint.api_key == "second"
    monkeypatch.setenv("GEMINI_API_KEY", "first")
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", "http://127.0.0.1:9/")
    endpoint = Client.from_env().endpoint
    assert (endpoint.api_key, endpoint.root) == ("first", "http://127.0.0.1:9/v1")
    assert Client.from_env(base_url="https://example.com").endpoint.base_url == "https://example.com"


def test_who_answers_is_told_apart() -> None:
    assert Endpoint(api_key="k").service == "google"
    assert Endpoint(api_key="k", base_url="https://proxy.example.com/x").service == "https://proxy.example.com"
    assert Endpoint(api_key="k", name="offline").service == "offline"


@BOTH
async def test_the_default_transports_speak_over_a_real_socket(kind: str) -> None:
    emulator = Emulator(answers=lambda _: '{"total": 7}')
    with running_server(emulator) as url:
        if kind == "sync":
            with Client("key", base_url=url) as client:
                interaction = client.create(REQUEST)
        else:
            async with AsyncClient("key", base_url=url) as asynchronous:
                interaction = await asynchronous.create(REQUEST)
    assert json.loads(interaction.text) == {"total": 7}


@BOTH
@pytest.mark.parametrize("fault", ["reset", "cut"])
async def test_a_broken_connection_is_one_error_and_may_have_been_billed(kind: str, fault: str) -> None:
    with running_server(Emulator(answers=lambda _: "{}", faults=f"{fault}=1")) as url:
        with pytest.raises(Unreachable) as caught:
            if kind == "sync":
                with Client("key", base_url=url, retry=Retry(failures=1)) as client:
                    client.create(REQUEST)
            else:
                async with AsyncClient("key", base_url=url, retry=Retry(failures=1)) as asynchronous:
                    await asynchronous.create(REQUEST)
        assert caught.value.maybe_sent


async def test_a_host_that_is_not_there_is_known_to_have_got_nothing() -> None:
    async with AsyncClient("key", base_url="http://127.0.0.1:9", retry=Retry(failures=1)) as client:
        with pytest.raises(Unreachable) as caught:
            await client.create(REQUEST)
    assert not caught.value.maybe_sent


@pytest.mark.parametrize("host", ["127.evil.example", "127.0.0.1.evil.example", "localhost.evil.example"])
def test_a_name_that_begins_like_this_machine_is_not_this_machine(host: str) -> None:
    with pytest.raises(ConfigError, match="https"):
        Client("key", base_url=f"http://{host}")


def test_a_proxy_never_sees_what_goes_to_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with running_server(Emulator(answers=lambda _: '{"total": 7}')) as url, Client("key", base_url=url) as client:
        assert client.create(REQUEST).text == '{"total": 7}'


@BOTH
async def test_a_key_in_a_transports_message_is_struck_out(kind: str) -> None:
    def fail(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError(f"{request.headers['x-goog-api-key']} was refused")

    with pytest.raises(Unreachable) as caught:
        if kind == "sync":
            Client("secret-key", transport=httpx.MockTransport(fail), retry=Retry(failures=1)).create(REQUEST)
        else:
            client = AsyncClient("secret-key", transport=httpx.MockTransport(fail), retry=Retry(failures=1))
            await client.create(REQUEST)
    assert "secret-key" not in str(caught.value)


@BOTH
async def test_a_body_cut_after_a_200_is_repeated(kind: str) -> None:
    whole = {"status": "completed", "steps": [{"type": "model_output", "content": [{"type": "text", "text": "x"}]}]}
    replies = [httpx.Response(200, content=b'{"sta'), httpx.Response(200, json=whole)]
    transport = httpx.MockTransport(lambda _: replies.pop(0))
    if kind == "sync":
        interaction = Client("key", transport=transport, sleep=lambda _: None).create(REQUEST)
    else:
        interaction = await AsyncClient("key", transport=transport, retry=QUICK).create(REQUEST)
    assert interaction.text == "x"


@pytest.mark.parametrize(
    "fields", [{"input": "half \ud800"}, {"input": "x", "extra": {"option": object()}}], ids=["surrogate", "object"]
)
def test_what_is_no_json_is_refused_before_the_call(fields: dict[str, Any]) -> None:
    with Client("key", transport=Emulator().transport) as client:
        with pytest.raises(ConfigError, match="cannot be written as JSON"):
            client.create(Request(model="gemini-3.8-flash", **fields))
        with pytest.raises(ConfigError, match="cannot be written as JSON"):
            client.count_tokens("\ud800", model="gemini-3.8-flash")
        with pytest.raises(ConfigError, match="half a character"):
            client.get("\ud800")


def test_an_error_that_cannot_say_what_it_is_is_still_ours() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no words")

    def broken(_: httpx.Request) -> httpx.Response:
        raise Mute

    with (
        Client("key", transport=httpx.MockTransport(broken), retry=Retry(failures=1)) as client,
        pytest.raises(Unreachable, match="Mute"),
    ):
        client.create(Request(model="gemini-3.8-flash", input="x"))
