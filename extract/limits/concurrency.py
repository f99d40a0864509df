"""How many requests may be in flight: slow start, then one more per round, half after a throttle. No clock."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["AdaptiveConcurrency"]

_PROVEN = 10.0  # slots, once one answer has shown that the set-up is right


@dataclass(slots=True)
class AdaptiveConcurrency:
    """Double per round until the first throttle, then one slot per round; halve on a throttle.

    It begins with one slot, so that a wrong key or schema costs one request. Once that is answered, ten at once are
    fair (TCP begins with as many segments: RFC 6928). The caller reports every answer, and at most one throttle per
    round trip. `steep` is True until the first throttle.
    """

    ceiling: int
    slots: float = 1.0
    steep: bool = True

    def __post_init__(self) -> None:
        self.slots = min(self.slots, self.ceiling)

    def double(self) -> None:
        """Double the slots without an answer, where none was refused either."""
        self.slots = min(self.ceiling, self.slots * 2)

    def after(self, *, throttled: bool) -> int:
        """Learn from one answer; return the slots now allowed."""
        if throttled:
            self.steep = False
            self.slots = max(1.0, self.slots / 2)
        else:
            wider = self.slots + (1.0 if self.steep else 1.0 / self.slots)
            self.slots = min(self.ceiling, max(wider, _PROVEN) if self.steep else wider)
        return int(self.slots)
