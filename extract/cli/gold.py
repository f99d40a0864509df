"""`extract gold`: rows to judge are drawn, and what people decided becomes gold or a corrected table."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from extract.cli.label_list import read_labels
from extract.cli.pipelines import load_pipeline
from extract.cli.terminal import SOME_REJECTED, plain
from extract.errors import ConfigError
from extract.evaluation.tails import rows_to_prove, wrong_allowed
from extract.review.apply import Refused
from extract.review.drawn import Drawn
from extract.review.gold import Which
from extract.review.gold_files import apply_decisions, draw_gold, write_gold
from extract.review.merge import merge_files

__all__ = ["DrawOptions", "apply_command", "draw_command", "merge_command", "write_command"]

_MAX_LISTED = 20  # refused rows on a terminal; --json has all


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawOptions:
    """The options of `extract gold draw`, by their names on the command line."""

    rows: int
    seed: int
    on: str | None
    pipeline: str | None
    labels: str | None
    fields: str | None
    queue: str | None
    proof: Sequence[Path]
    shares: str
    right: float
    confidence: float
    prefix: str | None
    overwrite: bool
    as_json: bool


def draw_command(data: str, output: Path, options: DrawOptions) -> None:
    """Draw rows, write them, and say what they can prove."""
    rows_to_prove(options.right, options.confidence)  # refuses what no number of rows proves, before a file is there
    drawn = draw_gold(
        data,
        output,
        rows=options.rows,
        seed=options.seed,
        on=options.on,
        answers=_answers(options.pipeline, options.labels),
        fields=[name.strip() for name in (options.fields or "").split(",") if name.strip()],
        queue=options.queue,
        gold=options.proof,
        split=options.shares,
        pipeline=options.pipeline,
        prefix=options.prefix,
        overwrite=options.overwrite,
    )
    _say_drawn(drawn, output, options)


def _answers(pipeline: str | None, labels: str | None) -> Any:
    """Return what an answer is: an Extractor, or labels; None where the command line does not say it."""
    if pipeline and labels:
        raise ConfigError("--pipeline and --labels both say what an answer is: leave one out")
    return load_pipeline(pipeline) if pipeline else None if labels is None else read_labels(labels)


def _say_drawn(drawn: Drawn, output: Path, options: DrawOptions) -> None:
    counts, proof = drawn.counts(), drawn.counts()["proof"]
    needed = rows_to_prove(options.right, options.confidence)
    wrong = wrong_allowed(proof, options.right, options.confidence) if proof else None
    if options.as_json:
        shown = {"output": str(output), "kind": drawn.kind, "rows": len(drawn.rows), "population": drawn.population,
                 "seed": drawn.seed, "on": drawn.table.on, "split": counts, "left_out": drawn.left_out,
                 "needed": needed, "wrong_allowed": wrong}  # fmt: skip
        sys.stdout.write(json.dumps(shown) + "\n")
        return
    lines = _queue_lines(drawn) if drawn.kind == "queue" else _sample_lines(drawn, needed, wrong, options)
    if drawn.table.rejected is not None:
        lines.append(f"rejected rows are not in {drawn.table.address} and cannot be drawn: {drawn.table.rejected}")
    if drawn.table.on is None:
        lines.append(
            "rows are named by their position alone: to score an output with this gold, name a column with --on"
        )
    _say([f"wrote {output}", *lines])


def _queue_lines(drawn: Drawn) -> list[str]:
    lines = [f"{len(drawn.rows):,} rows of a queue: what is decided about them fixes these rows, and proves nothing"]
    return [*lines, f"{drawn.left_out:,} rows left out: they are proof rows"] if drawn.left_out else lines


def _sample_lines(drawn: Drawn, needed: int, wrong: int | None, options: DrawOptions) -> list[str]:
    counts = drawn.counts()
    goal = f"{options.right:.4g} right with {options.confidence:.4g} confidence"
    parts = ", ".join(f"{count:,} {name}" for name, count in counts.items())
    lines = [f"{len(drawn.rows):,} of {drawn.population:,} rows drawn with seed {options.seed}: {parts}"]
    lines.append(f"to prove {goal} takes {needed:,} accepted proof rows without an error")
    if wrong is None:
        share = counts["proof"] / len(drawn.rows)
        enough = f"--rows {-(-needed // share):,.0f} or more" if share else "a share for proof, --split 20/20/60"
        lines.append(f"these are too few to prove that, even with no error: draw {enough}")
    else:
        lines.append(f"if all {counts['proof']:,} are accepted, {wrong:,} of them may be wrong")
    return lines


def write_command(
    files: Sequence[Path],
    output: Path,
    *,
    which: Which | None,
    inputs: bool,
    source: str | None,
    pipeline: str | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Write the gold of one or more decision files."""
    answers = _answers(pipeline, None)
    gold = write_gold(
        files, output, only=which, inputs=inputs, source=source, answers=answers, overwrite=overwrite
    )  # fmt: skip
    if as_json:
        shown = {"output": str(output), "rows": gold.frame.height, "which": gold.which, "split": gold.counts()}
        sys.stdout.write(json.dumps(shown | {"inputs": gold.has_inputs, "left_out": gold.left_out}) + "\n")
        return
    parts = ", ".join(f"{count:,} {name}" for name, count in gold.counts().items())
    lines = [f"wrote {output}: {gold.frame.height:,} rows of gold ({gold.which}): {parts}", *_left_out(gold.left_out)]
    if inputs and not gold.has_inputs:
        lines.append("the rows' own columns are left out: the table they were drawn from is not there (--source)")
    _say(lines)


def _left_out(counts: Mapping[str, int]) -> list[str]:
    return [f"{count:,} decided rows left out: {reason}" for reason, count in counts.items()]


def apply_command(
    path: Path,
    data: str,
    output: Path,
    *,
    pipeline: str | None,
    prefix: str | None,
    overwrite: bool,
    as_json: bool,
) -> int:
    """Write a corrected table; return the exit status."""
    answers = _answers(pipeline, None)
    done = apply_decisions(path, data, output, answers=answers, prefix=prefix, overwrite=overwrite)
    if as_json:
        shown = {"output": str(done.path), "rows": done.rows, "corrected": done.corrected, "confirmed": done.confirmed}
        sys.stdout.write(json.dumps(shown | {"refused": [asdict(one) for one in done.refused]}) + "\n")
    else:
        changed = f"{done.corrected:,} rows corrected, {done.confirmed:,} confirmed, {len(done.refused):,} refused"
        _say([f"wrote {done.path}: {changed}", *_refusals(done.refused)])
    return SOME_REJECTED if done.refused else 0


def _refusals(refused: Sequence[Refused]) -> list[str]:
    lines = [f"row {one.row_id!r} refused: {one.reason}" for one in refused[:_MAX_LISTED]]
    return [*lines, f"and {len(refused) - _MAX_LISTED:,} more"] if len(refused) > _MAX_LISTED else lines


def merge_command(files: Sequence[Path], output: Path) -> None:
    """Write one decision file with the decisions of all."""
    with merge_files(files, output) as merged:
        progress = merged.progress("")
    lines = [f"wrote {output}: {len(merged):,} rows, decisions of {', '.join(progress.people) or 'nobody'}"]
    for name, one in (progress.agreement or progress.agreement_seen).items():
        kappa = "no kappa" if one.kappa is None else f"kappa {one.kappa:.2f}"
        lines.append(f"{name or 'all fields'}: {one.same:,} of {one.rows:,} rows decided alike, {kappa}")
    _say(lines)


def _say(lines: Sequence[str]) -> None:
    sys.stderr.write("".join(plain(line) + "\n" for line in lines))
