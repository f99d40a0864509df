"""`extract gold`: rows to judge are drawn, and what people decided becomes gold or a corrected table."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from extract.cli.pipelines import load_pipeline
from extract.cli.terminal import SOME_REJECTED, plain
from extract.errors import ConfigError
from extract.review.apply import Refused, apply_decisions
from extract.review.decision_file import DecisionFile
from extract.review.draw import AnswerSchema, Drawn, draw_queue, draw_sample, proof_hashes, review_setup
from extract.review.dtypes import dtypes_of
from extract.review.gold import Which, gold_of, write_table
from extract.review.merge import merge_files
from extract.review.promise import rows_to_prove, wrong_allowed
from extract.review.sheet import write_sheet
from extract.review.source_table import SourceTable, open_source_table
from extract.review.split import parse_shares
from extract.schema import OutputSchema, compile_schema

__all__ = ["DrawOptions", "apply_command", "draw_command", "merge_command", "write_command"]

_DATABASE = ".db"
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
    schema = _schema(options.pipeline, options.labels)
    table = open_source_table(data, schema, prefix=options.prefix, on=options.on)
    known = AnswerSchema.of(schema) if schema else AnswerSchema.written(table.manifest)
    fields = _fields(options.fields, known)
    drawn = _drawn(table, fields, options)
    if output.suffix.lower() == _DATABASE:
        _write_database(drawn, output, known, fields, options)
    else:
        write_sheet(drawn, output, fields, overwrite=options.overwrite)
    _say_drawn(drawn, output, options)


def _schema(pipeline: str | None, labels: str | None) -> OutputSchema | None:
    if pipeline and labels:
        raise ConfigError("--pipeline and --labels both say what an answer is: leave one out")
    if pipeline:
        extractor = load_pipeline(pipeline)
        return compile_schema(extractor.schema, extra=extractor.extra)
    return None if labels is None else compile_schema(_labels(labels))


def _labels(text: str) -> list[str]:
    """Return the labels that a text names, parted by commas, or that stand in a file, one a line."""
    path = Path(text)
    lines = _lines_of(path) if "," not in text and path.is_file() else text.split(",")
    return list(dict.fromkeys(line.strip() for line in lines if line.strip()))


def _lines_of(path: Path) -> list[str]:
    """Return the lines of a text file. ConfigError where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from None


def _fields(text: str | None, answers: AnswerSchema | None) -> Sequence[str]:
    """Return the fields that a person shall decide. Without a schema they are the columns of a sheet to fill in."""
    named = [name.strip() for name in (text or "").split(",") if name.strip()]
    if answers is not None:
        return answers.chosen(named)
    if not named:
        raise ConfigError("what is an answer? Add --pipeline or --labels, or name the columns of a sheet with --fields")
    return named


def _drawn(table: SourceTable, fields: Sequence[str], options: DrawOptions) -> Drawn:
    shares = parse_shares(options.shares)
    if options.queue is None:
        return draw_sample(table, options.rows, seed=options.seed, fields=fields, shares=shares)
    return draw_queue(table, options.queue, fields=fields, spared=proof_hashes(options.proof), shares=shares)


def _write_database(
    drawn: Drawn, output: Path, answers: AnswerSchema | None, fields: Sequence[str], options: DrawOptions
) -> None:
    if answers is None:
        raise ConfigError(f"{drawn.table.address} does not say what an answer is: add --pipeline or --labels")
    setup = review_setup(
        drawn,
        answers,
        fields=fields,
        pipeline=options.pipeline,
        prefix=options.prefix or str(drawn.table.manifest.get("prefix") or ""),
        blind=drawn.kind == "sample",
    )
    DecisionFile.create(output, setup, drawn.rows).close()


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
    with TemporaryDirectory() as folder, _opened(files, Path(folder)) as file:
        table = _source(file, source) if inputs else None
        gold = gold_of(file, which, schema=_schema(pipeline, None), source=table)
        write_table(gold.frame, output, overwrite=overwrite)
    splits = dict(sorted(gold.frame["_split"].value_counts().iter_rows()))
    if as_json:
        shown = {"output": str(output), "rows": gold.frame.height, "which": gold.which, "split": splits}
        sys.stdout.write(json.dumps(shown | {"left_out": gold.left_out}) + "\n")
        return
    parts = ", ".join(f"{count:,} {name}" for name, count in splits.items())
    _say([f"wrote {output}: {gold.frame.height:,} rows of gold ({gold.which}): {parts}", *_left_out(gold.left_out)])


def _left_out(counts: Mapping[str, int]) -> list[str]:
    return [f"{count:,} decided rows left out: {reason}" for reason, count in counts.items()]


def _opened(files: Sequence[Path], folder: Path) -> DecisionFile:
    return DecisionFile.open(files[0]) if len(files) == 1 else merge_files(files, folder / "merged.db")


def _source(file: DecisionFile, source: str | None) -> SourceTable | None:
    address = source or file.setup.source
    if address is None or (source is None and "://" not in address and not Path(address).is_file()):
        _say([f"the rows' own columns are left out: {address or 'their table'} is not there (--source)"])
        return None
    return _table_of(file, address, None, None)


def _table_of(file: DecisionFile, address: str, schema: OutputSchema | None, prefix: str | None) -> SourceTable:
    """Return a table with the fields, the types and the key of a decision file."""
    setup = file.setup
    return open_source_table(
        address,
        schema,
        prefix=setup.prefix if prefix is None and setup.prefix else prefix,
        on=setup.on,
        dtypes=None if schema else dtypes_of(setup.dtypes),
        by_position=setup.on is None,
    )


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
    with DecisionFile.open(path) as file:
        schema = _schema(pipeline, None)
        done = apply_decisions(file, _table_of(file, data, schema, prefix), output, schema=schema, overwrite=overwrite)
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
