"""Arguments and options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from extract.cli.completion import inputs, pipelines

__all__ = [
    "AsJson",
    "CacheService",
    "Encoding",
    "Input",
    "Model",
    "Pack",
    "Pipeline",
    "Quote",
    "Root",
    "Separator",
    "Sheet",
    "Tier",
]

Pipeline = Annotated[
    str,
    typer.Argument(
        metavar="PIPELINE",
        help="A file.py or module:name that defines an Extractor.",
        show_default=False,
        autocompletion=pipelines,
    ),
]
Input = Annotated[
    str,
    typer.Argument(
        metavar="INPUT",
        help="csv, jsonl, parquet, xlsx, a glob, a cloud address, or a folder.",
        show_default=False,
        autocompletion=inputs,
    ),
]
Model = Annotated[str | None, typer.Option(help="Use this model instead of the pipeline's.")]
Tier = Annotated[
    Literal["standard", "flex", "priority"] | None,
    typer.Option("--service-tier", help="flex costs half and may take 15 minutes."),
]
Root = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="FOLDER",
        help="Send files from here, too; by default only from the current folder and that of INPUT. Repeatable.",
        show_default=False,
    ),
]
Separator = Annotated[
    str | None,
    typer.Option("--csv-separator", help="Character between the cells of a csv, or tab.", show_default=False),
]
Quote = Annotated[
    str | None,
    typer.Option("--csv-quote", help='Character around its cells; \\" with backslashes; none.', show_default=False),
]
Encoding = Annotated[
    str | None, typer.Option("--csv-encoding", help="What it is written in, such as cp1251.", show_default=False)
]
Sheet = Annotated[str | None, typer.Option(help="Sheet of a workbook, by name or number. [default: the first]")]
Pack = Annotated[
    str | None,
    typer.Option(
        metavar="N|auto|1", help="Ask N rows in one request; auto: as many as a trial allows.", show_default=False
    ),
]
CacheService = Annotated[
    str | None, typer.Option(metavar="NAME", help="Use answers in the cache that other addresses gave, as google.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
