"""A worker's part of the cluster's quota: a rate limit of granted permits, and the reports that ask for more."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from extract.distributed.budget_claims import Claim, ClaimedBudgetMeter
from extract.distributed.quota import FallbackShare, Grant, WorkerReport
from extract.errors import ExtractError
from extract.limits.limiter import Limiter
from extract.limits.limits import Limits
from extract.limits.rate_limiter import RateLimiter, Verdict, note_pause
from extract.limits.shared_pause import SharedPause

__all__ = ["GrantedRateLimit", "WorkerQuota"]

_POLL = 0.05  # seconds after which a request that waits for a permit looks again; a grant wakes it sooner
_BURST = 0.5  # seconds' worth of requests that may be saved up by a worker on its fallback share
_IDLE = 1.0  # seconds for which unused permits are held for the next requests


class _FallbackRateLimit:
    """The rate limit of a worker that gets no replies from the quota: its share of the last known rates."""

    def __init__(self, share: FallbackShare, now: float) -> None:
        limits = Limits(rpm=_per_minute(share.per_second), tpm=_per_minute(share.tokens_per_second))
        self.rates = RateLimiter(limits, saved=_BURST)
        self.rates.resume(math.inf, math.inf, now)
        self._left = share.requests

    def delay(self, now: float) -> float:
        return self.rates.delay(now) if self._left >= 1 else _POLL

    def take(self, tokens: int, now: float) -> None:
        self._left -= 1
        self.rates.take(tokens, now)


def _per_minute(rate: float) -> float | None:
    return None if rate == math.inf else max(1.0, rate * 60)


class GrantedRateLimit:
    """Lets a request pass for each permit; freely where the quota is open; at the fallback share where it is silent.

    `sent` requests have passed, `tokens` are their input tokens and those of the unused permits: both are totals that
    never start again, as `quota` expects. `replies` are those still to be reported; `replies_reported` came before
    them. `on_report_due` is called when there is something to request or to report at once.
    """

    def __init__(self, limits: Limits, on_report_due: Callable[[], None]) -> None:
        self.permits: deque[int] = deque()
        self.is_open: bool = False
        self.sent: int = 0
        self.tokens: int = 0
        self.replies_reported: int = 0
        self.replies: list[tuple[float, Verdict]] = []
        self._pause = SharedPause()  # by what this worker hears itself
        self._granted_pause = 0.0  # until when the quota holds all workers back
        self._on_report_due = on_report_due
        self._patience = limits.retry.patience
        self._fallback: _FallbackRateLimit | None = None

    @property
    def paused_until(self) -> float:
        """When a wait that the service asked for is over."""
        return max(self._pause.until, self._granted_pause)

    def delay(self, now: float) -> float:
        if self.paused_until > now:
            return self.paused_until - now
        if self._fallback is not None and not self.permits:
            return self._fallback.delay(now)
        if self.is_open or self.permits:
            return 0.0
        self._on_report_due()
        return _POLL

    def take(self, tokens: int, now: float) -> None:
        self.sent += 1
        if self.permits:
            # The permit was granted for an estimated size: only the difference is new.
            self.tokens += tokens - self.permits.popleft()
            return
        self.tokens += tokens
        if self._fallback is not None:
            self._fallback.take(tokens, now)

    def settle(self, more: int, now: float) -> None:
        self.tokens += more
        if self._fallback is not None:
            self._fallback.rates.settle(more, now)

    @property
    def per_second(self) -> float:
        """Infinite: the rate belongs to the cluster, and a worker has none."""
        return math.inf

    @property
    def tokens_per_second(self) -> float:
        return math.inf

    def reached(self, now: float) -> str:
        """Name the limit that holds the next request back, "" where none does."""
        return "the quota of the cluster" if self.delay(now) > 0 else ""

    def note(self, sent_at: float, now: float, verdict: Verdict) -> None:
        self.replies.append((sent_at, verdict))
        if self._fallback is not None:
            self._fallback.rates.note(sent_at, now, verdict)
        note_pause(self._pause, sent_at, now, verdict, self._patience)
        if verdict.refused:
            self.is_open = False  # until the quota has learned a rate from the refusal
            self._on_report_due()

    def give_back(self) -> None:
        """Drop the unused permits; the next report's totals are lower by them, which frees them for others."""
        self.tokens -= sum(self.permits)
        self.permits.clear()

    def use_fallback_share(self, share: FallbackShare, now: float) -> None:
        """Continue at a share of the last rates while the quota is silent. What is sent meanwhile is reported later."""
        if self._fallback is None:
            self._fallback = _FallbackRateLimit(share, now)

    def accept(self, grant: Grant, report: WorkerReport, now: float) -> None:
        """Add the granted permits, and drop the replies that `report` has delivered."""
        granted = report.sizes[: grant.permits]
        self._fallback = None
        self.is_open = grant.is_open
        self.permits.extend(granted)
        self.tokens += sum(granted)
        self._granted_pause = now + grant.pause if grant.pause else 0.0
        # Replies that came after the report was made stay for the next one.
        self.replies_reported += len(report.replies)
        del self.replies[: len(report.replies)]


@dataclass(slots=True)
class WorkerQuota:
    """One worker's limiter, and the reports that keep its permits and its allowance filled.

    `stop` is what has ended the run for this worker.
    """

    name: str
    limiter: Limiter
    rate_limit: GrantedRateLimit
    meter: ClaimedBudgetMeter | None = None
    stop: ExtractError | None = None
    _share: FallbackShare | None = None
    _number: int = 0
    _sent: int = 0
    _sent_at: float = 0.0

    def report(self, now: float) -> WorkerReport:
        """Return the next report. Only one may be under way: a grant answers the newest."""
        rate_limit = self.rate_limit
        recent, self._sent = rate_limit.sent - self._sent, rate_limit.sent
        self._sent_at = now if recent else self._sent_at
        self._number += 1
        waiting = self.limiter.next_in_line(self.limiter.slots)
        if not waiting and now - self._sent_at > _IDLE:
            rate_limit.give_back()
        return WorkerReport(
            worker=self.name,
            number=self._number,
            sent=rate_limit.sent,
            unused_permits=len(rate_limit.permits),
            tokens=rate_limit.tokens,
            first_reply=rate_limit.replies_reported,
            # Ages, not times: the quota's clock is another machine's.
            replies=tuple((now - sent_at, verdict) for sent_at, verdict in rate_limit.replies),
            sizes=self._sizes(waiting, recent),
            waiting=len(waiting),
            claim=Claim() if self.meter is None else self.meter.claim(len(waiting) + recent),
            stop=self.stop,
        )

    def _sizes(self, waiting: list[int], recent: int) -> tuple[int, ...]:
        """Return the sizes of the requests to ask permits for: those that wait, and as many again as were just sent.

        Permits for requests that do not exist yet save the time of an exchange for each of them.
        """
        permits = self.rate_limit.permits
        missing = len(waiting) + min(recent, self.limiter.slots) - len(permits)
        if self.rate_limit.is_open or missing <= 0:
            return ()
        usual = waiting[-1] if waiting else permits[-1] if permits else 1
        return tuple([*waiting, *[usual] * missing][:missing])

    def accept(self, grant: Grant, report: WorkerReport, now: float) -> None:
        """Apply the grant that answers the newest report, and admit the requests that may pass now."""
        self._share = grant.share
        self.rate_limit.accept(grant, report, now)
        if self.meter is not None:
            self.meter.accept(grant.allowance, is_final=grant.is_final)
        self.limiter.wake()

    def use_fallback_share(self, now: float) -> None:
        """Continue without the quota, at the share of its last grant. Without any grant wait: no rate is known."""
        if self._share is not None:
            self.rate_limit.use_fallback_share(self._share, now)
            self.limiter.wake()
