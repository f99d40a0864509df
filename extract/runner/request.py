"""One request: let in by the limiter, posted, tried again, billed, and followed up until the whole answer is there."""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple, Protocol, TypedDict

from extract.documents.parts import Turn
from extract.errors import (
    AnswerError,
    Blocked,
    ConfigError,
    ExtractError,
    Incomplete,
    Unreachable,
)
from extract.extractor.plan import CompiledExtractor
from extract.interactions.client import AsyncClient
from extract.interactions.dialects import Envelope
from extract.interactions.failures import judge
from extract.interactions.http.calls import Call, once
from extract.interactions.http.drivers import drive_async
from extract.interactions.http.retrying import Retry, is_throttle, is_too_long
from extract.interactions.interaction import Interaction
from extract.interactions.merging import merge
from extract.interactions.operations import CREATE_PATH, follow_up
from extract.interactions.requests import Request, ServiceTier, wants_media
from extract.interactions.tools.functions import FunctionResult, call_functions_async
from extract.interactions.tools.loop import CallFunctions, tool_loop, wants_results
from extract.interactions.usage import Attempt, AttemptKind
from extract.json_types import JsonObject
from extract.limits.billing import Billing
from extract.limits.budget import Amount
from extract.limits.daily_quota import Day, day_is_over
from extract.limits.limiter import Limiter, Permit
from extract.limits.limits import Limits
from extract.runner.event_loop import in_thread
from extract.runner.outages import Outages
from extract.runner.resender import Resender
from extract.runner.stops import come_back_later
from extract.runner.trace import HeldSlot, RecordTrace

__all__ = ["RequestSender", "Send", "SendMode"]

_STATELESS = b'{"store":false,'
_REFUSED = Amount(requests=1)  # costs nothing, but a quota of requests has counted it
_BYTES_PER_TOKEN = 4


class SendMode(NamedTuple):
    """How one request is sent: why, with which output limit, on which tier, rung of the schema and retry policy.

    `rows` is how many rows it asks about in the form of a pack, 0 for one row in its own form; `packed` and `group` say
    which rows may be sent together. None stands for what the run says. A tuple, because one is made for each request
    that is not plain.
    """

    kind: AttemptKind
    limit: int | None = None
    tier: ServiceTier | None = None
    rung: int = 0
    retry: Retry | None = None
    rows: int = 0
    packed: bool = False
    group: str = ""


class Send(Protocol):
    """Sends one request and returns the whole answer; see `fallbacks` for what may be put around it."""

    def __call__(self, turns: Sequence[Turn], mode: SendMode, trace: RecordTrace, /) -> Awaitable[Interaction]: ...


_EnvelopeKey = tuple[int, "ServiceTier | None", "int | None", bool]


class Ledger(Protocol):
    """Takes an entry for each attempt, and commits it with the answer that it belongs to."""

    def note(self, attempt: Attempt) -> None: ...


@dataclass(slots=True)
class RequestSender:
    """Sends the requests of a run. All its records share one, so that limits, prices and retries are shared, too.

    `day` counts the requests within a daily limit, those of earlier runs included; None where this sender counts none.
    """

    plan: CompiledExtractor
    client: AsyncClient
    limiter: Limiter
    billing: Billing
    limits: Limits
    outages: Outages
    ledger: Ledger | None = None
    day: Day | None = None
    uniform: Callable[[float, float], float] = random.uniform
    _envelopes: dict[_EnvelopeKey, Envelope] = field(default_factory=dict, init=False)
    _resender: Resender = field(init=False)
    _media: bool = field(init=False)

    def __post_init__(self) -> None:
        self._resender = Resender(self.outages, self.limiter, self.limits.retry, self.uniform)
        self._media = wants_media(self.plan.request)

    async def send(self, turns: Sequence[Turn], mode: SendMode, trace: RecordTrace, /) -> Interaction:
        """Send one request and return the whole answer, functions that it calls along the way included.

        The answer's slot stays taken until `release`: a killed process has lost no more answers than it had slots.
        """
        envelope = self._envelope(mode)
        tokens = envelope.tokens + self.plan.input_tokens(turns)
        # Before a slot is taken: files are read and encoded while others send.
        body = await self._body(envelope, turns) if self.plan.extractor.media else envelope.body(turns)
        interaction = await self._whole(body, tokens, mode, trace)
        if not self.plan.functions or not wants_results(interaction):
            return interaction
        return await self._with_functions(interaction, turns, mode, trace)

    def release(self, trace: RecordTrace) -> None:
        """Give back the slot of a record's last answer, if it holds one."""
        if (held := trace.held) is not None:
            trace.held = None
            self.limiter.release(held.permit, None, held.usage, spent=held.spent)

    def _envelope(self, mode: SendMode) -> Envelope:
        key = (mode.rung, mode.tier, mode.limit, mode.rows > 0)
        if (envelope := self._envelopes.get(key)) is None:
            rung, tier, limit, packed = key
            envelope = self._envelopes[key] = self.plan.envelope(rung, tier=tier, limit=limit, packed=packed)
        return envelope

    async def _body(self, envelope: Envelope, turns: Sequence[Turn | JsonObject]) -> bytes:
        """Write a request in a thread where it may hold files: encoding them would hold up all other records."""
        return await in_thread(partial(envelope.body, turns)) if self.plan.extractor.media else envelope.body(turns)

    async def _with_functions(
        self, first: Interaction, turns: Sequence[Turn], mode: SendMode, trace: RecordTrace
    ) -> Interaction:
        """Call the functions that an answer calls and send their results along with all that came before.

        Returns one interaction that holds the steps of all. Raises Unfinished where calls do not come to an end.
        """
        envelope, mode = self._envelope(mode), mode._replace(kind="tool")
        whole, sent = first, False

        async def perform(order: Request | CallFunctions) -> Interaction | tuple[FunctionResult, ...]:
            nonlocal whole, sent
            if isinstance(order, CallFunctions):
                results = await call_functions_async(order.calls, self.plan.functions)
                whole = _with_results(whole, results)
                return results
            if not sent:  # the loop orders the first request, too
                sent = True
                return first
            body = await self._body(envelope, order.turns)
            following = await self._whole(body, len(body) // _BYTES_PER_TOKEN, mode, trace)
            whole = merge(whole, following)
            return following

        request = replace(self.plan.request, input=tuple(turns))
        await drive_async(tool_loop(request, max_rounds=self.plan.extractor.tool_rounds, option="tool_rounds"), perform)
        return whole

    async def _whole(self, body: bytes, tokens: int, mode: SendMode, trace: RecordTrace) -> Interaction:
        """Send one request, and what it takes to get the rest of an answer that comes in several parts."""
        call = Call("POST", CREATE_PATH, body, media=self._media)
        first = await self._with_retries(call, tokens, mode, trace)
        if first.status != "requires_continuation":
            return first
        further = mode._replace(kind="continuation")
        return await drive_async(
            follow_up(call, first, once), lambda hop: self._with_retries(hop, tokens, further, trace)
        )

    async def _with_retries(self, call: Call, tokens: int, mode: SendMode, trace: RecordTrace) -> Interaction:
        """Send until an answer is there, as long as the policy, the run's retries and the row's deadline allow."""
        # The first try is a plain call: most requests need no retry, and its machinery costs more than all the rest.
        try:
            return await self._attempt(call, tokens, mode, trace)
        except ExtractError as error:
            failure = error
        again = mode._replace(kind="retry")
        return await self._resender.again(
            lambda: self._attempt(call, tokens, again, trace), failure, trace, falls_back_after=mode.retry
        )

    async def _attempt(self, call: Call, tokens: int, mode: SendMode, trace: RecordTrace) -> Interaction:
        """Send one request once, and decide whether it is an answer.

        Raises Unfinished for one that holds no answer, so that it is neither stored nor judged; a cut or blocked answer
        is an answer, paid for and worth keeping.
        """
        interaction = await self._post(call, tokens, mode, trace)
        calls = bool(self.plan.functions) and wants_results(interaction)
        if calls or interaction.status == "requires_continuation":
            self.release(trace)  # for the next request of this record
            return interaction
        try:
            with suppress(Incomplete, Blocked):
                judge(interaction)
        except ExtractError:
            self.release(trace)
            raise
        return interaction

    async def _post(self, call: Call, tokens: int, mode: SendMode, trace: RecordTrace) -> Interaction:
        """Send one request once, let in by the limiter, and enter it into the ledger whatever becomes of it."""
        if not call.body.startswith(_STATELESS):
            raise ConfigError("a batch request must carry store=false; background and stored calls go through Client")
        estimate: _Estimate = {
            "tokens": tokens,
            "tier": mode.tier or self.plan.request.service_tier,
            "limit": mode.limit,
            "rows": mode.rows or 1,
        }
        permit = await self._enter(estimate)
        trace.deadline.start()  # only now: a row is not given up for having waited its turn
        trace.attempts += 1
        self._resender.budget.requests += 1
        try:
            interaction = await self.client.ask(call)
        except BaseException as error:
            lost = _may_be_billed(error)
            if lost:
                self._note(self.billing.lost(mode.kind, **estimate), trace)
            if mode.retry is None or not is_throttle(error):  # there is a fallback for the tier that refuses
                self.outages.note(error, trace.deadline, permit.at)
            self.limiter.release(permit, error, spent=None if lost else _REFUSED)
            if is_too_long(error, self.limits.retry):
                raise come_back_later(error) from None
            raise
        self.outages.watch.answers += 1
        if self.outages.watch.rows:
            self.outages.answered()
        attempt = self.billing.whole(mode.kind, interaction, **estimate)
        # The slot stays taken: it is freed only when the answer is committed, by `release`.
        spent = self.billing.spent(attempt, interaction, permit.reserved, **estimate)
        trace.held = HeldSlot(permit, attempt.usage, spent)
        trace.model, trace.service_tier = attempt.model, attempt.tier
        self._note(attempt, trace)
        return interaction

    async def _enter(self, estimate: _Estimate) -> Permit:
        if not self.limiter.budgeted:  # without a budget, nobody needs the worst case
            permit = await self.limiter.acquire(estimate["tokens"])
        else:
            permit = await self.limiter.acquire(estimate["tokens"], lambda: self.billing.worst(**estimate))
        if self.day is not None and self.limits.rpd is not None:
            self._count_day(self.day, self.limits.rpd, permit)
        return permit

    def _count_day(self, day: Day, rpd: float, permit: Permit) -> None:
        now = time.time()  # the day of a quota is one of the calendar, not of a monotonic clock
        if day.count(now) + 1 > rpd:
            self.limiter.release(permit, None, spent=Amount())
            raise day_is_over(rpd)
        day.take(1, now)

    def _note(self, attempt: Attempt, trace: RecordTrace) -> None:
        """Enter one attempt into the record's ledger and into that of the cache, which commits it with the answer."""
        trace.ledger += (attempt,)
        if attempt.usage is None:
            trace.unknown_attempts += 1
        if self.ledger is not None:
            self.ledger.note(attempt)


class _Estimate(TypedDict):
    tokens: int
    tier: str | None
    limit: int | None
    rows: int


def _with_results(interaction: Interaction, results: Sequence[FunctionResult]) -> Interaction:
    return replace(interaction, steps=(*interaction.steps, *(result.as_step() for result in results)), body=b"")


def _may_be_billed(error: BaseException) -> bool:
    """True where nobody can know what a request cost: that counts as spent. So does one that was cancelled.

    An answer that passed its bounds was made, too; a filter that refuses an input costs nothing.
    """
    if isinstance(error, Unreachable):
        return error.maybe_sent
    return not isinstance(error, ExtractError) or (isinstance(error, AnswerError) and not isinstance(error, Blocked))
