"""Tools as users write them, plain functions and slips included, as tools that write themselves on the wire."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from extract.errors import ConfigError
from extract.interactions.tools.functions import function_tool

__all__ = ["declared"]

_NO_TUPLE = "tools takes a tuple of tools: tools=({},)"


def declared(tools: Any) -> tuple[Any, ...]:
    """Return tools with plain Python functions declared. ConfigError, with what to write, for what is no tool."""
    if isinstance(tools, str | Mapping) or callable(tools) or _is_tool(tools):
        raise ConfigError(_NO_TUPLE.format(_shown(tools)))
    if not isinstance(tools, Iterable):
        raise ConfigError(_NO_TUPLE.format("GoogleSearch()") + f"; {tools!r} is none")
    return tuple(_each(tools))


def _each(tools: Iterable[Any]) -> Iterator[Any]:
    for tool in tools:
        if isinstance(tool, str):
            raise ConfigError(f"a tool is an object, not a word: write {{'type': {tool!r}}}, or its class")
        if inspect.isclass(tool) and _is_tool(tool):
            raise ConfigError(f"{tool.__name__} is a class, and a tool is made from it: write {_shown(tool)}")
        if isinstance(tool, Mapping) or _is_tool(tool):
            yield tool
        elif callable(tool):
            yield function_tool(tool)
        else:
            raise ConfigError(
                f"a {_kind(tool)} is no tool: write GoogleSearch() and its like, a Python function, or an object as "
                "the API defines it, such as {'type': 'google_search'}"
            )


def _is_tool(tool: object) -> bool:
    return callable(getattr(tool, "as_wire", None))


def _shown(tool: Any) -> str:
    """Return how a tool is written in code: a class with brackets, a function by its name."""
    if inspect.isclass(tool):
        return f"{tool.__name__}()" if _takes_nothing(tool) else f"{tool.__name__}(...)"
    if isinstance(tool, str):
        return repr({"type": tool})
    return repr(tool) if isinstance(tool, Mapping) or _is_tool(tool) else getattr(tool, "__name__", repr(tool))


def _takes_nothing(made: Callable[..., Any]) -> bool:
    """Return whether something can be called without arguments."""
    try:
        return all(one.default is not one.empty for one in inspect.signature(made).parameters.values())
    except (TypeError, ValueError):
        return False


def _kind(value: object) -> str:
    kind = type(value)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
