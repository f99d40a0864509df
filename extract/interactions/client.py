"""The Interactions API, synchronous and asynchronous. Both clients only carry out what `protocols` decides."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Self

import httpx
from tenacity import Retrying

from extract.documents.parts import Part
from extract.errors import ConfigError, ExtractError
from extract.interactions.decisions import DECISION_MODEL, Decisions, Question, decide
from extract.interactions.dialects import DialectName, decode
from extract.interactions.endpoint import GOOGLE_URL, Endpoint
from extract.interactions.files import AsyncFiles, Files
from extract.interactions.http.calls import Call, Reply
from extract.interactions.http.drivers import drive, drive_async, drive_polling, drive_polling_async
from extract.interactions.http.origins import check_origin, is_loopback
from extract.interactions.http.retrying import Retry, insist, policy
from extract.interactions.http.transport import Direct, Incoming, unreachable
from extract.interactions.interaction import Interaction
from extract.interactions.operations import FINISHED, cancel, create, delete, get, identity_of, wait
from extract.interactions.requests import Request
from extract.interactions.streaming.streams import (
    AsyncEventStream,
    AsyncOpened,
    EventStream,
    Heard,
    Opened,
    follow,
    listen,
)
from extract.interactions.token_count import count_tokens
from extract.interactions.tools.functions import AnyFunction
from extract.interactions.tools.loop import ToolRun, run_tools, run_tools_async

__all__ = ["AsyncClient", "Client"]


def _check_choice(transport: object, http_client: object) -> None:
    if transport is not None and http_client is not None:
        raise ConfigError("transport= is for a client of ours, and http_client= brings its own: give one of them")


class Client:
    """The API for scripts: every method returns when the answer is there.

    Calls that fail in passing are repeated as `retry` says. Use it as a context manager, or call `close`. `transport`
    replaces httpx's own; `http_client` is a client of yours in place of ours, and stays open.
    """

    def __init__(
        self,
        api_key: str | None = None,
        *,
        dialect: DialectName = "steps",
        base_url: str = GOOGLE_URL,
        retry: Retry | None = None,
        transport: httpx.BaseTransport | None = None,
        http_client: httpx.Client | None = None,
        endpoint: Endpoint | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.endpoint = endpoint or Endpoint(api_key=api_key or "", base_url=base_url, dialect=dialect)
        self.retry = retry or Retry()
        self.transport, self.http_client = transport, http_client
        _check_choice(transport, http_client)
        self._sleep, self._clock = sleep, clock
        self._opened, self._opening = http_client, threading.Lock()
        self._answered = False

    @classmethod
    def from_env(cls, *, base_url: str | None = None, dialect: DialectName = "steps") -> Client:
        """Return a client with the key and URL of the environment; see `Endpoint.from_env`."""
        return cls(endpoint=Endpoint.from_env(base_url=base_url, dialect=dialect))

    @property
    def _http(self) -> httpx.Client:
        """The client below, opened at the first call: it reads all certificates, and `run` never calls it."""
        with self._opening:  # threads may share a client
            if self._opened is None:
                proxies = not is_loopback(httpx.URL(self.endpoint.base_url).host)
                self._opened = httpx.Client(transport=self.transport, trust_env=proxies)
            return self._opened

    def create(self, request: Request) -> Interaction:
        """Ask, and return the interaction whatever its status. Raises ApiError, or Blocked for a refused input.

        One that runs in the background comes back at once, `in_progress`: see `wait`.
        """
        endpoint = self.endpoint
        protocol = create(
            endpoint.wire.encode(request), timeout=endpoint.patience(request), parent=request.previous_interaction_id
        )
        return drive(protocol, self._insist)

    def stream(self, request: Request) -> EventStream:
        """Return the answer as a stream of events, which opens its connection when it is read: use it in a `with`.

        A stored interaction is taken up again after a cut, and a continuation is followed.
        """
        heard, body = Heard(self.endpoint.scrub), self.endpoint.wire.encode(request, stream=True)
        protocol = listen(
            body,
            heard,
            stored=request.store,
            timeout=self.endpoint.patience(request),
            parent=request.previous_interaction_id,
        )
        return EventStream(protocol, heard, connect=self._connect, sleep=self._sleep)

    def follow(self, interaction: Interaction | str, *, last_event_id: str | None = None) -> EventStream:
        """Return the stream of a stored interaction: from its beginning, or after an event that was seen before."""
        heard = Heard(self.endpoint.scrub)
        protocol = follow(identity_of(interaction), heard, last_event_id=last_event_id)
        return EventStream(protocol, heard, connect=self._connect, sleep=self._sleep)

    def wait(
        self,
        interaction: Interaction | str,
        *,
        deadline: float = 3600.0,
        poll: float = 5.0,
        on_progress: Callable[[Interaction], None] | None = None,
    ) -> Interaction:
        """Return an interaction that runs in the background once it is finished, looking every `poll` seconds.

        `on_progress` is shown each look. Raises AnswerTimeout after `deadline` seconds; the interaction then goes on.
        """
        if isinstance(interaction, Interaction) and interaction.status in FINISHED:
            return interaction
        protocol = wait(
            identity_of(interaction),
            deadline=deadline,
            poll=poll,
            clock=self._clock,
            retry=self.retry,
            on_progress=on_progress,
        )
        return drive_polling(protocol, self.ask, self._sleep)

    def get(self, interaction: Interaction | str, *, include_input: bool = False) -> Interaction:
        """Fetch a stored interaction, on request with its input. Raises BadRequest where the service keeps none."""
        return drive(get(identity_of(interaction), include_input=include_input), self._insist)

    def cancel(self, interaction: Interaction | str) -> Interaction:
        """Stop an interaction that runs in the background. Raises BadRequest for an unknown id or a finished one."""
        return drive(cancel(identity_of(interaction)), self._insist)

    def delete(self, interaction: Interaction | str) -> None:
        """Let the service forget a stored interaction. Raises BadRequest where it keeps none under this id."""
        drive(delete(identity_of(interaction)), self._insist_whole)

    @property
    def files(self) -> Files:
        """The files of the project: upload, wait, get, list, delete."""
        return Files(self, self._sleep, self._clock)

    def count_tokens(self, what: Request | str, *, model: str | None = None) -> int:
        """Return how many input tokens a text or a request takes; see `tokens.count_tokens` for what is left out."""
        return drive_polling(count_tokens(what, model, self.retry), self.exchange, self._sleep)

    def decide(
        self,
        given: str | Part | Sequence[str | Part],
        questions: Mapping[str, Question],
        *,
        model: str = DECISION_MODEL,
    ) -> Decisions:
        """Ask typed questions about one input. Raises ApiError, or Blocked for a refused input."""
        return drive_polling(decide(given, questions, model, self.retry), self.exchange, self._sleep)

    def run_tools(self, request: Request, functions: Iterable[AnyFunction], *, most_rounds: int = 8) -> ToolRun:
        """Ask with Python functions as tools, and call them until the model answers; see `tool_loop`."""
        return run_tools(self, request, functions, most_rounds=most_rounds)

    def ask(self, call: Call) -> Interaction:
        """Send one create call once and return what came. Raises as `exchange` does."""
        return decode(self.exchange(call).body)

    def exchange(self, call: Call) -> Reply:
        """Send one call once. Raises what a refusal stands for, or Unreachable."""
        check_origin(call, self.endpoint.base_url)
        try:
            response = self._http.request(**self.endpoint.httpx_call(call), follow_redirects=False)
        except Exception as error:
            raise self._unreachable(call, error) from None
        self._answered = True
        return self.endpoint.checked(Reply(response.status_code, response.headers, response.content))

    def _unreachable(self, call: Call, error: Exception) -> ExtractError:
        return unreachable(call, error, secret=self.endpoint.api_key, answered=self._answered)

    def _insist(self, call: Call) -> Interaction:
        return Retrying(sleep=self._sleep, **policy(self.retry))(self.ask, call)

    def _insist_whole(self, call: Call) -> Reply:
        return Retrying(sleep=self._sleep, **policy(self.retry))(self.exchange, call)

    def _connect(self, call: Call) -> Opened:
        return Retrying(sleep=self._sleep, **policy(self.retry))(self._open, call)

    def _open(self, call: Call) -> Opened:
        """Send one call once and return as soon as its answer begins. Raises as `exchange` does."""
        check_origin(call, self.endpoint.base_url)
        try:
            request = self._http.build_request(**self.endpoint.httpx_call(call))
            response = self._http.send(request, stream=True, follow_redirects=False)
            if response.status_code != 200:
                response.read()
        except Exception as error:
            raise self._unreachable(call, error) from None
        if response.status_code != 200:
            response.close()
            self.endpoint.checked(Reply(response.status_code, response.headers, response.content))
        return Opened(self._chunks(call, response), response.close)

    def _chunks(self, call: Call, response: httpx.Response) -> Iterator[bytes]:
        try:
            yield from response.iter_bytes()
        except Exception as error:
            raise self._unreachable(call, error) from None

    def close(self) -> None:
        if self._opened is not None and self.http_client is None:
            self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.endpoint!r})"


class AsyncClient:
    """The API for event loops, on a transport that stays fast at hundreds of connections.

    `transport` replaces the default one; any `httpx.AsyncBaseTransport` will do. `http_client` is an httpx client of
    yours in place of ours: it stays open, and belongs to the event loop that it is used in first.
    """

    def __init__(
        self,
        api_key: str | None = None,
        *,
        dialect: DialectName = "steps",
        base_url: str = GOOGLE_URL,
        retry: Retry | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        http_client: httpx.AsyncClient | None = None,
        endpoint: Endpoint | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.endpoint = endpoint or Endpoint(api_key=api_key or "", base_url=base_url, dialect=dialect)
        self.retry = retry or Retry()
        self.transport, self.http_client = transport, http_client
        _check_choice(transport, http_client)
        self._sleep, self._clock = sleep, clock
        self._http = http_client or (httpx.AsyncClient(transport=transport) if transport is not None else None)
        self._answered = False
        self._direct = Direct(self.endpoint.root, self.endpoint.headers(), self.endpoint.silence)

    @classmethod
    def from_env(cls, *, base_url: str | None = None, dialect: DialectName = "steps") -> AsyncClient:
        """Return a client with the key and URL of the environment; see `Endpoint.from_env`."""
        return cls(endpoint=Endpoint.from_env(base_url=base_url, dialect=dialect))

    async def create(self, request: Request) -> Interaction:
        """Ask, and return the interaction whatever its status. Raises ApiError, or Blocked for a refused input.

        One that runs in the background comes back at once, `in_progress`: see `wait`.
        """
        endpoint = self.endpoint
        protocol = create(
            endpoint.wire.encode(request), timeout=endpoint.patience(request), parent=request.previous_interaction_id
        )
        return await drive_async(protocol, self._insist)

    def stream(self, request: Request) -> AsyncEventStream:
        """Return the answer as a stream of events, which opens its connection when it is read: use it in a `with`.

        A stored interaction is taken up again after a cut, and a continuation is followed.
        """
        heard, body = Heard(self.endpoint.scrub), self.endpoint.wire.encode(request, stream=True)
        protocol = listen(
            body,
            heard,
            stored=request.store,
            timeout=self.endpoint.patience(request),
            parent=request.previous_interaction_id,
        )
        return AsyncEventStream(protocol, heard, connect=self._connect, sleep=self._sleep)

    def follow(self, interaction: Interaction | str, *, last_event_id: str | None = None) -> AsyncEventStream:
        """Return the stream of a stored interaction: from its beginning, or after an event that was seen before."""
        heard = Heard(self.endpoint.scrub)
        protocol = follow(identity_of(interaction), heard, last_event_id=last_event_id)
        return AsyncEventStream(protocol, heard, connect=self._connect, sleep=self._sleep)

    async def wait(
        self,
        interaction: Interaction | str,
        *,
        deadline: float = 3600.0,
        poll: float = 5.0,
        on_progress: Callable[[Interaction], None] | None = None,
    ) -> Interaction:
        """Return an interaction that runs in the background once it is finished, looking every `poll` seconds.

        `on_progress` is shown each look. Raises AnswerTimeout after `deadline` seconds; the interaction then goes on.
        """
        if isinstance(interaction, Interaction) and interaction.status in FINISHED:
            return interaction
        protocol = wait(
            identity_of(interaction),
            deadline=deadline,
            poll=poll,
            clock=self._clock,
            retry=self.retry,
            on_progress=on_progress,
        )
        return await drive_polling_async(protocol, self.ask, self._sleep)

    async def get(self, interaction: Interaction | str, *, include_input: bool = False) -> Interaction:
        """Fetch a stored interaction, on request with its input. Raises BadRequest where the service keeps none."""
        return await drive_async(get(identity_of(interaction), include_input=include_input), self._insist)

    async def cancel(self, interaction: Interaction | str) -> Interaction:
        """Stop an interaction that runs in the background. Raises BadRequest for an unknown id or a finished one."""
        return await drive_async(cancel(identity_of(interaction)), self._insist)

    async def delete(self, interaction: Interaction | str) -> None:
        """Let the service forget a stored interaction. Raises BadRequest where it keeps none under this id."""
        await drive_async(delete(identity_of(interaction)), self._insist_whole)

    @property
    def files(self) -> AsyncFiles:
        """The files of the project: upload, wait, get, list, delete."""
        return AsyncFiles(self, self._sleep, self._clock)

    async def count_tokens(self, what: Request | str, *, model: str | None = None) -> int:
        """Return how many input tokens a text or a request takes; see `tokens.count_tokens` for what is left out."""
        return await drive_polling_async(count_tokens(what, model, self.retry), self.exchange, self._sleep)

    async def decide(
        self,
        given: str | Part | Sequence[str | Part],
        questions: Mapping[str, Question],
        *,
        model: str = DECISION_MODEL,
    ) -> Decisions:
        """Ask typed questions about one input. Raises ApiError, or Blocked for a refused input."""
        return await drive_polling_async(decide(given, questions, model, self.retry), self.exchange, self._sleep)

    async def run_tools(self, request: Request, functions: Iterable[AnyFunction], *, most_rounds: int = 8) -> ToolRun:
        """Ask with Python functions as tools, and call them until the model answers; see `tool_loop`."""
        return await run_tools_async(self, request, functions, most_rounds=most_rounds)

    async def ask(self, call: Call) -> Interaction:
        """Send one create call once and return what came. Raises as `exchange` does."""
        return decode((await self.exchange(call)).body)

    async def exchange(self, call: Call) -> Reply:
        """Send one call once. Raises what a refusal stands for, or Unreachable."""
        check_origin(call, self.endpoint.base_url)
        try:
            reply = await (self._direct.send(call) if self._http is None else self._through(self._http, call))
        except Exception as error:
            raise self._unreachable(call, error) from None
        self._answered = True
        return self.endpoint.checked(reply)

    def _unreachable(self, call: Call, error: Exception) -> ExtractError:
        return unreachable(call, error, secret=self.endpoint.api_key, answered=self._answered)

    async def _through(self, http: httpx.AsyncClient, call: Call) -> Reply:
        response = await http.request(**self.endpoint.httpx_call(call), follow_redirects=False)
        return Reply(response.status_code, response.headers, response.content)

    async def _insist(self, call: Call) -> Interaction:
        return await insist(lambda: self.ask(call), self.retry, sleep=self._sleep)

    async def _insist_whole(self, call: Call) -> Reply:
        return await insist(lambda: self.exchange(call), self.retry, sleep=self._sleep)

    async def _connect(self, call: Call) -> AsyncOpened:
        return await insist(lambda: self._open(call), self.retry, sleep=self._sleep)

    async def _open(self, call: Call) -> AsyncOpened:
        """Send one call once and return as soon as its answer begins. Raises as `exchange` does."""
        check_origin(call, self.endpoint.base_url)
        try:
            incoming = await (self._direct.stream(call) if self._http is None else self._begin(self._http, call))
            if incoming.status == 200:
                return AsyncOpened(self._chunks(call, incoming), incoming.close)
            body = await incoming.read()
            await incoming.close()
        except Exception as error:
            raise self._unreachable(call, error) from None
        self.endpoint.checked(Reply(incoming.status, incoming.headers, body))
        raise AssertionError("a status outside 200 is refused")

    async def _begin(self, http: httpx.AsyncClient, call: Call) -> Incoming:
        request = http.build_request(**self.endpoint.httpx_call(call))
        response = await http.send(request, stream=True, follow_redirects=False)
        return Incoming(response.status_code, response.headers, response.aiter_bytes(), response.aread, response.aclose)

    async def _chunks(self, call: Call, incoming: Incoming) -> AsyncIterator[bytes]:
        try:
            async for chunk in incoming.chunks:
                yield chunk
        except Exception as error:
            raise self._unreachable(call, error) from None

    async def aclose(self) -> None:
        await self._direct.aclose()
        if self._http is not None and self.http_client is None:
            await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.endpoint!r})"
