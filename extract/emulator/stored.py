"""Stored interactions and the rest of unfinished ones: how they are looked up, shown, cancelled and deleted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from threading import Lock
from typing import Any

from extract.emulator.conversation import Turn
from extract.emulator.messages import WireResponse, json_response, refusal
from extract.emulator.options import Delays
from extract.emulator.responses import in_progress, render, with_input
from extract.emulator.state import LruCache
from extract.json_types import JsonObject

__all__ = ["InteractionStore", "PendingContinuation", "StoredInteraction"]

MAX_INTERACTIONS = MAX_CONTINUATIONS = 10_000


@dataclass(frozen=True, slots=True)
class StoredInteraction:
    """An interaction in its final form, the input of its request, and all turns up to its own.

    `at` is when it was requested, on the emulator's clock; its retention counts from there. `ready_at` is when it ends,
    which is later only for one that runs in the background.
    """

    interaction: JsonObject
    given: Any
    turns: tuple[Turn, ...]
    ready_at: float
    at: float = 0.0
    background: bool = False

    def form_at(self, now: float) -> JsonObject:
        """Return the interaction as it looks at `now`."""
        return in_progress(self.interaction) if now < self.ready_at else self.interaction


@dataclass(frozen=True, slots=True)
class PendingContinuation:
    """The rest of an answer that ended in `requires_continuation`: the parts of the text still to come, in order."""

    parts: tuple[str, ...]
    identity: str
    stored: bool


class InteractionStore:
    """Stored interactions and pending continuations; of each, the least recently used beyond 10,000 are forgotten.

    The stream of an interaction that still runs stays open until its end where that is at most `stream_seconds` away;
    else it breaks off after the events so far, as long streams of the service do.
    """

    def __init__(self, delays: Delays) -> None:
        self._delays = delays
        self._interactions: LruCache[str, StoredInteraction] = LruCache(MAX_INTERACTIONS)
        self._pending: LruCache[str, PendingContinuation] = LruCache(MAX_CONTINUATIONS)
        self._lock = Lock()

    @property
    def background_seconds(self) -> float:
        """How long a background interaction runs."""
        return self._delays.background_seconds

    def put(self, stored: StoredInteraction) -> None:
        """Store an interaction under its id."""
        with self._lock:
            self._interactions.put(stored.interaction["id"], stored)

    def put_rest(self, token: str, rest: PendingContinuation) -> None:
        """Store the rest of an answer under its token; a token may be used again, since clients repeat requests."""
        with self._lock:
            self._pending.put(token, rest)

    def find(self, identity: str, now: float) -> StoredInteraction:
        """Return a stored interaction; Refusal with 404 where there is none or its retention is over."""
        with self._lock:
            stored = self._interactions.find(identity)
            if stored is not None and now >= stored.at + self._delays.retention_seconds:
                stored = self._interactions.drop(identity) and None
        if stored is None:
            raise refusal(f"Interaction {identity!r} not found.", status=HTTPStatus.NOT_FOUND, code="not_found")
        return stored

    def parent_of(self, body: JsonObject, now: float) -> StoredInteraction | None:
        """Return the interaction that a create request continues. Refusal where it is unknown or still runs."""
        identity = body.get("previous_interaction_id")
        if identity is None:
            return None
        stored = self.find(str(identity), now)
        if now < stored.ready_at:
            raise refusal(f"Interaction {identity!r} is still in progress.")
        return stored

    def rest_for(self, body: JsonObject) -> PendingContinuation | None:
        """Return the rest of an answer that a create request continues, None where it begins one.

        Refusal for an unknown token.
        """
        token = body.get("continuation_token")
        if not token:
            return None
        with self._lock:
            pending = self._pending.find(str(token))
        if pending is None:
            raise refusal("Invalid value at 'continuation_token': unknown or expired.")
        if pending.stored and body.get("previous_interaction_id") != pending.identity:
            raise refusal("'continuation_token' needs the 'previous_interaction_id' of the interaction that gave it.")
        if not pending.stored and not body.get("input"):
            raise refusal("Missing required parameter: input. What was not stored must be sent again.")
        return pending

    def get(self, identity: str, query: Mapping[str, str], now: float, *, legacy: bool) -> WireResponse:
        """Return a stored interaction, with its input or as a stream where `query` asks for that."""
        stored = self.find(identity, now)
        stream, after = query.get("stream") == "true", query.get("last_event_id")
        if stream and query.get("include_input") != "true":
            return self.stream(stored, now, legacy=legacy, after=after)
        shown = stored.form_at(now)
        if query.get("include_input") == "true":
            shown = with_input(shown, stored.given, legacy=legacy)
        if after is not None and not stream:
            raise refusal("'last_event_id' needs 'stream'.")
        return render(shown, legacy=legacy, stream=stream, after=after, background=stored.background)

    def stream(
        self,
        stored: StoredInteraction,
        now: float,
        *,
        legacy: bool,
        after: str | None = None,
        tokens: tuple[int, int, int] = (0, 0, 0),
    ) -> WireResponse:
        """Return the events of an interaction; of one that runs for too long, the events so far."""
        wait = max(0.0, stored.ready_at - now)
        stays_open = wait <= self._delays.stream_seconds
        shown = stored.interaction if stays_open else stored.form_at(now)
        response = render(shown, legacy=legacy, stream=True, after=after, background=stored.background, tokens=tokens)
        return replace(response, stall=wait) if stays_open else response

    def delete(self, identity: str, now: float) -> WireResponse:
        """Forget a stored interaction."""
        self.find(identity, now)
        with self._lock:
            self._interactions.drop(identity)
        return json_response({})

    def cancel(self, identity: str, now: float, *, legacy: bool) -> WireResponse:
        """Stop an interaction that runs in the background. Refusal with 400 for one that does not."""
        stored = self.find(identity, now)
        if now >= stored.ready_at:
            raise refusal(f"Interaction {identity!r} is not running.", code="failed_precondition")
        stopped = in_progress(stored.interaction, "cancelled")
        self.put(replace(stored, interaction=stopped, ready_at=now))
        return render(stopped, legacy=legacy)
