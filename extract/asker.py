"""One record: look up, ask, validate, repair. It ends in an Outcome; what it cost is told whatever happened."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from pydantic_core import to_json

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
from extract.limits import Limits
from extract.prompts import repair_text
from extract.types import Interaction, Outcome, Turn, Usage
from extract.usage import Price, find_price

__all__ = ["Asker"]

# What makes every further request useless: the run ends, and the record it happened to is taken up by a rerun.
_STOPS = (Denied, SchemaTooComplex, BudgetExceeded, ConfigError, SchemaError, OutputError)
_STATELESS = b'{"store":false,'


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

    @property
    def fresh(self) -> bool:
        """True where this run has asked for the record, itself or through an equal one."""
        return self.joined or self.attempts > 0


@dataclass(slots=True)
class Asker:
    """Asks records one by one; all workers of a run share one, so that limits, cache and prices are shared too.

    `free` says that answers cost nothing (the offline service). `on_stop` hears of what ends the run: every further
    request would be refused, or answers can no longer be kept. `rung` is how far the schema is relaxed.
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
    abandoned: bool = False
    rung: int = 0
    _flying: dict[bytes, asyncio.Future[Interaction]] = field(default_factory=dict)
    _envelopes: dict[int, Envelope] = field(default_factory=dict)
    _rejected: set[bytes] = field(default_factory=set)
    _prices: dict[tuple[str, str | None], Price | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.cache is not None:
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
        """Ask, and show a wrong answer its errors as often as `repairs` allows. The context does not grow."""
        asked = turns
        repair = 0
        while True:
            key = self.plan.answer_key(asked, retry_round, repair)
            tally.answer = text = judge(await self._interaction(key, asked, tally))
            try:
                value, tally.mended = self.plan.schema.read(text)
                return value, self.plan.schema.row(value)
            except InvalidAnswer as error:
                if repair == self.plan.extractor.repairs:
                    raise
                repair += 1
                tally.repairs += 1
                asked = (*turns, Turn.model(text), Turn.user(repair_text(error.issues)))

    async def _interaction(self, key: bytes, turns: Sequence[Turn], tally: _Tally) -> Interaction:
        """Return the interaction for one request: from the cache, from an equal request in flight, or asked."""
        if (kept := self._known(key)) is not None:
            return kept
        while (flying := self._flying.get(key)) is not None:
            tally.joined = True
            await asyncio.wait((flying,))  # unlike a shield, it never takes the other's cancellation for its own
            if not flying.cancelled():
                return flying.result()
        return await self._lead(key, turns, tally)

    def _known(self, key: bytes) -> Interaction | None:
        kept = self.cache.get(key) if self.cache else None
        if self.cache is None or kept is None:
            return None
        try:
            return decode(kept)
        except Unreachable:  # damaged on disk
            self.cache.forget(key)
            return None

    async def _lead(self, key: bytes, turns: Sequence[Turn], tally: _Tally) -> Interaction:
        """Ask on behalf of all records that need this very request."""
        flying = self._flying[key] = asyncio.get_running_loop().create_future()
        try:
            interaction = await self._climbing(turns, tally)
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

    async def _climbing(self, turns: Sequence[Turn], tally: _Tally) -> Interaction:
        """Ask, with a simpler schema each time the service finds it too complex: once for the run, not per row."""
        while True:
            rung = self.rung
            try:
                return await self._follow(self._envelope(rung), turns, tally)
            except SchemaTooComplex:
                if rung + 1 >= self.plan.schema.rungs:
                    raise
                if rung == self.rung:  # else another row has climbed meanwhile
                    self._climb(rung + 1)

    async def _follow(self, envelope: Envelope, turns: Sequence[Turn], tally: _Tally) -> Interaction:
        tokens = envelope.tokens + self.plan.input_tokens(turns)
        return await drive_async(create(envelope.body(turns)), lambda call: self._insist(call, tokens, tally))

    def _climb(self, rung: int) -> None:
        self.rung = rung
        if self.cache is not None:
            self.cache.remember_rung(self.plan.schema_key, rung)

    def _envelope(self, rung: int) -> Envelope:
        if rung not in self._envelopes:
            self._envelopes[rung] = self.plan.envelope(rung)
        return self._envelopes[rung]

    async def _keep(self, key: bytes, interaction: Interaction) -> None:
        if self.cache is None:
            return
        try:
            await self.cache.keep(key, to_json(interaction.raw), rung=self.rung)
        except OutputError as error:
            self.on_stop(error)  # the answer in hand still counts

    async def _insist(self, call: Call, tokens: int, tally: _Tally) -> Interaction:
        def retried() -> None:
            tally.retries += 1

        return await insist(
            lambda: self._attempt(call, tokens, tally),
            self.limits.retry,
            uniform=self.uniform,
            sleep=self.gate.sleep,
            on_retry=retried,
        )

    async def _attempt(self, call: Call, tokens: int, tally: _Tally) -> Interaction:
        """Send one request once, through the gate, and bill what came.

        Raises Unfinished for what holds no answer, so that it is neither kept nor judged; a cut or blocked answer is
        one of its kind, paid for and worth keeping.
        """
        interaction = await self._send(call, tokens, tally)
        if interaction.status != "requires_continuation":
            with suppress(Incomplete, Blocked):
                judge(interaction)
        return interaction

    async def _send(self, call: Call, tokens: int, tally: _Tally) -> Interaction:
        if not call.body.startswith(_STATELESS):
            raise ConfigError("a batch request must carry store=false; background and stored calls go through Client")
        ticket = await self.gate.enter(tokens)
        if self.limits.deadline is not None and tally.attempts == 0:
            # Counted from the first request: a row is not given up for having waited its turn.
            tally.timeout.reschedule(asyncio.get_running_loop().time() + self.limits.deadline)
        tally.attempts += 1
        try:
            interaction = await self.client.ask(call)
        except BaseException as error:
            if not isinstance(error, ExtractError) or (isinstance(error, Unreachable) and error.maybe_sent):
                tally.unknown_attempts += 1
            self.gate.leave(ticket, error)
            if isinstance(error, RateLimited) and (error.retry_after or 0) > self.limits.retry.patience:
                raise _too_long(error) from None
            raise
        self.gate.leave(ticket, None, interaction.usage)
        self._bill(interaction, tally)
        return interaction

    def _bill(self, interaction: Interaction, tally: _Tally) -> None:
        """Add one whole answer to the record's account."""
        tally.model = interaction.model or self.plan.extractor.model
        tally.service_tier = interaction.service_tier
        if interaction.usage is None:
            tally.unknown_attempts += 1
            return
        tally.usage += interaction.usage
        if self.free or tally.cost is None:
            return
        price = self._price(tally.model, interaction.service_tier or self.plan.request.service_tier)
        tally.cost = None if price is None else tally.cost + price.cost(interaction.usage)

    def _price(self, model: str, tier: str | None) -> Price | None:
        if (model, tier) not in self._prices:
            self._prices[model, tier] = find_price(model, tier)
        return self._prices[model, tier]


def _too_long(error: RateLimited) -> QuotaExhausted:
    said = f"the service asks to come back in {error.retry_after:,.0f} s ({error})"
    return QuotaExhausted(said, status=error.status, reason=error.reason)
