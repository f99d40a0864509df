"""How a run went over time, in a bounded number of samples however long it lasts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

__all__ = ["Sample", "Timeline"]

_MOST_SAMPLES = 240


class Sample(NamedTuple):
    """A glance at a run: `seconds` since its start, rows done so far, requests in flight."""

    seconds: float
    rows: int
    in_flight: int


@dataclass(slots=True)
class Timeline:
    """Samples at least `every` seconds apart; when there are too many, every second one goes and `every` doubles."""

    every: float = 0.1
    samples: list[Sample] = field(default_factory=list)

    def add(self, sample: Sample, *, last: bool = False) -> None:
        """Take a sample if it is time for one; the last is always taken."""
        if self.samples and not last and sample.seconds - self.samples[-1].seconds < self.every:
            return
        if len(self.samples) >= _MOST_SAMPLES:
            self.samples = self.samples[::2]
            self.every *= 2
        self.samples.append(sample)
