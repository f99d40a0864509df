"""One request: on a rung of the schema's ladder and a service tier, through the gate, repeated as told, and billed."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypedDict, TypeGuard

from extract.documents.parts import Turn
from extract.errors import (
    Blocked,
    ConfigError,
    ExtractError,
    Incomplete,
    QuotaExhausted,
    RateLimited,
    SchemaTooComplex,
    Unfinished,
    Unreachable,
)
from extract.extractor.plan import CompiledExtractor
from extract.interactions.client import AsyncClient
from extract.interactions.dialects import Envelope, merge
from extract.interactions.failures import judge
from extract.interactions.http.calls import Call, once
from extract.interactions.http.drivers import drive_async
from extract.interactions.http.retrying import Retry, RetryBudget, retry_async, stop_when_spent
from extract.interactions.interaction import Interaction
from extract.interactions.operations import CREATE_PATH, follow_up
from extract.interactions.requests import ServiceTier
from extract.interactions.tools.functions import call_functions_async
from extract.interactions.tools.loop import wants_results
from extract.interactions.usage import Attempt, AttemptKind
from extract.io.cache.response_cache import Answers
from extract.json_types import JsonObject
from extract.limits.billing import Billing
from extract.limits.budget import Amount, Forecast
from extract.limits.daily_quota import Day, day_is_over
from extract.limits.limiter import Limiter, Permit
from extract.limits.limits import Limits
from extract.runner.event_loop import in_thread
from extract.runner.tally import Held, Tally
from extract.runner.uploads import LostFile, Uploads
from extract.schema.answer_size import answer_tokens

__all__ = ["Sender", "Way"]

_STATELESS = b'{"store":false,'
_REFUSED = Amount(requests=1)
# Flex keeps a row this share of its deadline; what is left is for the standard tier.
_FLEX_SHARE = 0.5
_BYTES_PER_TOKEN = 4


@dataclass(frozen=True, slots=True)
class Way:
    """How one request is sent: why, with which output limit of its own, on which tier."""

    kind: AttemptKind
    limit: int | None = None
    tier: ServiceTier | None = None


@dataclass(slots=True)
class Sender:
    """Sends the requests of a run; all its records share one, so that limits, prices and the rung are shared too.

    `free` says that answers cost nothing (the offline service). `rung` is how far the schema is relaxed. `day` counts
    the requests within a daily limit, those of earlier runs included; None where this sender keeps none.
    """

    plan: CompiledExtractor
    client: AsyncClient
    gate: Limiter
    uploads: Uploads
    cache: Answers | None = None
    limits: Limits = field(default_factory=Limits)
    free: bool = False
    clock: Callable[[], float] = time.monotonic
    uniform: Callable[[float, float], float] = random.uniform
    day: Day | None = None
    rung: int = 0
    billing: Billing = field(init=False)
    _envelopes: dict[tuple[int, ServiceTier | None, int | None], Envelope] = field(default_factory=dict)
    _retries: RetryBudget = field(default_factory=RetryBudget)

    def __post_init__(self) -> None:
        generation = self.plan.request.generation
        forecast = Forecast(answer_tokens(self.plan.schema.dtypes), generation.max_output_tokens)
        self.billing = Billing(self.plan.extractor.model, forecast, free=self.free)
        if self.cache is not None:
            self.rung = min(self.cache.rung(self.plan.schema_key), self.plan.schema.rungs - 1)

    async def send(self, turns: Sequence[Turn], way: Way, tally: Tally) -> Interaction:
        """Ask, with a simpler schema each time the service finds it too complex: once for the run, not per row.

        The answer's slot stays taken until `release`: what a killed process has not kept is no more than its slots.
        """
        while True:
            rung = self.rung
            try:
                return await self._served(way, rung, turns, tally)
            except SchemaTooComplex:
                if rung + 1 >= self.plan.schema.rungs:
                    raise
                if rung == self.rung:  # else another row has climbed meanwhile
                    self._climb(rung + 1)

    async def _served(self, way: Way, rung: int, turns: Sequence[Turn], tally: Tally) -> Interaction:
        """Ask on the tier that was chosen; flex falls back to standard for a row that it has shed for too long."""
        if self.plan.request.service_tier != "flex" or self.limits.deadline is None:
            return await self._follow(way, rung, turns, tally, self.limits.retry)
        if not tally.shed:
            try:
                return await self._follow(way, rung, turns, tally, self._flex_patience(tally))
            except RateLimited:
                tally.shed = True
        return await self._follow(replace(way, tier="standard"), rung, turns, tally, self.limits.retry)

    def _flex_patience(self, tally: Tally) -> Retry:
        """Return the retries that leave the standard tier its share of the deadline."""
        gone = 0.0 if tally.term.first_sent is None else self.clock() - tally.term.first_sent
        left = (self.limits.deadline or 0.0) * _FLEX_SHARE - gone
        return replace(self.limits.retry, patience=max(0.0, min(self.limits.retry.patience, left)))

    async def _follow(self, way: Way, rung: int, turns: Sequence[Turn], tally: Tally, retry: Retry) -> Interaction:
        """Ask, with large files on the service; once more where it has lost one of them meanwhile."""
        if not self.plan.extractor.media:
            return await self._asked(way, rung, turns, tally, retry)
        try:
            async with self.uploads.placed(turns) as placed:
                return await self._asked(way, rung, placed, tally, retry)
        except LostFile:
            tally.retries += 1
        async with self.uploads.placed(turns) as placed:
            return await self._asked(replace(way, kind="retry"), rung, placed, tally, retry)

    async def _asked(self, way: Way, rung: int, turns: Sequence[Turn], tally: Tally, retry: Retry) -> Interaction:
        envelope = self._envelope(way, rung)
        tokens = envelope.tokens + self.plan.input_tokens(turns)
        interaction = await self._whole(await self._body(envelope, turns), tokens, way, tally, retry)
        if not self.plan.functions or not wants_results(interaction):
            return interaction
        return await self._with_functions(envelope, interaction, turns, replace(way, kind="tool"), tally, retry)

    async def _body(self, envelope: Envelope, said: Sequence[Turn | JsonObject]) -> bytes:
        """Write a request. Encoding files is work for a thread: it would hold up all other records."""
        if self.plan.extractor.media:
            return await in_thread(partial(envelope.body, said))
        return envelope.body(said)

    async def _with_functions(
        self, envelope: Envelope, hop: Interaction, turns: Sequence[Turn], way: Way, tally: Tally, retry: Retry
    ) -> Interaction:
        """Call the functions that an answer asks for and send all that was said so far along with their results.

        Returns one interaction that holds the steps of all. Raises Unfinished where calls do not come to an end.
        """
        whole, rounds = hop, 0
        while wants_results(hop):
            rounds += 1
            if rounds > self.plan.extractor.tool_rounds:
                raise Unfinished(
                    f"the model still calls functions after {rounds - 1} rounds; raise tool_rounds", status=hop.status
                )
            results = await call_functions_async(hop.calls, self.plan.functions)
            whole = replace(whole, steps=(*whole.steps, *(result.as_step() for result in results)), body=b"")
            body = await self._body(envelope, (*turns, *whole.steps))
            hop = await self._whole(body, len(body) // _BYTES_PER_TOKEN, way, tally, retry)
            whole = merge(whole, hop)
        return whole

    async def _whole(self, body: bytes, tokens: int, way: Way, tally: Tally, retry: Retry) -> Interaction:
        """Send one request, and what it takes to get the rest of an answer that comes in several."""
        first = await self._insist(Call("POST", CREATE_PATH, body), tokens, way, tally, retry)
        if first.status != "requires_continuation":
            return first
        further = replace(way, kind="continuation")
        hops = follow_up(body, first, once)
        return await drive_async(hops, lambda call: self._insist(call, tokens, further, tally, retry))

    def release(self, tally: Tally) -> None:
        """Give back the slot of a record's last answer, if it holds one."""
        if (held := tally.held) is not None:
            tally.held = None
            self.gate.release(held.permit, None, held.usage, spent=held.spent)

    def _climb(self, rung: int) -> None:
        self.rung = rung
        if self.cache is not None:
            self.cache.remember_rung(self.plan.schema_key, rung)

    def _envelope(self, way: Way, rung: int) -> Envelope:
        shape = (rung, way.tier, way.limit)
        if shape not in self._envelopes:
            self._envelopes[shape] = self.plan.envelope(rung, tier=way.tier, limit=way.limit)
        return self._envelopes[shape]

    async def _insist(self, call: Call, tokens: int, way: Way, tally: Tally, retry: Retry) -> Interaction:
        """Send until an answer is there, as long as the policy, the run's retries and the row's deadline allow."""
        try:
            return await self._attempt(call, tokens, way, tally)
        except ExtractError as error:
            first = error

        def retried() -> None:
            tally.retries += 1

        again = replace(way, kind="retry")
        return await retry_async(
            lambda: self._attempt(call, tokens, again, tally),
            retry,
            failure=first,
            uniform=self.uniform,
            sleep=self.gate.sleep,
            on_retry=retried,
            stop=stop_when_spent(self._retries),
        )

    async def _attempt(self, call: Call, tokens: int, way: Way, tally: Tally) -> Interaction:
        """Send one request once, through the gate, and bill what came.

        Raises Unfinished for what holds no answer, so that it is neither kept nor judged; a cut or blocked answer is
        one of its kind, paid for and worth keeping.
        """
        interaction = await self._post(call, tokens, way, tally)
        calls = bool(self.plan.functions) and wants_results(interaction)
        if calls or interaction.status == "requires_continuation":
            self.release(tally)  # for the next hop
            return interaction
        try:
            with suppress(Incomplete, Blocked):
                judge(interaction)
        except ExtractError:
            self.release(tally)
            raise
        return interaction

    async def _post(self, call: Call, tokens: int, way: Way, tally: Tally) -> Interaction:
        if not call.body.startswith(_STATELESS):
            raise ConfigError("a batch request must carry store=false; background and stored calls go through Client")
        terms: _Terms = {"tokens": tokens, "tier": way.tier or self.plan.request.service_tier, "limit": way.limit}
        permit = await self._enter(terms)
        self._begin(tally)
        try:
            interaction = await self.client.ask(call)
        except BaseException as error:
            lost = not isinstance(error, ExtractError) or (isinstance(error, Unreachable) and error.maybe_sent)
            if lost:
                self._note(self.billing.lost(way.kind, **terms), tally)
            self.gate.release(permit, error, spent=None if lost else _REFUSED)
            if _is_over_for_today(error, self.limits.retry):
                raise _too_long(error) from None
            raise
        attempt = self.billing.whole(way.kind, interaction, **terms)
        usage = attempt.usage
        dollars = permit.reserved.dollars if attempt.cost is None else attempt.cost
        spent = None if usage is None else Amount(dollars, usage.total, 1)
        tally.held = Held(permit, usage, spent)
        tally.model, tally.service_tier = attempt.model, attempt.tier
        self._note(attempt, tally)
        return interaction

    def _begin(self, tally: Tally) -> None:
        """Count a request; the deadline runs from the first: a row is not given up for having waited its turn."""
        term = tally.term
        if term.first_sent is None:
            term.first_sent = self.clock()
            if term.timeout is not None and self.limits.deadline is not None:
                term.timeout.reschedule(asyncio.get_running_loop().time() + self.limits.deadline)
        tally.attempts += 1
        self._retries.requests += 1

    async def _enter(self, terms: _Terms) -> Permit:
        if not self.gate.budgeted:
            permit = await self.gate.acquire(terms["tokens"])
        else:
            permit = await self.gate.acquire(terms["tokens"], lambda: self.billing.worst(**terms))
        try:
            self._count_day()
        except QuotaExhausted:
            self.gate.release(permit, None, spent=Amount())
            raise
        return permit

    def _count_day(self) -> None:
        if self.day is None or self.limits.rpd is None:
            return
        if self.day.count(time.time()) + 1 > self.limits.rpd:
            raise day_is_over(self.limits.rpd)
        self.day.take(1, time.time())

    def _note(self, attempt: Attempt, tally: Tally) -> None:
        """Enter one attempt into the record's ledger and into that of the cache, which commits it with the answer."""
        tally.ledger.append(attempt)
        if attempt.usage is None:
            tally.unknown_attempts += 1
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
