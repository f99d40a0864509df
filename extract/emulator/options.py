"""The emulator's options that belong together, as values: quotas and delays."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from extract.errors import ConfigError

__all__ = ["Delays", "Quotas", "value_or_shorthands"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quotas:
    """How much the emulator serves; None is no limit. ConfigError for a limit below 1.

    `rpm` and `rpd` are requests per minute and per day, `tpm` input tokens per minute. A refusal (429) names the quota
    and the seconds to wait in its body, without `details` it names neither; with `retry_after` it has a `Retry-After`
    header in whole seconds, rounded up.

        Emulator(quotas=Quotas(rpm=60, retry_after=True))
    """

    rpm: int | None = None
    tpm: int | None = None
    rpd: int | None = None
    retry_after: bool = False
    details: bool = True

    def __post_init__(self) -> None:
        for name, limit in (("rpm", self.rpm), ("tpm", self.tpm), ("rpd", self.rpd)):
            if limit is not None and limit < 1:
                raise ConfigError(f"{name} must be at least 1, not {limit}; leave it out for no limit")


@dataclass(frozen=True, slots=True, kw_only=True)
class Delays:
    """How long things take in the emulator, in seconds.

    `latency` passes before each response. With `latency_spread` it varies from request to request: a lognormal whose
    sigma is `latency_spread` and whose median is `latency`. A background interaction runs for `background_seconds`; the
    stream of one that runs longer than `stream_seconds` from now breaks off. Stored interactions are forgotten after
    `retention_seconds`. An uploaded file is PROCESSING for `processing_seconds`. ConfigError for a spread below 0.

        Emulator(delays=Delays(latency=0.05, background_seconds=2))
    """

    latency: float = 0.0
    latency_spread: float = 0.0
    background_seconds: float = 0.0
    stream_seconds: float = 10.0
    retention_seconds: float = 55 * 86_400.0
    processing_seconds: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.latency_spread < math.inf:
            raise ConfigError(f"latency_spread must be 0 or more, not {self.latency_spread}")


Options = TypeVar("Options", Quotas, Delays)


def value_or_shorthands(kind: type[Options], value: Options | None, shorthands: Mapping[str, Any]) -> Options:
    """Return `value`, or a `kind` made of the shorthands that are not None. ConfigError where both are given."""
    given = {name: one for name, one in shorthands.items() if one is not None}
    if value is None:
        return kind(**given)
    if given:
        name = kind.__name__
        raise ConfigError(f"{', '.join(given)} and {name.lower()}= were both given: put all of them into {name}(...)")
    return value
