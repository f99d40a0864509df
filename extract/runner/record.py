"""One record: look up, ask, validate, repair. It ends in an Outcome; what it cost is told whatever happened."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from extract.documents.parts import Turn
from extract.documents.text_layer import QuotableText
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
    Issue,
    NotRun,
    OutputError,
    SchemaError,
    SchemaTooComplex,
    Unreachable,
)
from extract.extractor.plan import CompiledExtractor
from extract.extractor.prompts import repair_text
from extract.extractor.question import Question
from extract.interactions.dialects import decode, encode
from extract.interactions.failures import judge
from extract.interactions.interaction import Interaction
from extract.interactions.tools.builtin import evidence_of
from extract.interactions.usage import AttemptKind
from extract.io.cache.response_cache import Answers
from extract.limits.limiter import Limiter
from extract.limits.limits import Limits
from extract.results.outcome import Outcome
from extract.runner.event_loop import in_thread
from extract.runner.long_documents import LongText, WindowAnswers, long_text
from extract.runner.request import Sender, Way
from extract.runner.tally import Tally, Term
from extract.runner.voting import Answer, ask_samples

__all__ = ["Asker", "Prepared"]

# What makes every further request useless: the run ends, and the record it happened to is taken up by a rerun.
_STOPS = (Denied, SchemaTooComplex, BudgetExceeded, ConfigError, SchemaError, OutputError)
_WINDOWS_A_SLOT = 2  # of one record: while some wait for their next try, others use the slots


@dataclass(slots=True)
class Prepared:
    """A record on its way: its question, or what was wrong with it; neither where that is still to be written."""

    record: Mapping[str, Any]
    question: Question | None = None
    failure: ExtractError | None = None


@dataclass(slots=True)
class Asker:
    """Asks records one by one; all workers of a run share one.

    `on_stop` hears of what ends the run: every further request would be refused, or answers can no longer be kept.
    """

    plan: CompiledExtractor
    sender: Sender
    cache: Answers | None = None
    retry_rejected: bool = False
    require_grounding: bool = False
    samples: int = 1
    on_stop: Callable[[ExtractError], None] = lambda _: None
    clock: Callable[[], float] = time.monotonic
    abandoned: bool = False
    _flying: dict[bytes, asyncio.Future[Interaction]] = field(default_factory=dict)
    _rejected: set[bytes] = field(default_factory=set)

    def __post_init__(self) -> None:
        if self.cache is not None:
            self._flying = self.cache.flying  # so that two runs that share a cache ask once

    @property
    def gate(self) -> Limiter:
        """The door that all requests of the run go through."""
        return self.sender.gate

    @property
    def limits(self) -> Limits:
        return self.sender.limits

    def prepare(self, records: Iterable[Mapping[str, Any]]) -> list[Prepared]:
        """Write the questions of records that will be asked soon."""
        return [self._prepared(record) for record in records]

    async def look_ahead(self, prepared: Iterable[Prepared | None]) -> None:
        """Look up what was prepared in the cache, all at once."""
        if self.cache is None:
            return
        questions = (one.question for one in prepared if one)
        asked = [question.sampled(n) for question in questions if question for n in range(self.samples)]
        if keys := [self.plan.answer_key(question, 0) for question in asked]:
            with suppress(OutputError):  # the look for a single record tells of it, and ends the run in good order
                await self.cache.fetch_ahead(keys)

    def end(self) -> None:
        """Forget what was prepared and will not be asked any more."""
        if self.cache is not None:
            self.cache.look_no_further()

    def _prepared(self, record: Mapping[str, Any]) -> Prepared:
        if self.plan.extractor.media or self.plan.extractor.windows:
            return Prepared(record)
        try:
            return Prepared(record, self.plan.question(record))
        except ExtractError as failure:
            return Prepared(record, failure=failure)

    async def ask(self, prepared: Prepared, row_id: Any) -> Outcome:
        """Return the outcome of one record: `not_run` where it met what ends the run, which `on_stop` is told."""
        timeout = asyncio.timeout(None) if self.limits.deadline else None
        tally = Tally(self.clock(), Term(timeout))
        try:
            if timeout is None:
                value, row = await self._value(prepared, tally)
            else:
                async with timeout:
                    value, row = await self._value(prepared, tally)
            return self._outcome(row_id, tally, value=value, row=row)
        except TimeoutError:
            error: ExtractError = AnswerTimeout(f"no answer within {self.limits.deadline:g} s")
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

    def _outcome(self, row_id: Any, tally: Tally, **result: Any) -> Outcome:
        return Outcome(
            row_id=row_id,
            answer=tally.answer,
            usage=tally.usage,
            cost=tally.cost,
            attempts=tally.attempts,
            retries=tally.retries,
            repairs=tally.repairs,
            unknown_attempts=tally.unknown_attempts,
            seconds=self.clock() - tally.started,
            cached=tally.answer is not None and not tally.fresh,
            reused=tally.reused,
            model=tally.model,
            service_tier=tally.service_tier,
            mended=tally.mended,
            citations=tally.citations,
            grounded=tally.grounded,
            spans=tally.spans,
            windows=tally.windows,
            conflicts=tally.conflicts,
            agreement=tally.agreement,
            ledger=tuple(tally.ledger),
            **result,
        )

    async def _value(self, prepared: Prepared, tally: Tally) -> tuple[Any, tuple[Any, ...]]:
        """Return a record's value and its cells: asked as a whole or in windows, once or in several samples."""
        text: LongText | None = None
        if self.plan.extractor.windows is not None:
            text = await in_thread(partial(long_text, self.plan, prepared.record))
        if text is not None:
            quoted = text.quoted()
            ask = partial(self._merged, text, quoted)
        else:
            question = prepared.question or await self._question(prepared)
            quoted = question.quoted
            ask = partial(self._sample, question)
        await self._check_source(quoted)
        if self.samples == 1:
            return await ask(0, tally)
        one = partial(self._heard, ask)
        voted = await ask_samples(one, self.samples, tally, self.plan.schema, (NotRun, *_STOPS))
        if voted.sample is None:
            await self._ground(voted.answer[0], quoted, tally)
        return voted.answer

    async def _heard(self, ask: Callable[[int, Tally], Awaitable[Answer]], sample: int, tally: Tally) -> Answer:
        """Tell at once of what ends the run: the other samples may take their time."""
        try:
            return await ask(sample, tally)
        except _STOPS as stop:
            self.on_stop(stop)
            raise

    async def _sample(self, question: Question, sample: int, tally: Tally) -> Answer:
        return await self._answer(question.sampled(sample), tally)

    async def _merged(self, text: LongText, quoted: QuotableText | None, sample: int, tally: Tally) -> Answer:
        """Ask about all windows of a long text, and make one answer of theirs.

        A window without a valid answer is the record's failure: what it holds would be missing in silence. The answers
        to the others are kept, so that asking the record anew asks only for that one.
        """
        ask = partial(self._window, sample)
        answers = WindowAnswers(text, tally, ask, self.on_stop, _STOPS, grounded=self.require_grounding)
        told = await answers.all(max(1, _WINDOWS_A_SLOT * self.limits.concurrency // self.samples))
        whole, merged = await in_thread(partial(text.merged, told))
        tally.answer, tally.conflicts = whole, merged.conflicts
        value, _ = self.plan.schema.read(whole)
        await self._ground(value, quoted, tally)
        return value, self.plan.schema.row(value)

    async def _window(self, sample: int, question: Question, tally: Tally) -> Any:
        return (await self._answer(question.sampled(sample), tally))[0]

    async def _answer(self, question: Question, tally: Tally) -> tuple[Any, tuple[Any, ...]]:
        """Go through the retry rounds: a rejected answer of an earlier run is replaced by that of a later round."""
        retry_round = 0
        while True:
            try:
                return await self._valid(question, retry_round, tally)
            except (InvalidAnswer, Incomplete, Blocked):
                key, following = (self.plan.answer_key(question, number) for number in (retry_round, retry_round + 1))
                if tally.fresh or key in self._rejected:
                    self._rejected.add(key)  # an equal row that comes later in this run takes the same answer
                    raise
                if not self.retry_rejected and await self._known(following) is None:
                    raise
                retry_round += 1

    async def _question(self, prepared: Prepared) -> Question:
        if prepared.failure is not None:
            raise prepared.failure
        return await in_thread(partial(self.plan.question, prepared.record))

    async def _valid(self, question: Question, retry_round: int, tally: Tally) -> tuple[Any, tuple[Any, ...]]:
        """Ask, and show a wrong answer its errors as often as `repairs` allows. The context does not grow.

        A cut answer is asked once more with a larger limit where the user has named one.
        """
        asked = question
        repair = 0
        limit: int | None = None
        while True:
            key = self.plan.answer_key(asked, retry_round, repair, limit=limit)
            kind: AttemptKind = "repair" if repair else "retry" if limit else "ask"
            interaction = await self._interaction(key, asked, Way(kind, limit), tally)
            if interaction.status == "incomplete" and limit is None and self.plan.request.generation.if_cut:
                limit = self.plan.request.generation.if_cut
                continue
            tally.answer = text = judge(interaction)
            if self.plan.extractor.tools:
                tally.citations = interaction.citations
                tally.grounded = bool(evidence_of(interaction)) if self.plan.looks_up else None
            try:
                value, tally.mended = self.plan.schema.read(text)
                row = self.plan.schema.row(value)
                await self._ground(value, question.quoted, tally)
                return value, row
            except InvalidAnswer as error:
                if repair == self.plan.extractor.repairs:
                    raise
                repair += 1
                asked = question.followed_by(Turn.model(text), Turn.user(repair_text(error.issues)))

    async def _check_source(self, quoted: QuotableText | None) -> None:
        """Refuse a record without a text where values must stand in one: no answer could ever be right."""
        if self.require_grounding and quoted and await in_thread(lambda: quoted.source) is None:
            raise BadRecord("the record has no text in which the values could be found")

    async def _ground(self, value: Any, quoted: QuotableText | None, tally: Tally) -> None:
        """Find the values in the record; reject what stands nowhere where that is wanted, and say which these are."""
        if quoted is None:
            return
        tally.spans = await in_thread(partial(self.plan.spans, value, quoted))
        missing = [span.path for span in tally.spans or () if span.status == "missing"]
        if missing and self.require_grounding:
            raise InvalidAnswer(tuple(Issue(path, "this does not stand in the document") for path in missing))

    async def _interaction(self, key: bytes, question: Question, way: Way, tally: Tally) -> Interaction:
        """Return the interaction for one request: from the cache, from an equal request in flight, or asked."""
        while (flying := self._flying.get(key)) is not None:  # first: it is in the cache before it has landed
            tally.joined = True
            await asyncio.wait((flying,))  # unlike a shield, it never takes the other's cancellation for its own
            if not flying.cancelled():
                return flying.result()
        if (kept := await self._known(key)) is not None:
            tally.reused = True
            return kept
        if key in self._flying:  # an equal record has begun to ask while this one was looked up
            return await self._interaction(key, question, way, tally)
        return await self._lead(key, question, way, tally)

    async def _known(self, key: bytes) -> Interaction | None:
        if self.cache is None or (kept := await self.cache.fetch(key)) is None:
            return None
        try:
            return decode(kept)
        except Unreachable:  # damaged on disk
            self.cache.forget(key)
            return None

    async def _lead(self, key: bytes, question: Question, way: Way, tally: Tally) -> Interaction:
        """Ask on behalf of all records that need this very request."""
        if way.kind == "repair" and way.limit is None:  # a larger limit is one more try of the same
            tally.repairs += 1
        flying = self._flying[key] = asyncio.get_running_loop().create_future()
        try:
            try:
                interaction = await self.sender.send(question.turns, way, tally)
                await self._keep(key, interaction)
            finally:
                self.sender.release(tally)
            await asyncio.sleep(0)  # who got the slot sends first; this answer is looked into while that one waits
        except (NotRun, *_STOPS):
            flying.cancel()  # the end of this run is none for a record of another
            raise
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

    async def _keep(self, key: bytes, interaction: Interaction) -> None:
        if self.cache is None:
            return
        try:
            await self.cache.keep(key, encode(interaction), rung=self.sender.rung)
        except OutputError as error:
            self.on_stop(error)  # the answer in hand still counts
