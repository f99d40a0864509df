"""The values that are wrong, one row each: what a person looks at after the score."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from typing import Any

import polars as pl

from extract.evaluation.pairing import Pairs
from extract.evaluation.tables import as_text
from extract.evaluation.verdicts import Verdicts

__all__ = ["mistakes_of"]


def mistakes_of(
    on: str, answered: pl.Series, unanswered: pl.Series, judged: Mapping[str, tuple[Pairs, Verdicts]]
) -> pl.DataFrame:
    """Return a row per wrong value, those of rows without a prediction last.

    The columns are the key, `field`, `predicted`, `gold`, `missing`. Values are as text, null is null. Wrong is what is
    not even right when normalised; `missing` is True where there is no prediction. A key column that has one of these
    names is called `key`.
    """
    order = {key: place for place, key in enumerate([*answered.to_list(), *unanswered.to_list()])}
    names = list(judged)
    rows = [row for name, (pairs, verdicts) in judged.items() for row in _wrong(name, answered, pairs, verdicts)]
    rows += [row for name, (pairs, _) in judged.items() for row in _missing(name, unanswered, pairs)]
    rows.sort(key=lambda row: (order[row[0]], names.index(row[1])))
    columns = {"field": pl.String(), "predicted": pl.String(), "gold": pl.String(), "missing": pl.Boolean()}
    key = "key" if on in columns else on
    return pl.DataFrame(rows, schema={key: answered.dtype, **columns}, orient="row")


_Row = tuple[Hashable, str, str | None, str | None, bool]


def _wrong(name: str, keys: pl.Series, pairs: Pairs, verdicts: Verdicts) -> Iterator[_Row]:
    for key, (predicted, gold), right in zip(keys.to_list(), pairs.both(), verdicts.normalised, strict=True):
        if not right:
            yield key, name, as_text(predicted), as_text(gold), False


def _missing(name: str, keys: pl.Series, pairs: Pairs) -> Iterator[_Row]:
    golds: list[Any] = pairs.unanswered.to_list()
    for key, gold in zip(keys.to_list(), golds, strict=True):
        yield key, name, None, as_text(gold), True
