"""A sink for rows of which some are accepted: the accepted ones go on, the others to a file for people."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal, TypeAlias

import polars as pl

from extract.io.sinks.base import FileSink, Sink
from extract.json_types import JsonObject

__all__ = ["Keeps", "RoutedSink", "review_path"]

Keeps: TypeAlias = Literal["accepted", "answered", "all"]

_ROUTE: Final = "_route"


def review_path(output: Path) -> Path:
    """Return where the rows of an output go that people are to look at."""
    return output.with_name(f"{output.stem}.review.parquet")


class RoutedSink(Sink):
    """Divides rows by the column `_route`. `output` takes those that are accepted, all that have an answer, or all, as
    `keeps` says; `review` takes a queue of what is not accepted: the key `on`, score, reason and answer.

    `spared` are keys of rows that people have judged already, as `on` holds them: they are in no queue. `columns` names
    the columns of the answer, and their fields. Rows without a `_route` were not asked: they are in no queue;
    nor are those without an answer where all others stay in the output.
    `review_file` is the path of the queue, once it is closed.
    """

    def __init__(
        self, output: FileSink, review: FileSink, *, on: str, columns: dict[str, str], spared: pl.Series, keeps: Keeps
    ) -> None:
        self.rows_at_once: int = output.rows_at_once
        self.review_file: Path | None = None
        self._output, self._review = output, review
        self._on, self._columns, self._spared, self._keeps = on, columns, spared, keeps

    def open(self, schema: pl.Schema, manifest: JsonObject) -> None:
        self._output.open(schema, manifest)
        try:
            self._review.open(self._queue(schema.to_frame()).schema, manifest)
        except BaseException:
            self._output.abandon()
            raise

    def write(self, frame: pl.DataFrame) -> None:
        route = pl.col(_ROUTE)
        reached = frame.filter(route.is_not_null())
        answered = reached.filter(route.struct.field("step").is_not_null())
        accepted = answered.filter(route.struct.field("accepted"))
        stays = {"all": frame, "answered": answered, "accepted": accepted}[self._keeps]
        if stays.height:
            self._output.write(stays)
        listed = answered if self._keeps == "answered" else reached  # what is reviewed beside the output stands in it
        queue = self._queue(listed.filter(~route.struct.field("accepted")))
        if queue.height:
            self._review.write(queue)

    def close(self, *, whole: bool, manifest: JsonObject) -> Path | None:
        try:
            self.review_file = self._review.close(whole=whole, manifest=manifest)
        except BaseException:
            self._output.abandon()
            raise
        return self._output.close(whole=whole, manifest=manifest)

    def keep_beside(self) -> None:
        """Leave the output that is there, and its queue: `close` writes both beside them."""
        self._output.keep_beside()
        self._review.keep_beside()

    def abandon(self) -> None:
        self._output.abandon()
        self._review.abandon()

    def scan(self, schema: pl.Schema) -> pl.LazyFrame | None:
        return self._output.scan(schema)

    def on_interrupt(self) -> bool:
        lost = self._review.on_interrupt()
        return self._output.on_interrupt() or lost

    def _queue(self, rows: pl.DataFrame) -> pl.DataFrame:
        route = pl.col(_ROUTE).struct
        answer = pl.struct(pl.col(column).alias(field) for column, field in self._columns.items())
        spared = pl.col(self._on).cast(self._spared.dtype).is_in(self._spared.implode())
        score = route.field("score").alias("score")
        return rows.filter(~spared).select(self._on, score, _reason().alias("reason"), answer=answer)


def _reason() -> pl.Expr:
    """Return why a row is not accepted."""
    route = pl.col(_ROUTE).struct
    score, threshold = route.field("score"), route.field("threshold")
    below = pl.concat_str(pl.lit("score "), score.round(4), pl.lit(" is below "), threshold.round(4))
    unanswered = pl.when(route.field("step").is_null()).then(pl.lit("no answer"))
    unscored = unanswered.when(score.is_null()).then(pl.lit("no score"))
    return unscored.when(threshold.is_null()).then(pl.lit("nothing is proved")).otherwise(below)
