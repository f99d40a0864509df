"""The model's calls of functions and built-in tools, and the media it makes.

Nothing is searched, fetched or run: calls and results have the form of real ones, and name themselves emulated.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from extract.emulator.conversation import mapping, objects
from extract.emulator.history import open_calls
from extract.emulator.sample_media import sample_media
from extract.json_types import JsonObject

__all__ = [
    "Calls",
    "Steps",
    "ToolContext",
    "annotations_for",
    "choose_functions",
    "load_functions",
    "read_tool_context",
    "tool_steps",
    "without_gaps",
]

MakeId = Callable[[str], str]

WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
URL = re.compile(r"https?://[^\s<>\"')\]]+")
PROPER = re.compile(r"(?<=[\w,] )[A-Z][\w-]*(?: [A-Z][\w-]*)*")
COMMON = frozenset(
    (
        "a",
        "an",
        "the",
        "of",
        "for",
        "to",
        "in",
        "on",
        "at",
        "and",
        "or",
        "by",
        "with",
        "from",
        "is",
        "are",
        "get",
        "set",
        "find",
        "fetch",
        "make",
        "do",
        "run",
        "call",
        "list",
        "look",
        "up",
        "given",
        "this",
        "that",
        "it",
        "what",
        "which",
        "who",
        "how",
        "please",
    )
)
MAX_QUERY_LENGTH = 80
UNREACHABLE_HOSTS = (".invalid", ".test")
NOTE = "emulated: nothing was searched, fetched or run"


class Calls:
    """A scripted answer that calls functions, all at once.

    Emulator(answers=[Calls(("get_weather", {"location": "Paris"})), "It is sunny in Paris."])
    """

    def __init__(self, *calls: tuple[str, JsonObject]) -> None:
        self.calls = calls


class Steps:
    """A scripted answer as the steps of the interaction. Without `status` it follows from the calls among them.

    Emulator(answers=[Steps({"type": "model_output", "content": [{"type": "text", "text": "spam"}]})])
    """

    def __init__(self, *steps: JsonObject, status: str | None = None) -> None:
        self.steps = steps
        self.status: str = status or ("requires_action" if open_calls(steps) else "completed")


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolContext:
    """The tools of a request, the latest results of functions, the media to make, and the user's latest text.

    `results` are pairs of a function's name and its result as text. `forced` tells whether a function must be called.
    """

    tools: tuple[JsonObject, ...] = ()
    results: tuple[tuple[str, str], ...] = ()
    newest: str = ""
    forced: bool = False
    media: tuple[JsonObject, ...] = ()
    only_media: bool = False
    summaries: bool = False

    @property
    def functions(self) -> tuple[JsonObject, ...]:
        return tuple(tool for tool in self.tools if tool.get("type") == "function")


def read_tool_context(body: JsonObject, steps: Sequence[JsonObject], waiting: dict[str, JsonObject]) -> ToolContext:
    """Return the tools and results of `body`. `steps` is its input, `waiting` the open calls of its stored parent."""
    generation = mapping(body.get("generation_config"))
    mode, allowed = tool_choice(generation.get("tool_choice"))
    tools = objects(body.get("tools")) or agent_tools(body)
    if mode == "none":
        tools = []
    if allowed is not None:
        tools = [tool for tool in tools if tool.get("type") != "function" or tool.get("name") in allowed]
    kinds = media_kinds(body)
    names = {name: str(call.get("name")) for name, call in (waiting | calls_in(steps)).items()}
    return ToolContext(
        tools=tuple(tools),
        results=tuple(newest_results(steps, names)),
        newest=newest_text(steps),
        forced=mode == "any",
        media=tuple(content for kind in kinds if (content := sample_media(kind)) is not None),
        only_media=bool(kinds) and "text" not in kinds,
        summaries=generation.get("thinking_summaries") == "auto",
    )


def agent_tools(body: JsonObject) -> list[JsonObject]:
    """Return the tools that an agent has by itself: research agents search."""
    return [{"type": "google_search"}] if str(body.get("agent", "")).startswith("deep-research") else []


def tool_choice(value: Any) -> tuple[str, list[Any] | None]:
    """Return the mode of a `tool_choice`, and the names of the functions it allows, None where it allows all."""
    if isinstance(value, dict):
        allowed = mapping(value.get("allowed_tools"))
        names = allowed.get("tools")
        return str(allowed.get("mode", "auto")), names if isinstance(names, list) else None
    return (value if isinstance(value, str) else "auto"), None


def strings(value: Any) -> list[str]:
    """Return the strings in `value` where it is a list, else none."""
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def media_kinds(body: JsonObject) -> tuple[str, ...]:
    """Return the kinds of output that `body` names, () where it names none."""
    wanted = body.get("response_format")
    entries = objects(wanted if isinstance(wanted, list) else [wanted])
    kinds = [one["type"] for one in entries if one.get("type") in ("text", "image", "audio")]
    if any(kind != "text" for kind in kinds):
        return tuple(kinds)
    modalities = body.get("response_modalities")
    return tuple(str(one).lower() for one in modalities) if isinstance(modalities, list) else ()


def calls_in(steps: Iterable[JsonObject]) -> dict[str, JsonObject]:
    return {str(step.get("id")): step for step in steps if step.get("type") == "function_call"}


def newest_results(steps: Sequence[JsonObject], names: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the results at the end of an input, by the name of their function."""
    ending = list(takewhile(lambda step: step.get("type") == "function_result", reversed(steps)))
    for step in reversed(ending):
        name = step.get("name") or names.get(str(step.get("call_id")), "function")
        text = as_text(step.get("result"))
        yield str(name), f"error: {text}" if step.get("is_error") else text


def as_text(result: Any) -> str:
    """Return a function's result as lines of text."""
    if isinstance(result, str):
        return result
    if isinstance(result, dict):
        if isinstance(result.get("items"), list):
            return as_text(result["items"])
        return "\n".join(f"{name}: {as_text(value)}" for name, value in result.items())
    if isinstance(result, list):
        return "\n".join(
            str(one["text"]) if isinstance(one, dict) and "text" in one else as_text(one) for one in result
        )
    return json.dumps(result)


def newest_text(steps: Sequence[JsonObject]) -> str:
    """Return the user's latest text."""
    for step in reversed(steps):
        if step.get("type") == "user_input":
            return "\n".join(str(one.get("text", "")) for one in objects(step.get("content")))
    return ""


def choose_functions(context: ToolContext) -> tuple[JsonObject, ...]:
    """Return the functions that the user's latest text needs: those whose name or description shares words with it.

    After results the model answers in text. Where a call is forced and no function fits, it is the first one.
    """
    if context.results or not context.functions:
        return ()
    requested = words(context.newest)
    chosen = tuple(tool for tool in context.functions if fits(requested, tool))
    return chosen or (context.functions[:1] if context.forced else ())


def load_functions(context: ToolContext, called: Iterable[str], make_id: MakeId) -> Iterator[JsonObject]:
    """Yield the search for those of the called functions whose loading was deferred, and its result."""
    searched = any(tool.get("type") == "tool_search" and tool.get("execution") != "client" for tool in context.tools)
    wanted = set(called)
    deferred = [tool for tool in context.functions if tool.get("defer_loading") and tool.get("name") in wanted]
    if searched and deferred:
        identity = make_id("call_")
        names = {"function_names": [tool["name"] for tool in deferred]}
        yield {"type": "tool_search_call", "id": identity, "arguments": names}
        yield {"type": "tool_search_result", "call_id": identity, "result": deferred}


def fits(requested: frozenset[str], tool: JsonObject) -> bool:
    # Descriptions are prose: one word in common is chance.
    described = words(str(tool.get("description", "")))
    return bool(requested & words(str(tool.get("name", "")))) or len(requested & described) > 1


def words(text: str) -> frozenset[str]:
    """Return the words of a text or a name that are not common ones, without a plural's `s`."""
    lowered = (word.lower() for word in WORD.findall(text))
    return frozenset(word.removesuffix("s") for word in lowered if word not in COMMON)


def without_gaps(arguments: Any, parameters: JsonObject, text: str) -> JsonObject:
    """Return arguments with empty strings and lists filled from the proper names in `text`."""
    names = [name for name in PROPER.findall(text) if name.lower() not in COMMON]
    filled: JsonObject = {}
    required = strings(parameters.get("required"))
    for name, value in arguments.items() if isinstance(arguments, dict) else ():
        schema = mapping(mapping(parameters.get("properties")).get(name))
        if value == "" and name in required and "enum" not in schema:
            value = names[0] if names else text
        elif value == [] and mapping(schema.get("items")).get("type") == "string":
            value = names
        if value is not None:
            filled[name] = value
    return filled


def tool_steps(context: ToolContext, make_id: MakeId) -> Iterator[JsonObject]:
    """Yield call and result of each built-in tool that the model uses."""
    for tool in context.tools:
        use = BUILT_IN.get(str(tool.get("type")))
        for call, result in use(tool, context) if use else ():
            identity = make_id("call_")
            kind = call.pop("type")
            yield {"type": f"{kind}_call", "id": identity} | call
            yield {"type": f"{kind}_result", "call_id": identity} | result


ToolExchange = Iterator[tuple[JsonObject, JsonObject]]


def search(tool: JsonObject, context: ToolContext) -> ToolExchange:
    kinds = tool.get("search_types")
    call: JsonObject = {"type": "google_search", "arguments": {"queries": [context.newest[:MAX_QUERY_LENGTH]]}}
    if isinstance(kinds, list) and kinds:
        call["search_type"] = kinds[0]
    yield call, {"result": [{"search_suggestions": f"<div>{NOTE}</div>"}]}


def fetch(tool: JsonObject, context: ToolContext) -> ToolExchange:  # noqa: ARG001 - every tool has this signature
    urls = [url.rstrip(".,;:!?") for url in URL.findall(context.newest)]
    if urls:
        result = [{"url": url, "status": "error" if is_unreachable(url) else "success"} for url in urls]
        yield {"type": "url_context", "arguments": {"urls": urls}}, {"result": result}


def is_unreachable(url: str) -> bool:
    """Return whether the host of a URL is one that never exists."""
    return url.split("/")[2].partition(":")[0].endswith(UNREACHABLE_HOSTS)


def compute(tool: JsonObject, context: ToolContext) -> ToolExchange:  # noqa: ARG001 - every tool has this signature
    call = {"type": "code_execution", "arguments": {"language": "python", "code": f"print({NOTE!r})"}}
    yield call, {"result": f"{NOTE}\n", "is_error": False}


def look_up_files(tool: JsonObject, context: ToolContext) -> ToolExchange:  # noqa: ARG001 - every tool has this signature
    yield {"type": "file_search"}, {}


def look_up_places(tool: JsonObject, context: ToolContext) -> ToolExchange:  # noqa: ARG001 - every tool has this signature
    place = {"place_id": "emulated-place", "name": NOTE, "url": "https://maps.example.com/emulated-place"}
    arguments = {"queries": [context.newest[:MAX_QUERY_LENGTH]]}
    yield {"type": "google_maps", "arguments": arguments}, {"result": [{"places": [place]}]}


def ask_server(tool: JsonObject, context: ToolContext) -> ToolExchange:
    server = str(tool.get("name", "server"))
    allowed = [name for entry in objects(tool.get("allowed_tools")) for name in strings(entry.get("tools"))]
    named = {"name": allowed[0] if allowed else "query", "server_name": server}
    call = {"type": "mcp_server_tool", "arguments": {"query": context.newest[:MAX_QUERY_LENGTH]}} | named
    yield call, {"result": NOTE} | named


BUILT_IN: dict[str, Callable[[JsonObject, ToolContext], ToolExchange]] = {
    "google_search": search,
    "url_context": fetch,
    "code_execution": compute,
    "file_search": look_up_files,
    "google_maps": look_up_places,
    "mcp_server": ask_server,
}


def annotations_for(steps: Iterable[JsonObject], context: ToolContext, text: str) -> Iterator[JsonObject]:
    """Yield one citation for each source in the results of tools; each spans the whole text, in bytes."""
    if not text:
        return
    span = {"start_index": 0, "end_index": len(text.encode("utf-8", "replace"))}
    for step in steps:
        for source in SOURCES.get(step["type"], lambda *_: ())(step, context):
            yield source | span


def searched(step: JsonObject, context: ToolContext) -> Iterator[JsonObject]:  # noqa: ARG001 - every source has this signature
    yield {"type": "url_citation", "url": "https://example.com/emulated-search", "title": NOTE}


def fetched(step: JsonObject, context: ToolContext) -> Iterator[JsonObject]:  # noqa: ARG001 - every source has this signature
    for one in step["result"]:
        if one["status"] == "success":
            yield {"type": "url_citation", "url": one["url"], "title": NOTE}


def filed(step: JsonObject, context: ToolContext) -> Iterator[JsonObject]:  # noqa: ARG001 - every source has this signature
    stores = [name for tool in context.tools for name in strings(tool.get("file_search_store_names"))]
    store = stores[0] if stores else "fileSearchStores/emulated"
    yield {"type": "file_citation", "document_uri": f"{store}/documents/emulated", "file_name": NOTE, "page_number": 1}


def placed(step: JsonObject, context: ToolContext) -> Iterator[JsonObject]:  # noqa: ARG001 - every source has this signature
    for result in step["result"]:
        for place in result["places"]:
            yield {"type": "place_citation"} | place


SOURCES: dict[str, Callable[[JsonObject, ToolContext], Iterator[JsonObject]]] = {
    "google_search_result": searched,
    "url_context_result": fetched,
    "file_search_result": filed,
    "google_maps_result": placed,
}
