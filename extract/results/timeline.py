"""How a run went over time, in a bounded number of samples however long it lasts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

__all__ = ["Sample", "Timeline"]

_MAX_SAMPLES = 240


class Sample(NamedTuple):
    """A run at one moment: `seconds` since its start, rows done so far, requests in flight."""

    seconds: float
    rows: int
    in_flight: int


@dataclass(slots=True)
class Timeline:
    """Samples at least `every` seconds apart. When there are too many, half of them go and `every` doubles."""

    every: float = 0.1
    samples: list[Sample] = field(default_factory=list)

    def add(self, sample: Sample, *, last: bool = False) -> None:
        """Store a sample if it is time for one; the last is always stored."""
        if self.samples and not last and sample.seconds - self.samples[-1].seconds < self.every:
            return
        if len(self.samples) >= _MAX_SAMPLES:
            self.samples = self.samples[::2]
            self.every *= 2
        self.samples.append(sample)
