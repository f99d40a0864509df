"""Ask, call the functions that the model wants called, tell it what came of them, until it answers."""

from __future__ import annotations

from collections.abc import Awaitable, Generator, Iterable
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeAlias

from extract.errors import ConfigError, Unfinished
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
    """An order to call functions; its reply is a result for each call, in their order."""

    calls: tuple[FunctionCall, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolRun:
    """An answer and the way to it. `interactions` are all that were made, the answer last."""

    interaction: Interaction
    interactions: tuple[Interaction, ...]
    results: tuple[FunctionResult, ...] = ()

    @property
    def text(self) -> str:
        return self.interaction.text

    @property
    def usage(self) -> Usage | None:
        """The tokens of all interactions; None where one of them told none."""
        total = Usage()
        for one in self.interactions:
            if one.usage is None:
                return None
            total += one.usage
        return total


ToolLoop: TypeAlias = Generator[Request | CallFunctions, Any, ToolRun]


def tool_loop(request: Request, *, most_rounds: int = 8) -> ToolLoop:
    """Order requests and function calls in turn, until an answer calls none; that is the result.

    With `store` each request names the interaction before it and says tools, system and format again, which are not
    inherited; without it every step that came is sent back as it came, thoughts and their signatures included. Raises
    Unfinished where the model still calls functions after `most_rounds` rounds of calls.
    """
    asked, interactions, answered = request, list[Interaction](), list[FunctionResult]()
    while True:
        interaction: Interaction = yield asked
        interactions.append(interaction)
        if not wants_results(interaction):
            return ToolRun(interaction=interaction, interactions=tuple(interactions), results=tuple(answered))
        if len(interactions) > most_rounds:
            names = ", ".join(call.name for call in interaction.calls)
            raise Unfinished(
                f"the model still calls functions after {most_rounds} rounds: {names}", status="requires_action"
            )
        results: tuple[FunctionResult, ...] = yield CallFunctions(interaction.calls)
        answered += results
        asked = _next_request(asked, interaction, results)


def wants_results(interaction: Interaction) -> bool:
    """Return True where an interaction stops at function calls that are to be answered."""
    return bool(interaction.calls) and interaction.status in ("requires_action", "completed")


def _next_request(asked: Request, interaction: Interaction, results: Iterable[FunctionResult]) -> Request:
    steps = [result.as_step() for result in results]
    if asked.store and interaction.id:
        return replace(asked, previous_interaction_id=interaction.id, input=tuple(steps))
    return replace(asked, input=(*asked.turns, *interaction.steps, *steps))


class _Creates(Protocol):
    def create(self, request: Request, /) -> Interaction: ...


class _CreatesAsync(Protocol):
    def create(self, request: Request, /) -> Awaitable[Interaction]: ...


def run_tools(client: _Creates, request: Request, functions: Iterable[AnyFunction], *, most_rounds: int = 8) -> ToolRun:
    """Ask with `functions` among the tools, and call them until the model answers. Raises as `tool_loop`."""
    known = functions_of(functions)
    loop = tool_loop(_with_functions(request, known), most_rounds=most_rounds)
    reply: Any = None
    try:
        while True:
            order = loop.send(reply)
            reply = client.create(order) if isinstance(order, Request) else call_functions(order.calls, known)
    except StopIteration as end:
        run: ToolRun = end.value
        return run


async def run_tools_async(
    client: _CreatesAsync, request: Request, functions: Iterable[AnyFunction], *, most_rounds: int = 8
) -> ToolRun:
    """`run_tools` for an AsyncClient: the calls of one round run at once."""
    known = functions_of(functions)
    loop = tool_loop(_with_functions(request, known), most_rounds=most_rounds)
    reply: Any = None
    try:
        while True:
            order = loop.send(reply)
            if isinstance(order, Request):
                reply = await client.create(order)
            else:
                reply = await call_functions_async(order.calls, known)
    except StopIteration as end:
        run: ToolRun = end.value
        return run


def _with_functions(request: Request, functions: dict[str, Function]) -> Request:
    """Return the request with the functions among its tools; those that are there already stay where they are."""
    if request.background:
        raise ConfigError("functions are called while one waits: a request with tools to run takes no background=True")
    declared = [tool.name for tool in request.tools if isinstance(tool, Function)]
    return replace(request, tools=(*request.tools, *(one for name, one in functions.items() if name not in declared)))
