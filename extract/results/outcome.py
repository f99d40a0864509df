"""The outcome of one record: a value or an error, and what it took to get there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from extract.documents.grounding.span import Span
from extract.documents.windows.conflicts import Conflict
from extract.errors import ExtractError
from extract.interactions.citations import Citation
from extract.interactions.usage import Attempt, Usage
from extract.results.route import Route

__all__ = ["Outcome"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The outcome of one record: a value or an error, and what it took to get there.

    `row` is the value as one cell per output column. `attempts` counts the requests sent for this record in this run: 0
    where the answer came from the cache, and then `cached` is True; `reused` is True where at least a part of it did.
    `unknown_attempts` are those that may have been billed without an answer that says how much. `mended` names what was
    repaired in the answer without another request. `unnamed` is True where an answer has members that the JSON Schema
    allows without naming them, and that no column holds. `usage` and `cost` (US dollars, None where a price or a part
    of the usage is unknown) are what this run has spent on the record, `ledger` is the same by attempt. `citations` are
    those of the answer; `grounded` says whether it names a source, None where no tool was to look anything up. `spans`
    locate the values in the record's text, None without grounding and without a text. `windows` is the number of parts
    that a long text was split into, None where it was not; `conflicts` are where their answers differ. `agreement` is
    the share of a record's samples that give each column's value, None for a single sample. `encoding` is what its text
    files were written in, `files` the SHA-256 hash of what its files held; both are None without one. `pack` is how
    many rows stood in the last request for it, None where that was its own; `shared` counts those of its attempts that
    another row of the same request counts. `route` says which of several steps gave the answer, and whether it is
    accepted; None where nothing is to be.

        >>> outcome = extract_one({"text": "It works"}, Extractor(["good", "bad"], "{text}"), offline=True)
        >>> outcome.ok, outcome.attempts
        (True, 1)
    """

    row_id: Any
    value: Any = None
    row: tuple[Any, ...] | None = field(default=None, repr=False)
    error: ExtractError | None = None
    answer: str | None = None
    usage: Usage = Usage()
    cost: Decimal | None = None
    attempts: int = 0
    retries: int = 0
    repairs: int = 0
    unknown_attempts: int = 0
    seconds: float = 0.0
    cached: bool = False
    reused: bool = False
    model: str | None = None
    service_tier: str | None = None
    mended: tuple[str, ...] = ()
    unnamed: bool = False
    ledger: tuple[Attempt, ...] = ()
    citations: tuple[Citation, ...] = ()
    grounded: bool | None = None
    spans: tuple[Span, ...] | None = None
    windows: int | None = None
    conflicts: tuple[Conflict, ...] = ()
    agreement: Mapping[str, float] | None = None
    encoding: str | None = None
    pack: int | None = None
    shared: int = 0
    files: str | None = None
    route: Route | None = None

    @property
    def ok(self) -> bool:
        return self.error is None
