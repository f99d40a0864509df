"""The Interactions API in a box: a request goes in, a response comes out, and nothing sleeps or opens a socket."""

from __future__ import annotations

import base64
import random
import re
import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal

from pydantic_core import from_json

from extract.emulator.answers import Answers
from extract.emulator.checks import check_create
from extract.emulator.conversation import ExampleCache, Said, kind_of, read_ask, requested_schema, turns_of
from extract.emulator.faults import KINDS, NO_FAULT, Fault, FaultKind, FaultPlan
from extract.emulator.gate import SchemaGate
from extract.emulator.reader import RuleReader
from extract.emulator.resource import (
    Reply,
    build_interaction,
    fit_limit,
    in_dialect,
    in_progress,
    stream_frames,
    with_input,
)
from extract.emulator.state import Bounded, Counters, Kept, Pending, Quota, SeenRequest
from extract.emulator.transport import EmulatorTransport
from extract.emulator.wire import (
    STREAM_TYPE,
    Refusal,
    WireRequest,
    WireResponse,
    error_response,
    json_response,
    refusal,
    rpc_response,
)
from extract.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from extract.emulator.answers import Reader, Script
    from extract.emulator.conversation import Ask
    from extract.types import JsonObject

__all__ = ["Emulator"]

KEPT_INTERACTIONS = KEPT_CONTINUATIONS = 10_000
CALENDAR = datetime(2026, 1, 1, tzinfo=UTC)
"""Times in interactions are this plus the clock: the emulator has no time of day."""

PATH = re.compile(r"/v1(?:beta)?/interactions(?:/(?P<id>[^/]+)(?P<cancel>/cancel)?)?")
LEGACY_REVISION, CURRENT_REVISION = "2026-05-07", "2026-05-20"
BAD_KEY = rpc_response(
    HTTPStatus.BAD_REQUEST,
    "INVALID_ARGUMENT",
    "API key not valid. Please pass a valid API key.",
    [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID", "domain": "googleapis.com"}],
)


class Emulator:
    """Answers requests as the Interactions API does, from memory alone; safe to use from several threads.

    `answers` is a list used up in order or a function of the request's body; each answer is text, an object sent as
    JSON, or a `Fault`. Without them `reader` (the rule reader) reads the record. `faults` says what goes wrong how
    often (`FAULTS`; `503=0.05,mixed=0.1`), drawn per request from `seed`. `rpm`, `tpm` and `rpd` are quotas;
    `retry_after` names the wait in a header too. `latency` and `background_seconds` are in seconds. `strict` refuses
    what the documentation does not allow; `max_schema_cost` refuses large schemas (see `gate.survey`). With `api_key`
    every other key is refused, without it any key will do. ConfigError for options that cannot be.
    """

    def __init__(
        self,
        *,
        dialect: Literal["steps", "outputs"] = "steps",
        answers: Script | None = None,
        faults: str | None = None,
        seed: int = 0,
        rpm: int | None = None,
        tpm: int | None = None,
        rpd: int | None = None,
        retry_after: bool = False,
        latency: float = 0.0,
        background_seconds: float = 0.0,
        strict: bool = True,
        max_schema_cost: int | None = None,
        api_key: str | None = None,
        keep_requests: bool = True,
        clock: Callable[[], float] = time.monotonic,
        reader: Reader | None = None,
    ) -> None:
        if dialect not in ("steps", "outputs"):
            raise ConfigError(f"no dialect is called {dialect!r}; known: steps, outputs")
        self._legacy = dialect == "outputs"
        self._plan = FaultPlan.parse(faults)
        self._answers = Answers(answers, reader or RuleReader())
        self._latency, self._background_seconds = latency, background_seconds
        self._strict, self._api_key, self._clock = strict, api_key, clock
        self._gate = SchemaGate(max_schema_cost)
        self._quota = Quota(rpm=rpm, tpm=tpm, rpd=rpd, retry_after=retry_after)
        self._counters = Counters(keep_requests=keep_requests)
        self._examples = ExampleCache()
        self._kept: Bounded[Kept] = Bounded(KEPT_INTERACTIONS)
        self._pending: Bounded[Pending] = Bounded(KEPT_CONTINUATIONS)
        # Two sources, so that fault draws do not depend on how many names were given out.
        self._draws, self._names = random.Random(seed), random.Random(seed)  # noqa: S311 - repeatable, guards nothing
        self._lock = Lock()
        self.transport = EmulatorTransport(self.exchange)

    @property
    def requests(self) -> list[SeenRequest]:
        """The create requests seen so far, in order of arrival; empty without `keep_requests`."""
        with self._lock:
            return list(self._counters.seen)

    def stats(self) -> JsonObject:
        """Return the counters: requests, by_status, distinct, repeats, in flight, tokens billed, faults and more."""
        with self._lock:
            return self._counters.report()

    def set_faults(self, spec: str | None) -> None:
        """Let other faults strike from now on; ConfigError for a spec that cannot be read."""
        self._plan = FaultPlan.parse(spec)

    def handle(self, request: WireRequest) -> WireResponse:
        """Return the response to `request`, counted as delivered."""
        with self.exchange(request) as response:
            return response

    @contextmanager
    def exchange(self, request: WireRequest) -> Iterator[WireResponse]:
        """Yield the response to `request`; the request is in flight until the context ends.

        Tokens are billed where it ends without an exception and the response was to be sent whole.
        """
        delivered = None
        with self._lock:
            self._counters.arrive()
        try:
            response = self._respond(request)
            yield response
            delivered = response
        finally:
            with self._lock:
                self._counters.leave(delivered)

    def _respond(self, request: WireRequest) -> WireResponse:
        place = PATH.fullmatch(request.path)
        if place is not None and place["id"] is None and request.method == "POST":
            return self._create(request)
        with self._lock:
            self._counters.note_other()
        try:
            self._authorise(request)
            if place is None:
                raise refusal(f"Path not found: {request.path}", status=HTTPStatus.NOT_FOUND, code="not_found")
            return self._serve_kept(request, place["id"], cancel=bool(place["cancel"]))
        except Refusal as refused:
            return refused.response

    def _authorise(self, request: WireRequest) -> None:
        key = request.headers.get("x-goog-api-key") or request.query.get("key")
        bearer = request.headers.get("authorization", "").startswith("Bearer ")
        if not key and not bearer:
            raise refusal("Missing API key.", status=HTTPStatus.UNAUTHORIZED, code="authentication")
        if self._api_key is not None and key != self._api_key:
            raise Refusal(BAD_KEY)

    def _is_legacy(self, request: WireRequest) -> bool:
        revision = request.headers.get("api-revision")
        return revision == LEGACY_REVISION or (self._legacy and revision != CURRENT_REVISION)

    def _create(self, request: WireRequest) -> WireResponse:
        at = self._clock()
        body = parse(request.body)
        with self._lock:
            self._counters.note_create(request.body.hex() if body is None else body)
        try:
            self._authorise(request)
            response = self._answer(body, at, legacy=self._is_legacy(request))
        except Refusal as refused:
            response = refused.response
        known = body if isinstance(body, dict) else {}
        with self._lock:
            self._counters.note_status(response.status)
            self._counters.note_seen(SeenRequest(known, kind_of(known), response.status or None, at))
        return replace(response, latency=self._latency) if self._latency else response

