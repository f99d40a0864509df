"""What a run needs of the place where its answers are stored."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from extract.interactions.interaction import Interaction
from extract.interactions.usage import Attempt
from extract.io.cache.sharing import Sharing

__all__ = ["AnswerStore"]


class AnswerStore(Protocol):
    """Where a run stores answers: a ResponseCache, or what stands for one that another process holds.

    `flying` are the requests in flight by content key: all runs of one event loop that share a store ask each of them
    once. `sharing` does the same between processes, None where only this one uses the store. OutputError where the
    store cannot be read or written.
    """

    flying: dict[bytes, asyncio.Future[Interaction]]
    sharing: Sharing | None

    async def prefetch(self, keys: Sequence[bytes]) -> None:
        """Look up together what `fetch` will be called with soon."""

    def clear_prefetch(self) -> None:
        """Forget what was looked up and not fetched."""

    async def fetch(self, key: bytes) -> bytes | None:
        """Return the JSON text of the interaction stored under a key, or None."""

    async def keep(self, key: bytes, interaction: bytes, *, rung: int = 0, service: str | None = None) -> None:
        """Return once the answer is committed. `service` is who gave it, as it stands in content keys."""

    def forget(self, key: bytes) -> None:
        """Drop an answer that cannot be read any more."""

    def note(self, attempt: Attempt) -> None:
        """Enter one attempt into the ledger."""

    def rung(self, schema: bytes) -> int:
        """Return how far a schema had to be relaxed for the service to accept it."""

    def remember_rung(self, schema: bytes, rung: int) -> None:
        """Store what `rung` returns."""
