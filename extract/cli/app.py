"""The commands and their options. Signatures only: the work is in the module of each command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from extract.cli.accept_options import (
    AcceptAll,
    Confidence,
    Escalate,
    GoldFile,
    GoldKey,
    JudgedFields,
    Right,
    ScoreBy,
    UsedGold,
)
from extract.cli.arguments import (
    AsJson,
    CacheService,
    Encoding,
    Input,
    Model,
    Pack,
    Pipeline,
    Quote,
    Root,
    Separator,
    Sheet,
    Tier,
)
from extract.cli.completion import outputs, pipelines
from extract.cli.estimate_app import estimate
from extract.cli.eval_app import evaluate
from extract.cli.gold_app import gold_commands
from extract.cli.review_app import review
from extract.cli.tune_app import tune
from extract.io.sinks.formats import one_of

app: typer.Typer = typer.Typer(
    name="extract",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"extract {version('extract-interactions')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Typed tables from texts and documents, through Google's Gemini Interactions API.

    Begin with `extract init classify`; `extract COMMAND --help` shows the options.
    """


@app.command()
def run(
    pipeline: Pipeline,
    data: Input,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help=f"Ends in {one_of()}.", show_default=False, autocompletion=outputs),
    ] = None,
    model: Model = None,
    offline: Annotated[bool, typer.Option("--offline", help="Ask the built-in emulator: no key, no network.")] = False,
    base_url: Annotated[str | None, typer.Option(help="Another address of the API.")] = None,
    dialect: Annotated[Literal["steps", "outputs"], typer.Option(help="Wire form; Google serves steps.")] = "steps",
    id_column: Annotated[str | None, typer.Option("--id", help="Column that names rows in the errors file.")] = None,
    concurrency: Annotated[int, typer.Option(min=1, help="Maximum number of requests in flight.")] = 64,
    rpm: Annotated[float | None, typer.Option(min=1, help="Requests a minute; learned if not given.")] = None,
    tpm: Annotated[float | None, typer.Option(min=1, help="Input tokens a minute.")] = None,
    rpd: Annotated[float | None, typer.Option(min=1, help="Requests a day, Pacific time.")] = None,
    budget: Annotated[
        str | None, typer.Option(metavar="USD", help="Spend at most this much in this run; stop before it is exceeded.")
    ] = None,
    budget_tokens: Annotated[int | None, typer.Option(min=1, help="The same in tokens of all kinds.")] = None,
    budget_total: Annotated[
        str | None, typer.Option(metavar="USD", help="The same for all runs with this cache together, by its ledger.")
    ] = None,
    service_tier: Tier = None,
    deadline: Annotated[str | None, typer.Option(help="Give a row up after this time: 90s, 15m, 2h.")] = None,
    request_timeout: Annotated[
        str | None,
        typer.Option(help="Longest time from a request to its whole answer. [default: 10m, flex 20m]"),
    ] = None,
    max_answer_bytes: Annotated[
        int | None, typer.Option(min=1, metavar="BYTES", help="Refuse larger answers. [default: 16 MiB, media 256 MiB]")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N rows.")] = None,
    csv_separator: Separator = None,
    csv_quote: Quote = None,
    csv_encoding: Encoding = None,
    sheet: Sheet = None,
    show: Annotated[
        bool,
        typer.Option("--show", help="Print the first --limit rows, or 20, with their answers; works without -o."),
    ] = False,
    prefix: Annotated[str, typer.Option(help="Prefix for the names of the new columns.")] = "",
    retry_rejected: Annotated[bool, typer.Option("--retry-rejected", help="Ask rejected rows again.")] = False,
    require_grounding: Annotated[
        bool, typer.Option("--require-grounding", help="Reject rows with a value that is not in the record.")
    ] = False,
    samples: Annotated[
        int, typer.Option(min=1, help="Ask each row N times and vote per field; _agreement has the shares.")
    ] = 1,
    pack: Pack = None,
    provenance: Annotated[
        bool, typer.Option("--provenance", help="Add the column _extract: model, tokens, cost and more of each row.")
    ] = False,
    inline_limit: Annotated[
        int, typer.Option(min=0, metavar="BYTES", help="Upload larger files, once each, and send only a reference.")
    ] = 8_000_000,
    keep_files: Annotated[
        bool, typer.Option("--keep-files", help="Leave uploaded files on the service (48 h) for the next run.")
    ] = False,
    root: Root = None,
    patience: Annotated[
        str | None, typer.Option(help="Stop when the service is down for this long, or asks to. [default: 15m]")
    ] = None,
    stop_after_failures: Annotated[
        int, typer.Option(min=0, help="Stop when N rows fail before one succeeds; 0: never.")
    ] = 20,
    cache: Annotated[Path | None, typer.Option(help="File that stores the answers. [default: OUTPUT.cache]")] = None,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Store no answers: a rerun pays again.")] = False,
    cache_service: CacheService = None,
    note: Annotated[str | None, typer.Option(help="Your own words for the output's footer and its report.")] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a file this pipeline did not write, or one with more rows.")
    ] = False,
    csv_safe: Annotated[
        bool, typer.Option("--csv-safe", help="Quote texts in a .csv that a spreadsheet would run as formulas.")
    ] = False,
    explode: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN",
            help="Also write OUTPUT.COLUMN.ENDING: a row for each member of this list. Repeatable.",
            show_default=False,
        ),
    ] = None,
    right: Right = None,
    gold: GoldFile = None,
    on: GoldKey = None,
    escalate: Escalate = None,
    accept_all: AcceptAll = False,
    confidence: Confidence = 0.95,
    score: ScoreBy = None,
    fields: JudgedFields = None,
    used_gold: UsedGold = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait while another run writes OUTPUT, then begin.")] = False,
    engine: Annotated[
        Literal["local", "ray"], typer.Option(help="ray: on a Ray cluster, from Parquet files (docs/cluster.md).")
    ] = "local",
    address: Annotated[
        str | None, typer.Option(help="Ray cluster to use; auto: the one of this machine. [default: a new one here]")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Ray actors, --concurrency each. [default: 2]")] = None,
    as_json: AsJson = False,
    log: Annotated[
        Literal["auto", "plain", "json"],
        typer.Option(help="Progress and summary on stderr; json: one JSON object per line, each half minute."),
    ] = "auto",
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="No progress, no summary; of a run that is stopped, only why.")
    ] = False,
) -> None:
    """Ask the pipeline of every row of INPUT and write a typed table.

    Rejected rows go to OUTPUT's name + .errors.parquet. Run the same command again to continue where it stopped. With
    --right, OUTPUT holds the accepted rows, and OUTPUT's name + .review.parquet those that people are to look at.

    Exit status: 0 every row valid, 3 some rejected, 1 stopped, 2 wrong usage, 130 interrupted.
    """
    typed = locals()  # all options by name, so that a new one is written only once, above
    from extract.cli.run import run_command

    raise typer.Exit(run_command(**typed))


@app.command()
def init(
    kind: Annotated[Literal["classify", "moderate", "documents"], typer.Argument(metavar="KIND", show_default=False)],
    path: Annotated[
        Path | None,
        typer.Argument(
            metavar="[PATH]",
            help="A file.py or a folder. [default: KIND.py]",
            show_default=False,
            autocompletion=pipelines,
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Write a pipeline file to start from. KIND: classify, moderate or documents."""
    from extract.cli.init import init_command

    init_command(kind, path, force=force)


app.command()(estimate)
app.command(short_help="Try variants on gold rows, and write the best as a pipeline.")(tune)


@app.command(short_help="Show what is sent, what is checked here, and the columns.")
def schema(pipeline: Pipeline, as_json: AsJson = False) -> None:
    """Show what the service is sent, what only this library checks, and the columns that come out."""
    from extract.cli.schema import schema_command

    schema_command(pipeline, as_json=as_json)


app.command(name="eval", short_help="Compare an output with gold answers, or with another.")(evaluate)


@app.command(short_help="Write one HTML file about a run.")
def report(
    output: Annotated[Path, typer.Argument(help="A .parquet file that `extract run` wrote.", show_default=False)],
    report_path: Annotated[Path, typer.Option("-o", "--report", help="Ends in .html.")] = Path("report.html"),
    gold: Annotated[str | None, typer.Option(help="The right answers, one row per record.")] = None,
    on: Annotated[str | None, typer.Option(help="Column that names a record in both files.")] = None,
    rows: Annotated[int, typer.Option(min=1, help="Show at most N records.")] = 2_000,
    cache: Annotated[Path | None, typer.Option(help="The cache of the run. [default: OUTPUT.cache]")] = None,
    source: Annotated[
        str | None, typer.Option(help="The input of the run, for the texts of rejected rows, and documents.")
    ] = None,
    root: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FOLDER",
            help="Show documents from here, too; by default from the current folder and that of --source. Repeatable.",
            show_default=False,
        ),
    ] = None,
    csv_separator: Separator = None,
    csv_quote: Quote = None,
    csv_encoding: Encoding = None,
    sheet: Sheet = None,
) -> None:
    """Write one HTML file about a run: counts, cost, timeline, errors, values, scores, and a table to search.

    The file loads nothing and can be sent to others: it holds the source texts of the records that it shows, and of
    documents the text and pictures of pages. Options of csv files and workbooks are about --gold and --source.
    """
    from extract.cli.report import report_command

    report_command(
        output,
        report_path,
        gold=gold,
        on=on,
        rows=rows,
        cache=cache,
        source=source,
        root=root,
        reading={
            "csv_separator": csv_separator,
            "csv_quote": csv_quote,
            "csv_encoding": csv_encoding,
            "sheet": sheet,
        },
    )


app.command(short_help="Judge rows on a page of this machine.")(review)


@app.command(short_help="Serve the API on this machine, without a model.")
def emulate(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 picks a free one.")] = 8787,
    dialect: Annotated[Literal["steps", "outputs"], typer.Option(help="Wire form to speak.")] = "steps",
    latency_ms: Annotated[float, typer.Option(min=0, help="How long each answer takes.")] = 0.0,
    latency_spread: Annotated[float, typer.Option(min=0, help="Sigma of a lognormal around --latency-ms.")] = 0.0,
    rpm: Annotated[float | None, typer.Option(min=1, help="Quota: requests a minute, else 429.")] = None,
    tpm: Annotated[int | None, typer.Option(min=1, help="Quota: input tokens a minute.")] = None,
    rpd: Annotated[int | None, typer.Option(min=1, help="Quota: requests a day.")] = None,
    background_seconds: Annotated[float, typer.Option(min=0, help="How long background work takes.")] = 0.0,
    bare_quota: Annotated[bool, typer.Option("--bare-quota", help="Refusals name neither quota nor delay.")] = False,
    faults: Annotated[str, typer.Option(help="NAME=SHARE,... as in 503=0.05,mixed=0.1; 'list' shows all names.")] = "",
    seed: Annotated[int, typer.Option(help="Seed of the faults.")] = 0,
) -> None:
    """Serve the Interactions API on this machine, without a model: answers come from a rule reader.

    GET /stats shows what it has received.
    """
    from extract.cli.emulate import emulate_command

    emulate_command(
        port=port,
        dialect=dialect,
        latency=latency_ms / 1000,
        rpm=rpm,
        tpm=tpm,
        rpd=rpd,
        background_seconds=background_seconds,
        faults=faults,
        seed=seed,
        latency_spread=latency_spread,
        bare_quota=bare_quota,
    )


cache_commands: typer.Typer = typer.Typer(no_args_is_help=True, help="Inspect a cache of answers.")
app.add_typer(cache_commands, name="cache")
app.add_typer(gold_commands, name="gold")
CachePath = Annotated[Path, typer.Argument(help="The cache, as in OUTPUT.cache.", show_default=False)]


@cache_commands.command(name="show")
def cache_show(path: CachePath, as_json: AsJson = False) -> None:
    """Show how many answers it holds, and what all runs with it have used and cost."""
    from extract.cli.cache import show_command

    show_command(path, as_json=as_json)


@cache_commands.command(name="verify")
def cache_verify(path: CachePath, as_json: AsJson = False) -> None:
    """Check that every answer can be read. Exit status: 0 whole, 1 damaged, 2 no cache."""
    from extract.cli.cache import verify_command

    raise typer.Exit(verify_command(path, as_json=as_json))
