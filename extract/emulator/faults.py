"""What can go wrong, by name: refusals, broken deliveries and answers that are not as they should be."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any, TypeAlias

from pydantic_core import from_json

from extract.emulator.messages import WireResponse, error_response, json_response, rpc_response
from extract.emulator.pack_faults import PACK_FAULTS
from extract.emulator.responses import Reply
from extract.errors import ConfigError
from extract.json_types import JsonObject

__all__ = ["FAULTS", "KINDS", "NO_FAULT", "UPLOAD_FAULTS", "Fault", "FaultKind", "FaultPlan"]

SLOW_SECONDS = 1.0
RETRY_INFO = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "0.5s"}
TOO_FAST = "Too many requests. Slow down and send it again."


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultKind:
    """One fault: it answers in place of the model (`response`), alters the reply, or breaks the delivery.

    `parts` above 1 split the answer over that many interactions, which the client has to request one after the other.
    A client that repeats, repairs or continues as documented loses nothing to a `transient` one.
    """

    description: str
    transient: bool = True
    response: WireResponse | None = None
    alter: Callable[[Reply, JsonObject | None], Reply] | None = None
    deliver: Callable[[WireResponse], WireResponse] | None = None
    parts: int = 1


NO_FAULT = FaultKind(description="nothing goes wrong")


@dataclass(frozen=True, slots=True)
class Fault:
    """A scripted answer that goes wrong by the fault `name`; `answer` is the model's answer without the fault.

    Without `answer` the emulator's reader answers. Raises ConfigError for an unknown name.

        Emulator(answers=[Fault("503"), Fault("cut", "spam"), "spam"])
    """

    name: str
    answer: str | JsonObject | list[Any] | None = None

    def __post_init__(self) -> None:
        if self.name not in KINDS:
            raise ConfigError(f"no fault is called {self.name!r}; known: {', '.join(KINDS)}")

    @property
    def kind(self) -> FaultKind:
        """What the fault does."""
        return KINDS[self.name]


def cut_in_half(response: WireResponse) -> WireResponse:
    """Break the connection in the middle of the body."""
    return replace(response, cut_after=len(response.body) // 2)


def parses(text: str) -> bool:
    """Return whether `text` is JSON."""
    try:
        from_json(text)
    except ValueError:
        return False
    return True


def make_malformed(reply: Reply, schema: JsonObject | None) -> Reply:  # noqa: ARG001 - every alter has this signature
    """Return the reply with a text that is not JSON: cut short, as models cut it."""
    text = reply.text[: -(-len(reply.text) * 2 // 3)]
    return replace(reply, text='{"' + text if parses(text) else text)


def make_mismatch(reply: Reply, schema: JsonObject | None) -> Reply:
    """Return the reply with JSON that breaks `schema`; unchanged where nothing breaks it."""
    if schema is None or not parses(reply.text):
        return reply
    validator = import_module("jsonschema").Draft202012Validator(schema)
    for wrong in wrong_answers(from_json(reply.text)):
        if not validator.is_valid(wrong):
            return replace(reply, text=json.dumps(wrong))
    return reply


def wrong_answers(answer: Any) -> Iterator[Any]:
    """Yield answers that are wrong in more and more of their parts."""
    if isinstance(answer, dict):
        for name, value in answer.items():
            yield answer | {name: {"unexpected": value}}
        for name in answer:
            yield {key: value for key, value in answer.items() if key != name}
        yield answer | {"unexpected": True}
    yield [answer]
    yield {"unexpected": answer}
    yield "unexpected"
    yield None


def make_incomplete(reply: Reply, schema: JsonObject | None) -> Reply:  # noqa: ARG001 - every alter has this signature
    """Return the reply cut at the output limit."""
    return replace(reply, status="incomplete", text=reply.text[: len(reply.text) // 2])


def changed(**changes: Any) -> Callable[[Reply, JsonObject | None], Reply]:
    """Return an `alter` that sets fields of the reply."""

    def alter(reply: Reply, schema: JsonObject | None) -> Reply:  # noqa: ARG001 - every alter has this signature
        return replace(reply, **changes)

    return alter


def failing(code: str, message: str) -> Callable[[Reply, JsonObject | None], Reply]:
    """Return an `alter` to status `failed` with one error and no output."""
    return changed(status="failed", layout="empty", text="", actions=(), errors=({"code": code, "message": message},))


def throttled(*headers: tuple[str, str]) -> WireResponse:
    """Return a documented 429 with extra headers."""
    return error_response(429, "rate_limit_exceeded", TOO_FAST, headers)


OVERLOADED = "The service is overloaded. Send it again later."
HTML = b"<!doctype html><html><head><title>502</title></head><body><h1>Bad Gateway</h1></body></html>"
BROKEN_HTML = WireResponse(status=502, headers=(("content-type", "text/html; charset=UTF-8"),), body=HTML)
IN_ARRAY = json_response([{"error": {"code": 503, "message": OVERLOADED, "status": "UNAVAILABLE"}}], status=503)
OUT_OF_CREDIT = error_response(402, "payment_required", "The prepaid credit of this project is used up.")

KINDS: dict[str, FaultKind] = {
    "429": FaultKind(description="429 that names no wait", response=throttled()),
    "429_retry_after": FaultKind(description="429 with Retry-After: 1", response=throttled(("retry-after", "1"))),
    "429_retry_after_ms": FaultKind(
        description="429 with retry-after-ms: 200", response=throttled(("retry-after-ms", "200"))
    ),
    "429_retry_info": FaultKind(
        description="429 with RetryInfo of 0.5 s in the body",
        response=rpc_response(429, "RESOURCE_EXHAUSTED", TOO_FAST, [RETRY_INFO]),
    ),
    "408": FaultKind(description="408", response=error_response(408, "request_timeout", "The request timed out.")),
    "500": FaultKind(description="500", response=error_response(500, "api_error", "An internal error occurred.")),
    "503": FaultKind(description="503", response=error_response(503, "service_unavailable", OVERLOADED)),
    "504": FaultKind(description="504", response=error_response(504, "deadline_exceeded", "The deadline passed.")),
    "reset": FaultKind(description="connection reset before any answer", response=WireResponse(status=0, reset=True)),
    "cut": FaultKind(description="connection cut in the middle of the body", deliver=cut_in_half),
    "slow": FaultKind(
        description=f"head at once, first byte of the body {SLOW_SECONDS:g} s later",
        deliver=lambda response: replace(response, stall=SLOW_SECONDS),
    ),
    "html": FaultKind(description="502 with a page of HTML", response=BROKEN_HTML),
    "array": FaultKind(description="503 whose error is inside a JSON array", response=IN_ARRAY),
    "malformed": FaultKind(description="answer text that is not JSON", alter=make_malformed),
    "mismatch": FaultKind(description="valid JSON that breaks the schema", alter=make_mismatch),
    "empty_steps": FaultKind(
        description="completed, with no steps at all", alter=changed(layout="empty", text="", actions=())
    ),
    "failed": FaultKind(
        description="status failed, malformed_function_call",
        alter=failing("malformed_function_call", "The model produced a malformed function call."),
    ),
    "no_usage": FaultKind(description="no usage in the answer", alter=changed(usage=False)),
    "split": FaultKind(description="text over two contents and two steps", alter=changed(layout="split")),
    "thought_first": FaultKind(description="a thought step before the answer", alter=changed(thought="low")),
    "unknown_extra": FaultKind(
        description="unknown fields, step and content types beside the answer", alter=changed(extras=True)
    ),
    "continuation": FaultKind(
        description="requires_continuation: the answer in three parts, two more requests", parts=3
    ),
    "blocked": FaultKind(
        description="400 Request blocked due to safety",
        transient=False,
        response=error_response(400, "invalid_request", "Request blocked due to safety settings."),
    ),
    "blocked_failed": FaultKind(
        description="status failed, safety",
        transient=False,
        alter=failing("safety", "The answer was blocked for safety reasons."),
    ),
    "incomplete": FaultKind(description="answer cut at the output limit", transient=False, alter=make_incomplete),
    "unknown_status": FaultKind(
        description="a status that is not documented", transient=False, alter=changed(status="meditating")
    ),
    "quota_exceeded": FaultKind(
        description="429 quota_exceeded: the daily quota is used up",
        transient=False,
        response=error_response(429, "quota_exceeded", "You exceeded your daily quota."),
    ),
    "402": FaultKind(description="402 payment_required", transient=False, response=OUT_OF_CREDIT),
    "401": FaultKind(
        description="401 authentication",
        transient=False,
        response=error_response(401, "authentication", "The API key is missing or not valid."),
    ),
    **{name: FaultKind(description=text, transient=False, alter=alter) for name, (text, alter) in PACK_FAULTS.items()},
}

UPLOAD_FAULTS: dict[str, str] = {
    "upload_503": "uploads: 503 for a chunk, of which nothing is stored",
    "upload_cut": "uploads: connection reset in the middle of a chunk, half of which is stored",
    "upload_lost": "uploads: connection reset after a chunk was stored, before the answer",
    "file_failed": "uploads: a file whose processing ends as FAILED",
}
"""Faults of the chunks of uploads alone; their rates are shares of the chunks."""

FAULTS: dict[str, str] = (
    {name: kind.description for name, kind in KINDS.items()}
    | UPLOAD_FAULTS
    | {"mixed": "its rate spread evenly over all of the above that a good client survives without losing a row"}
)
TRANSIENT = tuple(name for name, kind in KINDS.items() if kind.transient)
Rates: TypeAlias = tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """How often each fault strikes: pairs of a name and its share of the requests. The shares sum to at most 1.

    `uploads` are the shares of the faults that strike chunks of uploads.
    """

    rates: Rates = ()
    uploads: Rates = ()

    @classmethod
    def parse(cls, spec: str | None) -> FaultPlan:
        """Read `name=rate[,name=rate...]`; ConfigError names what is wrong and which faults exist."""
        pairs = [pair for item in (spec or "").split(",") if item.strip() for pair in parse_rate(item.strip())]
        uploads = tuple(pair for pair in pairs if pair[0] in UPLOAD_FAULTS)
        rates = tuple(pair for pair in pairs if pair[0] not in UPLOAD_FAULTS)
        total = max(sum(rate for _, rate in some) for some in (rates, uploads))
        if total > 1 + 1e-9:
            raise ConfigError(f"the rates of the faults {spec!r} sum to {total:g}; at most 1 is possible")
        return cls(rates, uploads)

    def draw(self, random: random.Random) -> str | None:
        """Return the fault that strikes one request, None where none does. Takes one random number."""
        return drawn(self.rates, random)

    def draw_upload(self, random: random.Random) -> str | None:
        """Return the fault that strikes one chunk of an upload, None where none does. Takes one random number."""
        return drawn(self.uploads, random)


def drawn(rates: Rates, random: random.Random) -> str | None:
    mark = random.random()
    for name, rate in rates:
        mark -= rate
        if mark < 0:
            return name
    return None


def parse_rate(item: str) -> Rates:
    """Read one `name=rate`; `mixed` becomes all transient faults."""
    name, _, number = item.partition("=")
    if name not in FAULTS:
        raise ConfigError(f"no fault is called {name!r}; known: {', '.join(FAULTS)}")
    try:
        rate = float(number)
    except ValueError:
        rate = -1.0
    if not 0 <= rate <= 1:
        raise ConfigError(f"the fault {item!r} needs a rate from 0 to 1, such as {name}=0.05")
    names = TRANSIENT if name == "mixed" else (name,)
    return tuple((one, rate / len(names)) for one in names)
