"""The Interactions API, synchronous and asynchronous. Both clients only carry out what operations decide."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Self, TypeVar

import httpx

from extract.documents.parts import Part
from extract.interactions.base_client import BaseClient
from extract.interactions.decisions import DECISION_MODEL, Decisions, Question, decide
from extract.interactions.dialects import DialectName, decode
from extract.interactions.endpoint import Endpoint
from extract.interactions.files import AsyncFiles, Files
from extract.interactions.http.calls import Call, Operation, Order, Reply, Sleep
from extract.interactions.http.drivers import drive, drive_async
from extract.interactions.http.httpx_transport import AsyncHttpxTransport, HttpxTransport, SyncIncoming
from extract.interactions.http.origins import check_origin, is_loopback
from extract.interactions.http.own_httpx import check_asynchronous, check_choice, check_httpx, check_synchronous
from extract.interactions.http.retrying import Retry
from extract.interactions.http.transport import DirectTransport, Incoming
from extract.interactions.interaction import Interaction
from extract.interactions.operations import cancel, delete, get, identity_of, wait
from extract.interactions.requests import Request
from extract.interactions.streaming.streams import AsyncEventStream, AsyncOpened, EventStream, Opened
from extract.interactions.token_count import count_tokens
from extract.interactions.tools.functions import AnyFunction
from extract.interactions.tools.loop import ToolRun, run_tools, run_tools_async

__all__ = ["AsyncClient", "Client"]

T = TypeVar("T")


class Client(BaseClient):
    """The API for scripts: every method returns when the answer is there.

    Calls that fail in passing are repeated as `retry` says. Use it as a context manager, or call `close`. An
    `endpoint` takes the place of key, URL and dialect. `transport` replaces httpx's own; `http_client` is an httpx
    client of yours, and stays open.

        >>> with Client("key", transport=Emulator(answers=["The Rhine."]).transport) as client:
        ...     client.create(Request(model="gemini-3.8-flash", input="Name a river.")).text
        'The Rhine.'
    """

    http_client: httpx.Client | None
    transport: httpx.BaseTransport | None

    def __init__(
        self,
        api_key: str | None = None,
        *,
        dialect: DialectName | None = None,
        base_url: str | None = None,
        retry: Retry | None = None,
        transport: httpx.BaseTransport | None = None,
        http_client: httpx.Client | None = None,
        endpoint: Endpoint | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(api_key, dialect=dialect, base_url=base_url, retry=retry, endpoint=endpoint, clock=clock)
        check_choice(transport, http_client)
        check_httpx("transport", transport)
        check_httpx("http_client", http_client)
        self.transport, self.http_client = transport, http_client
        self._sleep = sleep
        self._calls = HttpxTransport(self._open_http, self.endpoint, clock)

    def create(self, request: Request) -> Interaction:
        """Ask, and return the interaction whatever its status. Raises ApiError, or Blocked for a refused input.

        One that runs in the background comes back at once, `in_progress`: see `wait`.
        """
        return self._drive(self._create(request))

    def stream(self, request: Request) -> EventStream:
        """Return the answer as a stream of events, which opens its connection when it is read: use it in a `with`.

        A stored interaction is taken up again after a cut, and a continuation is followed.
        """
        return EventStream(*self._stream(request), connect=self._connect, sleep=self._sleep)

    def follow(self, interaction: Interaction | str, *, last_event_id: str | None = None) -> EventStream:
        """Return the stream of a stored interaction: from its beginning, or after an event that was seen before."""
        return EventStream(*self._follow(interaction, last_event_id), connect=self._connect, sleep=self._sleep)

    def wait(
        self,
        interaction: Interaction | str,
        *,
        deadline: float = 3600.0,
        poll: float = 5.0,
        on_progress: Callable[[Interaction], None] | None = None,
    ) -> Interaction:
        """Return an interaction that runs in the background once it is finished, fetched every `poll` seconds.

        `on_progress` gets each state. Raises AnswerTimeout after `deadline` seconds; the interaction then goes on.
        """
        return self._drive(
            wait(interaction, self.retry, deadline=deadline, poll=poll, clock=self._clock, on_progress=on_progress)
        )

    def get(self, interaction: Interaction | str, *, include_input: bool = False) -> Interaction:
        """Fetch a stored interaction, on request with its input. Raises BadRequest where the service stores none."""
        return self._drive(get(identity_of(interaction), self.retry, include_input=include_input))

    def cancel(self, interaction: Interaction | str) -> Interaction:
        """Stop an interaction that runs in the background. Raises BadRequest for an unknown id or a finished one."""
        return self._drive(cancel(identity_of(interaction), self.retry))

    def delete(self, interaction: Interaction | str) -> None:
        """Delete a stored interaction. Raises BadRequest where the service stores none under this id."""
        self._drive(delete(identity_of(interaction), self.retry))

    @property
    def files(self) -> Files:
        """The files of the project: upload, wait, get, list, delete."""
        return Files(self._perform, self.endpoint, self.retry, self._clock)

    def count_tokens(self, what: Request | str, *, model: str | None = None) -> int:
        """Return how many input tokens a text or a request takes: a lower bound, without schema, tools and history."""
        return self._drive(count_tokens(what, model, self.retry))

    def decide(
        self,
        given: str | Part | Sequence[str | Part],
        questions: Mapping[str, Question],
        *,
        model: str = DECISION_MODEL,
    ) -> Decisions:
        """Ask typed questions about one input. Raises ApiError, or Blocked for a refused input."""
        return self._drive(decide(given, questions, model, self.retry))

    def run_tools(self, request: Request, functions: Iterable[AnyFunction] = (), *, most_rounds: int = 8) -> ToolRun:
        """Ask with Python functions as tools, and call them until the model answers, for up to `most_rounds` rounds.

        The functions are those given, and those in `Request.tools`.
        """
        return run_tools(self, request, functions, max_rounds=most_rounds)

    def ask(self, call: Call) -> Interaction:
        """Send one create call once and return what came. Raises as `exchange` does."""
        return decode(self.exchange(call).body)

    def exchange(self, call: Call) -> Reply:
        """Send one call once. Raises what a refusal stands for, or Unreachable."""
        check_origin(call, self.endpoint.base_url)
        try:
            reply = self._calls.send(call)
        except Exception as error:
            raise self._unreachable(call, error) from None
        self._answered = True
        return self.endpoint.checked(reply)

    def _drive(self, operation: Operation[Order, T]) -> T:
        return drive(operation, self._perform)

    def _perform(self, order: Order) -> Reply | None:
        if isinstance(order, Sleep):
            self._sleep(order.seconds)
            return None
        return self.exchange(order)

    def _connect(self, call: Call) -> Opened:
        """Send one call once and return as soon as its answer begins. Raises as `exchange` does."""
        check_origin(call, self.endpoint.base_url)
        try:
            incoming = self._calls.stream(call)
            if incoming.status == 200:
                return Opened(self._chunks(call, incoming), incoming.close)
            refusal = incoming.read()
            incoming.close()
        except Exception as error:
            raise self._unreachable(call, error) from None
        self.endpoint.checked(refusal)
        raise AssertionError("a status outside 200 is refused")

    def _chunks(self, call: Call, incoming: SyncIncoming) -> Iterator[bytes]:
        try:
            yield from incoming.chunks
        except Exception as error:
            raise self._unreachable(call, error) from None

    def _open_http(self) -> httpx.Client:
        check_synchronous("transport", self.transport)
        check_synchronous("http_client", self.http_client)
        if self.http_client is not None:
            return self.http_client
        proxies = not is_loopback(httpx.URL(self.endpoint.base_url).host)
        return httpx.Client(transport=self.transport, trust_env=proxies)

    def close(self) -> None:
        if self.http_client is None:
            self._calls.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncClient(BaseClient):
    """The API for event loops, on a transport that stays fast at hundreds of connections.

    `transport` replaces the default one; any `httpx.AsyncBaseTransport` will do. `http_client` is an httpx client of
    yours: it stays open, and belongs to the event loop that it is used in first. All else is as in `Client`.

        >>> async def main() -> str:
        ...     async with AsyncClient("key", transport=Emulator(answers=["The Rhine."]).transport) as client:
        ...         return (await client.create(Request(model="gemini-3.8-flash", input="Name a river."))).text
        >>> asyncio.run(main())
        'The Rhine.'
    """

    http_client: httpx.AsyncClient | None
    transport: httpx.AsyncBaseTransport | None

    def __init__(
        self,
        api_key: str | None = None,
        *,
        dialect: DialectName | None = None,
        base_url: str | None = None,
        retry: Retry | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        http_client: httpx.AsyncClient | None = None,
        endpoint: Endpoint | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(api_key, dialect=dialect, base_url=base_url, retry=retry, endpoint=endpoint, clock=clock)
        check_choice(transport, http_client)
        check_asynchronous("transport", transport, whose="an AsyncClient")
        check_asynchronous("http_client", http_client, whose="an AsyncClient")
        self.transport, self.http_client = transport, http_client
        self._sleep = sleep
        http = http_client or (httpx.AsyncClient(transport=transport) if transport is not None else None)
        self._calls: DirectTransport | AsyncHttpxTransport
        if http is None:
            at = self.endpoint
            self._calls = DirectTransport(at.root, at.headers(), at.bounds, at.allowance())
        else:
            self._calls = AsyncHttpxTransport(http, self.endpoint, self.endpoint.allowance())

    async def create(self, request: Request) -> Interaction:
        """Ask, and return the interaction whatever its status. Raises ApiError, or Blocked for a refused input.

        One that runs in the background comes back at once, `in_progress`: see `wait`.
        """
        return await self._drive(self._create(request))

    def stream(self, request: Request) -> AsyncEventStream:
        """Return the answer as a stream of events, which opens its connection when it is read: use it in a `with`.

        A stored interaction is taken up again after a cut, and a continuation is followed.
        """
        return AsyncEventStream(*self._stream(request), connect=self._connect, sleep=self._sleep)

    def follow(self, interaction: Interaction | str, *, last_event_id: str | None = None) -> AsyncEventStream:
        """Return the stream of a stored interaction: from its beginning, or after an event that was seen before."""
        return AsyncEventStream(*self._follow(interaction, last_event_id), connect=self._connect, sleep=self._sleep)

    async def wait(
        self,
        interaction: Interaction | str,
        *,
        deadline: float = 3600.0,
        poll: float = 5.0,
        on_progress: Callable[[Interaction], None] | None = None,
    ) -> Interaction:
        """Return an interaction that runs in the background once it is finished, fetched every `poll` seconds.

        `on_progress` gets each state. Raises AnswerTimeout after `deadline` seconds; the interaction then goes on.
        """
        return await self._drive(
            wait(interaction, self.retry, deadline=deadline, poll=poll, clock=self._clock, on_progress=on_progress)
        )

    async def get(self, interaction: Interaction | str, *, include_input: bool = False) -> Interaction:
        """Fetch a stored interaction, on request with its input. Raises BadRequest where the service stores none."""
        return await self._drive(get(identity_of(interaction), self.retry, include_input=include_input))

    async def cancel(self, interaction: Interaction | str) -> Interaction:
        """Stop an interaction that runs in the background. Raises BadRequest for an unknown id or a finished one."""
        return await self._drive(cancel(identity_of(interaction), self.retry))

    async def delete(self, interaction: Interaction | str) -> None:
        """Delete a stored interaction. Raises BadRequest where the service stores none under this id."""
        await self._drive(delete(identity_of(interaction), self.retry))

    @property
    def files(self) -> AsyncFiles:
        """The files of the project: upload, wait, get, list, delete."""
        return AsyncFiles(self._perform, self.endpoint, self.retry, self._clock)

    async def count_tokens(self, what: Request | str, *, model: str | None = None) -> int:
        """Return how many input tokens a text or a request takes: a lower bound, without schema, tools and history."""
        return await self._drive(count_tokens(what, model, self.retry))

    async def decide(
        self,
        given: str | Part | Sequence[str | Part],
        questions: Mapping[str, Question],
        *,
        model: str = DECISION_MODEL,
    ) -> Decisions:
        """Ask typed questions about one input. Raises ApiError, or Blocked for a refused input."""
        return await self._drive(decide(given, questions, model, self.retry))

    async def run_tools(
        self, request: Request, functions: Iterable[AnyFunction] = (), *, most_rounds: int = 8
    ) -> ToolRun:
        """Ask with Python functions as tools, and call them until the model answers, for up to `most_rounds` rounds.

        The functions are those given, and those in `Request.tools`.
        """
        return await run_tools_async(self, request, functions, max_rounds=most_rounds)

    async def ask(self, call: Call) -> Interaction:
        """Send one create call once and return what came. Raises as `exchange` does."""
        return decode((await self.exchange(call)).body)

    async def exchange(self, call: Call) -> Reply:
        """Send one call once. Raises what a refusal stands for, or Unreachable."""
        check_origin(call, self.endpoint.base_url)
        try:
            reply = await self._calls.send(call)
        except Exception as error:
            raise self._unreachable(call, error) from None
        self._answered = True
        return self.endpoint.checked(reply)

    async def _drive(self, operation: Operation[Order, T]) -> T:
        return await drive_async(operation, self._perform)

    async def _perform(self, order: Order) -> Reply | None:
        if isinstance(order, Sleep):
            await self._sleep(order.seconds)
            return None
        return await self.exchange(order)

    async def _connect(self, call: Call) -> AsyncOpened:
        """Send one call once and return as soon as its answer begins. Raises as `exchange` does."""
        check_origin(call, self.endpoint.base_url)
        try:
            incoming = await self._calls.stream(call)
            if incoming.status == 200:
                return AsyncOpened(self._chunks(call, incoming), incoming.close)
            refusal = await incoming.read()
            await incoming.close()
        except Exception as error:
            raise self._unreachable(call, error) from None
        self.endpoint.checked(refusal)
        raise AssertionError("a status outside 200 is refused")

    async def _chunks(self, call: Call, incoming: Incoming) -> AsyncIterator[bytes]:
        try:
            async for chunk in incoming.chunks:
                yield chunk
        except Exception as error:
            raise self._unreachable(call, error) from None

    async def aclose(self) -> None:
        if self.http_client is None:
            await self._calls.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
