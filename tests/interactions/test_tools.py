"""Tools: built-in ones as values, Python functions declared and called, the loop, and the evidence for an answer."""

from __future__ import annotations

import asyncio
import pickle
from datetime import date
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from extract import AsyncClient, Client, ConfigError, Emulator, Interaction, MediaPart, Request, TextPart, Unfinished
from extract.emulator import Calls, Steps
from extract.interactions.tools.builtin import (
    CodeExecution,
    ComputerUse,
    FileSearch,
    GoogleMaps,
    GoogleSearch,
    McpServer,
    UrlContext,
    evidence_of,
    looks_up,
)
from extract.interactions.tools.functions import Function, call_functions, function_tool, functions_of
from extract.interactions.tools.loop import ToolRun, run_tools, run_tools_async, wants_results

MODEL = "gemini-3.8-flash"
BOTH = pytest.mark.parametrize("dialect", ["steps", "outputs"])
KEPT = pytest.mark.parametrize("store", [True, False], ids=["stored", "stateless"])


def get_weather(city: str, day: date | None = None) -> str:
    """Tell the weather.

    Args:
        city: The city, without
            its country.
        day (date): The day, today where it is left out.

    Returns:
        A sentence.
    """
    return f"{city} is sunny on {day or 'this day'}"


def client_of(emulator: Emulator, dialect: Any = "steps") -> Client:
    return Client("key", dialect=dialect, transport=emulator.transport)


def run(emulator: Emulator, *functions: Any, dialect: Any = "steps", max_rounds: int = 8, **fields: Any) -> ToolRun:
    request = Request(model=MODEL, input="What is the weather in Paris?", **fields)
    with client_of(emulator, dialect) as client:
        return run_tools(client, request, functions, max_rounds=max_rounds)


def test_a_function_is_declared_from_its_signature_and_docstring() -> None:
    declared = function_tool(get_weather).as_wire()
    assert (declared["type"], declared["name"], declared["description"]) == (
        "function",
        "get_weather",
        "Tell the weather.",
    )
    properties = declared["parameters"]["properties"]
    assert properties["city"] == {"type": "string", "description": "The city, without its country."}
    assert properties["day"]["description"] == "The day, today where it is left out."
    assert declared["parameters"]["required"] == ["city"]


def numpy(city: str, days: int = 1) -> str:
    """Forecast.

    Parameters
    ----------
    city : str
        The city.
    days : int, optional
        How many
        days.
    """
    return city


def sphinx(city: str, days: int = 1) -> str:
    """Forecast.

    :param str city: The city.
    :param days: How many
        days.
    :returns: nothing
    """
    return city


@pytest.mark.parametrize("function", [numpy, sphinx])
def test_the_words_on_parameters_are_read_in_the_other_two_styles_too(function: Any) -> None:
    properties = function_tool(function).parameters["properties"]
    assert {name: one["description"] for name, one in properties.items()} == {
        "city": "The city.",
        "days": "How many days.",
    }


def test_annotations_choices_and_awkward_names_reach_the_declaration() -> None:
    def book(schema: Annotated[int, Field(ge=1, description="Seats.")], copy: Literal["a", "b"] = "a") -> str:
        return f"{schema}{copy}"

    parameters = function_tool(book).parameters
    assert parameters["properties"]["schema"] == {"type": "integer", "minimum": 1, "description": "Seats."}
    assert parameters["properties"]["copy"]["enum"] == ["a", "b"]


def test_a_function_without_parameters_takes_an_empty_object() -> None:
    def now() -> str:
        return "now"

    assert function_tool(now).parameters == {"type": "object", "properties": {}}


@pytest.mark.parametrize(
    ("call", "message"),
    [(lambda city: city, "no name"), (lambda *cities: cities, "no name"), (print, "cannot be given by name")],
)
def test_what_cannot_be_declared_is_refused(call: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        function_tool(call)


def test_two_functions_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match="two functions are called"):
        run(Emulator(answers=["x"]), get_weather, function_tool(numpy, name="get_weather"))


@BOTH
@KEPT
def test_a_function_is_called_and_its_result_told(dialect: Any, store: bool) -> None:
    emulator = Emulator(dialect=dialect)
    done = run(emulator, get_weather, dialect=dialect, store=store)
    assert [(result.call.arguments, result.value) for result in done.results] == [
        ({"city": "Paris"}, "Paris is sunny on this day")
    ]
    assert "Paris is sunny on this day" in done.text
    assert (done.interaction.status, len(done.interactions)) == ("completed", 2)
    second = emulator.requests[1].body
    assert ("previous_interaction_id" in second) == store
    assert second["tools"] == emulator.requests[0].body["tools"]
    assert all(seen.status == 200 for seen in emulator.requests)


@BOTH
def test_a_stateless_history_brings_thoughts_and_calls_back_as_they_came(dialect: Any) -> None:
    emulator = Emulator(dialect=dialect, answers=[Calls(("get_weather", {"city": "Rome", "day": None})), "sunny"])
    done = run(emulator, get_weather, dialect=dialect)
    sent = emulator.requests[1].body["input"]
    items = sent if dialect == "steps" else [one for turn in sent for one in turn["content"]]
    came = [step for step in done.interactions[0].steps if step["type"] in ("thought", "function_call")]
    assert [one for one in items if one["type"] in ("thought", "function_call")] == came
    assert [step["type"] for step in came] == ["thought", "function_call"]
    assert came[0]["signature"]


@BOTH
@KEPT
def test_parallel_calls_are_answered_together_in_their_order(dialect: Any, store: bool) -> None:
    calls = Calls(("get_weather", {"city": "Rome"}), ("get_weather", {"city": "Oslo", "day": "2026-01-02"}))
    done = run(Emulator(dialect=dialect, answers=[calls, "both"]), get_weather, dialect=dialect, store=store)
    assert [result.value for result in done.results] == ["Rome is sunny on this day", "Oslo is sunny on 2026-01-02"]
    assert (done.text, len(done.interactions)) == ("both", 2)


@KEPT
def test_calls_may_follow_upon_results(store: bool) -> None:
    script = [Calls(("get_weather", {"city": "A"})), Calls(("get_weather", {"city": "B"})), "end"]
    emulator = Emulator(answers=script)
    done = run(emulator, get_weather, store=store)
    assert [result.call.arguments["city"] for result in done.results] == ["A", "B"]
    assert (done.text, len(emulator.requests)) == ("end", 3)
    assert done.usage is not None
    assert done.usage.total == sum(one.usage.total for one in done.interactions if one.usage)


def test_the_rounds_are_bounded() -> None:
    emulator = Emulator(answers=lambda _: Calls(("get_weather", {"city": "A"})))
    with pytest.raises(Unfinished, match="after 2 rounds: get_weather"):
        run(emulator, get_weather, max_rounds=2)
    assert len(emulator.requests) == 3


def failing(city: str) -> str:
    raise LookupError(f"no such city: {city}")


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("failing", {"city": "X"}, "LookupError: no such city: X"),
        ("get_weather", {"town": "X"}, "city: Field required"),
        ("get_weather", {"city": "X", "day": "soon"}, "day: Input should be a valid date"),
        ("get_wether", {"city": "X"}, "there is no function 'get_wether'"),
    ],
)
def test_what_goes_wrong_in_a_call_is_told_to_the_model(name: str, arguments: dict[str, Any], message: str) -> None:
    emulator = Emulator(answers=[Calls((name, arguments)), "sorry"])
    done = run(emulator, get_weather, failing)
    sent = emulator.requests[1].body["input"][-1]
    assert (sent["is_error"], sent["name"], done.text) == (True, name, "sorry")
    assert message in sent["result"]


class Report(BaseModel):
    day: date
    degrees: float


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        ("text", "text"),
        (Report(day=date(2026, 1, 2), degrees=1.5), {"day": "2026-01-02", "degrees": 1.5}),
        ([1, 2], {"result": [1, 2]}),
        (None, {"result": None}),
        (float("inf"), {"result": "Infinity"}),
        (TextPart("part"), [{"type": "text", "text": "part"}]),
    ],
)
def test_a_result_of_any_kind_has_a_form_on_the_wire(value: Any, sent: Any) -> None:
    def look_up() -> Any:
        return value

    emulator = Emulator(answers=[Calls(("look_up", {})), "ok"])
    assert run(emulator, look_up).text == "ok"
    assert emulator.requests[1].body["input"][-1]["result"] == sent


async def test_async_functions_of_one_round_run_at_once() -> None:
    together = asyncio.Barrier(2)

    async def meet(name: str) -> str:
        await asyncio.wait_for(together.wait(), timeout=5)
        return name

    emulator = Emulator(answers=[Calls(("meet", {"name": "a"}), ("meet", {"name": "b"}), ("get_weather", {})), "met"])
    async with AsyncClient("key", transport=emulator.transport) as client:
        request = Request(model=MODEL, input="meet")
        done = await run_tools_async(client, request, [meet, get_weather])
    assert [(result.value, result.is_error) for result in done.results[:2]] == [("a", False), ("b", False)]
    assert (done.results[2].is_error, done.text) == (True, "met")


def test_an_async_function_needs_an_async_client() -> None:
    async def wait() -> None: ...

    with pytest.raises(ConfigError, match="AsyncClient"):
        run(Emulator(answers=[Calls(("wait", {}))]), wait)


def test_a_declared_function_can_be_hashed_and_pickled() -> None:
    tool = function_tool(get_weather)
    assert hash(tool) == hash(function_tool(get_weather))
    assert pickle.loads(pickle.dumps(tool)) == tool
    assert isinstance(tool, Function)


TYPED = [
    (GoogleSearch(), {"type": "google_search"}),
    (CodeExecution(), {"type": "code_execution"}),
    (UrlContext(), {"type": "url_context"}),
    (
        FileSearch(file_search_store_names=("fileSearchStores/a",), top_k=3),
        {"type": "file_search", "file_search_store_names": ["fileSearchStores/a"], "top_k": 3},
    ),
    (
        McpServer(url="https://example.com/mcp", name="m"),
        {"type": "mcp_server", "url": "https://example.com/mcp", "name": "m"},
    ),
    (ComputerUse(), {"type": "computer_use", "environment": "browser"}),
]


@BOTH
@pytest.mark.parametrize(("tool", "wire"), TYPED)
def test_a_built_in_tool_is_taken_in_both_dialects(tool: Any, wire: dict[str, Any], dialect: Any) -> None:
    emulator = Emulator(dialect=dialect, answers=["ok"])
    with client_of(emulator, dialect) as client:
        assert client.create(Request(model=MODEL, input="hi", tools=(tool,))).text == "ok"
    assert emulator.requests[0].body["tools"] == [wire]


@pytest.mark.parametrize("tool", [GoogleMaps(latitude=1.5), GoogleSearch(search_types=("image_search",))])
def test_what_the_first_dialect_had_not_is_refused_there(tool: Any) -> None:
    assert tool.as_wire("steps")["type"] == tool.TYPE
    with pytest.raises(ConfigError, match="outputs dialect has no"):
        tool.as_wire("outputs")


def test_an_unknown_tool_goes_as_it_is() -> None:
    emulator = Emulator(answers=["ok"], strict=False)
    tool = {"type": "telepathy", "range": 3}
    with client_of(emulator) as client:
        client.create(Request(model=MODEL, input="hi", tools=(tool,)))
    assert emulator.requests[0].body["tools"] == [tool]


def test_secrets_for_a_server_do_not_show() -> None:
    assert "hush" not in repr(McpServer(url="https://example.com/mcp", headers={"authorization": "hush"}))


@BOTH
def test_evidence_names_tools_and_sources(dialect: Any) -> None:
    emulator = Emulator(dialect=dialect, answers=["Grüße", "read"])
    with client_of(emulator, dialect) as client:
        searched = client.create(Request(model=MODEL, input="Who won?", tools=(GoogleSearch(),)))
        read = client.create(Request(model=MODEL, input="Read https://example.com/a.", tools=(UrlContext(),)))
    evidence = evidence_of(searched)
    assert (evidence.tools, [citation.text for citation in evidence.citations]) == (("google_search",), ["Grüße"])
    assert evidence_of(read).pages == ("https://example.com/a",)


def test_an_answer_that_was_to_be_grounded_and_has_no_source_shows_it() -> None:
    output = {"type": "model_output", "content": [{"type": "text", "text": "I just know"}]}
    with client_of(Emulator(answers=[Steps(output)])) as client:
        answer = client.create(Request(model=MODEL, input="Who won?", tools=(GoogleSearch(),)))
    assert looks_up([GoogleSearch()])
    assert looks_up([{"type": "google_search"}])
    assert not looks_up([CodeExecution(), {"type": "function", "name": "f"}])
    assert not evidence_of(answer)


def test_a_call_with_arguments_that_cannot_be_read_is_answered_and_not_carried_out() -> None:
    called = []

    def erase(path: str = "/") -> str:
        called.append(path)
        return "erased"

    functions = functions_of([erase])
    steps = [
        {"type": "function_call", "id": str(number), "name": "erase", "arguments": arguments}
        for number, arguments in enumerate(['{"path": "a"}', '{"path": "b', ["c"], 7, "null", {"path": "d"}])
    ]
    calls = Interaction(status="requires_action", steps=tuple(steps)).calls
    results = call_functions(calls, functions)
    assert [result.is_error for result in results] == [False, True, True, True, True, False]
    assert called == ["a", "d"]
    assert 'must be a JSON object, not \'{"path": "b\'' in results[1].value


def test_a_call_that_has_its_result_already_is_not_carried_out_again() -> None:
    steps: tuple[dict[str, Any], ...] = (
        {"type": "function_call", "id": "1", "name": "look_up", "arguments": {}},
        {"type": "function_result", "call_id": "1", "name": "look_up", "result": "done"},
        {"type": "function_call", "id": "2", "name": "look_up"},
    )
    waiting = Interaction(status="completed", steps=steps)
    assert [call.id for call in waiting.calls] == ["2"]
    assert wants_results(waiting)
    assert not wants_results(Interaction(status="completed", steps=steps[:2]))


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    "value",
    ["\ud800", object(), {"a": ["\ud800"]}, Mute(), ValueError("\udfff")],
    ids=["half_a_character", "object", "half_in_a_list", "mute", "half_in_an_error"],
)
def test_a_result_that_cannot_be_sent_is_told_as_an_error(value: Any) -> None:
    def look_up() -> Any:
        if isinstance(value, Exception):
            raise value
        return value

    emulator = Emulator(answers=[Calls(("look_up", {})), "sorry"])
    assert run(emulator, look_up).text == "sorry"
    assert emulator.requests[1].body["input"][-1]["is_error"] is True


def test_text_among_media_goes_out_as_parts() -> None:
    def look_up() -> Any:
        return ["caption", MediaPart(kind="image", mime_type="image/png", data=b"x")]

    emulator = Emulator(answers=[Calls(("look_up", {})), "ok"])
    run(emulator, look_up)
    assert emulator.requests[1].body["input"][-1]["result"] == [
        {"type": "text", "text": "caption"},
        {"type": "image", "mime_type": "image/png", "data": "eA=="},
    ]


async def test_what_a_plain_function_returns_to_await_is_awaited() -> None:
    async def inner(city: str) -> str:
        return city

    def wrapped(city: str) -> Any:
        return inner(city)

    request = Request(model=MODEL, input="go")
    answers = [Calls(("wrapped", {"city": "Ulm"})), "ok"]
    async with AsyncClient("key", transport=Emulator(answers=answers).transport) as client:
        done = await run_tools_async(client, request, [wrapped])
    assert done.results[0].value == "Ulm"
    with pytest.raises(ConfigError, match="AsyncClient"):
        run(Emulator(answers=answers), wrapped)


def test_a_callable_that_cannot_be_hashed_is_declared_and_called() -> None:
    class Look:
        __hash__ = None  # type: ignore[assignment]  # how Python itself marks what has no hash

        def __call__(self, city: str) -> str:
            return city

    emulator = Emulator(answers=[Calls(("look", {"city": "Ulm"})), "ok"])
    assert run(emulator, function_tool(Look(), name="look")).results[0].value == "Ulm"
