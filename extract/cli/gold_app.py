"""The commands of `extract gold` and their options. Signatures only: the work is in `cli/gold.py`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from extract.cli.completion import inputs, outputs, pipelines

__all__ = ["gold_commands"]

gold_commands: typer.Typer = typer.Typer(
    no_args_is_help=True, help="Draw rows to judge; write what people decided as gold, or into a table."
)

_Pipeline = Annotated[
    str | None,
    typer.Option(help="A file.py or module:name: its schema counts.", show_default=False, autocompletion=pipelines),
]
_Output = Annotated[
    Path, typer.Option("--output", "-o", help="The file to write.", show_default=False, autocompletion=outputs)
]
_Files = Annotated[
    list[Path], typer.Argument(metavar="REVIEW...", help="Decision files, as in review.db.", show_default=False)
]
_Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace a file that is there.")]
_Prefix = Annotated[
    str | None, typer.Option(help="Prefix of the output's columns. [default: read from Parquet]", show_default=False)
]
_AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]


@gold_commands.command()
def draw(
    data: Annotated[
        str,
        typer.Argument(
            metavar="INPUT", help="A table, or an output of `extract run`.", show_default=False, autocompletion=inputs
        ),
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help=".db for `extract review`; .xlsx, .csv to label in a sheet."),
    ],
    rows: Annotated[int, typer.Option(min=1, help="How many rows are drawn.")] = 500,
    seed: Annotated[int, typer.Option(help="The same seed draws the same rows.")] = 0,
    on: Annotated[
        str | None, typer.Option(help="Column that names a row. [default: that of --id, id or row_id]")
    ] = None,
    pipeline: _Pipeline = None,
    labels: Annotated[
        str | None, typer.Option(help="In place of a pipeline: bug,billing,other, or a file with one a line.")
    ] = None,
    fields: Annotated[str | None, typer.Option(metavar="FIELD,...", help="Only these fields. [default: all]")] = None,
    queue: Annotated[
        str | None,
        typer.Option(help="In place of a sample: a table with the key and, if known, score and reason of each row."),
    ] = None,
    proof: Annotated[
        list[Path] | None,
        typer.Option("--gold", help="Rows that prove something there are left out of the queue. Repeatable."),
    ] = None,
    shares: Annotated[str, typer.Option("--split", help="Shares of gold for examples, tuning and proof.")] = "20/20/60",
    right: Annotated[
        float, typer.Option(help="What shall be proved: the share of accepted rows that are right.")
    ] = 0.95,
    confidence: Annotated[float, typer.Option(help="How sure that shall be.")] = 0.95,
    prefix: _Prefix = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a sheet that is there; never a .db.")] = False,
    as_json: _AsJson = False,
) -> None:
    """Draw rows of INPUT to judge: a uniform sample, each set of rows equally likely.

    It says how many rows it takes to prove something before anybody has labelled one.
    """
    from extract.cli.gold import DrawOptions, draw_command

    draw_command(
        data,
        output,
        DrawOptions(
            rows=rows, seed=seed, on=on, pipeline=pipeline, labels=labels, fields=fields, queue=queue,
            proof=proof or (), shares=shares, right=right, confidence=confidence, prefix=prefix,
            overwrite=overwrite, as_json=as_json,
        ),
    )  # fmt: skip


@gold_commands.command()
def write(
    files: _Files,
    output: _Output,
    which: Annotated[
        Literal["blind", "prefilled", "queue", "all"] | None,
        typer.Option("--only", help="Which decisions. [default: the sample's, the blind ones if there are any]"),
    ] = None,
    inputs: Annotated[
        bool, typer.Option(help="With the rows' own columns, from the table they were drawn from.")
    ] = True,
    source: Annotated[str | None, typer.Option(help="That table, where it has moved.", show_default=False)] = None,
    pipeline: _Pipeline = None,
    overwrite: _Overwrite = False,
    as_json: _AsJson = False,
) -> None:
    """Write what people decided as gold: .csv, .jsonl or .parquet, ready for `extract eval` and `extract report`.

    The files of several people are read as one. Rows on which people differ are left out, and counted.
    """
    from extract.cli.gold import write_command

    write_command(
        files, output, which=which, inputs=inputs, source=source, pipeline=pipeline, overwrite=overwrite,
        as_json=as_json,
    )  # fmt: skip


@gold_commands.command(name="apply")
def apply_to(
    file: Annotated[Path, typer.Argument(metavar="REVIEW", help="A decision file.", show_default=False)],
    data: Annotated[
        str,
        typer.Argument(metavar="OUTPUT", help="What `extract run` wrote.", show_default=False, autocompletion=outputs),
    ],
    output: _Output,
    pipeline: _Pipeline = None,
    prefix: _Prefix = None,
    overwrite: _Overwrite = False,
    as_json: _AsJson = False,
) -> None:
    """Write OUTPUT anew with what people decided; the column _review says who changed what, and when.

    A row that has changed since it was judged is refused, and stays as it is.

    Exit status: 0 all decisions applied, 3 some refused, 1 and 2 nothing written.
    """
    from extract.cli.gold import apply_command

    raise typer.Exit(
        apply_command(file, data, output, pipeline=pipeline, prefix=prefix, overwrite=overwrite, as_json=as_json)
    )


@gold_commands.command()
def merge(files: _Files, output: _Output) -> None:
    """Join the decision files of several people into one, to go on with and to see how far people agree."""
    from extract.cli.gold import merge_command

    merge_command(files, output)
