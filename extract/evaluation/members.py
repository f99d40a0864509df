"""Scores of a field whose values are lists: which gold members were predicted, in any order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from extract.errors import ConfigError
from extract.evaluation.agreement import same_when_normalised
from extract.evaluation.intervals import Bootstrap, Interval
from extract.evaluation.matching import match
from extract.evaluation.pairing import Columns, Pairs
from extract.schema.mappings import as_pairs, is_mapping
from extract.schema.plain_text import json_value

__all__ = ["MemberScore", "check_member_keys", "member_score"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberScore:
    """Counts of the members of all lists; null counts as an empty list.

    `predicted` and `gold` are the members on either side. `matched` pairs of them are the same member: by the key
    fields where such are named, else by everything they hold. `equal` of these agree in everything that gold holds,
    when normalised.
    """

    predicted: int
    gold: int
    matched: int
    equal: int

    @property
    def precision(self) -> float | None:
        return self.matched / self.predicted if self.predicted else None

    @property
    def recall(self) -> float | None:
        return self.matched / self.gold if self.gold else None

    @property
    def f1(self) -> float | None:
        both = self.predicted + self.gold
        return 2 * self.matched / both if both else None


def check_member_keys(
    keys: Mapping[str, str | Sequence[str]], columns: Mapping[str, Columns], predicted: pl.DataFrame
) -> dict[str, tuple[str, ...]]:
    """Return the key fields of each list. Raises ConfigError for a field that is no list of structs or lacks them."""
    checked: dict[str, tuple[str, ...]] = {}
    for name, value in keys.items():
        wanted = (value,) if isinstance(value, str) else tuple(value)
        if name not in columns:
            raise ConfigError(f"keys: {name!r} is not judged; fields are {list(columns)!r}")
        dtype = predicted.select(columns[name][0]).to_series().dtype
        inner = dtype.inner if isinstance(dtype, pl.List | pl.Array) else None
        if isinstance(inner, pl.Struct):
            known = [item.name for item in inner.fields]
            if unknown := [key for key in wanted if key not in known]:
                raise ConfigError(f"keys: members of {name!r} have no field {unknown[0]!r}; they have {known!r}")
        elif dtype != pl.String:  # a text may be JSON
            raise ConfigError(f"keys: {name!r} is no list of structs but {dtype}")
        checked[name] = wanted
    return checked


def member_score(
    pairs: Pairs, key: Sequence[str], *, day_first: bool, resamples: int, seed: int
) -> tuple[MemberScore, dict[str, Interval]]:
    """Return the score of a list field and the interval of its F1, resampled by rows, not by members."""
    dicts = is_mapping(pairs.predicted.dtype) or is_mapping(pairs.gold.dtype)
    lists = ((_members(predicted, dicts=dicts), _members(gold, dicts=dicts)) for predicted, gold in pairs.both())
    rows = Counter(_row(predicted, gold, key, day_first) for predicted, gold in lists)
    rows += Counter((0, 0, 0, len(_members(gold, dicts=dicts))) for gold in pairs.unanswered.to_list())
    cells = sorted(rows.items())
    sums = [sum(row[place] * count for row, count in cells) for place in range(4)]
    score = MemberScore(matched=sums[0], equal=sums[1], predicted=sums[2], gold=sums[3])
    numbers = pl.DataFrame([row for row, _ in cells], schema=["matched", "equal", "predicted", "gold"], orient="row")
    numbers = numbers.with_row_index("row")
    bootstrap = Bootstrap([count for _, count in cells], lambda draws: _figures(draws, numbers), resamples, seed)
    return score, bootstrap.intervals({"member_f1": score.f1})


def _figures(draws: pl.DataFrame, numbers: pl.DataFrame) -> pl.DataFrame:
    sums = [(pl.col("times") * pl.col(name)).sum().alias(name) for name in ("matched", "predicted", "gold")]
    whole = draws.join(numbers, on="row").group_by("draw").agg(*sums)
    return whole.select("draw", member_f1=2 * pl.col("matched") / (pl.col("predicted") + pl.col("gold")))


def _row(
    predicted: Sequence[Any], gold: Sequence[Any], key: Sequence[str], day_first: bool
) -> tuple[int, int, int, int]:
    """Return how many members of one row are matched, equal, predicted and in gold."""

    def same(one: Any, other: Any) -> bool:
        return same_when_normalised(one, other, day_first=day_first)

    # Equal members first: a key may repeat, and then the member that is right in everything must not lose its match.
    equal, others, missing = match(predicted, gold, same)
    by_key = match(_keys_of(others, key), _keys_of(missing, key), same)[0] if key else 0
    return equal + by_key, equal, len(predicted), len(gold)


def _keys_of(members: Sequence[Any], key: Sequence[str]) -> list[dict[str, Any]]:
    """Return the key fields of members, leaving out members without a key."""
    keys = [{name: one.get(name) for name in key} for one in members if isinstance(one, dict)]
    return [one for one in keys if any(value is not None for value in one.values())]


def _members(value: Any, *, dicts: bool) -> list[Any]:
    """Return the members of a list or of a JSON text that holds one; any other value is a list of itself.

    Where the column holds `dicts`, the members of an object are its keys with their values.
    """
    if isinstance(value, str):
        value = json_value(value) if value.strip() else None
    if value is None:
        return []
    if dicts and isinstance(value, dict):
        return as_pairs(value)
    return value if isinstance(value, list) else [value]
