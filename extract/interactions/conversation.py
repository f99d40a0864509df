"""A conversation of several turns as one frozen value: each answer gives a new one."""

from __future__ import annotations

from dataclasses import dataclass, replace

from extract.documents.parts import Turn
from extract.errors import ConfigError
from extract.interactions.interaction import Interaction
from extract.interactions.requests import Input, Request
from extract.json_types import JsonObject

__all__ = ["Conversation"]

_RUNNING = ("queued", "in_progress")


@dataclass(frozen=True, slots=True)
class Conversation:
    """The turns so far, and how to go on: model, system text, tools and formats are those of `start`.

    With `store=True` in `start` the service stores the history, and only new input is sent, with the id of the last
    answer; all else is sent again each time, since the service does not inherit it. Without it the whole history is
    sent: the answers' steps as they came, thoughts and their signatures included.

        >>> client = offline_client()
        >>> conversation = Conversation(Request(model="gemini-3.8-flash"))
        >>> request = conversation.ask("Name a river.")
        >>> conversation = conversation.with_answer(request, client.create(request))
        >>> len(conversation.ask("How long is it?").turns)
        3
    """

    start: Request

    def ask(self, given: Input) -> Request:
        """Return the request for the next turn: text, parts, or steps such as the results of functions."""
        turns = replace(self.start, input=given, previous_interaction_id=None).turns
        return replace(self.start, input=(*self.start.turns, *turns))

    def with_answer(self, request: Request, answer: Interaction) -> Conversation:
        """Return the conversation that goes on after `answer` to `request`. ConfigError for one that still runs."""
        if answer.status in _RUNNING:
            raise ConfigError(f"the interaction is still {answer.status!r}: wait for it before going on")
        if not self.start.store:
            history: tuple[Turn | JsonObject, ...] = (*request.turns, *answer.answer)
            return Conversation(replace(self.start, input=history))
        if not answer.id:
            raise ConfigError("the answer has no id to go on from: was it asked with store=True?")
        return Conversation(replace(self.start, input=(), previous_interaction_id=answer.id))
