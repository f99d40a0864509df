"""Two frames side by side: rows joined by key, and the fields that both have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import polars as pl

from extract.errors import ConfigError

__all__ = [
    "ABOUT_ANSWERS",
    "Columns",
    "Pairs",
    "check_keys",
    "check_meeting",
    "common_fields",
    "paired",
    "with_equal_keys",
]

ABOUT_ANSWERS: Final = ("_extract", "_spans", "_agreement", "_route")
"""Columns about the answers, not answers: judged only where they are named."""

Columns: TypeAlias = tuple[pl.Expr, pl.Expr]
"""The expressions that read one field from the first and from the second frame."""


def with_equal_keys(frames: Mapping[str, pl.DataFrame], on: str) -> list[pl.DataFrame]:
    """Return frames with keys of one dtype; refuse keys that do not identify rows. Names of frames are for errors."""
    for side, frame in frames.items():
        check_keys(side, frame, on)
    dtypes = [frame.schema[on] for frame in frames.values()]
    if len(set(dtypes)) == 1:
        return list(frames.values())
    # One CSV reader makes 1 of a key and another 1.0; as texts they would never be equal.
    fractional = all(dtype.is_numeric() for dtype in dtypes) and any(dtype.is_float() for dtype in dtypes)
    key = pl.col(on).cast(pl.Float64 if fractional else pl.String)
    try:
        cast = [frame.with_columns(key) for frame in frames.values()]
    except pl.exceptions.PolarsError:
        kinds = ", ".join(f"{side} {dtype}" for side, dtype in zip(frames, dtypes, strict=True))
        raise ConfigError(f"keys {on!r} of these types cannot be compared: {kinds}; cast them to one type") from None
    for side, frame in zip(frames, cast, strict=True):
        check_keys(side, frame, on)  # again: different whole numbers beyond 2 ** 53 become the same float
    return cast


def check_keys(side: str, frame: pl.DataFrame, on: str) -> None:
    """Raise ConfigError for keys that are missing, null or repeated."""
    if on not in frame.columns:
        raise ConfigError(f"the {side} frame has no column {on!r} to join on; it has {frame.columns!r}")
    keys = frame[on]
    if keys.null_count():
        raise ConfigError(f"{keys.null_count()} {side} rows have no value in the key column {on!r}")
    repeated = keys.filter(keys.is_duplicated()).unique(maintain_order=True).to_list()
    if repeated:
        more = f" and {len(repeated) - 5} more" if len(repeated) > 5 else ""
        raise ConfigError(f"keys must be unique, but {on!r} of the {side} frame repeats {repeated[:5]!r}{more}")


def check_meeting(frames: Mapping[str, pl.DataFrame], on: str) -> None:
    """Raise ConfigError where two frames have rows but no key in common. Names of frames are for the error."""
    first, second = frames.values()
    if first.is_empty() or second.is_empty() or first[on].is_in(second[on].implode()).any():
        return
    shown = [f"{side} has {frame[on].head(3).to_list()!r}" for side, frame in frames.items()]
    raise ConfigError(f"no key {on!r} stands on both sides: {', '.join(shown)}; join on a column that names records")


def common_fields(
    first: pl.DataFrame, second: pl.DataFrame, on: str, fields: Sequence[str] | None
) -> dict[str, Columns]:
    """Return the chosen fields that both frames have, in the order chosen; by default all answers.

    A struct is followed by its fields as `outer.inner`. Raises ConfigError for unknown fields and where there are none.
    """
    in_second = dict(_paths(second))
    known = {path: (expr, in_second[path]) for path, expr in _paths(first) if path in in_second and path != on}
    if not known and (prefixed := _prefixed(first, second, on) or _prefixed(second, first, on)):
        raise ConfigError(
            f"the frames have no field in common besides the key; name the prefix of {prefixed} with prefix="
        )
    return {name: known[name] for name in _chosen(fields, list(known))}


def _prefixed(first: pl.DataFrame, second: pl.DataFrame, on: str) -> str | None:
    """Return a column that is one of the other frame with a prefix, in words; None without any."""
    names = [name for name in second.columns if name != on]
    prefixed = ((column, name) for column in first.columns for name in names if column.endswith(name) and column != on)
    return next((f"{column!r}, which is {name!r} there," for column, name in prefixed), None)


def _paths(frame: pl.DataFrame) -> Iterator[tuple[str, pl.Expr]]:
    """Yield every column and, after each struct, its fields as `outer.inner`, unless a column has that very name."""
    for name, dtype in frame.schema.items():
        for path, expr in _inner_paths(name, pl.col(name), dtype):
            if path == name or path not in frame.columns:
                yield path, expr


def _inner_paths(path: str, expr: pl.Expr, dtype: Any) -> Iterator[tuple[str, pl.Expr]]:
    yield path, expr
    if isinstance(dtype, pl.Struct):
        for inner in dtype.fields:
            yield from _inner_paths(f"{path}.{inner.name}", expr.struct.field(inner.name), inner.dtype)


def _chosen(fields: Sequence[str] | None, known: list[str]) -> list[str]:
    answers = [name for name in known if name.partition(".")[0] not in ABOUT_ANSWERS]
    if not (answers or fields):
        raise ConfigError("the predicted and the gold frame have no field in common besides the key")
    if fields is None:
        return answers
    if unknown := [name for name in fields if name not in known]:
        raise ConfigError(f"cannot judge {unknown!r}; fields that both frames have: {known!r}")
    inside = {name: [path for path in known if path.startswith(f"{name}.")] for name in fields}
    return list(dict.fromkeys(path for name in fields for path in (name, *inside[name])))


@dataclass(frozen=True, slots=True)
class Pairs:
    """One field's values: predicted beside gold, and the gold values of rows without a prediction.

    Invariant: `predicted` and `gold` are equally long and in the order of the same keys.
    """

    predicted: pl.Series
    gold: pl.Series
    unanswered: pl.Series

    def __len__(self) -> int:
        return len(self.gold) + len(self.unanswered)

    def both(self) -> Iterator[tuple[Any, Any]]:
        return zip(self.predicted.to_list(), self.gold.to_list(), strict=True)


def paired(
    predicted: pl.DataFrame, gold: pl.DataFrame, on: str, columns: Sequence[Columns]
) -> tuple[pl.Series, pl.Series, list[Pairs]]:
    """Return the keys of gold rows with and without a prediction, and the pairs of each column in their order."""
    key = pl.col(on).alias("key")
    # Both sides may have a column of one name, and expressions of structs have none: so all get names of their own.
    left = gold.select(key, *(column.alias(f"gold {i}") for i, (_, column) in enumerate(columns)))
    right = predicted.select(key, *(column.alias(f"predicted {i}") for i, (column, _) in enumerate(columns)))
    both = left.join(right, on="key", how="inner", maintain_order="left")
    unanswered = left.join(right, on="key", how="anti", maintain_order="left")
    pairs = []
    for i in range(len(columns)):
        pair = _equally_precise(both[f"predicted {i}"], both[f"gold {i}"])
        pairs.append(Pairs(*pair, unanswered[f"gold {i}"]))
    return both["key"], unanswered["key"], pairs


def _equally_precise(predicted: pl.Series, gold: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Return both sides rounded to Float32 where either holds it; otherwise unchanged."""
    shortest: Mapping[Any, Any] = {pl.Float32: pl.String}
    if all(_recast(side.dtype, shortest) == side.dtype for side in (predicted, gold)):
        return predicted, gold
    return _rounded(predicted, shortest), _rounded(gold, shortest)


def _rounded(side: pl.Series, shortest: Mapping[Any, Any]) -> pl.Series:
    """Return Float64 values that have no more digits than Float32 holds."""
    single = side.cast(_recast(side.dtype, {pl.Float64: pl.Float32}))
    # By way of the shortest notation: cast directly to a double, 60.31 would become 60.310001.
    text = single.cast(_recast(single.dtype, shortest))
    return text.cast(_recast(single.dtype, {pl.Float32: pl.Float64}))


def _recast(dtype: Any, types: Mapping[Any, Any]) -> Any:
    """Return a dtype with some types replaced, within lists and structs too."""
    if isinstance(dtype, pl.Struct):
        return pl.Struct({inner.name: _recast(inner.dtype, types) for inner in dtype.fields})
    if isinstance(dtype, pl.List):
        return pl.List(_recast(dtype.inner, types))
    return types.get(type(dtype), dtype)
