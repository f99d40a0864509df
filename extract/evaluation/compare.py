"""Two runs over the same rows: what changed, and which of them is right more often."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final, Unpack

import polars as pl

from extract.evaluation.agreement import same_exactly
from extract.evaluation.inputs import frames_of
from extract.evaluation.pairing import Columns, Pairs, check_meeting, common_fields, paired, with_equal_keys
from extract.evaluation.proof_rows import proof_keys, without_proof
from extract.evaluation.rejected import split_rejected
from extract.evaluation.tables import aligned, as_text, html_table
from extract.evaluation.verdicts import verdicts
from extract.extractor.gold import labelled_rows
from extract.io.forks import check_fork
from extract.io.read_options import ReadKeywords

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

__all__ = ["Comparison", "FieldComparison", "compare", "mcnemar"]

_GOLDLESS: Final = ("field", "rows", "changed")
_HEADER: Final = (*_GOLDLESS, "both right", "only a", "only b", "neither", "p")


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldComparison:
    """How two runs differ in one field.

    Of the `rows` that both have, `changed` hold another value. Of the gold rows, `both` are right in both runs when
    normalised, `only_a` and `only_b` in one of them, `neither` in none; a row that a run lacks is wrong. `p_value` is
    that of McNemar's exact test: how likely such an uneven split is if both runs are equally good. The last five are
    None without gold.
    """

    name: str
    rows: int
    changed: int
    both: int | None = None
    only_a: int | None = None
    only_b: int | None = None
    neither: int | None = None
    p_value: float | None = None

    def cells(self) -> tuple[str, ...]:
        """Return one text per column of the table."""
        counts = [
            "-" if count is None else f"{count:,}" for count in (self.both, self.only_a, self.only_b, self.neither)
        ]
        return (self.name, f"{self.rows:,}", f"{self.changed:,}", *counts, _p(self.p_value))


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two runs, a and b, side by side.

    `rows` are in both, `only_in_a` and `only_in_b` in one: these are compared with gold, never with each other.
    `gold` counts gold rows, None without gold; `unjudged` rows of a or b are not in gold. `changes` has one row per
    changed value: the key, `field`, `a`, `b` and, with gold, `gold`, as text; null is null, and rows that gold keeps
    for a proof are left out. A key column that has one of these names is called `key` there.

        >>> a = pl.DataFrame({"id": [1, 2], "city": ["Bonn", "Essen"]})
        >>> b = pl.DataFrame({"id": [1, 2], "city": ["Bonn", "Köln"]})
        >>> compare(a, b, on="id").changes.rows()
        [(2, 'city', 'Essen', 'Köln')]
    """

    rows: int
    only_in_a: int
    only_in_b: int
    gold: int | None
    unjudged: int
    fields: tuple[FieldComparison, ...]
    changes: pl.DataFrame = field(compare=False, repr=False)

    def __getitem__(self, name: str) -> FieldComparison:
        """Return the comparison of the field `name`; raise KeyError where there is none."""
        for one in self.fields:
            if one.name == name:
                return one
        raise KeyError(name)

    def frame(self) -> pl.DataFrame:
        """Return one row per field, the columns named as in `FieldComparison`, the first `field`."""
        counts = dict.fromkeys(("rows", "changed", "both", "only_a", "only_b", "neither"), pl.Int64)
        schema = {"field": pl.String, **counts, "p_value": pl.Float64}
        return pl.DataFrame([tuple(asdict(one).values()) for one in self.fields], schema=schema, orient="row")

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON."""
        counts = {"rows": self.rows, "only_in_a": self.only_in_a, "only_in_b": self.only_in_b}
        whole = {**counts, "gold": self.gold, "unjudged": self.unjudged, "fields": self.frame().to_dicts()}
        return whole | {"changes": self.changes.to_dicts()}

    def __str__(self) -> str:
        header, body = self._table()
        return "\n".join([self._counts(), *aligned(header, body, words=1)])

    def _repr_html_(self) -> str:
        return html_table(self._counts(), *self._table())

    def _table(self) -> tuple[Sequence[str], list[tuple[str, ...]]]:
        header = _GOLDLESS if self.gold is None else _HEADER
        return header, [one.cells()[: len(header)] for one in self.fields]

    def _counts(self) -> str:
        counts = f"{self.rows:,} rows in both, {self.only_in_a:,} only in a, {self.only_in_b:,} only in b"
        if self.gold is None:
            return counts
        return f"{counts}; {self.gold:,} gold rows, {self.unjudged:,} rows without gold"


def _p(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}" if value >= 0.001 else f"{value:.1e}"


def compare(
    a: Any,
    b: Any,
    gold: Any = None,
    *,
    on: str,
    fields: Sequence[str] | None = None,
    day_first: bool = True,
    prefix: str | None = None,
    **reading: Unpack[ReadKeywords],
) -> Comparison:
    """Return what changed from `a` to `b`, row by row where the column `on` has the same value.

    All three are what `evaluate` takes: a Run, frames, rows or paths.

    `fields` names what is compared, by default all that both have; structs as in `evaluate`. With `gold` also which of
    the two is right, for the fields that gold has. `prefix` and the options of the file `gold` are as in `evaluate`.
    Rows that were rejected, according to `_extract`, count as absent.
    Raises ConfigError as `evaluate` does.

        >>> a = pl.DataFrame({"id": [1, 2], "city": ["Bonn", "Essen"]})
        >>> b = gold = pl.DataFrame({"id": [1, 2], "city": ["Bonn", "Köln"]})
        >>> city = compare(a, b, gold, on="id")["city"]
        >>> city.changed, city.only_a, city.only_b
        (1, 0, 1)
    """
    check_fork()
    frames = {"a": a, "b": b} | ({} if gold is None else {"gold": gold})
    frames = dict(
        zip(frames, frames_of(frames, on, inputs=fields is not None, prefix=prefix, reading=reading), strict=True)
    )
    a, b, *golds = with_equal_keys(frames, on)
    check_meeting({"a": a, "b": b}, on)
    (a, _), (b, _) = split_rejected(a, on), split_rejected(b, on)
    columns = common_fields(a, b, on, fields)
    golds = [labelled_rows(one, [name.partition(".")[0] for name in columns]) for one in golds]
    keys, _, pairs = paired(b, a, on, [(in_b, in_a) for in_a, in_b in columns.values()])
    truth = _Truth.of(golds[0], a, b, on, columns, day_first=day_first) if golds else None
    compared = [_compared(name, keys.to_list(), pair, truth) for name, pair in zip(columns, pairs, strict=True)]
    changes = [row for _, rows in compared for row in rows]
    texts = dict.fromkeys(("field", "a", "b", *(["gold"] if golds else [])), pl.String())
    listed = pl.DataFrame(changes, schema={"key" if on in texts else on: a.schema[on], **texts}, orient="row")
    judged = set() if truth is None else truth.keys
    unjudged = 0 if truth is None else len({*a[on].to_list(), *b[on].to_list()} - judged)
    return Comparison(
        rows=len(keys),
        only_in_a=a.height - len(keys),
        only_in_b=b.height - len(keys),
        gold=None if truth is None else len(judged),
        unjudged=unjudged,
        fields=tuple(one for one, _ in compared),
        changes=without_proof(listed, proof_keys(golds[0], on)) if golds else listed,
    )


def _compared(
    name: str, keys: Sequence[Hashable], pairs: Pairs, truth: _Truth | None
) -> tuple[FieldComparison, list[tuple[Any, ...]]]:
    """Return how two runs differ in one field, and the rows of `changes`."""
    # Both ways, since structs are compared by the names of the second one only.
    changed = [
        (key, name, as_text(before), as_text(after))
        for key, (after, before) in zip(keys, pairs.both(), strict=True)
        if not (same_exactly(after, before) and same_exactly(before, after))
    ]
    if truth is None:
        return FieldComparison(name=name, rows=len(keys), changed=len(changed)), changed
    comparison = FieldComparison(name=name, rows=len(keys), changed=len(changed), **truth.split(name))
    return comparison, [(*row, truth.text(name, row[0])) for row in changed]


@dataclass(frozen=True, slots=True)
class _Truth:
    """Which gold rows either run has right, by field, and the gold values as text."""

    keys: set[Hashable]
    right: tuple[dict[str, set[Hashable]], dict[str, set[Hashable]]]
    texts: dict[str, dict[Hashable, str | None]]

    @classmethod
    def of(
        cls,
        gold: pl.DataFrame,
        a: pl.DataFrame,
        b: pl.DataFrame,
        on: str,
        columns: dict[str, Columns],
        *,
        day_first: bool,
    ) -> _Truth:
        names = [name for name in common_fields(a, gold, on, None) if name in columns]
        sides: list[dict[str, set[Hashable]]] = []
        texts: dict[str, dict[Hashable, str | None]] = {}
        for frame in (a, b):
            read = {name: column for name, column in common_fields(frame, gold, on, None).items() if name in names}
            keys, _, pairs = paired(frame, gold, on, list(read.values()))
            judged = [verdicts(pair, day_first=day_first).normalised for pair in pairs]
            sides.append(
                {
                    name: {key for key, right in zip(keys.to_list(), one, strict=True) if right}
                    for name, one in zip(read, judged, strict=True)
                }
            )
            for name, (_, in_gold) in read.items():
                values = gold.select(key=pl.col(on), value=in_gold)
                texts[name] = {key: as_text(value) for key, value in values.iter_rows()}
        return cls(set(gold[on].to_list()), (sides[0], sides[1]), texts)

    def split(self, name: str) -> dict[str, Any]:
        """Return the counts of gold rows by which run is right; nothing for a field that gold lacks."""
        if name not in self.right[0]:
            return {}
        in_a, in_b = (side[name] for side in self.right)
        both, only_a, only_b = len(in_a & in_b), len(in_a - in_b), len(in_b - in_a)
        return {
            "both": both,
            "only_a": only_a,
            "only_b": only_b,
            "neither": len(self.keys) - both - only_a - only_b,
            "p_value": mcnemar(only_a, only_b),
        }

    def text(self, name: str, key: Hashable) -> str | None:
        return self.texts.get(name, {}).get(key)


def mcnemar(only_a: int, only_b: int) -> float:
    """Return the two-sided p-value of McNemar's exact test, from the rows that only one of two runs has right."""
    n, fewer = only_a + only_b, min(only_a, only_b)
    if only_a == only_b:
        return 1.0
    # The tail of a binomial distribution with p = 1/2. Its largest term is computed by logarithms, since factorials
    # overflow any float; each smaller one follows from the one before.
    term = math.exp(math.lgamma(n + 1) - math.lgamma(fewer + 1) - math.lgamma(n - fewer + 1) - n * math.log(2))
    tail = 0.0
    for count in range(fewer, -1, -1):
        tail += term
        term *= count / (n - count + 1)
        if term < tail * 1e-17:
            break
    return min(1.0, 2 * tail)
