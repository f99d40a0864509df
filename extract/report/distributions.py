"""How the values of each field are distributed: Polars counts over all rows, only a few dozen numbers come back.

Every query streams, so memory does not grow with the rows. Columns of any type may come: what cannot be counted is
left out, never an error.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import polars as pl

__all__ = ["Bar", "Bin", "Distribution", "distributions"]

MAX_FIELDS = 40
_MAX_BARS = 24
_BINS = 24
_MAX_DEPTH = 4
_FAR = 6.0  # times the interquartile range: values farther out are counted in a note, not drawn
_MAX_INTEGER = 2**63  # the renderer reads smaller ones as whole numbers
_MAX_COUNTED = 1_000_000  # texts up to which the distinct ones are counted exactly
_FREQUENT_TEXTS, _MAX_TEXT = 3, 40
_MAX_LABELS = 50  # a text column with at most that many distinct texts, each twice on average, holds labels
#: Longest range in days, the length of one bar, and how it is written; beyond these, years are counted.
_CALENDAR = ((45, "1d", "%Y-%m-%d"), (1_500, "1mo", "%Y-%m"))
_MAX_YEARS = 50  # bars, each of one, ten or a hundred years


class Bar(NamedTuple):
    """How many rows have one label."""

    label: str
    rows: int


class Bin(NamedTuple):
    """How many numbers lie from `start` to below `end`."""

    start: float
    end: float
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """How the values of one field are distributed. `n` counts values without nulls; `facts` are figures as text.

    `kind` says what the bars are: labels, parts of the calendar, or bins of numbers (of lengths, for texts).
    """

    path: str
    dtype: str
    kind: Literal["labels", "dates", "numbers", "lengths"]
    n: int
    nulls: int
    bars: tuple[Bar, ...] = ()
    bins: tuple[Bin, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    note: str | None = None


class _Leaf(NamedTuple):
    path: str
    values: pl.Expr
    dtype: Any


def distributions(rows: pl.LazyFrame, columns: Sequence[str]) -> tuple[list[Distribution], int]:
    """Return the distributions of the first fields of these columns, and how many more fields there are."""
    schema = rows.collect_schema()
    leaves = [leaf for name in columns for leaf in _leaves(name, pl.col(name), schema[name])]
    drawn = [_distribution(rows, leaf) for leaf in leaves[:MAX_FIELDS]]
    return [one for one in drawn if one is not None], max(0, len(leaves) - MAX_FIELDS)


def _leaves(path: str, values: pl.Expr, dtype: Any, depth: int = 0) -> Iterator[_Leaf]:
    """Yield what can be counted in a column: members of structs, lengths of lists, and their items."""
    if isinstance(dtype, pl.Array):
        values, dtype = values.cast(pl.List(dtype.inner)), pl.List(dtype.inner)
    if isinstance(dtype, pl.Struct):
        for field in dtype.fields if depth < _MAX_DEPTH else ():
            yield from _leaves(f"{path}.{field.name}", values.struct.field(field.name), field.dtype, depth + 1)
    elif isinstance(dtype, pl.List):
        yield _Leaf(f"{path}: number of items", values.list.len(), pl.UInt32())
        items = values.explode(empty_as_null=False, keep_nulls=False)
        if depth < _MAX_DEPTH:
            yield from _leaves(f"{path}[]", items, dtype.inner, depth + 1)
    elif not isinstance(dtype, pl.Binary | pl.Object | pl.Null):
        yield _Leaf(path, values, dtype)


def _distribution(rows: pl.LazyFrame, leaf: _Leaf) -> Distribution | None:
    values = rows.select(leaf.values.alias("v"))
    dtype = leaf.dtype
    try:
        n, nulls = _row(values.select(pl.col("v").count().alias("n"), pl.col("v").null_count().alias("nulls")))
        about = _About(leaf.path, _dtype_name(dtype), values.drop_nulls(), n, nulls)
        if isinstance(dtype, pl.Boolean | pl.Enum | pl.Categorical):
            return _labels(about, dtype)
        if dtype.is_numeric():
            return _numbers(about, pl.col("v"), whole=dtype.is_integer())
        if isinstance(dtype, pl.Duration):
            return _numbers(about, pl.col("v").dt.total_milliseconds() / 1000, unit=" s")
        if isinstance(dtype, pl.Date | pl.Datetime):
            return _dates(about)
        if isinstance(dtype, pl.Time):
            return _numbers(about, pl.col("v").dt.hour(), whole=True, unit=" h")
        return _texts(about)
    except (pl.exceptions.PolarsError, OverflowError, ValueError):
        return None  # for example dates beyond the calendar; the table of records shows such values all the same


class _About(NamedTuple):
    path: str
    dtype: str
    values: pl.LazyFrame
    n: int
    nulls: int

    def distribution(self, kind: Literal["labels", "dates", "numbers", "lengths"], **parts: Any) -> Distribution:
        return Distribution(path=self.path, dtype=self.dtype, kind=kind, n=self.n, nulls=self.nulls, **parts)


def _row(query: pl.LazyFrame) -> tuple[Any, ...]:
    return query.collect(engine="streaming").row(0)


def _counts(values: pl.LazyFrame, by: pl.Expr) -> dict[Any, int]:
    """Return how often each value of an expression occurs, the most frequent first."""
    counted = values.group_by(by.alias("k")).len("c").sort("c", "k", descending=[True, False])
    return dict(counted.collect(engine="streaming").iter_rows())


def _labels(about: _About, dtype: Any) -> Distribution:
    counts = _counts(about.values, pl.col("v").cast(pl.String))
    categories = dtype.categories.to_list() if isinstance(dtype, pl.Enum) else list(counts)
    known = counts | {label: 0 for label in categories if label not in counts}
    shown = [Bar(label, count) for label, count in known.items()]
    note = None
    if len(shown) > _MAX_BARS:
        rest = shown[_MAX_BARS:]
        note = f"the {_MAX_BARS} most frequent of {len(shown):,}; the others have {sum(r.rows for r in rest):,} rows"
    facts = (("labels", f"{len(counts):,}" + (f" of {len(known):,}" if len(known) > len(counts) else "")),)
    return about.distribution("labels", bars=tuple(shown[:_MAX_BARS]), facts=facts, note=note)


def _texts(about: _About) -> Distribution:
    is_counted, v = about.n <= _MAX_COUNTED, pl.col("v")
    (distinct,) = _row(about.values.select(v.n_unique() if is_counted else v.approx_n_unique()))
    if about.n and distinct <= _MAX_LABELS and 2 * distinct <= about.n:
        return _labels(about, None)
    lengths = _numbers(about, pl.col("v").str.len_chars(), whole=True)
    words = {"lowest": "shortest", "highest": "longest"}
    facts = tuple((words.get(name, name), figure) for name, figure in lengths.facts if name != "mean")
    different = ("different", f"{distinct:,}" if is_counted else f"about {min(distinct, about.n):,}")
    often = _frequent_texts(about) if is_counted and distinct < about.n else ()
    return replace(lengths, kind="lengths", facts=(*facts, different, *often))


def _frequent_texts(about: _About) -> tuple[tuple[str, str], ...]:
    """Return the most frequent texts, each with its number of rows."""
    counted = about.values.group_by("v").len("c").filter(pl.col("c") > 1)
    top = counted.sort("c", "v", descending=[True, False]).head(_FREQUENT_TEXTS).collect(engine="streaming")
    return (
        (
            "most frequent",
            ", ".join(f"{text.strip()[:_MAX_TEXT] or '(blank)'} ({rows:,})" for text, rows in top.iter_rows()),
        ),
    )


def _numbers(about: _About, numbers: pl.Expr, *, whole: bool = False, unit: str = "") -> Distribution:
    """Return figures and bins; few different whole numbers get a bar each."""
    v = pl.col("v")
    finite = about.values.select(numbers.cast(pl.Int64 if whole else pl.Float64, strict=False).alias("v"))
    finite = finite.filter(v.is_finite())  # whole numbers stay integers: as floats, large ones would become equal
    figures = {"lowest": v.min(), "median": v.median(), "mean": v.mean(), "highest": v.max()}
    quarters = {"q1": v.quantile(0.25), "q3": v.quantile(0.75)}
    *values, q1, q3, distinct = _row(finite.select(**figures, **quarters, distinct=v.approx_n_unique()))
    if values[0] is None:
        return about.distribution("numbers")
    facts = tuple((name, _number(value) + unit) for name, value in zip(figures, values, strict=True))
    lowest, highest = values[0], values[-1]
    low, high = _range(lowest, highest, q1, q3)
    if (low, high) != (lowest, highest):
        # The limits are computed, so no value may lie near them: bins begin and end at values that exist.
        low, high = _row(finite.filter(v.is_between(low, high)).select(v.min().alias("low"), v.max().alias("high")))
    return about.distribution(
        "numbers",
        facts=facts,
        **_drawn(finite, _bins(finite, (low, high), min(_BINS, distinct), whole=whole), whole=whole),
    )


def _range(low: float, high: float, q1: float, q3: float) -> tuple[float, float]:
    """Return the range that is drawn. Outliers stay out where one bar would be left for everything else."""
    reach = _FAR * (q3 - q1)
    if not 0 < reach < (high - low) / 2:
        return low, high
    return max(low, q1 - reach), min(high, q3 + reach)


def _drawn(finite: pl.LazyFrame, bins: list[Bin], *, whole: bool) -> dict[str, Any]:
    if not bins:
        return {}
    v = pl.col("v")
    below, above = _row(
        finite.select((v < bins[0].start).sum().alias("below"), (v >= bins[-1].end).sum().alias("above"))
    )
    outside = [f"{below:,} below {_number(bins[0].start)}"] if below else []
    outside += [f"{above:,} from {_number(bins[-1].end)} on"] if above else []
    note = f"not drawn: {' and '.join(outside)}" if outside else None
    if whole and bins[0].end - bins[0].start == 1:
        return {"bars": tuple(Bar(_number(one.start), one.rows) for one in bins), "note": note}
    return {"bins": tuple(bins), "note": note}


def _bins(finite: pl.LazyFrame, reach: tuple[float, float], number: int, *, whole: bool) -> list[Bin]:
    """Return about `number` equal bins with round borders; values outside the range are left out."""
    low, high = reach
    width = _round_width((high - low) / max(1, number), whole=whole)
    if not math.isfinite(width):
        return []
    if whole:
        width = int(width)
    first = int(low // width)
    number = int(high // width) - first + 1
    # Bin i holds first + i <= v // width < first + i + 1: floor division puts negative values right, too.
    place = pl.col("v") // width - first
    counts = _counts(finite.filter((place >= 0) & (place < number)), place.cast(pl.Int64))
    edges = [
        edge if abs(edge) < _MAX_INTEGER else float(edge) for edge in ((first + i) * width for i in range(number + 1))
    ]
    return [Bin(start, end, counts.get(i, 0)) for i, (start, end) in enumerate(pairwise(edges))]


def _round_width(width: float, *, whole: bool) -> float:
    """Round up to 1, 2 or 5 times a power of ten; to at least 1 for whole numbers."""
    if width <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(width))
    # The factor is for rounding errors: a width of 2 computed as 2.0000001 stays 2.
    rounded = next(step * power for step in (1, 2, 5, 10) if step * power >= width * 0.999)
    return max(1.0, rounded) if whole else rounded


def _dates(about: _About) -> Distribution:
    v = pl.col("v").cast(pl.Date)
    day = v.cast(pl.Int32)
    figures = {"first": v.min(), "last": v.max(), "low": day.min(), "high": day.max()}
    first, last, *days = _row(about.values.select(**figures, q1=day.quantile(0.25), q3=day.quantile(0.75)))
    if first is None:
        return about.distribution("dates")
    drawn = day.is_between(*_range(*days))
    values = about.values.filter(drawn)
    low, high, n = _row(values.select(v.min().alias("low"), v.max().alias("high"), v.count().alias("n")))
    note = f"not drawn: {about.n - n:,} before {low} or after {high}" if n < about.n else None
    every, form = next((rest for days, *rest in _CALENDAR if (high - low).days <= days), (None, ""))
    bars = _years(values, v, low, high) if every is None else _calendar_bars(values, v, (low, high), every, form)
    facts = (("first", first.isoformat()), ("last", last.isoformat()))
    return about.distribution("dates", bars=bars, facts=facts, note=note)


def _calendar_bars(
    values: pl.LazyFrame, v: pl.Expr, reach: tuple[date, date], every: str, form: str
) -> tuple[Bar, ...]:
    """Return the days or months from the first to the last, including those without a row."""
    counts = _counts(values, v.dt.truncate(every))
    first = pl.Series(reach[:1]).dt.truncate(every)[0]
    starts = pl.date_range(first, reach[1], every, eager=True)
    return tuple(Bar(start.strftime(form), counts.get(start, 0)) for start in starts)


def _years(values: pl.LazyFrame, v: pl.Expr, low: date, high: date) -> tuple[Bar, ...]:
    step = next(step for step in (1, 10, 100, 1000) if (high.year - low.year) / step <= _MAX_YEARS or step == 1000)
    counts = _counts(values, v.dt.year() // step * step)
    starts = range(low.year // step * step, high.year + 1, step)
    return tuple(Bar(f"{start}s" if step > 1 else f"{start}", counts.get(start, 0)) for start in starts)


def _number(value: float) -> str:
    """Return a number with about five digits; whole numbers below 10 ** 12 in full."""
    if value == round(value) and abs(value) < 1e12:
        return f"{value:,.0f}"
    return f"{value:,.2f}" if 100 <= abs(value) < 1e9 else f"{value:.4g}"


def _dtype_name(dtype: Any) -> str:
    if isinstance(dtype, pl.Enum):
        return f"Enum of {len(dtype.categories)}"
    return "Decimal" if isinstance(dtype, pl.Decimal) else str(dtype)
