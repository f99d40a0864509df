"""One valid answer to a question: validated, grounded, asked for again with its errors, in rounds over runs."""

from __future__ import annotations

from functools import partial
from typing import Any

from extract.documents.parts import Turn
from extract.documents.text_layer import QuotableText
from extract.errors import BadRecord, Blocked, Incomplete, InvalidAnswer, Issue
from extract.extractor.plan import CompiledExtractor
from extract.extractor.prompts import repair_text
from extract.extractor.question import Question
from extract.interactions.failures import judge
from extract.interactions.interaction import Interaction
from extract.interactions.tools.builtin import evidence_of
from extract.runner.answers import Answers
from extract.runner.event_loop import in_thread
from extract.runner.options import AnswerRules
from extract.runner.request import SendMode
from extract.runner.trace import RecordTrace
from extract.runner.voting import Answer

__all__ = ["Repairs"]

_ASK, _REPAIR = SendMode("ask"), SendMode("repair")


class Repairs:
    """Gets answers that fit the schema and, where that is required, stand in the record."""

    def __init__(self, plan: CompiledExtractor, answers: Answers, rules: AnswerRules) -> None:
        self._plan, self._answers, self._rules = plan, answers, rules

    async def answer(self, question: Question, trace: RecordTrace) -> Answer:
        """Return a valid answer: a rejected one of an earlier run is replaced by that of a later retry round."""
        retry_round = 0
        while True:
            try:
                return await self._valid(question, retry_round, trace)
            except (InvalidAnswer, Incomplete, Blocked):
                if not await self._has_further_round(question, retry_round, trace):
                    raise
                retry_round += 1

    async def _has_further_round(self, question: Question, retry_round: int, trace: RecordTrace) -> bool:
        """True where a rejected answer is an earlier run's and a later round is stored, or is to be asked for now."""
        key = self._plan.answer_key(question, retry_round)
        if trace.fresh or key in self._answers.rejected:
            self._answers.rejected.add(key)  # an equal row that comes later in this run takes the same answer
            return False
        following = self._plan.answer_key(question, retry_round + 1)
        return self._rules.retry_rejected or await self._answers.stored(following) is not None

    async def _valid(self, question: Question, retry_round: int, trace: RecordTrace) -> Answer:
        """Ask, and show a wrong answer its errors as often as `repairs` allows. The context does not grow.

        A cut answer is asked for once more with a larger limit where the user has named one.
        """
        asking = question
        repair = 0
        limit: int | None = None
        while True:
            key = self._plan.answer_key(asking, retry_round, repair, limit=limit)
            mode = _mode(repair, limit)
            if asking.packed:
                mode = mode._replace(packed=True, group=asking.group)
            interaction = await self._answers.get(key, asking.turns, mode, trace)
            if interaction.status == "incomplete" and limit is None and self._plan.request.generation.if_cut:
                limit = self._plan.request.generation.if_cut
                continue
            trace.answer = text = judge(interaction)
            if (following := self._plan.next_labels(question, text)) is not None:
                question = asking = following
                repair, limit = 0, None
                continue
            if self._plan.candidates is not None and self._plan.candidates.is_none(text):
                trace.answer = text = self._plan.candidates.without_label(text, self._plan.schema, question.ranking)
            if self._plan.extractor.tools:
                self._note_sources(interaction, trace)
            try:
                value, trace.mended = self._plan.schema.read(text)
                row = self._plan.schema.row(value)
                trace.unnamed = self._plan.schema.has_unnamed(value)
                await self.ground(value, question.quoted, trace)
                return value, row
            except InvalidAnswer as error:
                if repair == self._plan.extractor.repairs:
                    raise
                repair += 1
                asking = question.followed_by(Turn.model(text), Turn.user(repair_text(error.issues)))

    def _note_sources(self, interaction: Interaction, trace: RecordTrace) -> None:
        trace.citations = interaction.citations
        trace.grounded = bool(evidence_of(interaction)) if self._plan.looks_up else None

    async def check_source(self, quoted: QuotableText | None) -> None:
        """Refuse a record without a text where values must stand in one: no answer could ever be right."""
        if self._rules.require_grounding and quoted and await in_thread(lambda: quoted.source) is None:
            raise BadRecord("the record has no text in which the values could be found")

    async def ground(self, value: Any, quoted: QuotableText | None, trace: RecordTrace) -> None:
        """Find the values in the record. InvalidAnswer for those that stand nowhere, where that is required."""
        if quoted is None:
            return
        trace.spans = await in_thread(partial(self._plan.spans, value, quoted))
        missing = [span.path for span in trace.spans or () if span.status == "missing"]
        if missing and self._rules.require_grounding:
            raise InvalidAnswer(tuple(Issue(path, "this does not stand in the document") for path in missing))


def _mode(repair: int, limit: int | None) -> SendMode:
    if limit is not None:
        return SendMode("repair" if repair else "retry", limit)
    return _REPAIR if repair else _ASK
