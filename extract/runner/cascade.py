"""Several extractors behind each other: a row goes on to the next where its answer is not good enough.

A cascade stands where one extractor does: in the same scheduler, gate, budget, cache and ledger. Rows go on one at a
time, and what all steps have used is added up in the row's one outcome.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, NamedTuple

from extract.evaluation.cascade_path import Tuple
from extract.extractor.plan import CompiledExtractor
from extract.interactions.usage import Usage
from extract.results.outcome import Outcome
from extract.results.progress import Totals
from extract.results.route import Route
from extract.runner.answer_score import AnswerScore
from extract.runner.options import AnswerRules
from extract.runner.parts import RunParts
from extract.runner.record import PreparedRecord
from extract.runner.state import RunState

__all__ = ["Cascade", "CascadeStep", "Scored"]


class Scored(NamedTuple):
    """What a step, counted from 0, has made of a record, and the score of its answer, None without one."""

    step: int
    outcome: Outcome
    score: float | None


@dataclass(slots=True, eq=False)
class CascadeStep:
    """One extractor of a run. `totals` is all that it was asked; `rows` and `accepted` count those of the main run."""

    parts: RunParts
    scorer: AnswerScore
    totals: Totals = field(default_factory=Totals)
    rows: int = 0
    accepted: int = 0

    def score(self, record: Mapping[str, Any], outcome: Outcome) -> float | None:
        """Return the score of an answer; all answers of an extractor without scores have the same."""
        if not self.scorer.sources:
            return 1.0 if outcome.ok else None
        return self.scorer(record, outcome)


@dataclass(slots=True, eq=False)
class Cascade:
    """Makes outcomes of records, as one extractor would. `levels` are the thresholds of the steps.

    A step with the threshold infinity accepts nothing, and is not asked; where all have it, the first is, so that
    people see an answer. Without `levels` every record is asked of all steps, and `answers` keeps what they say by its
    place in the input.
    """

    steps: Sequence[CascadeStep]
    columns: tuple[str, ...]
    levels: Tuple | None = None
    answers: dict[Any, list[Scored]] = field(default_factory=dict)

    @property
    def plan(self) -> CompiledExtractor:
        return self.steps[0].parts.extractor.plan

    @property
    def rules(self) -> AnswerRules:
        return self.steps[0].parts.extractor.rules

    @property
    def state(self) -> RunState:
        return self.steps[0].parts.extractor.state

    @property
    def routes(self) -> bool:
        return True

    @property
    def in_hand(self) -> int:
        return max(step.parts.extractor.in_hand for step in self.steps)

    @property
    def open_steps(self) -> list[int]:
        """The steps that are asked, counted from 0."""
        if self.levels is None:
            return list(range(len(self.steps)))
        return [place for place, level in enumerate(self.levels) if level < math.inf] or [0]

    def prepare(self, records: Iterable[Mapping[str, Any]]) -> list[PreparedRecord]:
        """Write the questions for the first step that is asked."""
        return self.steps[self.open_steps[0]].parts.extractor.prepare(records)

    async def prefetch(self, prepared: Iterable[PreparedRecord | None]) -> None:
        """Look up what was prepared in the cache."""
        await self.steps[self.open_steps[0]].parts.extractor.prefetch(prepared)

    def close(self) -> None:
        """Forget what was prepared and will not be asked any more."""
        for step in self.steps:
            step.parts.extractor.close()

    async def extract(self, prepared: PreparedRecord, row_id: Any) -> Outcome:
        """Return the outcome of one record: that of the step which accepts it, with what all have used."""
        given: list[Scored] = []
        for place in self.open_steps:
            if given:
                (prepared,) = self.steps[place].parts.extractor.prepare([prepared.record])
            given.append(await self._scored(place, prepared, row_id))
            error = given[-1].outcome.error
            if error is not None and error.code == "not_run":
                return _added(given, given[-1])
            if self._accepts(given[-1]):
                return self._ended(given, given[-1], accepted=True)
        if self.levels is None:
            self.answers[row_id] = given
        shown = next((one for one in reversed(given) if one.outcome.ok), given[-1])
        return self._ended(given, shown, accepted=False)

    async def _scored(self, place: int, prepared: PreparedRecord, row_id: Any) -> Scored:
        step = self.steps[place]
        outcome = await step.parts.extractor.extract(prepared, row_id)
        step.totals.add(outcome)
        return Scored(place, outcome, step.score(prepared.record, outcome))

    def _accepts(self, one: Scored) -> bool:
        return self.levels is not None and one.score is not None and one.score >= self.levels[one.step]

    def _ended(self, given: Sequence[Scored], shown: Scored, *, accepted: bool) -> Outcome:
        for one in given:
            self.steps[one.step].rows += self.levels is not None
        self.steps[shown.step].accepted += accepted
        level = math.inf if self.levels is None else self.levels[shown.step]
        step = shown.step + 1 if shown.outcome.ok else None
        route = Route(step, shown.score, accepted, level if math.isfinite(level) else None)
        return replace(_added(given, shown), route=route)


def _added(given: Sequence[Scored], shown: Scored) -> Outcome:
    """Return one step's outcome of a record with what all steps have used."""
    if len(given) == 1:
        return shown.outcome
    all_of = [one.outcome for one in given]
    costs = [one.cost for one in all_of]
    return replace(
        shown.outcome,
        usage=sum((one.usage for one in all_of), Usage()),
        cost=None if None in costs else sum((cost for cost in costs if cost is not None), Decimal(0)),
        attempts=sum(one.attempts for one in all_of),
        retries=sum(one.retries for one in all_of),
        repairs=sum(one.repairs for one in all_of),
        unknown_attempts=sum(one.unknown_attempts for one in all_of),
        shared=sum(one.shared for one in all_of),
        seconds=sum(one.seconds for one in all_of),
        cached=all(one.cached for one in all_of),
        reused=any(one.reused for one in all_of),
        ledger=tuple(attempt for one in all_of for attempt in one.ledger),
    )
