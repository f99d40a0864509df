"""What happened to one record on its way to an outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from decimal import Decimal
from operator import attrgetter
from typing import Any, NamedTuple

from extract.documents.grounding.span import Span
from extract.documents.windows.conflicts import Conflict
from extract.errors import ExtractError
from extract.interactions.citations import Citation
from extract.interactions.usage import Attempt, Usage
from extract.limits.budget import Amount
from extract.limits.limiter import Permit
from extract.results.outcome import Outcome

__all__ = ["Deadline", "HeldSlot", "RecordTrace", "RunningDeadlines"]


class HeldSlot(NamedTuple):
    """A slot whose answer has arrived; it is given back once the answer is committed."""

    permit: Permit
    usage: Usage | None
    spent: Amount | None


@dataclass(slots=True)
class Deadline:
    """How many seconds one record may take, counted from its first request; all parts of a record share one.

    A record is not given up for having waited its turn: before the first request `timeout` does not run.
    """

    clock: Callable[[], float]
    seconds: float | None = None
    timeout: asyncio.Timeout | None = None
    first_sent: float | None = None
    paused_at: float | None = None

    def start(self) -> None:
        """Let the time run from now, unless it runs already."""
        if self.first_sent is not None:
            return
        self.first_sent = self.clock()
        if self.timeout is not None:
            self._schedule(self.timeout)

    def pause(self) -> None:
        """Let no time run for now."""
        self.paused_at = self.clock()
        if self.timeout is not None:
            self._schedule(self.timeout)

    def resume(self) -> None:
        """Let the time run on; what has passed since the pause began does not count."""
        if self.first_sent is not None and self.paused_at is not None:
            self.first_sent += self.clock() - max(self.paused_at, self.first_sent)
        self.paused_at = None
        if self.timeout is not None:
            self._schedule(self.timeout)

    def _schedule(self, timeout: asyncio.Timeout) -> None:
        if self.first_sent is None or self.seconds is None or timeout.expired():
            return
        ends = asyncio.get_running_loop().time() + self.seconds - self.elapsed
        timeout.reschedule(ends if self.paused_at is None else None)

    @property
    def elapsed(self) -> float:
        """Seconds since the first request; 0 before it."""
        return 0.0 if self.first_sent is None else self.clock() - self.first_sent

    @property
    def has_expired(self) -> bool:
        return self.timeout is not None and self.timeout.expired()


@dataclass(slots=True, eq=False)
class RunningDeadlines:
    """The deadlines of the records that a run has in hand, so that none runs while the service is down."""

    paused: bool = False
    _running: dict[int, Deadline] = field(default_factory=dict)

    @contextmanager
    def running(self, deadline: Deadline) -> Iterator[None]:
        """Count a deadline among them for the duration of the block."""
        self._running[id(deadline)] = deadline
        if self.paused:
            deadline.pause()
        try:
            yield
        finally:
            del self._running[id(deadline)]

    def pause(self) -> None:
        """Let none of them run."""
        self.paused = True
        for deadline in self._running.values():
            deadline.pause()

    def resume(self) -> None:
        """Let all run on."""
        self.paused = False
        for deadline in self._running.values():
            deadline.resume()


@dataclass(slots=True)
class RecordTrace:
    """What happened to one record so far: requests, money, and what is known of its answer.

    `joined`: an answer came from an equal request of another record; `reused`: one was in the cache. `shed`: the flex
    tier has refused the record for too long. `held` is the slot of its last answer, `key` the content key that it is
    stored by. `pack` is how many rows stood in its last request, None where it had one of its own; `shared` counts the
    requests that another row of the same pack counts. Fields that an Outcome has, too,
    have the same names and meaning there.
    """

    started: float
    deadline: Deadline
    attempts: int = 0
    retries: int = 0
    repairs: int = 0
    unknown_attempts: int = 0
    joined: bool = False
    reused: bool = False
    answer: str | None = None
    model: str | None = None
    service_tier: str | None = None
    mended: tuple[str, ...] = ()
    unnamed: bool = False
    citations: tuple[Citation, ...] = ()
    grounded: bool | None = None
    spans: tuple[Span, ...] | None = None
    windows: int | None = None
    conflicts: tuple[Conflict, ...] = ()
    agreement: Mapping[str, float] | None = None
    encoding: str | None = None
    files: str | None = None
    ledger: tuple[Attempt, ...] = ()
    pack: int | None = None
    shared: int = 0
    shed: bool = False
    held: HeldSlot | None = None
    key: bytes = b""

    def part(self) -> RecordTrace:
        """Return the trace of a part of the record: it has no more time than the whole."""
        return RecordTrace(self.started, self.deadline)

    def add(self, part: RecordTrace) -> None:
        """Add what happened to a part of the record."""
        self.attempts += part.attempts
        self.retries += part.retries
        self.repairs += part.repairs
        self.unknown_attempts += part.unknown_attempts
        self.shared += part.shared
        self.pack = part.pack if part.pack is not None else self.pack
        self.ledger += part.ledger
        self.joined |= part.joined
        self.reused |= part.reused
        self.mended = tuple(dict.fromkeys((*self.mended, *part.mended)))
        self.unnamed |= part.unnamed
        # Their places count characters of an answer that is merged into another.
        self.citations += tuple(replace(one, start=None, end=None) for one in part.citations)
        if part.grounded is not None:
            self.grounded = part.grounded or bool(self.grounded)
        self.model = part.model or self.model
        self.service_tier = part.service_tier or self.service_tier

    def outcome(
        self,
        row_id: Any,
        *,
        value: Any = None,
        row: tuple[Any, ...] | None = None,
        error: ExtractError | None = None,
    ) -> Outcome:
        """Return the outcome of the record, which ends here with a value or an error."""
        shared = zip(_SHARED, _shared_values(self), strict=True)
        return Outcome(row_id=row_id, value=value, row=row, error=error, **dict(shared))

    @property
    def usage(self) -> Usage:
        """Tokens of all answers that say how many they took."""
        usages = [attempt.usage for attempt in self.ledger if attempt.usage is not None]
        return usages[0] if len(usages) == 1 else sum(usages, Usage())

    @property
    def cost(self) -> Decimal | None:
        """US dollars for the answers that arrived, None where a price or a part of what one used is unknown."""
        costs = [attempt.cost for attempt in self.ledger if attempt.arrived]
        return None if None in costs else sum((cost for cost in costs if cost is not None), Decimal(0))

    @property
    def seconds(self) -> float:
        """Seconds since work on the record began."""
        return self.deadline.clock() - self.started

    @property
    def fresh(self) -> bool:
        """True where this run has asked for the record, itself or through an equal one."""
        return self.joined or self.attempts > 0

    @property
    def cached(self) -> bool:
        """True where an earlier run has paid for the answer."""
        return self.answer is not None and not self.fresh


# All that a trace and an outcome have in common, by name: a field that is added to both needs no third line.
_SHARED = tuple(one.name for one in fields(Outcome) if hasattr(RecordTrace, one.name))
_shared_values = attrgetter(*_SHARED)
