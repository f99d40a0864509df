"""The command `extract review` and its options. Signatures only: the work is in `cli/review.py`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from extract.cli.completion import inputs, pipelines

__all__ = ["review"]


def review(
    data: Annotated[
        str,
        typer.Argument(
            metavar="OUTPUT",
            help="An output of `extract run`, a table without answers, or a file of decisions (.db) to go on with.",
            show_default=False,
            autocompletion=inputs,
        ),
    ],
    sample: Annotated[
        int | None, typer.Option(min=1, help="Number of rows, drawn at random: they prove something. [default: 200]")
    ] = None,
    queue: Annotated[
        bool, typer.Option("--queue", help="The rows that something speaks against, worst first: to be fixed.")
    ] = False,
    queue_file: Annotated[
        str | None,
        typer.Option(help="Rows that a table names, with score and reason if known.", show_default=False),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Maximum number of rows of --queue.")] = 1_000,
    fields: Annotated[str | None, typer.Option(metavar="FIELD,...", help="Only these fields. [default: all]")] = None,
    blind: Annotated[bool, typer.Option("--blind", help="Hide the answers, for gold to prove something.")] = False,
    decisions: Annotated[
        Path | None, typer.Option(help="The file of decisions. [default: beside OUTPUT]", show_default=False)
    ] = None,
    gold: Annotated[
        list[Path] | None, typer.Option(help="Gold that is there: its proof rows are in no queue. Repeatable.")
    ] = None,
    pipeline: Annotated[
        str | None,
        typer.Option(
            help="A file.py or module:name: what an answer is, where OUTPUT does not say it.",
            show_default=False,
            autocompletion=pipelines,
        ),
    ] = None,
    labels: Annotated[
        str | None, typer.Option(help="In place of a pipeline: bug,billing,other, or a file with one a line.")
    ] = None,
    person: Annotated[
        str | None, typer.Option("--as", metavar="NAME", help="Who decides. [default: the user]", show_default=False)
    ] = None,
    on: Annotated[
        str | None, typer.Option(help="Column that names a row. [default: that of --id, id or row_id]")
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed draws the same rows.")] = 0,
    prefix: Annotated[
        str | None, typer.Option(help="Prefix of the output's columns. [default: read from Parquet]")
    ] = None,
    source: Annotated[str | None, typer.Option(help="The table of a file of decisions, where it has moved.")] = None,
    root: Annotated[
        list[Path] | None, typer.Option(metavar="FOLDER", help="Show documents from here, too. Repeatable.")
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(metavar="HOST", help="A name that browsers call this machine by. Repeatable."),
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 picks a free one.")] = 0,
    browser: Annotated[bool, typer.Option(help="Open the page in a browser.")] = True,
) -> None:
    """Say of each row what is right, on a page of this machine: gold to score with, or answers to correct.

    Each decision is on disk before the next one. The link has a token: who has it may read and decide all rows.
    `extract gold write` makes gold of the decisions, `extract gold apply` a corrected table.
    """
    from extract.cli.review import ReviewOptions, review_command
    from extract.review.start import Choice

    review_command(
        data,
        ReviewOptions(
            choice=Choice(
                sample=sample, queue=queue_file or queue, limit=limit, seed=seed, blind=blind, on=on, prefix=prefix,
                fields=tuple(name.strip() for name in (fields or "").split(",") if name.strip()),
                gold=tuple(map(str, gold or ())),
            ),
            decisions=decisions, pipeline=pipeline, labels=labels, source=source, person=person,
            roots=root or (), hosts=allow_host or (), port=port, browser=browser,
        ),
    )  # fmt: skip
