"""What has come of a stream so far, over all its connections and hops."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from pydantic_core import from_json, to_json

from extract.errors import ExtractError
from extract.interactions.failures import refusal_in_stream
from extract.interactions.interaction import Interaction
from extract.interactions.merging import merge
from extract.interactions.streaming.accumulator import Accumulator
from extract.interactions.streaming.events import (
    ArgumentsPiece,
    Completed,
    Event,
    MediaPiece,
    OtherPiece,
    StepStarted,
    StepStopped,
    TextPiece,
    ThoughtPiece,
)
from extract.json_types import JsonObject

__all__ = ["StreamState"]

_INDEXED = (StepStarted, TextPiece, ThoughtPiece, ArgumentsPiece, MediaPiece, OtherPiece, StepStopped)


class StreamState:
    """What has come of a stream so far, over all its connections and hops. `scrub` strikes the key out of errors."""

    def __init__(self, scrub: Callable[[bytes], bytes]) -> None:
        self.events: int = 0
        self.last_event_id: str = ""
        self.hop: Accumulator = Accumulator()
        self.hops: int = 0
        """How many were begun after the first."""
        self.token: str | None = None
        """The continuation token that the present hop was begun with."""
        self._scrub = scrub
        self._earlier: Interaction | None = None  # what the hops before the present one add up to
        self._offset = 0  # their steps, by which the present hop's indexes are moved
        self._delivered = 0  # events of the present hop
        self._replay: Accumulator | None = None  # what a replay adds up to, until it has caught up
        self._replayed = 0

    @property
    def begun(self) -> bool:
        """Whether anything of the present hop has come."""
        return self._delivered > 0

    @property
    def interaction(self) -> Interaction:
        """The answer as far as it has come; at the end that of a plain call."""
        present = self.hop.interaction()
        return merge(self._earlier, present) if self._earlier is not None else present

    @property
    def text(self) -> str:
        return self.hop.text if self._earlier is None else self.interaction.text

    def place(self, *, stored: bool) -> str | None:
        """Return what the stream can go on from: an event where the service stores them, else a checkpoint."""
        return self.last_event_id if stored else self.hop.checkpoint

    def add(self, event: Event) -> Iterator[Event]:
        """Add an event, and yield it with an index that is the step's over all hops, unless it was delivered before."""
        if self._replay is not None and self._is_replayed(self._replay, event):
            return
        self.events += 1
        self._delivered += 1
        self.last_event_id = event.id or self.last_event_id
        self.hop.add(event)
        if self._offset and isinstance(event, _INDEXED):
            event = replace(event, index=event.index + self._offset)
        yield event

    def _is_replayed(self, replay: Accumulator, event: Event) -> bool:
        """Return True for an event that was delivered before, and add it to the replay.

        A replay sends the same events in the same order, so their number alone tells which were delivered. It is added
        up apart: the replay takes the place of what came before only when it has caught up, and a second cut in the
        middle of it loses nothing.
        """
        if self._replayed < self._delivered and not isinstance(event, Completed):
            self._replayed += 1
            replay.add(event)
            return True
        self.hop, self._replay = replay, None
        return False

    def expect_replay(self) -> None:
        """Expect the present hop's events from the first on."""
        self._replay, self._replayed = Accumulator(), 0

    def refusal(self, error: JsonObject) -> ExtractError:
        """Return what an error in place of events stands for."""
        try:
            return refusal_in_stream(from_json(self._scrub(to_json(error))))
        except ValueError:  # a key so short that it stood for a part of the JSON itself
            return refusal_in_stream({})

    def begin_hop(self, token: str) -> None:
        """Set what has come aside, and begin the hop that goes on from a token."""
        self._earlier = self.interaction
        self._offset += len(self.hop)
        self.hop, self._replay = Accumulator(), None
        self.hops += 1
        self.token = token
        self._delivered = 0
        self.last_event_id = ""
