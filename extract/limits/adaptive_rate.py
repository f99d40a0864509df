"""How many requests a second the service accepts, learned from its refusals. No clock: callers pass the time."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from itertools import islice

from extract.limits.token_bucket import TokenBucket

__all__ = ["AdaptiveRate"]

# Cuts. Each refusal cuts the rate; where refusals go on, each further cut goes deeper.
_CUTS = (0.95, 0.9, 0.8, 0.65, 0.5)  # factors by which successive cuts multiply the rate
_PLATEAU, _START = 0.99, 0.96  # of the measured quota: where the rate settles, and where it begins after a refusal
_MIN_SHARE = 0.04  # of the largest quota measured: the rate never falls below it, however odd the refusals

# Growth after a cut.
_RECOVERY = 2.5  # seconds from a cut to the plateau; decides how soon a larger quota is noticed
_REQUESTS_PER_RECOVERY = 65  # at least that many requests in that time, so that probes, and refusals, are rare
_CONVEXITY = 0.02  # growth beyond the plateau after as long again as the recovery took; its fourth power after that
_IDLE_STEP = 0.1  # seconds: with nothing held back the curve is looked at no more often than that
_NOISE_HASTE = 2  # times as fast it grows where noise had held it down

# What counts as evidence.
_MIN_REPLIES, _MIN_SPAN = 20, 1.0  # accepted requests, and seconds between their sends, that measure a quota
_MIN_REFUSALS = 3  # refusals that count as evidence where fewer requests than that were sent
_LAST_REPLIES, _MANY = 12, 4  # of the last replies, refusals: such is a quota that is well exceeded
_FIRST_SPAN = 1.0  # seconds of sends from which the first rate is measured
_BURST = 0.5  # seconds' worth of requests that may be saved up

# Trials tell a lower quota from refusals that have nothing to do with the rate.
_DOUBT = 0.6  # of the highest rate that worked: refusals below that may have another cause
_TRIAL, _SHORT_TRIAL = 24, 10  # requests in a trial: sent at 1/0.6 of a quota, two fifths of them are refused
_TRIAL_SPAN = 20.0  # seconds that a trial may take, unless it is the shortest
_MAX_NOISE = 0.2  # share of a trial's requests that may be refused where refusals do not depend on the rate
_NOISE_MARGIN, _MIN_TOLERANCE = 0.05, 0.15  # added to twice the trial's share: more than that is no longer noise


@dataclass(slots=True)
class _Trial:
    """Requests sent at a rate that once worked. The rate then rests at `resting` until all replies are in."""

    resting: float
    length: int
    sent: int = 0
    newest: float = -math.inf
    replies: int = 0
    refused: int = 0


@dataclass(slots=True)
class _QuotaMeasure:
    """Measures the quota: each refusal finds it used up, so what is accepted between two refusals is the quota."""

    best: float = 0.0
    _since: float | None = None
    _newest: float = 0.0
    _accepted: int = 0

    def count(self, sent_at: float) -> None:
        """Count an accepted request; what was sent before the first refusal does not count."""
        if self._since is not None and sent_at >= self._since:
            self._accepted += 1
            self._newest = max(self._newest, sent_at)

    def at_refusal(self, sent_at: float) -> float | None:
        """Return the requests accepted a second since the last measurement, None where that were too few."""
        if self._since is None:
            self._since = self._newest = sent_at
        span = self._newest - self._since
        if self._accepted < _MIN_REPLIES or span < _MIN_SPAN:
            return None
        quota = self._accepted / span
        self.best = max(self.best, quota)
        self._since, self._newest, self._accepted = sent_at, sent_at, 0
        return quota


@dataclass(slots=True)
class _Curve:
    """How the rate grows after a cut: from `floor` to `plateau`, where it dwells, and beyond it in ever larger steps.

    This is the shape of CUBIC (RFC 9438). `seen` is when `rate_at` last looked. `is_limiting` says whether the rate has
    held a request back since: only such time counts, or a run with little to send would grow its rate for nothing.
    """

    floor: float
    plateau: float
    seen: float
    haste: int = 1
    is_limiting: bool = False
    _grown: float = 0.0

    @property
    def recovery(self) -> float:
        """Seconds from a cut to the plateau, and the unit of growth beyond it."""
        return max(_RECOVERY, _REQUESTS_PER_RECOVERY / max(self.plateau, 1e-6)) / self.haste

    def rate_at(self, now: float) -> float | None:
        """Return the rate from now on; None where it need not change."""
        if self.is_limiting:
            self._grown += now - self.seen
        elif now - self.seen < _IDLE_STEP:
            return None
        self.seen, self.is_limiting = now, False
        share = self._grown / self.recovery
        if share < 1:
            return self.plateau - (self.plateau - self.floor) * (1 - share) ** 3
        rate = self.plateau * (1 + _CONVEXITY * (share - 1) ** 4)
        if rate > 2 * self.plateau:
            # The quota is far away: go on from here, lest the fourth power overshoot it by much.
            self.plateau, self.floor, self._grown = rate, rate, self.recovery
        return rate


@dataclass(slots=True)
class AdaptiveRate:
    """A rate that is unbounded until the first refusal, then follows the quota behind the refusals, also when it moves.

    After a refusal the rate settles a little below the measured quota and later probes beyond it. Refusals that go on
    below the quota cut deeper. Where cuts do not make them rarer, a short trial at the old rate tells whether the quota
    has fallen or the refusals are noise, which is then tolerated.

    Invariants: `rate` is infinite as long as there is no bucket and no curve, and finite ever after. Replies to
    requests sent before the last cut (`_cut_at`) never change the rate: they belong to the rate before it. While a
    trial runs, the curve rests.
    """

    rate: float = math.inf
    _quota: _QuotaMeasure = field(default_factory=_QuotaMeasure)
    _curve: _Curve | None = None
    _bucket: TokenBucket | None = None
    _cut_at: float = -math.inf
    _cuts: int = 0  # in a row
    _refused_at: float = -math.inf
    _highest: float = 0.0  # of the rates that worked
    _trial: _Trial | None = None
    _noise: float | None = None  # share of refusals that is tolerated, once a trial has found noise
    _first_sends: deque[float] = field(default_factory=lambda: deque(maxlen=4096))
    _recent: deque[bool] = field(default_factory=lambda: deque(maxlen=64))  # replies since the last cut: refused or not

    @property
    def is_quota(self) -> bool:
        """True where the rate is that of a quota, as far as its refusals show."""
        return self._curve is not None and self._noise is None and self._trial is None

    def delay(self, now: float) -> float:
        """Seconds until a request may be sent; 0 means now."""
        if self._bucket is None or self._curve is None:
            return 0.0
        if self._trial is None:
            rate = self._curve.rate_at(now)
            if rate is not None:
                self._set(rate, now)
        elif self._trial.sent == self._trial.length:
            self._set(self._trial.resting, now)
        delay = self._bucket.delay(now)
        self._curve.is_limiting = self._curve.is_limiting or delay > 0
        return delay

    def take(self, now: float) -> None:
        """Count a request that is sent now."""
        if self._bucket is None:
            self._first_sends.append(now)
            return
        self._bucket.take(1, now)
        if self._trial is not None and self._trial.sent < self._trial.length:
            self._trial.sent, self._trial.newest = self._trial.sent + 1, now

    def note(self, sent_at: float, now: float, *, refused: bool, named: float | None = None) -> None:
        """Learn from the reply to a request; `named` is the quota that a refusal names, in requests per minute."""
        self._recent.append(refused)
        if self._trial is not None:
            self._note_trial(self._trial, sent_at, now, refused=refused)
        elif not refused:
            self._quota.count(sent_at)
        elif sent_at >= self._cut_at:
            self._note_refusal(sent_at, now, named)

    def _note_refusal(self, sent_at: float, now: float, named: float | None) -> None:
        """Begin a new curve, or a trial, or tolerate the refusal as noise."""
        quota = self._quota.at_refusal(sent_at)
        is_soon = self._curve is not None and now - self._refused_at < self._curve.recovery
        self._refused_at = now
        if self._noise is not None:
            if sum(self._recent) <= self._noise * max(len(self._recent), _TRIAL):
                return
            self._noise, is_soon = None, False  # that many refusals are no noise after all
        if self._curve is None:
            self._begin_first(now, named)
            return
        if not is_soon:
            self._cuts = 0
        self._highest = max(self._highest, self.rate)
        if self.rate < _DOUBT * self._highest:
            length = max(_SHORT_TRIAL, min(_TRIAL, round(self._highest * _TRIAL_SPAN)))
            self._trial = _Trial(resting=self.rate, length=length)
            self._begin(self._highest, self._highest, now)
        else:
            self._cut(quota, now)

    def _cut(self, quota: float | None, now: float) -> None:
        """Go back to the quota that was just measured; where refusals go on, cut from there in growing steps."""
        if self._cuts == 0 and quota is not None:
            self._begin(_START * quota, _PLATEAU * quota, now)
        else:
            start = self.rate * _CUTS[min(self._cuts, len(_CUTS) - 1)]
            # After two cuts in a row the quota lies between the last two rates: settle in the middle.
            self._begin(start, (start + self.rate) / 2 if self._cuts else start, now)
        self._cuts += 1

    def _begin(self, start: float, plateau: float, now: float) -> None:
        """Begin a new curve."""
        start = max(start, _MIN_SHARE * self._quota.best)
        haste = 1 if self._noise is None else _NOISE_HASTE
        self._curve = _Curve(start, max(plateau, start), seen=now, haste=haste)
        self._cut_at = now
        self._recent.clear()
        self._set(start, now)

    def _note_trial(self, trial: _Trial, sent_at: float, now: float, *, refused: bool) -> None:
        """Count a reply during a trial. It ends when the quota must have fallen, or when all replies are in: noise."""
        if not self._cut_at <= sent_at <= trial.newest:
            return
        trial.replies, trial.refused = trial.replies + 1, trial.refused + refused
        has_fallen = trial.refused > _MAX_NOISE * trial.length
        if not has_fallen and trial.replies < trial.length:
            return
        self._trial = None
        if has_fallen:
            self._highest = trial.resting
            self._begin(trial.resting, trial.resting, now)
            self._cut(None, now)
        else:
            self._noise = max(_MIN_TOLERANCE, 2 * trial.refused / trial.length + _NOISE_MARGIN)
            self._begin(self._highest, self._highest, now)

    def _begin_first(self, now: float, named: float | None) -> None:
        """Begin with the quota that was named, else with a third of the rate of the last second or so."""
        if named is not None:
            self._highest = start = named / 60
        elif not self._is_evident():
            return
        else:
            recent = [at for at in self._first_sends if now - at <= _FIRST_SPAN]
            recent = recent if len(recent) >= _MIN_REPLIES else list(self._first_sends)[-_MIN_REPLIES:]
            self._highest = len(recent) / max(now - recent[0], 0.05)
            start = self._highest / 3
        self._quota.best = start
        self._begin(start, start, now)

    def _is_evident(self) -> bool:
        """Return whether the first refusals show a quota: single ones among many answers do not."""
        if len(self._first_sends) < _MIN_REPLIES:
            return sum(self._recent) >= _MIN_REFUSALS
        return sum(islice(reversed(self._recent), _LAST_REPLIES)) >= _MANY

    def _set(self, rate: float, now: float) -> None:
        self.rate = rate
        if self._bucket is None:
            self._bucket = TokenBucket(rate * 60, burst=_BURST, level=0.0, at=now)
        self._bucket.per_minute = rate * 60
