"""A create request as the service would check it, before any quota is spent on it."""

from __future__ import annotations

from http import HTTPStatus
from threading import Lock
from typing import Any

from pydantic_core import to_json

from extract.emulator.checks import check_create, is_plain
from extract.emulator.conversation import (
    CHARACTERS_PER_TOKEN,
    InputPrefix,
    is_action,
    mapping,
    read_prefix,
    split_input,
)
from extract.emulator.history import check_history, open_calls, steps_given
from extract.emulator.messages import refusal
from extract.emulator.models import check_known
from extract.emulator.schema_gate import SchemaGate
from extract.emulator.state import Counters, LruCache
from extract.emulator.stored import StoredInteraction
from extract.emulator.tool_use import ToolContext, read_tool_context
from extract.json_types import JsonObject

__all__ = ["NO_TOOLS", "RequestValidator"]

MAX_PREFIXES = 64
NO_TOOLS = ToolContext()
FIELDS_WITH_TOOLS = frozenset({"tools", "agent", "response_format", "response_modalities", "generation_config"})


class RequestValidator:
    """Checks create requests; without `strict` only what no answer can do without. Safe to use from several threads."""

    def __init__(self, counters: Counters, *, strict: bool, max_schema_cost: int | None) -> None:
        self._counters, self._strict = counters, strict
        self._gate = SchemaGate(max_schema_cost)
        self._prefixes: LruCache[tuple[bool, bytes], InputPrefix] = LruCache(MAX_PREFIXES)
        self._lock = Lock()

    def check(self, body: Any, *, legacy: bool) -> tuple[JsonObject, InputPrefix]:
        """Return a request that the service would take and the prefix of its input; Refusal for any other.

        Few-shot requests begin with the same hundreds of steps again and again: those are checked and read once.
        """
        items, last = split_input(body.get("input") if isinstance(body, dict) else None)
        key = (legacy, to_json(items)) if items and is_plain(last[0]) else None
        with self._lock:
            prefix = self._prefixes.find(key) if key else None
        if prefix is not None:
            check_create(body | {"input": last}, legacy=legacy, strict=self._strict)
        else:
            body = check_create(body, legacy=legacy, strict=self._strict)
            prefix = read_prefix(items) if items else InputPrefix()
            if key:
                with self._lock:
                    self._prefixes.put(key, prefix)
        check_model(body)
        return body, prefix

    def tool_context(self, body: JsonObject, prefix: InputPrefix, parent: StoredInteraction | None) -> ToolContext:
        """Return the tools and results in a request, its history checked; most requests have none."""
        waiting = open_calls(parent.interaction["steps"]) if parent is not None else {}
        steps = steps_given(body.get("input")) if prefix.has_actions or not ends_in_words(body.get("input")) else ()
        if self._strict and (steps or waiting):
            check_history(steps, waiting)
        if not steps and not body.keys() & FIELDS_WITH_TOOLS:
            return NO_TOOLS
        context = read_tool_context(body, steps or steps_given(split_input(body.get("input"))[1]), waiting)
        if any(tool.get("execution") == "client" for tool in context.tools):
            message = "The emulator has no 'tool_search' that the client executes; it has the one of the server."
            raise refusal(message, status=HTTPStatus.NOT_IMPLEMENTED, code="unimplemented")
        for tool in context.functions:
            self._gate.check(mapping(tool.get("parameters")), f"parameters of {tool.get('name')}")
        return context

    def schema_tokens(self, schema: Any) -> int:
        """Return the tokens of a schema that the service takes, 0 for None; Refusal for one that it does not take."""
        if schema is None:
            return 0
        report = self._gate.check(schema, "response_format")
        if report.ignored:
            self._counters.note_ignored(report.ignored)
        return -(-report.length // CHARACTERS_PER_TOKEN)


def ends_in_words(given: Any) -> bool:
    """Return whether an input ends in the user's words or files: a text, a content, or a turn that is one."""
    last = split_input(given)[1]
    items = last if isinstance(last, list) else [last]
    return not any(map(is_action, items))


def check_model(body: JsonObject) -> None:
    """Raise Refusal where model or agent does not exist. There is no list of them: any name of the right form does."""
    if "model" in body:
        check_known(str(body["model"]))
        return
    name = str(body.get("agent"))
    if "unknown" in name or "no-such" in name:
        raise refusal(f"{name!r} is not found or not supported.", status=HTTPStatus.NOT_FOUND, code="not_found")
