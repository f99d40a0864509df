"""One record: look up, ask, validate, repair. It ends in an Outcome; what it cost is told whatever happened."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, TypedDict, TypeGuard

from pydantic_core import to_json

from extract.billing import Billing
from extract.budget import Amount, Forecast, RetryBudget, stop_when_spent
from extract.cache import ResponseCache
from extract.errors import (
    AnswerTimeout,
    BadRecord,
    Blocked,
    BudgetExceeded,
    ConfigError,
    Denied,
    ExtractError,
    Incomplete,
    InvalidAnswer,
    NotRun,
    OutputError,
    QuotaExhausted,
    RateLimited,
    SchemaError,
    SchemaTooComplex,
    Unreachable,
)
from extract.extractor import Plan
from extract.gate import Gate
from extract.interactions.client import AsyncClient, insist
from extract.interactions.dialects import Envelope, decode
from extract.interactions.failures import judge
from extract.interactions.protocols import create
from extract.interactions.wire import Call, drive_async
from extract.limits import Limits, Retry
from extract.prompts import repair_text
from extract.schema.size import answer_tokens
from extract.types import Attempt, AttemptKind, Interaction, Outcome, ServiceTier, Turn, Usage

__all__ = ["Asker"]

# What makes every further request useless: the run ends, and the record it happened to is taken up by a rerun.
_STOPS = (Denied, SchemaTooComplex, BudgetExceeded, ConfigError, SchemaError, OutputError)
_STATELESS = b'{"store":false,'
_NOTHING = Amount()
# Flex keeps a row this share of its deadline; what is left is for the standard tier.
_FLEX_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class _Way:
    """How one request is sent: on which rung and tier, with which output limit of its own, and why."""

    rung: int
    tier: ServiceTier | None
    limit: int | None
    kind: AttemptKind


@dataclass(slots=True)
class _Tally:
    """What one record has taken so far. `joined`: an answer came from an equal request of another record."""

    started: float
    timeout: asyncio.Timeout
    attempts: int = 0
    retries: int = 0
    repairs: int = 0
    unknown_attempts: int = 0
    usage: Usage = Usage()
    cost: Decimal | None = Decimal(0)
    joined: bool = False
    answer: str | None = None
    model: str | None = None
    service_tier: str | None = None
    mended: tuple[str, ...] = ()
    ledger: list[Attempt] = field(default_factory=list)
    first_sent: float | None = None
    shed: bool = False

    @property
    def fresh(self) -> bool:
        """True where this run has asked for the record, itself or through an equal one."""
        return self.joined or self.attempts > 0


@dataclass(slots=True)
class Asker:
    """Asks records one by one; all workers of a run share one, so that limits, cache and prices are shared too.

    `free` says that answers cost nothing (the offline service). `on_stop` hears of what ends the run: every further
    request would be refused, or answers can no longer be kept. `rung` is how far the schema is relaxed. `sent_today`
    counts the requests that earlier runs took out of a daily limit.
    """

    plan: Plan
    client: AsyncClient
    gate: Gate
    cache: ResponseCache | None = None
    limits: Limits = field(default_factory=Limits)
    retry_rejected: bool = False
    free: bool = False
    on_stop: Callable[[ExtractError], None] = lambda _: None
    clock: Callable[[], float] = time.monotonic
    uniform: Callable[[float, float], float] = random.uniform
    sent_today: int = 0
    abandoned: bool = False
    rung: int = 0
    billing: Billing = field(init=False)
    _flying: dict[bytes, asyncio.Future[Interaction]] = field(default_factory=dict)
    _envelopes: dict[tuple[int, ServiceTier | None, int | None], Envelope] = field(default_factory=dict)
    _rejected: set[bytes] = field(default_factory=set)
    _retries: RetryBudget = field(default_factory=RetryBudget)

    def __post_init__(self) -> None:
        generation = self.plan.request.generation
        forecast = Forecast(answer_tokens(self.plan.schema.dtypes), generation.max_output_tokens)
        self.billing = Billing(self.plan.extractor.model, forecast, free=self.free)
        if self.cache is not None:
            self._flying = self.cache.flying  # so that two runs that share a cache ask once
            self.rung = min(self.cache.rung(self.plan.schema_key), self.plan.schema.rungs - 1)

    async def ask(self, record: Mapping[str, Any], row_id: Any) -> Outcome:
        """Return the outcome of one record: `not_run` where it met what ends the run, which `on_stop` is told."""
        tally = _Tally(self.clock(), asyncio.timeout(None))
        try:
            async with tally.timeout:
                value, row = await self._value(record, tally)
            return self._outcome(row_id, tally, value=value, row=row)
        except TimeoutError:
            error: ExtractError = AnswerTimeout(f"no answer within {self.limits.deadline:g} s")
        except UnicodeError as unsayable:
            error = BadRecord(f"the record holds text that is no Unicode: {unsayable}")
        except _STOPS as stop:
            self.on_stop(stop)
            error = NotRun(f"the run was stopped: {stop}")
        except ExtractError as failure:
            error = failure
        except asyncio.CancelledError:
            if not self.abandoned:
                raise
            error = NotRun("the run was interrupted")
        return self._outcome(row_id, tally, error=error)

    def _outcome(self, row_id: Any, tally: _Tally, **result: Any) -> Outcome:
        return Outcome(
            row_id=row_id,
            answer=tally.answer,
            usage=tally.usage,
            cost=tally.cost,
            attempts=tally.attempts,
            retries=tally.retries,
            repairs=tally.repairs if tally.attempts else 0,
            unknown_attempts=tally.unknown_attempts,
            seconds=self.clock() - tally.started,
            cached=tally.answer is not None and not tally.fresh,
            model=tally.model,
            service_tier=tally.service_tier,
            mended=tally.mended,
            ledger=tuple(tally.ledger),
            **result,
        )

    async def _value(self, record: Mapping[str, Any], tally: _Tally) -> tuple[Any, tuple[Any, ...]]:
        """Go through the retry rounds: a rejected answer of an earlier run is replaced by that of a later round."""
        turns = await self._turns(record)
        retry_round = 0
        while True:
            try:
                return await self._valid(turns, retry_round, tally)
            except (InvalidAnswer, Incomplete, Blocked):
                key, following = (self.plan.answer_key(turns, number) for number in (retry_round, retry_round + 1))
                if tally.fresh or key in self._rejected:
                    self._rejected.add(key)  # an equal row that comes later in this run takes the same answer
                    raise
                if not self.retry_rejected and self._known(following) is None:
                    raise
                retry_round += 1

    async def _turns(self, record: Mapping[str, Any]) -> tuple[Turn, ...]:
        if self.plan.extractor.media:
            return await asyncio.to_thread(self.plan.turns, record)
        return self.plan.turns(record)

    async def _valid(self, turns: tuple[Turn, ...], retry_round: int, tally: _Tally) -> tuple[Any, tuple[Any, ...]]:
        """Ask, and show a wrong answer its errors as often as `repairs` allows. The context does not grow.

        A cut answer is asked once more with a larger limit where the user has named one.
        """
        asked = turns
        repair = 0
        limit: int | None = None
        while True:
            key = self.plan.answer_key(asked, retry_round, repair, limit=limit)
            kind: AttemptKind = "repair" if repair else "retry" if limit else "ask"
            interaction = await self._interaction(key, asked, _Way(self.rung, None, limit, kind), tally)
            if interaction.status == "incomplete" and limit is None and self.plan.request.generation.if_cut:
                limit = self.plan.request.generation.if_cut
                continue
            tally.answer = text = judge(interaction)
            try:
                value, tally.mended = self.plan.schema.read(text)
                return value, self.plan.schema.row(value)
            except InvalidAnswer as error:
                if repair == self.plan.extractor.repairs:
                    raise
                repair += 1
                tally.repairs += 1
                asked = (*turns, Turn.model(text), Turn.user(repair_text(error.issues)))

    async def _interaction(self, key: bytes, turns: Sequence[Turn], way: _Way, tally: _Tally) -> Interaction:
        """Return the interaction for one request: from the cache, from an equal request in flight, or asked."""
        if (kept := self._known(key)) is not None:
            return kept
        while (flying := self._flying.get(key)) is not None:
            tally.joined = True
            await asyncio.wait((flying,))  # unlike a shield, it never takes the other's cancellation for its own
            if not flying.cancelled():
                return flying.result()
        return await self._lead(key, turns, way, tally)

    def _known(self, key: bytes) -> Interaction | None:
        kept = self.cache.get(key) if self.cache else None
        if self.cache is None or kept is None:
            return None
        try:
            return decode(kept)
        except Unreachable:  # damaged on disk
            self.cache.forget(key)
            return None

    async def _lead(self, key: bytes, turns: Sequence[Turn], way: _Way, tally: _Tally) -> Interaction:
        """Ask on behalf of all records that need this very request."""
        flying = self._flying[key] = asyncio.get_running_loop().create_future()
        try:
            interaction = await self._climbing(turns, way, tally)
            await self._keep(key, interaction)
        except ExtractError as error:
            flying.set_exception(error)
            flying.exception()  # seen: nobody else may be waiting
            raise
        except BaseException:
            flying.cancel()
            raise
        finally:
            del self._flying[key]
        flying.set_result(interaction)
        return interaction

    async def _climbing(self, turns: Sequence[Turn], way: _Way, tally: _Tally) -> Interaction:
        """Ask, with a simpler schema each time the service finds it too complex: once for the run, not per row."""
        while True:
            rung = self.rung
            try:
                return await self._served(replace(way, rung=rung), turns, tally)
            except SchemaTooComplex:
                if rung + 1 >= self.plan.schema.rungs:
                    raise
                if rung == self.rung:  # else another row has climbed meanwhile
                    self._climb(rung + 1)

    async def _served(self, way: _Way, turns: Sequence[Turn], tally: _Tally) -> Interaction:
        """Ask on the tier that was chosen; flex falls back to standard for a row that it has shed for too long."""
        if self.plan.request.service_tier != "flex" or self.limits.deadline is None:
            return await self._follow(way, turns, tally, self.limits.retry)
        if not tally.shed:
            try:
                return await self._follow(way, turns, tally, self._flex_patience(tally))
            except RateLimited:
                tally.shed = True
        return await self._follow(replace(way, tier="standard"), turns, tally, self.limits.retry)

    def _flex_patience(self, tally: _Tally) -> Retry:
        """Return the retries that leave the standard tier its share of the deadline."""
        gone = 0.0 if tally.first_sent is None else self.clock() - tally.first_sent
        left = (self.limits.deadline or 0.0) * _FLEX_SHARE - gone
        return replace(self.limits.retry, patience=max(0.0, min(self.limits.retry.patience, left)))

    async def _follow(self, way: _Way, turns: Sequence[Turn], tally: _Tally, retry: Retry) -> Interaction:
        envelope = self._envelope(way)
        tokens = envelope.tokens + self.plan.input_tokens(turns)
        hops = 0

        async def send(call: Call) -> Interaction:
            nonlocal hops
            hops += 1
            kind: AttemptKind = way.kind if hops == 1 else "continuation"
            return await self._insist(call, tokens, replace(way, kind=kind), tally, retry)

        return await drive_async(create(envelope.body(turns)), send)

    def _climb(self, rung: int) -> None:
        self.rung = rung
        if self.cache is not None:
            self.cache.remember_rung(self.plan.schema_key, rung)

    def _envelope(self, way: _Way) -> Envelope:
        shape = (way.rung, way.tier, way.limit)
        if shape not in self._envelopes:
            self._envelopes[shape] = self.plan.envelope(way.rung, tier=way.tier, limit=way.limit)
        return self._envelopes[shape]

    async def _keep(self, key: bytes, interaction: Interaction) -> None:
        if self.cache is None:
            return
        try:
            await self.cache.keep(key, to_json(interaction.raw), rung=self.rung)
        except OutputError as error:
            self.on_stop(error)  # the answer in hand still counts

    async def _insist(self, call: Call, tokens: int, way: _Way, tally: _Tally, retry: Retry) -> Interaction:
        """Send until an answer is there, as long as the policy, the run's retries and the row's deadline allow."""
        asked = way

        def retried() -> None:
            nonlocal asked
            tally.retries += 1
            asked = replace(way, kind="retry")

        return await insist(
            lambda: self._attempt(call, tokens, asked, tally),
            retry,
            uniform=self.uniform,
            sleep=self.gate.sleep,
            on_retry=retried,
            or_stop=stop_when_spent(self._retries),
        )

    async def _attempt(self, call: Call, tokens: int, way: _Way, tally: _Tally) -> Interaction:
        """Send one request once, through the gate, and bill what came.

        Raises Unfinished for what holds no answer, so that it is neither kept nor judged; a cut or blocked answer is
        one of its kind, paid for and worth keeping.
        """
        interaction = await self._send(call, tokens, way, tally)
        if interaction.status != "requires_continuation":
            with suppress(Incomplete, Blocked):
                judge(interaction)
        return interaction

    async def _send(self, call: Call, tokens: int, way: _Way, tally: _Tally) -> Interaction:
        if not call.body.startswith(_STATELESS):
            raise ConfigError("a batch request must carry store=false; background and stored calls go through Client")
        self._check_day()
        terms: _Terms = {"tokens": tokens, "tier": way.tier or self.plan.request.service_tier, "limit": way.limit}
        ticket = await self.gate.enter(tokens, self.billing.worst(**terms) if self.gate.budgeted else _NOTHING)
        self._begin(tally)
        try:
            interaction = await self.client.ask(call)
        except BaseException as error:
            lost = not isinstance(error, ExtractError) or (isinstance(error, Unreachable) and error.maybe_sent)
            if lost:
                self._note(self.billing.lost(way.kind, **terms), tally)
            self.gate.leave(ticket, error, spent=None if lost else _NOTHING)
            if _is_over_for_today(error, self.limits.retry):
                raise _too_long(error) from None
            raise
        attempt = self.billing.whole(way.kind, interaction, **terms)
        usage = attempt.usage
        spent = None if usage is None else Amount(attempt.cost or Decimal(0), usage.total, 1)
        self.gate.leave(ticket, None, usage, spent=spent)
        tally.model, tally.service_tier = attempt.model, attempt.tier
        self._note(attempt, tally)
        return interaction

    def _begin(self, tally: _Tally) -> None:
        """Count a request; the deadline runs from the first: a row is not given up for having waited its turn."""
        if tally.first_sent is None:
            tally.first_sent = self.clock()
            if self.limits.deadline is not None:
                tally.timeout.reschedule(asyncio.get_running_loop().time() + self.limits.deadline)
        tally.attempts += 1
        self.sent_today += 1
        self._retries.requests += 1

    def _check_day(self) -> None:
        if self.limits.rpd is not None and self.sent_today >= self.limits.rpd:
            raise QuotaExhausted(
                f"the daily limit of {self.limits.rpd:,.0f} requests is used up; "
                "it begins anew at midnight Pacific time"
            )

    def _note(self, attempt: Attempt, tally: _Tally) -> None:
        """Enter one attempt into the record's ledger and into that of the cache, which commits it with the answer."""
        tally.ledger.append(attempt)
        if attempt.usage is None:
            tally.unknown_attempts += 1
        else:
            tally.usage += attempt.usage
            tally.cost = None if tally.cost is None or attempt.cost is None else tally.cost + attempt.cost
        if self.cache is not None:
            self.cache.note(attempt)


class _Terms(TypedDict):
    tokens: int
    tier: str | None
    limit: int | None


def _is_over_for_today(error: BaseException, retry: Retry) -> TypeGuard[RateLimited]:
    """True for a 429 that asks for more patience than a run has: a quota of another kind than the minute's."""
    return isinstance(error, RateLimited) and error.status == 429 and (error.retry_after or 0) > retry.patience


def _too_long(error: RateLimited) -> QuotaExhausted:
    said = f"the service asks to come back in {error.retry_after:,.0f} s ({error})"
    return QuotaExhausted(said, status=error.status, reason=error.reason)
