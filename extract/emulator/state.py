"""What the emulator remembers of its requests: counters, how much quota is left, and a mapping that forgets."""

from __future__ import annotations

import hashlib
import math
from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Generic, TypeVar

from pydantic_core import to_json

from extract.emulator.conversation import Kind
from extract.emulator.messages import WireResponse, error_response, rpc_response
from extract.emulator.options import Quotas
from extract.json_types import JsonObject

__all__ = ["Counters", "LruCache", "QuotaMeter", "SeenRequest"]

Key = TypeVar("Key")
Value = TypeVar("Value")
SECONDS = {"Minute": 60.0, "Day": 86_400.0}
ROUNDING = 1e-6
"""A client that waits the announced time must not be refused for the last bits of a float."""


class LruCache(Generic[Key, Value]):
    """A mapping of at most `size` values; the one that was used least recently goes first."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._values: OrderedDict[Key, Value] = OrderedDict()

    def put(self, key: Key, value: Value) -> None:
        """Remember `value` under `key`."""
        self._values[key] = value
        self._values.move_to_end(key)
        if len(self._values) > self._size:
            self._values.popitem(last=False)

    def find(self, key: Key) -> Value | None:
        """Return the value of `key`, None where there is none."""
        value = self._values.get(key)
        if value is not None:
            self._values.move_to_end(key)
        return value

    def drop(self, key: Key) -> Value | None:
        """Forget `key` and return its value, None where there is none."""
        return self._values.pop(key, None)


@dataclass(frozen=True, slots=True)
class SeenRequest:
    """One create request as it came. `status` is the HTTP status it got, None where the connection was reset.

    `body` is empty for JSON that is not an object; `at` is in seconds on the emulator's clock.
    """

    body: JsonObject
    kind: Kind
    status: int | None
    at: float


@dataclass(slots=True)
class TokenBucket:
    """A token bucket that holds one window's worth and fills evenly."""

    size: float
    window: float
    level: float = field(init=False)
    filled_at: float = field(init=False)

    def __post_init__(self) -> None:
        self.level = self.size
        self.filled_at = float("-inf")

    def wait(self, amount: float, now: float) -> float:
        """Return the seconds until `amount` may be taken; an amount larger than the bucket needs a full one."""
        if self.filled_at != now:
            gain = (now - self.filled_at) * self.size / self.window
            self.level = min(self.size, self.level + max(0.0, gain))
            self.filled_at = now
        missing = min(amount, self.size) - self.level
        return missing * self.window / self.size if missing > ROUNDING else 0.0

    def inherit(self, old: TokenBucket, now: float) -> None:
        """Continue from the level of another bucket."""
        old.wait(0.0, now)
        self.level, self.filled_at = min(self.size, old.level), now

    def take(self, amount: float) -> None:
        """Take `amount`; the level may fall below zero."""
        self.level -= amount


@dataclass(frozen=True, slots=True)
class QuotaLimit:
    """One dimension of the quota: what it is called in errors, and its bucket."""

    metric: str
    period: str
    bucket: TokenBucket

    @property
    def quota_id(self) -> str:
        """The name of the quota, which includes its window."""
        return f"Generate{self.metric}Per{self.period}PerProjectPerModel"


class QuotaMeter:
    """How much of each limit of a `Quotas` is left. Not safe to use from several threads by itself."""

    def __init__(self, quotas: Quotas) -> None:
        self._retry_after, self._details = quotas.retry_after, quotas.details
        self._limits: list[QuotaLimit] = []
        self.change(quotas, 0.0)

    def change(self, quotas: Quotas, now: float) -> None:
        """Replace the limits; what was spent of the old ones is not given back."""
        spent = {one.quota_id: one.bucket for one in self._limits}
        limits = (
            ("Requests", "Minute", quotas.rpm),
            ("InputTokens", "Minute", quotas.tpm),
            ("Requests", "Day", quotas.rpd),
        )
        self._limits = [
            QuotaLimit(metric, period, TokenBucket(limit, SECONDS[period]))
            for metric, period, limit in limits
            if limit is not None
        ]
        for one in self._limits:
            if (old := spent.get(one.quota_id)) is not None:
                one.bucket.inherit(old, now)

    def admit(self, tokens: int, now: float) -> WireResponse | None:
        """Take one request of `tokens` from every bucket, or return the 429 of the slowest one and take nothing."""
        if not self._limits:
            return None
        amounts = [tokens if one.metric == "InputTokens" else 1 for one in self._limits]
        waits = [one.bucket.wait(amount, now) for one, amount in zip(self._limits, amounts, strict=True)]
        wait = max(waits)
        if wait > 0:
            return self._refuse(self._limits[waits.index(wait)], wait)
        for one, amount in zip(self._limits, amounts, strict=True):
            one.bucket.take(amount)
        return None

    def _refuse(self, spent: QuotaLimit, wait: float) -> WireResponse:
        headers = (("retry-after", str(math.ceil(wait))),) if self._retry_after else ()
        if not self._details:
            code = "quota_exceeded" if spent.period == "Day" else "rate_limit_exceeded"
            return error_response(429, code, "You exceeded your current quota.", headers)
        delay = f"{math.ceil(wait * 1000) / 1000:.3f}s"
        violation = {
            "quotaMetric": f"generativelanguage.googleapis.com/generate_{spent.metric.lower()}",
            "quotaId": spent.quota_id,
            "quotaValue": str(int(spent.bucket.size)),
        }
        details: list[JsonObject] = [
            {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [violation]},
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay},
        ]
        message = f"You exceeded your current quota {spent.quota_id}. Please retry in {delay}."
        return rpc_response(429, "RESOURCE_EXHAUSTED", message, details, headers)


def fingerprint(body: Any) -> int:
    """Return 64 bits of the SHA-256 of `body` as compact JSON: white space does not count, the order of keys does."""
    return int.from_bytes(hashlib.sha256(to_json(body)).digest()[:8], "big")


class Counters:
    """What happened so far. Safe to use from several threads.

    `count_distinct` stores one integer per distinct request; without it `distinct` and `repeats` are reported as None.
    """

    def __init__(self, *, keep_requests: bool, count_distinct: bool) -> None:
        self._lock = Lock()
        self._seen: list[SeenRequest] | None = [] if keep_requests else None
        self._distinct: set[int] | None = set() if count_distinct else None
        self._status: Counter[str] = Counter()
        self._ignored: Counter[str] = Counter()
        self._faults: Counter[str] = Counter()
        self._tokens = (0, 0, 0)
        self._counts = Counter(requests=0, repeats=0, store_true=0, store_false=0, refused_by_quota=0, other_requests=0)
        self._in_flight = self._peak = 0

    def arrive(self) -> None:
        """Note that a request is being answered."""
        with self._lock:
            self._in_flight += 1
            self._peak = max(self._peak, self._in_flight)

    def leave(self, delivered: WireResponse | None) -> None:
        """Note the end of a request; `delivered` is what was sent, None where the client left before the end."""
        with self._lock:
            self._in_flight -= 1
            if delivered is not None and delivered.whole:
                (entering, leaving, thought), more = self._tokens, delivered.tokens
                self._tokens = (entering + more[0], leaving + more[1], thought + more[2])

    def note_create(self, body: Any) -> None:
        """Note the arrival of a create request."""
        stored = not (isinstance(body, dict) and body.get("store") is False)
        with self._lock:
            self._counts["requests"] += 1
            if self._distinct is not None:
                mark = fingerprint(body)
                self._counts["repeats"] += mark in self._distinct
                self._distinct.add(mark)
            self._counts["store_true" if stored else "store_false"] += 1

    def note_response(self, request: SeenRequest) -> None:
        """Note how a create request was answered."""
        with self._lock:
            self._status["reset" if request.status is None else str(request.status)] += 1
            if self._seen is not None:
                self._seen.append(request)

    def note_other(self) -> None:
        """Note a request that creates nothing: get, delete, cancel, unknown paths."""
        with self._lock:
            self._counts["other_requests"] += 1

    def note_ignored(self, keywords: Counter[str]) -> None:
        """Note schema keywords that the service ignores."""
        with self._lock:
            self._ignored.update(keywords)

    def note_fault(self, name: str) -> None:
        """Note that a fault struck."""
        with self._lock:
            self._faults[name] += 1

    def note_quota_refusal(self) -> None:
        """Note a request refused for the quota."""
        with self._lock:
            self._counts["refused_by_quota"] += 1

    def seen_requests(self) -> list[SeenRequest]:
        """Return the create requests in order of arrival, none without `keep_requests`."""
        with self._lock:
            return list(self._seen or ())

    def report(self) -> JsonObject:
        """Return all counters; `peak_in_flight` counts a request from its arrival to the end of its delivery."""
        with self._lock:
            return self._report()

    def _report(self) -> JsonObject:
        return {
            **self._counts,
            "by_status": dict(self._status),
            "repeats": None if self._distinct is None else self._counts["repeats"],
            "distinct": None if self._distinct is None else len(self._distinct),
            "in_flight": self._in_flight,
            "peak_in_flight": self._peak,
            "input_tokens": self._tokens[0],
            "output_tokens": self._tokens[1],
            "thought_tokens": self._tokens[2],
            "faults": dict(self._faults),
            "ignored_keywords": dict(self._ignored),
        }
