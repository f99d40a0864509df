"""Where the model's texts and tool calls come from: a script, a function, or the rule reader."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeAlias

from extract.emulator.conversation import ParsedRequest, mapping, objects
from extract.emulator.faults import Fault
from extract.emulator.packed import answer_schema, answers_of, whole_answer, with_examples_apart
from extract.emulator.responses import Reply
from extract.emulator.tool_use import (
    Calls,
    MakeId,
    Steps,
    ToolContext,
    annotations_for,
    choose_functions,
    load_functions,
    tool_steps,
    without_gaps,
)
from extract.errors import ConfigError
from extract.json_types import JsonObject

__all__ = ["Answer", "Answers", "Reader", "Script"]

Answer: TypeAlias = str | JsonObject | list[Any] | Fault | Calls | Steps
AnswerFunction: TypeAlias = Callable[[JsonObject], Answer]
Script: TypeAlias = Sequence[Answer | AnswerFunction] | AnswerFunction


class Reader(Protocol):
    """Reads a record and answers with JSON text that fits `schema`, or with plain text where that is None."""

    def read(
        self, schema: JsonObject | None, text: str, examples: Sequence[tuple[str, str]] = (), *, system: str = ""
    ) -> str: ...


class Answers:
    """The answers to request after request: from a function of the body, a list used up in order, or the reader."""

    def __init__(self, script: Script | None, reader: Reader) -> None:
        self._reader = reader
        self._function = script if callable(script) else None
        self._list = None if script is None or callable(script) else deque(script)
        self._length = len(self._list or ())

    def next(self, body: JsonObject, request: ParsedRequest) -> Answer | None:
        """Return the next scripted answer, None where there is no script. ConfigError where a list is used up.

        A function is asked about each row of a request alone.
        """
        if self._function is not None:
            schema = request.schema
            if schema is None or answer_schema(schema) is None:
                return self._function(body)
            packed: Answer = answers_of(body, schema, request.text, self._function)
            return packed
        if self._list is None:
            return None
        try:
            answer = self._list.popleft()
        except IndexError:
            raise ConfigError(f"the emulator's {self._length} scripted answers are used up; give it more") from None
        return answer(body) if callable(answer) else answer

    def reply(self, answer: Answer | None, request: ParsedRequest, context: ToolContext, make_id: MakeId) -> Reply:
        """Return the model's calls and text: as `answer` scripts them, else as the request needs them.

        A scripted text comes after the calls of the built-in tools in the request.
        """
        if isinstance(answer, Fault):
            answer = answer.answer
        if isinstance(answer, Steps):
            return scripted(answer)
        calls = answer.calls if isinstance(answer, Calls) else self._calls(request, context) if answer is None else ()
        if calls:
            loaded = tuple(load_functions(context, (name for name, _ in calls), make_id))
            steps = loaded + tuple(
                {"type": "function_call", "id": make_id("call_"), "name": name, "arguments": arguments}
                for name, arguments in calls
            )
            level = request.thinking_level or "low"
            return Reply(text="", layout="empty", status="requires_action", actions=steps, thought=level)
        actions = tuple(tool_steps(context, make_id))
        text = "" if context.only_media and answer is None else self._text(answer, request, context)
        return Reply(
            text=text,
            thought=request.thinking_level,
            actions=actions,
            annotations=tuple(annotations_for(actions, context, text)),
            media=context.media,
        )

    def _calls(self, request: ParsedRequest, context: ToolContext) -> tuple[tuple[str, JsonObject], ...]:
        """Return the functions that the request needs, with arguments read from it."""
        return tuple(
            (str(tool.get("name")), self._arguments(mapping(tool.get("parameters")), request, context))
            for tool in choose_functions(context)
        )

    def _arguments(self, parameters: JsonObject, request: ParsedRequest, context: ToolContext) -> JsonObject:
        if not parameters.get("properties"):
            return {}
        read = self._reader.read(parameters, context.newest, system=request.system)
        return without_gaps(json.loads(read), parameters, context.newest)

    def _text(self, answer: Answer | None, request: ParsedRequest, context: ToolContext) -> str:
        """Return the text of `answer`; without one, what the reader reads in `request` and in functions' results."""
        if answer is not None:
            return answer if isinstance(answer, str) else json.dumps(answer)
        results = "\n".join(f"{name}: {result}" for name, result in context.results)
        if results and request.schema is None:
            return results
        text = f"{request.text}\n\n{results}" if results else request.text
        if request.schema is not None and (single := answer_schema(request.schema)) is not None:
            return self._rows(request, request.schema, single)
        return self._reader.read(request.schema, text, request.examples, system=request.system)

    def _rows(self, request: ParsedRequest, schema: JsonObject, single: JsonObject) -> str:
        """Return what the reader reads in each row of a request, as if it had come alone."""
        examples = with_examples_apart(request.examples, schema)
        return whole_answer(
            request.text,
            schema,
            lambda row: self._reader.read(single, row.text, (*examples, *row.examples), system=request.system),
        )


def scripted(answer: Steps) -> Reply:
    """Return scripted steps as a reply."""
    texts = [one.get("text", "") for step in answer.steps for one in objects(step.get("content"))]
    return Reply(text="".join(map(str, texts)), layout="empty", status=answer.status, actions=answer.steps)
