"""What a run is told, as frozen values: which answers count, how files travel. Checked once, where they are made."""

from __future__ import annotations

from dataclasses import dataclass

from extract.errors import ConfigError
from extract.interactions.requests import Generation

__all__ = ["INLINE_BYTES", "MAX_SAMPLES", "AnswerRules", "UploadPolicy"]

INLINE_BYTES = 8_000_000  # of a file that still travels inside its request
MAX_SAMPLES = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerRules:
    """Which answers count: how often each row is asked, and what makes an answer wrong or worth asking for again.

    `samples` asks each row that often and votes per field. `require_grounding` rejects values that stand nowhere in
    the record. `retry_rejected` asks rows anew that an earlier run with the same cache rejected.
    """

    samples: int = 1
    require_grounding: bool = False
    retry_rejected: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.samples, bool) or not isinstance(self.samples, int) or not 1 <= self.samples <= MAX_SAMPLES:
            raise ConfigError(f"samples is a whole number from 1 to {MAX_SAMPLES}, not {self.samples!r}")

    def check(self, generation: Generation) -> None:
        """Raise ConfigError for settings that would make all samples of a record the same answer."""
        if self.samples > 1 and generation.seed is not None:
            raise ConfigError("with Generation(seed=) all samples of a record would be the same answer; leave it out")
        if self.samples > 1 and generation.temperature == 0:
            raise ConfigError("at temperature 0 all samples of a record would be the same answer; leave it out")


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadPolicy:
    """How files travel: those above `inline_limit` bytes are uploaded once each; `keep_files` leaves them there."""

    inline_limit: int = INLINE_BYTES
    keep_files: bool = False
