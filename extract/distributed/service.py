"""Where the requests of a run go: sent to each process of a cluster, which opens a client there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from extract.interactions.client import AsyncClient
from extract.interactions.endpoint import Endpoint
from extract.interactions.http.retrying import Retry
from extract.runner.service import offline_client

__all__ = ["Service"]


@dataclass(frozen=True, slots=True)
class Service:
    """An endpoint; with `offline` the built-in emulator, a separate one in each process."""

    endpoint: Endpoint
    offline: bool = False

    def client(self, retry: Retry | None = None) -> AsyncClient:
        """Return a client, to be opened in the running loop."""
        transport: Any = offline_client(dialect=self.endpoint.dialect).transport if self.offline else None
        return AsyncClient(endpoint=self.endpoint, retry=retry, transport=transport)
