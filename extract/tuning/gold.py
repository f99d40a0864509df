"""Gold for tuning: its rows joined with the input, and split into examples, tuning and proof."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, get_args

import polars as pl
from pydantic_core import from_json

from extract.errors import ConfigError
from extract.evaluation.labels import label_fields, text_fields
from extract.evaluation.pairing import check_meeting, with_equal_keys
from extract.evaluation.split import SPLIT, Split, row_hash, split_of
from extract.extractor.nearest import Nearest
from extract.extractor.plan import CompiledExtractor
from extract.extractor.prompts import Example
from extract.io.source import records_of
from extract.io.sources import read_table
from extract.tuning.variants import Shown

__all__ = ["TuningGold", "read_gold"]

_MIN_ROWS = 10  # to choose by, and to prove with: fewer say nothing


@dataclass(frozen=True, slots=True)
class TuningGold:
    """The gold rows that the input has too, by part, in an order that is drawn once.

    `inputs` are what is asked, with the column `on`; `answers` the right fields under their names in the schema.
    """

    on: str
    inputs: Mapping[Split, pl.DataFrame]
    answers: pl.DataFrame

    @property
    def examples(self) -> pl.DataFrame:
        """The rows that may be shown; the fields of their answers stand in place of columns of that name."""
        answers = [name for name in self.answers.columns if name != self.on]
        inputs = self.inputs["examples"].drop(*answers, strict=False)
        return inputs.join(self.answers, on=self.on, how="inner", maintain_order="left")

    def shown(self, plan: CompiledExtractor) -> Shown:
        """Return what variants may show."""
        return Shown(lambda k: self._fixed(plan, k), lambda k: Nearest(self._enough(k), k, on=self.on))

    def _fixed(self, plan: CompiledExtractor, count: int) -> tuple[Example, ...]:
        if not count:
            return ()
        rows = self._enough(count).head(count)
        records = records_of(rows.drop(*plan.schema.keys, strict=False))
        answers = Nearest(rows, 1).compiled(plan.template, plan.schema).answers
        plain = [from_json(answer)["value"] if plan.schema.wrapped else from_json(answer) for answer in answers]
        return tuple(map(Example, records, plain))

    def _enough(self, count: int) -> pl.DataFrame:
        rows = self.examples
        if rows.height < count:
            raise ConfigError(f"{count} examples are wanted; the part of the gold for them has {rows.height} rows")
        return rows


def read_gold(
    data: Any,
    gold: Any,
    plan: CompiledExtractor,
    *,
    on: str,
    answer: str | None,
    shares: Mapping[Split, float],
    seed: int,
) -> TuningGold:
    """Return the gold of an input. ConfigError where the two do not fit, or a part has too few rows."""
    inputs, answers = read_table(data), _answers(gold, plan, on, answer)
    inputs, answers = with_equal_keys({"input": inputs, "gold": answers}, on)
    check_meeting({"input": inputs, "gold": answers}, on)
    common = inputs.filter(pl.col(on).is_in(answers[on].implode()))
    hashes = [row_hash(row) for row in records_of(common)]
    marks = dict(answers.select(on, SPLIT).iter_rows()) if SPLIT in answers.columns else {}
    if strange := sorted({str(mark) for mark in marks.values()} - {"None", *get_args(Split)}):
        raise ConfigError(f"the gold's column {SPLIT!r} says {strange[0]!r}: a part is one of {get_args(Split)!r}")
    parts = [marks.get(key) or split_of(mark, shares) for key, mark in zip(common[on].to_list(), hashes, strict=True)]
    # The seed says in which order rows are asked about; what is shown is the same for all seeds.
    order = [_place(mark, seed if part == "tuning" else 0) for mark, part in zip(hashes, parts, strict=True)]
    drawn = common.with_columns(pl.Series("\0order", order), pl.Series("\0part", parts)).sort("\0order")
    by_part: dict[Split, pl.DataFrame] = {
        part: drawn.filter(pl.col("\0part") == part).drop("\0order", "\0part")
        for part in ("examples", "tuning", "proof")
    }
    _check_parts({part: by_part[part].height for part in ("tuning", "proof")}, common.height)
    return TuningGold(on, by_part, answers.drop(SPLIT, strict=False))


def _place(mark: str, seed: int) -> str:
    return blake2b(f"{seed} {mark}".encode(), digest_size=8).hexdigest()


def _check_parts(heights: Mapping[str, int], rows: int) -> None:
    for part, height in heights.items():
        if height < _MIN_ROWS:
            raise ConfigError(
                f"of {rows:,} gold rows of the input {height} fall to the part {part!r}, and it takes {_MIN_ROWS}: "
                "label more rows, or name other shares (--split 20/40/40)"
            )


def _answers(gold: Any, plan: CompiledExtractor, on: str, answer: str | None) -> pl.DataFrame:
    """Return the key, the fields and the part of each gold row."""
    dtypes, fields = plan.schema.dtypes, list(plan.schema.dtypes)
    texts = [*text_fields(dtypes.items()), *label_fields(dtypes.items()), *filter(None, (answer,))]
    rows = read_table(gold, texts=texts)
    if answer is not None:
        if len(fields) != 1 or answer not in rows.columns:
            raise ConfigError(f"--answer {answer}: for a single value, in a column of the gold: {rows.columns!r}")
        rows = rows.drop(fields[0], strict=False).rename({answer: fields[0]}) if answer != fields[0] else rows
    names = [name for name in rows.columns if name.partition(".")[0] in fields and name != on]
    if on not in rows.columns or not names:
        hint = "; name the column of the label with --answer" if len(fields) == 1 else ""
        raise ConfigError(f"the gold needs {on!r} and fields of the answer {fields!r}; it has {rows.columns!r}{hint}")
    marks = [SPLIT] if SPLIT in rows.columns else []
    return rows.select(on, *names, *marks)
