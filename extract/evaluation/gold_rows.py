"""Gold rows that prove, and whether the output is right on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from extract.errors import ConfigError
from extract.evaluation.inputs import AnsweredRows
from extract.evaluation.pairing import check_keys, check_meeting, common_fields, paired, with_equal_keys
from extract.evaluation.verdicts import verdicts

__all__ = ["JudgedGold", "judge_gold", "proof_rows"]

_SPLIT, _SETTLED = "_split", "_settled"
_PLACE = "_place"


@dataclass(frozen=True, slots=True)
class JudgedGold:
    """The gold rows that have an answer: their places in the output, and whether every judged field is right.

    `fields` are what is judged; `unanswered` counts gold rows without an answer.
    """

    places: tuple[int, ...]
    right: tuple[bool, ...]
    fields: tuple[str, ...]
    unanswered: int


def proof_rows(gold: pl.DataFrame, *, used_gold: bool = False) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Return the gold rows that may prove something, and what is to be said about them.

    `extract gold write` says in the column `_split` what a row is for. Without that column all rows are taken for a
    random draw that nothing was chosen by. ConfigError where no row may prove; `used_gold` takes all all the same.
    """
    if used_gold:
        note = "gold that was seen counts too (--used-gold): what was chosen by it is not proved by it"
        return gold, (note,)
    if _SPLIT not in gold.columns:
        note = f"gold has no column {_SPLIT}: all of its rows count as drawn at random and never seen"
        return gold, (note,)
    rows = gold.filter(pl.col(_SPLIT).cast(pl.String) == "proof")
    if rows.is_empty():
        raise ConfigError(
            f"no gold row may prove anything: none of {gold.height:,} has `proof` in {_SPLIT}. Only rows that were "
            "drawn at random and judged blind do; --used-gold (used_gold=True) counts all, and then proves nothing"
        )
    return rows, ()


def judge_gold(
    output: AnsweredRows, gold: pl.DataFrame, *, on: str, fields: Sequence[str] | None, day_first: bool
) -> JudgedGold:
    """Compare gold with the output by `on`. A row is right where every field is right when normalised.

    A gold row whose column `_settled` is false, on which people could not agree, is wrong. ConfigError as `evaluate`.
    """
    check_keys("predicted", output.rows, on)
    places = pl.int_range(output.rows.height, eager=True).alias(_PLACE)
    answered = _answer_columns(output, on, fields).with_columns(places).filter(output.answered)
    answered, gold = with_equal_keys({"predicted": answered, "gold": gold}, on)
    check_meeting({"predicted": answered, "gold": gold}, on)
    columns = common_fields(answered, gold, on, fields)
    keys, unanswered, pairs = paired(answered, gold, on, list(columns.values()))
    judged = [verdicts(pair, day_first=day_first).normalised for pair in pairs]
    unsettled = _unsettled(gold, on)
    right = [all(row) and key not in unsettled for key, *row in zip(keys.to_list(), *judged, strict=True)]
    place_of = dict(zip(answered[on].to_list(), answered[_PLACE].to_list(), strict=True))
    at = tuple(place_of[key] for key in keys.to_list())
    return JudgedGold(at, tuple(right), tuple(columns), len(unanswered))


def _answer_columns(output: AnsweredRows, on: str, fields: Sequence[str] | None) -> pl.DataFrame:
    """Return the answers under their names in the schema beside the key, and input columns that `fields` names."""
    answers = output.answers
    if fields is not None:
        return answers
    own = [name for name in output.columns.values() if name in answers.columns and name != on]
    return answers.select(on, *own)


def _unsettled(gold: pl.DataFrame, on: str) -> set[object]:
    if _SETTLED not in gold.columns:
        return set()
    return set(gold.filter(pl.col(_SETTLED).cast(pl.String).str.to_lowercase() == "false")[on].to_list())
