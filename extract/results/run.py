"""The result of a run: counts, cost, the typed frame, and the rows that failed, each with its reason."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Generic, Protocol

import polars as pl
from typing_extensions import TypeVar

from extract.errors import ConfigError, ExtractError, OutputError
from extract.interactions.usage import Usage
from extract.io.arrow import INDEX, exported
from extract.io.sinks.base import Sink
from extract.io.sinks.open import scan_output
from extract.json_types import JsonObject
from extract.limits.budget import BudgetMeter
from extract.limits.outage import Outage
from extract.limits.pricing import money
from extract.results.earlier import set_state
from extract.results.exploded import exploded
from extract.results.html import overview
from extract.results.models import models_of
from extract.results.progress import Totals
from extract.results.row_ids import RowIds
from extract.results.spot_check import SpotCheck
from extract.schema import OutputSchema
from extract.schema.losses import Loss

__all__ = ["Repeatable", "Run", "RunDetails", "ending_of"]

ModelT = TypeVar("ModelT", default=Any)

_FIRST_ROWS = 5  # of the HTML


def ending_of(error: ExtractError | None) -> JsonObject | None:
    """Return what stopped a run as JSON: its code and message; None where nothing did."""
    return None if error is None else {"code": error.code, "message": str(error)}


class Repeatable(Protocol):
    """How a run was made: draws its samples and repeats it. `results.rerun.Rerun` is the one that `run` gives."""

    def sample(self, run: Run, n: int, seed: int | None) -> SpotCheck: ...
    def retry(self, run: Run) -> Run: ...


@dataclass(slots=True, kw_only=True)
class RunDetails:
    """What this package's own modules need to know about a Run.

    `schema` is that of the output, whose first `input_columns` columns are the input's. `frame` holds the rows where
    they are in memory, `sink` is what took them. `failed_places` says for each row of `Run.errors` where it stood in
    the input, counted from 0. `manifest` is what the footer of an output says, `answers` the schema of the answers.
    `sink`, `answers` and `rerun` are None in a Run that came from a pickle.
    """

    schema: pl.Schema = field(default_factory=pl.Schema)
    frame: pl.DataFrame | None = None
    input_columns: int = 0
    failed_places: pl.Series = field(default_factory=lambda: pl.Series(dtype=pl.Int64))
    manifest: JsonObject = field(default_factory=dict)
    sink: Sink | None = None
    answers: OutputSchema | None = None
    rerun: Repeatable | None = None

    def __setstate__(self, state: tuple[None, dict[str, Any]]) -> None:
        set_state(self, state[1])


# The fields of a Run in pickles of earlier versions, and what they are called in its details.
_EARLIER_FIELDS = {
    "_schema": "schema",
    "_frame": "frame",
    "_inputs": "input_columns",
    "_failed": "failed_places",
    "_manifest": "manifest",
    "_recipe": "rerun",
}


@dataclass(slots=True, kw_only=True)
class Run(Generic[ModelT]):
    """The result of a run: `frame` for what was extracted, `errors` for what was not.

    `seconds` is the time from the call to its end. `stopped` is the error that ended the run early, `interrupted` is
    True after Ctrl-C; the rows not reached then have the code `not_run`, and the same call runs them. `output` is the
    file written, if any. `rung` is how far the schema had to be relaxed for the service to accept it; what was dropped
    is still checked locally. `budget` is how a budget was used, None without one. `files_left` counts uploaded files
    that could not be deleted: the next run with the same cache deletes them, or the service after 48 hours. `outages`
    are the times in which the service did not answer. `row_ids` says whether the ids of the column `row_id` name the
    rows, each its own; None without that column. `member_files` are the tables of `explode`, `review_file` is the
    queue of rows that were not accepted. `report` is the file that
    notebooks link to, if any. `details` is for this package's own modules.

    `Run[Invoice]` is the run of an Extractor whose schema is the class Invoice; `models` gives these objects back.

    As an Arrow stream (`pyarrow.table(run)`, DuckDB, pandas, narwhals) it is its frame. A pickled Run does not keep its
    client: `sample` and `retry_rejected` need the Run itself.

        >>> result = run(["It works", "It broke"], Extractor(["good", "bad"], "{text}"), offline=True)
        >>> result
        Run(2 of 2 rows valid, 0 rejected, $0)
        >>> result.frame.columns
        ['text', 'value']
    """

    totals: Totals
    errors: pl.DataFrame
    losses: tuple[Loss, ...]
    seconds: float
    stopped: ExtractError | None = None
    interrupted: bool = False
    rung: int = 0
    budget: BudgetMeter | None = None
    files_left: int = 0
    outages: tuple[Outage, ...] = ()
    row_ids: RowIds | None = None
    output: Path | None = None
    errors_file: Path | None = None
    member_files: tuple[Path, ...] = ()
    review_file: Path | None = None
    report: Path | None = None
    details: RunDetails = field(default_factory=RunDetails, repr=False)

    @property
    def frame(self) -> pl.DataFrame:
        """All input columns and one typed column per field of the schema. OutputError where its file cannot be read."""
        if self.details.frame is None:
            self.details.frame = self._read_back()
        return self.details.frame

    def _read_back(self) -> pl.DataFrame:
        try:
            return self.scan().collect()
        except (pl.exceptions.PolarsError, OSError) as error:
            reason = str(error).strip().splitlines()[0][:200]
            raise OutputError(f"{self.output} cannot be read back, it may have been changed: {reason}") from None

    @property
    def usage(self) -> Usage:
        """Tokens of the answers that this run paid for."""
        return self.totals.usage

    @property
    def cost(self) -> Decimal | None:
        """US dollars that this run has spent; None where a price, or a part of what an answer used, is unknown."""
        return self.totals.cost

    @property
    def complete(self) -> bool:
        """True where the run reached every row."""
        return self.stopped is None and not self.interrupted

    def summary(self) -> JsonObject:
        """Return the counts, and what ended the run early if anything did, as one JSON object."""
        return {
            **self.totals.counts(),
            "pack": self.details.manifest.get("pack"),
            "reserved_usd": None if self.budget is None else float(self.budget.peak),
            "seconds": round(self.seconds, 3),
            "stopped": ending_of(self.stopped),
            "interrupted": self.interrupted,
            "output": str(self.output) if self.output else None,
            "errors": dict(sorted(self.totals.errors.items())),
            "errors_file": str(self.errors_file) if self.errors_file else None,
            "acceptance": self.details.manifest.get("acceptance"),
            "review_file": str(self.review_file) if self.review_file else None,
            "member_files": [str(path) for path in self.member_files],
            "files_left": self.files_left,
            "outages": [outage.as_json() for outage in self.outages],
            "row_ids": None if self.row_ids is None else self.row_ids.as_json(),
        }

    def explode(self, column: str) -> pl.DataFrame:
        """Return one row per member of a column of lists, beside the other columns of its row.

        The members of objects become columns; where such a name is taken, that of the list stands before it
        (`items_total`). `items_number` counts from 1. A row without members has one of nulls. ConfigError where the
        column holds no lists.
        """
        return exploded(self.scan(), column).collect()

    def sample(self, n: int = 5, *, seed: int | None = None) -> SpotCheck:
        """Return `n` rows drawn at random, with prompt, answer and spans side by side; a seed draws the same again."""
        return self._rerun().sample(self, n, seed)

    def models(self) -> Iterator[ModelT | None]:
        """Return an iterator over the validated objects of the frame's rows, in order, None for a rejected row.

        They are instances of the Extractor's schema, or JSON values where that is a JSON Schema, made anew from the
        columns as they are asked for: of a file, only a part is in memory. Each equals the object that was validated
        where its validators give the same for what they have already changed. Of a JSON Schema, times are in UTC, and
        a member that may be absent is absent where it was null. Raises ConfigError for a Run that came from a pickle,
        and InvalidAnswer at a row that was changed since.

            >>> result = run(["It works", "It broke"], Extractor(["good", "bad"], "{text}"), offline=True)
            >>> len(list(result.models()))
            2
        """
        details = self.details
        if details.answers is None:
            raise ConfigError(
                "this Run came from a pickle, which keeps no classes: compile_schema(Model).models(run.frame) does it"
            )
        # Where rejected rows are in the frame, it has a row for each of the input, so that their places are the same.
        is_kept = details.manifest.get("rejected_rows") == "null"
        rejected = frozenset(details.failed_places) if is_kept else frozenset[int]()
        return models_of(self.scan(), details.answers, details.manifest.get("prefix", ""), rejected)

    def retry_rejected(self) -> Run[ModelT]:
        """Send the rows in `errors` again, with the same extractor and options, and return a Run of all rows.

        Its `cost` is that of the new requests. Raises ConfigError where the rejected rows are not available: a run that
        leaves them out of its frame or writes a file needs a `cache`.
        """
        return self._rerun().retry(self)

    def _rerun(self) -> Repeatable:
        if self.details.rerun is None:
            raise ConfigError("this Run came from a pickle, which does not keep its client; call run again")
        return self.details.rerun

    def to_pandas(self) -> Any:
        """Return the frame as a pandas DataFrame, with the index of the input if that was one with an unnamed index.

        ConfigError where pandas or pyarrow is missing.
        """
        with _needs("pandas pyarrow"):
            frame = exported(self.frame).to_pandas()
        levels = [name for name in frame.columns if name in map(INDEX.format, range(frame.shape[1]))]
        return frame.set_index(levels).rename_axis(index=[None] * len(levels)) if levels else frame

    def to_arrow(self) -> Any:
        """Return the frame as a pyarrow Table. ConfigError where pyarrow is missing."""
        with _needs("pyarrow"):
            return exported(self.frame).to_arrow()

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return exported(self.frame).__arrow_c_stream__(requested_schema)

    def __getstate__(self) -> tuple[None, dict[str, Any]]:
        # `rerun` holds a client, and with it an API key; a sink may hold what no other process can use.
        state = {one.name: getattr(self, one.name) for one in fields(self)}
        frame = self.details.frame
        if frame is None and self.output is None and (rows := self._rows_of_sink()) is not None:
            frame = rows.collect()
        return None, state | {"details": replace(self.details, rerun=None, sink=None, answers=None, frame=frame)}

    def __setstate__(self, state: tuple[None, dict[str, Any]]) -> None:
        values = {"outages": (), "member_files": (), "row_ids": None} | state[1]  # earlier versions had none
        earlier = {new: values.pop(old) for old, new in _EARLIER_FIELDS.items() if old in values}
        for name, value in ({"details": RunDetails(**earlier)} | values).items():
            setattr(self, name, value)

    def scan(self) -> pl.LazyFrame:
        """Return the frame lazily: of a file, only the columns and rows that are used are read.

        Csv and jsonl come back with the types of the run.
        """
        if self.details.frame is not None:
            return self.details.frame.lazy()
        if (rows := self._rows_of_sink()) is not None:
            return rows
        if self.output is not None:
            return scan_output(self.output, self.details.schema)
        raise ExtractError("this run wrote no rows that can be read back")

    def _rows_of_sink(self) -> pl.LazyFrame | None:
        return None if self.details.sink is None else self.details.sink.scan(self.details.schema)

    def _repr_html_(self) -> str:
        try:
            first = self.scan().head(_FIRST_ROWS).select(pl.exclude("^_.*$")).collect()
        except (ExtractError, pl.exceptions.PolarsError, OSError):  # a file that has gone since
            first = pl.DataFrame()
        written = {"report": self._report, "output": self.output, "rejected rows": self.errors_file}
        where = repr(str(self.output)) if self.output else 'run, decisions="review.db"'
        lines = [repr(self).removeprefix("Run(").removesuffix(")"), f"{self.seconds:.1f} s"]
        lines += [f"to judge its rows: open_review({where})"] if self.totals.valid else []
        return overview(lines, self._reasons(), first, {name: path for name, path in written.items() if path})

    @property
    def _report(self) -> Path | None:
        """The report that was written, or a file of the output's name that ends in .html beside it."""
        beside = None if self.output is None else self.output.with_suffix(".html")
        return self.report or (beside if beside is not None and beside.is_file() else None)

    def _reasons(self) -> pl.DataFrame:
        reasons = self.errors.group_by("code").agg(pl.len().alias("rows"), pl.first("message").alias("for example"))
        return reasons.sort("rows", "code", descending=[True, False]).rename({"code": "rejected"})

    def __repr__(self) -> str:
        totals = self.totals
        cost = "unknown cost" if totals.cost is None else money(totals.cost)
        state = f"; ids: {self.row_ids}" if self.row_ids is not None and str(self.row_ids) else ""
        state += "" if self.complete else f", {totals.not_run} not run: {self.stopped or 'interrupted'}"
        return f"Run({totals.valid} of {totals.rows} rows valid, {totals.rejected} rejected, {cost}{state})"


@contextmanager
def _needs(packages: str) -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        raise ConfigError(f"{error.name} is not installed: pip install {packages}") from None
