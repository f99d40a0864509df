"""What both clients share: their options, and the operations behind their methods. Nothing in here waits."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Self

from extract.errors import ConfigError, ExtractError
from extract.interactions.dialects import DialectName
from extract.interactions.endpoint import GOOGLE_URL, Endpoint
from extract.interactions.http.calls import Call, Operation, Order
from extract.interactions.http.retrying import Retry
from extract.interactions.http.transport import unreachable
from extract.interactions.interaction import Interaction
from extract.interactions.operations import create, identity_of
from extract.interactions.requests import Request
from extract.interactions.streaming.operation import Streaming, follow, stream
from extract.interactions.streaming.state import StreamState

__all__ = ["BaseClient"]


class BaseClient:
    """A client without its transport: `Client` and `AsyncClient` carry out what is decided here."""

    def __init__(
        self,
        api_key: str | None = None,
        *,
        dialect: DialectName | None = None,
        base_url: str | None = None,
        retry: Retry | None = None,
        endpoint: Endpoint | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.endpoint: Endpoint = _endpoint_of(api_key, base_url, dialect, endpoint)
        self.retry: Retry = retry or Retry()
        self._clock = clock
        self._answered = False  # whether the service has ever answered: see `unreachable`

    @classmethod
    def from_env(cls, *, base_url: str | None = None, dialect: DialectName = "steps") -> Self:
        """Return a client with the key and URL of the environment; see `Endpoint.from_env`."""
        return cls(endpoint=Endpoint.from_env(base_url=base_url, dialect=dialect))

    def _create(self, request: Request) -> Operation[Order, Interaction]:
        _check_request(request)
        call = self.endpoint.create_call(request, self.endpoint.wire.encode(request))
        return create(call, self.retry, parent=request.previous_interaction_id)

    def _stream(self, request: Request) -> tuple[Streaming, StreamState]:
        _check_request(request)
        state = StreamState(self.endpoint.scrub)
        streaming = stream(
            self.endpoint.wire.encode(request, stream=True),
            state,
            self.retry,
            stored=request.store,
            timeout=self.endpoint.timeout_for(request),
            parent=request.previous_interaction_id,
        )
        return streaming, state

    def _follow(self, interaction: Interaction | str, last_event_id: str | None) -> tuple[Streaming, StreamState]:
        state = StreamState(self.endpoint.scrub)
        return follow(identity_of(interaction), state, self.retry, last_event_id=last_event_id), state

    def _unreachable(self, call: Call, error: Exception) -> ExtractError:
        return unreachable(call, error, secret=self.endpoint.api_key, answered=self._answered)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.endpoint!r})"


def _check_request(request: object) -> None:
    """Raise ConfigError, with what to write, where something else is given for a request."""
    if not isinstance(request, Request):
        given = f"{request!r:.40}" if isinstance(request, str) else "..."
        raise ConfigError(f"a client takes Request(model=..., input={given}), not a {type(request).__name__}")


def _endpoint_of(
    api_key: str | None, base_url: str | None, dialect: DialectName | None, endpoint: Endpoint | None
) -> Endpoint:
    """Return the endpoint that a client's options name. ConfigError where two of them say the same thing."""
    if endpoint is None:
        if api_key is None:
            raise ConfigError("a client needs a key: Client('key'), or Client.from_env(), which reads GEMINI_API_KEY")
        return Endpoint(
            api_key=api_key,
            base_url=GOOGLE_URL if base_url is None else base_url,
            dialect="steps" if dialect is None else dialect,
        )
    options = {"api_key": api_key, "base_url": base_url, "dialect": dialect}
    if doubled := [name for name, value in options.items() if value is not None]:
        raise ConfigError(f"endpoint= holds the key, the URL and the dialect already: leave out {_joined(doubled)}")
    return endpoint


def _joined(names: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
