"""Interactions that were stored, and what is left of unfinished ones: how they are found, shown, cancelled, deleted."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from threading import Lock
from typing import Any

from extract.emulator.conversation import Said
from extract.emulator.messages import WireResponse, json_response, refusal
from extract.emulator.responses import in_progress, render, with_input
from extract.emulator.state import Bounded
from extract.json_types import JsonObject

__all__ = ["Kept", "Pending", "Shelf"]

KEPT_INTERACTIONS = KEPT_CONTINUATIONS = 10_000


@dataclass(frozen=True, slots=True)
class Kept:
    """A stored interaction: its final form, the input it answered as it came, and the turns up to and with it.

    `ready_at` is when it ends, on the emulator's clock: later than now only for one that runs in the background. It was
    asked for at `at`, from where its retention counts.
    """

    interaction: JsonObject
    given: Any
    turns: tuple[Said, ...]
    ready_at: float
    at: float = 0.0
    background: bool = False

    def seen_at(self, now: float) -> JsonObject:
        """Return the interaction as it looks at `now`."""
        return in_progress(self.interaction) if now < self.ready_at else self.interaction


@dataclass(frozen=True, slots=True)
class Pending:
    """What is left to say after a `requires_continuation`: the parts of the text still to come, in order."""

    parts: tuple[str, ...]
    identity: str
    stored: bool


class Shelf:
    """Keeps stored interactions and pending continuations, forgetting the least recently used beyond 10,000 each.

    An interaction is found for `retention` seconds. A stream of one that still runs stays open until its end where that
    is at most `stream_seconds` away; else it breaks off after what there is to tell, as long streams do.
    """

    def __init__(self, *, retention: float = math.inf, stream_seconds: float = 0.0) -> None:
        self._retention, self._stream_seconds = retention, stream_seconds
        self._kept: Bounded[str, Kept] = Bounded(KEPT_INTERACTIONS)
        self._pending: Bounded[str, Pending] = Bounded(KEPT_CONTINUATIONS)
        self._lock = Lock()

    def keep(self, kept: Kept) -> None:
        """Store an interaction under its id."""
        with self._lock:
            self._kept.put(kept.interaction["id"], kept)

    def keep_rest(self, token: str, rest: Pending) -> None:
        """Remember what a continuation token stands for; a token may be used again, as repeats need it."""
        with self._lock:
            self._pending.put(token, rest)

    def find(self, identity: str, now: float) -> Kept:
        """Return a stored interaction; Refusal with 404 where there is none, or none any more."""
        with self._lock:
            kept = self._kept.find(identity)
            if kept is not None and now >= kept.at + self._retention:
                kept = self._kept.drop(identity) and None
        if kept is None:
            raise refusal(f"Interaction {identity!r} not found.", status=HTTPStatus.NOT_FOUND, code="not_found")
        return kept

    def parent_of(self, body: JsonObject, now: float) -> Kept | None:
        """Return the interaction that a create request goes on from. Refusal where it is unknown or still runs."""
        identity = body.get("previous_interaction_id")
        if identity is None:
            return None
        kept = self.find(str(identity), now)
        if now < kept.ready_at:
            raise refusal(f"Interaction {identity!r} is still in progress.")
        return kept

    def rest_for(self, body: JsonObject) -> Pending | None:
        """Return what the continuation token of a create request stands for. Refusal where that is nothing."""
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
        kept = self.find(identity, now)
        stream, after = query.get("stream") == "true", query.get("last_event_id")
        if stream and query.get("include_input") != "true":
            return self.stream(kept, now, legacy=legacy, after=after)
        shown = kept.seen_at(now)
        if query.get("include_input") == "true":
            shown = with_input(shown, kept.given, legacy=legacy)
        if after is not None and not stream:
            raise refusal("'last_event_id' needs 'stream'.")
        return render(shown, legacy=legacy, stream=stream, after=after, background=kept.background)

    def stream(
        self,
        kept: Kept,
        now: float,
        *,
        legacy: bool,
        after: str | None = None,
        tokens: tuple[int, int, int] = (0, 0, 0),
    ) -> WireResponse:
        """Return the events of an interaction, of one that still runs as far as there is something to tell."""
        wait = max(0.0, kept.ready_at - now)
        stays = wait <= self._stream_seconds
        shown = kept.interaction if stays else kept.seen_at(now)
        told = render(shown, legacy=legacy, stream=True, after=after, background=kept.background, tokens=tokens)
        return replace(told, stall=wait) if stays else told

    def delete(self, identity: str, now: float) -> WireResponse:
        """Forget a stored interaction."""
        self.find(identity, now)
        with self._lock:
            self._kept.drop(identity)
        return json_response({})

    def cancel(self, identity: str, now: float, *, legacy: bool) -> WireResponse:
        """Stop an interaction that runs in the background. Refusal with 400 for one that does not."""
        kept = self.find(identity, now)
        if now >= kept.ready_at:
            raise refusal(f"Interaction {identity!r} is not running.", code="failed_precondition")
        stopped = in_progress(kept.interaction, "cancelled")
        self.keep(replace(kept, interaction=stopped, ready_at=now))
        return render(stopped, legacy=legacy)
