"""When the next request may pass: quotas that were given or learned, and pauses that refusals ask for. No clock."""

from __future__ import annotations

import math
from typing import NamedTuple, Protocol

from extract.errors import Overloaded, RateLimited
from extract.interactions.http.retrying import is_throttle
from extract.limits.adaptive_rate import AdaptiveRate
from extract.limits.limits import Limits
from extract.limits.shared_pause import SharedPause
from extract.limits.token_bucket import TokenBucket

__all__ = ["RateLimit", "RateLimiter", "Verdict", "note_pause", "verdict_of"]

_REQUESTS_SAVED = 2.0  # seconds' worth of requests that may be saved up
_TOKENS_SAVED = 10.0


class Verdict(NamedTuple):
    """What the reply to a request says about speed.

    `refused`: a quota was used up. `rpm` and `tpm` are the quotas that the reply names, `pause` is the delay in seconds
    that it asks for; None where it names none.
    """

    refused: bool = False
    rpm: float | None = None
    tpm: float | None = None
    pause: float | None = None


_FINE = Verdict()


def verdict_of(error: BaseException | None) -> Verdict:
    """Return what an error says about speed; None stands for an answer."""
    if not isinstance(error, RateLimited):
        return _FINE
    if not is_throttle(error):
        return Verdict(rpm=error.rpm)
    return Verdict(not isinstance(error, Overloaded), error.rpm, error.tpm, error.retry_after)


class RateLimit(Protocol):
    """The rates that a `Limiter` keeps to. All times are seconds of the caller's clock.

    `delay` returns the seconds until a request may pass, 0 for now. `take` counts one that passes, with the estimated
    size of its input in tokens; `settle` adds the tokens that it had beyond the estimate. `note` learns from the reply.
    `reached` returns the name of the limit that holds the next request back, "" where none does. The rates are infinite
    where they are unknown.
    """

    @property
    def per_second(self) -> float: ...
    @property
    def tokens_per_second(self) -> float: ...

    def delay(self, now: float) -> float: ...
    def take(self, tokens: int, now: float) -> None: ...
    def settle(self, more: int, now: float) -> None: ...
    def note(self, sent_at: float, now: float, verdict: Verdict) -> None: ...
    def reached(self, now: float) -> str: ...


def _limit_name(verdict: Verdict) -> str:
    """Return in words which limit a refusal is about."""
    if verdict.rpm:
        return f"{verdict.rpm:,.0f} requests/min"
    if verdict.tpm:
        return f"{verdict.tpm:,.0f} input tokens/min"
    return "the service says so" if verdict.refused else "the service is overloaded"


def note_pause(pause: SharedPause, sent_at: float, now: float, verdict: Verdict, patience: float) -> None:
    """Let a pause learn from the reply to a request; no wait is longer than `patience`."""
    if verdict.pause is not None:
        wait, is_quota = min(verdict.pause, patience), bool(verdict.rpm or verdict.tpm)
        pause.refuse(sent_at, now, wait, _limit_name(verdict), is_quota=is_quota)
    elif not verdict.refused:
        pause.accept(sent_at, now)


class RateLimiter:
    """The rates of one run, given or learned. `saved`: seconds' worth of requests that may be saved up."""

    def __init__(self, limits: Limits, *, saved: float = _REQUESTS_SAVED) -> None:
        self._pause = SharedPause()
        self._requests = TokenBucket(limits.rpm, burst=saved) if limits.rpm else None
        self._tokens = TokenBucket(limits.tpm, burst=_TOKENS_SAVED) if limits.tpm else None
        self._learned = AdaptiveRate()
        self._may_learn_tokens = limits.tpm is None
        self._patience = limits.retry.patience

    @property
    def paused_until(self) -> float:
        """When a wait that the service asked for is over."""
        return self._pause.until

    @paused_until.setter
    def paused_until(self, until: float) -> None:
        self._pause.until = until

    @property
    def learned(self) -> float:
        """Requests a second, learned from refusals; infinite before the first."""
        return self._learned.rate

    @property
    def per_second(self) -> float:
        """Requests a second that may pass; infinite where no limit is given or learned."""
        return self.learned if self._requests is None else min(self.learned, self._requests.per_minute / 60)

    @property
    def tokens_per_second(self) -> float:
        """Input tokens a second that may pass; infinite where no limit is known."""
        return math.inf if self._tokens is None else self._tokens.per_minute / 60

    def delay(self, now: float) -> float:
        """Return the seconds until a request may pass; 0 means now."""
        delay = max(self._pause.until - now, self._learned.delay(now), 0.0)
        if self._requests:
            delay = max(delay, self._requests.delay(now))
        return max(delay, self._tokens.delay(now)) if self._tokens else delay

    def reached(self, now: float) -> str:
        """Return the limit that delays the next request most, with its figure where known; "" where none does."""
        waits = {
            self._pause.by: self.paused_until - now,
        }
        if self._learned.is_quota:
            waits[f"about {self._learned.rate * 60:,.0f} requests/min"] = self._learned.delay(now)
        if self._requests:
            waits[f"{self._requests.per_minute:,.0f} requests/min"] = self._requests.delay(now)
        if self._tokens:
            waits[f"{self._tokens.per_minute:,.0f} input tokens/min"] = self._tokens.delay(now)
        limit = max(waits, key=waits.__getitem__)
        return limit if waits[limit] > 0 else ""

    def take(self, tokens: int, now: float) -> None:
        """Count a request that passes now, with the estimated size of its input."""
        self._learned.take(now)
        if self._requests:
            self._requests.take(1, now)
        if self._tokens:
            self._tokens.take(tokens, now)

    def give_back(self, tokens: int, now: float) -> None:
        """Undo `take` for a request that was not sent after all."""
        if self._requests:
            self._requests.take(-1, now)
        if self._tokens:
            self._tokens.take(-tokens, now)

    def settle(self, more: int, now: float) -> None:
        """Take the input tokens that a request had beyond its estimate; a negative number gives back.

        At most a minute's worth: the service counts by the minute, and what it reports may be anything.
        """
        if self._tokens:
            self._tokens.take(min(more, self._tokens.per_minute), now)

    def note(self, sent_at: float, now: float, verdict: Verdict) -> None:
        """Learn from the reply to a request."""
        self._learned.note(sent_at, now, refused=verdict.refused, named=verdict.rpm)
        note_pause(self._pause, sent_at, now, verdict, self._patience)
        tpm = verdict.tpm
        if tpm and self._may_learn_tokens and (self._tokens is None or self._tokens.per_minute != tpm):
            self._tokens = TokenBucket(tpm, burst=_TOKENS_SAVED, at=now, level=0.0)

    def resume(self, learned: float, tokens_per_second: float, now: float) -> None:
        """Go on with what another RateLimiter has learned, and with nothing saved up."""
        if learned < math.inf:
            self._learned.note(now, now, refused=True, named=learned * 60)
        for bucket in (self._requests, self._tokens):
            if bucket is not None:
                bucket.level, bucket.at = 0.0, now
        if self._tokens is None and tokens_per_second < math.inf:
            self._tokens = TokenBucket(tokens_per_second * 60, burst=_TOKENS_SAVED, at=now, level=0.0)
