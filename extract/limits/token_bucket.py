"""A rate per minute as a token bucket. No clock: callers pass the time."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["TokenBucket"]


@dataclass(slots=True)
class TokenBucket:
    """An allowance of `per_minute`, saved up for at most `burst` seconds. Times are monotonic seconds of the caller.

    The level may fall below zero; that debt is paid off before the next request may pass. So a request larger than the
    bucket passes alone instead of waiting for ever.
    """

    per_minute: float
    burst: float = 2.0
    level: float | None = None
    at: float = 0.0

    def delay(self, now: float) -> float:
        """Return the seconds until a request may pass; 0 means now."""
        self._fill(now)
        needed = min(1.0, self._capacity)
        return 0.0 if self._filled >= needed else (needed - self._filled) * 60 / self.per_minute

    def take(self, amount: float, now: float) -> None:
        """Take `amount` out; a negative amount gives back."""
        self._fill(now)
        self.level = min(self._capacity, self._filled - amount)

    @property
    def _capacity(self) -> float:
        return max(1.0, self.per_minute * self.burst / 60)

    @property
    def _filled(self) -> float:
        return self._capacity if self.level is None else self.level

    def _fill(self, now: float) -> None:
        self.level = min(self._capacity, self._filled + max(0.0, now - self.at) * self.per_minute / 60)
        self.at = now
