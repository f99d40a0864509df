"""Functions that the model loads when it needs them."""

from __future__ import annotations

from typing import Any

import pytest

from extract import (
    BadRequest,
    Client,
    ConfigError,
    Emulator,
    Extractor,
    McpServer,
    Request,
    ToolSearch,
    evidence_of,
    function_tool,
    run,
)


def get_weather(city: str) -> str:
    """Return the weather of a city."""
    return f"sunny in {city}"


DEFERRED = function_tool(get_weather, defer_loading=True, short_description="weather")
TOOLS = (DEFERRED, ToolSearch())
ASKED: dict[str, Any] = {"model": "gemini-4-argon", "input": "Get the weather in Bonn."}


@pytest.mark.parametrize("store", [False, True])
@pytest.mark.parametrize("stream", [False, True])
def test_a_deferred_function_is_searched_called_and_answered(store: bool, stream: bool) -> None:
    emulator = Emulator()
    client = Client("a-key", transport=emulator.transport)
    request = Request(**ASKED, tools=TOOLS, store=store)
    first = client.stream(request).finish() if stream else client.create(request)
    kinds = [step["type"] for step in first.steps]
    assert kinds == ["thought", "tool_search_call", "tool_search_result", "function_call"]
    assert first.steps[1]["arguments"] == {"function_names": ["get_weather"]}
    assert first.steps[2]["result"] == [DEFERRED.as_wire()]
    assert [call.name for call in first.calls] == ["get_weather"]
    assert evidence_of(first).tools == ("tool_search",)
    assert "sunny in Bonn" in client.run_tools(request).text


def test_the_fields_go_on_the_wire_as_the_api_names_them() -> None:
    assert DEFERRED.as_wire()["defer_loading"] is True
    assert DEFERRED.as_wire()["short_description"] == "weather"
    assert ToolSearch(execution="client", name="find", parameters={"type": "object"}).as_wire("steps") == {
        "type": "tool_search",
        "execution": "client",
        "name": "find",
        "parameters": {"type": "object"},
    }
    assert McpServer(url="https://a.example", defer_loading=True).as_wire("steps")["defer_loading"] is True
    assert "defer_loading" not in function_tool(get_weather).as_wire()


@pytest.mark.parametrize("tool", [DEFERRED, ToolSearch(), McpServer(url="https://a.example", defer_loading=True)])
def test_the_first_form_of_the_api_knows_none_of_it(tool: Any) -> None:
    with pytest.raises(ConfigError, match="outputs dialect has no"):
        tool.as_wire("outputs")


def test_a_name_goes_with_a_search_by_the_client_and_only_with_that() -> None:
    with pytest.raises(ConfigError, match="needs a name"):
        ToolSearch(execution="client")
    with pytest.raises(ConfigError, match="go with ToolSearch"):
        ToolSearch(name="find")
    tools = ({"type": "tool_search", "name": "find"},)
    with pytest.raises(BadRequest, match="go with 'client' execution"):
        Client("a-key", transport=Emulator().transport).create(Request(**ASKED, tools=tools))


def test_the_emulator_says_that_it_has_no_search_by_the_client() -> None:
    request = Request(**ASKED, tools=(ToolSearch(execution="client", name="find"),))
    with pytest.raises(BadRequest, match="The emulator has no 'tool_search' that the client executes"):
        Client("a-key", transport=Emulator().transport).create(request)


def test_a_run_has_deferred_functions_too_and_refuses_a_search_that_it_cannot_do() -> None:
    extractor = Extractor(str, "Get the weather in {text}.", tools=TOOLS, model="gemini-4-argon")
    emulator = Emulator()
    result = run(["Bonn"], extractor, client=Client("a-key", transport=emulator.transport))
    assert result.totals.valid == 1
    assert [request.kind for request in emulator.requests] != []
    assert "tool_search_result" in str(emulator.requests[-1].body)
    with pytest.raises(ConfigError, match=r"write ToolSearch\(\)"):
        Extractor(str, "{text}", tools=(ToolSearch(execution="client", name="find"),))
