"""Whether the service is down, and who may ask meanwhile: a state machine. No clock: callers pass the time."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import NamedTuple, TypeGuard

from extract.errors import (
    AnswerError,
    AnswerTimeout,
    ApiError,
    BadRequest,
    Denied,
    RateLimited,
    Unreachable,
)
from extract.interactions.http.retrying import Retry
from extract.json_types import JsonObject

__all__ = ["Moment", "Outage", "OutageWatch", "is_transport_failure", "shows_life"]

_ROWS = 5  # different ones, with no answer between: fewer may each have a reason of their own
_LAST_MINUTE = 60.0  # seconds for which an answer shows that a failure was the row's own
_MAX_PAUSE = 2  # times the longest wait of a retry, by default a minute: between two probes
_UNANSWERED = 40.0  # seconds; one more connection may then take 15 to fail, and all of it a minute


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """A time in which the service did not answer: since when (UTC) and for how many seconds.

    `probes` failed. `reason` is the code of the last failure, with its HTTP status where there was one.

        >>> run(["It works"], Extractor(["good", "bad"], "{text}"), offline=True).outages
        ()
    """

    started: datetime
    seconds: float
    probes: int
    reason: str

    def as_json(self) -> JsonObject:
        """Return the same as JSON, with the time in ISO 8601."""
        started, seconds = self.started.isoformat(timespec="seconds"), round(self.seconds, 1)
        return {"started": started, "seconds": seconds, "probes": self.probes, "reason": self.reason}


class Moment(NamedTuple):
    """How many answers there had been at a time."""

    answers: int
    at: float


def is_transport_failure(error: BaseException | None) -> TypeGuard[ApiError]:
    """True for what an outage is made of: no connection, a lost one, 5xx, 429 without a daily quota."""
    return isinstance(error, RateLimited | Unreachable)


def shows_life(error: BaseException) -> bool:
    """True for errors that only a working service can give."""
    return isinstance(error, BadRequest | Denied | AnswerError) and not isinstance(error, AnswerTimeout)


@dataclass(slots=True)
class OutageWatch:
    """Finds that the service is down, paces the probes, and says when patience is over.

    An outage begins with the failures of five different rows and no answer between, or where somebody who has asked
    otherwise says so (`suspect`); the first answer ends it. Meanwhile one request at a time may pass, a probe, after
    pauses that grow to a minute. `stops_early`: a service that has never replied gets less patience;
    without it, there is no outage before the first reply.

    Invariants: `rows` holds those that have failed since the last answer, at most five, and is empty after an answer;
    so a success need only look whether it is. At most one probe is under way.
    """

    retry: Retry = Retry()
    stops_early: bool = True
    uniform: Callable[[float, float], float] = random.uniform
    answers: int = 0
    is_on: bool = False
    rows: dict[int, object] = field(default_factory=dict)  # by identity; held, lest another row gets the same
    probes: int = 0  # of this outage, failed
    silent_probes: int = 0  # failed ones, while the service had never replied
    last: ApiError | None = None
    _began: float = 0.0
    _due: float = 0.0
    _probe: float | None = None  # when the probe under way was sent
    _silent_since: float | None = None
    _replied: bool = False

    @property
    def is_silent(self) -> bool:
        """True where the service has never replied in this run, and that is a reason to stop."""
        return self.stops_early and not self._replied and not self.answers

    @property
    def may_begin(self) -> bool:
        """False where the service has never replied and rows are to be judged one by one all the same."""
        return self.stops_early or self._replied or self.answers > 0

    @property
    def is_unsure(self) -> bool:
        """True where too few rows have failed to tell their faults from the service's."""
        return len(self.rows) < _ROWS

    def fail(self, row: object, sent_at: float, now: float, error: ApiError) -> bool:
        """Count a failure of a row. True where an outage begins with it."""
        # Who asks to slow down is there: a quota may be used up before the first answer.
        self._replied |= error.status == HTTPStatus.TOO_MANY_REQUESTS or _named_wait(error) is not None
        self._silent_since = sent_at if self._silent_since is None else self._silent_since
        self.last = error
        self._add(row, now)
        if self.is_on:
            if sent_at == self._probe:
                self._note_probe(now, error)
            return False
        if self.is_unsure or not self.may_begin:
            return False
        self._begin(now, error)
        return True

    def suspect(self, row: object, now: float, error: ApiError) -> None:
        """Begin an outage though few rows have failed."""
        self._add(row, now)
        self._begin(now, error)

    def answer(self, now: float) -> float | None:
        """Note that the service answers. Returns how many seconds it did not, None where there was no outage."""
        was_on, self.is_on, self._replied = self.is_on, False, True
        self.rows.clear()
        self._probe = None
        return now - self._began if was_on else None

    def acquit(self, row: object) -> None:
        """Forget the failures of a row that were its own."""
        self.rows.pop(id(row), None)

    def answered_since(self, moment: Moment, now: float) -> bool:
        """True where others were answered between two failures of a row, at most a minute apart."""
        return self.answers > moment.answers and now - moment.at <= _LAST_MINUTE

    def is_over_patience(self, now: float) -> bool:
        """True where the run should wait no longer."""
        return self.is_on and now >= self._end

    def delay(self, now: float) -> float:
        """Return the seconds until a probe may pass; infinite while one is under way."""
        return math.inf if self._probe is not None else max(0.0, self._due - now)

    def take(self, now: float) -> None:
        """Count a request that passes now as the probe."""
        self._probe = now

    def leave(self, sent_at: float) -> None:
        """Note that a request is over: where it was the probe, the next may follow."""
        if sent_at == self._probe:
            self._probe = None

    def lasted(self, now: float) -> float:
        """Seconds since the outage began; 0 without one."""
        return now - self._began if self.is_on else 0.0

    @property
    def _end(self) -> float:
        end = self._began + self.retry.patience
        return min(end, self._silent_since + _UNANSWERED) if self.is_silent and self._silent_since is not None else end

    def _add(self, row: object, now: float) -> None:
        if not self.rows:
            self._began = now
        if self.is_unsure:
            self.rows[id(row)] = row

    def _begin(self, now: float, error: ApiError) -> None:
        self.is_on, self.probes, self._probe, self.last = True, 0, None, error
        self._due = min(now + self._pause(error), self._end)

    def _note_probe(self, now: float, error: ApiError) -> None:
        self._probe = None
        self.probes += 1
        self.silent_probes += self.is_silent
        # The last one was sent as patience ended: whoever learns of its failure stops the run.
        self._due = math.inf if now >= self._end else min(now + self._pause(error), self._end)

    def _pause(self, error: ApiError) -> float:
        """Return how long to wait for the next probe: as long as the service asks for, else twice as long each time."""
        if (named := _named_wait(error)) is not None:
            return named
        longest = _MAX_PAUSE * self.retry.longest_wait
        whole = min(longest, self.retry.first_wait * 2 ** min(self.probes, 30))
        return self.uniform(whole / 2, whole)


def _named_wait(error: ApiError) -> float | None:
    return error.retry_after if isinstance(error, RateLimited) else None
