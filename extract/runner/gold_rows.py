"""The gold rows that prove, as rows of the input of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

import polars as pl
from polars.selectors import by_name

from extract.errors import ConfigError
from extract.evaluation.gold_rows import judge_gold, proof_rows
from extract.evaluation.inputs import AnsweredRows, gold_beside, without_prefix
from extract.evaluation.pairing import check_keys, common_fields, with_equal_keys
from extract.extractor.plan import CompiledExtractor
from extract.io.sources import Source
from extract.results.outcome import Outcome
from extract.runner.accept import Accept

__all__ = ["FoundGold", "find_gold"]

_READ_ROWS = 65_536
_SHOWN = 3
_PREFIX = "answer."  # so that no column of the input has the name of one of the answer


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundGold:
    """Gold rows that prove: `rows` are their records in the order of the input, `right` their right answers.

    `fields` are what must be right, `digest` names this gold and these fields, `notes` are to be said aloud.
    """

    on: str
    rows: pl.DataFrame
    right: pl.DataFrame
    fields: tuple[str, ...]
    digest: str
    notes: tuple[str, ...]

    @property
    def keys(self) -> pl.Series:
        """The keys, of the type in which keys are compared."""
        return self.right[self.on]

    def tops(self, plan: CompiledExtractor) -> list[str]:
        """Return the columns of the answer in which the judged fields are."""
        names = plan.schema.dtypes
        return list(dict.fromkeys(name if name in names else name.partition(".")[0] for name in self.fields))

    def judged(self, plan: CompiledExtractor, outcomes: Sequence[Outcome]) -> list[bool]:
        """Return for each row whether its answer is right; without an answer it is not."""
        answered = pl.Series([outcome.ok for outcome in outcomes], dtype=pl.Boolean)
        if not answered.any():
            return [False] * len(outcomes)
        columns = {_PREFIX + name: name for name in plan.schema.dtypes}
        answers = plan.schema.frame([outcome.row for outcome in outcomes])
        answers.columns = list(columns)
        output = AnsweredRows(self.rows.select(by_name(self.on)).hstack(answers), columns, answered, {})
        judged = judge_gold(output, self.right, on=self.on, fields=self.fields, day_first=True)
        right = dict(zip(judged.places, judged.right, strict=True))
        return [right.get(place, False) for place in range(len(outcomes))]


def find_gold(
    accept: Accept, source: Source, plan: CompiledExtractor, columns: Sequence[str], prefix: str
) -> FoundGold:
    """Read gold, and find its rows in the input. ConfigError where they are not there, or the keys do not name rows.

    `columns` are those of the input that are read, `prefix` that of the answer's columns in the output.
    """
    on = accept.on
    if source.once:
        raise ConfigError("gold rows are asked before the others, and this input can be read only once: write a file")
    typed = pl.Schema({**plan.schema.dtypes, **{name: source.schema[name] for name in (on,) if name in source.schema}})
    answers = typed.to_frame()
    gold = without_prefix(gold_beside(answers, accept.gold), prefix, list(plan.schema.dtypes))
    proving, notes = proof_rows(gold, used_gold=accept.used_gold)
    _, right = with_equal_keys({"input": typed.to_frame(), "gold": proving}, on)
    own = answers.select(by_name(*dict.fromkeys((on, *plan.schema.dtypes))))
    fields = tuple(common_fields(own, right, on, accept.fields))
    rows = _matches(source, on, right[on], list(dict.fromkeys((*columns, on))))
    return FoundGold(on=on, rows=rows, right=right, fields=fields, digest=_digest(right, on, fields), notes=notes)


def _matches(source: Source, on: str, keys: pl.Series, columns: Sequence[str]) -> pl.DataFrame:
    """Return the rows of the input that have one of the keys."""
    key = pl.col(on).cast(keys.dtype)
    matches, all_keys = [], [keys.clear().to_frame(on)]
    for frame in source.batches(_READ_ROWS):
        all_keys.append(frame.select(key))
        matches.append(frame.filter(key.is_in(keys.implode())).select(by_name(*columns)))
    whole = pl.concat(all_keys)
    check_keys("input", whole, on)
    missing = keys.filter(~keys.is_in(whole[on].implode()))
    if len(missing):
        raise ConfigError(
            f"{len(missing):,} of {len(keys):,} gold rows are not in the input, such as {on} "
            f"{missing.head(_SHOWN).to_list()!r}: gold is a draw of the rows of this run"
        )
    return pl.concat(matches)


def _digest(right: pl.DataFrame, on: str, fields: Sequence[str]) -> str:
    ordered = right.select(by_name(*sorted(right.columns))).sort(on)
    return sha256(repr((ordered.columns, ordered.rows(), tuple(fields))).encode()).hexdigest()[:32]
