"""The command `extract eval` and its options. Signatures only: the work is in `cli/evaluate.py`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from extract.cli.accept_options import (
    AcceptedFile,
    AcceptOptions,
    Clear,
    Confidence,
    JudgedFields,
    Overwrite,
    Recall,
    RestFile,
    Right,
    ScoreBy,
    UsedGold,
)
from extract.cli.arguments import AsJson, Encoding, Pipeline, Quote, Separator, Sheet

__all__ = ["evaluate"]


def evaluate(
    pipeline: Pipeline,
    predicted: Annotated[str, typer.Argument(help="What `extract run` wrote.", show_default=False)],
    gold: Annotated[
        str | None, typer.Argument(help="The right answers, one row per record.", show_default=False)
    ] = None,
    *,
    on: Annotated[str, typer.Option(help="Column that names a record in all files.", show_default=False)],
    prefix: Annotated[
        str | None, typer.Option(help="Prefix of the outputs' columns. [default: read from Parquet]")
    ] = None,
    day_first: Annotated[bool, typer.Option(help="Read 05/04/2026 in a text as 5 April, not as May 4.")] = True,
    against: Annotated[
        str | None, typer.Option(metavar="OTHER", help="Another output: what changed, which is right more often.")
    ] = None,
    confusion: Annotated[
        str | None, typer.Option(metavar="FIELD", help="Show each label of a field, and what was answered instead.")
    ] = None,
    mistakes: Annotated[
        int, typer.Option(metavar="N", min=0, help="List the first N wrong values, and N that differ in --against.")
    ] = 0,
    key: Annotated[
        list[str] | None, typer.Option(metavar="LIST=FIELD,...", help="Fields that identify the members of a list.")
    ] = None,
    decide: Annotated[
        list[str] | None,
        typer.Option(metavar="FIELD,...", help="Ask the Decisions API about labels, by row. Paid."),
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="--decide asks the built-in emulator.")] = False,
    base_url: Annotated[str | None, typer.Option(help="Another address of the API, for --decide.")] = None,
    root: Annotated[
        list[Path] | None,
        typer.Option(metavar="FOLDER", help="--decide sends files from here, too. Repeatable.", show_default=False),
    ] = None,
    csv_separator: Separator = None,
    csv_quote: Quote = None,
    csv_encoding: Encoding = None,
    sheet: Sheet = None,
    right: Right = None,
    confidence: Confidence = 0.95,
    score: ScoreBy = None,
    fields: JudgedFields = None,
    accepted: AcceptedFile = None,
    rest: RestFile = None,
    clear: Clear = None,
    recall: Recall = 0.98,
    used_gold: UsedGold = False,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Compare an output with gold answers: matches per field, F1 and kappa, with 95 % intervals, cost per right row.

    Options of csv files and workbooks are about GOLD.
    """
    from extract.cli.evaluate import EvalOptions, evaluate_command

    options = EvalOptions(
        on=on,
        prefix=prefix,
        day_first=day_first,
        against=against,
        confusion=confusion,
        mistakes=mistakes,
        key=key or (),
        decide=[name for names in decide or () for name in names.split(",")],
        offline=offline,
        base_url=base_url,
        root=root,
        reading={
            "csv_separator": csv_separator,
            "csv_quote": csv_quote,
            "csv_encoding": csv_encoding,
            "sheet": sheet,
        },
        accept=AcceptOptions(
            right=right,
            confidence=confidence,
            score=score,
            fields=[name for names in fields or () for name in names.split(",")],
            accepted=accepted,
            rest=rest,
            clear=clear,
            recall=recall,
            used_gold=used_gold,
            overwrite=overwrite,
        ),
        as_json=as_json,
    )
    evaluate_command(pipeline, predicted, gold, options)
