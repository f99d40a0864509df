"""Rows are joined by key, and each field that both frames have is scored.

Two measures stand side by side: `exact` asks whether the values are the same, `normalised` ignores case, blanks,
punctuation and the notation of dates, amounts and truth values.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Unpack

import polars as pl

from extract.errors import ConfigError
from extract.evaluation.confusion import Confusion, confusion_of
from extract.evaluation.costs import CostScore, cost_column, cost_score
from extract.evaluation.inputs import frames_of, spent_by
from extract.evaluation.intervals import Interval, share_interval
from extract.evaluation.labels import averages, label_intervals, label_scores
from extract.evaluation.members import check_member_keys, member_score
from extract.evaluation.mistakes import mistakes_of
from extract.evaluation.pairing import Pairs, check_meeting, common_fields, paired, with_equal_keys
from extract.evaluation.proof_rows import proof_keys, without_proof
from extract.evaluation.rejected import split_rejected
from extract.evaluation.scores import Evaluation, FieldKind, FieldScore
from extract.evaluation.verdicts import Verdicts, verdicts
from extract.extractor.gold import labelled_rows
from extract.io.forks import check_fork
from extract.io.read_options import ReadKeywords

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from decimal import Decimal

__all__ = ["evaluate"]

_MAX_LABELS: Final = 200
"""A text column holds labels if neither side has more distinct texts, and gold's occur twice or more on average."""


def evaluate(
    predicted: Any,
    gold: Any,
    *,
    on: str,
    fields: Sequence[str] | None = None,
    labels: Collection[str] = (),
    keys: Mapping[str, str | Sequence[str]] | None = None,
    day_first: bool = True,
    rejected: Collection[Any] = (),
    spent: Decimal | float | None = None,
    resamples: int = 2_000,
    seed: int = 0,
    prefix: str | None = None,
    **reading: Unpack[ReadKeywords],
) -> Evaluation:
    """Return how well `predicted` agrees with `gold`, row by row where the column `on` has the same value.

    Both are a Run or anything that `run` reads: frames of Polars, pandas or Arrow, rows, a path. Of a Run and of its
    Parquet file the columns of the answer are judged, those of the input only where `fields` names them.

    `fields` names what is judged, by default all that both frames have. A struct is judged whole and by its fields,
    `outer.inner`, which may also be named alone; names that only the prediction has are never judged.
    `labels` names fields to score as labels although they do not look like it: texts with many labels, or few rows.
    `keys` names, for a list of structs, the field or fields that identify a member: `{"items": "sku"}`.
    `day_first` reads 05/04/2026 in a text as 5 April.
    Where gold has the column `_split`, its proof rows count in every figure, and `mistakes` does not list them.
    `rejected` holds the keys of rows that were rejected and stand in `predicted` with nulls: they count as missing, as
    if they were left out. Where `predicted` has the column `_extract`, that says it.
    `prefix` is that of the columns of `predicted` where it is no Run and no Parquet file of one, which know it; gold
    may have it or not. `csv_separator`, `csv_quote`, `csv_encoding` and `sheet` say how the file `gold` is written, as
    in `run`; for `predicted` give `open_source(path, csv_separator=...)`.
    `spent` is what the whole run cost in US dollars, where its rows are those of gold: so the cost of rejected rows
    counts too. A Run knows it. Intervals of shares are Wilson's; those of F1, kappa and cost are a BCa bootstrap of
    `resamples` (0: none) from `seed`. Raises ConfigError for a missing, null or repeated key, no key in common, an
    unknown field, and nothing to judge.

        >>> predicted = pl.DataFrame({"id": [1, 2], "city": ["Bonn", "köln"]})
        >>> gold = pl.DataFrame({"id": [1, 2], "city": ["Bonn", "Köln"]})
        >>> evaluate(predicted, gold, on="id")["city"].normalised
        1.0
    """
    check_fork()
    if resamples < 0:
        raise ConfigError(f"resamples is how often the rows are drawn anew, 0 or more, not {resamples!r}")
    answers, gold = frames_of(
        {"predicted": predicted, "gold": gold}, on, inputs=fields is not None, prefix=prefix, reading=reading
    )
    spent = spent_by(predicted, gold.height) if spent is None else spent
    predicted, gold = with_equal_keys({"predicted": answers, "gold": gold}, on)
    check_meeting({"predicted": predicted, "gold": gold}, on)
    columns = common_fields(predicted, gold, on, fields)
    gold, unlabelled = _labelled(gold, columns)
    by_key = check_member_keys(keys or {}, columns, predicted)
    answered, failed = split_rejected(predicted, on, rejected)
    matched, unanswered, pairs = paired(answered, gold, on, list(columns.values()))
    judged = [verdicts(pair, day_first=day_first) for pair in pairs]
    options = _Options(labels, by_key, day_first, resamples, seed)
    scores = tuple(_score(*one, options) for one in zip(columns, pairs, judged, strict=True))
    right = [all(row) for row in zip(*(one.normalised for one in judged), strict=True)]
    missing, extra = gold.height - len(matched), answered.height - len(matched)
    spend = _spend(answered, failed, gold, on, right, None if extra else spent, options)
    wrong = mistakes_of(on, matched, unanswered, dict(zip(columns, zip(pairs, judged, strict=True), strict=True)))
    proof = proof_keys(gold, on)
    listed = without_proof(wrong, proof)
    return Evaluation(gold.height, missing, extra, scores, sum(right), spend, len(proof), unlabelled, _mistakes=listed)


def _labelled(gold: pl.DataFrame, fields: Iterable[str]) -> tuple[pl.DataFrame, int]:
    """Return the gold rows that somebody has labelled, and the number of the others. ConfigError where all are others.

    Fields within structs, `outer.inner`, are filled in with their struct.
    """
    labelled = labelled_rows(gold, [name.partition(".")[0] for name in fields])
    if labelled.is_empty() and gold.height:
        raise ConfigError(f"nobody has labelled a row of the gold: the columns of answers are empty, {list(fields)!r}")
    return labelled, gold.height - labelled.height


def _spend(
    answered: pl.DataFrame,
    failed: pl.DataFrame,
    gold: pl.DataFrame,
    on: str,
    right: Sequence[bool],
    spent: Decimal | float | None,
    options: _Options,
) -> CostScore | None:
    """Return what a correct row cost. Rejected rows count: they cost something and are never correct."""
    cost = cost_column(answered)
    if cost is None:
        return None
    keys = gold.select(key=on)
    known = [
        one
        for frame in (answered, failed)
        for one in keys.join(frame.select(key=on, cost=cost), on="key", maintain_order="left")["cost"].to_list()
    ]
    wrong = [False] * (len(known) - len(right))
    return cost_score(
        known,
        [*right, *wrong],
        missing=gold.height - len(known),
        spent=None if spent is None else float(spent),
        resamples=options.resamples,
        seed=options.seed,
    )


@dataclass(frozen=True, slots=True)
class _Options:
    labels: Collection[str]
    keys: Mapping[str, tuple[str, ...]]
    day_first: bool
    resamples: int
    seed: int


def _score(name: str, pairs: Pairs, judged: Verdicts, options: _Options) -> FieldScore:
    kind, n = _kind(pairs, keyed=name in options.keys, labelled=name in options.labels), len(pairs)
    hits = {"exact": sum(judged.exact), "normalised": sum(judged.normalised)}
    score = FieldScore(
        name=name,
        kind=kind,
        n=n,
        exact=hits["exact"] / n if n else None,
        normalised=hits["normalised"] / n if n else None,
        intervals=_share_intervals(hits, n),
    )
    if kind == "label" and n:
        return _with_labels(score, confusion_of(pairs), pairs.predicted.dtype, options)
    return _with_members(score, pairs, options) if kind == "list" and n else score


def _share_intervals(hits: Mapping[str, int], n: int) -> dict[str, Interval]:
    intervals = {name: share_interval(count, n) for name, count in hits.items()}
    return {name: interval for name, interval in intervals.items() if interval is not None}


def _kind(pairs: Pairs, *, keyed: bool, labelled: bool) -> FieldKind:
    dtypes = predicted, gold = pairs.predicted.dtype, pairs.gold.dtype
    if keyed or any(isinstance(dtype, pl.List | pl.Array) for dtype in dtypes):
        return "list"
    if predicted.is_nested() or gold.is_nested():
        return "nested"
    if labelled or isinstance(predicted, pl.Enum | pl.Categorical | pl.Boolean):
        return "label"
    if predicted != pl.String or gold != pl.String:
        return "value"
    texts = pl.concat([pairs.gold, pairs.unanswered]).drop_nulls()
    if pairs.predicted.n_unique() > _MAX_LABELS:
        return "text"
    return "label" if 0 < texts.n_unique() <= min(_MAX_LABELS, len(texts) // 2) else "text"


def _outside(confusion: Confusion, dtype: pl.DataType) -> dict[str, int]:
    """Return the gold labels that the schema does not have, so that no answer can be right, with their rows."""
    if not isinstance(dtype, pl.Enum):
        return {}
    known = {None, *dtype.categories.to_list()}
    counted = zip(confusion.labels, confusion.supports, strict=True)
    return {label: rows for label, rows in counted if label is not None and label not in known and rows}


def _with_labels(score: FieldScore, confusion: Confusion, dtype: pl.DataType, options: _Options) -> FieldScore:
    labels = label_scores(confusion)
    micro, macro, weighted = averages(confusion, labels)
    drawn = label_intervals(confusion, macro.f1, resamples=options.resamples, seed=options.seed)
    return replace(
        score,
        accuracy=confusion.hits / score.n,
        micro=micro,
        macro=macro,
        weighted=weighted,
        kappa=confusion.kappa,
        matthews=confusion.matthews,
        labels=labels,
        outside=_outside(confusion, dtype),
        confusion=confusion,
        intervals={**score.intervals, **_share_intervals({"accuracy": confusion.hits}, score.n), **drawn},
    )


def _with_members(score: FieldScore, pairs: Pairs, options: _Options) -> FieldScore:
    members, drawn = member_score(
        pairs,
        options.keys.get(score.name, ()),
        day_first=options.day_first,
        resamples=options.resamples,
        seed=options.seed,
    )
    return replace(score, members=members, intervals={**score.intervals, **drawn})
