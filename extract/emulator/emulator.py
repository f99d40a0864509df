"""The emulator: a request goes in, a response comes out, and nothing sleeps or opens a socket."""

from __future__ import annotations

import math
import random
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from http import HTTPStatus
from threading import Lock
from typing import Any, Literal

from pydantic_core import from_json

from extract.emulator.admission import Admission
from extract.emulator.answers import Answers, Reader, Script
from extract.emulator.conversation import kind_of
from extract.emulator.creation import InteractionCreator
from extract.emulator.messages import Refusal, WireRequest, WireResponse, refusal, rpc_response
from extract.emulator.options import Delays, Quotas, value_or_shorthands
from extract.emulator.other_routes import Decide, OtherRoutes, is_upload
from extract.emulator.reader import RuleReader
from extract.emulator.state import Counters, SeenRequest
from extract.emulator.stored import InteractionStore
from extract.emulator.stored_files import FileStore
from extract.emulator.transport import EmulatorTransport
from extract.emulator.validation import RequestValidator
from extract.errors import ConfigError
from extract.json_types import JsonObject

__all__ = ["Emulator"]

PATH = re.compile(r"/v1(?:beta)?/interactions(?:/(?P<id>[^/]+)(?P<cancel>/cancel)?)?")
LEGACY_REVISION, CURRENT_REVISION = "2026-05-07", "2026-05-20"
_LONG_BODY = 16_000  # bytes; with neither a file nor a reference, the reader needs some milliseconds for less
BAD_KEY = rpc_response(
    HTTPStatus.BAD_REQUEST,
    "INVALID_ARGUMENT",
    "API key not valid. Please pass a valid API key.",
    [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID", "domain": "googleapis.com"}],
)


class Emulator:
    """The Interactions API in this process: checks requests as the service does and answers them without a model.

    Safe to use from several threads. Everything is in memory but the bytes of uploaded files, which are in a temporary
    folder that is removed with the emulator.

        from extract.testing import Emulator, Quotas

        emulator = Emulator(answers=["spam", "ham"], quotas=Quotas(rpm=600))
        client = Client("any", transport=emulator.transport)
        emulator.stats()["requests"]

    - `answers`: a list that is used up in order, or a function of the request's body. An answer is text, an object that
      is sent as JSON, a `Fault`, `Calls` of functions, or `Steps` as they are to be sent. Without it `reader` (the rule
      reader) answers from the record. `decisions` answers a decision from its body in place of the reader.
    - `faults`: what goes wrong how often (`503=0.05,mixed=0.1`; `extract emulate --faults list`), drawn per request
      from `seed`. `upload_faults` names what goes wrong with each chunk of an upload in order, None for nothing.
    - `quotas`, `delays`: see `Quotas` and `Delays`. `rpm`, `tpm`, `rpd`, `retry_after`, `quota_details` and `latency`,
      `latency_spread`, `background_seconds`, `stream_seconds`, `retention_seconds`, `processing_seconds` set one field
      of them each.
    - `strict` refuses what the documentation does not allow; `max_schema_cost` refuses large schemas. With `api_key`
      every other key is refused, without it any key is right.
    - Without `keep_requests` the memory used stays the same, however many requests come, unless `count_distinct` asks
      for the counters `distinct` and `repeats`, which take an integer per request.
    - `clock` gives the seconds by which quotas refill and interactions end.

    ConfigError for options that contradict each other or cannot be.
    """

    def __init__(
        self,
        *,
        dialect: Literal["steps", "outputs"] = "steps",
        answers: Script | None = None,
        faults: str | None = None,
        seed: int = 0,
        quotas: Quotas | None = None,
        rpm: int | None = None,
        tpm: int | None = None,
        rpd: int | None = None,
        retry_after: bool | None = None,
        quota_details: bool | None = None,
        delays: Delays | None = None,
        latency: float | None = None,
        latency_spread: float | None = None,
        background_seconds: float | None = None,
        stream_seconds: float | None = None,
        retention_seconds: float | None = None,
        processing_seconds: float | None = None,
        upload_faults: Sequence[str | None] = (),
        decisions: Decide | None = None,
        strict: bool = True,
        max_schema_cost: int | None = None,
        api_key: str | None = None,
        keep_requests: bool = True,
        count_distinct: bool | None = None,
        clock: Callable[[], float] = time.monotonic,
        reader: Reader | None = None,
    ) -> None:
        if dialect not in ("steps", "outputs"):
            raise ConfigError(f"no dialect is called {dialect!r}; known: steps, outputs")
        limits = {"rpm": rpm, "tpm": tpm, "rpd": rpd, "retry_after": retry_after, "details": quota_details}
        quotas = value_or_shorthands(Quotas, quotas, limits)
        seconds = {
            "latency": latency,
            "latency_spread": latency_spread,
            "background_seconds": background_seconds,
            "stream_seconds": stream_seconds,
            "retention_seconds": retention_seconds,
            "processing_seconds": processing_seconds,
        }
        self._delays = value_or_shorthands(Delays, delays, seconds)
        self._legacy, self._api_key, self._clock = dialect == "outputs", api_key, clock
        self._reads = answers is None
        reader = reader or RuleReader()
        self._counters = Counters(
            keep_requests=keep_requests, count_distinct=keep_requests if count_distinct is None else count_distinct
        )
        # Requests, ids and latencies draw from sources of their own: no option changes what another one draws.
        self._admission = Admission(quotas, faults, self._counters, seed=seed)
        self._latencies, self._lock = random.Random(seed), Lock()  # noqa: S311 - they guard nothing
        self._interactions = InteractionStore(self._delays)
        files = FileStore(processing_seconds=self._delays.processing_seconds)
        self._creator = InteractionCreator(
            Answers(answers, reader),
            RequestValidator(self._counters, strict=strict, max_schema_cost=max_schema_cost),
            self._admission,
            self._counters,
            self._interactions,
            files,
            seed=seed,
        )
        self._other_routes = OtherRoutes(
            files,
            reader,
            decisions=decisions,
            script=upload_faults,
            draw=self._admission.draw_upload_fault,
            note=self._counters.note_fault,
            strict=strict,
            seed=seed,
        )
        self.faults: str = faults or ""
        self.transport: EmulatorTransport = EmulatorTransport(self.exchange, takes_long=self._takes_long)

    @property
    def requests(self) -> list[SeenRequest]:
        """The create requests received so far, in order of arrival; empty without `keep_requests`."""
        return self._counters.seen_requests()

    def stats(self) -> JsonObject:
        """Return the counters: requests, by_status, distinct, repeats, in flight, tokens billed, faults and more."""
        return self._counters.report()

    def set_faults(self, spec: str | None) -> None:
        """Let other faults strike from now on; ConfigError for a spec that cannot be read."""
        self._admission.set_faults(spec)
        self.faults = spec or ""

    def set_quota(self, *, rpm: int | None = None, tpm: int | None = None, rpd: int | None = None) -> None:
        """Replace all limits from now on: None is no limit. What was spent is not given back."""
        self._admission.set_quotas(Quotas(rpm=rpm, tpm=tpm, rpd=rpd), self._clock())

    def handle(self, request: WireRequest) -> WireResponse:
        """Return the response to `request`, counted as delivered."""
        with self.exchange(request) as response:
            return response

    def _takes_long(self, request: WireRequest) -> bool:
        """Return whether the reader may need so long for a request that an event loop must not wait for it."""
        body = request.body
        is_long = len(body) > _LONG_BODY or b'"uri"' in body or b'"$ref"' in body
        return self._reads and is_long and PATH.fullmatch(request.path) is not None

    @contextmanager
    def exchange(self, request: WireRequest) -> Iterator[WireResponse]:
        """Yield the response to `request`, which is in flight until the context ends.

        Tokens are billed where it ends without an exception and the response was to be sent whole.
        """
        delivered = None
        self._counters.arrive()
        try:
            response = self._route(request)
            yield response
            delivered = response
        finally:
            self._counters.leave(delivered)

    def _route(self, request: WireRequest) -> WireResponse:
        place = PATH.fullmatch(request.path)
        if place is not None and place["id"] is None and request.method == "POST":
            response = self._create(request)
        else:
            self._counters.note_other()
            response = self._serve_stored(request, place)
        return replace(response, latency=self._draw_latency()) if self._delays.latency else response

    def _draw_latency(self) -> float:
        latency, spread = self._delays.latency, self._delays.latency_spread
        if not spread:
            return latency
        with self._lock:
            return latency * math.exp(self._latencies.gauss(0, spread))

    def _create(self, request: WireRequest) -> WireResponse:
        at = self._clock()
        body = parse(request.body)
        self._counters.note_create(request.body.hex() if body is None else body)
        try:
            self._authorise(request)
            self._other_routes.check_files(request, body, at)
            response = self._creator.create(body, at, legacy=self._is_legacy(request))
        except Refusal as refused:
            response = refused.response
        known = body if isinstance(body, dict) else {}
        self._counters.note_response(SeenRequest(known, kind_of(known), response.status or None, at))
        return response

    def _serve_stored(self, request: WireRequest, place: re.Match[str] | None) -> WireResponse:
        """Return the response to a get, delete or cancel, or to a path of another API."""
        try:
            if not is_upload(request):
                self._authorise(request)
            if place is None or place["id"] == "live":
                return self._other_routes.serve(request, self._clock(), self._admission.admit_decision)
            legacy = self._is_legacy(request)
            match request.method, place["id"], bool(place["cancel"]):
                case "GET", str(identity), False:
                    return self._interactions.get(identity, request.query, self._clock(), legacy=legacy)
                case "DELETE", str(identity), False:
                    return self._interactions.delete(identity, self._clock())
                case "POST", str(identity), True:
                    return self._interactions.cancel(identity, self._clock(), legacy=legacy)
            raise refusal("Method not allowed here.", status=HTTPStatus.METHOD_NOT_ALLOWED, code="method_not_allowed")
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


def parse(body: bytes) -> Any:
    """Return the JSON value in `body`, None where it is not JSON; NaN and lone surrogates are not."""
    try:
        return from_json(body, allow_inf_nan=False)
    except ValueError:
        return None
