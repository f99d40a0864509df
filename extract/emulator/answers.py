"""Where the model's words and acts come from: a script, a function, or the rule reader."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeAlias

from extract.emulator.conversation import Ask, mapping, objects
from extract.emulator.faults import Fault
from extract.emulator.responses import Reply
from extract.emulator.tool_use import (
    Calls,
    Naming,
    Scene,
    Steps,
    annotations_for,
    choose_functions,
    tool_steps,
    without_gaps,
)
from extract.errors import ConfigError
from extract.json_types import JsonObject

__all__ = ["Answer", "Answers", "Reader", "Script"]

Answer: TypeAlias = str | JsonObject | list[Any] | Fault | Calls | Steps
Answering: TypeAlias = Callable[[JsonObject], Answer]
Script: TypeAlias = Sequence[Answer | Answering] | Answering


class Reader(Protocol):
    """Reads a record and answers with JSON text that fits `schema`, or with plain text where that is None."""

    def read(
        self, schema: JsonObject | None, text: str, examples: Sequence[tuple[str, str]] = (), *, system: str = ""
    ) -> str: ...


class Answers:
    """Answers request after request: from a function of the body, from a list used up in order, else by reading."""

    def __init__(self, script: Script | None, reader: Reader) -> None:
        self._reader = reader
        self._function = script if callable(script) else None
        self._list = None if script is None or callable(script) else deque(script)
        self._length = len(self._list or ())

    def take(self, body: JsonObject) -> Answer | None:
        """Return the next scripted answer, None where there is no script. ConfigError where a list is used up."""
        if self._function is not None:
            return self._function(body)
        if self._list is None:
            return None
        try:
            answer = self._list.popleft()
        except IndexError:
            raise ConfigError(f"the emulator's {self._length} scripted answers are used up; give it more") from None
        return answer(body) if callable(answer) else answer

    def reply(self, answer: Answer | None, ask: Ask, scene: Scene, name: Naming) -> Reply:
        """Return what the model does and says: as `answer` scripts it, else what the request asks for.

        `name` makes the ids of calls. A scripted text comes after the built-in tools that the request gives.
        """
        if isinstance(answer, Fault):
            answer = answer.answer
        if isinstance(answer, Steps):
            return scripted(answer)
        calls = answer.calls if isinstance(answer, Calls) else self._calls(ask, scene) if answer is None else ()
        if calls:
            acts = tuple({"type": "function_call", "id": name("call_"), "name": to, "arguments": a} for to, a in calls)
            level = ask.thinking_level or "low"
            return Reply(text="", layout="empty", status="requires_action", acts=acts, thought=level)
        acts = tuple(tool_steps(scene, name))
        text = "" if scene.only_media and answer is None else self._text(answer, ask, scene)
        return Reply(
            text=text,
            thought=ask.thinking_level,
            acts=acts,
            annotations=tuple(annotations_for(acts, scene, text)),
            media=scene.media,
        )

    def _calls(self, ask: Ask, scene: Scene) -> tuple[tuple[str, JsonObject], ...]:
        """Return the functions that the request asks for, with arguments read from it."""
        return tuple(
            (str(tool.get("name")), self._arguments(mapping(tool.get("parameters")), ask, scene))
            for tool in choose_functions(scene)
        )

    def _arguments(self, parameters: JsonObject, ask: Ask, scene: Scene) -> JsonObject:
        if not parameters.get("properties"):
            return {}
        read = self._reader.read(parameters, scene.newest, system=ask.system)
        return without_gaps(json.loads(read), parameters, scene.newest)

    def _text(self, answer: Answer | None, ask: Ask, scene: Scene) -> str:
        """Return the text of `answer`; without one, what the reader makes of `ask` and of what functions returned."""
        if answer is not None:
            return answer if isinstance(answer, str) else json.dumps(answer)
        told = "\n".join(f"{name}: {result}" for name, result in scene.results)
        if told and ask.schema is None:
            return told
        text = f"{ask.text}\n\n{told}" if told else ask.text
        return self._reader.read(ask.schema, text, ask.examples, system=ask.system)


def scripted(answer: Steps) -> Reply:
    """Return scripted steps as a reply that has nothing else."""
    texts = [one.get("text", "") for step in answer.steps for one in objects(step.get("content"))]
    return Reply(text="".join(map(str, texts)), layout="empty", status=answer.status, acts=answer.steps)
