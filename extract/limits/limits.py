"""How fast and how often: adaptive concurrency, rate buckets, retry and wait policies. No clock, no sleep in here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tenacity import RetryCallState
from tenacity.retry import retry_if_exception
from tenacity.stop import stop_base
from tenacity.wait import wait_base

from extract.errors import ConfigError, ExtractError, Overloaded, QuotaExhausted, RateLimited, Unfinished, Unreachable

__all__ = [
    "AdaptiveLimit",
    "Day",
    "Limits",
    "Retry",
    "TokenBucket",
    "day_is_over",
    "is_throttle",
    "pacific_midnight",
    "retry_if_transient",
    "stop_when_hopeless",
    "wait_as_told",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How long to insist. `failures` counts tries that failed, throttles aside; all times are in seconds.

    `patience` bounds how long one record may be throttled (429 and 503) before it is given up.
    """

    failures: int = 6
    first_wait: float = 0.5
    longest_wait: float = 30.0
    patience: float = 900.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a run may use.

    `concurrency` is a ceiling; `rpm` and `tpm` are requests and input tokens per minute, learned from the service's
    refusals where None; `rpd` is requests per day, Pacific time, those of earlier runs with the same cache counted.
    `deadline` is seconds per record, counted from its first request.
    `stop_after_failures` counts failures in a row while no record has succeeded yet; 0 never stops.
    """

    concurrency: int = 64
    rpm: float | None = None
    tpm: float | None = None
    rpd: float | None = None
    deadline: float | None = None
    stop_after_failures: int = 20
    retry: Retry = field(default_factory=Retry)

    def __post_init__(self) -> None:
        least = {"concurrency": 1, "rpm": 1, "tpm": 1, "rpd": 1, "deadline": 0.001, "stop_after_failures": 0}
        for name, low in least.items():
            value = getattr(self, name)
            if value is not None and not value >= low:
                raise ConfigError(f"limits: {name} must be at least {low:g}, not {value!r}")


_PROVEN = 10.0  # slots, once one answer has shown that the set-up is right


@dataclass(slots=True)
class AdaptiveLimit:
    """Double per round until the first throttle, then one slot per round; halve on a throttle.

    It begins with one slot, so that a wrong key or schema costs one request, not a crowd of them; once that one is
    answered, ten at once are no crowd (TCP begins with as many segments: RFC 6928). The caller reports every answer,
    and at most one throttle per round trip.
    """

    ceiling: int
    slots: float = 1.0
    steep: bool = True

    def __post_init__(self) -> None:
        self.slots = min(self.slots, self.ceiling)

    def double(self) -> None:
        """Open further without an answer: nothing has spoken against it."""
        self.slots = min(self.ceiling, self.slots * 2)

    def after(self, *, throttled: bool) -> int:
        """Take note of one answer; return the slots now allowed."""
        if throttled:
            self.steep = False
            self.slots = max(1.0, self.slots / 2)
        else:
            wider = self.slots + (1.0 if self.steep else 1.0 / self.slots)
            self.slots = min(self.ceiling, max(wider, _PROVEN) if self.steep else wider)
        return int(self.slots)


@dataclass(slots=True)
class TokenBucket:
    """So much per minute, saved up for at most `burst` seconds. Times are monotonic seconds, given by the caller.

    The level may go below zero: what was taken is then paid off before the next one may pass. So a request larger than
    the bucket passes alone instead of waiting for ever.
    """

    per_minute: float
    burst: float = 2.0
    level: float | None = None
    at: float = 0.0

    def delay(self, now: float) -> float:
        """Return how many seconds to wait until something may pass; 0 means now."""
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


def pacific_midnight(now: datetime) -> datetime:
    """Return when the day of the daily quota began (Google's page on rate limits: midnight Pacific time)."""
    try:
        pacific: tzinfo = ZoneInfo("America/Los_Angeles")
    except ZoneInfoNotFoundError:  # no time zones on this machine: right in winter, an hour late in summer
        pacific = timezone(timedelta(hours=-8))
    return now.astimezone(pacific).replace(hour=0, minute=0, second=0, microsecond=0)


@dataclass(slots=True)
class Day:
    """How many requests were `sent` in a day of the daily quota that `ends` at a Unix time. Callers say the time."""

    sent: int
    ends: float

    @classmethod
    def of(cls, at: float, sent: int = 0) -> Self:
        """Return the day that a Unix time belongs to."""
        began = pacific_midnight(datetime.fromtimestamp(at, UTC))
        # The longest day has 25 hours, the shortest 23: so this is within the next one.
        return cls(sent, pacific_midnight((began + timedelta(hours=26)).astimezone(UTC)).timestamp())

    def count(self, at: float) -> int:
        """Return how many requests were sent so far; none where a new day has begun."""
        if at >= self.ends:
            self.sent, self.ends = 0, Day.of(at).ends
        return self.sent

    def take(self, requests: int, at: float) -> None:
        """Count requests; a negative number gives back."""
        self.sent = max(0, self.count(at) + requests)


def day_is_over(rpd: float) -> QuotaExhausted:
    """Return the error of a request that a daily limit does not allow."""
    return QuotaExhausted(f"the daily limit of {rpd:,.0f} requests is used up; it begins anew at midnight Pacific time")


def is_throttle(error: BaseException | None) -> bool:
    """True where the service asks for less: 429 and 503. Other failures say nothing about speed."""
    return isinstance(error, RateLimited) and error.status in (429, 503)


def _is_transient(error: BaseException) -> bool:
    return isinstance(error, RateLimited | Overloaded | Unreachable | Unfinished)


class retry_if_transient(retry_if_exception):  # noqa: N801 - tenacity's policies are named like functions
    """Repeat what another try may mend: throttles, failures of the service, lost connections, unfinished answers."""

    def __init__(self) -> None:
        super().__init__(_is_transient)


class wait_as_told(wait_base):  # noqa: N801 - as above
    """Wait as long as the service asked; where it was silent, ask `fallback`."""

    def __init__(self, fallback: wait_base) -> None:
        self.fallback = fallback

    def __call__(self, retry_state: RetryCallState) -> float:
        asked = getattr(_failure(retry_state), "retry_after", None)
        return self.fallback(retry_state) if asked is None else float(asked)


class wait_with_jitter(wait_base):  # noqa: N801 - as above
    """Exponential, with equal parts fixed and random, so that nobody retries at once or in step with the others."""

    def __init__(self, first: float, longest: float, uniform: Callable[[float, float], float]) -> None:
        self.first, self.longest, self.uniform = first, longest, uniform

    def __call__(self, retry_state: RetryCallState) -> float:
        whole = min(self.longest, self.first * 2 ** min(retry_state.attempt_number - 1, 30))
        return self.uniform(whole / 2, whole)


class stop_when_hopeless(stop_base):  # noqa: N801 - as above
    """Stop after so many failures, or once throttled for too long. A throttle is no failure. One object per record."""

    def __init__(self, retry: Retry) -> None:
        self.retry = retry
        self.failures = 0

    def __call__(self, retry_state: RetryCallState) -> bool:
        if is_throttle(_failure(retry_state)):
            return (retry_state.seconds_since_start or 0.0) + retry_state.upcoming_sleep > self.retry.patience
        self.failures += 1
        # An unfinished answer is usually deterministic: one plain repeat, not the whole patience.
        most = 3 if isinstance(_failure(retry_state), Unfinished) else self.retry.failures
        return self.failures >= most


def _failure(retry_state: RetryCallState) -> BaseException | None:
    outcome = retry_state.outcome
    return outcome.exception() if outcome is not None else None


def next_streak(streak: int | None, error: ExtractError | None) -> int | None:
    """Count the failures in a row that speak of a wrong set-up; None once a record has succeeded.

    Blocks, bad records, throttles and cut answers are about single records and leave the count as it is.
    """
    if streak is None or error is None:
        return None
    return streak + 1 if error.code in ("bad_request", "invalid_answer", "unreachable") else streak
