"""What may be put around a send: a simpler schema, another tier, uploaded files. Each takes a send and returns one."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from extract.documents.parts import Turn
from extract.errors import RateLimited, SchemaTooComplex
from extract.interactions.http.retrying import Retry
from extract.interactions.interaction import Interaction
from extract.limits.limits import Limits
from extract.runner.request import Send, SendMode
from extract.runner.trace import Deadline, RecordTrace
from extract.runner.uploads import LostFile, Uploads

__all__ = ["SchemaLadder", "with_files", "with_schema_ladder", "with_tier"]

_log = logging.getLogger("extract.runner")

# Flex may use this share of a row's deadline; what is left is for the standard tier.
_FLEX_SHARE = 0.5


class RungStore(Protocol):
    """Remembers, for later runs, how far a schema had to be relaxed."""

    def rung(self, schema: bytes) -> int: ...
    def remember_rung(self, schema: bytes, rung: int) -> None: ...


@dataclass(slots=True)
class SchemaLadder:
    """How far the schema of a run is relaxed: `rung` 0 is the whole schema, each further one a simpler form of it.

    All records share it: a schema that the service finds too complex is relaxed once for the run, not per row.
    """

    schema: bytes
    rungs: int
    store: RungStore | None = None
    rung: int = 0

    def __post_init__(self) -> None:
        if self.store is not None:
            self.rung = min(self.store.rung(self.schema), self.rungs - 1)

    def climb(self, refused: int) -> bool:
        """Relax the schema further than the rung that was refused. False where there is no further one."""
        if refused + 1 >= self.rungs:
            return False
        if refused == self.rung:  # else another row has climbed meanwhile
            self.rung = refused + 1
            _log.debug("the schema is too complex: form %d of %d is sent from now on", self.rung + 1, self.rungs)
            if self.store is not None:
                self.store.remember_rung(self.schema, self.rung)
        return True


def with_schema_ladder(send: Send, ladder: SchemaLadder) -> Send:
    """Return a send that repeats a request with a simpler schema each time the service finds it too complex."""

    async def climbing(turns: Sequence[Turn], mode: SendMode, trace: RecordTrace, /) -> Interaction:
        while True:
            if mode.rung != ladder.rung:
                mode = mode._replace(rung=ladder.rung)
            try:
                return await send(turns, mode, trace)
            except SchemaTooComplex:
                if not ladder.climb(mode.rung):
                    raise

    return climbing


def with_tier(send: Send, limits: Limits) -> Send:
    """Return a send on the flex tier that falls back to standard for a row that flex has refused for too long."""

    async def falling_back(turns: Sequence[Turn], mode: SendMode, trace: RecordTrace, /) -> Interaction:
        if not trace.shed:
            try:
                return await send(turns, mode._replace(retry=_flex_retry(limits, trace.deadline)), trace)
            except RateLimited:
                trace.shed = True
        return await send(turns, mode._replace(tier="standard"), trace)

    return falling_back


def _flex_retry(limits: Limits, deadline: Deadline) -> Retry:
    """Return the retries that leave the standard tier its share of the deadline."""
    left = (limits.deadline or 0.0) * _FLEX_SHARE - deadline.elapsed
    return replace(limits.retry, patience=max(0.0, min(limits.retry.patience, left)))


def with_files(send: Send, uploads: Uploads) -> Send:
    """Return a send whose large files are on the service; it sends once more where that has lost one meanwhile."""

    async def uploading(turns: Sequence[Turn], mode: SendMode, trace: RecordTrace, /) -> Interaction:
        try:
            async with uploads.placed(turns) as placed:
                return await send(placed, mode, trace)
        except LostFile:
            trace.retries += 1
        async with uploads.placed(turns) as placed:
            return await send(placed, mode._replace(kind="retry"), trace)

    return uploading
