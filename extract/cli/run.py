"""`extract run`: one pipeline over one input, into one file."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Literal, cast

from extract.cli.accepted_run import accept_of
from extract.cli.json_log import JsonLog
from extract.cli.live_progress import LogForm, Watcher, watched
from extract.cli.pipelines import load_pipeline, pipeline_name
from extract.cli.show_rows import show_rows
from extract.cli.summary import say_summary
from extract.cli.terminal import INTERRUPTED, exit_status, say_error, say_warnings
from extract.documents.roots import Roots
from extract.errors import ConfigError, ExtractError, SchemaError
from extract.extractor.extractor import Extractor
from extract.extractor.pack import Pack
from extract.extractor.plan import schema_of
from extract.interactions.client import Client
from extract.io.read_options import ReadOptions
from extract.io.sources import open_source
from extract.limits.budget import Budget
from extract.limits.limits import Limits
from extract.results.progress import Progress
from extract.results.run import Run, ending_of
from extract.runner.options import OutputTarget, RunKeywords, RunOptions
from extract.runner.run import run
from extract.runner.service import offline_client

__all__ = ["run_command"]

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(s|m|h)?")
_SHOWN = 20  # rows, where --limit is not given
_SECONDS = {None: 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """The options of `extract run`. `keywords` are those of the function `run`; the others exist only here."""

    keywords: RunKeywords
    model: str | None
    pack: str | None
    escalate: list[str] | None
    base_url: str | None
    dialect: Literal["steps", "outputs"]
    request_timeout: str | None
    max_answer_bytes: int | None
    engine: Literal["local", "ray"]
    address: str | None
    workers: int | None
    as_json: bool
    log: LogForm
    quiet: bool
    show: bool

    @classmethod
    def of(cls, typed: Mapping[str, Any]) -> Command:
        """Return the command for options by their names in `extract.cli.app.run`."""
        own = {one.name: typed[one.name] for one in fields(cls) if one.name != "keywords"}
        return cls(keywords=_keywords(typed), **own)

    @property
    def offline(self) -> bool:
        """True where the built-in emulator answers."""
        return self.keywords.get("offline", False)


def _keywords(typed: Mapping[str, Any]) -> RunKeywords:
    """Return the keywords of `run` for the options: most have the same name."""
    same = {name: typed[name] for name in RunKeywords.__annotations__ if name in typed}
    output: Path | None = typed["output"]
    cache = typed["cache"] or (output and output.with_name(output.name + ".cache"))
    limits = {one.name: typed[one.name] for one in fields(Limits) if one.name in typed}
    for name in ("deadline", "patience"):
        limits[name] = _seconds(typed[name], f"--{name}") if typed[name] else None
    converted: RunKeywords = {
        "row_id": typed["id_column"],
        "cache": None if typed["no_cache"] else cache,
        "limits": Limits(**limits),
        "budget": _budget(typed["budget"], typed["budget_tokens"], typed["budget_total"]),
        "errors": "split",
        "accept": accept_of(typed),
        "escalate": None,
    }
    return cast("RunKeywords", same | converted)


def run_command(pipeline: str, data: str, **typed: Any) -> int:
    """Run, print the results, and return the exit status. `typed` are the options of `extract run`."""
    _check(typed)
    command = Command.of(typed)
    extractor = load_pipeline(pipeline)
    if command.model:
        extractor = replace(extractor, model=command.model)
    if command.pack is not None:
        extractor = replace(extractor, pack=Pack.of(command.pack))
    quiet = command.quiet or command.as_json
    if not quiet and command.log != "json":
        say_warnings(schema_of(extractor))
    steps = [load_pipeline(one) for one in command.escalate or ()]
    keywords = cast("RunKeywords", {**command.keywords, "pipeline": pipeline_name(pipeline), "escalate": steps})
    watcher: Watcher | None = None
    try:
        with watched(quiet=quiet, log=command.log) as watcher, _client(command) as client:
            result = _run(data, extractor, command, keywords, client=client, on_event=watcher)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted before anything was sent\n")
        return INTERRUPTED
    except ExtractError as error:
        if not _say_stopped(command, watcher, error):
            raise
        return exit_status(error)
    if command.show:
        _show(result, data, extractor, keywords)
    _say_result(command, watcher, result)
    return exit_status(result)


def _say_result(command: Command, watcher: Watcher | None, result: Run) -> None:
    """Print the summary: as JSON, in the log, for people, or of a quiet run only what stopped it."""
    if command.as_json:
        sys.stdout.write(json.dumps(result.summary()) + "\n")
    if isinstance(watcher, JsonLog):
        watcher.end(result.summary())
    elif not (command.quiet or command.as_json):
        is_cached = command.keywords.get("cache") is not None
        say_summary(result, limit=watcher.limit if watcher else "", cached=is_cached)
    elif result.stopped is not None and not command.as_json:
        say_error(result.stopped)


def _say_stopped(command: Command, watcher: Watcher | None, error: ExtractError) -> bool:
    """Tell programs what ended a run before any row had an answer; wrong usage is no run.

    True where the log says it, in its last line.
    """
    if isinstance(error, ConfigError | SchemaError):
        return False
    ended = {"stopped": ending_of(error), "interrupted": False}
    if command.as_json:
        sys.stdout.write(json.dumps(ended) + "\n")
    if isinstance(watcher, JsonLog):
        watcher.end(ended)
    return isinstance(watcher, JsonLog)


def _check(typed: Mapping[str, Any]) -> None:
    """Raise ConfigError for a run whose rows would go nowhere, or two outputs on stdout."""
    if typed["output"] is None and not typed["show"]:
        raise ConfigError("name a file for the rows with -o OUTPUT.parquet, or look at the first ones with --show")
    if typed["show"] and typed["as_json"]:
        raise ConfigError("--show and --json both print on stdout; leave one of them out")


def _show(result: Run, data: str, extractor: Extractor, keywords: RunKeywords) -> None:
    limit = keywords.get("limit")
    source = open_source(data, limit=limit, **ReadOptions.of(keywords).keywords)
    rows = limit or _SHOWN
    roots = Roots.joined(Roots.of(keywords.get("root")), source.folder)
    prefix, row_id = keywords.get("prefix", ""), keywords.get("row_id")
    show_rows(result, source, extractor, rows=rows, prefix=prefix, row_id=row_id, roots=roots)
    if limit is None and result.totals.rows > rows:
        sys.stdout.write(f"{result.totals.rows - rows:,} more rows; --limit shows more or fewer\n")


def _run(
    data: str,
    extractor: Extractor,
    command: Command,
    keywords: RunKeywords,
    *,
    client: Client,
    on_event: Callable[[Progress], None] | None,
) -> Run:
    """Run on this machine, or on a cluster."""
    if command.engine == "local":
        if command.address is not None or command.workers is not None:
            raise ConfigError("--address and --workers belong to a cluster: add --engine ray")
        # With --offline the client is already one of the emulator.
        keywords["client"], keywords["offline"], keywords["on_event"] = client, False, on_event
        return run(data, extractor, **keywords)
    from extract.distributed import ClusterSpec, run_on_ray

    return run_on_ray(
        data,
        extractor,
        RunOptions.of(**keywords),
        target=OutputTarget.of(**keywords),
        client=client,
        spec=ClusterSpec(workers=command.workers or 2, address=command.address, offline=command.offline),
        on_event=on_event,
    )


@contextmanager
def _client(command: Command) -> Iterator[Client]:
    """Yield the client that the options stand for."""
    if command.offline:
        if command.base_url:
            raise ConfigError("--offline brings its own service; leave out --base-url")
        with offline_client(dialect=command.dialect) as client:
            yield _bounded(client, command)
        return
    with Client.from_env(base_url=command.base_url, dialect=command.dialect) as client:
        yield _bounded(client, command)


def _bounded(client: Client, command: Command) -> Client:
    """Return a client of the same service with the bounds that were typed."""
    total = command.request_timeout
    seconds = None if total is None else _seconds(total, "--request-timeout")
    endpoint = replace(client.endpoint, request_timeout=seconds, max_answer_bytes=command.max_answer_bytes)
    return Client(endpoint=endpoint, transport=client.transport)


def _budget(dollars: str | None, tokens: int | None, total: str | None) -> Budget | None:
    if dollars is None and tokens is None and total is None:
        return None
    return Budget(dollars=_amount(dollars, "--budget"), tokens=tokens, total=_amount(total, "--budget-total"))


def _amount(dollars: str | None, option: str) -> Decimal | None:
    try:
        return None if dollars is None else Decimal(dollars.strip().removeprefix("$"))
    except InvalidOperation:
        raise ConfigError(f"{option} {dollars!r} is not an amount of money; write 2.50") from None


def _seconds(duration: str, option: str) -> float:
    match = _DURATION.fullmatch(duration.strip())
    if not match or float(match[1]) <= 0:
        raise ConfigError(f"{option} {duration!r} is not a duration; write 90s, 15m or 2h")
    return float(match[1]) * _SECONDS[match[2]]
