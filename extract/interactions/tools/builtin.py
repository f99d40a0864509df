"""The tools that the service runs itself, as typed values, and what evidence an answer brought from them.

A tool that is not here goes as an object of the API's own: `tools=({"type": "retrieval", ...},)`.
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
    "UrlContext",
    "evidence_of",
    "looks_up",
]

_GROUNDING = ("google_search", "url_context", "file_search", "google_maps", "retrieval")
"""The tools that look something up; the others compute or act."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _BuiltIn:
    """A tool whose fields are those of the wire. `FIRST_FORM` are those that the `outputs` dialect had."""

    TYPE: ClassVar[str]
    FIRST_FORM: ClassVar[frozenset[str] | None] = frozenset()

    def as_wire(self, dialect: str) -> JsonObject:
        """Return the tool as an object; ConfigError for what the dialect has not."""
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
    """Search the web. `search_types`: `web_search`, `image_search`, `enterprise_web_search`."""

    TYPE: ClassVar[str] = "google_search"
    search_types: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeExecution(_BuiltIn):
    """Write and run code on the service's machines."""

    TYPE: ClassVar[str] = "code_execution"


@dataclass(frozen=True, slots=True, kw_only=True)
class UrlContext(_BuiltIn):
    """Read the pages whose addresses stand in the input."""

    TYPE: ClassVar[str] = "url_context"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSearch(_BuiltIn):
    """Look up files in stores that were filled before."""

    TYPE: ClassVar[str] = "file_search"
    FIRST_FORM: ClassVar[frozenset[str] | None] = frozenset({"file_search_store_names", "metadata_filter", "top_k"})
    file_search_store_names: tuple[str, ...]
    metadata_filter: str | None = None
    top_k: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GoogleMaps(_BuiltIn):
    """Look up places, near a point where one is given."""

    TYPE: ClassVar[str] = "google_maps"
    FIRST_FORM: ClassVar[frozenset[str] | None] = None
    latitude: float | None = None
    longitude: float | None = None
    enable_widget: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class McpServer(_BuiltIn):
    """Let the service call the tools of a remote MCP server. `headers` may hold secrets and are not shown."""

    TYPE: ClassVar[str] = "mcp_server"
    FIRST_FORM: ClassVar[frozenset[str] | None] = frozenset({"name", "url", "headers", "allowed_tools"})
    url: str
    name: str | None = None
    headers: Mapping[str, str] | None = None
    allowed_tools: tuple[Mapping[str, Any], ...] = ()

    def __repr__(self) -> str:
        return f"McpServer(url={self.url!r}, name={self.name!r})"


@dataclass(frozen=True, slots=True, kw_only=True)
class ComputerUse(_BuiltIn):
    """Let the model click and type. What it wants done comes as function calls, which the caller carries out."""

    TYPE: ClassVar[str] = "computer_use"
    FIRST_FORM: ClassVar[frozenset[str] | None] = frozenset({"environment"})
    environment: Literal["browser", "mobile", "desktop"] | str = "browser"
    excluded_predefined_functions: tuple[str, ...] = ()
    enable_prompt_injection_detection: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What an answer rests on: the built-in tools that were used, the citations, the pages that could be read."""

    tools: tuple[str, ...] = ()
    citations: tuple[Citation, ...] = ()
    pages: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """True where there is a source; that a tool was used is none."""
        return bool(self.citations or self.pages)


def evidence_of(interaction: Interaction) -> Evidence:
    """Return the evidence for an answer. Shapes that are not known are passed over."""
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
