"""`extract eval`: predictions against gold answers, and against another run."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from extract.cli.pipelines import load_pipeline
from extract.errors import ConfigError
from extract.evaluation import Comparison, Evaluation, compare, evaluate
from extract.schema import compile_schema
from extract.sources import open_source

__all__ = ["Judging", "evaluate_command"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judging:
    """What was typed behind `extract eval`; names as on the command line."""

    on: str
    against: str | None
    confusion: str | None
    key: Sequence[str]
    as_json: bool


def evaluate_command(pipeline: str, predicted: str, gold: str | None, options: Judging) -> None:
    """Print one line per field of the pipeline's schema that the files have, and what else was asked for."""
    answers = list(compile_schema(load_pipeline(pipeline).schema).dtypes)
    ours = _table(predicted)
    theirs = None if gold is None else _table(gold)
    told: dict[str, Any] = {}
    lines: list[str] = []
    if theirs is not None:
        names = _shared(answers, theirs, str(gold))
        result = evaluate(ours, theirs, on=options.on, fields=names, keys=_keys(options.key))
        told |= result.to_dict()
        lines += [str(result), *_confusion(result, options.confusion)]
    elif options.against is None:
        raise ConfigError("name a file of gold answers, or another output with --against")
    elif options.confusion or options.key:
        raise ConfigError("--confusion and --key need a file of gold answers")
    if options.against is not None:
        found = _compared(ours, theirs, answers, options)
        told["against"] = found.to_dict()
        lines += [*([""] if lines else []), f"a: {predicted}, b: {options.against}", str(found)]
    sys.stdout.write((json.dumps(told, default=str) if options.as_json else "\n".join(lines)) + "\n")


def _shared(answers: Sequence[str], table: pl.DataFrame, address: str) -> list[str]:
    """Return the pipeline's columns that a file has, structs that a flat file holds in parts included."""
    names = [name for name in table.columns if name in answers or name.partition(".")[0] in answers]
    if not names:
        raise ConfigError(f"{address} has none of the pipeline's columns {answers!r}; it has {table.columns!r}")
    return sorted(names, key=lambda name: answers.index(name if name in answers else name.partition(".")[0]))


def _compared(ours: pl.DataFrame, gold: pl.DataFrame | None, answers: Sequence[str], options: Judging) -> Comparison:
    address = str(options.against)
    other = _table(address)
    return compare(ours, other, gold, on=options.on, fields=_shared(answers, other, address))


def _confusion(result: Evaluation, name: str | None) -> Iterator[str]:
    if name is None:
        return
    labelled = [score.name for score in result.fields if score.labels]
    if name not in labelled:
        raise ConfigError(f"--confusion {name}: fields with labels are {labelled!r}")
    yield from ("", str(result[name]), "", str(result[name].confusion))


def _keys(given: Sequence[str]) -> dict[str, list[str]]:
    """Read FIELD=NAME,NAME as often as it was typed."""
    keys: dict[str, list[str]] = {}
    for one in given:
        name, found, members = one.partition("=")
        if not (found and name and members):
            raise ConfigError(f"--key {one!r}: write the list and what its members are known by: items=sku")
        keys[name] = members.split(",")
    return keys


def _table(address: str) -> pl.DataFrame:
    source = open_source(address)
    return pl.concat([source.schema.to_frame(), *source.batches(65_536)])
