"""How many requests may be in flight: slow start, then one more per round, half after a throttle. No clock."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["AdaptiveConcurrency"]

_MAX_NOISE = 0.2  # share of the replies that may be throttles without a cause in how many are in flight
_MIN_THROTTLES, _MIN_REPLIES, _REMEMBERED = 3, 12, 64
_PROVEN = 10.0  # slots, once one answer has shown that the set-up is right


@dataclass(slots=True)
class AdaptiveConcurrency:
    """Double per round until it is too much, then one slot per round; halve where it is too much.

    A throttle now and then is noise: overload refuses all that is above its room. So it is too much where more than a
    fifth of the last replies are throttles. It begins with one slot, so that a wrong key or schema costs one request.
    Once that is answered, ten at once are fair (TCP begins with as many segments: RFC 6928). The caller reports every
    answer, and of throttles those of requests that were sent after the last halving. `steep` is True until the first.
    """

    ceiling: int
    slots: float = 1.0
    steep: bool = True
    _replies: int = 0
    _throttles: int = 0

    def __post_init__(self) -> None:
        self.slots = min(self.slots, self.ceiling)

    def double(self) -> None:
        """Double the slots without an answer, where none was refused either."""
        self.slots = min(self.ceiling, self.slots * 2)

    def after(self, *, throttled: bool) -> int:
        """Learn from one answer; return the slots now allowed."""
        self._replies += 1
        if throttled:
            self._throttles += 1
            if self._is_too_much():
                self.steep, self._replies, self._throttles = False, 0, 0
                self.slots = max(1.0, self.slots / 2)
        else:
            wider = self.slots + (1.0 if self.steep else 1.0 / self.slots)
            self.slots = min(self.ceiling, max(wider, _PROVEN) if self.steep else wider)
        if self._replies >= _REMEMBERED:
            self._replies, self._throttles = self._replies // 2, self._throttles // 2
        return int(self.slots)

    def _is_too_much(self) -> bool:
        return self._throttles >= _MIN_THROTTLES and self._throttles > _MAX_NOISE * max(self._replies, _MIN_REPLIES)
