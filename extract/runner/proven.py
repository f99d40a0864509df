"""What the gold rows of a run have proved: one threshold per step, or why nothing can be accepted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from extract.evaluation.cascade_path import StepScores, Tuple, cascade_path, path_counts, prove_path, route
from extract.evaluation.proof import Count, Promise, Proof, prove, thresholds
from extract.evaluation.tails import wrong_allowed
from extract.json_types import JsonObject

__all__ = ["GoldRow", "Proven", "prove_steps"]

GoldRow = tuple[StepScores, Sequence[bool]]


@dataclass(frozen=True, slots=True)
class Proven:
    """`levels` are the thresholds of the steps, infinite where nothing is proved; `gold` are the rows that prove."""

    proof: Proof
    levels: Tuple
    gold: Sequence[GoldRow]

    @property
    def is_anything(self) -> bool:
        """True where rows may be accepted."""
        return self.proof.best is not None

    @property
    def count(self) -> Count:
        """How many gold rows are accepted, and how many of these are wrong."""
        return Count(0, 0) if self.proof.best is None else self.proof.steps[self.proof.best].count

    def by_step(self) -> list[Count]:
        """Return the same for each step."""
        accepted = [
            (step, right[step]) for scores, right in self.gold if (step := route(self.levels, scores)) is not None
        ]
        return [
            Count(sum(step == one for step, _ in accepted), sum(step == one and not right for step, right in accepted))
            for one in range(len(self.levels))
        ]

    def reason(self) -> str | None:
        """Return why nothing can be accepted, None where something is."""
        if self.is_anything:
            return None
        promise = self.proof.promise
        scored = sum(any(score is not None for score in scores) for scores, _ in self.gold)
        if scored < promise.rows_needed or not self.proof.steps:
            return f"it takes {promise.rows_needed:,} accepted gold rows without an error, and {scored:,} have a score"
        best = min((one for one in self.proof.steps if one.level), key=lambda one: one.chance)
        count = best.count
        allowed = wrong_allowed(count.gold, promise.right, 1 - best.level)
        may_be = "and so few rows prove nothing" if allowed is None else f"and {allowed:,} may be"
        return f"where the scores tell most, {count.wrong:,} of {count.gold:,} accepted gold rows are wrong, {may_be}"

    def as_json(self) -> JsonObject:
        """Return the promise and what proves it."""
        promise, count = self.proof.promise, self.count
        return {
            "right": promise.right,
            "confidence": promise.confidence,
            "bound": promise.right if self.is_anything else None,
            "reason": self.reason(),
            "gold": {"rows": len(self.gold), "accepted": count.gold, "wrong": count.wrong},
        }


def prove_steps(gold: Sequence[GoldRow], steps: int, promise: Promise) -> Proven:
    """Fix thresholds by the scores of the gold rows alone, and prove as many as their labels allow."""
    rows = [scores for scores, _ in gold]
    path = _path(rows, steps, promise)
    counted = list(zip(path, path_counts(path, gold), strict=True))
    # What accepts no gold row can prove nothing; to leave it out says nothing of the labels.
    useful = [(levels, count) for levels, count in counted if count.gold]
    path, counts = [levels for levels, _ in useful], [count for _, count in useful]
    proof = prove(counts, promise) if steps == 1 else prove_path(path, counts, promise)
    closed = (math.inf,) * steps
    return Proven(proof, closed if proof.best is None else path[proof.best], gold)


def _path(rows: Sequence[StepScores], steps: int, promise: Promise) -> list[Tuple]:
    if steps > 1:
        return cascade_path(rows, len(rows), promise, whole=False)
    scores = [score for (score,) in rows if score is not None]
    return [(level,) for level in thresholds(scores, len(scores), promise, whole=False)]
