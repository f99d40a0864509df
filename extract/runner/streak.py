"""The rule that stops a run whose set-up is wrong: a number of failures in a row before the first success."""

from __future__ import annotations

from extract.errors import ExtractError, TooManyFailures
from extract.results.outcome import Outcome

__all__ = ["FailureStreak"]

# Blocks, bad records, throttles and cut answers are about single records and say nothing about the set-up. Where no
# answer has come in time, the service is dead or the time too short, and each try may be billed.
_SET_UP_CODES = ("bad_request", "invalid_answer", "unreachable", "timeout")


class FailureStreak:
    """Counts failures that point to a wrong set-up, until one record has succeeded. A `limit` of 0 never stops."""

    def __init__(self, limit: int) -> None:
        self.limit: int = limit
        self.failures: int = 0
        self.probes: int = 0  # failed ones, while the service is down: their rows wait and have no outcome yet

    def switch_off(self) -> None:
        """Never stop the run any more: the set-up is known to work."""
        self.limit = 0

    def add(self, outcome: Outcome) -> TooManyFailures | None:
        """Count one outcome; return why the run should stop, None where it should go on."""
        if not self.limit:
            return None
        error = outcome.error
        if error is None:
            self.switch_off()
        elif not outcome.cached and error.code in _SET_UP_CODES:  # an earlier run's answer says nothing about this one
            self.failures += 1
            return self._reason(error)
        return None

    def note_probes(self, failed: int, error: ExtractError) -> TooManyFailures | None:
        """Count the probes that have failed so far; return why the run should stop, None where it should go on."""
        self.probes = failed
        return self._reason(error) if self.limit else None

    def _reason(self, error: ExtractError) -> TooManyFailures | None:
        if self.failures + self.probes < self.limit:
            return None
        return TooManyFailures(f"{self.limit} rows failed and none succeeded; the last error was: {error}")
