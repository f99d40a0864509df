"""What a run may use, as one frozen value."""

from __future__ import annotations

from dataclasses import dataclass, field

from extract.errors import ConfigError
from extract.interactions.http.retrying import Retry

__all__ = ["Limits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a run may use.

    `concurrency` is a ceiling; `rpm` and `tpm` are requests and input tokens per minute, learned from the service's
    refusals where None; `rpd` is requests per day, Pacific time, those of earlier runs with the same cache counted.
    `deadline` is seconds per record, counted from its first request.
    `stop_after_failures` counts failures in a row while no record has succeeded yet; 0 never stops.
    """

    concurrency: int = 64
    rpm: float | None = None
    tpm: float | None = None
    rpd: float | None = None
    deadline: float | None = None
    stop_after_failures: int = 20
    retry: Retry = field(default_factory=Retry)

    def __post_init__(self) -> None:
        least = {"concurrency": 1, "rpm": 1, "tpm": 1, "rpd": 1, "deadline": 0.001, "stop_after_failures": 0}
        for name, low in least.items():
            value = getattr(self, name)
            if value is not None and not value >= low:
                raise ConfigError(f"limits: {name} must be at least {low:g}, not {value!r}")
