"""How often the right label of a gold row is among the candidates that it would be shown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

from extract.errors import ConfigError
from extract.evaluation.intervals import Interval, share_interval
from extract.extractor.candidates import LabelCandidates
from extract.extractor.extractor import Extractor
from extract.extractor.gold import SPLIT, gold_table
from extract.extractor.nearest import Nearest
from extract.extractor.plan import compile_extractor
from extract.interactions.endpoint import GOOGLE_URL, Endpoint
from extract.io.source import records_of
from extract.json_types import JsonObject

__all__ = ["CandidateRecall", "candidate_recall"]


@dataclass(frozen=True, slots=True)
class CandidateRecall:
    """Of `rows` gold rows with a label, how many have it among the candidates: `hits` after each round.

    A row never serves to find its own label. `k` labels are shown in each round, of `labels`.
    """

    rows: int
    labels: int
    k: int
    hits: tuple[int, ...]

    @property
    def shares(self) -> tuple[float, ...]:
        """The share of the rows, 0 to 1, after each round."""
        return tuple(hit / self.rows for hit in self.hits)

    @property
    def intervals(self) -> tuple[Interval | None, ...]:
        """The 95 % interval of each share."""
        return tuple(share_interval(hit, self.rows) for hit in self.hits)

    def as_json(self) -> JsonObject:
        """Return all of it as JSON, an interval as two numbers."""
        ends = [None if one is None else [one.low, one.high] for one in self.intervals]
        counts = {"rows": self.rows, "labels": self.labels, "k": self.k, "hits": list(self.hits)}
        return {**counts, "shares": list(self.shares), "intervals": ends}

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        for number, share, interval in zip(count(1), self.shares, self.intervals, strict=False):
            doubt = "" if interval is None else f" ({interval.low:.1%} to {interval.high:.1%} at 95 %)"
            shown = min(number * self.k, self.labels)
            yield (
                f"the right label is among {shown:,} of {self.labels:,} labels, round {number}, "
                f"for {share:.1%}{doubt} of {self.rows:,} gold rows"
            )


def candidate_recall(extractor: Extractor, gold: Any, *, answer: str | None = None) -> CandidateRecall:
    """Return how often the right label of a gold row is among the candidates that the row would be shown.

    `gold` has the columns of the prompt, and the right label under its name in the schema or in the column `answer`.
    Nothing is sent. Raises ConfigError for an extractor without candidates, and for gold that does not fit.

    >>> from extract import Candidates
    >>> extractor = Extractor(["card_lost", "card_late", "top_up"], "{text}", candidates=Candidates(1))
    >>> candidate_recall(extractor, [{"text": "I lost a card", "value": "card_lost"}]).shares
    (1.0, 1.0)
    """
    plan = compile_extractor(extractor, Endpoint(api_key="recall", base_url=GOOGLE_URL))
    if not isinstance(plan.candidates, LabelCandidates):
        raise ConfigError("the extractor shows all of its labels: give it candidates=")
    # Nothing is shown: proof rows count, too.
    rows = Nearest(gold_table(gold).drop(SPLIT, strict=False), answer=answer).compiled(plan.template, plan.schema)
    right = LabelCandidates.labelled(rows, plan.candidates.field)
    k, rounds = plan.candidates.rule.k, plan.candidates.rule.rounds
    ranks = [
        _worst_rank(labels, plan.candidates.ranked(record))
        for labels, record in zip(right, records_of(rows.rows), strict=True)
        if labels
    ]
    if not ranks:
        raise ConfigError("no gold row has a label")
    hits = tuple(sum(rank < k * (number + 1) for rank in ranks) for number in range(rounds))
    return CandidateRecall(len(ranks), len(plan.candidates.field.labels), k, hits)


def _worst_rank(labels: tuple[int, ...], ranking: tuple[int, ...]) -> float:
    """Return the rank of the label that is found last, from 0; infinity where one is never shown."""
    ranks = {place: rank for rank, place in enumerate(ranking)}
    return max(ranks.get(label, float("inf")) for label in labels)
