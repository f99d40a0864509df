"""`extract run`: one pipeline over one input, into one file."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from functools import partial
from pathlib import Path
from typing import Literal

from extract.cli.live_progress import watched
from extract.cli.pipelines import load_pipeline, pipeline_name
from extract.cli.show_rows import show_rows
from extract.cli.summary import say_summary
from extract.cli.terminal import INTERRUPTED, exit_status, say_warnings
from extract.errors import ConfigError
from extract.extractor.extractor import Extractor
from extract.interactions.client import Client
from extract.io.sources import open_source, take_rows
from extract.limits.budget import Budget
from extract.limits.limits import Limits
from extract.results.progress import Progress
from extract.results.run import Run
from extract.runner.run import offline_client, run
from extract.schema import compile_schema

__all__ = ["Options", "run_command"]

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(s|m|h)?")
_SHOWN = 20  # rows, where no limit is given
_SECONDS = {None: 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What was typed behind `extract run`; names as on the command line."""

    model: str | None
    offline: bool
    base_url: str | None
    dialect: Literal["steps", "outputs"]
    id_column: str | None
    concurrency: int
    rpm: float | None
    tpm: float | None
    rpd: float | None
    budget: str | None
    budget_tokens: int | None
    service_tier: Literal["standard", "flex", "priority"] | None
    deadline: str | None
    limit: int | None
    prefix: str
    retry_rejected: bool
    require_grounding: bool
    samples: int
    provenance: bool
    inline_limit: int
    keep_files: bool
    stop_after_failures: int
    cache: Path | None
    overwrite: bool
    engine: Literal["local", "ray"]
    address: str | None
    workers: int | None
    as_json: bool
    quiet: bool
    show: bool


def run_command(pipeline: str, data: str, output: Path | None, options: Options) -> int:
    """Run, print what came of it, and return the exit status."""
    _check(output, options)
    extractor = load_pipeline(pipeline)
    if options.model:
        extractor = replace(extractor, model=options.model)
    quiet = options.quiet or options.as_json
    if not quiet:
        say_warnings(compile_schema(extractor.schema))
    try:
        with watched(quiet=quiet) as watcher, _client(options) as client:
            result = _run(
                extractor, data, output, options, name=pipeline_name(pipeline), client=client, on_event=watcher
            )
    except KeyboardInterrupt:
        sys.stderr.write("interrupted before anything was sent\n")
        return INTERRUPTED
    if options.show:
        _show(result, data, extractor, options)
    if options.as_json:
        sys.stdout.write(json.dumps(result.summary()) + "\n")
    if result.stopped is not None or not quiet:
        say_summary(result, limit=watcher.limit if watcher else "", kept=options.cache is not None)
    return exit_status(result)


def _check(output: Path | None, options: Options) -> None:
    """Refuse what goes nowhere."""
    if output is None and not options.show:
        raise ConfigError("name a file for the rows with -o OUTPUT.parquet, or look at the first ones with --show")
    if options.show and options.as_json:
        raise ConfigError("--show and --json both print on stdout; leave one of them out")


def _show(result: Run, data: str, extractor: Extractor, options: Options) -> None:
    source = open_source(data) if options.limit is None else take_rows(open_source(data), options.limit)
    rows = options.limit or _SHOWN
    show_rows(result, source, extractor, rows=rows, prefix=options.prefix, row_id=options.id_column)
    if options.limit is None and result.totals.rows > rows:
        sys.stdout.write(f"{result.totals.rows - rows:,} more rows; --limit shows another number of them\n")


def _run(
    extractor: Extractor,
    data: str,
    output: Path | None,
    options: Options,
    *,
    name: str,
    client: Client,
    on_event: Callable[[Progress], None] | None,
) -> Run:
    return _engine(options)(
        data,
        extractor,
        client=client,
        row_id=options.id_column,
        cache=options.cache,
        output=output,
        overwrite=options.overwrite,
        prefix=options.prefix,
        limit=options.limit,
        limits=_limits(options),
        budget=_budget(options),
        service_tier=options.service_tier,
        retry_rejected=options.retry_rejected,
        require_grounding=options.require_grounding,
        samples=options.samples,
        provenance=options.provenance,
        inline_limit=options.inline_limit,
        keep_files=options.keep_files,
        pipeline=name,
        on_event=on_event,
    )


def _engine(options: Options) -> Callable[..., Run]:
    """Return what runs: on this machine, or on a cluster."""
    if options.engine == "local":
        if options.address is not None or options.workers is not None:
            raise ConfigError("--address and --workers belong to a cluster: add --engine ray")
        return partial(run, errors="split")
    from extract.distributed import run_on_ray

    return partial(run_on_ray, offline=options.offline, address=options.address, workers=options.workers or 2)


@contextmanager
def _client(options: Options) -> Iterator[Client]:
    """Give the client that the options name; a run takes over its endpoint and transport."""
    if options.offline:
        if options.base_url:
            raise ConfigError("--offline brings its own service; leave out --base-url")
        with offline_client(dialect=options.dialect) as client:
            yield client
        return
    with Client.from_env(base_url=options.base_url, dialect=options.dialect) as client:
        yield client


def _limits(options: Options) -> Limits:
    return Limits(
        concurrency=options.concurrency,
        rpm=options.rpm,
        tpm=options.tpm,
        rpd=options.rpd,
        deadline=_seconds(options.deadline) if options.deadline else None,
        stop_after_failures=options.stop_after_failures,
    )


def _budget(options: Options) -> Budget | None:
    if options.budget is None and options.budget_tokens is None:
        return None
    try:
        dollars = None if options.budget is None else Decimal(options.budget.strip().removeprefix("$"))
    except InvalidOperation:
        raise ConfigError(f"--budget {options.budget!r} is no sum of money; write 2.50") from None
    return Budget(dollars=dollars, tokens=options.budget_tokens)


def _seconds(duration: str) -> float:
    found = _DURATION.fullmatch(duration.strip())
    if not found or float(found[1]) <= 0:
        raise ConfigError(f"--deadline {duration!r} is no duration; write 90s, 15m or 2h")
    return float(found[1]) * _SECONDS[found[2]]
