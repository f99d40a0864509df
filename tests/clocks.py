"""A clock for tests: time passes only when somebody sleeps by it, or moves it."""

from __future__ import annotations

__all__ = ["Clock"]


class Clock:
    """Seconds since some moment; `now` may be set."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    async def sleep_async(self, seconds: float) -> None:
        self.now += seconds
