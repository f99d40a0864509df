"""The tools that the service runs itself, as typed values, and the evidence that an answer has from them.

A tool that is not here is given as an object: `tools=({"type": "retrieval", ...},)`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal

from extract.errors import ConfigError
from extract.interactions.citations import Citation
from extract.interactions.interaction import Interaction
from extract.interactions.requests import Tool
from extract.json_types import JsonObject

__all__ = [
    "CodeExecution",
    "ComputerUse",
    "Evidence",
    "FileSearch",
    "GoogleMaps",
    "GoogleSearch",
    "McpServer",
    "ToolSearch",
    "UrlContext",
    "evidence_of",
    "looks_up",
]

_GROUNDING = ("google_search", "url_context", "file_search", "google_maps", "retrieval")
"""The tools that look something up; the others compute or act."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _BuiltIn:
    """A tool whose fields are those of the wire. `FIRST_FORM` names those of the `outputs` dialect."""

    TYPE: ClassVar[str]
    FIRST_FORM: ClassVar[frozenset[str] | None] = frozenset()

    def as_wire(self, dialect: str) -> JsonObject:
        """Return the tool as an object; ConfigError for what the dialect lacks."""
        chosen = {item.name: getattr(self, item.name) for item in fields(self)}
        options = {name: _plain(value) for name, value in chosen.items() if value is not None and value not in ((), {})}
        if dialect == "outputs" and (self.FIRST_FORM is None or not options.keys() <= self.FIRST_FORM):
            what = ", ".join(sorted(options.keys() - (self.FIRST_FORM or frozenset()))) or "such tool"
            raise ConfigError(f"the outputs dialect has no {what} ({self.TYPE}): leave it out, or use dialect 'steps'")
        return {"type": self.TYPE} | options


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else dict(value) if isinstance(value, Mapping) else value


@dataclass(frozen=True, slots=True, kw_only=True)
class GoogleSearch(_BuiltIn):
    """Search the web. `search_types`: `web_search`, `image_search`, `enterprise_web_search`.

    >>> request = Request(model="gemini-3.8-flash", input="Who won?", tools=(GoogleSearch(),))
    >>> evidence_of(offline_client().create(request)).tools
    ('google_search',)
    """

    TYPE: ClassVar[str] = "google_search"
    search_types: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeExecution(_BuiltIn):
    """Write and run code on the service's machines.

    >>> Request(model="gemini-3.8-flash", input="What is 2**100?", tools=(CodeExecution(),)).tools
    (CodeExecution(),)
    """

    TYPE: ClassVar[str] = "code_execution"


@dataclass(frozen=True, slots=True, kw_only=True)
class UrlContext(_BuiltIn):
    """Read the pages whose URLs stand in the input.

    >>> Request(model="gemini-3.8-flash", input="Sum up https://example.com", tools=(UrlContext(),)).tools
    (UrlContext(),)
    """

    TYPE: ClassVar[str] = "url_context"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSearch(_BuiltIn):
    """Search stores of files that were filled before.

    >>> FileSearch(file_search_store_names=("fileSearchStores/manuals",), top_k=5).as_wire("steps")["top_k"]
    5
    """

    TYPE: ClassVar[str] = "file_search"
    FIRST_FORM: ClassVar[frozenset[str] | None] = frozenset({"file_search_store_names", "metadata_filter", "top_k"})
    file_search_store_names: tuple[str, ...]
    metadata_filter: str | None = None
    top_k: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GoogleMaps(_BuiltIn):
    """Look up places, near a point where one is given.

    >>> GoogleMaps(latitude=50.73, longitude=7.1).as_wire("steps")
    {'type': 'google_maps', 'latitude': 50.73, 'longitude': 7.1}
    """

    TYPE: ClassVar[str] = "google_maps"
    FIRST_FORM: ClassVar[frozenset[str] | None] = None
    latitude: float | None = None
    longitude: float | None = None
    enable_widget: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class McpServer(_BuiltIn):
    """Let the service call the tools of a remote MCP server. `headers` may hold secrets and are not shown.

    With `defer_loading` the model loads them when it needs them: see `ToolSearch`.

    >>> McpServer(url="https://example.com/mcp", headers={"authorization": "Bearer secret"})
    McpServer(url='https://example.com/mcp', name=None)
    """

    TYPE: ClassVar[str] = "mcp_server"
    FIRST_FORM: ClassVar[frozenset[str] | None] = frozenset({"name", "url", "headers", "allowed_tools"})
    url: str
    name: str | None = None
    headers: Mapping[str, str] | None = None
    allowed_tools: tuple[Mapping[str, Any], ...] = ()
    defer_loading: bool | None = None

    def __repr__(self) -> str:
        return f"McpServer(url={self.url!r}, name={self.name!r})"


@dataclass(frozen=True, slots=True, kw_only=True)
class ComputerUse(_BuiltIn):
    """Let the model click and type. Its actions come as function calls, which the caller carries out.

    >>> ComputerUse(environment="browser").as_wire("steps")
    {'type': 'computer_use', 'environment': 'browser'}
    """

    TYPE: ClassVar[str] = "computer_use"
    FIRST_FORM: ClassVar[frozenset[str] | None] = frozenset({"environment"})
    environment: Literal["browser", "mobile", "desktop"] | str = "browser"
    excluded_predefined_functions: tuple[str, ...] = ()
    disabled_safety_policies: tuple[str, ...] = ()
    enable_prompt_injection_detection: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSearch(_BuiltIn):
    """Let the model load the tools with `defer_loading` when it needs them: the fewer parameters are sent, the cheaper.

    By default the service does it within the request. With `execution="client"` the model calls a function of this
    `name`, and you answer with the declarations of those it may use; then `name` is needed, and the request goes
    through `create`.

    >>> def get_weather(city: str) -> str:
    ...     return "sunny"
    >>> tools = (function_tool(get_weather, defer_loading=True), ToolSearch())
    >>> request = Request(model="gemini-4-argon", input="Get the weather in Bonn.", tools=tools)
    >>> [step["type"] for step in offline_client().create(request).steps]
    ['thought', 'tool_search_call', 'tool_search_result', 'function_call']
    """

    TYPE: ClassVar[str] = "tool_search"
    FIRST_FORM: ClassVar[frozenset[str] | None] = None
    execution: Literal["server", "client"] | None = None
    name: str | None = None
    description: str | None = None
    parameters: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        if self.execution == "client" and not self.name:
            raise ConfigError("ToolSearch(execution='client') needs a name: the model calls it like a function")
        if self.execution != "client" and (self.name or self.description or self.parameters):
            raise ConfigError("name, description and parameters go with ToolSearch(execution='client')")


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What an answer rests on: the built-in tools that were used, the citations, the pages that could be read.

    >>> bool(Evidence(tools=("google_search",))), bool(Evidence(pages=("https://example.com",)))
    (False, True)
    """

    tools: tuple[str, ...] = ()
    citations: tuple[Citation, ...] = ()
    pages: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """True where there is a source; the use of a tool alone is none."""
        return bool(self.citations or self.pages)


def evidence_of(interaction: Interaction) -> Evidence:
    """Return the evidence for an answer. Unknown shapes are skipped.

    >>> step = {"type": "url_context_result", "result": [{"status": "success", "url": "https://example.com"}]}
    >>> evidence_of(Interaction(status="completed", steps=(step,))).pages
    ('https://example.com',)
    """
    used = dict.fromkeys(
        str(step["type"]).removesuffix("_call").removesuffix("_tool")
        for step in interaction.answer
        if str(step.get("type")).endswith("_call") and step["type"] != "function_call"
    )
    return Evidence(tools=tuple(used), citations=interaction.citations, pages=tuple(_pages(interaction.answer)))


def _pages(steps: Iterable[JsonObject]) -> Iterable[str]:
    for step in steps:
        result = step.get("result")
        if step.get("type") != "url_context_result" or not isinstance(result, list):
            continue
        for page in result:
            if isinstance(page, dict) and page.get("status") == "success" and isinstance(page.get("url"), str):
                yield page["url"]


def looks_up(tools: Iterable[Tool]) -> bool:
    """Return True where one of the tools finds sources for an answer."""
    types = {tool.get("type") if isinstance(tool, Mapping) else getattr(tool, "TYPE", None) for tool in tools}
    return not types.isdisjoint(_GROUNDING)
