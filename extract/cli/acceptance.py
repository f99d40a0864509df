"""The part of `extract eval` that states a promise: which rows may be accepted, and which are for people."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from extract.cli.accept_options import AcceptOptions
from extract.cli.eval_inputs import Output
from extract.errors import ConfigError
from extract.evaluation.acceptance import accept_rows, gold_scores
from extract.evaluation.accepted import Acceptance
from extract.evaluation.calibration import calibration
from extract.evaluation.clearance import clear_rows
from extract.evaluation.inputs import AnsweredRows, rejected_rows
from extract.evaluation.proof import Promise
from extract.io.sinks.open import open_sink

__all__ = ["accepted_part", "check_accept_options", "cleared_part", "scores_part"]

_Part = tuple[dict[str, Any], list[str]]


def check_accept_options(options: AcceptOptions, gold: str | None) -> None:
    """Refuse options that have no meaning together, before anything is read. ConfigError."""
    if options.right is not None and options.clear is not None:
        raise ConfigError("--right and --clear are two promises: state one of them")
    if options.right is None and options.clear is None:
        named = {"--accepted": options.accepted, "--rest": options.rest, "--used-gold": options.used_gold}
        if alone := [name for name, value in named.items() if value]:
            raise ConfigError(
                f"{alone[0]} needs --right: the share of accepted rows that is to be right, such as 0.95; or --clear"
            )
    if gold is None and (options.right is not None or options.clear or options.score):
        raise ConfigError("--right, --clear and --score need a file of gold answers")
    if options.clear is not None:
        _label(options.clear)
        Promise(options.recall, options.confidence)
    if options.right is not None:
        Promise(options.right, options.confidence)
    paths = [path for path in (options.accepted, options.rest) if path is not None]
    if len({path.absolute() for path in paths}) < len(paths):
        raise ConfigError("--accepted and --rest name the same file")
    for path in paths:
        if path.exists() and not options.overwrite:
            raise ConfigError(f"{path} exists; choose another name or add --overwrite")
        open_sink(path)


def accepted_part(
    output: Output,
    gold: pl.DataFrame,
    options: AcceptOptions,
    *,
    on: str,
    day_first: bool,
    decided: pl.DataFrame | None = None,
) -> _Part:
    """Return what may be accepted, and write it where the options say so."""
    promise = Promise(options.right or 0.0, options.confidence)
    acceptance = accept_rows(
        answered(output),
        gold,
        promise,
        on=on,
        fields=options.fields or None,
        score=options.score,
        decided=decided,
        used_gold=options.used_gold,
        day_first=day_first,
    )
    summary = acceptance.to_dict()
    lines = [str(acceptance), *str(acceptance.calibration).splitlines()[1:], *_written(acceptance, output, options)]
    return {"acceptance": summary}, lines


def cleared_part(
    output: Output,
    gold: pl.DataFrame,
    options: AcceptOptions,
    *,
    on: str,
    day_first: bool,
    decided: pl.DataFrame | None = None,
) -> _Part:
    """Return which rows may be cleared of a label, and write them, and the others, where the options say so."""
    result = clear_rows(
        answered(output),
        gold,
        Promise(options.recall, options.confidence),
        on=on,
        label=_label(options.clear or ""),
        score=options.score,
        decided=decided,
        used_gold=options.used_gold,
        day_first=day_first,
    )
    lines = [str(result)]
    if options.accepted is not None:
        _write(result.cleared, options.accepted, {})
        lines.append(f"{options.accepted}: {result.cleared.height:,} cleared rows")
    if options.rest is not None:
        _write(result.queue, options.rest, {})
        lines.append(f"{options.rest}: {result.queue.height:,} rows for people")
    return {"clearance": result.to_dict()}, lines


def _label(text: str) -> dict[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise ConfigError(f"--clear {text!r}: write a field and its value, such as harmful=true")
    return {name: value}


def answered(output: Output) -> AnsweredRows:
    """Return an output as evaluation takes it."""
    keys = output.manifest.get("keys")
    names = dict(keys) if isinstance(keys, dict) else {}
    return AnsweredRows(output.rows, output.fields, ~rejected_rows(output.rows), names)


def scores_part(output: Output, gold: pl.DataFrame, options: AcceptOptions, *, on: str, day_first: bool) -> _Part:
    """Return how the output's score meets rightness; nothing for an output without a score, unless one was named."""
    try:
        pairs, sources = gold_scores(
            answered(output), gold, on=on, fields=options.fields or None, score=options.score, day_first=day_first
        )
    except ConfigError:
        if options.score is not None:
            raise
        return {}, []
    result = calibration(pairs)
    line = f"score ({', '.join(dict.fromkeys(sources.values()))}): {result.line()}"
    bins = str(result).splitlines()[1:] if options.score is not None else []
    return {"calibration": result.to_dict() | {"scores": dict(sources)}}, [line, *bins]


def _written(acceptance: Acceptance, output: Output, options: AcceptOptions) -> list[str]:
    """Write the files that were asked for; return a line for each."""
    lines = []
    if options.accepted is not None:
        frame = acceptance.accepted
        described = {name: value for name, value in output.manifest.items() if name != "run"}
        _write(frame, options.accepted, {**described, "acceptance": _summary(acceptance)})
        lines.append(f"{options.accepted}: {frame.height:,} accepted rows")
    if options.rest is not None:
        queue = acceptance.queue()
        _write(queue, options.rest, {})
        proving = acceptance.rest.height - queue.height
        left = f"; {proving:,} gold rows that prove are left out" if proving else ""
        lines.append(f"{options.rest}: {queue.height:,} rows for people{left}")
    return lines


def _summary(acceptance: Acceptance) -> dict[str, Any]:
    summary = acceptance.to_dict()
    return {name: value for name, value in summary.items() if name not in ("calibration", "curve")}


def _write(frame: pl.DataFrame, path: Path, manifest: dict[str, Any]) -> None:
    sink = open_sink(path)
    try:
        sink.open(frame.schema, manifest)
        sink.write(frame)
    except BaseException:
        sink.abandon()
        raise
    sink.close(whole=True, manifest=manifest)
