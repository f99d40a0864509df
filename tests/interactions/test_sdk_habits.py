"""What users of other SDKs write: it works, or the error says what to write."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from google import genai
from pydantic import BaseModel

from extract import (
    AsyncClient,
    Client,
    ConfigError,
    Extractor,
    FileSearch,
    Function,
    Generation,
    GoogleSearch,
    ImageFormat,
    Interaction,
    Request,
    SafetySetting,
    compile_schema,
    extract_one,
    function_tool,
    offline_client,
    parse,
    run,
)
from extract.emulator import Emulator
from extract.interactions.sdk_words import GENERATION_WORDS, REQUEST_WORDS

MODEL = "gemini-3.8-flash"
ASKED = {"model": MODEL, "input": "Get the weather in Bonn."}


class Invoice(BaseModel):
    number: str | None


def get_weather(city: str) -> str:
    """Return the weather of a city."""
    return f"sunny in {city}"


def test_a_python_function_is_a_tool_of_a_request() -> None:
    client, request = offline_client(), Request(**ASKED, tools=(get_weather,))
    (call,) = client.create(request).calls
    assert (call.name, call.arguments) == ("get_weather", {"city": "Bonn"})
    assert "sunny in Bonn" in client.run_tools(request).text


def test_the_functions_of_a_request_are_called_in_an_event_loop_too() -> None:
    async def ask() -> str:
        async with AsyncClient("a-key", transport=Emulator().transport) as client:
            return (await client.run_tools(Request(**ASKED, tools=(get_weather,)))).text

    assert "sunny in Bonn" in asyncio.run(ask())


def test_a_function_that_is_given_twice_is_declared_once() -> None:
    result = offline_client().run_tools(Request(**ASKED, tools=(get_weather,)), [get_weather])
    assert [one.value for one in result.results] == ["sunny in Bonn"]


@pytest.mark.parametrize("schema", [Invoice, compile_schema(Invoice), compile_schema(Invoice).wire])
def test_a_schema_is_a_model_or_what_was_compiled_from_it(schema: Any) -> None:
    request = Request(model=MODEL, input="Invoice number: A-17", schema=schema)
    assert request.schema == compile_schema(Invoice).wire
    assert parse(offline_client().create(request), Invoice) == Invoice(number="A-17")


def test_a_schema_is_a_list_of_labels() -> None:
    request = Request(model=MODEL, input="This is spam", schema=["spam", "ham"])
    assert parse(offline_client().create(request), ["spam", "ham"]) == "spam"


SLIPS: list[tuple[dict[str, Any], str]] = [
    ({"generation": {"temperature": 0.2}}, r"write generation=Generation\(temperature=0.2\)"),
    ({"generation": {"max_tokens": 5}}, r"no max_tokens=: write max_output_tokens=.*extra=\{'max_tokens'"),
    ({"generation": {"temprature": 1}}, "Did you mean temperature="),
    ({"generation": Generation}, r"generation=Generation\(\.\.\.\)"),
    ({"tools": (GoogleSearch,)}, r"GoogleSearch is a class.*write GoogleSearch\(\)"),
    ({"tools": (FileSearch,)}, r"write FileSearch\(\.\.\.\)"),
    ({"tools": GoogleSearch}, r"tools=\(GoogleSearch\(\),\)"),
    ({"tools": GoogleSearch()}, r"tools=\(GoogleSearch\(search_types=\(\)\),\)"),
    ({"tools": get_weather}, r"tools=\(get_weather,\)"),
    ({"tools": "google_search"}, r"tools=\(\{'type': 'google_search'\},\)"),
    ({"tools": ("google_search",)}, r"write \{'type': 'google_search'\}"),
    ({"tools": {"type": "google_search"}}, r"tools=\(\{'type': 'google_search'\},\)"),
    ({"tools": None}, "takes a tuple of tools"),
    ({"tools": (Invoice(number="1"),)}, "Invoice is no tool: write GoogleSearch"),
]
FORMS: list[tuple[dict[str, Any], str]] = [
    ({"formats": (ImageFormat,)}, r"ImageFormat is a class; write ImageFormat\(\.\.\.\)"),
    ({"formats": ImageFormat}, r"formats=\(ImageFormat\(\),\)"),
    ({"formats": ("image",)}, "formats takes ImageFormat"),
    ({"safety_settings": (SafetySetting,)}, "SafetySetting is a class"),
    ({"safety_settings": ("hate_speech",)}, r"SafetySetting\(\.\.\.\)"),
]


@pytest.mark.parametrize(("fields", "message"), SLIPS + FORMS)
def test_a_slip_in_a_request_says_what_to_write(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Request(model=MODEL, input="x", **fields)


@pytest.mark.parametrize(("fields", "message"), SLIPS)
def test_the_same_slip_in_an_extractor_says_the_same(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Extractor(["a", "b"], "{text}", **fields)


@pytest.mark.parametrize("name", ["stop_sequences", "speech_config"])
def test_one_item_where_several_may_be_is_told(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"{name} takes a tuple"):
        Generation(**{name: "END"})
    assert Generation(stop_sequences=["END"]).stop_sequences == ("END",)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", REQUEST_WORDS)
def test_the_words_of_other_sdks_for_a_request_are_translated(name: str) -> None:
    with pytest.raises(TypeError, match=rf"Request has no {name}=: write "):
        Request(model=MODEL, input="x", **{name: "x"})


@pytest.mark.parametrize("name", GENERATION_WORDS)
def test_the_words_of_other_sdks_for_a_generation_are_translated(name: str) -> None:
    with pytest.raises(TypeError, match=rf"Generation has no {name}=: write "):
        Generation(**{name: 1})


def test_a_typo_is_answered_with_the_nearest_name_and_nonsense_with_all() -> None:
    with pytest.raises(TypeError, match=r"Request has no schemas=. Did you mean schema="):
        Request(model=MODEL, input="x", schemas=Invoice)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"it has model, agent, input"):
        Request(model=MODEL, input="x", qqq=1)  # type: ignore[call-arg]


@pytest.mark.parametrize("given", ["Name a river.", {"model": MODEL, "input": "x"}, Invoice(number="1")])
def test_a_client_says_that_it_takes_a_request(given: Any) -> None:
    client = offline_client()
    for ask in (client.create, client.stream):
        with pytest.raises(ConfigError, match=r"a client takes Request\(model="):
            ask(given)


def foreign() -> list[tuple[type[Client | AsyncClient], dict[str, Any], str]]:
    httpx2 = pytest.importorskip("httpx2")
    return [
        (Client, {"http_client": httpx2.Client()}, r"httpx2\.Client \(httpx2 is another library\); pass httpx\.Client"),
        (Client, {"transport": httpx2.HTTPTransport()}, r"httpx2\.HTTPTransport .*pass httpx\.HTTPTransport"),
        (AsyncClient, {"http_client": httpx2.AsyncClient()}, r"httpx2\.AsyncClient .*pass httpx\.AsyncClient"),
        (AsyncClient, {"transport": httpx2.AsyncHTTPTransport()}, r"pass httpx\.AsyncHTTPTransport"),
        (AsyncClient, {"http_client": httpx.Client()}, r"needs an asynchronous http_client.*pass httpx\.AsyncClient"),
        (AsyncClient, {"transport": httpx.HTTPTransport()}, r"asynchronous transport.*pass httpx\.AsyncHTTPTransport"),
        (Client, {"transport": httpx.Client()}, r"transport is httpx\.Client; pass httpx\.HTTPTransport"),
        (Client, {"http_client": httpx.HTTPTransport()}, r"http_client is httpx\.HTTPTransport; pass httpx\.Client"),
        (Client, {"http_client": "http://proxy"}, r"http_client is str; pass httpx\.Client"),
    ]


def test_a_client_or_transport_of_another_library_is_refused_with_what_to_pass() -> None:
    for kind, options, message in foreign():
        with pytest.raises(ConfigError, match=message):
            kind("a-key", **options)


def test_an_asynchronous_one_serves_a_run_and_a_synchronous_client_says_what_it_needs() -> None:
    emulator = Emulator(answers=lambda _: '{"value": "a"}')

    async def answer(request: httpx.Request) -> httpx.Response:
        return await emulator.transport.handle_async_request(request)

    class OnlyAsync(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            return await answer(request)

    client = Client("a-key", transport=OnlyAsync())  # type: ignore[arg-type]
    assert run(["x"], Extractor(["a", "b"], "{text}"), client=client).totals.valid == 1
    with pytest.raises(ConfigError, match=r"pass httpx\.HTTPTransport.*an AsyncClient or a run takes it"):
        client.create(Request(model=MODEL, input="x"))


def asks(client: Any) -> list[Callable[[], Any]]:
    extractor = Extractor(["a", "b"], "{text}")
    return [lambda: run(["x"], extractor, client=client), lambda: extract_one({"text": "x"}, extractor, client=client)]


def test_a_run_says_which_clients_it_takes() -> None:
    sdk = genai.Client(api_key="a-key")
    with httpx.Client() as plain:
        for client, name in ((sdk, "google.Client"), (plain, "httpx.Client"), ("key", "builtins.str")):
            for ask in asks(client):
                with pytest.raises(ConfigError, match=rf"client takes extract\.Client\(KEY\).*not {name}"):
                    ask()


def test_a_declared_function_stays_as_it_is() -> None:
    (tool,) = Request(**ASKED, tools=(get_weather,)).declared
    assert isinstance(tool, Function)
    assert Request(**ASKED, tools=(tool,)).declared == (tool,)
    assert isinstance(offline_client().create(Request(**ASKED)), Interaction)


def test_one_function_or_a_tool_of_the_service_in_place_of_functions_is_told() -> None:
    client, request = offline_client(), Request(**ASKED)
    for given, message in (
        (get_weather, r"in a list: \[get_weather\]"),
        (function_tool(get_weather), r"in a list: \[get_weather\]"),
        ([GoogleSearch()], r"GoogleSearch\(.*\) is no Python function.*Request\(tools="),
    ):
        with pytest.raises(ConfigError, match=message):
            client.run_tools(request, given)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["get", "wait", "cancel", "delete", "follow"])
def test_a_call_about_an_interaction_says_what_it_takes(name: str) -> None:
    with pytest.raises(ConfigError, match="an interaction or its id is needed, not a Request"):
        list(getattr(offline_client(), name)(Request(**ASKED)))


def test_a_client_without_a_key_says_where_keys_come_from() -> None:
    for kind in (Client, AsyncClient):
        with pytest.raises(ConfigError, match=r"Client\.from_env\(\), which reads GEMINI_API_KEY"):
            kind()


def test_parse_says_that_it_takes_the_interaction() -> None:
    with pytest.raises(ConfigError, match="parse takes the interaction"):
        parse('{"number": "1"}', Invoice)  # type: ignore[arg-type]
