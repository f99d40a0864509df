"""Rows that may be cleared of a label, such that at most a known share of those that have it is missed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import polars as pl

from extract.errors import ConfigError
from extract.evaluation.agreement import same_when_normalised
from extract.evaluation.gold_rows import judge_gold, proof_rows
from extract.evaluation.inputs import AnsweredRows, answered_rows, gold_beside
from extract.evaluation.pairing import with_equal_keys
from extract.evaluation.proof import Count, Promise, Proof, prove
from extract.evaluation.row_scores import row_scores
from extract.io.forks import check_fork

__all__ = ["Clearance", "clear_of", "clear_rows"]

_STEPS: Final = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Clearance:
    """Rows that are cleared of a label, and those that are not: `cleared` and `flagged`, with all columns.

    `queue` are the flagged rows for people, with score, answer and reason, but for gold rows that prove. `threshold` is
    the least score of a cleared row, None where nothing can be cleared. `positives` gold rows have the
    label, `missed` of them are cleared. `needed` is how many of them it takes at least, all found, and `gold_rows` how
    many gold rows have about as many.

        >>> rows = pl.DataFrame({"id": range(400), "bad": [True, False] * 200, "sure": [0.9] * 400})
        >>> result = clear_of(rows, rows, on="id", label={"bad": True}, score="sure", recall=0.9)
        >>> result.cleared.height, result.positives, result.missed
        (200, 200, 0)
    """

    proof: Proof
    threshold: float | None
    positives: int
    missed: int
    needed: int
    gold_rows: int | None
    cleared: pl.DataFrame = field(repr=False)
    flagged: pl.DataFrame = field(repr=False)
    queue: pl.DataFrame = field(repr=False)
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the rows as JSON."""
        promise = self.proof.promise
        named = ("threshold", "positives", "missed", "needed", "gold_rows")
        counts = {"cleared": self.cleared.height, "flagged": self.flagged.height, "notes": list(self.notes)}
        whole = {name: getattr(self, name) for name in named}
        return {"recall": promise.right, "confidence": promise.confidence, **whole, **counts}

    def __str__(self) -> str:
        promise = self.proof.promise
        promised = (
            f"at least {promise.right:.2%} of the label's rows are found, with {promise.confidence:.0%} confidence"
        )
        rows = self.cleared.height + self.flagged.height
        lines = [f"{self.cleared.height:,} of {rows:,} rows cleared: {promised}"]
        lines.append(f"{self.positives:,} gold rows have the label, {self.missed:,} of them are cleared")
        if self.threshold is None:
            about = "" if self.gold_rows is None else f", about {self.gold_rows:,} gold rows"
            lines.append(f"why nothing is cleared: it takes {self.needed:,} gold rows with the label, all found{about}")
        return "\n".join([*lines, *(f"note: {one}" for one in self.notes)])


def clear_of(
    predicted: Any,
    gold: Any,
    *,
    on: str,
    label: Mapping[str, Any],
    recall: float = 0.98,
    confidence: float = 0.95,
    score: str | pl.Expr | None = None,
    decided: pl.DataFrame | None = None,
    used_gold: bool = False,
    day_first: bool = True,
) -> Clearance:
    """Return the rows that need no look, such that a share of `recall` of all rows with a label is among the others.

    `label` is a field and its value: `{"harmful": True}`. A row is cleared where the answer is another and its score is
    high enough; all else is flagged. Only gold rows that have the label prove anything, so rare labels need much gold:
    149 of them for 98 %. Gold, scores and errors are as for `accept`.
    """
    check_fork()
    output = answered_rows(predicted)
    right_answers = gold_beside(output.rows, gold)
    return clear_rows(
        output,
        right_answers,
        Promise(recall, confidence),
        on=on,
        label=label,
        score=score,
        decided=decided,
        used_gold=used_gold,
        day_first=day_first,
    )


def clear_rows(
    output: AnsweredRows,
    gold: pl.DataFrame,
    promise: Promise,
    *,
    on: str,
    label: Mapping[str, Any],
    score: str | pl.Expr | None = None,
    decided: pl.DataFrame | None = None,
    used_gold: bool = False,
    day_first: bool = True,
) -> Clearance:
    """Do as `clear_of` does, with an output and gold that have been read."""
    if len(label) != 1:
        raise ConfigError(f"label is one field and its value, such as {{'harmful': True}}, not {dict(label)!r}")
    name, value = next(iter(label.items()))
    proving, notes = proof_rows(gold, used_gold=used_gold)
    judged = judge_gold(output, proving, on=on, fields=[name], day_first=day_first)
    scores = row_scores(output.rows, output.columns, [name], score=score, decided=decided, keys=output.keys)
    is_label = _IsLabel(value, day_first)
    others = _others(output, name, is_label, scores.row)
    has_label = _labelled(output, proving, on, name, is_label)
    positives = [others[place] for place in judged.places if place in has_label]
    levels = _levels([one for one in others if one is not None])
    counts = [Count(len(positives), sum(one is not None and one >= level for one in positives)) for level in levels]
    proof = prove(counts, promise, shares=(1.0,))
    threshold = None if proof.best is None else levels[proof.best]
    cleared = pl.Series(
        [threshold is not None and one is not None and one >= threshold for one in others], dtype=pl.Boolean
    )
    reasons = [_reason(*one, threshold) for one in zip(others, scores.row, output.answered, strict=True)]
    queue = _queue(output, on, name, scores.row, reasons)
    return Clearance(
        proof=proof,
        threshold=threshold,
        positives=len(positives),
        missed=0 if proof.best is None else counts[proof.best].wrong,
        needed=promise.rows_needed,
        gold_rows=math.ceil(promise.rows_needed * proving.height / len(positives)) if positives else None,
        cleared=output.rows.filter(cleared),
        flagged=output.rows.filter(~cleared),
        queue=queue.filter(~cleared & ~_are_at(judged.places, output.rows.height)),
        notes=notes,
    )


@dataclass(slots=True)
class _IsLabel:
    """Whether a value is the label, however it is written; each value is compared once."""

    label: Any
    day_first: bool
    known: dict[str, bool] = field(default_factory=dict)

    def __call__(self, value: Any) -> bool:
        text = repr(value)
        if text not in self.known:
            self.known[text] = same_when_normalised(value, self.label, day_first=self.day_first)
        return self.known[text]


def _reason(other: float | None, score: float | None, answered: bool, threshold: float | None) -> str:
    if not answered:
        return "no answer"
    if score is None:
        return "no score"
    if other is None:
        return "has the label"
    return "nothing is cleared" if threshold is None else f"score {score:.4g} is below {threshold:.4g}"


def _queue(output: AnsweredRows, on: str, name: str, score: pl.Series, reasons: list[str]) -> pl.DataFrame:
    answer = pl.struct(pl.col(column).alias(field) for column, field in output.columns.items() if field == name)
    return output.rows.select(on, score=score, reason=pl.Series(reasons, dtype=pl.String), answer=answer)


def _are_at(places: tuple[int, ...], rows: int) -> pl.Series:
    chosen = pl.Series(places, dtype=pl.Int64)
    return pl.int_range(rows, eager=True).is_in(chosen.implode())


def _others(output: AnsweredRows, name: str, is_label: _IsLabel, score: pl.Series) -> list[float | None]:
    """Return the scores of rows that were answered otherwise; None for all rows that are always flagged."""
    answers = output.answers[name].to_list()
    known = zip(answers, score.to_list(), output.answered.to_list(), strict=True)
    return [one if answered and not is_label(answer) else None for answer, one, answered in known]


def _labelled(output: AnsweredRows, gold: pl.DataFrame, on: str, name: str, is_label: _IsLabel) -> set[int]:
    """Return the places of the rows that have the label in gold."""
    keys, gold = with_equal_keys({"predicted": output.answers.select(on), "gold": gold}, on)
    place_of = {key: place for place, key in enumerate(keys[on].to_list())}
    pairs = zip(gold[on].to_list(), gold[name].to_list(), strict=True)
    return {place_of[key] for key, one in pairs if key in place_of and is_label(one)}


def _levels(scores: list[float]) -> tuple[float, ...]:
    """Return thresholds that clear more and more of the rows that may be cleared, equal scores together."""
    ordered = sorted(scores, reverse=True)
    places = [math.ceil(step * len(ordered) / _STEPS) for step in range(1, _STEPS + 1)] if ordered else []
    return tuple(dict.fromkeys(ordered[place - 1] for place in places))
