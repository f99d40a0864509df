"""The rows of an output that may be accepted with a promise, and those that may not: from gold, without asking anybody.

Gold rows are a random draw of the output's rows. Thresholds come from the scores of all rows; the gold rows then prove
the most lenient one that they can (`extract.evaluation.proof`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import polars as pl

from extract.errors import ConfigError
from extract.evaluation.accepted import Acceptance, GoldRow
from extract.evaluation.gold_rows import JudgedGold, judge_gold, proof_rows
from extract.evaluation.inputs import AnsweredRows, answered_rows, gold_beside
from extract.evaluation.pairing import ABOUT_ANSWERS
from extract.evaluation.proof import Promise, counted, prove, thresholds
from extract.evaluation.row_scores import Scores, row_scores
from extract.evaluation.shift import Shift, ShiftSample, shifts
from extract.io.forks import check_fork

__all__ = ["accept", "accept_rows", "gold_scores"]

ROUTE: Final = "_route"
_MAX_LABELS: Final = 255


def accept(
    predicted: Any,
    gold: Any,
    *,
    on: str,
    right: float = 0.95,
    confidence: float = 0.95,
    fields: Sequence[str] | None = None,
    score: str | pl.Expr | None = None,
    decided: pl.DataFrame | None = None,
    used_gold: bool = False,
    day_first: bool = True,
) -> Acceptance:
    """Return the rows of `predicted` of which at least a share of `right` is right, with the probability `confidence`.

    `predicted` is a Run or whatever `evaluate` takes, `gold` a random draw of its rows with the right answers, joined
    by `on`. A row is right where every field is right when normalised; `fields` chooses fields, by default all that
    gold has. `score` names a column or is an expression; by default the score is what the output has: agreement of
    samples, a declared `confidence`, grounding. `decided` is the frame of `check_labels` of the same rows, whose
    probabilities come first. Gold that says in `_split` what it is for proves with its `proof` rows only; `used_gold`
    counts all. The promise is about these rows and this draw. ConfigError where there is no score, or no gold that may
    prove.

        >>> rows = pl.DataFrame({"id": range(200), "city": ["Bonn"] * 200, "sure": [0.9] * 100 + [0.1] * 100})
        >>> gold = pl.DataFrame({"id": range(0, 200, 2), "city": ["Bonn"] * 50 + ["Cologne"] * 50})
        >>> accept(rows, gold, on="id", right=0.9, fields=["city"], score="sure")
        Acceptance(100 of 200 rows accepted at score >= 0.9: at least 90% are right, with 95% confidence)
    """
    check_fork()
    output = answered_rows(predicted)
    right_answers = gold_beside(output.rows, gold)
    promise = Promise(right, confidence)
    return accept_rows(
        output,
        right_answers,
        promise,
        on=on,
        fields=fields,
        score=score,
        decided=decided,
        used_gold=used_gold,
        day_first=day_first,
    )


def accept_rows(
    output: AnsweredRows,
    gold: pl.DataFrame,
    promise: Promise,
    *,
    on: str,
    fields: Sequence[str] | None = None,
    score: str | pl.Expr | None = None,
    decided: pl.DataFrame | None = None,
    used_gold: bool = False,
    day_first: bool = True,
) -> Acceptance:
    """Do as `accept` does, with an output and gold that have been read."""
    proving, notes = proof_rows(gold, used_gold=used_gold)
    judged = judge_gold(output, proving, on=on, fields=fields, day_first=day_first)
    scores = _scores(output, judged, score, decided)
    known = scores.row.to_list()
    pairs = [(known[place], is_right) for place, is_right in zip(judged.places, judged.right, strict=True)]
    scored = [(one, is_right) for one, is_right in pairs if one is not None]
    everything = [one for one in known if one is not None]
    levels = thresholds(everything, len(scored), promise)
    proof = prove(counted(levels, scored, everything), promise)
    threshold = None if proof.best is None else levels[proof.best]
    return Acceptance(
        on=on,
        proof=proof,
        levels=levels,
        threshold=threshold,
        gold=tuple(GoldRow(place, *pair) for place, pair in zip(judged.places, pairs, strict=True)),
        fields=judged.fields,
        sources=scores.sources,
        shifts=_shifts(output, judged, scores, on),
        notes=(*notes, *_notes(output, judged, scores, len(pairs) - len(scored))),
        rows=_routed(output.rows, scores.row, threshold),
        columns=output.columns,
        answered=output.answered,
    )


def _scores(
    output: AnsweredRows, judged: JudgedGold, score: str | pl.Expr | None, decided: pl.DataFrame | None
) -> Scores:
    """Return the scores of the output; a row without an answer has none."""
    tops = list(dict.fromkeys(_top(name, output) for name in judged.fields))
    scores = row_scores(output.rows, output.columns, tops, score=score, decided=decided, keys=output.keys)
    row = pl.select(pl.when(output.answered).then(scores.row)).to_series().alias("score")
    if row.drop_nulls().is_empty():
        raise ConfigError(f"no row of this output has a score ({', '.join(scores.sources.values())})")
    return Scores(row, scores.fields, scores.sources, scores.unscored)


def gold_scores(
    output: AnsweredRows,
    gold: pl.DataFrame,
    *,
    on: str,
    fields: Sequence[str] | None = None,
    score: str | pl.Expr | None = None,
    day_first: bool = True,
) -> tuple[list[tuple[float, bool]], Mapping[str, str]]:
    """Return the score of each gold row that has one and whether it is right, and what the scores are.

    All gold rows count, whatever they are for: nothing is proved here. ConfigError where the output has no score.
    """
    judged = judge_gold(output, gold, on=on, fields=fields, day_first=day_first)
    scores = _scores(output, judged, score, None)
    known = scores.row.to_list()
    pairs = zip((known[place] for place in judged.places), judged.right, strict=True)
    return [(one, is_right) for one, is_right in pairs if one is not None], scores.sources


def _top(field: str, output: AnsweredRows) -> str:
    return field if field in output.columns.values() else field.partition(".")[0]


def _notes(output: AnsweredRows, judged: JudgedGold, scores: Scores, unscored_gold: int) -> Iterator[str]:
    if ROUTE in output.rows.columns:
        yield f"these rows have been accepted or not before ({ROUTE}): gold that chose them does not prove them again"
    if judged.unanswered:
        yield f"{judged.unanswered:,} gold rows have no answer in this output, and are not accepted"
    if unscored_gold:
        yield f"{unscored_gold:,} gold rows have no score, and are not accepted"
    if scores.unscored:
        yield f"there is no score for {', '.join(scores.unscored)}: these fields count in what is right only"


def _routed(rows: pl.DataFrame, score: pl.Series, threshold: float | None) -> pl.DataFrame:
    """Return rows with the column `_route`: step, score, whether accepted, threshold."""
    accepted = pl.lit(value=False) if threshold is None else (pl.col("score") >= threshold).fill_null(value=False)
    route = pl.DataFrame({"score": score}).select(
        pl.struct(
            pl.when(accepted).then(1).cast(pl.Int64).alias("step"),
            "score",
            accepted.alias("accepted"),
            pl.lit(threshold, pl.Float64).alias("threshold"),
        ).alias(ROUTE)
    )
    return rows.drop(ROUTE, strict=False).hstack(route)


def _shifts(output: AnsweredRows, judged: JudgedGold, scores: Scores, on: str) -> tuple[Shift, ...]:
    """Return how all rows differ from the gold rows among them."""
    sample = pl.DataFrame({"score": scores.row, "length": _lengths(output, on)})
    labels = {name: output.answers[name] for name in judged.fields if _is_label(output.answers, name)}
    chosen = list(judged.places)
    return shifts(
        _sample(sample[chosen], {name: values[chosen] for name, values in labels.items()}), _sample(sample, labels)
    )


def _sample(numbers: pl.DataFrame, labels: dict[str, pl.Series]) -> ShiftSample:
    return ShiftSample(numbers["score"].drop_nulls().to_list(), numbers["length"].drop_nulls().to_list(), labels)


def _lengths(output: AnsweredRows, on: str) -> pl.Series:
    """Return how long the texts of the input are, row by row; null without any."""
    inside = {*output.columns, *ABOUT_ANSWERS, ROUTE, on}
    texts = [name for name, dtype in output.rows.schema.items() if dtype == pl.String and name not in inside]
    if not texts:
        return pl.repeat(None, output.rows.height, dtype=pl.Float64, eager=True)
    lengths = pl.sum_horizontal(pl.col(name).str.len_chars() for name in texts)
    return output.rows.select(lengths.cast(pl.Float64)).to_series()


def _is_label(answers: pl.DataFrame, name: str) -> bool:
    dtype = answers.schema.get(name)
    if isinstance(dtype, pl.Enum | pl.Categorical):
        return True
    return dtype == pl.String and answers[name].n_unique() <= min(_MAX_LABELS, math.isqrt(answers.height))
