"""How many requests a second the service lets pass, learned from its refusals. No clock: callers say the time."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

from extract.limits import TokenBucket

__all__ = ["Pace"]

_CUTS = (0.95, 0.9, 0.8, 0.65, 0.5)  # what is left of the rate, cut by cut, while refusals follow on each other
_PLATEAU, _START = 0.99, 0.96  # of the measured quota: where the rate settles, and where it begins after a refusal
_RECOVERY = 2.5  # seconds from a cut to the plateau; sets how soon a larger quota is found
_REQUESTS_PER_RECOVERY = 65  # the least requests in that time, so that probes, and refusals, are rare among requests
_CONVEXITY = 0.02  # growth beyond the plateau after as long again as the recovery took; its fourth power after that
_SAMPLES, _SPAN = 20, 1.0  # replies, and seconds of sends, from which a quota is believed
_REFUSALS = 3  # refusals that are evidence where less than that was sent
_MEMORY = 1.0  # seconds of sends from which a first rate is measured
_SAVED = 0.5  # seconds' worth of requests that may be saved up
_NOISE = 0.25  # share of refusals that no noise is believed to reach
_LEAST = 0.04  # of the largest quota measured: however odd the refusals, a run goes on at that
_HELPLESS = 0.6  # of the rate at a streak's beginning: refusals that go on below it are not about the rate


@dataclass(slots=True)
class Pace:
    """A rate that is unbounded until the first refusal, then follows the quota behind the refusals, also when it moves.

    At a refusal the quota is used up; so what got through between two refusals *is* the quota. The rate then settles
    a little below it, dwells there, and probes beyond in ever larger steps (in the manner of CUBIC, RFC 9438).
    Refusals that go on below the measured quota cut deeper; where slowing down does not help, they are noise.
    """

    rate: float = math.inf
    _floor: float = math.inf
    _plateau: float = math.inf
    _cut_at: float = -math.inf
    _cuts: int = 0
    _top: float = math.inf
    _helpless: int = 0
    _noise: bool = False
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
        delay = self._bucket.delay(now)
        self._bound = self._bound or delay > 0
        return delay

    def take(self, now: float) -> None:
        """Count a request that is sent now."""
        if self._bucket is None:
            self._sends.append(now)
        else:
            self._bucket.take(1, now)

    def note(self, sent_at: float, now: float, *, refused: bool, named: float | None = None) -> None:
        """Learn from the reply to a request; `named` are the requests per minute that a refusal spoke of."""
        self._recent.append(refused)
        if not refused:
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
        if self._noise:
            if self._is_noisy():
                return
            self._noise = again = False  # so many refusals are no noise after all
        if math.isinf(self.rate):
            if (start := self._first(now, named)) is not None:
                self._best = start
                self._begin(start, start, now)
            return
        if not again:
            self._top, self._cuts, self._helpless = self.rate, 0, 0
        if self._is_in_vain():
            self._noise = True
            return
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

    def _is_noisy(self) -> bool:
        return sum(self._recent) < _NOISE * max(len(self._recent), 20)

    def _is_in_vain(self) -> bool:
        """Take note of a refusal; True at the second one that a much lower rate has not made rarer."""
        self._helpless += self.rate < _HELPLESS * self._top and self._is_noisy()
        return self._helpless > 2

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

    def _first(self, now: float, named: float | None) -> float | None:
        """Return a first rate: the one that was named, else a third of that of the last second or so.

        None where so little was sent that one refusal is no evidence.
        """
        if named is not None:
            return named / 60
        if len(self._sends) < _SAMPLES and sum(self._recent) < _REFUSALS:
            return None
        recent = [at for at in self._sends if now - at <= _MEMORY]
        recent = recent if len(recent) >= _SAMPLES else list(self._sends)[-_SAMPLES:]
        return len(recent) / max(now - recent[0], 0.05) / 3

    def _grow(self, now: float) -> None:
        """Let the rate follow its curve; time counts only while the rate is what holds requests back."""
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
        return max(_RECOVERY, _REQUESTS_PER_RECOVERY / max(self._plateau, 1e-6))

    def _set(self, rate: float, now: float) -> None:
        self.rate = rate
        if self._bucket is None:
            self._bucket = TokenBucket(rate * 60, burst=_SAVED, level=0.0, at=now)
        self._bucket.per_minute = rate * 60
