"""The adaptive rate against a simulated service: no clock and no socket, so that three minutes take a moment."""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Iterable
from dataclasses import dataclass, field

import pytest

from extract.limits.adaptive_rate import AdaptiveRate


@dataclass
class Service:
    """Requests pass while a bucket of one minute's worth has some left; `fixed` counts by the minute of the clock."""

    rpm: float
    fixed: bool = False
    level: float = field(init=False)
    at: float = 0.0
    minute: int = 0

    def __post_init__(self) -> None:
        self.level = self.rpm

    def change(self, rpm: float, now: float) -> None:
        self.refill(now)
        self.rpm, self.level = rpm, min(self.level, rpm)

    def refill(self, now: float) -> None:
        if not self.fixed:
            self.level = min(self.rpm, self.level + (now - self.at) * self.rpm / 60)
        elif int(now // 60) != self.minute:
            self.level = self.rpm
        self.at, self.minute = now, int(now // 60)

    def wait(self, now: float) -> float | None:
        """Return the delay a refused request names, None for one that passes."""
        self.refill(now)
        if self.level >= 1 - 1e-6:
            self.level -= 1
            return None
        return (self.minute + 1) * 60 - now if self.fixed else (1 - self.level) * 60 / self.rpm


@dataclass
class Simulation:
    """64 slots, opened as a run opens them, in front of a service with lognormal latency."""

    service: Service | None
    names_quota: bool = True
    names_delay: bool = True
    noise: float = 0.0
    latency: float = 0.3
    seed: int = 0
    changes: Iterable[tuple[float, float]] = ()
    log: list[tuple[float, bool]] = field(default_factory=list)

    def run(self, seconds: float, max_requests: int = 10**9) -> Simulation:
        draws, rate, changes = random.Random(self.seed), AdaptiveRate(), list(self.changes)
        now, paused, slots, active, sent = 0.0, 0.0, 1, 0, 0
        events: list[tuple[float, int, float, float | None]] = []
        while now < seconds and sent < max_requests:
            delay = 0.0
            while changes and changes[0][0] <= now and self.service:
                self.service.change(changes.pop(0)[1], now)
            while active < slots and (delay := max(paused - now, rate.delay(now))) <= 0:
                rate.take(now)
                active, sent = active + 1, sent + 1
                latency = self.latency * math.exp(draws.gauss(0, 0.4))
                wait = self.service.wait(now) if self.service else None
                if self.noise and draws.random() < self.noise:
                    wait = 0.0
                self.log.append((now, wait is None))
                heapq.heappush(events, (now + latency, sent, now, wait))
            now = min(events[0][0] if events else math.inf, now + delay + 0.001 if delay > 0 else math.inf)
            while events and events[0][0] <= now:
                _, _, sent_at, wait = heapq.heappop(events)
                active -= 1
                named = self.service.rpm if self.names_quota and self.service and wait is not None else None
                rate.note(sent_at, now, refused=wait is not None, named=named)
                slots = min(64, slots + (wait is None))
                if self.names_delay and wait:
                    paused = max(paused, now + wait)
        return self

    def refused(self) -> float:
        return sum(not passed for _, passed in self.log) / len(self.log)

    def rate(self, start: float, end: float) -> float:
        return sum(passed for at, passed in self.log if start <= at < end) / (end - start)


HINTS = pytest.mark.parametrize(
    ("names_quota", "names_delay"), [(True, True), (True, False), (False, True), (False, False)]
)


@HINTS
@pytest.mark.parametrize("seed", range(4))
def test_an_unknown_quota_is_used_up_with_few_refusals(names_quota: bool, names_delay: bool, seed: int) -> None:
    run = Simulation(Service(3_000), names_quota=names_quota, names_delay=names_delay, seed=seed).run(180)
    assert run.rate(15, 180) >= 0.95 * 50
    assert run.rate(60, 180) >= 0.95 * 50
    assert run.refused() < 0.02


@HINTS
@pytest.mark.parametrize("seed", range(3))
def test_a_quota_that_moves_is_found_again(names_quota: bool, names_delay: bool, seed: int) -> None:
    run = Simulation(
        Service(3_000),
        names_quota=names_quota,
        names_delay=names_delay,
        seed=seed,
        changes=[(60, 1_500), (120, 3_000), (180, 6_000)],
    ).run(240)
    assert run.rate(70, 90) >= 0.9 * 25
    assert run.rate(130, 150) >= 0.9 * 50
    assert run.rate(190, 210) >= 0.9 * 100
    assert run.refused() < 0.02


@pytest.mark.parametrize("names_quota", [True, False])
def test_a_quota_of_a_few_requests_a_minute_is_used_up_too(names_quota: bool) -> None:
    run = Simulation(Service(15), names_quota=names_quota, names_delay=False, latency=2).run(1_800)
    assert run.rate(60, 1_800) >= 0.9 * 0.25
    assert run.refused() < 0.15


@pytest.mark.parametrize("names_quota", [True, False])
def test_a_quota_by_the_minute_of_the_clock_is_used_up_too(names_quota: bool) -> None:
    run = Simulation(Service(3_000, fixed=True), names_quota=names_quota).run(300)
    assert run.rate(0, 300) >= 0.95 * 50
    assert run.refused() < 0.03


@pytest.mark.parametrize("noise", [0.005, 0.02, 0.05, 0.1])
@pytest.mark.parametrize("latency", [0.05, 0.3, 2.0])
@pytest.mark.parametrize("seed", range(3))
def test_refusals_that_do_not_depend_on_the_rate_do_not_stop_a_run(noise: float, latency: float, seed: int) -> None:
    run = Simulation(None, noise=noise, names_delay=False, latency=latency, seed=seed).run(600, max_requests=15_000)
    end = run.log[-1][0]
    assert run.rate(end * 0.75, end) >= 0.7 * (1 - noise) * 64 / (latency * math.exp(0.08))


@pytest.mark.parametrize("noise", [0.005, 0.05])
def test_a_quota_behind_refusals_of_another_cause_is_used_up_too(noise: float) -> None:
    run = Simulation(Service(3_000), noise=noise, names_quota=False, names_delay=False).run(240)
    assert run.rate(60, 240) >= 0.9 * 50
    assert run.refused() < noise + 0.1


def test_before_the_first_refusal_nothing_is_held_back() -> None:
    rate = AdaptiveRate()
    for number in range(1_000):
        assert rate.delay(number / 1_000) == 0
        rate.take(number / 1_000)
        rate.note(number / 1_000, number / 1_000, refused=False)


def test_one_odd_refusal_among_the_first_requests_is_no_evidence() -> None:
    rate = AdaptiveRate()
    rate.take(0.0)
    rate.note(0.0, 0.1, refused=True)
    assert rate.delay(0.2) == 0
