"""Many rows in one request: rows wait here for company, are sent together, and each gets its own answer.

`Packer` stands between the rows and the sender: to a row it is a send like any other, which takes a little longer. So
content keys, cache, repairs, grounding and outcomes stay those of single rows.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import cast

from extract.documents.parts import TextPart, Turn
from extract.errors import ORDERS, AnswerError, BadRequest, ExtractError, InvalidAnswer, Issue, SchemaTooComplex
from extract.extractor.pack import PackForm, draw_tags
from extract.extractor.plan import CompiledExtractor
from extract.interactions.failures import judge
from extract.interactions.interaction import Interaction
from extract.interactions.usage import Attempt, AttemptKind, Usage
from extract.limits.billing import Billing
from extract.limits.shares import shares_of
from extract.results.progress import Totals
from extract.runner.answer_part import part_of
from extract.runner.pack_queue import PackQueue, WaitingRow
from extract.runner.request import Send, SendMode
from extract.runner.trace import Deadline, RecordTrace

__all__ = ["Packer"]

LINGER = 0.1  # seconds that a row waits for company at most
_MAX_OUTPUT = 65_536  # tokens of one answer: the models' limit (Google's page on models, 2026)
_ROOM = 0.6  # of it that the rows of a request are expected to fill
_ITEM_TOKENS = 32  # of number, tag and braces around the answer to each row, and of what stands around them all
_TOGETHER = 2  # times that a row without an answer is asked with others; then it is asked alone
_MAX_TRIES = 6
_REFUSED_SHARE = 0.5  # of the requests; where more are refused, fewer rows cost less: halving finds most at a half
_MIN_REQUESTS, _MIN_REFUSED = 20, 5  # before that share says anything

_log = logging.getLogger("extract.runner")


@dataclass(slots=True, eq=False)
class _HeldPack:
    """The slot of an answer that several rows have got: it is given back once all of them are committed."""

    trace: RecordTrace
    rows: int


@dataclass(frozen=True, slots=True, eq=False)
class _Flight:
    """A request in flight, and the rows that it asks about."""

    task: asyncio.Task[None]
    rows: Sequence[WaitingRow]


@dataclass(slots=True, eq=False)
class _Deadlines(Deadline):
    """The deadlines of the rows of one request: those that have not begun begin together."""

    rows: Sequence[Deadline] = ()

    def __post_init__(self) -> None:
        self.first_sent = min((row.first_sent for row in self.rows if row.first_sent is not None), default=None)

    def start(self) -> None:
        Deadline.start(self)
        for row in self.rows:
            row.start()


@dataclass(slots=True, eq=False)
class Packer:
    """Sends rows together, `size` at most. All records of a run share one.

    Who waits is drawn at random, so that the order of the input says nothing to the model. A request that is refused,
    or whose answer is no JSON, is divided; a row that its answer leaves out is asked again with others, at last alone.
    `slots` are the requests in flight at most, `max_requests` those that are ready as well: fewer rows than `size` are
    sent only where a slot has nothing better to do. `keep` takes the answer of a row that is no longer waited for, and
    `unclaimed` is what such rows have used after their outcomes were made.
    """

    send: Send
    release_slot: Callable[[RecordTrace], None]
    plan: CompiledExtractor
    billing: Billing
    size: int
    slots: int
    max_requests: int
    keep: Callable[[bytes, Interaction], Awaitable[None]] | None = None
    linger: float = LINGER
    draw: random.Random = field(default_factory=random.SystemRandom)
    unclaimed: Totals = field(default_factory=Totals, init=False)
    _queue: PackQueue = field(init=False)
    _sending: set[asyncio.Task[None]] = field(default_factory=set, init=False)
    _closed: bool = field(default=False, init=False)
    _flights: dict[int, _Flight] = field(default_factory=dict, init=False)
    _held: dict[int, _HeldPack] = field(default_factory=dict, init=False)
    _timer: asyncio.TimerHandle | None = field(default=None, init=False)
    _constant: int = field(default=0, init=False)
    _requests: int = field(default=0, init=False)
    _refused: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._queue = PackQueue(self.draw)

    @property
    def form(self) -> PackForm:
        return self.plan.form

    async def __call__(self, turns: Sequence[Turn], mode: SendMode, trace: RecordTrace, /) -> Interaction:
        """Return the answer to one row, which may be sent with others."""
        if not mode.packed:
            return await self.send(turns, mode, trace)
        row = WaitingRow(tuple(turns), _block_of(turns), mode, trace, asyncio.get_running_loop().create_future())
        row.alone = mode.limit is not None  # a cut answer that gets more room
        self._enter(row)
        try:
            return await row.answer
        except asyncio.CancelledError:
            self._abandon(row)
            raise

    def release(self, trace: RecordTrace) -> None:
        """Give back the slot of a row's answer, once the other rows of its request are committed as well."""
        pack = self._held.pop(id(trace), None)
        if pack is None:
            self.release_slot(trace)
            return
        pack.rows -= 1
        if not pack.rows:
            self.release_slot(pack.trace)

    async def close(self) -> Totals:
        """End what is under way, since nobody waits for it any more; return what rows have used that were gone."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        for task in self._sending:
            task.cancel()
        if self._sending:
            await asyncio.wait(self._sending)
        return self.unclaimed

    def _enter(self, row: WaitingRow) -> None:
        if self._queue.add(row, self._size()):
            self._start(partly=False)
        else:
            self._await_company()

    def _abandon(self, row: WaitingRow) -> None:
        """Forget a row whose time is over. A request that nobody waits for any more ends: its slot is for others."""
        self._queue.remove(row)
        flight = self._flights.get(id(row))
        if flight is not None and _is_abandoned(flight.rows):
            flight.task.cancel()

    def _linger_over(self) -> None:
        self._timer = None
        self._start(partly=True)

    def _start(self, *, partly: bool) -> None:
        """Send what waits: whole packs, and at the end of the linger the rest as well, where slots are free."""
        size = self._size()
        while len(self._sending) < self.max_requests:
            rows = self._queue.take(size, partly=partly and len(self._sending) < self.slots)
            if not rows:
                break
            task = asyncio.create_task(self._serve(rows))
            self._sending.add(task)
            task.add_done_callback(self._sent)
        self._await_company()

    def _await_company(self) -> None:
        if self._queue.texts and self._timer is None and len(self._sending) < self.slots:
            self._timer = asyncio.get_running_loop().call_later(self.linger, self._linger_over)

    def _sent(self, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        if not self._closed:  # where others fill a request already, nobody else comes soon: all workers wait
            self._start(partly=self._queue.texts >= self._size())

    async def _serve(self, rows: list[WaitingRow]) -> None:
        """Ask about rows. What nobody has foreseen becomes theirs: a row must not wait for ever."""
        self._requests += len(rows) > 1
        try:
            await self._ask(rows)
        except ORDERS:
            raise
        except BaseException as error:
            for row in rows:
                if not self._queue.holds(row) and id(row) not in self._flights:
                    _fail(row, error)

    def _size(self) -> int:
        """Return how many rows fit into one answer, at most `size`."""
        forecast = self.billing.forecast
        expected = max(1, forecast.typical, forecast.largest)
        return max(1, min(self.size, int(_MAX_OUTPUT * _ROOM) // expected))

    async def _ask(self, rows: list[WaitingRow], *, again: bool = False) -> None:
        """Send rows together and give each its answer, or what became of it."""
        rows = [row for row in rows if not row.answer.done()]
        if not rows:
            return
        tags = draw_tags([row.block for row in rows], self.draw.choices)
        deadlines = [row.trace.deadline for row in rows]
        clock = deadlines[0].clock
        shed = any(row.trace.shed for row in rows)
        trace = RecordTrace(clock(), _Deadlines(clock, rows=deadlines), shed=shed)
        turn = self.form.turn([row.block for row in rows], tags)
        try:
            interaction = await self._in_flight(rows, self.send([turn], self._mode(rows, again=again), trace))
        except asyncio.CancelledError:
            self._divide(trace, rows, [0] * len(rows))
            if not self._closed and _is_abandoned(rows):  # others of this task may still wait
                cast("asyncio.Task[None]", asyncio.current_task()).uncancel()
                return
            for row in rows:
                row.answer.cancel()
            raise
        except BaseException as error:
            self._divide(trace, rows, [0] * len(rows))
            await self._failed(rows, error)
            return
        await self._answered(interaction, rows, tags, trace, again=again)

    async def _in_flight(self, rows: list[WaitingRow], answer: Awaitable[Interaction]) -> Interaction:
        flight = _Flight(cast("asyncio.Task[None]", asyncio.current_task()), rows)
        for row in rows:
            self._flights[id(row)] = flight
        try:
            return await answer
        finally:
            for row in rows:
                del self._flights[id(row)]

    def _mode(self, rows: Sequence[WaitingRow], *, again: bool) -> SendMode:
        first = rows[0].mode
        kinds = {row.mode.kind for row in rows}
        repeated = again or any(row.tries for row in rows)
        kind: AttemptKind = "retry" if repeated else kinds.pop() if len(kinds) == 1 else "ask"
        return SendMode(kind, self._limit(rows), first.tier, first.rung, None, rows=len(rows))

    def _limit(self, rows: Sequence[WaitingRow]) -> int | None:
        """Return the output limit of a request: that of a row, as many times as there are rows."""
        own = rows[0].mode.limit if rows[0].alone else None
        limit = own or self.plan.request.generation.max_output_tokens
        return None if limit is None else min((limit + _ITEM_TOKENS) * len(rows), max(limit, _MAX_OUTPUT))

    async def _failed(self, rows: list[WaitingRow], error: BaseException) -> None:
        """Divide rows whose request was refused, since one of them may be why; other errors are those of all."""
        if len(rows) > 1 and isinstance(error, AnswerError | BadRequest) and not isinstance(error, SchemaTooComplex):
            if not rows[0].divided:  # the way to one bad row must not count as several
                self._note_refusal()
            await self._halved(rows)
            return
        for row in rows:
            _fail(row, error)

    async def _halved(self, rows: list[WaitingRow]) -> None:
        for row in rows:
            row.divided = True
        middle = len(rows) // 2
        await self._ask(rows[:middle])
        await self._ask(rows[middle:])

    def _note_refusal(self) -> None:
        self._refused += 1
        many = self._refused >= _MIN_REFUSED and self._refused > _REFUSED_SHARE * self._requests
        if many and self._requests >= _MIN_REQUESTS and self.size > 1:
            self.size = -(-self.size // 2)
            self._requests = self._refused = 0
            rows = "1 row" if self.size == 1 else f"{self.size} rows"
            _log.warning("many requests with several rows are refused: from now on at most %s each", rows)

    async def _answered(
        self, interaction: Interaction, rows: list[WaitingRow], tags: Sequence[str], trace: RecordTrace, *, again: bool
    ) -> None:
        """Give each row its part of an answer; ask again about those that have none."""
        cut = interaction.status == "incomplete"
        try:
            text = interaction.text if cut else judge(interaction)
        except ExtractError as error:
            self._divide(trace, rows, [0] * len(rows))
            if len(rows) == 1:  # an answer all the same, paid for and kept
                self._settle(rows, {0: interaction}, trace)
                return
            self.release_slot(trace)
            await self._failed(rows, error)
            return
        read = self.form.read(text, tags, cut=cut)
        answers = {} if read is None else read
        shares = self._divide(trace, rows, [len(answers.get(place, "")) for place in range(len(rows))])
        parts = {place: part_of(interaction, answer, shares[place]) for place, answer in answers.items()}
        if len(rows) == 1 and not parts and (cut or (read is None and again)):
            parts = {0: interaction}  # nothing more can be done here: the row is told what is wrong with its answer
        self._settle(rows, parts, trace)
        await self._keep_abandoned(rows, parts)
        if cut and interaction.usage is not None:
            self._learn_size(interaction.usage, len(parts) + 1)
        await self._ask_on([row for place, row in enumerate(rows) if place not in parts], read, cut=cut, again=again)

    def _learn_size(self, usage: Usage, rows: int) -> None:
        """Note how much room the rows of an answer took that was cut off."""
        output = usage.output_tokens + usage.thought_tokens
        self.billing.forecast.note(estimated=0, input_tokens=0, output_tokens=output, rows=rows)

    async def _ask_on(self, missing: list[WaitingRow], read: object, *, cut: bool, again: bool) -> None:
        """Ask again about rows without an answer: an answer that is no JSON whole once more, then in halves."""
        if read is not None or cut:
            for row in missing:
                self._ask_later(row)
            self._start(partly=False)
        elif not again:
            await self._ask(missing, again=True)
        elif len(missing) > 1:
            await self._halved(missing)

    def _ask_later(self, row: WaitingRow) -> None:
        """Let a row that an answer has left out wait for another request, in the end for one of its own."""
        if row.answer.done():
            return
        row.tries += 1
        row.divided = False
        if row.tries >= _MAX_TRIES:
            _fail(row, InvalidAnswer((Issue("$", "no item of the answer is for this row"),)))
            return
        row.alone = row.alone or row.tries >= _TOGETHER
        self._enter(row)

    def _settle(self, rows: Sequence[WaitingRow], parts: dict[int, Interaction], trace: RecordTrace) -> None:
        """Give rows their answers. The slot stays taken until all of them are committed."""
        waiting = [place for place in parts if not rows[place].answer.done()]
        if not waiting:
            self.release_slot(trace)
            return
        pack = _HeldPack(trace, len(waiting))
        for place in waiting:
            self._held[id(rows[place].trace)] = pack
            rows[place].answer.set_result(parts[place])

    async def _keep_abandoned(self, rows: Sequence[WaitingRow], parts: dict[int, Interaction]) -> None:
        """Store the answers of rows whose time was over meanwhile: they are paid for."""
        for place, part in parts.items():
            if self.keep is not None and rows[place].answer.cancelled():
                await self.keep(rows[place].trace.key, part)

    def _divide(self, trace: RecordTrace, rows: Sequence[WaitingRow], written: Sequence[int]) -> list[Attempt | None]:
        """Enter each row's share of what was sent into its own trace; return the last share of each."""
        if not self._constant:
            self._constant = self.plan.envelope(packed=True).tokens
        read = [self._constant // len(rows) + len(row.block) // 4 + 1 for row in rows]
        shares = [shares_of(attempt, read, written, self.billing.cost) for attempt in trace.ledger]
        for place, row in enumerate(rows):
            first = place == 0
            # The outcome of a row that is gone is made already.
            gone = row.answer.done()
            own = row.trace.part() if gone else row.trace
            own.attempts += trace.attempts
            own.shared += 0 if first else trace.attempts
            own.retries += trace.retries if first else 0
            own.unknown_attempts += trace.unknown_attempts if first else 0
            own.ledger += tuple(share[place] for share in shares)
            own.pack, own.shed = len(rows), own.shed or trace.shed
            own.model, own.service_tier = trace.model or own.model, trace.service_tier or own.service_tier
            if gone:
                self.unclaimed.add_requests(own.outcome(None))
        return [shares[-1][place] if shares else None for place in range(len(rows))]


def _block_of(turns: Sequence[Turn]) -> str:
    """Return the text of a row's block; a repair has the wrong answer and its errors in it."""
    texts = ["".join(part.text for part in turn.parts if isinstance(part, TextPart)) for turn in turns]
    return texts[0] if len(texts) == 1 else "\n\n".join((texts[0], "Your last answer to this row:", *texts[1:]))


def _is_abandoned(rows: Sequence[WaitingRow]) -> bool:
    return all(row.answer.done() for row in rows)


def _fail(row: WaitingRow, error: BaseException) -> None:
    if not row.answer.done():
        row.answer.set_exception(error)
        row.answer.exception()  # marks it as seen: the row may be gone
