"""Where the model's words come from: a script, a function, or the rule reader."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeAlias

from extract.emulator.conversation import Ask
from extract.emulator.faults import Fault
from extract.errors import ConfigError
from extract.types import JsonObject

__all__ = ["Answer", "Answers", "Reader", "Script"]

Answer: TypeAlias = str | JsonObject | list[Any] | Fault
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

    def text(self, answer: Answer | None, ask: Ask) -> str:
        """Return the text of `answer`; without one, what the reader makes of `ask`."""
        if isinstance(answer, Fault):
            answer = answer.answer
        if answer is None:
            return self._reader.read(ask.schema, ask.text, ask.examples, system=ask.system)
        return answer if isinstance(answer, str) else json.dumps(answer)
