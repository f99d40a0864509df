"""`extract eval`: predictions against gold answers."""

from __future__ import annotations

import json
import sys

import polars as pl

from extract.cli.pipelines import load_pipeline
from extract.errors import ConfigError
from extract.evaluation import evaluate
from extract.schema import compile_schema
from extract.sources import open_source

__all__ = ["evaluate_command"]


def evaluate_command(pipeline: str, predicted: str, gold: str, *, on: str, as_json: bool) -> None:
    """Print one line per field of the pipeline's schema that both files have."""
    left, right = _table(predicted), _table(gold)
    answers = list(compile_schema(load_pipeline(pipeline).schema).dtypes)
    names = [name for name in answers if name in right.columns]
    if not names:
        raise ConfigError(f"{gold} has none of the pipeline's columns {answers!r}; it has {right.columns!r}")
    result = evaluate(left, right, on=on, fields=names)
    sys.stdout.write(json.dumps(result.frame().to_dicts(), default=str) + "\n" if as_json else f"{result}\n")


def _table(address: str) -> pl.DataFrame:
    source = open_source(address)
    return pl.concat([source.schema.to_frame(), *source.batches(65_536)])
