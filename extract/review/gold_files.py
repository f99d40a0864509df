"""From a table to rows to judge, from decisions to gold and to the corrected table: files in, files out."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from extract.errors import ConfigError
from extract.evaluation.split import parse_shares
from extract.extractor.extractor import Extractor
from extract.review.apply import Applied, apply_to_table
from extract.review.decision_file import DecisionFile
from extract.review.draw import AnswerSchema, draw_queue, draw_sample, proof_hashes, review_setup
from extract.review.drawn import Drawn
from extract.review.dtypes import dtypes_of
from extract.review.gold import Gold, Which, gold_of, write_table
from extract.review.merge import merge_files
from extract.review.sheet import write_sheet
from extract.review.source_table import SourceTable, open_source_table
from extract.schema import OutputSchema, compile_schema

__all__ = ["apply_decisions", "draw_gold", "write_gold"]

_DATABASE = ".db"


def draw_gold(
    data: str | PathLike[str],
    output: str | PathLike[str],
    *,
    rows: int = 500,
    seed: int = 0,
    on: str | None = None,
    answers: Any = None,
    fields: Sequence[str] = (),
    queue: Any = None,
    gold: Collection[str | PathLike[str]] = (),
    split: str = "20/20/60",
    pipeline: str | None = None,
    prefix: str | None = None,
    overwrite: bool = False,
) -> Drawn:
    """Draw rows of a table to judge, each set of rows equally likely, and write them; return what was drawn.

    `output` ends in .db for `extract review`, or in .xlsx, .csv, .jsonl or .parquet for a sheet to fill in. `on` names
    the column that names a row, by default the one of the run's `row_id`, else `id` or `row_id`. `answers` says what an
    answer is: an Extractor or whatever `compile_schema` takes; by default it is read from the footer of an output. With
    `queue`, a table of keys with `score` and `reason`, those rows are taken in place of a sample, but for the rows that
    prove something in the files `gold`. `split` has the shares of gold for examples, tuning and proof. `pipeline` is
    the name of the pipeline, noted in the file. Raises ConfigError where no answer is known, the key repeats, or a file
    is there; `overwrite` replaces a sheet.

        drawn = draw_gold("messages.csv", "to_label.xlsx", rows=200, answers=["bug", "billing", "other"])
        drawn.counts()  # {"examples": 37, "tuning": 41, "proof": 122}
    """
    output, schema = Path(output), _schema_of(answers)
    shares = parse_shares(split)
    table = open_source_table(data, schema, prefix=prefix, on=on)
    known = AnswerSchema.of(schema) if schema else AnswerSchema.written(table.manifest)
    is_database = output.suffix.lower() == _DATABASE
    chosen = _fields(fields, known, is_database=is_database)
    if queue is None:
        drawn = draw_sample(table, rows, seed=seed, fields=chosen, shares=shares)
    else:
        drawn = draw_queue(table, queue, fields=chosen, spared=proof_hashes(gold), shares=shares)
    if known is None or not is_database:
        write_sheet(drawn, output, chosen, overwrite=overwrite)
        return drawn
    prefix = str(table.manifest.get("prefix") or "") if prefix is None else prefix
    setup = review_setup(
        drawn, known, fields=chosen, pipeline=pipeline, prefix=prefix, blind=drawn.kind == "sample"
    )  # fmt: skip
    DecisionFile.create(output, setup, drawn.rows).close()
    return drawn


def _schema_of(answers: Any) -> OutputSchema | None:
    if isinstance(answers, Extractor):
        return compile_schema(answers.schema, extra=answers.extra)
    return None if answers is None else compile_schema(answers)


def _fields(named: Sequence[str], answers: AnswerSchema | None, *, is_database: bool) -> Sequence[str]:
    """Return the fields that a person shall decide. Without a schema they are the columns of a sheet to fill in."""
    if answers is not None:
        return answers.chosen(named)
    if is_database or not named:
        or_fields = "" if is_database else ", or name the columns of a sheet with --fields (fields=)"
        raise ConfigError(f"what is an answer? Add --pipeline or --labels (answers=){or_fields}")
    return named


def write_gold(
    files: str | PathLike[str] | Sequence[str | PathLike[str]],
    output: str | PathLike[str] | None = None,
    *,
    only: Which | None = None,
    inputs: bool = True,
    source: str | PathLike[str] | None = None,
    answers: Any = None,
    overwrite: bool = False,
) -> Gold:
    """Write what people decided as gold, ready for `evaluate` and `extract eval`; return it.

    Several decision files are read as one. `only` says which decisions: "blind" or "prefilled" ones of the sample,
    those of a "queue", or "all"; by default the sample's, the blind ones if there are any. With `inputs` the rows have
    their own columns, read from the table that they were drawn from, or from `source` where that has moved; rows that
    have changed there are left out. `answers` is as in `draw_gold`, and needed for bytes alone. Without `output`
    nothing is written. Raises ConfigError where there is no gold, or a file of that name unless `overwrite`.

        gold = write_gold(["ann.db", "ben.db"], "gold.csv")
        gold.frame.height, gold.left_out
    """
    paths = [Path(one) for one in ([files] if isinstance(files, str | PathLike) else files)]
    if not paths:
        raise ConfigError("name at least one decision file")
    with TemporaryDirectory() as folder, _opened(paths, Path(folder)) as file:
        table = _inputs_of(file, source) if inputs else None
        gold = gold_of(file, only, schema=_schema_of(answers), source=table)
    if output is not None:
        write_table(gold.frame, Path(output), overwrite=overwrite)
    return gold


def _opened(paths: Sequence[Path], folder: Path) -> AbstractContextManager[DecisionFile]:
    return DecisionFile.open(paths[0]) if len(paths) == 1 else merge_files(paths, folder / "merged.db")


def _inputs_of(file: DecisionFile, source: str | PathLike[str] | None) -> SourceTable | None:
    """Return the table that rows were drawn from; None where it is no longer there, and nobody has named another."""
    known = file.setup.local_source
    is_here = known is not None and Path(known).is_file()
    address = source or (known if is_here else None)
    return None if address is None else _table_of(file, address, None, None)


def _table_of(
    file: DecisionFile, address: str | PathLike[str], schema: OutputSchema | None, prefix: str | None
) -> SourceTable:
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


def apply_decisions(
    review: str | PathLike[str],
    data: str | PathLike[str],
    output: str | PathLike[str],
    *,
    answers: Any = None,
    prefix: str | None = None,
    overwrite: bool = False,
) -> Applied:
    """Write the output of a run anew, with what people decided in place of its answers; return what was changed.

    All rows and columns stay, in order. The column `_review` says of each decided row who decided when, and of each
    field that has another value now, from what to what, as JSON. `Applied.refused` lists rows that stay as they are:
    their inputs or their answer are no longer those that were judged, they are gone, or people differ about them.
    `answers` is as in `draw_gold`, and needed for bytes alone; `prefix` that of the answers' columns. Raises
    ConfigError where the table lacks a column that was judged, and for an `output` that is there, the run's own file
    above all, unless `overwrite`.

        applied = apply_decisions("review.db", "out.parquet", "corrected.parquet")
        applied.corrected, applied.refused
    """
    schema = _schema_of(answers)
    with DecisionFile.open(Path(review)) as file:
        table = _table_of(file, data, schema, prefix)
        return apply_to_table(file, table, Path(output), schema=schema, overwrite=overwrite)
