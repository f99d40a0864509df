"""The client of a run: the user's, one from the environment, or one of the built-in emulator."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

from extract.emulator import Emulator
from extract.errors import ConfigError
from extract.interactions.client import AsyncClient, Client
from extract.interactions.dialects import DialectName
from extract.interactions.endpoint import Endpoint
from extract.interactions.http.own_httpx import check_asynchronous
from extract.interactions.http.transport import read_timeout, total_timeout
from extract.interactions.requests import ServiceTier

__all__ = ["NOWHERE", "OFFLINE", "endpoint_of", "offline_client", "open_client"]

#: The name of a service whose answers cost nothing.
OFFLINE = "offline"
#: For what does not depend on the service: columns, types, prompts. Nothing is sent there.
NOWHERE = Endpoint(api_key="none", name="nowhere")


def offline_client(*, dialect: DialectName = "steps") -> Client:
    """Return a client whose service is the built-in emulator: no key, no network, no cost, and no language model.

    >>> from extract import Request, offline_client
    >>> with offline_client() as client:
    ...     bool(client.create(Request(model="gemini-3.5-flash-lite", input="Hello")).text)
    True
    """
    endpoint = Endpoint(api_key="offline", dialect=dialect, name=OFFLINE)
    return Client(endpoint=endpoint, transport=Emulator(dialect=dialect, keep_requests=False).transport)


def endpoint_of(given: Client | AsyncClient | None, service_tier: ServiceTier | None) -> Endpoint:
    """Return where a run sends its requests: the client's endpoint, or that of the environment.

    Without timeouts the endpoint gets those of the tier: a flex answer may take a quarter of an hour.
    """
    endpoint = given.endpoint if given is not None else Endpoint.from_env()
    return replace(
        endpoint,
        read_timeout=endpoint.read_timeout or read_timeout(service_tier),
        request_timeout=endpoint.request_timeout or total_timeout(service_tier),
    )


def _check_client(client: object) -> None:
    """Raise ConfigError, with what to pass, for a client of another library."""
    if not isinstance(client, Client | AsyncClient | None):
        kind = f"{type(client).__module__.partition('.')[0]}.{type(client).__name__}"
        raise ConfigError(f"client takes extract.Client(KEY) or extract.AsyncClient(KEY), not {kind}")


@asynccontextmanager
async def open_client(
    client: Client | AsyncClient | None, *, offline: bool, service_tier: ServiceTier | None
) -> AsyncIterator[AsyncClient]:
    """Yield the client of a run: with the user's transport, or a new default one for the event loop of the run."""
    if offline and client is not None:
        raise ConfigError("offline=True brings its own service; leave out client=")
    _check_client(client)
    given = offline_client() if offline else client
    endpoint = endpoint_of(given, service_tier)
    own: dict[str, Any] = {name: getattr(given, name, None) for name in ("transport", "http_client")}
    for name, brought in own.items():
        check_asynchronous(name, brought, whose="a run")
    # Closed with the run, even the user's transport: connections belong to the event loop in which they were opened.
    opened = AsyncClient(endpoint=endpoint, retry=given.retry if given else None, **own)
    try:
        yield opened
    finally:
        with suppress(Exception):  # a transport that cannot be closed must not cost the run
            await opened.aclose()
