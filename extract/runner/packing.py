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

from extract.documents.parts import TextPart, Turn
from extract.errors import AnswerError, BadRequest, ExtractError, InvalidAnswer, Issue
from extract.extractor.pack import PackForm, draw_tags
from extract.extractor.plan import CompiledExtractor
from extract.interactions.dialects import from_raw
from extract.interactions.failures import judge
from extract.interactions.interaction import Interaction
from extract.interactions.usage import Attempt, AttemptKind, Usage
from extract.limits.billing import Billing
from extract.limits.shares import shares_of
from extract.runner.request import Send, SendMode
from extract.runner.trace import Deadline, RecordTrace

__all__ = ["Packer"]

LINGER = 0.1  # seconds that a row waits for company at most
_MAX_OUTPUT = 65_536  # tokens of one answer: the models' limit (Google's page on models, 2026)
_ROOM = 0.6  # of it that the rows of a request are expected to fill
_TOGETHER = 2  # times that a row without an answer is asked with others; then it is asked alone
_MAX_TRIES = 6
_REFUSED_SHARE = 0.05  # of the requests; where more are refused, fewer rows are asked at once
_MIN_REQUESTS = 20  # before that share says anything

_log = logging.getLogger("extract.runner")


@dataclass(slots=True, eq=False)
class _Row:
    """A row that waits for its answer. `tries` counts the requests that had none for it."""

    turns: tuple[Turn, ...]
    block: str
    mode: SendMode
    trace: RecordTrace
    answer: asyncio.Future[Interaction]
    tries: int = 0
    alone: bool = False
    waits: bool = False

    @property
    def group(self) -> str:
        """What all rows of its request have in common: nothing else, where it goes alone."""
        return f"\0{id(self)}" if self.alone else self.mode.group


@dataclass(slots=True, eq=False)
class _HeldPack:
    """The slot of an answer that several rows have got: it is given back once all of them are committed."""

    trace: RecordTrace
    rows: int


@dataclass(slots=True, eq=False)
class _Deadlines(Deadline):
    """The deadlines of the rows of one request: they begin together."""

    rows: Sequence[Deadline] = ()

    def start(self) -> None:
        Deadline.start(self)
        for row in self.rows:
            row.start()


@dataclass(slots=True, eq=False)
class Packer:
    """Sends rows together, `size` at most. All records of a run share one.

    Who waits is drawn at random, so that the order of the input says nothing to the model. A request that is refused,
    or whose answer is no JSON, is divided; a row that its answer leaves out is asked again with others, at last alone.
    `keep` takes the answer of a row that is no longer waited for.
    """

    send: Send
    release_slot: Callable[[RecordTrace], None]
    plan: CompiledExtractor
    billing: Billing
    size: int
    max_requests: int
    keep: Callable[[bytes, Interaction], Awaitable[None]] | None = None
    linger: float = LINGER
    draw: random.Random = field(default_factory=random.SystemRandom)
    _waiting: dict[str, list[_Row]] = field(default_factory=dict, init=False)
    _sending: set[asyncio.Task[None]] = field(default_factory=set, init=False)
    _held: dict[int, _HeldPack] = field(default_factory=dict, init=False)
    _timer: asyncio.TimerHandle | None = field(default=None, init=False)
    _constant: int = field(default=0, init=False)
    _requests: int = field(default=0, init=False)
    _refused: int = field(default=0, init=False)

    @property
    def form(self) -> PackForm:
        return self.plan.form

    async def __call__(self, turns: Sequence[Turn], mode: SendMode, trace: RecordTrace, /) -> Interaction:
        """Return the answer to one row, which may be sent with others."""
        if not mode.packed:
            return await self.send(turns, mode, trace)
        row = _Row(tuple(turns), _block_of(turns), mode, trace, asyncio.get_running_loop().create_future())
        row.alone = mode.limit is not None  # a cut answer that gets more room
        self._enter(row)
        try:
            return await row.answer
        finally:
            if row.waits:
                self._leave(row)

    def release(self, trace: RecordTrace) -> None:
        """Give back the slot of a row's answer, once the other rows of its request are committed as well."""
        pack = self._held.pop(id(trace), None)
        if pack is None:
            self.release_slot(trace)
            return
        pack.rows -= 1
        if not pack.rows:
            self.release_slot(pack.trace)

    async def close(self) -> None:
        """End what is under way: nobody waits for it any more."""
        if self._timer is not None:
            self._timer.cancel()
        for task in self._sending:
            task.cancel()
        if self._sending:
            await asyncio.wait(self._sending)

    def _enter(self, row: _Row) -> None:
        row.waits = True
        group = self._waiting.setdefault(row.group, [])
        group.append(row)
        if row.alone or len(group) >= self._size():
            self._start(partly=False)
        if self._waiting and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self.linger, self._linger_over)

    def _leave(self, row: _Row) -> None:
        row.waits = False
        group = self._waiting[row.group]
        group.remove(row)
        if not group:
            del self._waiting[row.group]

    def _linger_over(self) -> None:
        self._timer = None
        self._start(partly=True)

    def _start(self, *, partly: bool) -> None:
        """Send what waits: whole packs, and at the end of the linger the rest as well."""
        while len(self._sending) < self.max_requests and (group := self._ready(partly=partly)) is not None:
            task = asyncio.create_task(self._ask(self._drawn(group)))
            self._sending.add(task)
            task.add_done_callback(self._sent)

    def _ready(self, *, partly: bool) -> list[_Row] | None:
        """Return the rows that have waited longest of those that can be sent now."""
        size = self._size()
        return next((one for one in self._waiting.values() if partly or one[0].alone or len(one) >= size), None)

    def _sent(self, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("rows that were sent together were lost: %s", error)
        if self._waiting:
            self._start(partly=self._timer is None)

    def _size(self) -> int:
        """Return how many rows fit into one answer, at most `size`."""
        forecast = self.billing.forecast
        expected = max(1, forecast.typical, forecast.largest)
        return max(1, min(self.size, int(_MAX_OUTPUT * _ROOM) // expected))

    def _drawn(self, group: list[_Row]) -> list[_Row]:
        """Take the rows of the next request from those that may share one: the first, and others at random."""
        first = group[0]
        chosen, blocks = [first], {first.block}
        others = group[1:]
        # A few more are drawn than needed: two samples of one row cannot stand in the same request.
        for row in self.draw.sample(others, min(len(others), 2 * self._size())):
            if first.alone or len(chosen) == self._size():
                break
            if row.block not in blocks:
                chosen.append(row)
                blocks.add(row.block)
        for row in chosen:
            row.waits = False
        if left := [row for row in group if row.waits]:
            self._waiting[first.group] = left
        else:
            del self._waiting[first.group]
        self.draw.shuffle(chosen)
        return chosen

    async def _ask(self, rows: list[_Row], *, again: bool = False) -> None:
        """Send rows together and give each its answer, or what became of it."""
        rows = [row for row in rows if not row.answer.done()]
        if not rows:
            return
        tags = draw_tags([row.block for row in rows], self.draw.choices)
        deadlines = [row.trace.deadline for row in rows]
        clock = deadlines[0].clock
        trace = RecordTrace(clock(), _Deadlines(clock, rows=deadlines))
        turn = self.form.turn([row.block for row in rows], tags)
        self._requests += 1
        try:
            interaction = await self.send([turn], self._mode(rows, again=again), trace)
        except asyncio.CancelledError:
            for row in rows:
                row.answer.cancel()
            raise
        except BaseException as error:
            self._divide(trace, rows, [0] * len(rows))
            await self._failed(rows, error)
            return
        await self._answered(interaction, rows, tags, trace, again=again)

    def _mode(self, rows: Sequence[_Row], *, again: bool) -> SendMode:
        first = rows[0].mode
        kinds = {row.mode.kind for row in rows}
        repeated = again or any(row.tries for row in rows)
        kind: AttemptKind = "retry" if repeated else kinds.pop() if len(kinds) == 1 else "ask"
        return SendMode(kind, self._limit(rows), first.tier, first.rung, None, rows=len(rows))

    def _limit(self, rows: Sequence[_Row]) -> int | None:
        """Return the output limit of a request: that of a row, as many times as there are rows."""
        own = rows[0].mode.limit if rows[0].alone else None
        limit = own or self.plan.request.generation.max_output_tokens
        return None if limit is None else min(limit * len(rows), max(limit, _MAX_OUTPUT))

    async def _failed(self, rows: list[_Row], error: BaseException) -> None:
        """Divide rows whose request was refused, since one of them may be why; other errors are those of all."""
        if len(rows) > 1 and isinstance(error, AnswerError | BadRequest):
            self._note_refusal()
            await self._halved(rows)
            return
        for row in rows:
            _fail(row, error)

    async def _halved(self, rows: list[_Row]) -> None:
        middle = len(rows) // 2
        await self._ask(rows[:middle])
        await self._ask(rows[middle:])

    def _note_refusal(self) -> None:
        self._refused += 1
        if self._requests >= _MIN_REQUESTS and self._refused > _REFUSED_SHARE * self._requests and self.size > 1:
            self.size = -(-self.size // 2)
            self._requests = self._refused = 0
            _log.warning("many requests with several rows are refused: from now on at most %d rows each", self.size)

    async def _answered(
        self, interaction: Interaction, rows: list[_Row], tags: Sequence[str], trace: RecordTrace, *, again: bool
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
        parts = {place: _part(interaction, answer, shares[place]) for place, answer in answers.items()}
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

    async def _ask_on(self, missing: list[_Row], read: object, *, cut: bool, again: bool) -> None:
        """Ask again about rows without an answer: an answer that is no JSON whole once more, then in halves."""
        if read is not None or cut:
            for row in missing:
                self._ask_later(row)
            self._start(partly=False)
        elif not again:
            await self._ask(missing, again=True)
        elif len(missing) > 1:
            await self._halved(missing)

    def _ask_later(self, row: _Row) -> None:
        """Let a row that an answer has left out wait for another request, in the end for one of its own."""
        if row.answer.done():
            return
        row.tries += 1
        if row.tries >= _MAX_TRIES:
            _fail(row, InvalidAnswer((Issue("$", "no item of the answer is for this row"),)))
            return
        row.alone = row.alone or row.tries >= _TOGETHER
        self._enter(row)

    def _settle(self, rows: Sequence[_Row], parts: dict[int, Interaction], trace: RecordTrace) -> None:
        """Give rows their answers. The slot stays taken until all of them are committed."""
        waiting = [place for place in parts if not rows[place].answer.done()]
        if not waiting:
            self.release_slot(trace)
            return
        pack = _HeldPack(trace, len(waiting))
        for place in waiting:
            self._held[id(rows[place].trace)] = pack
            rows[place].answer.set_result(parts[place])

    async def _keep_abandoned(self, rows: Sequence[_Row], parts: dict[int, Interaction]) -> None:
        """Store the answers of rows whose time was over meanwhile: they are paid for."""
        for place, part in parts.items():
            if self.keep is not None and rows[place].answer.cancelled():
                await self.keep(rows[place].trace.key, part)

    def _divide(self, trace: RecordTrace, rows: Sequence[_Row], written: Sequence[int]) -> list[Attempt | None]:
        """Enter each row's share of what was sent into its own trace; return the last share of each."""
        if not self._constant:
            self._constant = self.plan.envelope(packed=True).tokens
        read = [self._constant // len(rows) + len(row.block) // 4 + 1 for row in rows]
        shares = [shares_of(attempt, read, written, self.billing.cost) for attempt in trace.ledger]
        for place, row in enumerate(rows):
            first = place == 0
            own = row.trace
            own.attempts += trace.attempts
            own.shared += 0 if first else trace.attempts
            own.retries += trace.retries if first else 0
            own.unknown_attempts += trace.unknown_attempts if first else 0
            own.ledger += tuple(share[place] for share in shares)
            own.pack, own.shed = len(rows), own.shed or trace.shed
            own.model, own.service_tier = trace.model or own.model, trace.service_tier or own.service_tier
        return [shares[-1][place] if shares else None for place in range(len(rows))]


def _block_of(turns: Sequence[Turn]) -> str:
    """Return the text of a row's block; a repair has the wrong answer and its errors in it."""
    texts = ["".join(part.text for part in turn.parts if isinstance(part, TextPart)) for turn in turns]
    return texts[0] if len(texts) == 1 else "\n\n".join((texts[0], "Your last answer to this row:", *texts[1:]))


def _fail(row: _Row, error: BaseException) -> None:
    if not row.answer.done():
        row.answer.set_exception(error)
        row.answer.exception()  # marks it as seen: the row may be gone


def _part(whole: Interaction, answer: str, share: Attempt | None) -> Interaction:
    """Return a row's part of an answer as an interaction of its own, as it is stored."""
    usage = None if share is None else share.usage
    raw = {
        "status": "completed",
        "model": whole.model,
        "service_tier": whole.service_tier,
        "steps": [{"type": "model_output", "content": [{"type": "text", "text": answer}]}],
    }
    counted = {} if usage is None else {"usage": _as_wire(usage)}
    return from_raw({name: value for name, value in (raw | counted).items() if value is not None})


def _as_wire(usage: Usage) -> dict[str, int]:
    return {
        "total_input_tokens": usage.input_tokens,
        "total_output_tokens": usage.output_tokens,
        "total_thought_tokens": usage.thought_tokens,
        "total_cached_tokens": usage.cached_tokens,
        "total_tool_use_tokens": usage.tool_use_tokens,
        "total_tokens": usage.total,
    }
