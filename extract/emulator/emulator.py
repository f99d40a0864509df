"""The Interactions API in a box: a request goes in, a response comes out, and nothing sleeps or opens a socket."""

from __future__ import annotations

import math
import random
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from http import HTTPStatus
from threading import Lock
from typing import Any, Literal

from pydantic_core import from_json, to_json

from extract.emulator.answers import Answer, Answers, Reader, Script
from extract.emulator.checks import check_create, is_plain
from extract.emulator.conversation import (
    CHARACTERS_PER_TOKEN,
    Ask,
    Opening,
    Said,
    acts,
    count_tokens,
    kind_of,
    mapping,
    read_ask,
    read_opening,
    requested_schema,
    split_input,
    turns_of,
)
from extract.emulator.faults import KINDS, NO_FAULT, Fault, FaultKind, FaultPlan
from extract.emulator.history import check_history, open_calls, steps_given
from extract.emulator.messages import Refusal, WireRequest, WireResponse, refusal, rpc_response
from extract.emulator.other_routes import Decide, Neighbours, is_upload
from extract.emulator.pdf_text import with_pdfs_read
from extract.emulator.reader import RuleReader
from extract.emulator.responses import Reply, build_interaction, fit_limit, in_progress, render, split_text
from extract.emulator.schema_gate import SchemaGate
from extract.emulator.state import Bounded, Counters, Quota, SeenRequest
from extract.emulator.stored import Kept, Pending, Shelf
from extract.emulator.stored_files import FileShelf
from extract.emulator.tool_use import Scene, read_scene
from extract.emulator.transport import EmulatorTransport
from extract.errors import ConfigError
from extract.json_types import JsonObject

__all__ = ["Emulator"]

CALENDAR = datetime(2026, 1, 1, tzinfo=UTC)
"""Times in interactions are this plus the clock: the emulator has no time of day."""

KEPT_OPENINGS = 64
PLAIN = Scene()
ACTIVE_FIELDS = frozenset({"tools", "agent", "response_format", "response_modalities", "generation_config"})

PATH = re.compile(r"/v1(?:beta)?/interactions(?:/(?P<id>[^/]+)(?P<cancel>/cancel)?)?")
LEGACY_REVISION, CURRENT_REVISION = "2026-05-07", "2026-05-20"
BAD_KEY = rpc_response(
    HTTPStatus.BAD_REQUEST,
    "INVALID_ARGUMENT",
    "API key not valid. Please pass a valid API key.",
    [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID", "domain": "googleapis.com"}],
)


class Emulator:
    """Answers requests as the Interactions API does; safe to use from several threads.

    Everything is in memory but the bytes of uploaded files, in a temporary folder that goes with it.

    `answers` is a list used up in order or a function of the request's body; each answer is text, an object sent as
    JSON, a `Fault`, `Calls` of functions, or `Steps` as they are to come. Without them `reader` (the rule reader)
    reads the record. `faults` says what goes wrong how often (`FAULTS`; `503=0.05,mixed=0.1`), drawn per request from
    `seed`. `rpm`, `tpm` and `rpd` are quotas; `retry_after` names the wait in a header too, and without
    `quota_details` the body does not. `latency` and `background_seconds` are in seconds; with `latency_spread` the
    latency varies, drawn from `seed` as a lognormal of that sigma whose median is `latency`. A stream of what runs
    longer than `stream_seconds` from now breaks off; what was stored is forgotten after `retention_seconds`. Without
    `keep_requests` memory stays flat, unless `count_distinct` asks for the counters `distinct` and `repeats`, which
    take an integer per request. `strict` refuses what the documentation does not allow; `max_schema_cost` refuses
    large schemas (see `gate.survey`). With `api_key`
    every other key is refused, without it any key will do. An uploaded file is PROCESSING for `processing_seconds`;
    `upload_faults` names what goes wrong with each chunk in order, None for nothing. `decisions` makes the answer to a
    decision from its body, in place of the reader. ConfigError for options that cannot be.
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
        quota_details: bool = True,
        latency: float = 0.0,
        latency_spread: float = 0.0,
        background_seconds: float = 0.0,
        stream_seconds: float = 10.0,
        retention_seconds: float = 55 * 86_400.0,
        processing_seconds: float = 0.0,
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
        if not 0 <= latency_spread < math.inf:
            raise ConfigError(f"latency_spread must be 0 or more, not {latency_spread}")
        self._legacy = dialect == "outputs"
        self.set_faults(faults)
        reader = reader or RuleReader()
        self._answers = Answers(answers, reader)
        self._latency, self._background_seconds = latency, background_seconds
        self._spread = latency_spread
        self._strict, self._api_key, self._clock = strict, api_key, clock
        self._gate = SchemaGate(max_schema_cost)
        self._quota = Quota(rpm=rpm, tpm=tpm, rpd=rpd, retry_after=retry_after, details=quota_details)
        self._counters = Counters(
            keep_requests=keep_requests, count_distinct=keep_requests if count_distinct is None else count_distinct
        )
        self._shelf = Shelf(retention=retention_seconds, stream_seconds=stream_seconds)
        self._openings: Bounded[tuple[bool, bytes], Opening] = Bounded(KEPT_OPENINGS)
        # Three sources, so that faults depend neither on the names given out nor on latencies. They guard nothing.
        self._draws, self._names, self._delays = (random.Random(seed) for _ in range(3))  # noqa: S311
        self._lock = Lock()
        self._files = FileShelf(processing_seconds=processing_seconds, written=timestamp)
        self._neighbours = Neighbours(
            self._files,
            reader,
            decisions=decisions,
            script=upload_faults,
            draw=partial(self._draw_upload_fault, random.Random(seed)),  # noqa: S311 - as above
            note=self._note_fault,
            strict=strict,
            seed=seed,
        )
        self.transport = EmulatorTransport(self.exchange)

    @property
    def requests(self) -> list[SeenRequest]:
        """The create requests seen so far, in order of arrival; empty without `keep_requests`."""
        with self._lock:
            return list(self._counters.seen or ())

    def stats(self) -> JsonObject:
        """Return the counters: requests, by_status, distinct, repeats, in flight, tokens billed, faults and more."""
        with self._lock:
            return self._counters.report()

    def set_faults(self, spec: str | None) -> None:
        """Let other faults strike from now on; ConfigError for a spec that cannot be read."""
        self._plan = FaultPlan.parse(spec)
        self.faults = spec or ""

    def set_quota(self, *, rpm: int | None = None, tpm: int | None = None, rpd: int | None = None) -> None:
        """Let another quota hold from now on, whole: None is no limit. What was spent is not given back."""
        with self._lock:
            self._quota.change(rpm=rpm, tpm=tpm, rpd=rpd, now=self._clock())

    def handle(self, request: WireRequest) -> WireResponse:
        """Return the response to `request`, counted as delivered."""
        with self.exchange(request) as response:
            return response

    @contextmanager
    def exchange(self, request: WireRequest) -> Iterator[WireResponse]:
        """Yield the response to `request`, which is in flight until the context ends.

        Tokens are billed where it ends without an exception and the response was to be sent whole.
        """
        delivered = None
        with self._lock:
            self._counters.arrive()
        try:
            response = self._route(request)
            yield response
            delivered = response
        finally:
            with self._lock:
                self._counters.leave(delivered)

    def _route(self, request: WireRequest) -> WireResponse:
        place = PATH.fullmatch(request.path)
        if place is not None and place["id"] is None and request.method == "POST":
            response = self._create(request)
        else:
            with self._lock:
                self._counters.note_other()
            response = self._serve_stored(request, place)
        return replace(response, latency=self._draw_latency()) if self._latency else response

    def _draw_latency(self) -> float:
        if not self._spread:
            return self._latency
        with self._lock:
            return self._latency * math.exp(self._delays.gauss(0, self._spread))

    def _serve_stored(self, request: WireRequest, place: re.Match[str] | None) -> WireResponse:
        """Return the response to a get, delete or cancel, or to a path that does not exist."""
        try:
            if not is_upload(request):
                self._authorise(request)
            if place is None:
                return self._neighbours.serve(request, self._clock(), self._admit_decision)
            legacy = self._is_legacy(request)
            match request.method, place["id"], bool(place["cancel"]):
                case "GET", str(identity), False:
                    return self._shelf.get(identity, request.query, self._clock(), legacy=legacy)
                case "DELETE", str(identity), False:
                    return self._shelf.delete(identity, self._clock())
                case "POST", str(identity), True:
                    return self._shelf.cancel(identity, self._clock(), legacy=legacy)
            raise refusal("Method not allowed here.", status=HTTPStatus.METHOD_NOT_ALLOWED, code="method_not_allowed")
        except Refusal as refused:
            return refused.response

    def _draw_upload_fault(self, draws: random.Random) -> str | None:
        with self._lock:
            return self._plan.draw_upload(draws)

    def _note_fault(self, name: str) -> None:
        with self._lock:
            self._counters.note_fault(name)

    def _admit_decision(self, tokens: int, at: float) -> Callable[[WireResponse], WireResponse]:
        """Return how the answer to a decision is delivered; Refusal beyond the quota or for a fault that refuses.

        Faults that bend an interaction leave decisions as they are.
        """
        with self._lock:
            refused = self._quota.admit(tokens, at)
            if refused is not None:
                self._counters.note_quota_refusal()
                raise Refusal(refused)
            name = self._plan.draw(self._draws)
        fault = KINDS[name] if name else NO_FAULT
        if name and (fault.response or fault.deliver):
            self._note_fault(name)
        if fault.response is not None:
            raise Refusal(fault.response)
        return fault.deliver or (lambda response: response)

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
            self._neighbours.check_files(request, body, at)
            response = self._answer(body, at, legacy=self._is_legacy(request))
        except Refusal as refused:
            response = refused.response
        known = body if isinstance(body, dict) else {}
        with self._lock:
            self._counters.note_status(response.status)
            if self._counters.seen is not None:
                self._counters.seen.append(SeenRequest(known, kind_of(known), response.status or None, at))
        return response

    def _answer(self, body: Any, at: float, *, legacy: bool) -> WireResponse:
        """Return the answer to a create request: checks first, then quota, then faults, then the model."""
        body, opening = self._check(body, legacy=legacy)
        rest, parent = self._shelf.rest_for(body), self._shelf.parent_of(body, at)
        scene = self._look(body, opening, parent) if rest is None else PLAIN
        schema = requested_schema(body, legacy=legacy)
        history = parent.turns if parent is not None and rest is None else ()
        spelled = self._files.spelled_out(body)
        ask = read_ask(spelled, opening, schema, schema_tokens=self._check_schema(schema), history=history)
        name, answer = self._choose(body, self._admit(ask, at), fresh=rest is None)
        fault = KINDS[name] if name else NO_FAULT
        if fault.response is not None:
            return fault.response
        if answer is None and rest is None:
            ask = with_pdfs_read(ask, spelled, self._files.pdf_at, history)
        reply, parts = self._speak(ask, answer, fault, rest, scene)
        interaction = build_interaction(reply, ask, body, identity=self._new_name("v1_"), now=timestamp(at))
        kept = self._remember(interaction, reply, parts, body, parent, at)
        tokens = (sum(ask.input_tokens.values()), count_tokens(reply.text), reply.thought_tokens)
        if body.get("stream") is True:
            response = self._shelf.stream(kept, at, legacy=legacy, tokens=tokens)
        else:
            response = render(
                in_progress(interaction) if kept.background else interaction, legacy=legacy, tokens=tokens
            )
        return fault.deliver(response) if fault.deliver else response

    def _look(self, body: JsonObject, opening: Opening, parent: Kept | None) -> Scene:
        """Return what the request gives to act with, its history checked; most requests give nothing."""
        waiting = open_calls(parent.interaction["steps"]) if parent is not None else {}
        steps = steps_given(body.get("input")) if opening.acted or not is_said(body.get("input")) else ()
        if self._strict and (steps or waiting):
            check_history(steps, waiting)
        if not steps and not body.keys() & ACTIVE_FIELDS:
            return PLAIN
        scene = read_scene(body, steps or steps_given(split_input(body.get("input"))[1]), waiting)
        for tool in scene.functions:
            self._gate.check(mapping(tool.get("parameters")), f"parameters of {tool.get('name')}")
        return scene

    def _check(self, body: Any, *, legacy: bool) -> tuple[JsonObject, Opening]:
        """Return a request that the service would take and how its input opens; Refusal for one it would not take.

        Few-shot requests open with the same hundreds of steps again and again: those are checked and read once.
        """
        items, last = split_input(body.get("input") if isinstance(body, dict) else None)
        key = (legacy, to_json(items)) if items and is_plain(last[0]) else None
        with self._lock:
            opening = self._openings.find(key) if key else None
        if opening is not None:
            check_create(body | {"input": last}, legacy=legacy, strict=self._strict)
        else:
            body = check_create(body, legacy=legacy, strict=self._strict)
            opening = read_opening(items) if items else Opening()
            if key:
                with self._lock:
                    self._openings.put(key, opening)
        check_names(body)
        return body, opening

    def _check_schema(self, schema: Any) -> int:
        """Return the tokens of a schema that the service takes; Refusal for one that it does not take."""
        if schema is None:
            return 0
        report = self._gate.check(schema, "response_format")
        if report.ignored:
            with self._lock:
                self._counters.note_ignored(report.ignored)
        return -(-report.length // CHARACTERS_PER_TOKEN)

    def _admit(self, ask: Ask, at: float) -> str | None:
        """Return the fault drawn for a request within the quota; raise Refusal for one beyond it."""
        with self._lock:
            refused = self._quota.admit(sum(ask.input_tokens.values()), at)
            if refused is not None:
                self._counters.note_quota_refusal()
                raise Refusal(refused)
            name = self._plan.draw(self._draws)
        # What is left of an answer comes as it is: only its delivery can still go wrong.
        bends = name is not None and (KINDS[name].bend is not None or KINDS[name].parts > 1)
        return None if ask.kind == "continue" and bends else name

    def _choose(self, body: JsonObject, drawn: str | None, *, fresh: bool) -> tuple[str | None, Answer | None]:
        """Return the fault that strikes and the scripted answer; a refused request uses up no answer."""
        refused = drawn is not None and KINDS[drawn].response is not None
        answer = self._answers.take(body) if fresh and not refused else None
        name = answer.name if isinstance(answer, Fault) else drawn
        if name is not None:
            with self._lock:
                self._counters.note_fault(name)
        return name, answer

    def _speak(
        self, ask: Ask, answer: Answer | None, fault: FaultKind, rest: Pending | None, scene: Scene
    ) -> tuple[Reply, tuple[str, ...]]:
        """Return what the model says now, and the parts of its answer that are still to be asked for."""
        if rest is None:
            whole = replace(self._answers.reply(answer, ask, scene, self._new_name), summary=scene.summaries)
            whole = fit_limit(whole, ask.max_output_tokens)
            reply = fault.bend(whole, ask.schema) if fault.bend else whole
            first, *later = split_text(reply.text, 1 if reply.calls else fault.parts)
        else:
            first, *later = rest.parts
            reply = Reply(text=first, thought=ask.thinking_level)
        if later:
            token = self._new_name("ct_")
            reply = replace(reply, text=first, status="requires_continuation", continuation_token=token)
        return reply, tuple(later)

    def _remember(
        self,
        interaction: JsonObject,
        reply: Reply,
        parts: tuple[str, ...],
        body: JsonObject,
        parent: Kept | None,
        at: float,
    ) -> Kept:
        """Keep what later requests may name: the rest of the answer, and the interaction where it may be stored."""
        stored = body.get("store") is not False
        if reply.continuation_token:
            self._shelf.keep_rest(reply.continuation_token, Pending(parts, interaction["id"], stored))
        background = body.get("background") is True
        turns: tuple[Said, ...] = ()
        if stored:
            turns = (*(parent.turns if parent else ()), *turns_of(body.get("input")), Said("model", reply.text))
        ready_at = at + self._background_seconds if background else at
        kept = Kept(interaction, body.get("input"), turns, ready_at, at, background)
        if stored:
            self._shelf.keep(kept)
        return kept

    def _new_name(self, prefix: str) -> str:
        with self._lock:
            return f"{prefix}{self._names.getrandbits(160):040x}"


def parse(body: bytes) -> Any:
    """Return the JSON value in `body`, None where it is not JSON; NaN and lone surrogates are not."""
    try:
        return from_json(body, allow_inf_nan=False)
    except ValueError:
        return None


def is_said(given: Any) -> bool:
    """Tell an input in which only the user's words or files come last: a text, a content, or turns that end in them."""
    last = split_input(given)[1]
    items = last if isinstance(last, list) else [last]
    return not any(map(acts, items))


def check_names(body: JsonObject) -> None:
    """Raise Refusal where model or agent does not exist. The list is open: a name that looks right is right."""
    name = str(body.get("model", body.get("agent")))
    missing = "unknown" in name or "no-such" in name
    if missing or ("model" in body and not name.startswith(("gemini-", "gemma-"))):
        code = "model_not_found" if "model" in body else "not_found"
        raise refusal(f"{name!r} is not found or not supported.", status=HTTPStatus.NOT_FOUND, code=code)


def timestamp(at: float) -> str:
    """Return a time of the emulator's calendar as the API writes it."""
    return (CALENDAR + timedelta(seconds=int(at))).isoformat().replace("+00:00", "Z")
