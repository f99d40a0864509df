"""Rows are paired by key, and each field both frames have is scored.

Two measures stand side by side: `exact` asks whether the values are the same, `normalised` forgives case, blanks,
punctuation and the written forms of dates, amounts and truth values.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import polars as pl

from extract.errors import ConfigError
from extract.evaluation.agreement import same_exactly, same_when_normalised
from extract.evaluation.written import written_boolean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

__all__ = ["Evaluation", "FieldScore", "LabelScore", "evaluate"]

FieldKind: TypeAlias = Literal["label", "text", "value", "nested"]

_MOST_LABELS: Final = 200
"""A text column holds labels if gold has at most this many distinct texts, each of them twice on average."""


@dataclass(frozen=True, slots=True)
class LabelScore:
    """How one label fared. `precision` is None where it was never predicted, `recall` where gold never has it.

    `label` is None for the rows whose gold value is null, which then count as a label of their own.
    """

    label: str | None
    precision: float | None
    recall: float | None
    f1: float
    support: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldScore:
    """How one field fared over `n` gold rows. Shares lie in 0..1 and are None where `n` is 0.

    `accuracy`, `macro_f1` and `labels` are there for labels only. Macro-F1 is the plain mean over every label
    that gold or the prediction uses.
    """

    name: str
    kind: FieldKind
    n: int
    exact: float | None
    normalised: float | None
    accuracy: float | None = None
    macro_f1: float | None = None
    labels: tuple[LabelScore, ...] = ()


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Scores of a prediction.

    `rows` counts gold rows, `missing` those of them without a prediction (wrong in every field), `extra` the
    predictions without gold (not judged).
    """

    rows: int
    missing: int
    extra: int
    fields: tuple[FieldScore, ...]

    def __getitem__(self, name: str) -> FieldScore:
        """Return the score of the field `name`; raise KeyError where it was not judged."""
        for score in self.fields:
            if score.name == name:
                return score
        raise KeyError(name)

    def frame(self) -> pl.DataFrame:
        """Return one row per field: field, kind, n, exact, normalised, accuracy, macro_f1, labels (their number)."""
        rows = [
            (item.name, item.kind, item.n, item.exact, item.normalised, item.accuracy, item.macro_f1, len(item.labels))
            for item in self.fields
        ]
        return pl.DataFrame(rows, schema=_FRAME_SCHEMA, orient="row")

    def __str__(self) -> str:
        header = ("field", "kind", "n", "exact", "normalised", "macro-F1")
        body = [
            (item.name, item.kind, str(item.n), _percent(item.exact), _percent(item.normalised), _mean(item.macro_f1))
            for item in self.fields
        ]
        widths = [max(map(len, column)) for column in zip(header, *body, strict=True)]
        lines = [_table_line(cells, widths) for cells in (header, *body)]
        return "\n".join([f"{self.rows} rows, {self.missing} missing, {self.extra} extra", *lines])


_FRAME_SCHEMA: Final = {
    "field": pl.String,
    "kind": pl.String,
    "n": pl.Int64,
    "exact": pl.Float64,
    "normalised": pl.Float64,
    "accuracy": pl.Float64,
    "macro_f1": pl.Float64,
    "labels": pl.Int64,
}


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def _mean(score: float | None) -> str:
    return "-" if score is None else f"{score:.3f}"


def _table_line(cells: Sequence[str], widths: Sequence[int]) -> str:
    """Return one line of the table: two columns of words to the left, figures to the right."""
    words = [cell.ljust(width) for cell, width in zip(cells[:2], widths[:2], strict=True)]
    figures = [cell.rjust(width) for cell, width in zip(cells[2:], widths[2:], strict=True)]
    return "  ".join(words + figures)


def evaluate(
    predicted: pl.DataFrame,
    gold: pl.DataFrame,
    *,
    on: str,
    fields: Sequence[str] | None = None,
    day_first: bool = True,
) -> Evaluation:
    """Return how well `predicted` agrees with `gold`, row by row where the column `on` has the same value.

    `fields` names what is judged, by default all that both frames have. A struct is judged whole and by its fields,
    `outer.inner`, which may also be named alone; names that only the prediction has are never judged.
    `day_first` reads 05/04/2026 in a text as 5 April.
    Raises ConfigError for a missing, null or repeated key, an unknown field, and where there is nothing to judge.
    """
    predicted, gold = _with_equal_keys(predicted, gold, on)
    columns = _field_columns(predicted, gold, on)
    chosen = {name: columns[name] for name in _chosen_fields(fields, list(columns))}
    matched, pairs = _paired(predicted, gold, on, list(chosen.values()))
    scores = tuple(_score_field(name, pair, day_first) for name, pair in zip(chosen, pairs, strict=True))
    return Evaluation(gold.height, gold.height - matched, predicted.height - matched, scores)


# Keys and columns -----------------------------------------------------------------------------------------------------


def _with_equal_keys(predicted: pl.DataFrame, gold: pl.DataFrame, on: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return both frames with keys of one dtype; refuse keys that do not tell rows apart."""
    for side, frame in (("predicted", predicted), ("gold", gold)):
        _check_key(side, frame, on)
    ours, theirs = predicted.schema[on], gold.schema[on]
    if ours == theirs:
        return predicted, gold
    # A CSV reader makes 1 of an integer key and another 1.0; as texts they would never meet.
    fractional = ours.is_numeric() and theirs.is_numeric() and (ours.is_float() or theirs.is_float())
    key = pl.col(on).cast(pl.Float64 if fractional else pl.String)
    return predicted.with_columns(key), gold.with_columns(key)


def _check_key(side: str, frame: pl.DataFrame, on: str) -> None:
    if on not in frame.columns:
        raise ConfigError(f"the {side} frame has no column {on!r} to join on; it has {frame.columns!r}")
    keys = frame[on]
    if keys.null_count():
        raise ConfigError(f"{keys.null_count()} {side} rows have no value in the key column {on!r}")
    repeated = keys.filter(keys.is_duplicated()).unique(maintain_order=True).to_list()
    if repeated:
        more = f" and {len(repeated) - 5} more" if len(repeated) > 5 else ""
        raise ConfigError(f"keys must be unique, but {on!r} of the {side} frame repeats {repeated[:5]!r}{more}")


def _field_columns(predicted: pl.DataFrame, gold: pl.DataFrame, on: str) -> dict[str, tuple[pl.Expr, pl.Expr]]:
    """Return, in the prediction's order, the fields both frames have, and how to read each from either."""
    theirs = dict(_paths(gold))
    return {path: (expr, theirs[path]) for path, expr in _paths(predicted) if path in theirs and path != on}


def _paths(frame: pl.DataFrame) -> Iterator[tuple[str, pl.Expr]]:
    """Yield every column and, after each struct, its fields as `outer.inner`; a column of that very name wins."""
    for name, dtype in frame.schema.items():
        for path, expr in _inner_paths(name, pl.col(name), dtype):
            if path == name or path not in frame.columns:
                yield path, expr


def _inner_paths(path: str, expr: pl.Expr, dtype: Any) -> Iterator[tuple[str, pl.Expr]]:
    yield path, expr
    if isinstance(dtype, pl.Struct):
        for inner in dtype.fields:
            yield from _inner_paths(f"{path}.{inner.name}", expr.struct.field(inner.name), inner.dtype)


def _chosen_fields(fields: Sequence[str] | None, known: list[str]) -> list[str]:
    if not known:
        raise ConfigError("the predicted and the gold frame have no field in common besides the key")
    if fields is None:
        return known
    if unknown := [name for name in fields if name not in known]:
        raise ConfigError(f"cannot judge {unknown!r}; fields that both frames have: {known!r}")
    inside = {name: [path for path in known if path.startswith(f"{name}.")] for name in fields}
    return list(dict.fromkeys(path for name in fields for path in (name, *inside[name])))


@dataclass(frozen=True, slots=True)
class _Pairs:
    """One field's values: predicted beside gold where a prediction came, and the gold values that got none."""

    predicted: pl.Series
    gold: pl.Series
    unanswered: pl.Series

    def __len__(self) -> int:
        return len(self.gold) + len(self.unanswered)

    def both(self) -> Iterator[tuple[Any, Any]]:
        return zip(self.predicted.to_list(), self.gold.to_list(), strict=True)


def _paired(
    predicted: pl.DataFrame, gold: pl.DataFrame, on: str, columns: Sequence[tuple[pl.Expr, pl.Expr]]
) -> tuple[int, list[_Pairs]]:
    """Return how many gold rows have a prediction, and the pairs of each column."""
    key = pl.col(on).alias("key")
    ours = predicted.select(key, *(column.alias(f"predicted {i}") for i, (column, _) in enumerate(columns)))
    theirs = gold.select(key, *(column.alias(f"gold {i}") for i, (_, column) in enumerate(columns)))
    both = theirs.join(ours, on="key", how="inner")
    alone = theirs.join(ours, on="key", how="anti")
    names = [(f"predicted {i}", f"gold {i}") for i in range(len(columns))]
    return both.height, [_Pairs(both[our], both[their], alone[their]) for our, their in names]


# Scores ---------------------------------------------------------------------------------------------------------------


def _score_field(name: str, pairs: _Pairs, day_first: bool) -> FieldScore:
    kind, n, tally = _kind(pairs), len(pairs), _tally(pairs)
    score = FieldScore(
        name=name,
        kind=kind,
        n=n,
        exact=_share(same_exactly, tally, n),
        normalised=_share(lambda ours, theirs: same_when_normalised(ours, theirs, day_first=day_first), tally, n),
    )
    return _with_labels(score, pairs) if kind == "label" else score


def _kind(pairs: _Pairs) -> FieldKind:
    ours, theirs = pairs.predicted.dtype, pairs.gold.dtype
    if ours.is_nested() or theirs.is_nested():
        return "nested"
    if isinstance(ours, pl.Enum | pl.Categorical | pl.Boolean):
        return "label"
    if ours != pl.String or theirs != pl.String:
        return "value"
    texts = pl.concat([pairs.gold, pairs.unanswered]).drop_nulls()
    return "label" if 0 < texts.n_unique() <= min(_MOST_LABELS, len(texts) // 2) else "text"


def _tally(pairs: _Pairs) -> list[tuple[Any, Any, int]]:
    """Return (predicted, gold, how often); values that can be hashed are compared once per distinct pair."""
    if pairs.predicted.dtype.is_nested() or pairs.gold.dtype.is_nested():
        return [(ours, theirs, 1) for ours, theirs in pairs.both()]
    return [(ours, theirs, count) for (ours, theirs), count in Counter(pairs.both()).items()]


def _share(same: Callable[[Any, Any], bool], tally: Iterable[tuple[Any, Any, int]], n: int) -> float | None:
    return sum(count for ours, theirs, count in tally if same(ours, theirs)) / n if n else None


def _with_labels(score: FieldScore, pairs: _Pairs) -> FieldScore:
    """Return the score of a label field with accuracy, macro-F1 and the label's own scores filled in."""
    as_label = _boolean_label if pairs.predicted.dtype == pl.Boolean else _text_label
    answered = Counter((as_label(ours), as_label(theirs)) for ours, theirs in pairs.both())
    labels = _label_scores(answered, Counter(as_label(theirs) for theirs in pairs.unanswered.to_list()))
    return replace(
        score,
        accuracy=sum(n for (ours, theirs), n in answered.items() if ours == theirs) / score.n if score.n else None,
        macro_f1=sum(label.f1 for label in labels) / len(labels) if labels else None,
        labels=labels,
    )


def _text_label(value: Any) -> str | None:
    return None if value is None else str(value)


def _boolean_label(value: Any) -> str | None:
    truth = written_boolean(value) if isinstance(value, str) else value
    return _text_label(value) if truth is None else str(bool(truth)).lower()


def _label_scores(
    answered: Counter[tuple[str | None, str | None]], unanswered: Counter[str | None]
) -> tuple[LabelScore, ...]:
    """Return a score per label, sorted, null last. A null prediction is a label only where gold has nulls too."""
    support, predictions, hits = unanswered.copy(), Counter[str | None](), Counter[str | None]()
    for (ours, theirs), count in answered.items():
        support[theirs] += count
        predictions[ours] += count
        hits[theirs] += count if ours == theirs else 0
    labels = support.keys() | (predictions.keys() - {None})
    ordered = sorted(labels, key=lambda label: (label is None, label or ""))
    return tuple(_label_score(label, hits[label], predictions[label], support[label]) for label in ordered)


def _label_score(label: str | None, hits: int, predictions: int, support: int) -> LabelScore:
    precision = hits / predictions if predictions else None
    recall = hits / support if support else None
    return LabelScore(label, precision, recall, 2 * hits / (predictions + support), support)
