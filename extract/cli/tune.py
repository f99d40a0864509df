"""`extract tune`: variants of a pipeline on gold rows, the winner as a new pipeline."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from extract.cli.pipelines import load_pipeline, pipeline_name
from extract.cli.terminal import plain
from extract.errors import ConfigError
from extract.evaluation.split import parse_shares
from extract.interactions.client import Client
from extract.limits.limits import Limits
from extract.runner.options import RunKeywords
from extract.runner.service import offline_client
from extract.tuning.picture import check_picture, write_picture
from extract.tuning.pipeline_file import check_target, tuned_files
from extract.tuning.tune import tune
from extract.tuning.tuning import Tuning
from extract.tuning.variants import Variant, read_prompt, read_variants, variant_grid

__all__ = ["tune_command"]


def tune_command(pipeline: str, data: str, **typed: Any) -> None:
    """Tune, print what came out, and write what is wanted. `typed` are the options by name."""
    output, report = typed["output"], typed["report"]
    if output is not None:
        check_target(output, pipeline, force=typed["force"])
    if report is not None:
        check_picture(report)
    extractor = load_pipeline(pipeline)
    keywords: RunKeywords = {"limits": Limits(concurrency=typed["concurrency"])}
    if typed["root"]:
        keywords["root"] = typed["root"]
    with _client(offline=typed["offline"], base_url=typed["base_url"]) as client:
        result = tune(
            data,
            extractor,
            typed["gold"],
            _variants(typed),
            on=typed["on"],
            answer=typed["answer"],
            client=client,
            cache=typed["cache"] or Path(f"{pipeline_name(pipeline)}.tune.cache"),
            budget=_dollars(typed["budget"]),
            shares=parse_shares(typed["split"]),
            seed=typed["seed"],
            keywords=keywords,
            on_round=lambda line: _say(line, quiet=typed["as_json"]),
        )
    if typed["as_json"]:
        sys.stdout.write(json.dumps(result.to_dict()) + "\n")
    else:
        sys.stdout.write(plain(str(result)) + "\n")
    if report is not None:
        _say(f"wrote {write_picture(result, report)}", quiet=typed["as_json"])
    if output is not None:
        _write(pipeline, result, output, quiet=typed["as_json"])


def _write(pipeline: str, result: Tuning, output: Path, *, quiet: bool) -> None:
    if not result.winner.changes:
        _say(f"the pipeline stays as it is: {output} is not written", quiet=quiet)
        return
    files = tuned_files(pipeline, result, output)
    files.write()
    if not quiet:
        sys.stdout.write("\n" + plain(files.diff))
    rows = "" if files.rows_file is None else f" and {files.rows_file}, the gold rows that it shows"
    _say(f"wrote {output}{rows}", quiet=quiet)


def _variants(typed: Mapping[str, Any]) -> list[Variant]:
    listed = [] if typed["variants"] is None else read_variants(typed["variants"])
    prompts = {path.stem: read_prompt(path) for path in typed["prompts"] or ()}
    if len(prompts) < len(typed["prompts"] or ()):
        raise ConfigError("two files of --prompts have the same name: it names their variants")
    grid = variant_grid(
        models=_parts(typed["models"]),
        prompts=prompts,
        examples=_parts(typed["examples"]),
        samples=[_number(text, "--samples") for text in _parts(typed["samples"])],
        packs=[_number(text, "--pack") for text in _parts(typed["pack"])],
    )
    return [*listed, *grid]


def _parts(text: str | None) -> list[str]:
    return [part.strip() for part in (text or "").split(",") if part.strip()]


def _number(text: str, option: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ConfigError(f"{option} {text!r}: write whole numbers from 1, such as 1,3")
    return int(text)


def _dollars(text: str | None) -> Decimal | None:
    try:
        return None if text is None else Decimal(text.strip().removeprefix("$"))
    except InvalidOperation:
        raise ConfigError(f"--budget {text!r} is not an amount of money; write 2.50") from None


@contextmanager
def _client(*, offline: bool, base_url: str | None) -> Iterator[Client]:
    if offline and base_url:
        raise ConfigError("--offline brings its own service; leave out --base-url")
    with offline_client() if offline else Client.from_env(base_url=base_url) as client:
        yield client


def _say(line: str, *, quiet: bool) -> None:
    if not quiet:
        sys.stderr.write(plain(line) + "\n")
