"""What a scheduler asks records of: one extractor, or several behind each other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from extract.extractor.plan import CompiledExtractor
from extract.results.outcome import Outcome
from extract.runner.options import AnswerRules
from extract.runner.record import PreparedRecord
from extract.runner.state import RunState

__all__ = ["Asker"]


class Asker(Protocol):
    """Makes outcomes of records, one by one; all workers of a run share one.

    `columns` are those of the input that it reads; `routes` says that outcomes tell which step gave the answer.
    """

    @property
    def plan(self) -> CompiledExtractor: ...
    @property
    def rules(self) -> AnswerRules: ...
    @property
    def state(self) -> RunState: ...
    @property
    def columns(self) -> tuple[str, ...]: ...
    @property
    def routes(self) -> bool: ...
    @property
    def in_hand(self) -> int: ...
    def prepare(self, records: Iterable[Mapping[str, Any]]) -> list[PreparedRecord]: ...
    async def prefetch(self, prepared: Iterable[PreparedRecord | None]) -> None: ...
    def close(self) -> None: ...
    async def extract(self, prepared: PreparedRecord, row_id: Any) -> Outcome: ...
