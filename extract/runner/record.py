"""One record, from its question to its outcome; what it cost is known whatever becomes of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

from extract.documents.parts import encodings_of
from extract.documents.text_layer import QuotableText
from extract.errors import ORDERS, AnswerTimeout, ExtractError, NotRun, ending_in_one_line, unforeseen
from extract.extractor.plan import CompiledExtractor
from extract.extractor.question import Question
from extract.limits.limits import Limits
from extract.results.outcome import Outcome
from extract.runner.answers import Answers
from extract.runner.event_loop import in_thread
from extract.runner.long_documents import LongText, WindowAnswers, long_text
from extract.runner.options import AnswerRules
from extract.runner.packing import Packer
from extract.runner.repair import Repairs
from extract.runner.state import RunState
from extract.runner.stops import ENDS_RUN, STOPS
from extract.runner.trace import Deadline, RecordTrace
from extract.runner.voting import Answer, ask_samples

__all__ = ["PreparedRecord", "RecordExtractor"]

_WINDOWS_PER_SLOT = 2  # of one record: while some wait for their next try, others use the slots

AskSample: TypeAlias = Callable[[int, RecordTrace], Awaitable[Answer]]


@dataclass(slots=True)
class PreparedRecord:
    """A record on its way: its question, or what was wrong with it; neither where that is still to be written."""

    record: Mapping[str, Any]
    question: Question | None = None
    failure: ExtractError | None = None


@dataclass(slots=True)
class RecordExtractor:
    """Makes outcomes of records, one by one; all workers of a run share one.

    What makes every further request useless ends the run: `state` is told, and the record's outcome is `not_run`.
    """

    plan: CompiledExtractor
    answers: Answers
    rules: AnswerRules
    limits: Limits
    state: RunState
    packer: Packer | None = None
    clock: Callable[[], float] = time.monotonic
    _repairs: Repairs = field(init=False)

    def __post_init__(self) -> None:
        self._repairs = Repairs(self.plan, self.answers, self.rules)

    def prepare(self, records: Iterable[Mapping[str, Any]]) -> list[PreparedRecord]:
        """Write the questions of records whose turn comes soon."""
        return [self._prepared(record) for record in records]

    def _prepared(self, record: Mapping[str, Any]) -> PreparedRecord:
        if self.plan.extractor.media or self.plan.extractor.windows:
            return PreparedRecord(record)
        try:
            return PreparedRecord(record, self.plan.question(record))
        except ExtractError as failure:
            return PreparedRecord(record, failure=failure)

    async def prefetch(self, prepared: Iterable[PreparedRecord | None]) -> None:
        """Look up all that was prepared in the cache, at once."""
        if self.answers.store is None:
            return
        samples = range(self.rules.samples)
        questions = [one.question.sampled(n) for one in prepared if one and one.question for n in samples]
        await self.answers.prefetch([self.plan.answer_key(question, 0) for question in questions])

    @property
    def columns(self) -> tuple[str, ...]:
        """The input columns that are read."""
        return self.plan.columns

    @property
    def routes(self) -> bool:
        """False: every outcome comes from the same extractor."""
        return False

    @property
    def in_hand(self) -> int:
        """How many records are asked at a time at most."""
        return self.limits.concurrency * (self.packer.size if self.packer else 1)

    def close(self) -> None:
        """Forget what was prepared and will not be asked any more."""
        self.answers.clear_prefetch()

    async def extract(self, prepared: PreparedRecord, row_id: Any) -> Outcome:
        """Return the outcome of one record. Raises only orders from outside, such as the cancellation of its task."""
        timeout = asyncio.timeout(None) if self.limits.deadline else None
        trace = RecordTrace(self.clock(), Deadline(self.clock, self.limits.deadline, timeout))
        try:
            if timeout is None:
                value, row = await self._value(prepared, trace)
            else:
                async with timeout:
                    with self.state.deadlines.running(trace.deadline):
                        value, row = await self._value(prepared, trace)
            return trace.outcome(row_id, value=value, row=row)
        except STOPS as stop:
            error: ExtractError = self._stopped(stop)
        except ExtractError as failure:
            error = failure
        except asyncio.CancelledError:
            if not self.state.abandoned:
                raise
            error = NotRun("the run was interrupted")
        except ORDERS:
            raise
        except BaseException as failure:
            if isinstance(failure, TimeoutError) and timeout is not None and timeout.expired():
                error = AnswerTimeout(f"no answer within {self.limits.deadline:g} s")
            else:
                error = self._stopped(unforeseen(failure, "a row cannot be asked"))
        return trace.outcome(row_id, error=error)

    def _stopped(self, stop: ExtractError) -> NotRun:
        self.state.stop(stop)
        return NotRun(f"the run was stopped: {stop}")

    async def _value(self, prepared: PreparedRecord, trace: RecordTrace) -> Answer:
        """Return a record's value and its cells: asked as a whole or in windows, once or in several samples."""
        text: LongText | None = None
        if self.plan.extractor.windows is not None:
            text = await in_thread(partial(long_text, self.plan, prepared.record))
        if text is not None:
            quoted, trace.encoding, trace.files = text.quoted(), text.encoding, text.files
            await self._repairs.check_source(quoted)
            return await self._voted(partial(self._merged, text, quoted), quoted, trace)
        question = prepared.question or await self._question(prepared)
        if self.plan.extractor.media:
            trace.encoding, trace.files = encodings_of(question.turns[0].parts), question.files
        if question.quoted is not None:
            await self._repairs.check_source(question.quoted)
        if self.rules.samples == 1:
            return await self._repairs.answer(question, trace)
        return await self._voted(partial(self._sample, question), question.quoted, trace)

    async def _question(self, prepared: PreparedRecord) -> Question:
        if prepared.failure is not None:
            raise prepared.failure
        return await in_thread(partial(self.plan.question, prepared.record))

    async def _voted(self, ask: AskSample, quoted: QuotableText | None, trace: RecordTrace) -> Answer:
        """Return what the samples of a record agree on; the only one where there is one."""
        if self.rules.samples == 1:
            return await ask(0, trace)
        asking = partial(self._stopping_at_once, ask)
        vote = await ask_samples(asking, self.rules.samples, trace, self.plan.schema, ENDS_RUN)
        if vote.sample is None:  # no sample has this answer as a whole: its values were not looked for yet
            await self._repairs.ground(vote.answer[0], quoted, trace)
        return vote.answer

    async def _stopping_at_once(self, ask: AskSample, sample: int, trace: RecordTrace) -> Answer:
        """Stop the run as soon as one sample meets what ends it: the others may take their time."""
        try:
            with ending_in_one_line("a sample cannot be asked"):
                return await ask(sample, trace)
        except STOPS as stop:
            self.state.stop(stop)
            raise

    async def _sample(self, question: Question, sample: int, trace: RecordTrace) -> Answer:
        return await self._repairs.answer(question.sampled(sample), trace)

    async def _merged(self, text: LongText, quoted: QuotableText | None, sample: int, trace: RecordTrace) -> Answer:
        """Ask about all windows of a long text, and merge their answers into one.

        A window without a valid answer is the record's failure: what it holds would be missing in silence. The answers
        to the others are stored, so that asking for the record again asks only for that one.
        """
        ask = partial(self._window, sample)
        windows = WindowAnswers(text, trace, ask, self.state, grounded=self.rules.require_grounding)
        values = await windows.all(max(1, _WINDOWS_PER_SLOT * self.limits.concurrency // self.rules.samples))
        whole, merged = await in_thread(partial(text.merged, values))
        trace.answer, trace.conflicts = whole, merged.conflicts
        value, _ = self.plan.schema.read(whole)
        await self._repairs.ground(value, quoted, trace)
        return value, self.plan.schema.row(value)

    async def _window(self, sample: int, question: Question, trace: RecordTrace) -> Any:
        return (await self._sample(question, sample, trace))[0]
