"""The options of a run as frozen values, and the one list of its keywords. Values are checked where they are made.

A new option is a field of one of the values here, a name in one of the three lists of keywords below them, a keyword of
`run`, and an option of `extract run`; a test compares the lists. Which of the three says where the option holds: for
every row that is asked, on a cluster too (`AskKeywords`); for a lazy frame and a retry of rejected rows as well
(`LazyKeywords`); only for a run over a whole input (`RunKeywords`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from decimal import Decimal
from inspect import signature
from pathlib import Path
from typing import Any, Literal, TypedDict, Unpack

from extract.documents.roots import Root, Roots
from extract.errors import ConfigError
from extract.extractor.extractor import Extractor
from extract.interactions.client import AsyncClient, Client
from extract.interactions.requests import Generation, ServiceTier
from extract.io.cache.response_cache import ResponseCache
from extract.io.read_options import ReadOptions
from extract.io.sinks.base import Sink
from extract.limits.budget import Budget
from extract.limits.limits import Limits
from extract.results.columns import OutputShape
from extract.results.progress import Progress
from extract.runner.accept import Accept, checked_accept, checked_steps

__all__ = [
    "INLINE_BYTES",
    "MAX_SAMPLES",
    "ROW_OPTIONS",
    "AnswerRules",
    "AskKeywords",
    "LazyKeywords",
    "OutputTarget",
    "Root",
    "RunKeywords",
    "RunOptions",
    "UploadPolicy",
]

INLINE_BYTES = 8_000_000  # of the largest file that is sent inside its request
MAX_SAMPLES = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerRules:
    """Which answers count: how often each row is asked, and which answers are rejected or requested again.

    `samples` asks each row that often and votes per field. `require_grounding` rejects values that are nowhere in the
    record. `retry_rejected` asks again for rows that an earlier run with the same cache rejected.
    """

    samples: int = 1
    require_grounding: bool = False
    retry_rejected: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.samples, bool) or not isinstance(self.samples, int) or not 1 <= self.samples <= MAX_SAMPLES:
            raise ConfigError(f"samples is a whole number from 1 to {MAX_SAMPLES}, not {self.samples!r}")

    def check(self, generation: Generation) -> None:
        """Raise ConfigError for settings that would make all samples of a record the same answer."""
        if self.samples > 1 and generation.seed is not None:
            raise ConfigError("with Generation(seed=) all samples of a record would be the same answer; leave it out")
        if self.samples > 1 and generation.temperature == 0:
            raise ConfigError("at temperature 0 all samples of a record would be the same answer; leave it out")


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadPolicy:
    """How files are sent: above `inline_limit` bytes by one upload each, which `keep_files` leaves on the service."""

    inline_limit: int = INLINE_BYTES
    keep_files: bool = False


class AskKeywords(TypedDict, total=False):
    """The keywords that runs on one machine and on a cluster share; `run` explains them."""

    prefix: str
    provenance: bool
    limits: Limits | None
    budget: Budget | Decimal | float | None
    service_tier: ServiceTier | None
    retry_rejected: bool
    require_grounding: bool
    samples: int
    inline_limit: int
    keep_files: bool
    root: Root
    cache_service: str | None


class LazyKeywords(AskKeywords, total=False):
    """The keywords of a lazy run: those of `run` without an output."""

    client: Client | AsyncClient | None
    offline: bool
    row_id: str | None
    cache: ResponseCache | str | os.PathLike[str] | None
    progress: bool | None
    on_event: Callable[[Progress], None] | None


class RunKeywords(LazyKeywords, total=False):
    """The keywords of `run`."""

    output: str | os.PathLike[str] | None
    sink: Sink | None
    overwrite: bool
    csv_safe: bool
    explode: str | Iterable[str] | None
    wait: bool
    errors: Literal["split", "null"] | None
    limit: int | None
    csv_separator: str | None
    csv_quote: str | None
    csv_encoding: str | None
    sheet: str | int | None
    pipeline: str | None
    note: str | None
    accept: Accept | None
    escalate: Iterable[Extractor] | None


#: What a retry of rejected rows is told: all but what is about the whole input or output, and `retry_rejected` itself.
ROW_OPTIONS = frozenset(LazyKeywords.__annotations__) - {"retry_rejected"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """The options of a run, besides data, extractor, client and output. The workers of a cluster get the same value.

    `limits` is None for those of the client. `limit` is the number of rows to stop after, None for all. `root` are the
    folders that the files named in records must lie under, None where the input alone decides. `cache_service` is the
    name of the service in content keys, None for that of the client. `reading` is how a file
    of the input is to be read. `accept` is the promise that accepted rows keep, `escalate` are the extractors behind
    the first.
    """

    shape: OutputShape = OutputShape()
    rules: AnswerRules = AnswerRules()
    uploads: UploadPolicy = UploadPolicy()
    limits: Limits | None = None
    budget: Budget | None = None
    service_tier: ServiceTier | None = None
    limit: int | None = None
    root: Roots | None = None
    cache_service: str | None = None
    reading: ReadOptions = ReadOptions()
    accept: Accept | None = None
    escalate: tuple[Extractor, ...] = ()

    @classmethod
    def of(cls, **keywords: Unpack[RunKeywords]) -> RunOptions:
        """Return the options for keywords of `run`. ConfigError for a wrong value.

        Keywords for client, output and cache are ignored here: `OutputTarget` and `open_client` read them.
        """
        # By default files hold valid rows only; a frame has all rows, with nulls where they were rejected.
        errors = keywords.get("errors") or ("null" if keywords.get("output") is None else "split")
        given: dict[str, Any] = {**keywords, "errors": errors}
        limits = keywords.get("limits")
        if limits is not None and not isinstance(limits, Limits):
            raise ConfigError(f"limits is a Limits, such as Limits(concurrency=8), not a {type(limits).__name__}")
        accept = checked_accept(keywords.get("accept"))
        return cls(
            shape=OutputShape(**_named_in(OutputShape, given)),
            rules=AnswerRules(**_named_in(AnswerRules, given)),
            uploads=UploadPolicy(**_named_in(UploadPolicy, given)),
            limits=limits,
            budget=Budget.of(keywords.get("budget")),
            service_tier=keywords.get("service_tier"),
            limit=keywords.get("limit"),
            root=Roots.of(keywords.get("root")),
            cache_service=keywords.get("cache_service"),
            reading=ReadOptions.of(keywords),
            accept=accept,
            escalate=checked_steps(keywords.get("escalate"), accept),
        )


def _named_in(kind: type, keywords: Mapping[str, Any]) -> dict[str, Any]:
    return {one.name: keywords[one.name] for one in fields(kind) if one.name in keywords}


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputTarget:
    """Where rows and answers go: a path or a user's sink for the rows, a cache for the answers.

    `pipeline` is the name in the output's manifest; None takes that of the schema. `overwrite` lets the output replace
    a file that this pipeline did not write, or that covers more rows. `csv_safe` puts a quote before texts of a csv
    that look like formulas. `explode` names columns of lists, each written to a table of its own as well. `wait` waits
    for a run that writes the same output, in place of refusing.
    """

    path: Path | None = None
    sink: Sink | None = None
    cache: ResponseCache | Path | None = field(default=None, repr=False)
    pipeline: str | None = None
    overwrite: bool = False
    csv_safe: bool = False
    explode: tuple[str, ...] = ()
    wait: bool = False

    @classmethod
    def of(cls, **keywords: Unpack[RunKeywords]) -> OutputTarget:
        """Return the target for keywords of `run`. ConfigError for two of them, or for a sink that cannot be used."""
        output, cache, sink = keywords.get("output"), keywords.get("cache"), keywords.get("sink")
        if output is not None and sink is not None:
            raise ConfigError("output= and sink= both take the rows: leave one of them out")
        if sink is not None:
            _check_sink(sink)
        if keywords.get("csv_safe") and output is None:
            raise ConfigError("csv_safe (--csv-safe) is about an output that ends in .csv: name one with output=")
        explode = keywords.get("explode") or ()
        if explode and output is None:
            raise ConfigError("explode (--explode) writes a table beside the output: name one with output=")
        return cls(
            path=None if output is None else Path(output),
            sink=sink,
            cache=cache if cache is None or isinstance(cache, ResponseCache) else Path(cache),
            pipeline=keywords.get("pipeline"),
            overwrite=keywords.get("overwrite", False),
            csv_safe=keywords.get("csv_safe", False),
            explode=(explode,) if isinstance(explode, str) else tuple(dict.fromkeys(explode)),
            wait=keywords.get("wait", False),
        )

    @property
    def cache_path(self) -> Path | None:
        """The file of the cache, None without one."""
        return self.cache.path if isinstance(self.cache, ResponseCache) else self.cache


def _check_sink(sink: Any) -> None:
    """Raise ConfigError for what is no sink. `close` is called last: there an error would cost the whole run."""
    if missing := [name for name in _SINK_MEMBERS if not hasattr(sink, name)]:
        raise ConfigError(f"the sink has no {', '.join(missing)}: make its class a subclass of extract.Sink")
    if isinstance(sink, type):
        raise ConfigError(f"sink= takes an object: {sink.__name__}(), not the class")
    try:
        signature(sink.close).bind(whole=True, manifest={})
    except TypeError:
        raise ConfigError("the sink's close() is called with whole= and manifest=: give it both parameters") from None


_SINK_MEMBERS = ("rows_at_once", "open", "write", "close", "abandon", "scan", "on_interrupt")
