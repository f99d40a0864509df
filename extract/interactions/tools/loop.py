"""The tool loop: ask, call the functions that the model wants called, send it their results, until it answers."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable
from dataclasses import dataclass, replace
from typing import Protocol

from extract.errors import ConfigError, Unfinished
from extract.interactions.http.calls import Operation
from extract.interactions.http.drivers import drive, drive_async
from extract.interactions.interaction import FunctionCall, Interaction
from extract.interactions.requests import Request
from extract.interactions.tools.functions import (
    AnyFunction,
    Function,
    FunctionResult,
    call_functions,
    call_functions_async,
    functions_of,
)
from extract.interactions.usage import Usage

__all__ = ["CallFunctions", "ToolRun", "run_tools", "run_tools_async", "tool_loop", "wants_results"]


@dataclass(frozen=True, slots=True)
class CallFunctions:
    """An order to call functions; its reply is a result for each call, in the same order."""

    calls: tuple[FunctionCall, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolRun:
    """An answer and how it came about.

    `interactions` are all that were made, the answer last; `results` are those of the functions that were called.

        >>> def get_weather(city: str) -> str:
        ...     return "sunny"
        >>> run = offline_client().run_tools(Request(model="gemini-3.8-flash", input="Weather?"), [get_weather])
        >>> [result.value for result in run.results], len(run.interactions)
        (['sunny'], 2)
    """

    interaction: Interaction
    interactions: tuple[Interaction, ...]
    results: tuple[FunctionResult, ...] = ()

    @property
    def text(self) -> str:
        return self.interaction.text

    @property
    def usage(self) -> Usage | None:
        """The tokens of all interactions; None where the service sent none for one of them."""
        total = Usage()
        for one in self.interactions:
            if one.usage is None:
                return None
            total += one.usage
        return total


def tool_loop(
    request: Request, *, max_rounds: int = 8, option: str = "most_rounds"
) -> Operation[Request | CallFunctions, ToolRun]:
    """Order requests and function calls in turn, until an answer calls none; that is the result.

    With `store` each request names the interaction before it and repeats tools, system and format, which are not
    inherited; without it every step is sent back as it came, thoughts and their signatures included. Raises
    Unfinished where the model still calls functions after `max_rounds` rounds of calls; the message names the
    `option` that sets them.
    """
    interactions, answered = list[Interaction](), list[FunctionResult]()
    while True:
        interaction: Interaction = yield request
        interactions.append(interaction)
        if not wants_results(interaction):
            return ToolRun(interaction=interaction, interactions=tuple(interactions), results=tuple(answered))
        if len(interactions) > max_rounds:
            names = ", ".join(call.name for call in interaction.calls)
            raise Unfinished(
                f"the model still calls functions after {max_rounds} rounds: {names}; raise {option}",
                status="requires_action",
            )
        results: tuple[FunctionResult, ...] = yield CallFunctions(interaction.calls)
        answered += results
        request = _next_request(request, interaction, results)


def wants_results(interaction: Interaction) -> bool:
    """Return True where an interaction has stopped at function calls and waits for their results."""
    return bool(interaction.calls) and interaction.status in ("requires_action", "completed")


def _next_request(request: Request, interaction: Interaction, results: Iterable[FunctionResult]) -> Request:
    steps = [result.as_step() for result in results]
    if request.store and interaction.id:
        return replace(request, previous_interaction_id=interaction.id, input=tuple(steps))
    return replace(request, input=(*request.turns, *interaction.steps, *steps))


class _Creates(Protocol):
    def create(self, request: Request, /) -> Interaction: ...


class _CreatesAsync(Protocol):
    def create(self, request: Request, /) -> Awaitable[Interaction]: ...


def run_tools(client: _Creates, request: Request, functions: Iterable[AnyFunction], *, max_rounds: int = 8) -> ToolRun:
    """Ask with `functions` among the tools, and call them until the model answers. Raises as `tool_loop`."""
    known = _known(request, functions)

    def perform(order: Request | CallFunctions) -> Interaction | tuple[FunctionResult, ...]:
        return client.create(order) if isinstance(order, Request) else call_functions(order.calls, known)

    return drive(tool_loop(_with_functions(request, known), max_rounds=max_rounds), perform)


async def run_tools_async(
    client: _CreatesAsync, request: Request, functions: Iterable[AnyFunction], *, max_rounds: int = 8
) -> ToolRun:
    """`run_tools` for an AsyncClient: the calls of one round run at once."""
    known = _known(request, functions)

    async def perform(order: Request | CallFunctions) -> Interaction | tuple[FunctionResult, ...]:
        if isinstance(order, Request):
            return await client.create(order)
        return await call_functions_async(order.calls, known)

    return await drive_async(tool_loop(_with_functions(request, known), max_rounds=max_rounds), perform)


def _known(request: Request, functions: Iterable[AnyFunction]) -> dict[str, Function]:
    """Return the functions that can be called: those given, and those among the request's own tools."""
    given = functions_of(functions)
    own = [tool for tool in request.declared if isinstance(tool, Function) and tool.name not in given]
    return functions_of(own) | given


def _with_functions(request: Request, functions: dict[str, Function]) -> Request:
    """Return the request with the functions among its tools; those it has already stay where they are."""
    if request.background:
        raise ConfigError(
            "functions are called while the client waits: a request with functions takes no background=True"
        )
    declared = [tool.name for tool in request.declared if isinstance(tool, Function)]
    added = [one for name, one in functions.items() if name not in declared]
    return replace(request, tools=(*request.declared, *added))
