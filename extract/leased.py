"""A worker's side of a lease: a throttle and a purse for its gate, and the reports that keep them filled."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from extract.budget import Amount, Budget, Purse
from extract.errors import BudgetExceeded, ExtractError
from extract.gate import Gate
from extract.leases import Lease, Report, smallest
from extract.limits import Limits
from extract.rates import Rates, Verdict

__all__ = ["LeasedPurse", "LeasedThrottle", "Leaseholder"]

_LOOK_AGAIN = 0.05  # seconds after which who waits for a permit looks again; a new lease wakes it sooner
_SAVED = 0.5  # seconds' worth of requests that may be saved up by a worker that goes on alone
_IDLE = 1.0  # seconds that permits are kept for the next requests


class LeasedThrottle:
    """Lets requests pass with permits in hand; without, where nobody counts, or at its share where nobody answers.

    `on_want` hears that there is something to ask for or to tell at once.
    """

    def __init__(self, limits: Limits, on_want: Callable[[], None]) -> None:
        self.permits: deque[int] = deque()
        self.is_open = False
        self.passed = 0
        self.paused_until = 0.0
        self.taken: list[int] = []
        self.replies: list[tuple[float, Verdict]] = []
        self.more_tokens = 0
        self._on_want = on_want
        self._patience = limits.retry.patience
        self._alone: Rates | None = None

    def delay(self, now: float) -> float:
        if self.paused_until > now:
            return self.paused_until - now
        if self._alone is not None and not self.permits:
            return self._alone.delay(now)
        if self.is_open or self.permits:
            return 0.0
        self._on_want()
        return _LOOK_AGAIN

    def take(self, tokens: int, now: float) -> None:
        self.passed += 1
        if self.permits:
            self.more_tokens += tokens - self.permits.popleft()
            return
        self.taken.append(tokens)
        if self._alone is not None:
            self._alone.take(tokens, now)

    def settle(self, more: int, now: float) -> None:
        self.more_tokens += more
        if self._alone is not None:
            self._alone.settle(more, now)

    @property
    def per_second(self) -> float:
        """Infinite: the rate is the cluster's, and no worker's own."""
        return math.inf

    @property
    def tokens_per_second(self) -> float:
        return math.inf

    def reached(self, now: float) -> str:
        """Return whose limit it is where one holds the next request back."""
        return "the quota of the cluster" if self.delay(now) > 0 else ""

    def note(self, sent_at: float, now: float, verdict: Verdict) -> None:
        self.replies.append((sent_at, verdict))
        if self._alone is not None:
            self._alone.note(sent_at, now, verdict)
        if verdict.pause is not None:
            self.paused_until = max(self.paused_until, now + min(verdict.pause, self._patience))
        if verdict.refused:
            self.is_open = False  # until it is known what this means for all
            self._on_want()

    def go_alone(self, share: float, token_share: float, now: float) -> None:
        """Go on at a share of the rates: who grants permits is lost. What is sent meanwhile is told later."""
        if self._alone is None:
            limits = Limits(rpm=_per_minute(share), tpm=_per_minute(token_share))
            self._alone = Rates(limits, saved=_SAVED)
            self._alone.resume(math.inf, math.inf, now)

    def accept(self, lease: Lease, report: Report, now: float) -> None:
        """Take over what was granted; what the report has told is settled."""
        self._alone = None
        self.is_open = lease.is_open
        self.permits.extend(report.sizes[: lease.permits])
        self.paused_until = max(self.paused_until, now + lease.pause) if lease.pause else self.paused_until
        del self.taken[: len(report.taken)]
        del self.replies[: len(report.replies)]
        self.more_tokens -= report.more_tokens


def _per_minute(share: float) -> float | None:
    return None if share == math.inf else max(1.0, share * 60)


class LeasedPurse(Purse):
    """The part of a budget that one worker may use: its `claim`, in all that it spends and reserves."""

    def __init__(self, budget: Budget, on_want: Callable[[], None]) -> None:
        super().__init__(budget)
        self.claim = Amount()
        self.is_final = False
        self.lacks = False
        self.worst = Amount()
        self._on_want = on_want

    def fits(self, amount: Amount) -> bool:
        """True where `amount` is within the claim; else the claim is to be raised."""
        self.worst = amount
        after = self.used + amount
        within = (
            (self.budget.dollars is None or after.dollars <= self.claim.dollars)
            and (self.budget.tokens is None or after.tokens <= self.claim.tokens)
            and (self.budget.requests is None or after.requests <= self.claim.requests)
        )
        if not within:
            self.lacks = True
            self._on_want()
        return within

    @property
    def used(self) -> Amount:
        """What is spent or reserved."""
        return self.spent + self.reserved

    @property
    def waits(self) -> bool:
        """True while this worker or another may still give something back."""
        return self.reserved.requests > 0 or not self.is_final

    def exceeded(self, amount: Amount) -> BudgetExceeded:  # noqa: ARG002 - it is the budget of all that is used up
        budget = self.budget
        limits = (
            f"${budget.dollars:,.4f} (--budget)" if budget.dollars is not None else "",
            f"{budget.tokens:,} tokens (--budget-tokens)" if budget.tokens is not None else "",
            f"{budget.requests:,} requests" if budget.requests is not None else "",
        )
        named = " or ".join(filter(None, limits))
        return BudgetExceeded(f"the budget of {named} is used up by all workers; raise it and run again to go on")


@dataclass(slots=True)
class Leaseholder:
    """One worker's gate, and what its reports are made of. `stop` is what has ended the run for this worker."""

    name: str
    gate: Gate
    throttle: LeasedThrottle
    purse: LeasedPurse | None = None
    stop: ExtractError | None = None
    _share: float = math.inf
    _token_share: float = math.inf
    _passed: int = 0
    _passed_at: float = 0.0

    def report(self, now: float) -> Report:
        """Return what is to be told and asked for. Only one may be under way."""
        throttle = self.throttle
        lately, self._passed = throttle.passed - self._passed, throttle.passed
        self._passed_at = now if lately else self._passed_at
        waiting = self.gate.next_in_line(self.gate.slots)
        unused: tuple[int, ...] = ()
        if not waiting and now - self._passed_at > _IDLE:
            unused = tuple(throttle.permits)
            throttle.permits.clear()
        return Report(
            worker=self.name,
            sizes=self._wanted(waiting, lately),
            unused=unused,
            taken=tuple(throttle.taken),
            replies=tuple((now - sent_at, verdict) for sent_at, verdict in throttle.replies),
            more_tokens=throttle.more_tokens,
            stop=self.stop,
            **self._claims(len(waiting) + lately),
        )

    def _wanted(self, waiting: list[int], lately: int) -> tuple[int, ...]:
        """Return the sizes of the requests that wait, and of as many again as have passed since the last report."""
        held = self.throttle.permits
        missing = len(waiting) + min(lately, self.gate.slots) - len(held)
        if self.throttle.is_open or missing <= 0:
            return ()
        usual = waiting[-1] if waiting else held[-1] if held else 1
        return tuple([*waiting, *[usual] * missing][:missing])

    def _claims(self, requests: int) -> dict[str, Any]:
        purse = self.purse
        if purse is None:
            return {}
        used, worst = purse.used, purse.worst
        more = max(requests, 1) if purse.lacks else requests
        wish = used + Amount(worst.dollars * more, worst.tokens * more, worst.requests * more)
        # What is not wished for is given up before it is told: from then on it may be another's.
        purse.claim = smallest(purse.claim, wish)
        return {"spent": purse.spent, "used": used, "wish": wish, "least": used + worst if purse.lacks else used}

    def accept(self, lease: Lease, report: Report, now: float) -> None:
        """Take a lease over, and let in who may pass now."""
        self._share, self._token_share = lease.share, lease.token_share
        self.throttle.accept(lease, report, now)
        if self.purse is not None:
            self.purse.claim, self.purse.is_final, self.purse.lacks = lease.claim, lease.is_final, False
        self.gate.wake()

    def lost(self, now: float) -> None:
        """Go on alone: no lease came back. What could not be told is told again."""
        self.throttle.go_alone(self._share, self._token_share, now)
        self.gate.wake()
