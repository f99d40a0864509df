"""The options of `extract tune`. Signatures only: the work is in `cli/tune.py`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from extract.cli.arguments import AsJson, Input, Pipeline, Root
from extract.cli.completion import inputs, pipelines

__all__ = ["tune"]


def tune(
    pipeline: Pipeline,
    data: Input,
    *,
    gold: Annotated[
        str, typer.Option(help="The right answers of some rows.", show_default=False, autocompletion=inputs)
    ],
    on: Annotated[str, typer.Option(help="Column that names a record in both files.", show_default=False)],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Write the winner as a pipeline file.", show_default=False, autocompletion=pipelines
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    models: Annotated[str | None, typer.Option(metavar="MODEL,...", help="Models to try.")] = None,
    prompts: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="A file with a prompt to try. Repeatable.", show_default=False),
    ] = None,
    examples: Annotated[
        str | None, typer.Option(metavar="N,...", help="Gold rows to show: 0, 8 fixed ones, nearest:8.")
    ] = None,
    samples: Annotated[str | None, typer.Option(metavar="N,...", help="How often to ask each row.")] = None,
    pack: Annotated[str | None, typer.Option(metavar="N,...", help="How many rows to ask in one request.")] = None,
    variants: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A .toml that lists variants; see docs/tuning.md.")
    ] = None,
    answer: Annotated[str | None, typer.Option(metavar="COLUMN", help="Gold's column of a single value.")] = None,
    split: Annotated[
        str, typer.Option(metavar="E/T/P", help="Percent of gold for examples, tuning and proof.")
    ] = "20/20/60",
    budget: Annotated[
        str | None, typer.Option(metavar="USD", help="Spend at most this much in all.", show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the order in which tuning rows are asked.")] = 0,
    cache: Annotated[
        Path | None, typer.Option(help="File that stores the answers. [default: PIPELINE.tune.cache]")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Draw accuracy over cost into this .html.", show_default=False)
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Ask the built-in emulator: no key, no network.")] = False,
    base_url: Annotated[str | None, typer.Option(help="Another address of the API.")] = None,
    concurrency: Annotated[int, typer.Option(min=1, help="Maximum number of requests in flight.")] = 64,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Try variants of a pipeline on gold rows, choose one, and prove it on rows that played no part in the choice.

    All combinations of --models, --prompts, --examples, --samples and --pack are tried, beside the pipeline as it is.
    Run the same command again, or one with more variants: only what is new is asked.

    Exit status: 0 done, 1 stopped, 2 wrong usage, 130 interrupted.
    """
    typed = locals()
    from extract.cli.tune import tune_command

    tune_command(**typed)
