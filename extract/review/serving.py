"""A review that is served: the decision file, the table that its rows come from, and the server for both."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from getpass import getuser
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from extract.documents.roots import Roots
from extract.errors import ConfigError
from extract.extractor.extractor import Extractor
from extract.io.sources import input_folder
from extract.review.decision_file import DecisionFile
from extract.review.dtypes import dtypes_of
from extract.review.judging import Judge
from extract.review.opened import OpenReview
from extract.review.pictures import Pictures
from extract.review.question_columns import QuestionColumns
from extract.review.rejections import Rejections
from extract.review.review import Review
from extract.review.row_source import RowSource
from extract.review.rows import RowIndex, Rows, parquet_rows, written_rows
from extract.review.running_progress import RunningProgress
from extract.review.security import checked_hosts
from extract.review.server import ReviewServer
from extract.review.source_table import open_source_table
from extract.schema import compile_schema

__all__ = ["open_file", "person_name"]


def open_file(
    path: Path,
    *,
    extractor: Extractor | None = None,
    source: str | None = None,
    person: str | None = None,
    root: Any = None,
    port: int = 0,
    allowed: Iterable[str] = (),
    clock: Callable[[], float] = time.time,
) -> OpenReview:
    """Return a review of a decision file, not yet served. Raises ConfigError for what cannot be read."""
    hosts = checked_hosts(allowed)
    with ExitStack() as stack:
        file = stack.enter_context(DecisionFile.open(path))
        name = (person_name() if person is None else person).strip()
        if not name:
            raise ConfigError("--as needs a name: decisions are stored under it")
        review = _review(file, extractor, source, name, root, clock, stack)
        server = ReviewServer(review, Pictures(review), port=port, allowed=hosts)
        stack.callback(server.close)
        return OpenReview(file, name, server, stack.pop_all())


def _review(
    file: DecisionFile,
    extractor: Extractor | None,
    source: str | None,
    person: str,
    root: Any,
    clock: Callable[[], float],
    stack: ExitStack,
) -> Review:
    setup = file.setup
    address = source or setup.local_source
    if address is None:
        known = "does not say where its rows come from" if setup.source is None else f"names {setup.source}"
        raise ConfigError(f"{file.path} {known}: name the table with --source, if it is to be read")
    # First, as it is the largest in memory: what it needs is free again for what follows.
    rows = parquet_rows(address)
    index = None if rows is None else _index(rows, setup.on)
    schema = None if extractor is None else compile_schema(extractor.schema, extra=extractor.extra)
    table = open_source_table(
        address,
        schema,
        prefix=setup.prefix,
        on=setup.on,
        dtypes=None if schema else dtypes_of(setup.dtypes),
        by_position=setup.on is None,
    )
    if missing := [name for name in setup.inputs if name not in table.source.schema]:
        raise ConfigError(f"{address} has no column {missing[0]!r}: it is not the table that the rows were drawn from")
    if rows is None:
        rows = written_rows(table.batches(), Path(stack.enter_context(TemporaryDirectory(prefix="extract-review-"))))
        index = _index(rows, setup.on)
    question = QuestionColumns.of(setup.inputs, table.manifest, extractor)
    roots = Roots.joined(Roots.of(root), input_folder(address))
    return Review(
        file=file,
        title=Path(address).name,
        rows=RowSource(rows, index, setup.inputs, question, roots),
        errors=Rejections(Path(address), table.manifest.get("row_id")),
        judge=Judge(setup, table, schema),
        figures=RunningProgress(file),
        person=person,
        blind=setup.blind,
        clock=clock,
    )


def _index(rows: Rows, on: str | None) -> RowIndex | None:
    return RowIndex(rows, on) if on is not None and rows.has(on) else None


def person_name() -> str:
    """Return the name under which decisions are stored where none is given: that of the user of this machine."""
    try:
        return getuser()
    except (OSError, KeyError, ImportError):
        return "somebody"
