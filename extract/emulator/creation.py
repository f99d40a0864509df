"""Answers a create request: what the model replies, what goes wrong with it, and what of it is stored."""

from __future__ import annotations

import random
from dataclasses import replace
from threading import Lock
from typing import Any

from extract.emulator.admission import Admission
from extract.emulator.answers import Answer, Answers
from extract.emulator.conversation import (
    InputPrefix,
    ParsedRequest,
    Turn,
    count_tokens,
    parse_request,
    requested_schema,
    turns_of,
)
from extract.emulator.faults import KINDS, NO_FAULT, Fault, FaultKind
from extract.emulator.messages import WireResponse, timestamp
from extract.emulator.packed import answer_schema
from extract.emulator.pdf_text import with_files_read
from extract.emulator.responses import Reply, build_interaction, fit_limit, in_progress, render, split_text
from extract.emulator.state import Counters
from extract.emulator.stored import InteractionStore, PendingContinuation, StoredInteraction
from extract.emulator.stored_files import FileStore
from extract.emulator.tool_use import ToolContext
from extract.emulator.validation import NO_TOOLS, RequestValidator
from extract.json_types import JsonObject

__all__ = ["InteractionCreator"]


class InteractionCreator:
    """Creates interactions: puts together what the parts of the emulator do for one request."""

    def __init__(
        self,
        answers: Answers,
        validator: RequestValidator,
        admission: Admission,
        counters: Counters,
        interactions: InteractionStore,
        files: FileStore,
        *,
        seed: int,
    ) -> None:
        self._answers, self._validator, self._admission, self._counters = answers, validator, admission, counters
        self._interactions, self._files = interactions, files
        self._ids = random.Random(seed)  # noqa: S311 - ids guard nothing
        self._lock = Lock()

    def create(self, body: Any, at: float, *, legacy: bool) -> WireResponse:
        """Return the answer to a create request: checks first, then quota, then faults, then the model.

        Raises Refusal for a request that the service would not serve.
        """
        body, prefix = self._validator.check(body, legacy=legacy)
        rest, parent = self._interactions.rest_for(body), self._interactions.parent_of(body, at)
        # A continuation only sends the rest of a text that is there already: no tools, no history, no new answer.
        context = self._validator.tool_context(body, prefix, parent) if rest is None else NO_TOOLS
        history = parent.turns if parent is not None and rest is None else ()
        with_texts = self._files.with_text_files(body)
        request = self._parse(body, with_texts, prefix, history, legacy=legacy)
        name, answer = self._choose(body, request, self._admission.admit(request, at), fresh=rest is None)
        fault = KINDS[name] if name else NO_FAULT
        if fault.response is not None:
            return fault.response
        # The rows of a request are no prompt beside a text, whatever they read like, and no files stand with them.
        if answer is None and rest is None and answer_schema(request.schema) is None:
            request = with_files_read(request, with_texts, self._files.pdf_at, history)
        reply, later = self._reply(request, answer, fault, rest, context)
        interaction = build_interaction(reply, request, body, identity=self._new_id("v1_"), now=timestamp(at))
        stored = self._store(interaction, reply, later, body, parent, at)
        tokens = (sum(request.input_tokens.values()), count_tokens(reply.text), reply.thought_tokens)
        response = self._render(stored, at, tokens, stream=body.get("stream") is True, legacy=legacy)
        return fault.deliver(response) if fault.deliver else response

    def _parse(
        self, body: JsonObject, with_texts: JsonObject, prefix: InputPrefix, history: tuple[Turn, ...], *, legacy: bool
    ) -> ParsedRequest:
        schema = requested_schema(body, legacy=legacy)
        schema_tokens = self._validator.schema_tokens(schema)
        return parse_request(with_texts, prefix, schema, schema_tokens=schema_tokens, history=history)

    def _choose(
        self, body: JsonObject, request: ParsedRequest, drawn: str | None, *, fresh: bool
    ) -> tuple[str | None, Answer | None]:
        """Return the fault that strikes and the scripted answer; a refused request uses up no answer."""
        refused = drawn is not None and KINDS[drawn].response is not None
        answer = self._answers.next(body, request) if fresh and not refused else None
        name = answer.name if isinstance(answer, Fault) else drawn
        if name is not None:
            self._counters.note_fault(name)
        return name, answer

    def _reply(
        self,
        request: ParsedRequest,
        answer: Answer | None,
        fault: FaultKind,
        rest: PendingContinuation | None,
        context: ToolContext,
    ) -> tuple[Reply, tuple[str, ...]]:
        """Return the model's reply, and the parts of its text that the client has still to request."""
        if rest is None:
            whole = replace(self._answers.reply(answer, request, context, self._new_id), summary=context.summaries)
            whole = fit_limit(whole, request.max_output_tokens)
            reply = fault.alter(whole, request.schema) if fault.alter else whole
            first, *later = split_text(reply.text, 1 if reply.calls else fault.parts)
        else:
            first, *later = rest.parts
            reply = Reply(text=first, thought=request.thinking_level)
        if later:
            token = self._new_id("ct_")
            reply = replace(reply, text=first, status="requires_continuation", continuation_token=token)
        return reply, tuple(later)

    def _store(
        self,
        interaction: JsonObject,
        reply: Reply,
        later: tuple[str, ...],
        body: JsonObject,
        parent: StoredInteraction | None,
        at: float,
    ) -> StoredInteraction:
        """Store what later requests may name: the rest of the text, and the interaction where `body` allows it."""
        may_store = body.get("store") is not False
        if reply.continuation_token:
            pending = PendingContinuation(later, interaction["id"], may_store)
            self._interactions.put_rest(reply.continuation_token, pending)
        background = body.get("background") is True
        turns: tuple[Turn, ...] = ()
        if may_store:
            turns = (*(parent.turns if parent else ()), *turns_of(body.get("input")), Turn("model", reply.text))
        ready_at = at + self._interactions.background_seconds if background else at
        stored = StoredInteraction(interaction, body.get("input"), turns, ready_at, at, background)
        if may_store:
            self._interactions.put(stored)
        return stored

    def _render(
        self, stored: StoredInteraction, at: float, tokens: tuple[int, int, int], *, stream: bool, legacy: bool
    ) -> WireResponse:
        if stream:
            return self._interactions.stream(stored, at, legacy=legacy, tokens=tokens)
        shown = in_progress(stored.interaction) if stored.background else stored.interaction
        return render(shown, legacy=legacy, tokens=tokens)

    def _new_id(self, prefix: str) -> str:
        with self._lock:
            return f"{prefix}{self._ids.getrandbits(160):040x}"
