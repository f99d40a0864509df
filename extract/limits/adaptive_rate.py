"""How many requests a second the service lets pass, learned from its refusals. No clock: callers say the time."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

from extract.limits.token_bucket import TokenBucket

__all__ = ["AdaptiveRate"]

_CUTS = (0.95, 0.9, 0.8, 0.65, 0.5)  # what is left of the rate, cut by cut, while refusals follow on each other
_PLATEAU, _START = 0.99, 0.96  # of the measured quota: where the rate settles, and where it begins after a refusal
_RECOVERY = 2.5  # seconds from a cut to the plateau; sets how soon a larger quota is found
_REQUESTS_PER_RECOVERY = 65  # the least requests in that time, so that probes, and refusals, are rare among requests
_CONVEXITY = 0.02  # growth beyond the plateau after as long again as the recovery took; its fourth power after that
_SAMPLES, _SPAN = 20, 1.0  # replies, and seconds of sends, from which a quota is believed
_REFUSALS = 3  # refusals that are evidence where less than that was sent
_MEMORY = 1.0  # seconds of sends from which a first rate is measured
_SAVED = 0.5  # seconds' worth of requests that may be saved up
_LEAST = 0.04  # of the largest quota measured: however odd the refusals, a run goes on at that
_DOUBT = 0.6  # of the highest rate that worked: refusals below it may be about something else
_TRIAL, _SHORT_TRIAL = 24, 10  # requests sent at that rate to find out: behind a quota two fifths are refused
_TRIAL_SPAN = 20.0  # seconds that a trial may take, unless it is the shortest
_NOISE = 0.2  # share of its requests that is refused at most where refusals are not about the rate
_HASTE = 2  # times as fast it grows where noise had held it down
_LEEWAY = 0.05  # of refusals, besides twice those of the trial, until noise is believed to be more than noise


@dataclass(slots=True)
class _Trial:
    """Some requests at a rate that once worked; `resting` is the rate before, gone back to until all replies are in."""

    resting: float
    length: int
    sent: int = 0
    newest: float = -math.inf
    replies: int = 0
    refused: int = 0


@dataclass(slots=True)
class AdaptiveRate:
    """A rate that is unbounded until the first refusal, then follows the quota behind the refusals, also when it moves.

    At a refusal the quota is used up; so what got through between two refusals *is* the quota. The rate then settles
    a little below it, dwells there, and probes beyond in ever larger steps (in the manner of CUBIC, RFC 9438).
    Refusals that go on below the measured quota cut deeper. Where slowing down does not make them rarer, a short trial
    at the old rate tells whether the quota has fallen or the refusals are noise, which is then put up with.
    """

    rate: float = math.inf
    _floor: float = math.inf
    _plateau: float = math.inf
    _cut_at: float = -math.inf
    _cuts: int = 0
    _top: float = 0.0
    _trial: _Trial | None = None
    _noise: float | None = None
    _refused_at: float = -math.inf
    _best: float = 0.0
    _mark: float | None = None
    _newest: float = 0.0
    _accepted: int = 0
    _grown: float = 0.0
    _seen: float = 0.0
    _bound: bool = False
    _sends: deque[float] = field(default_factory=lambda: deque(maxlen=4096))
    _recent: deque[bool] = field(default_factory=lambda: deque(maxlen=64))
    _bucket: TokenBucket | None = None

    def delay(self, now: float) -> float:
        """Seconds until a request may be sent; 0 means now."""
        if self._bucket is None:
            return 0.0
        self._grow(now)
        if self._trial is not None and self._trial.sent == self._trial.length:
            self._set(self._trial.resting, now)  # until the replies are in
        delay = self._bucket.delay(now)
        self._bound = self._bound or delay > 0
        return delay

    def take(self, now: float) -> None:
        """Count a request that is sent now."""
        if self._bucket is None:
            self._sends.append(now)
            return
        self._bucket.take(1, now)
        if self._trial is not None and self._trial.sent < self._trial.length:
            self._trial.sent, self._trial.newest = self._trial.sent + 1, now

    def note(self, sent_at: float, now: float, *, refused: bool, named: float | None = None) -> None:
        """Learn from the reply to a request; `named` are the requests per minute that a refusal spoke of."""
        self._recent.append(refused)
        if self._trial is not None:
            self._judge(self._trial, sent_at, now, refused=refused)
        elif not refused:
            if self._mark is not None and sent_at >= self._mark:
                self._accepted += 1
                self._newest = max(self._newest, sent_at)
        elif sent_at >= self._cut_at:  # what was sent before a cut says nothing about the rate since
            self._learn(sent_at, now, named)

    def _learn(self, sent_at: float, now: float, named: float | None) -> None:
        """Find the curve to go on with after a refusal."""
        quota = self._measured(sent_at)
        again = now - self._refused_at < self._recovery()
        self._refused_at = now
        if self._noise is not None:
            if sum(self._recent) <= self._noise * max(len(self._recent), _TRIAL):
                return
            self._noise, again = None, False  # so many refusals are no noise after all
        if math.isinf(self.rate):
            self._find_first(now, named)
            return
        if not again:
            self._cuts = 0
        self._top = max(self._top, self.rate)
        if self.rate < _DOUBT * self._top:
            length = max(_SHORT_TRIAL, min(_TRIAL, round(self._top * _TRIAL_SPAN)))
            self._trial = _Trial(resting=self.rate, length=length)
            self._begin(self._top, self._top, now)
        else:
            self._cut(quota, now)

    def _cut(self, quota: float | None, now: float) -> None:
        """Go back to the quota that was just measured; from there in steps that grow, while refusals go on."""
        if self._cuts == 0 and quota is not None:
            self._begin(_START * quota, _PLATEAU * quota, now)
        else:
            start = self.rate * _CUTS[min(self._cuts, len(_CUTS) - 1)]
            # Where cuts follow on each other, the quota lies between the last two rates.
            self._begin(start, (start + self.rate) / 2 if self._cuts else start, now)
        self._cuts += 1

    def _begin(self, start: float, plateau: float, now: float) -> None:
        """Go on from another point of the curve."""
        start = max(start, _LEAST * self._best)
        plateau = max(plateau, start)
        self._floor, self._plateau, self._cut_at = start, plateau, now
        self._grown, self._seen, self._bound = 0.0, now, False
        self._recent.clear()
        self._set(start, now)

    def _judge(self, trial: _Trial, sent_at: float, now: float, *, refused: bool) -> None:
        """Take note of a reply during a trial. Its end: the quota has fallen, or the refusals are noise."""
        if not self._cut_at <= sent_at <= trial.newest:
            return
        trial.replies, trial.refused = trial.replies + 1, trial.refused + refused
        fallen = trial.refused > _NOISE * trial.length
        if not fallen and trial.replies < trial.length:
            return
        self._trial = None
        if fallen:
            self._top = trial.resting
            self._begin(trial.resting, trial.resting, now)
            self._cut(None, now)
        else:
            self._noise = 2 * trial.refused / trial.length + _LEEWAY
            self._begin(self._top, self._top, now)

    def _measured(self, sent_at: float) -> float | None:
        """Return what got through per second since the last mark, and set a new one; None before there is enough."""
        if self._mark is None:
            self._mark = self._newest = sent_at
        span = self._newest - self._mark
        if self._accepted < _SAMPLES or span < _SPAN:
            return None
        quota = self._accepted / span
        self._best = max(self._best, quota)
        self._mark, self._newest, self._accepted = sent_at, sent_at, 0
        return quota

    def _find_first(self, now: float, named: float | None) -> None:
        """Begin with the rate that was named, else with a third of that of the last second or so."""
        if named is not None:
            self._top = start = named / 60
        elif len(self._sends) < _SAMPLES and sum(self._recent) < _REFUSALS:
            return  # so little was sent that one refusal is no evidence
        else:
            recent = [at for at in self._sends if now - at <= _MEMORY]
            recent = recent if len(recent) >= _SAMPLES else list(self._sends)[-_SAMPLES:]
            self._top = len(recent) / max(now - recent[0], 0.05)
            start = self._top / 3
        self._best = start
        self._begin(start, start, now)

    def _grow(self, now: float) -> None:
        """Let the rate follow its curve; time counts only while the rate is what holds requests back."""
        if self._trial is not None:
            return
        if self._bound:
            self._grown += now - self._seen
        elif now - self._seen < 0.1:
            return
        self._seen, self._bound = now, False
        share = self._grown / self._recovery()
        if share < 1:
            rate = self._plateau - (self._plateau - self._floor) * (1 - share) ** 3
        else:
            rate = self._plateau * (1 + _CONVEXITY * (share - 1) ** 4)
        if rate > 2 * self._plateau:
            self._plateau, self._floor, self._grown = rate, rate, self._recovery()
        self._set(rate, now)

    def _recovery(self) -> float:
        """Seconds from a cut to the plateau, and the measure of growth beyond it."""
        haste = 1 if self._noise is None else _HASTE
        return max(_RECOVERY, _REQUESTS_PER_RECOVERY / max(self._plateau, 1e-6)) / haste

    def _set(self, rate: float, now: float) -> None:
        self.rate = rate
        if self._bucket is None:
            self._bucket = TokenBucket(rate * 60, burst=_SAVED, level=0.0, at=now)
        self._bucket.per_minute = rate * 60
