"""The daily quota: when its day begins, and how many requests were sent in it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from extract.errors import QuotaExhausted

__all__ = ["Day", "day_began", "day_is_over", "pacific_midnight"]


def pacific_midnight(now: datetime) -> datetime:
    """Return when the current day of the quota began: at midnight Pacific time (Google's page on rate limits)."""
    try:
        pacific: tzinfo = ZoneInfo("America/Los_Angeles")
    except ZoneInfoNotFoundError:  # no time zones on this machine: right in winter, an hour late in summer
        pacific = timezone(timedelta(hours=-8))
    return now.astimezone(pacific).replace(hour=0, minute=0, second=0, microsecond=0)


def day_began(at: float) -> float:
    """Return the Unix time at which the quota's day that the Unix time `at` is in began."""
    return pacific_midnight(datetime.fromtimestamp(at, UTC)).timestamp()


@dataclass(slots=True)
class Day:
    """How many requests were `sent` in a day of the quota that `ends` at a Unix time. Callers pass the time."""

    sent: int
    ends: float

    @classmethod
    def of(cls, at: float, sent: int = 0) -> Self:
        """Return the day that the Unix time `at` is in, with `sent` requests so far."""
        # Days have 23 to 25 hours, as clocks change: 26 hours after midnight is always within the next day.
        next_day = datetime.fromtimestamp(day_began(at), UTC) + timedelta(hours=26)
        return cls(sent, pacific_midnight(next_day).timestamp())

    def count(self, at: float) -> int:
        """Return how many requests were sent so far; 0 where a new day has begun."""
        if at >= self.ends:
            self.sent, self.ends = 0, Day.of(at).ends
        return self.sent

    def take(self, requests: int, at: float) -> None:
        """Count requests; a negative number gives back."""
        self.sent = max(0, self.count(at) + requests)


def day_is_over(rpd: float) -> QuotaExhausted:
    """Return the error for a request that the daily limit does not allow."""
    return QuotaExhausted(f"the daily limit of {rpd:,.0f} requests is used up; it begins anew at midnight Pacific time")
