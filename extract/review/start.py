"""Makes the decision file of a review: from an output or an input, by a sample or a queue."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from extract.errors import ConfigError, SchemaError
from extract.io.sinks.open import read_manifest
from extract.io.sources import read_table
from extract.review.decision_file import ENDING, DecisionFile
from extract.review.draw import AnswerSchema, Drawn, draw_queue, draw_sample, proof_hashes, review_setup
from extract.review.queue import doubtful_rows
from extract.review.source_table import SourceTable, open_source_table
from extract.review.tasks import Kind
from extract.schema import OutputSchema

__all__ = ["Choice", "answers_of", "default_path", "make_file"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which rows of a table are reviewed, and how.

    A `sample` of n rows is drawn at random by `seed`; a `queue` has up to `limit` rows that something speaks
    against, or those that a file names. `gold` are files of gold and of decisions whose proof rows no queue may show.
    `fields` are those under review, by default all; `blind`: nobody sees the answers.
    """

    sample: int | None = None
    queue: bool | str = False
    limit: int = 1_000
    seed: int = 0
    fields: tuple[str, ...] = ()
    blind: bool = False
    on: str | None = None
    prefix: str | None = None
    gold: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.queue and self.sample is not None:
            raise ConfigError("a sample and a queue are never mixed: choose --sample or --queue")
        if self.queue and self.blind:
            raise ConfigError("a queue shows what speaks against an answer, so it is not blind: leave --blind out")
        if self.gold and not self.queue:
            raise ConfigError("--gold names rows that a queue leaves out: use it with --queue")

    @property
    def kind(self) -> Kind:
        """How rows are chosen."""
        return "queue" if self.queue else "sample"


_SAMPLE = 200


def default_path(address: str, kind: Kind, *, blind: bool) -> Path:
    """Return the decision file of a table: beside it, one for each way of judging, as these are never mixed."""
    if "://" in address:
        raise ConfigError(f"{address}: name the file of decisions with --decisions")
    path = Path(address)
    way = "queue" if kind == "queue" else "blind" if blind else "review"
    return path.with_name(f"{path.name if path.is_dir() else path.stem}.{way}{ENDING}")


def make_file(
    path: Path, address: str, choice: Choice, *, schema: OutputSchema | None = None, pipeline: str | None = None
) -> DecisionFile:
    """Make and open the decision file of a table. Raises ConfigError for what cannot be reviewed.

    `schema` is that of the pipeline; without one, that in the footer of an output.
    """
    rejected = rejected_rows(choice.queue) if isinstance(choice.queue, str) else None
    by_position = rejected is not None and choice.on is None and rejected["row_id"].dtype.is_integer()
    table = open_source_table(address, schema, prefix=choice.prefix, on=choice.on, by_position=by_position)
    answers = answers_of(address) if schema is None else AnswerSchema.of(schema)
    named = choice.queue if rejected is None else rejected.rename({"row_id": table.on or "row"})
    drawn = _drawn(table, choice, named, answers.chosen(choice.fields))
    setup = review_setup(
        drawn,
        answers,
        fields=choice.fields,
        pipeline=pipeline,
        prefix=choice.prefix if choice.prefix is not None else str(table.manifest.get("prefix") or ""),
        blind=choice.blind or not table.answers,
    )
    return DecisionFile.create(path, setup, drawn.rows)


def _drawn(table: SourceTable, choice: Choice, named: pl.DataFrame | bool | str, fields: tuple[str, ...]) -> Drawn:
    if named is False:
        return draw_sample(table, choice.sample or _SAMPLE, seed=choice.seed, fields=fields)
    queue = doubtful_rows(table, fields, limit=choice.limit) if named is True else named
    drawn = draw_queue(table, queue, fields=fields, spared=proof_hashes(choice.gold))
    if not drawn.rows:
        raise ConfigError("all rows of the queue prove something already: nobody may see their answers")
    return drawn


def rejected_rows(queue: str) -> pl.DataFrame | None:
    """Return the rows that a file of rejected rows names, each with its reason; None for another table."""
    listed = read_table(queue)
    if not {"row_id", "code", "message", "answer"} <= set(listed.columns):
        return None
    reason = pl.format("rejected: {}", pl.coalesce("message", "code").cast(pl.String))
    return listed.select("row_id", pl.lit(1.0).alias("score"), reason.alias("reason"))


def answers_of(address: str) -> AnswerSchema:
    """Return what the footer of an output says of its answers. ConfigError where it does not say it."""
    path = Path(address)
    try:
        answers = AnswerSchema.written(read_manifest(path) if path.is_file() else {})
    except (SchemaError, RecursionError, TypeError, ValueError, AttributeError, KeyError):  # it may say anything
        raise ConfigError(f"{address}: what its footer says of its answers cannot be used: add --pipeline") from None
    if answers is None:
        raise ConfigError(f"{address} does not say what an answer is: add --pipeline or --labels")
    return answers
