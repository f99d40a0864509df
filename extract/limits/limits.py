"""What a run may use, as one frozen value."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from extract.errors import ConfigError
from extract.interactions.http.retrying import Retry

__all__ = ["Limits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a run may use.

    `concurrency` is the most requests in flight; `rpm` and `tpm` are requests and input tokens per minute, learned from
    the service's refusals where None; `rpd` is requests per day, Pacific time, including those of earlier runs with the
    same cache. `deadline` is seconds per record, counted from its first request.
    `stop_after_failures` counts failures in a row while no record has succeeded yet; 0 never stops. `patience` is how
    many seconds an outage of the service may last, and a wait that the service names, before the run stops; None is
    that of `retry`, 900. Raises ConfigError for values out of range.

        >>> limits = Limits(concurrency=16, rpm=600, deadline=120)
        >>> result = run(["It works"], Extractor(["good", "bad"], "{text}"), limits=limits, offline=True)
    """

    concurrency: int = 64
    rpm: float | None = None
    tpm: float | None = None
    rpd: float | None = None
    deadline: float | None = None
    stop_after_failures: int = 20
    retry: Retry = field(default_factory=Retry)
    patience: float | None = None

    def __post_init__(self) -> None:
        minimums = {"concurrency": 1, "rpm": 1, "tpm": 1, "rpd": 1, "deadline": 0.001, "patience": 0}
        minimums["stop_after_failures"] = 0
        for name, low in minimums.items():
            value = getattr(self, name)
            if value is not None and not value >= low:  # not `value < low`: NaN must fail too
                raise ConfigError(f"limits: {name} must be at least {low:g}, not {value!r}")
        if self.patience is not None:
            object.__setattr__(self, "retry", replace(self.retry, patience=self.patience))
