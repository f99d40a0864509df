"""What a run does while its service is down: rows wait, one probe at a time goes out, patience runs."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar
from urllib.parse import quote

from tenacity import RetryCallState
from tenacity.stop import stop_base

from extract.errors import ExtractError, TooManyFailures, Unavailable
from extract.interactions.client import AsyncClient
from extract.interactions.http.calls import Call
from extract.interactions.http.retrying import is_too_long
from extract.limits.limits import Limits
from extract.limits.outage import Moment, Outage, OutageWatch, is_transport_failure, shows_life
from extract.limits.rate_limiter import RateLimit, Verdict
from extract.runner.state import RunState

__all__ = ["Outages", "stop_in_outage"]

T = TypeVar("T")

_PAGE_SECONDS = 15.0  # for the model's page, which is some hundred bytes
_MIN_REPORTED = 5.0  # seconds; a shorter outage without a failed probe was a burst of failures
_MAX_REPORTED = 100
_LOOK_AGAIN = 5.0  # seconds

_log = logging.getLogger("extract.runner")


class Outages:
    """Tells an outage of the service from the failures of rows, and holds the rows back while it lasts.

    Rows that have failed wait in `turn`, outside of the limiter's queue: there are those that were not asked yet, so
    that each probe is sent with another row. Where none is left, those that wait take turns.

    A run pays for this only where something fails: the limiter's rate limit is replaced for the time of the outage.
    """

    def __init__(self, state: RunState, client: AsyncClient, model: str, limits: Limits) -> None:
        self.watch: OutageWatch = state.watch
        self.past: list[Outage] = []
        self._state, self._limiter, self._client = state, state.limiter, client
        self._page = Call(
            "GET",
            f"/models/{quote(model.removeprefix('models/'), safe='')}",
            timeout=_PAGE_SECONDS,
            total=_PAGE_SECONDS,
        )
        self._retry = limits.retry
        self._rate_limit: RateLimit = self._limiter.rate_limit
        self._held: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._looking: asyncio.Task[bool] | None = None

    @property
    def is_on(self) -> bool:
        """True while the service is down."""
        return self.watch.is_on

    def moment(self) -> Moment:
        """Return the present: later, `judge` asks whether anything was answered since."""
        return Moment(self.watch.answers, self._limiter.clock())

    def reported(self) -> tuple[Outage, ...]:
        """Return the outages of the run that are worth a report; the last of them may not be over."""
        now = [self._outage(self.watch.lasted(self._limiter.clock()))] if self.is_on else []
        return (*self.past, *now)

    def answered(self) -> None:
        """Note that the service answers, which ends an outage."""
        seconds = self.watch.answer(self._limiter.clock())
        if seconds is not None:
            self._end(seconds)

    def note(self, error: BaseException, row: object, sent_at: float) -> None:
        """Note how a request has failed, before its permit is released."""
        if shows_life(error):
            self.watch.answers += 1
            self.answered()
        elif is_transport_failure(error):
            if self.watch.fail(row, sent_at, self._limiter.clock(), error):
                self._begin()
            self._arm()

    async def turn(self) -> None:
        """Wait for the end of an outage, or until this row is to be the probe. NotRun where the limiter closes."""
        if not self.is_on:
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._held.append(turn)
        self._arm()
        try:
            await self._limiter.sleep(None, turn)
        except asyncio.CancelledError:
            self._arm()  # for another row, if it was this one's turn
            raise
        finally:
            turn.cancel()

    def holds(self, error: BaseException) -> bool:
        """True for a failure that is part of an outage."""
        return self.is_on and is_transport_failure(error)

    async def judge(self, error: ExtractError, row: object, seen: Moment | None) -> None:
        """Return where the service is to blame for a row that has failed for good; raise its last error where it is.

        `seen` is the moment of the failure before. Where others were answered since, the row is to blame; where nobody
        was, a call that costs nothing decides.
        """
        if not is_transport_failure(error) or is_too_long(error, self._retry):
            raise error
        if self.is_on:
            return
        alone = seen is not None and self.watch.answered_since(seen, self._limiter.clock())
        is_asked = self.watch.may_begin and not self._limiter.is_closed()
        if alone or not is_asked or await self._is_alive():
            self.watch.acquit(row)
            raise error
        if not self.is_on:
            self.watch.suspect(row, self._limiter.clock(), error)
            self._begin()

    async def check(self, error: ExtractError) -> None:
        """Raise what ends the run where it has waited long enough. Where few rows are left, look whether they must."""
        if self.watch.is_unsure and await self._is_alive():
            self.answered()  # the row begins its tries anew, and is to blame if they fail
            return
        if (reason := self._state.streak.note_probes(self.watch.silent_probes, error)) is not None:
            raise reason
        now = self._limiter.clock()
        if self.watch.is_over_patience(now):
            raise self._too_long(error, now)

    def _too_long(self, error: ExtractError, now: float) -> ExtractError:
        if self.watch.is_silent:
            return TooManyFailures(f"the service has not answered once; the last error was: {error}")
        last = self.watch.last
        message = f"the service has not answered for {self.watch.lasted(now):,.0f} s; run again later ({error})"
        return Unavailable(message, status=getattr(last, "status", None), reason=getattr(last, "reason", None))

    async def through(self, attempt: Callable[[], Awaitable[T]], row: object) -> T:
        """Return what `attempt` returns, which sends without a permit; during an outage it waits for its turn."""
        while True:
            try:
                return await self._passed(attempt, row)
            except ExtractError as error:
                failure = error
            if self.holds(failure):
                await self.check(failure)
            else:
                await self.judge(failure, row, None)

    async def _passed(self, attempt: Callable[[], Awaitable[T]], row: object) -> T:
        await self.turn()
        permit = await self._limiter.acquire(0) if self.is_on else None
        failure: BaseException | None = None
        try:
            result = await attempt()
        except BaseException as error:
            failure = error
            self.note(error, row, self._limiter.clock() if permit is None else permit.at)
            raise
        else:
            self.watch.answers += 1
            self.answered()
            return result
        finally:
            if permit is not None:
                self._limiter.release(permit, failure)

    async def _is_alive(self) -> bool:
        """True where the service shows the model's page, which costs nothing, or refuses to. Asked once at a time."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        return await asyncio.shield(self._looking)

    async def _look(self) -> bool:
        try:
            await self._client.exchange(self._page)
        except ExtractError as error:
            return shows_life(error)
        return True

    def _begin(self) -> None:
        _log.debug("the service does not answer: %s; rows wait, and one at a time is tried", self._reason())
        self._rate_limit = self._limiter.rate_limit
        self._limiter.rate_limit = _Gate(self._rate_limit, self.watch, self._arm)
        self._limiter.is_probing = True
        self._state.deadlines.pause()
        self._arm()

    def _end(self, seconds: float) -> None:
        if self.watch.probes or seconds >= _MIN_REPORTED:
            _log.info("the service did not answer for %.1f s: %s", seconds, self._reason())
            self.past = [*self.past, self._outage(seconds)][-_MAX_REPORTED:]
        self._limiter.rate_limit = self._rate_limit
        self._limiter.is_probing = False
        self._state.deadlines.resume()
        while self._held:
            _wake(self._held.popleft())
        self._limiter.wake()

    def _outage(self, seconds: float) -> Outage:
        started = datetime.now(UTC) - timedelta(seconds=seconds)
        return Outage(started=started, seconds=seconds, probes=self.watch.probes, reason=self._reason())

    def _reason(self) -> str:
        """Return code and status of the last failure: its message may hold what was sent."""
        last = self.watch.last
        code, status = (last.code, last.status) if last is not None else ("unreachable", None)
        return code if status is None else f"{code} ({status})"

    def _arm(self) -> None:
        """Let a row that waits be the probe once one is due, unless the limiter has a row that was not asked yet."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.is_on and self._held:
            delay = self.watch.delay(self._limiter.clock())
            if delay < float("inf"):
                self._timer = asyncio.get_running_loop().call_later(delay, self._on_due)

    def _on_due(self) -> None:
        self._timer = None
        if not self.is_on:
            return
        if self._limiter.has_waiting:  # that request is the probe, unless it is given up just now
            self._timer = asyncio.get_running_loop().call_later(_LOOK_AGAIN, self._arm)
            return
        while self._held and not _wake(self._held.popleft()):
            pass  # it was cancelled


def _wake(turn: asyncio.Future[None]) -> bool:
    """Let a row go on; False where it no longer waits."""
    if turn.done():
        return False
    turn.set_result(None)
    return True


class stop_in_outage(stop_base):  # noqa: N801 - tenacity's policies are named like functions
    """Stop trying by one's own pace where the service is down: the outage has a pace for all."""

    def __init__(self, outages: Outages) -> None:
        self.outages = outages

    def __call__(self, retry_state: RetryCallState) -> bool:
        error = retry_state.outcome.exception() if retry_state.outcome is not None else None
        return self.outages.is_on and is_transport_failure(error)


class _Gate:
    """The rate limit during an outage: one probe at a time, when it is due and the rates themselves allow it."""

    def __init__(self, rates: RateLimit, watch: OutageWatch, on_probe_over: Callable[[], None]) -> None:
        self._rates, self._watch, self._on_probe_over = rates, watch, on_probe_over

    @property
    def per_second(self) -> float:
        return self._rates.per_second

    @property
    def tokens_per_second(self) -> float:
        return self._rates.tokens_per_second

    def delay(self, now: float) -> float:
        return self._watch.delay(now) or self._rates.delay(now)

    def take(self, tokens: int, now: float) -> None:
        self._watch.take(now)
        self._rates.take(tokens, now)

    def settle(self, more: int, now: float) -> None:
        self._rates.settle(more, now)

    def note(self, sent_at: float, now: float, verdict: Verdict) -> None:
        self._rates.note(sent_at, now, verdict)
        self._watch.leave(sent_at)
        self._on_probe_over()

    def reached(self, now: float) -> str:
        return "the service does not answer" if self._watch.delay(now) > 0 else self._rates.reached(now)
